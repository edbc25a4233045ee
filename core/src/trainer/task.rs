//! A network, its settings and its memory plan in one constant.

use super::{SetupError, Trainer};
use crate::{
    config::{LayerConfig, Train, validate},
    graph::{Graph, GraphView, Plan},
    kernel::Kernel,
    strategy::{Place, Strategy},
};

/// What is trained, and how, made in a `const`: all of it lies in flash, and what cannot be
/// planned is a build error.
///
/// ```
/// use fixgrad::prelude::*;
///
/// const NET: Graph<4> = Graph::input([2, 1, 1]).dense("fc1", 8).relu().dense("fc2", 2);
/// static TASK: Task<4> = Task::new(NET, Train::new(4, Lr::ratio(1, 2)), LayerConfig::tiny());
///
/// let mut arena = Arena::<{ TASK.ram() }>::new();
/// let mut trainer = Trainer::of(&TASK, arena.as_mut_slice(), Scalar, ())?;
///
/// let samples = Samples { data: SampleData::I8(&[0, 0, 0, 64, 64, 0, 64, 64]), exponent: -6 };
/// trainer.step(samples, Targets::Classes(&[0, 1, 1, 0]))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Task<const N: usize> {
    graph: Graph<N>,
    train: Train,
    layers: [LayerConfig; N],
    plan: Plan<N>,
}

impl<const N: usize> Task<N> {
    /// The same settings for every layer; layers that only pass numbers on get no points.
    pub const fn new(graph: Graph<N>, train: Train, layer: LayerConfig) -> Self {
        let plan = graph.plan(&train, &layer);
        let layers = graph.uniform(&layer);
        Self { graph, train, layers, plan }
    }

    /// Bytes of the arena.
    pub const fn ram(&self) -> usize {
        self.plan.ram()
    }

    /// The memory plan.
    pub const fn plan(&self) -> &Plan<N> {
        &self.plan
    }

    /// The network.
    pub const fn graph(&self) -> GraphView<'_> {
        self.graph.view()
    }

    pub(super) const fn train(&self) -> &Train {
        &self.train
    }

    pub(super) fn layers(&self) -> &[LayerConfig] {
        self.layers.get(..self.plan.layers().len()).unwrap_or_default()
    }

    /// Whether the settings are ones that arithmetic can rely on, and the plan has room for what
    /// the strategy does.
    pub(super) fn check<S: Strategy>(&self, strategy: &S) -> Result<(), SetupError> {
        validate(self.graph(), &self.train, self.layers()).map_err(SetupError::Config)?;
        let needs = |layer| [Place::Weight, Place::Activation].map(|at| strategy.active(layer, at));
        if (0..).zip(self.layers()).any(|(layer, _)| needs(layer).contains(&true)) {
            return Err(SetupError::Unplanned);
        }
        Ok(())
    }
}

impl<'a, const N: usize, K: Kernel, S: Strategy> Trainer<'a, N, K, S, &'a Plan<N>> {
    /// A trainer of a task with freshly initialised weights. A strategy that works on weights or
    /// activations needs memory that the plan of a task does not have; [`new`](Trainer::new) plans
    /// for it.
    pub fn of(
        task: &'a Task<N>,
        memory: &'a mut [u8],
        kernel: K,
        strategy: S,
    ) -> Result<Self, SetupError> {
        task.check(&strategy)?;
        let purpose = (task.graph(), task.train(), task.layers(), [].as_slice());
        Self::begin(purpose, None, task.plan(), memory, kernel, strategy)
    }
}

#[cfg(test)]
mod tests {
    use crate::{prelude::*, trainer::SetupError};

    const NET: Graph<4> = Graph::input([2, 1, 1]).dense("fc1", 8).relu().dense("fc2", 2);
    const TRAIN: Train = Train::new(4, Lr::ratio(1, 2));
    static TASK: Task<4> = Task::new(NET, TRAIN, LayerConfig::tiny());

    struct On(Place);

    impl Strategy for On {
        fn active(&self, _: u8, place: Place) -> bool {
            place == self.0
        }
    }

    #[test]
    fn a_task_trains_as_its_parts_do() {
        let config = Config::uniform(NET.view(), LayerConfig::tiny(), TRAIN);
        let mut memories = [const { Arena::<{ TASK.ram() }>::new() }; 2];
        let [one, other] = &mut memories;
        let mut task = Trainer::of(&TASK, one.as_mut_slice(), Scalar, ()).unwrap();
        let mut parts = Trainer::new(&NET, &config, other.as_mut_slice(), Scalar, ()).unwrap();
        assert_eq!(task.plan(), parts.plan());
        let samples = Samples { data: SampleData::I8(&[0, 0, 0, 64, 64, 0, 64, 64]), exponent: -6 };
        let targets = Targets::Classes(&[0, 1, 1, 0]);
        for _ in 0..9 {
            assert_eq!(task.step(samples, targets), parts.step(samples, targets));
            assert_eq!(task.persistent(), parts.persistent());
        }
    }

    #[test]
    fn a_strategy_without_a_place_in_the_plan_is_refused() {
        let mut arena = Arena::<{ TASK.ram() }>::new();
        for place in [Place::Weight, Place::Activation] {
            let refused = Trainer::of(&TASK, arena.as_mut_slice(), Scalar, On(place));
            assert_eq!(refused.err(), Some(SetupError::Unplanned));
        }
        assert!(Trainer::of(&TASK, arena.as_mut_slice(), Scalar, On(Place::WeightGrad)).is_ok());
    }
}
