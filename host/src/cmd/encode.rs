//! `fixgrad encode`: a YAML file to the bytes that a device takes.

use std::path::PathBuf;

use anyhow::Result;

use crate::{
    config::{DatasetFacts, Experiment},
    data::SearchPath,
    files,
};

/// Compile a YAML configuration to a .fxc file.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration.
    file: PathBuf,
    /// The file to write; by default the configuration's name with .fxc.
    #[arg(short, long, value_name = "FILE.fxc")]
    output: Option<PathBuf>,
    /// The folder with the data sets.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// Compiles, says what numbers became, and writes.
pub fn run(args: &Args) -> Result<()> {
    let experiment = Experiment::read(&args.file)?;
    let places = SearchPath::from_env(args.data.as_deref(), Some(&args.file));
    let data = experiment.load_data(&places)?;
    let (compiled, notes) = experiment.compile(&DatasetFacts::from(&data))?;
    for note in notes {
        eprintln!("note: {note}");
    }
    let bytes = compiled.encode()?;
    let output = args.output.clone().unwrap_or_else(|| args.file.with_extension("fxc"));
    files::replace(&output, &bytes)?;
    println!(
        "{}: {} bytes, graph {:08x}",
        output.display(),
        bytes.len(),
        compiled.graph.view().hash()
    );
    Ok(())
}
