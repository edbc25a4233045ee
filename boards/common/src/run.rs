//! Trains, and tells after every step what the weights are.

use embedded_io::Write;
use fixgrad::{
    config::BlobError,
    kernel::Kernel,
    trainer::{self, Tally},
};

use crate::{
    report::Line,
    training::{self, Start, Training},
};

/// What a run needs of the place where it happens.
pub trait Board {
    /// Where the report goes.
    type Out: Write;
    /// Where the report goes.
    fn out(&mut self) -> &mut Self::Out;
    /// Starts the counter of instructions.
    fn start(&mut self);
    /// Counts since [`start`](Self::start).
    fn elapsed(&mut self) -> u32;
    /// Most bytes of stack that were in use so far, where that is known.
    fn stack_high_water(&self) -> Option<u32>;
}

/// Why a run ended early.
#[derive(Debug)]
pub enum Error<E> {
    /// Stored parameters are damaged.
    Parameters(BlobError),
    /// The trainer refused to start.
    Setup(trainer::SetupError),
    /// The trainer refused a step.
    Step(trainer::StepError),
    /// The report could not be written.
    Out(E),
}

impl<E> From<trainer::SetupError> for Error<E> {
    fn from(error: trainer::SetupError) -> Self {
        Self::Setup(error)
    }
}

impl<E> From<trainer::StepError> for Error<E> {
    fn from(error: trainer::StepError) -> Self {
        Self::Step(error)
    }
}

/// Trains for `steps` steps in `memory` with `kernel`. The report is one line a step, between what is
/// known before and what is measured after:
///
/// ```text
/// config digits-tiny
/// ram BYTES                 the memory plan
/// macs COUNT                needed multiply-adds of a step
/// before RIGHT PICTURES     the test before the first step, of a network that was trained before
/// step N DIGEST COUNTS
/// test RIGHT PICTURES
/// stack BYTES               where it is measured
/// end
/// ```
pub fn run<'m, B: Board, const N: usize, T: Start<'m, N>>(
    board: &mut B,
    kernel: impl Kernel,
    training: &Training<T>,
    memory: &'m mut [u8],
    steps: u32,
) -> Result<(), Error<<B::Out as embedded_io::ErrorType>::Error>> {
    let start = (training.start)().map_err(Error::Parameters)?;
    let out = board.out();
    (|| {
        Line::new(out, "config")?.text(training.name)?.end()?;
        Line::new(out, "ram")?.number(start.ram() as u32)?.end()?;
        let macs = start.macs() * training.batch_size;
        Line::new(out, "macs")?.number(macs as u32)?.end()
    })()
    .map_err(Error::Out)?;

    let mut trainer = training::trainer(start, memory, kernel);
    // Borrowed, so that it is not moved: there would be two of them on the stack.
    let trainer = trainer.as_mut().map_err(|error| Error::Setup(*error))?;
    if T::IS_TRAINED {
        let test = training::test(trainer, training.test)?;
        tell(board.out(), "before", test).map_err(Error::Out)?;
    }
    for step in 0..steps {
        let batch = (training.batch)(step);
        board.start();
        let record = training::train_step(trainer, batch);
        let counts = board.elapsed();
        let step = record?.step;
        let digest = trainer.digest();
        Line::new(board.out(), "step")
            .and_then(|line| line.number(step)?.hex(digest)?.number(counts)?.end())
            .map_err(Error::Out)?;
    }
    // Looked up before the test, whose memory is not that of training.
    let stack = board.stack_high_water();
    let test = training::test(trainer, training.test)?;
    (|| {
        let out = board.out();
        tell(out, "test", test)?;
        if let Some(bytes) = stack {
            Line::new(out, "stack")?.number(bytes)?.end()?;
        }
        Line::new(out, "end")?.end()
    })()
    .map_err(Error::Out)
}

/// Right answers among so many pictures.
fn tell<W: Write>(out: &mut W, word: &str, test: Tally) -> Result<(), W::Error> {
    Line::new(out, word)?.number(test.correct)?.number(test.samples)?.end()
}

#[cfg(test)]
mod tests {
    use std::{string::String, vec::Vec};

    use fixgrad::kernel::Device;

    use super::*;
    use crate::{desk::Desk, digits};

    #[test]
    fn a_report_is_complete_and_the_same_every_time() {
        let report = || {
            let (mut desk, mut arena) = (Desk(Vec::new()), digits::ARENA);
            let memory = arena.as_mut_slice();
            run(&mut desk, Device::default(), &digits::TRAINING, memory, 3).unwrap();
            String::from_utf8(desk.0).unwrap()
        };
        let text = report();
        let words: Vec<&str> = text.lines().map(|line| line.split(' ').next().unwrap()).collect();
        let expected = ["config", "ram", "macs", "step", "step", "step", "test", "stack", "end"];
        assert_eq!(words, expected, "{text}");
        assert!(text.contains("macs 161792\n"), "{text}");
        assert_eq!(text, report());
    }
}
