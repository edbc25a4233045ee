//! `fixgrad stream`: a run whose steps a board does, on samples that the desktop sends.

use std::path::PathBuf;

use anyhow::{Context, Result};
use fixgrad::link::Request;
use tracing::info;

use super::{line::Line, output::print};
use crate::{
    link::OnBoard,
    run::{Job, Origin, Overrides, RunFolder, resume_with, train_with},
};

/// Train on a board with the desktop's data. Leaves the same folder as `train`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration.
    #[arg(value_name = "FILE.yaml", required_unless_present = "resume")]
    file: Option<PathBuf>,
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
    #[arg(long, value_name = "RUN_DIR", conflicts_with = "resume")]
    out: Option<PathBuf>,
    /// Continue the run in this folder, after its last whole epoch, whoever did the steps before.
    #[arg(long, value_name = "RUN_DIR")]
    resume: Option<PathBuf>,
    /// At the end, let the board keep its state where a power cut does not reach it.
    #[arg(long)]
    commit: bool,
    /// End with one line of JSON that holds the results.
    #[arg(long)]
    json: bool,
}

/// Trains on the board, or goes on there, and prints how it ended.
pub fn run(args: &Args) -> Result<()> {
    let overrides = Overrides { seed: args.seed, epochs: args.epochs };
    let (file, data) = (args.file.as_deref(), args.data.as_deref());
    let mut board;
    let summary = if let Some(folder) = &args.resume {
        let folder = RunFolder::open(folder)?;
        board = OnBoard::new(args.line.connect()?);
        resume_with(&folder, file, data, overrides, 1, &mut board)?
    } else {
        let file = file.context("name a configuration, or a folder with --resume")?;
        let job = Job::read(file, data, overrides)?;
        for note in &job.notes {
            info!("{note}");
        }
        board = OnBoard::new(args.line.connect()?);
        // A board that cannot take the configuration shall leave no folder.
        board.load(&job.compiled)?;
        let (host, seed) = (&job.compiled.host, job.compiled.config.train.seed);
        let folder = RunFolder::create(args.out.as_deref(), &host.name, seed)?;
        let origin = Origin::of(file, data);
        train_with(&job, &folder, &origin, 1, &mut board)?
    };
    if args.commit {
        board.into_client().tell(&Request::Commit)?;
    }
    print(&if args.json { serde_json::to_string(&summary)? } else { summary.to_string() })
}
