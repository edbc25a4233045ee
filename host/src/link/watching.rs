//! A run whose steps a board does on samples of its own, while the desktop looks on.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use fixgrad::{
    kernel::Kernel,
    link::{Request, State},
    optim::Lr,
    trainer::{LayerState, Tally},
};

use super::client::{Client, Stream};
use crate::{
    config::Compiled,
    run::{EpochOutcome, Session, Stepper},
};

/// Lets a board train alone, looks at it now and then, and fetches its state after every epoch.
/// The board goes on between two looks, so an epoch may be some steps longer than it should.
pub struct Watching<S, L> {
    client: Client<S>,
    pause: Duration,
    look: L,
    states: Vec<LayerState>,
}

impl<S: Stream, L: FnMut(&mut Client<S>) -> Result<State>> Watching<S, L> {
    /// Calls `look` with at most `pause` in between.
    pub const fn new(client: Client<S>, pause: Duration, look: L) -> Self {
        Self { client, pause, look, states: Vec::new() }
    }

    /// Makes sure that the board trains this network.
    pub fn check(&self, compiled: &Compiled) -> Result<()> {
        let (ours, theirs) = (compiled.graph.view().hash(), self.client.device().graph);
        if ours != theirs {
            bail!(
                "the board trains another network: graph {theirs:08x}, expected {ours:08x} of this \
                 configuration. Name the configuration that the board was given"
            );
        }
        Ok(())
    }

    /// Waits until the board has done `steps` steps since the start of its run.
    fn wait(&mut self, steps: u32, after: &mut dyn FnMut(u32)) -> Result<State> {
        loop {
            let state = (self.look)(&mut self.client)?;
            after(state.step.min(steps));
            if state.step >= steps {
                return Ok(state);
            }
            if !state.running {
                bail!(
                    "the board stopped at step {} of {steps}; let it go on with \
                     `fixgrad monitor --start`",
                    state.step
                );
            }
            sleep(self.pause);
        }
    }
}

impl<S: Stream, L: FnMut(&mut Client<S>) -> Result<State>> Stepper for Watching<S, L> {
    fn begin<K: Kernel + Copy + Send>(&mut self, session: &Session<'_, K>) -> Result<()> {
        self.check(session.compiled)
    }

    fn epoch<K: Kernel + Copy + Send>(
        &mut self,
        session: &mut Session<'_, K>,
        after_step: &mut (dyn FnMut(u32) + Send),
    ) -> Result<EpochOutcome> {
        let done = session.trainer.steps();
        let end = done + session.steps_to_do();
        self.client.tell(&Request::Pause)?;
        self.client.tell(&Request::ResetCounters)?;
        let before = self.client.state()?.total;
        self.client.tell(&Request::Start)?;
        let begin = Instant::now();
        self.wait(end, &mut |step| after_step(step.saturating_sub(done)))?;
        self.client.tell(&Request::Pause)?;
        let time = begin.elapsed();
        let state = self.client.state()?;
        self.states = self.client.states(session.trainer.plan().layers().len())?;
        session.restore(&self.client.pull(session.compiled)?)?;
        let lr = state.last.map_or(Lr::ZERO, |last| last.lr);
        Ok(EpochOutcome { tally: since(before, state.total), lr, time })
    }

    fn states<K: Kernel + Copy + Send>(&self, _: &Session<'_, K>) -> Vec<LayerState> {
        self.states.clone()
    }
}

/// What was added to a tally; all of it where a reset began to count again.
pub fn since(before: Tally, now: Tally) -> Tally {
    let samples = now.samples.checked_sub(before.samples);
    samples.map_or(now, |samples| Tally {
        samples,
        loss: now.loss.saturating_sub(before.loss),
        correct: now.correct.saturating_sub(before.correct),
    })
}
