//! For those who hold a trainer on behalf of somebody else, such as the link: its sizes, checks
//! ahead of a call, and a state that comes in parts.

use super::{LayerMemory, Planned, Samples, SetupError, StepError, Tally, Targets, Trainer};
use crate::{
    config::{Config, Train},
    graph::{Graph, GraphView},
    kernel::Kernel,
    stored::StoredError,
    strategy::Strategy,
};

impl<const N: usize, K: Kernel, S: Strategy, P: Planned<N>> Trainer<'_, N, K, S, P> {
    /// The network.
    pub fn graph(&self) -> GraphView<'_> {
        self.graph
    }

    /// All settings; `None` when the trainer is one of a [`Task`](super::Task).
    pub const fn config(&self) -> Option<&Config<N>> {
        self.config
    }

    /// The settings of the run.
    pub const fn train(&self) -> &Train {
        self.train
    }

    /// Samples of the step at hand that are in already.
    pub const fn pending(&self) -> u32 {
        self.pending
    }

    /// Bytes of the memory that this trainer was given.
    pub const fn arena(&self) -> usize {
        self.memory.len()
    }

    /// Numbers of one sample, and of one output.
    pub fn widths(&self) -> (usize, usize) {
        let rows = self.rows();
        (rows.sample, rows.outputs)
    }

    /// How many samples these are, when a call may be given them: whole ones, with a target each
    /// that the network can give, and at most `room`.
    pub fn check(
        &self,
        samples: Samples<'_>,
        targets: Targets<'_>,
        room: usize,
    ) -> Result<usize, StepError> {
        self.rows().pairs(samples, targets, room)
    }

    /// Bytes that this trainer would need for another network and other settings, when its memory
    /// has them.
    pub fn fits(&self, graph: &Graph<N>, config: &Config<N>) -> Result<usize, SetupError> {
        let needed = Trainer::<N, K, S>::plan_for(graph, config, &self.strategy.0, 0)?.ram();
        // Asked of the settings: a plan is a kilobyte of stack.
        let (layers, flow) = (graph.view().layers(), graph.view().flow(&config.layers));
        let mut all = layers.iter().enumerate();
        if let Some((_, layer)) = all.find(|&(i, _)| flow.stored(i) != [false; 2]) {
            return Err(SetupError::Stored(StoredError::Missing { layer: layer.name }));
        }
        let found = self.memory.len();
        if needed > found {
            return Err(SetupError::ArenaTooSmall { needed, found });
        }
        Ok(needed)
    }

    /// Overwrites a part of [`persistent`](Self::persistent). Until all parts are there the
    /// trainer holds a mixture: who calls this must keep it from training.
    pub(crate) fn overwrite(&mut self, at: usize, bytes: &[u8]) -> bool {
        let len = self.plan().persistent;
        let place = self.memory.get_mut(..len).unwrap_or_default();
        let Some(place) = place.get_mut(at..at.saturating_add(bytes.len())) else { return false };
        place.copy_from_slice(bytes);
        self.forget_the_step();
        true
    }

    /// As [`overwrite`](Self::overwrite), for what one layer remembers.
    pub(crate) fn overwrite_layer(&mut self, layer: usize, memory: &LayerMemory) -> bool {
        if layer >= self.plan().layers().len() || !memory.is_plausible() {
            return false;
        }
        self.refillable().0.restore(layer, memory);
        self.forget_the_step();
        true
    }

    /// As [`overwrite`](Self::overwrite), for the number of steps that are done.
    pub(crate) const fn overwrite_steps(&mut self, step: u32) {
        self.step = step;
    }

    /// What memory holds is the state between two steps, and no codes are made of it yet.
    pub(super) fn forget_the_step(&mut self) {
        (self.pending, self.tally) = (0, Tally::default());
        (self.prepared, self.shown) = (None, 0);
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::prelude::*;

    #[test]
    fn a_state_in_parts_is_a_state_as_a_whole() {
        const NET: Graph<2> = Graph::input([2, 1, 1]).dense("fc", 2);
        let config =
            Config::uniform(NET.view(), LayerConfig::new(8), Train::new(1, Lr::ratio(1, 2)));
        let (mut one, mut other) = (Arena::<512>::new(), Arena::<512>::new());
        let mut one = Trainer::new(&NET, &config, one.as_mut_slice(), Scalar, ()).unwrap();
        let mut other = Trainer::new(&NET, &config, other.as_mut_slice(), Scalar, ()).unwrap();
        let samples = Samples { data: SampleData::I8(&[64, 32]), exponent: -6 };
        one.step(samples, Targets::Classes(&[0])).unwrap();
        other.accumulate(samples, Targets::Classes(&[1])).unwrap();

        let bytes = one.persistent().to_vec();
        for (part, at) in bytes.chunks(3).zip((0..).step_by(3)) {
            assert!(other.overwrite(at, part));
        }
        let memories: Vec<_> = one.states().map(|state| state.memory()).collect();
        for (layer, memory) in memories.iter().enumerate() {
            assert!(other.overwrite_layer(layer, memory));
        }
        other.overwrite_steps(1);
        assert_eq!((other.digest(), other.steps(), other.pending()), (one.digest(), 1, 0));
        let target = Targets::Classes(&[1]);
        assert_eq!(one.step(samples, target), other.step(samples, target));
        assert_eq!(one.digest(), other.digest());

        assert!(!other.overwrite(bytes.len(), &[0]) && !other.overwrite(usize::MAX, &[0]));
        assert!(!other.overwrite_layer(2, &memories[0]));
    }
}
