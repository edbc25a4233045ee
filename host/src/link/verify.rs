//! A board and the simulator do the same steps, and their states are compared after each.

use anyhow::Result;
use fixgrad::kernel::Kernel;

use super::{
    client::{Client, Stream},
    difference::difference,
    steps::Cut,
};
use crate::run::Session;

/// How far board and simulator went together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Steps that were compared; the last of them is the one that differs, if one does.
    pub steps: u32,
    /// Bytes that went over the line for them, in both directions.
    pub traffic: u64,
    /// What differs first, in words.
    pub difference: Option<String>,
}

/// Does `steps` steps from the first one on, on the board and in a session that has done none.
/// `after_step` hears how many are done.
pub fn verify<S: Stream, K: Kernel + Copy + Send>(
    client: &mut Client<S>,
    session: &mut Session<'_, K>,
    steps: u32,
    mut after_step: impl FnMut(u32),
) -> Result<Verdict> {
    client.load(&session.compiled.encode()?)?;
    let (cut, before) = (Cut::of(session.compiled), client.traffic());
    while session.trainer.steps() < steps {
        // The order of a whole epoch serves all of its steps.
        let order = session.order(session.epochs_done());
        let of_epoch = session.steps_to_do().min(steps - session.trainer.steps());
        for step in 0..of_epoch {
            session.batch.fill(order.step(step));
            let data = (session.batch.samples(), session.batch.targets());
            let (ours, digest) = client.step(session.trainer.steps(), data, cut, true)?;
            let theirs = session.trainer.step(data.0, data.1)?;
            let steps = session.trainer.steps();
            let traffic = client.traffic() - before;
            if digest != Some(session.trainer.digest()) {
                let board = client.pull(session.compiled)?;
                let plans = session.trainer.plan().layers();
                let found = difference(&board, &session.model(), plans);
                let found = found.unwrap_or_else(|| {
                    "the digests differ and no weight, momentum or bound does".to_owned()
                });
                return Ok(Verdict { steps, traffic, difference: Some(found) });
            }
            if ours != theirs {
                let found = format!("the board reports {ours:?}, the desktop {theirs:?}");
                return Ok(Verdict { steps, traffic, difference: Some(found) });
            }
            after_step(steps);
        }
    }
    let (steps, traffic) = (session.trainer.steps(), client.traffic() - before);
    Ok(Verdict { steps, traffic, difference: None })
}
