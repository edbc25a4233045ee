//! A training whose network, settings and pictures lie in flash.

use fixgrad::{
    kernel::Kernel,
    prelude::*,
    trainer::{SetupError, StepError, Tally},
    uses::Uses,
};

/// What a program trains.
pub struct Training<const N: usize, U: 'static> {
    /// Its name in reports.
    pub name: &'static str,
    /// Network, settings and memory plan.
    pub task: &'static Task<N, U>,
    /// Pictures of one step.
    pub batch_size: usize,
    /// The pictures of a step.
    pub batch: fn(u32) -> Batch,
    /// Pictures that are not learned from.
    pub test: fn() -> Batch,
}

/// A trainer of a task in flash.
pub type TaskTrainer<'a, const N: usize, U, K> = Trainer<'a, N, K, (), &'a Task<N, U>>;

/// Pictures in flash, and what they show.
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    pub(crate) samples: Samples<'static>,
    pub(crate) targets: Targets<'static>,
}

/// A trainer at its first step.
///
/// Never inlined, as its two fellows, so that the size of the trainer can be told.
#[inline(never)]
pub fn trainer<'a, const N: usize, U: Uses, K: Kernel>(
    task: &'a Task<N, U>,
    memory: &'a mut [u8],
    kernel: K,
) -> Result<TaskTrainer<'a, N, U, K>, SetupError> {
    Trainer::of(task, memory, kernel, ())
}

/// One training step, and nothing else: what is measured, and what must not panic.
///
/// Never inlined, so that the checks of the linked firmware find it by its name.
#[inline(never)]
pub fn train_step<const N: usize, U: Uses, K: Kernel>(
    trainer: &mut TaskTrainer<'_, N, U, K>,
    batch: Batch,
) -> Result<StepRecord, StepError> {
    trainer.step(batch.samples, batch.targets)
}

/// Right answers on pictures that were not learned from.
#[inline(never)]
pub fn test<const N: usize, U: Uses, K: Kernel>(
    trainer: &mut TaskTrainer<'_, N, U, K>,
    pictures: fn() -> Batch,
) -> Result<Tally, StepError> {
    let Batch { samples, targets } = pictures();
    trainer.evaluate(samples, targets)
}
