//! The verbs of the fixgrad repository, run as `cargo xtask VERB`.
//!
//! One file per verb. This one only parses the command line, goes to the project root and dispatches. It is
//! a library, as Cargo compiles that while the host's code is still being generated.

mod bench;
mod bless;
mod board;
mod firmware;
mod flash;
mod packages;
mod page;
mod parallel;
mod project;
mod qemu;
mod results;
mod setup;
mod sim;
mod size;
mod stage;
mod test;
mod tidy;
mod toolchain;
mod vector_units;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Build, check and measure fixgrad.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Train a network in fixed point on this machine.
    Sim(sim::Args),
    /// Run every check and every test, and say at the end what failed and what was skipped.
    Test(test::Args),
    /// Train on an emulated board, and compare every step with this machine.
    Qemu(qemu::Args),
    /// Find out what the checks need and this machine does not have, and install it.
    Setup(setup::Args),
    /// Build the firmware of boards, and compare flash and RAM with the budget of each.
    Size(size::Args),
    /// Build the firmware of a real board, and bring it there.
    Flash(flash::Args),
    /// Check the rules of the house that no compiler checks.
    Tidy,
    /// Measure speed.
    Bench(bench::Args),
    /// Rewrite the golden files from what the code computes now, and show what changed.
    Bless,
    /// Train configurations over several seeds and write the table in docs/results.md.
    Results(results::Args),
}

/// The whole program.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    run(cli.verb).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(verb: Verb) -> anyhow::Result<ExitCode> {
    let project = project::Project::enter()?;
    match verb {
        Verb::Sim(args) => sim::run(&project, &args),
        Verb::Test(args) => test::run(&project, &args),
        Verb::Qemu(args) => qemu::run(&project, &args),
        Verb::Setup(args) => setup::run(&project, &args),
        Verb::Size(args) => size::run(&project, &args),
        Verb::Flash(args) => flash::run(&project, &args),
        Verb::Tidy => tidy::run(&project.shell).map(|()| ExitCode::SUCCESS),
        Verb::Bench(args) => bench::run(&project, &args),
        Verb::Bless => bless::run(&project).map(|()| ExitCode::SUCCESS),
        Verb::Results(args) => results::run(&project, &args).map(|()| ExitCode::SUCCESS),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
