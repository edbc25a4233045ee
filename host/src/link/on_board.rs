//! A run whose steps a board does.

use std::time::Instant;

use anyhow::Result;
use fixgrad::{
    kernel::Kernel,
    link::Request,
    optim::Lr,
    trainer::{LayerState, Tally},
};

use super::{
    client::{Client, Stream},
    steps::Cut,
};
use crate::{
    config::Compiled,
    run::{EpochOutcome, Session, Stepper},
};

/// Does the steps of a run on a board: samples go there batch by batch, and after every epoch the
/// state comes back.
pub struct OnBoard<S> {
    client: Client<S>,
    states: Vec<LayerState>,
}

impl<S: Stream> OnBoard<S> {
    /// A board that is ready for any run.
    pub const fn new(client: Client<S>) -> Self {
        Self { client, states: Vec::new() }
    }

    /// Gives the board a configuration, or says why it cannot take it. It begins with fresh
    /// weights.
    pub fn load(&mut self, compiled: &Compiled) -> Result<()> {
        Ok(self.client.load(&compiled.encode()?)?)
    }

    /// The line, when the run has ended.
    pub fn into_client(self) -> Client<S> {
        self.client
    }
}

impl Cut {
    /// What a configuration says.
    pub fn of(compiled: &Compiled) -> Self {
        let layers = compiled.graph.view().layers();
        let elements =
            |layer: Option<&fixgrad::graph::Layer>| layer.map_or(0, |layer| layer.shape.elements());
        Self {
            widths: (elements(layers.first()), elements(layers.last())),
            micro_batch: compiled.config.train.micro_batch.into(),
        }
    }
}

impl<S: Stream> Stepper for OnBoard<S> {
    fn begin<K: Kernel + Copy + Send>(&mut self, session: &Session<'_, K>) -> Result<()> {
        self.load(session.compiled)?;
        match session.trainer.steps() {
            // A seed gives board and session the same fresh weights.
            0 => Ok(()),
            _ => self.client.push(&session.model()),
        }
    }

    fn epoch<K: Kernel + Copy + Send>(
        &mut self,
        session: &mut Session<'_, K>,
        after_step: &mut (dyn FnMut(u32) + Send),
    ) -> Result<EpochOutcome> {
        let (steps, order) = (session.steps_to_do(), session.order(session.epochs_done()));
        let (done, cut) = (session.trainer.steps(), Cut::of(session.compiled));
        self.client.tell(&Request::ResetCounters)?;
        let begin = Instant::now();
        let (mut tally, mut lr) = (Tally::default(), Lr::ZERO);
        for step in 0..steps {
            session.batch.fill(order.step(step));
            let data = (session.batch.samples(), session.batch.targets());
            let (record, _) = self.client.step(done + step, data, cut, false)?;
            tally += record.tally;
            lr = record.lr;
            after_step(step + 1);
        }
        let time = begin.elapsed();
        self.states = self.client.states(session.trainer.plan().layers().len())?;
        session.restore(&self.client.pull(session.compiled)?)?;
        Ok(EpochOutcome { tally, lr, time })
    }

    fn states<K: Kernel + Copy + Send>(&self, _: &Session<'_, K>) -> Vec<LayerState> {
        self.states.clone()
    }
}
