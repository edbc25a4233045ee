//! `fixgrad store`: parameters for the flash of a chip.

use std::path::PathBuf;

use anyhow::Result;

use super::{eval::locate, output::print};
use crate::{config::Experiment, files, run::Model};

/// Store the parameters of a model for a chip that trains it further.
///
/// Layers with `stored: true` whose parameters do not move are read where the file lies, such as in
/// flash; all others are copied into RAM when training begins. `fixgrad::stored` describes the file.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder of a run, or a model.
    #[arg(value_name = "RUN_DIR|model.fxg")]
    model: PathBuf,
    /// Where the parameters go.
    #[arg(value_name = "PARAMETERS.fxp")]
    out: PathBuf,
    /// The configuration that the chip trains by; by default the model's. Layers of the same name, kind
    /// and shape take over their parameters, others begin with random numbers.
    #[arg(long, value_name = "FILE.yaml")]
    config: Option<PathBuf>,
}

/// Writes the parameters and says what they are.
pub fn run(args: &Args) -> Result<()> {
    let (path, _) = locate(&args.model)?;
    let model = Model::read(&path)?;
    let compiled = match &args.config {
        Some(file) => {
            let experiment = Experiment::read(file)?;
            let shape = model.compiled.graph.view().input_shape(0).0.map(usize::from);
            experiment.compile(&experiment.facts_of(shape)?)?.0
        }
        None => model.compiled.clone(),
    };
    let (bytes, taken) = model.store(&compiled)?;
    files::replace(&args.out, &bytes)?;
    let plan = compiled.plan()?;
    print(&format!(
        "{}: {} bytes, parameters of {}; training takes {} bytes of RAM besides the trainer\n",
        args.out.display(),
        bytes.len(),
        taken.join(", "),
        plan.ram()
    ))
}
