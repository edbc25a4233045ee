//! Who does the steps of a run: this machine, or a board on a line.

use anyhow::Result;
use fixgrad::{kernel::Kernel, trainer::LayerState};

use super::session::{EpochOutcome, Session};

/// Does the steps of a run. The session knows the order of the samples; after every epoch its
/// trainer holds the state that the steps have left, wherever they were done.
pub trait Stepper {
    /// Takes over the state of the session, in which others may have done steps already.
    fn begin<K: Kernel + Copy + Send>(&mut self, session: &Session<'_, K>) -> Result<()>;

    /// Does the steps of the next epoch. `after_step` hears how many of them are done.
    fn epoch<K: Kernel + Copy + Send>(
        &mut self,
        session: &mut Session<'_, K>,
        after_step: &mut (dyn FnMut(u32) + Send),
    ) -> Result<EpochOutcome>;

    /// Bounds and counters of the epoch, one entry a layer.
    fn states<K: Kernel + Copy + Send>(&self, session: &Session<'_, K>) -> Vec<LayerState>;
}

/// The simulator: the trainer of the session does the steps itself.
pub(super) struct OnDesktop;

impl Stepper for OnDesktop {
    fn begin<K: Kernel + Copy + Send>(&mut self, _: &Session<'_, K>) -> Result<()> {
        Ok(())
    }

    fn epoch<K: Kernel + Copy + Send>(
        &mut self,
        session: &mut Session<'_, K>,
        after_step: &mut (dyn FnMut(u32) + Send),
    ) -> Result<EpochOutcome> {
        session.epoch(after_step)
    }

    fn states<K: Kernel + Copy + Send>(&self, session: &Session<'_, K>) -> Vec<LayerState> {
        session.states()
    }
}
