//! Training and evaluation on the device, with as many samples at a time as its store holds.

use fixgrad::{
    link::{Part, Request, Response, State},
    trainer::{Samples, StepRecord, Tally, Targets},
};

use super::{
    client::{Client, Stream, unexpected},
    error::LinkError,
    pack::{pack, part, size},
};

/// What the device must be told of the network to cut a batch into parts.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    /// Numbers of one sample, and of one output.
    pub widths: (usize, usize),
    /// Samples that must come together.
    pub micro_batch: usize,
}

impl<S: Stream> Client<S> {
    /// How far the device is.
    pub fn state(&mut self) -> Result<State, LinkError> {
        match self.ask(&Request::State)? {
            Response::State(state) => Ok(state),
            other => Err(unexpected("its state", &other)),
        }
    }

    /// Puts bytes into the store.
    pub fn put(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        let size = self.chunk();
        for (part, at) in bytes.chunks(size).zip((0..).step_by(size)) {
            self.tell(&Request::Put { at, bytes: part })?;
        }
        Ok(())
    }

    /// Gives the device the network and settings of a `.fxc` file to work on. Training begins
    /// again.
    pub fn load(&mut self, fxc: &[u8]) -> Result<(), LinkError> {
        self.put(fxc)?;
        match self.ask(&Request::Load { len: fxc.len() as u32 })? {
            Response::Loaded { .. } => {}
            other => return Err(unexpected("a network", &other)),
        }
        self.greet().map(|_| ())
    }

    /// One step, the one after `step` others. The digest of the state comes along when `digest`
    /// asks for it.
    pub fn step(
        &mut self,
        step: u32,
        (samples, targets): (Samples<'_>, Targets<'_>),
        cut: Cut,
        digest: bool,
    ) -> Result<(StepRecord, Option<u64>), LinkError> {
        let count = samples.len() / cut.widths.0.max(1);
        let size = self.samples_at_once(samples, targets, cut)?;
        let mut from = 0;
        loop {
            let len = size.min(count - from);
            let (samples, targets) = part((samples, targets), cut.widths, from, len);
            let (bytes, batch) = pack(samples, targets, len as u16);
            self.put(&bytes)?;
            let last = from + len == count;
            let request = Part { step, from: from as u16, last, digest, batch };
            match self.ask(&Request::Train(request))? {
                Response::Tally(_) if !last => from += len,
                Response::Stepped { record, digest } if last => return Ok((record, digest)),
                other => return Err(unexpected("a step", &other)),
            }
        }
    }

    /// Loss and right answers of any number of samples.
    pub fn evaluate(
        &mut self,
        (samples, targets): (Samples<'_>, Targets<'_>),
        cut: Cut,
    ) -> Result<Tally, LinkError> {
        let count = samples.len() / cut.widths.0.max(1);
        let size = self.samples_at_once(samples, targets, Cut { micro_batch: 1, ..cut })?;
        let mut tally = Tally::default();
        for from in (0..count).step_by(size) {
            let len = size.min(count - from);
            let (samples, targets) = part((samples, targets), cut.widths, from, len);
            let (bytes, batch) = pack(samples, targets, len as u16);
            self.put(&bytes)?;
            match self.ask(&Request::Evaluate(batch))? {
                Response::Tally(part) => tally += part,
                other => return Err(unexpected("a tally", &other)),
            }
        }
        Ok(tally)
    }

    /// The largest multiple of a micro-batch that the store holds.
    fn samples_at_once(
        &self,
        samples: Samples<'_>,
        targets: Targets<'_>,
        cut: Cut,
    ) -> Result<usize, LinkError> {
        let found = self.device().store as usize;
        let bytes = |count| size(samples, targets, cut.widths, count);
        let (micro, one) = (cut.micro_batch.max(1), bytes(cut.micro_batch.max(1)));
        if one > found {
            return Err(LinkError::Store { samples: micro, needed: one, found });
        }
        // A multiple of an odd size may be rounded up once less: never more than this.
        let most = (found / one).max(1) * micro;
        Ok(most.min(usize::from(u16::MAX) / micro * micro))
    }
}
