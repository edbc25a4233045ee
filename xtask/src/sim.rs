//! `cargo xtask sim`: trains a network on the desktop. What the program `fixgrad` does, in this one.

use std::ffi::OsString;
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
    let words = words(project, args);
    if args.release {
        return pass_through(fixgrad(project).args(words));
    }
    let program = OsString::from("fixgrad");
    Ok(fixgrad_host::cli::run(std::iter::once(program).chain(words)))
}

/// What the program is told.
fn words(project: &Project, args: &Args) -> Vec<OsString> {
    let mut words: Vec<OsString> = vec!["train".into(), project.locate_config(&args.config).into()];
    if let Some(data) = &args.data {
        words.extend(["--data".into(), project.locate(data).into()]);
    }
    if args.json {
        words.push("--json".into());
    }
    if let Some(seed) = args.seed {
        words.extend(["--seed".into(), seed.to_string().into()]);
    }
    words
}

/// The `fixgrad` program with every optimisation.
pub(crate) fn fixgrad(project: &Project) -> Cmd<'_> {
    cmd!(project.shell, "cargo run --release -p fixgrad-host --bin fixgrad --")
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

    fn told(line: &[&str]) -> Vec<OsString> {
        let project = Project::enter().expect("the project");
        words(&project, &Line::parse_from(line).args)
    }

    #[test]
    fn without_arguments_it_trains_the_digits() {
        assert_eq!(told(&["sim"]), ["train", "configs/digits_mlp_w8.yaml"]);
    }

    #[test]
    fn every_flag_reaches_the_program() {
        let line = ["sim", "own.yaml", "--data", "pictures", "--json", "--seed", "7"];
        let words = ["train", "own.yaml", "--data", "pictures", "--json", "--seed", "7"];
        assert_eq!(told(&line), words);
    }
}
