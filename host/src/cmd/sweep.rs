//! `fixgrad sweep`: a grid over any settings of a configuration.

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::json;

use super::output::print;
use crate::{
    config::Experiment,
    files,
    run::plain,
    sweep::{self, Grid, Setting},
};

/// Train every combination of some settings, with several seeds. Continues where it was cut off.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration.
    #[arg(value_name = "FILE.yaml")]
    file: PathBuf,
    /// A key of the configuration by its path, and the values to try; may be given several times.
    #[arg(long = "set", value_name = "KEY=A,B,C", required = true)]
    settings: Vec<Setting>,
    /// Seeds of every combination; by default the configuration's own.
    #[arg(long, value_name = "N,N,...", value_delimiter = ',')]
    seeds: Vec<u64>,
    /// Where data sets are looked for first.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The folder to leave everything in; by default runs/NAME-sweep.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Runs at a time; by default one for every core. No result depends on it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// End with one line of JSON that holds the results.
    #[arg(long)]
    json: bool,
}

/// Trains what is missing and prints the table.
pub fn run(args: &Args) -> Result<()> {
    let name = Experiment::read(&args.file)?.name();
    let folder = match &args.out {
        Some(out) => out.clone(),
        None => Path::new("runs").join(format!("{}-sweep", plain(&name))),
    };
    let jobs = args
        .jobs
        .map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), usize::from);
    let grid = Grid { settings: args.settings.clone(), seeds: args.seeds.clone() };
    let cells = sweep::run(&args.file, args.data.as_deref(), &grid, &folder, jobs)?;
    let rows = sweep::rows(&cells);
    let csv = folder.join("sweep.csv");
    files::replace(&csv, &sweep::csv(&cells)?)?;
    let html = match sweep::page(&name, &rows) {
        Some(page) => {
            let path = folder.join("sweep.html");
            files::replace(&path, page.as_bytes())?;
            Some(path.display().to_string())
        }
        None => None,
    };
    let csv = csv.display().to_string();
    if args.json {
        let line = json!({ "config": name, "rows": rows, "csv": csv, "html": html });
        return print(&line.to_string());
    }
    let plot = html.map_or_else(
        || "no plot: no key has numbers and accuracies".to_owned(),
        |html| format!("plot {html}"),
    );
    print(&format!("{}\n{} runs: {csv}, {plot}", sweep::text(&rows), cells.len()))
}
