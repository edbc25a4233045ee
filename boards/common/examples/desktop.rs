//! The run of the boards on this machine: `cargo run -p fixgrad-boards --example desktop -- 44`
//!
//! The kernel is the scalar one, which defines what every other must compute.

use std::io::{Stdout, stdout};
use std::process::ExitCode;

use embedded_io_adapters::std::FromStd;
use fixgrad_boards::{Board, Scalar, digits, run};

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
    let argument = std::env::args().nth(1);
    let Ok(steps) = argument.as_deref().unwrap_or("44").parse() else {
        eprintln!("error: expected a number of steps, found `{}`", argument.unwrap_or_default());
        return ExitCode::FAILURE;
    };
    let mut arena = digits::ARENA;
    let mut desktop = Desktop(FromStd::new(stdout()));
    match run(&mut desktop, Scalar, &mut arena, steps) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:?}");
            ExitCode::FAILURE
        }
    }
}
