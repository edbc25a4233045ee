//! `fixgrad verify`: a board and the simulator, step by step.

use std::path::PathBuf;

use anyhow::{Result, bail};
use fixgrad::link::Request;
use serde_json::json;

use super::{line::Line, output::print};
use crate::{
    kernel::best,
    link::verify,
    run::{Job, Overrides, Progress, Session, Workspace, judge},
};

/// Train on a board and on the desktop at once, and compare the state after every step.
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
    /// Steps to compare; by default all of the run.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    steps: Option<u32>,
    /// At the end, let the board keep its state where a power cut does not reach it.
    #[arg(long)]
    commit: bool,
    /// Print one JSON object instead.
    #[arg(long)]
    json: bool,
}

/// Compares, and fails at the first step that differs.
pub fn run(args: &Args) -> Result<()> {
    let job = Job::read(&args.file, args.data.as_deref(), Overrides::default())?;
    let mut client = args.line.connect()?;
    let kernel = best(1)?;
    let mut workspace = Workspace::new(&job.compiled)?;
    let mut session = Session::new(&job.compiled, &job.data, &kernel, &mut workspace)?;
    let steps = args.steps.map_or(session.steps(), |steps| steps.min(session.steps()));
    let progress = Progress::new(steps.into(), "steps");
    let verdict = verify(&mut client, &mut session, steps, |step| progress.at(step.into()))?;
    progress.finish();
    if args.commit && verdict.difference.is_none() {
        client.tell(&Request::Commit)?;
    }
    let (board, ram) = (client.device().board.clone(), client.device().ram);
    if args.json {
        let macs = job.compiled.graph.view().flow(&job.compiled.config.layers).training_macs();
        print(
            &json!({
                "board": board,
                "config": job.compiled.host.name,
                "steps": verdict.steps,
                "equal_to_host": verdict.difference.is_none(),
                "difference": verdict.difference,
                "weights_sha256": session.model().sha256(),
                "digest": format!("{:016x}", session.trainer.digest()),
                "ram_bytes": ram,
                "macs_per_step": macs * usize::from(job.compiled.config.train.batch),
                "link_bytes_per_step": verdict.traffic / u64::from(verdict.steps.max(1)),
                "test_accuracy": judge(&mut session)?.accuracy,
            })
            .to_string(),
        )?;
    }
    match verdict.difference {
        None if args.json => Ok(()),
        None => print(&format!(
            "{board}: {} steps, and after each of them the same integers as the desktop; {} bytes a \
             step on the line",
            verdict.steps,
            verdict.traffic / u64::from(verdict.steps.max(1))
        )),
        Some(difference) => bail!("step {} differs: {difference}", verdict.steps),
    }
}
