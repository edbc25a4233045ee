//! `fixgrad train`: trains a network on the desktop, with the bits of the chip.

use std::path::{Path, PathBuf};

use anyhow::Result;
use tracing::info;

use super::{eval::locate, output::print};
use crate::run::{Job, Model, Origin, Overrides, RunFolder, Summary, anywhere, resume, train};

/// Train a network. Leaves a folder with the model, the log and a report.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration.
    #[arg(value_name = "FILE.yaml", required_unless_present = "resume")]
    file: Option<PathBuf>,
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
    /// Begin with the parameters of this run or model: those of layers with the same name, kind and
    /// shape. Others begin with random numbers.
    #[arg(long, value_name = "RUN_DIR|model.fxg", conflicts_with = "resume")]
    init: Option<PathBuf>,
    /// Continue the run in this folder. It ends with the same weights, bit for bit.
    #[arg(long, value_name = "RUN_DIR")]
    resume: Option<PathBuf>,
    /// End with one line of JSON that holds the results.
    #[arg(long)]
    json: bool,
    /// Threads to work on; by default one for every core. No result depends on it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
}

/// Trains, or goes on training, and prints how it ended.
pub fn run(args: &Args) -> Result<()> {
    let summary = match (&args.file, &args.resume) {
        (file, Some(folder)) => {
            let folder = RunFolder::open(folder)?;
            let data = args.data.as_deref();
            resume(&folder, file.as_deref(), data, args.overrides(), args.threads())?
        }
        (Some(file), None) => args.begin(file)?,
        (None, None) => anyhow::bail!("name a configuration, or a folder with --resume"),
    };
    print(&if args.json { serde_json::to_string(&summary)? } else { summary.to_string() })
}

impl Args {
    fn begin(&self, file: &Path) -> Result<Summary> {
        let mut job = Job::read(file, self.data.as_deref(), self.overrides())?;
        let init = self.init.as_deref().map(locate).transpose()?.map(|(model, _)| model);
        job.init = init.as_deref().map(Model::read).transpose()?;
        for note in &job.notes {
            info!("{note}");
        }
        let host = &job.compiled.host;
        let seed = job.compiled.config.train.seed;
        let folder = RunFolder::create(self.out.as_deref(), &host.name, seed)?;
        let init = init.as_deref().map(anywhere);
        let origin = Origin { init, ..Origin::of(file, self.data.as_deref()) };
        train(&job, &folder, &origin, self.threads())
    }

    const fn overrides(&self) -> Overrides {
        Overrides { seed: self.seed, epochs: self.epochs }
    }

    fn threads(&self) -> usize {
        self.threads.map_or_else(
            || std::thread::available_parallelism().map_or(1, usize::from),
            usize::from,
        )
    }
}
