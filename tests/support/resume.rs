//! A small network, and its state after every step.

use fixgrad::{
    config::{Config, LayerConfig, Train},
    graph::{Graph, Plan},
    kernel::Scalar,
    optim::Lr,
    quant::{Quant, Range},
    trainer::{LayerMemory, SampleData, Samples, Targets, Trainer},
};

use crate::run::Memory;

/// Capacity of the graph.
pub const LAYERS: usize = 4;

/// The network.
pub const NET: Graph<LAYERS> = Graph::input([2, 1, 1]).dense("fc1", 5).relu().dense("fc2", 2);

/// A trainer of it.
pub type Small<'a> = Trainer<'a, LAYERS, Scalar, ()>;

/// Settings that leave something to remember besides weights: momentum, ranges with a memory,
/// bounds of channels, random numbers.
pub fn config() -> Config<LAYERS> {
    let grad = Quant {
        range: Range::Moving { window: 3, percentile: 10_000 },
        ..LayerConfig::new(8).weight_grad
    };
    let layer = LayerConfig {
        per_channel: true,
        weight_grad: grad,
        activation_grad: Some(grad),
        ..LayerConfig::new(8)
    };
    let train = Train { momentum: 29_491, ..Train::new(4, Lr::ratio(1, 4)) };
    Config::uniform(NET.view(), layer, train)
}

/// The plan of a trainer with this configuration.
pub fn plan(config: &Config<LAYERS>) -> Plan<LAYERS> {
    Small::plan_for(&NET, config, &(), 0).expect("a valid configuration")
}

/// A trainer at its first step.
pub fn trainer<'a>(config: &'a Config<LAYERS>, memory: &'a mut Memory) -> Small<'a> {
    Trainer::new(&NET, config, memory.as_mut_slice(), Scalar, ()).expect("a valid configuration")
}

/// One step on data that depend on the number of the step.
pub fn step(trainer: &mut Small<'_>) {
    let at = trainer.steps() as i8;
    let samples = [0, at, 1, 64, 64, -at, 63, 60];
    let samples = Samples { data: SampleData::I8(&samples), exponent: -6 };
    trainer.step(samples, Targets::Classes(&[0, 1, 1, 0])).expect("a step");
}

/// All that decides later steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Steps done.
    pub step: u32,
    /// Bounds.
    pub layers: Vec<LayerMemory>,
    /// Master weights, momentum and bounds of channels.
    pub parameters: Vec<u8>,
}

impl State {
    /// The state of a trainer.
    pub fn of(trainer: &Small<'_>) -> Self {
        Self {
            step: trainer.steps(),
            layers: trainer.states().map(|state| state.memory()).collect(),
            parameters: trainer.persistent().to_vec(),
        }
    }
}

/// The states after 0, 1, 2 .. `steps` steps of one run.
pub fn states(config: &Config<LAYERS>, steps: u32) -> Vec<State> {
    let mut memory = Memory::for_trainer(config);
    let mut trainer = trainer(config, &mut memory);
    let mut states = vec![State::of(&trainer)];
    for _ in 0..steps {
        step(&mut trainer);
        states.push(State::of(&trainer));
    }
    states
}

impl Memory {
    /// Memory for a trainer of [`NET`].
    pub fn for_trainer(config: &Config<LAYERS>) -> Self {
        Self::bytes(plan(config).ram())
    }
}
