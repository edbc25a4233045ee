//! A training whose network, settings and pictures lie in flash.

use fixgrad::{
    config::BlobError,
    kernel::Kernel,
    prelude::*,
    stored::Stored,
    trainer::{Backed, Planned, SetupError, StepError, Tally},
    uses::Uses,
};

/// What a program trains.
pub struct Training<T> {
    /// Its name in reports.
    pub name: &'static str,
    /// What it starts from.
    pub start: fn() -> Result<T, BlobError>,
    /// Pictures of one step.
    pub batch_size: usize,
    /// The pictures of a step.
    pub batch: fn(u32) -> Batch,
    /// Pictures that are not learned from.
    pub test: fn() -> Batch,
}

/// What a trainer starts from: network, settings and memory plan in flash, and parameters if some are
/// stored there.
pub trait Start<'a, const N: usize> {
    /// What the trainer works by.
    type Planned: Planned<N>;
    /// Whether the network was trained before, so that it has answers before the first step.
    const IS_TRAINED: bool;
    /// Bytes of the memory plan.
    fn ram(&self) -> usize;
    /// Needed multiply-adds of one training sample.
    fn macs(&self) -> usize;
    /// A trainer at its first step.
    fn begin<K: Kernel>(
        self,
        memory: &'a mut [u8],
        kernel: K,
    ) -> Result<Trainer<'a, N, K, (), Self::Planned>, SetupError>;
}

impl<'a, 't: 'a, const N: usize, U: Uses> Start<'a, N> for &'t Task<N, U> {
    type Planned = &'a Task<N, U>;
    const IS_TRAINED: bool = false;
    fn ram(&self) -> usize {
        Task::ram(self)
    }
    fn macs(&self) -> usize {
        self.training_macs()
    }
    #[inline(always)]
    fn begin<K: Kernel>(
        self,
        memory: &'a mut [u8],
        kernel: K,
    ) -> Result<TaskTrainer<'a, N, U, K>, SetupError> {
        Trainer::of(self, memory, kernel, ())
    }
}

/// A task and its stored parameters.
impl<'a, 't: 'a, const N: usize, U: Uses> Start<'a, N> for (&'t Task<N, U>, Stored<'t>) {
    type Planned = Backed<'a, &'a Task<N, U>>;
    const IS_TRAINED: bool = true;
    fn ram(&self) -> usize {
        self.0.ram()
    }
    fn macs(&self) -> usize {
        self.0.training_macs()
    }
    #[inline(always)]
    fn begin<K: Kernel>(
        self,
        memory: &'a mut [u8],
        kernel: K,
    ) -> Result<Trainer<'a, N, K, (), Self::Planned>, SetupError> {
        let (task, stored) = self;
        Trainer::of_stored(task, stored, memory, kernel, ())
    }
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
pub fn trainer<'a, const N: usize, T: Start<'a, N>, K: Kernel>(
    start: T,
    memory: &'a mut [u8],
    kernel: K,
) -> Result<Trainer<'a, N, K, (), T::Planned>, SetupError> {
    start.begin(memory, kernel)
}

/// One training step, and nothing else: what is measured, and what must not panic.
///
/// Never inlined, so that the checks of the linked firmware find it by its name.
#[inline(never)]
pub fn train_step<const N: usize, P: Planned<N>, K: Kernel>(
    trainer: &mut Trainer<'_, N, K, (), P>,
    batch: Batch,
) -> Result<StepRecord, StepError> {
    trainer.step(batch.samples, batch.targets)
}

/// Right answers on pictures that were not learned from.
#[inline(never)]
pub fn test<const N: usize, P: Planned<N>, K: Kernel>(
    trainer: &mut Trainer<'_, N, K, (), P>,
    pictures: fn() -> Batch,
) -> Result<Tally, StepError> {
    let Batch { samples, targets } = pictures();
    trainer.evaluate(samples, targets)
}
