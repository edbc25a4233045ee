//! `fixgrad push`: a file as the state of a board.

use std::path::PathBuf;

use anyhow::Result;
use fixgrad::link::Request;

use super::{line::Line, output::print};
use crate::run::Model;

/// Put configuration and weights into a board.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The model or checkpoint.
    #[arg(value_name = "FILE.fxg")]
    file: PathBuf,
    #[command(flatten)]
    line: Line,
    /// Have the board keep it as a checkpoint.
    #[arg(long)]
    commit: bool,
}

/// Sends the file's configuration, then its state.
pub fn run(args: &Args) -> Result<()> {
    let model = Model::read(&args.file)?;
    let mut client = args.line.connect()?;
    client.load(&model.compiled.encode()?)?;
    client.push(&model)?;
    if args.commit {
        client.tell(&Request::Commit)?;
    }
    let board = &client.device().board;
    print(&format!("{board}: step {}, SHA-256 {}", model.step, model.sha256()))
}
