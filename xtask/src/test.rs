//! `cargo xtask test`: everything that must hold before a change is merged, quick checks first.

use std::env;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use clap::builder::PossibleValuesParser;
use xshell::{Shell, cmd};

use crate::project::Project;
use crate::stage::{Outcome, Stage, run_stages};
use crate::toolchain::{self, Toolchain};
use crate::{board, qemu, setup, size, tidy, vector_units};

/// The command line of `cargo xtask test`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Install what is missing first (always done when the variable CI is set).
    #[arg(long)]
    setup: bool,
    /// Leave out the slow stages.
    #[arg(long)]
    fast: bool,
    /// Run these stages only.
    #[arg(value_name = "STAGE", value_parser = PossibleValuesParser::new(STAGES.map(|stage| stage.name)))]
    only: Vec<String>,
}

const SETUP: Stage = Stage { name: "setup", slow: false, run: setup::stage };

const STAGES: [Stage; 10] = [
    Stage { name: "fmt", slow: false, run: fmt },
    Stage { name: "tidy", slow: false, run: |shell| passed(tidy::run(shell)) },
    Stage { name: "clippy", slow: false, run: clippy },
    Stage { name: "bare-metal", slow: false, run: bare_metal },
    Stage { name: "unit", slow: false, run: unit },
    Stage { name: "doc", slow: true, run: doc },
    Stage { name: "integration", slow: true, run: integration },
    Stage { name: "device", slow: true, run: qemu::stage },
    Stage { name: "boards", slow: true, run: size::stage },
    Stage { name: "doctest", slow: true, run: doctest },
];

/// Runs the stages and prints the summary; its last line is the last line of stdout.
pub(crate) fn run(project: &Project, args: &Args) -> Result<ExitCode> {
    let mut stages = Vec::from(STAGES);
    if args.setup || env::var_os("CI").is_some_and(|ci| !ci.is_empty() && ci != "false") {
        stages.insert(0, SETUP);
    }
    let summary = run_stages(&stages, &project.shell, |stage| args.reason_against(stage));
    println!("\n{summary}");
    Ok(if summary.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Args {
    fn reason_against(&self, stage: &Stage) -> Option<String> {
        let named = self.only.iter().any(|name| name == stage.name);
        if named || stage.name == SETUP.name {
            None
        } else if !self.only.is_empty() {
            Some(format!("only {} was asked for", self.only.join(", ")))
        } else if self.fast && stage.slow {
            Some("slow, and --fast was given".to_owned())
        } else {
            None
        }
    }
}

fn passed(result: Result<()>) -> Result<Outcome> {
    result.map(|()| Outcome::Passed)
}

fn fmt(shell: &Shell) -> Result<Outcome> {
    cmd!(shell, "cargo fmt --all --check").run()?;
    for board in board::all(Path::new("."))? {
        let manifest = board.folder.join("Cargo.toml");
        cmd!(shell, "cargo fmt --check --manifest-path {manifest}").run()?;
    }
    Ok(Outcome::Passed)
}

fn clippy(shell: &Shell) -> Result<Outcome> {
    // The core also alone, because in the workspace the host turns its features on; and what the
    // workspace leaves out. All run, whatever the first one finds.
    let runs = [
        cmd!(shell, "cargo clippy --workspace --all-targets -- -D warnings").run(),
        cmd!(shell, "cargo clippy -p fixgrad --no-default-features -- -D warnings").run(),
        cmd!(shell, "cargo clippy -p fixgrad --all-features -- -D warnings").run(),
        cmd!(shell, "cargo clippy -p fixgrad-host --features rtt --tests -- -D warnings").run(),
    ];
    runs.into_iter().collect::<Result<(), _>>()?;
    Ok(Outcome::Passed)
}

/// Packages whose libraries must build for a chip.
const BARE_METAL: [&str; 4] = ["fixgrad", "fixgrad-boards", "gestures", "last-layer"];

fn bare_metal(shell: &Shell) -> Result<Outcome> {
    let mut absent = Vec::new();
    for target in toolchain::TARGETS {
        match Toolchain::find(shell, target)? {
            Some(toolchain) => {
                // What emulated boards share, and what real ones do: a firmware is one or the other.
                for boards in ["fixgrad-boards/qemu", "fixgrad-boards/device"] {
                    toolchain
                        .lint(shell, target)
                        // Release, whose build scripts and macros the firmware shares.
                        .arg("--release")
                        .args(BARE_METAL.iter().flat_map(|package| ["-p", package]))
                        .args(["--features", boards])
                        .args(toolchain.deny_warnings())
                        .run()?;
                }
            }
            None => absent.push(target),
        }
    }
    Ok(match absent[..] {
        [] => Outcome::Passed,
        _ => Outcome::Skipped(toolchain::missing(&absent.join(", "))),
    })
}

fn doc(shell: &Shell) -> Result<Outcome> {
    // Libraries only: the program of the host has the name of the core's library, and the pages of
    // one would overwrite those of the other.
    cmd!(shell, "cargo doc --workspace --lib --no-deps")
        .env("RUSTDOCFLAGS", "-D warnings")
        .run()?;
    Ok(Outcome::Passed)
}

fn unit(shell: &Shell) -> Result<Outcome> {
    cmd!(shell, "cargo test --workspace --no-fail-fast --lib --bins").run()?;
    Ok(vector_units::outcome())
}

fn integration(shell: &Shell) -> Result<Outcome> {
    cmd!(shell, "cargo test --workspace --no-fail-fast --test * --examples").run()?;
    Ok(vector_units::outcome())
}

fn doctest(shell: &Shell) -> Result<Outcome> {
    cmd!(shell, "cargo test --workspace --no-fail-fast --doc").run()?;
    Ok(Outcome::Passed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(args: &Args) -> Vec<&'static str> {
        let stages = STAGES.iter().filter(|stage| args.reason_against(stage).is_none());
        stages.map(|stage| stage.name).collect()
    }

    #[test]
    fn fast_leaves_out_the_slow_and_says_so() {
        let args = Args { setup: false, fast: true, only: vec![] };
        assert_eq!(wanted(&args), ["fmt", "tidy", "clippy", "bare-metal", "unit"]);
        let slow = STAGES.iter().find(|stage| stage.slow).expect("a slow stage");
        assert_eq!(args.reason_against(slow).as_deref(), Some("slow, and --fast was given"));
    }

    #[test]
    fn a_named_stage_runs_even_when_slow() {
        let args = Args { setup: true, fast: true, only: vec!["doc".to_owned()] };
        assert_eq!(wanted(&args), ["doc"]);
        assert!(args.reason_against(&SETUP).is_none());
    }
}
