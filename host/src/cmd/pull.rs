//! `fixgrad pull`: the state of a board as a file.

use std::path::PathBuf;

use anyhow::{Result, ensure};

use super::{line::Line, output::print};
use crate::run::{Job, Overrides};

/// Read the weights out of a board.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration that the board works on.
    #[arg(value_name = "FILE.yaml")]
    config: PathBuf,
    /// The file to write.
    #[arg(value_name = "FILE.fxg")]
    file: PathBuf,
    #[command(flatten)]
    line: Line,
    /// Where data sets are looked for first.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// Reads the state and writes the file.
pub fn run(args: &Args) -> Result<()> {
    let job = Job::read(&args.config, args.data.as_deref(), Overrides::default())?;
    let mut client = args.line.connect()?;
    let (ours, theirs) = (job.compiled.graph.view().hash(), client.device().graph);
    ensure!(
        ours == theirs,
        "the board works on graph {theirs:08x}, and {} describes {ours:08x}: name the \
         configuration that the board works on",
        args.config.display()
    );
    let model = client.pull(&job.compiled)?;
    model.write(&args.file)?;
    print(&format!("{}: step {}, SHA-256 {}", args.file.display(), model.step, model.sha256()))
}
