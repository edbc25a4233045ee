//! What a board adds to the link: a name, and what only hardware can do.

use super::Refusal;
use crate::{
    kernel::Kernel,
    strategy::Strategy,
    trainer::{StepRecord, Trainer},
};

/// What a board adds to the link.
pub trait Board {
    /// The board, as people call it; at most [`MAX_NAME`](super::MAX_NAME) bytes of it are sent.
    fn name(&self) -> &str;

    /// Hash of the one network that this board works with; none when it takes any.
    fn graph(&self) -> Option<u32> {
        None
    }

    /// Puts the first trainer after a start into the state that was committed last, if there is
    /// one. A network that the desktop loads later begins at its first step.
    fn resume<const N: usize, K: Kernel, S: Strategy>(
        &mut self,
        trainer: &mut Trainer<'_, N, K, S>,
    ) {
        let _ = trainer;
    }

    /// Called with `true` before the board works on samples that were sent, and with `false`
    /// after: for a light, or for a counter.
    fn busy(&mut self, on: bool) {
        let _ = on;
    }

    /// Keeps the state where a power cut does not reach it.
    fn commit<const N: usize, K: Kernel, S: Strategy>(
        &mut self,
        trainer: &Trainer<'_, N, K, S>,
    ) -> Result<(), Refusal> {
        let _ = trainer;
        Err(Refusal::NoCheckpoint)
    }

    /// One step on samples of the board's own, from its flash or a sensor. Called again and again
    /// while the board trains alone; an error ends that.
    fn work<const N: usize, K: Kernel, S: Strategy>(
        &mut self,
        trainer: &mut Trainer<'_, N, K, S>,
    ) -> Result<StepRecord, Refusal> {
        let _ = trainer;
        Err(Refusal::NoSamples)
    }

    /// True when [`work`](Self::work) does something.
    fn has_samples(&self) -> bool {
        false
    }
}
