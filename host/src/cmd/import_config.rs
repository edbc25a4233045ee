//! `fixgrad import-config`: configurations of nics_fix, turned into ours.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::{files, import::nics_fix};

/// Turn a fixed-point or strategy YAML of nics_fix into sections of a configuration.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// nics_fix's file.
    file: PathBuf,
    /// The file to write; by default the result is printed.
    #[arg(short, long, value_name = "FILE.yaml")]
    output: Option<PathBuf>,
}

/// Larger files are no configurations.
const LARGEST: usize = 1 << 20;

/// Converts, and says what changed meaning.
pub fn run(args: &Args) -> Result<()> {
    let name = args.file.display().to_string();
    let text = String::from_utf8(files::read(&args.file, LARGEST)?)
        .with_context(|| format!("{name}: expected a YAML file as plain text"))?;
    let imported = nics_fix(&name, &text)?;
    match &args.output {
        Some(path) => {
            files::replace(path, imported.yaml.as_bytes())?;
            for note in &imported.notes {
                eprintln!("note: {note}");
            }
            println!("{}", path.display());
        }
        None => print!("{}", imported.yaml),
    }
    Ok(())
}
