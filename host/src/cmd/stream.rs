//! `fixgrad stream`: a run whose steps a board does, on samples that the desktop sends.

use std::path::PathBuf;

use anyhow::Result;
use fixgrad::link::Request;
use tracing::info;

use super::{line::Line, output::print};
use crate::{
    link::OnBoard,
    run::{Job, Origin, Overrides, RunFolder, anywhere, train_with},
};

/// Train on a board with the desktop's data. Leaves the same folder as `train`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration.
    #[arg(value_name = "FILE.yaml")]
    file: PathBuf,
    #[command(flatten)]
    line: Line,
    /// Where data sets are looked for first.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Seed of every random number, in place of the configuration's.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Passes over the training samples, in place of the configuration's.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    epochs: Option<u32>,
    /// The folder to leave everything in; by default runs/NAME-SEED-NUMBER.
    #[arg(long, value_name = "RUN_DIR")]
    out: Option<PathBuf>,
    /// At the end, let the board keep its state where a power cut does not reach it.
    #[arg(long)]
    commit: bool,
    /// End with one line of JSON that holds the results.
    #[arg(long)]
    json: bool,
}

/// Trains on the board, and prints how it ended.
pub fn run(args: &Args) -> Result<()> {
    let overrides = Overrides { seed: args.seed, epochs: args.epochs };
    let job = Job::read(&args.file, args.data.as_deref(), overrides)?;
    for note in &job.notes {
        info!("{note}");
    }
    // A board that does not answer shall leave no folder.
    let mut board = OnBoard::start(args.line.connect()?, &job.compiled)?;
    let (host, seed) = (&job.compiled.host, job.compiled.config.train.seed);
    let folder = RunFolder::create(args.out.as_deref(), &host.name, seed)?;
    let origin =
        Origin { config: Some(anywhere(&args.file)), data: args.data.as_deref().map(anywhere) };
    let summary = train_with(&job, &folder, &origin, 1, &mut board)?;
    if args.commit {
        board.into_client().tell(&Request::Commit)?;
    }
    print(&if args.json { serde_json::to_string(&summary)? } else { summary.to_string() })
}
