//! The run of the boards on this machine: `cargo run -p fixgrad-boards --example desktop -- 44 cnn`
//!
//! The kernel is the scalar one, which defines what every other must compute.

use std::io::{Stdout, stdout};
use std::process::ExitCode;

use embedded_io_adapters::std::FromStd;
use fixgrad::graph::Arena;
use fixgrad_boards::{
    Board, Scalar, Training, cnn, digits, dscnn, lenet, run, training::Start, tune,
};

/// A desktop has no counter of instructions to offer, and stack enough.
struct Desktop(FromStd<Stdout>);

impl Board for Desktop {
    type Out = FromStd<Stdout>;
    fn out(&mut self) -> &mut Self::Out {
        &mut self.0
    }
    fn start(&mut self) {}
    fn elapsed(&mut self) -> u32 {
        0
    }
    fn stack_high_water(&self) -> Option<u32> {
        None
    }
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let steps = arguments.next().unwrap_or("44".to_owned());
    let Ok(steps) = steps.parse() else {
        eprintln!("error: expected a number of steps, found `{steps}`");
        return ExitCode::FAILURE;
    };
    match arguments.next().as_deref() {
        None | Some("digits") => train(&digits::TRAINING, digits::ARENA, steps),
        Some("cnn") => train(&cnn::TRAINING, cnn::ARENA, steps),
        Some("lenet") => train(&lenet::TRAINING, lenet::ARENA, steps),
        Some("dscnn") => train(&dscnn::TRAINING, dscnn::ARENA, steps),
        Some("tune") => train(&tune::TRAINING, tune::ARENA, steps),
        Some(other) => {
            eprintln!(
                "error: expected `digits`, `cnn`, `lenet`, `dscnn` or `tune`, found `{other}`"
            );
            ExitCode::FAILURE
        }
    }
}

fn train<const N: usize, T: for<'m> Start<'m, N>, const RAM: usize>(
    training: &Training<T>,
    mut arena: Arena<RAM>,
    steps: u32,
) -> ExitCode {
    let mut desktop = Desktop(FromStd::new(stdout()));
    match run(&mut desktop, Scalar, training, arena.as_mut_slice(), steps) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:?}");
            ExitCode::FAILURE
        }
    }
}
