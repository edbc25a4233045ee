//! `fixgrad fold`: batch normalisation into the weights below it.

use std::path::PathBuf;

use anyhow::Result;

use super::{eval::locate, output::print};
use crate::run::Model;

/// Fold batch normalisation into the weights below it.
///
/// The model that comes out answers as the one that went in, but for roundings, and has fewer layers. It
/// is for deployment: momentum and strategies stay behind.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder of a run, or a model.
    #[arg(value_name = "RUN_DIR|model.fxg")]
    model: PathBuf,
    /// Where the folded model goes.
    #[arg(value_name = "FOLDED.fxg")]
    out: PathBuf,
}

/// Writes the folded model and says what is gone.
pub fn run(args: &Args) -> Result<()> {
    let (path, _) = locate(&args.model)?;
    let (model, folded) = Model::read(&path)?.fold()?;
    anyhow::ensure!(
        !folded.is_empty(),
        "{}: no batch_norm reads a conv2d or dense layer alone; there is nothing to fold",
        path.display()
    );
    model.write(&args.out)?;
    print(&format!("{}: folded {}\n", args.out.display(), folded.join(", ")))
}
