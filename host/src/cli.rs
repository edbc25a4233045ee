//! The command line of the program, which `xtask` has too.

use std::{
    ffi::OsString,
    io::{IsTerminal, stderr},
    process::ExitCode,
};

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::{cmd, config::Diagnostics, logging};

/// Trains small neural networks in fixed point: on the desktop, with the bits of the chip.
#[derive(Parser)]
#[command(name = "fixgrad", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Tell more: debug, and with -vv trace. Also FIXGRAD_LOG=error|warn|info|debug|trace.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Tell nothing but errors.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
}

#[derive(Subcommand)]
enum Command {
    Train(cmd::train::Args),
    Eval(cmd::eval::Args),
    Fold(cmd::fold::Args),
    Store(cmd::store::Args),
    Sweep(cmd::sweep::Args),
    Encode(cmd::encode::Args),
    Inspect(cmd::inspect::Args),
    Plan(cmd::plan::Args),
    GradientBuffer(cmd::gradient_buffer::Args),
    Quantize(cmd::quantize::Args),
    Stream(cmd::stream::Args),
    Verify(cmd::verify::Args),
    Pull(cmd::pull::Args),
    Push(cmd::push::Args),
    Monitor(cmd::monitor::Args),
    #[command(hide = true)]
    Board(cmd::board::Args),
    Schema(cmd::schema::Args),
    ImportConfig(cmd::import_config::Args),
}

impl Command {
    fn run(&self) -> Result<()> {
        match self {
            Self::Train(args) => cmd::train::run(args),
            Self::Eval(args) => cmd::eval::run(args),
            Self::Fold(args) => cmd::fold::run(args),
            Self::Store(args) => cmd::store::run(args),
            Self::Sweep(args) => cmd::sweep::run(args),
            Self::Encode(args) => cmd::encode::run(args),
            Self::Inspect(args) => cmd::inspect::run(args),
            Self::Plan(args) => cmd::plan::run(args),
            Self::GradientBuffer(args) => cmd::gradient_buffer::run(args),
            Self::Quantize(args) => cmd::quantize::run(args),
            Self::Stream(args) => cmd::stream::run(args),
            Self::Verify(args) => cmd::verify::run(args),
            Self::Pull(args) => cmd::pull::run(args),
            Self::Push(args) => cmd::push::run(args),
            Self::Monitor(args) => cmd::monitor::run(args),
            Self::Board(args) => cmd::board::run(args),
            Self::Schema(args) => cmd::schema::run(args),
            Self::ImportConfig(args) => cmd::import_config::run(args),
        }
    }
}

/// Does what the words of a command line say, of which the first is the program. What goes wrong
/// is told on stderr; a wrong command line, and one that asks for help, ends the process.
pub fn run<T: Into<OsString> + Clone>(words: impl IntoIterator<Item = T>) -> ExitCode {
    let cli = Cli::parse_from(words);
    match logging::init(cli.verbose, cli.quiet).and_then(|()| cli.command.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&error);
            ExitCode::FAILURE
        }
    }
}

/// Errors in configurations show the place; everything else is a sentence.
fn tell(error: &anyhow::Error) {
    match error.downcast_ref::<Diagnostics>() {
        Some(diagnostics) if stderr().is_terminal() => eprintln!("{}", diagnostics.styled()),
        Some(diagnostics) => eprintln!("{diagnostics}"),
        None => eprintln!("error: {}", chain(error)),
    }
}

/// An error and what caused it. Many errors already name their cause: nothing is said twice.
fn chain(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |text, cause| {
        match (text.is_empty(), text.contains(&cause)) {
            (true, _) => cause,
            (_, true) => text,
            _ => format!("{text}: {cause}"),
        }
    })
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    #[test]
    fn a_cause_that_was_named_is_not_named_again() {
        let error = anyhow::anyhow!("cut short").context("bad file: cut short").context("x.fxc");
        assert_eq!(super::chain(&error), "x.fxc: bad file: cut short");
        let plain: anyhow::Error = Err::<(), _>(std::fmt::Error).context("y").unwrap_err();
        assert!(super::chain(&plain).starts_with("y: "));
    }
}
