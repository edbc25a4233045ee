//! `cargo xtask sim`: trains a network on the desktop. The `fixgrad` program does the work.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use xshell::{Cmd, cmd};

use crate::project::{Project, pass_through};

/// The command line of `cargo xtask sim`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The experiment: a YAML file, or the name of one in configs/.
    #[arg(value_name = "CONFIG", default_value = "configs/digits_mlp_w8.yaml")]
    config: PathBuf,
    /// Folder with the data sets.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// End with one line of JSON that holds the results.
    #[arg(long)]
    json: bool,
    /// Build with every optimisation first, which takes minutes: for trainings that take longer.
    #[arg(long)]
    release: bool,
    /// Seed of every random number, instead of the configuration's.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

/// Trains; stdout is the program's own, untouched.
pub(crate) fn run(project: &Project, args: &Args) -> Result<ExitCode> {
    pass_through(command(project, args))
}

fn command<'a>(project: &'a Project, args: &Args) -> Cmd<'a> {
    let config = project.locate_config(&args.config);
    let profile = if args.release { "release" } else { "quick" };
    let train = fixgrad(project, profile).arg("train").arg(config);
    let train = match &args.data {
        Some(data) => train.arg("--data").arg(project.locate(data)),
        None => train,
    };
    let train = if args.json { train.arg("--json") } else { train };
    match args.seed {
        Some(seed) => train.arg("--seed").arg(seed.to_string()),
        None => train,
    }
}

/// The `fixgrad` program, built as this profile of Cargo.toml says.
pub(crate) fn fixgrad<'a>(project: &'a Project, profile: &str) -> Cmd<'a> {
    cmd!(project.shell, "cargo run --profile {profile} -p fixgrad-host --bin fixgrad --")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn shown(line: &[&str]) -> String {
        let project = Project::enter().expect("the project");
        command(&project, &Line::parse_from(line).args).to_string()
    }

    #[test]
    fn without_arguments_it_trains_the_digits() {
        assert_eq!(
            shown(&["sim"]),
            "cargo run --profile quick -p fixgrad-host --bin fixgrad -- train configs/digits_mlp_w8.yaml"
        );
    }

    #[test]
    fn every_flag_reaches_the_program() {
        let line =
            shown(&["sim", "own.yaml", "--data", "pictures", "--json", "--release", "--seed", "7"]);
        assert!(line.starts_with("cargo run --profile release "), "{line}");
        assert!(line.ends_with("-- train own.yaml --data pictures --json --seed 7"), "{line}");
    }
}
