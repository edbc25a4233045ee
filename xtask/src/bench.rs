//! `cargo xtask bench`: measures speed. The benches themselves live in the packages.

mod device;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use xshell::{Cmd, cmd};

use crate::project::{Project, pass_through};

/// The command line of `cargo xtask bench`.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Training speed on this machine.
    Host {
        /// Only networks and threads, as in `64-32-10, 8 bits/2`, that contain this.
        #[arg(value_name = "NETWORK[/THREADS]")]
        only: Option<String>,
        /// End with one line of JSON that holds the results.
        #[arg(long)]
        json: bool,
        /// Fewer repetitions: a rough figure within seconds.
        #[arg(long)]
        quick: bool,
    },
    /// Training on all emulated boards, in instructions; the table in docs/benchmarks.md.
    Device {
        /// Folder with MNIST [default: pictures that stand in for it, and cost the same].
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
    },
}

/// Measures; the host's stdout is the bench's own, untouched.
pub(crate) fn run(project: &Project, args: &Args) -> Result<ExitCode> {
    match &args.what {
        What::Host { only, json, quick } => {
            pass_through(host(project, only.as_deref(), *json, *quick))
        }
        What::Device { data } => device::run(project, data.as_deref()),
    }
}

fn host<'a>(project: &'a Project, only: Option<&str>, json: bool, quick: bool) -> Cmd<'a> {
    let flags = [(json, "--json"), (quick, "--quick")];
    let flags = flags.iter().filter_map(|(given, flag)| given.then_some(*flag));
    cmd!(project.shell, "cargo bench -q -p fixgrad-host --bench host --").args(only).args(flags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_reach_the_bench() {
        let project = Project::enter().expect("the project");
        let all = host(&project, Some("w8/2"), true, true).to_string();
        assert_eq!(all, "cargo bench -q -p fixgrad-host --bench host -- w8/2 --json --quick");
        let none = host(&project, None, false, false).to_string();
        assert_eq!(none, "cargo bench -q -p fixgrad-host --bench host --");
    }
}
