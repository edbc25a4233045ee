//! `fixgrad schema`: the JSON Schema of configuration files.

use std::path::PathBuf;

use anyhow::Result;

use crate::{config::schema_text, files};

/// Print the JSON Schema of configuration files, for editors.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Write it to a file instead.
    #[arg(short, long, value_name = "FILE.json")]
    output: Option<PathBuf>,
}

/// Prints or writes the schema.
pub fn run(args: &Args) -> Result<()> {
    let text = schema_text();
    match &args.output {
        Some(path) => files::replace(path, text.as_bytes()),
        None => {
            print!("{text}");
            Ok(())
        }
    }
}
