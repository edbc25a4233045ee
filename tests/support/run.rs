//! Ways to train a case, and what is left of a run to compare.

use fixgrad::{
    graph::Plan,
    kernel::Kernel,
    prelude::{StepRecord, Strategy, Trainer},
    trainer::LayerMemory,
};

use crate::net::{Case, LAYERS, STEPS};

/// All that decides the steps after one step, and what that step reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Master weights, momentum and channel bounds.
    pub bytes: Vec<u8>,
    /// Bounds of all tensors.
    pub bounds: Vec<LayerMemory>,
    /// Loss and right answers of the step.
    pub record: StepRecord,
}

/// How a run goes about the same work.
#[derive(Clone, Copy, Debug, Default)]
pub struct Way {
    /// Sums in memory at once.
    pub tile: usize,
    /// Starts a new trainer before every step, from what the old one left.
    pub resume: bool,
    /// Evaluates before every step and after every part of it.
    pub evaluate: bool,
}

/// Memory for a plan, aligned as an arena is.
#[derive(Debug)]
pub struct Memory(Vec<u64>);

impl Memory {
    /// As many bytes as the plan needs.
    pub fn for_plan(plan: &Plan<LAYERS>) -> Self {
        Self::bytes(plan.ram())
    }

    /// At least this many bytes.
    pub fn bytes(bytes: usize) -> Self {
        // Bytes that nobody wrote must not matter.
        Self(vec![0x5a5a_5a5a_a5a5_a5a5; bytes.div_ceil(8)])
    }

    /// The bytes.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        bytemuck::cast_slice_mut(&mut self.0)
    }
}

/// Trains a case and keeps a snapshot of every step. `new` makes the strategy of each trainer.
pub fn train<K: Kernel, S: Strategy>(
    case: &Case,
    kernel: &K,
    way: Way,
    new: impl Fn() -> S,
) -> Vec<Snapshot> {
    let mut snapshots: Vec<Snapshot> = Vec::new();
    let plan = Trainer::<LAYERS, &K, S>::plan_for(&case.graph, &case.config, &new(), way.tile)
        .expect("the case is valid");
    let mut memories: Vec<Memory> = (0..STEPS).map(|_| Memory::for_plan(&plan)).collect();
    let mut memories = memories.iter_mut();
    let mut start = || {
        let memory = memories.next().expect("a memory for every step").as_mut_slice();
        Trainer::with_tile(&case.graph, &case.config, memory, kernel, new(), way.tile)
            .expect("the case is valid")
    };
    let mut trainer = start();
    let batch = usize::from(case.config.train.batch);
    for step in 0..STEPS {
        let from = step * batch;
        if let Some(last) = snapshots.last()
            && way.resume
        {
            trainer = start();
            trainer.restore(step as u32, &last.bounds, &last.bytes).expect("its own state");
        }
        let record = if way.evaluate {
            step_with_evaluations(&mut trainer, case, from)
        } else {
            trainer.step(case.samples(from, batch), case.targets(from, batch)).expect("a step")
        };
        snapshots.push(Snapshot {
            bytes: trainer.persistent().to_vec(),
            bounds: trainer.states().map(|state| state.memory()).collect(),
            record,
        });
    }
    snapshots
}

fn step_with_evaluations<K: Kernel, S: Strategy>(
    trainer: &mut Trainer<'_, LAYERS, K, S>,
    case: &Case,
    from: usize,
) -> StepRecord {
    let train = case.config.train;
    let part = usize::from(train.micro_batch);
    let others = (case.samples(0, 2 * part), case.targets(0, 2 * part));
    for at in (0..usize::from(train.batch)).step_by(part) {
        trainer.evaluate(others.0, others.1).expect("an evaluation");
        trainer
            .accumulate(case.samples(from + at, part), case.targets(from + at, part))
            .expect("a part of a step");
    }
    trainer.evaluate(others.0, others.1).expect("an evaluation");
    trainer.update().expect("an update")
}

/// The first difference between two runs, in words.
pub fn difference(one: &[Snapshot], other: &[Snapshot]) -> Option<String> {
    one.iter().zip(other).find(|(a, b)| a != b).map(|(a, b)| {
        let byte = a.bytes.iter().zip(&b.bytes).position(|(a, b)| a != b);
        let bounds = a.bounds.iter().zip(&b.bounds).enumerate().find(|(_, (a, b))| a != b);
        let byte = byte.map_or(String::new(), |at| format!("byte {at} of the parameters, "));
        format!(
            "step {}: {byte}bounds {bounds:?}, {:?} and {:?}",
            a.record.step, a.record, b.record
        )
    })
}
