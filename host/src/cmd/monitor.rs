//! `fixgrad monitor`: what a board does, while it does it.

use std::{path::PathBuf, thread::sleep, time::Duration};

use anyhow::Result;
use fixgrad::{
    link::{Request, State},
    trainer::Tally,
};
use serde_json::json;
use tracing::info;

use super::{line::Line, output::print};
use crate::{
    link::{Client, Stream, Watching, since},
    run::{Job, Origin, Overrides, RunFolder, means, train_with},
};

/// Watch a board train alone. With its configuration, leaves the same folder as `train`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration that the board was given: after every epoch its state is fetched and
    /// tried on the validation set, until the run ends.
    #[arg(value_name = "FILE.yaml", conflicts_with = "looks")]
    file: Option<PathBuf>,
    #[command(flatten)]
    line: Line,
    /// Seconds between two looks.
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    every: u32,
    /// Looks; by default until stopped.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    looks: Option<u32>,
    /// First let the board train on samples of its own.
    #[arg(long, conflicts_with = "pause")]
    start: bool,
    /// First stop the board from training on samples of its own.
    #[arg(long)]
    pause: bool,
    /// Where data sets are looked for first.
    #[arg(long, value_name = "DIR", requires = "file")]
    data: Option<PathBuf>,
    /// The folder to leave everything in; by default runs/NAME-SEED-NUMBER.
    #[arg(long, value_name = "RUN_DIR", requires = "file")]
    out: Option<PathBuf>,
    /// One JSON object a look; with a configuration, one at the end.
    #[arg(long)]
    json: bool,
}

/// Looks again and again, and tells each time.
pub fn run(args: &Args) -> Result<()> {
    let mut client = args.line.connect()?;
    if args.start {
        client.tell(&Request::Start)?;
    }
    if args.pause {
        client.tell(&Request::Pause)?;
    }
    let mut looks = Looks { before: Tally::default(), json: args.json };
    let pause = Duration::from_secs(args.every.into());
    if let Some(file) = &args.file {
        let job = Job::read(file, args.data.as_deref(), Overrides::default())?;
        let (host, seed) = (&job.compiled.host, job.compiled.config.train.seed);
        let mut board = Watching::new(client, pause, |client| {
            let (state, line) = looks.look(client)?;
            info!("{line}");
            Ok(state)
        });
        board.check(&job.compiled)?;
        let folder = RunFolder::create(args.out.as_deref(), &host.name, seed)?;
        let origin = Origin::of(file, args.data.as_deref());
        let summary = train_with(&job, &folder, &origin, 1, &mut board)?;
        return print(&if args.json {
            serde_json::to_string(&summary)?
        } else {
            summary.to_string()
        });
    }
    for look in 1.. {
        print(&looks.look(&mut client)?.1)?;
        if args.looks.is_some_and(|looks| look >= looks) {
            break;
        }
        sleep(pause);
    }
    Ok(())
}

/// What is told of a look: what happened since the one before.
struct Looks {
    before: Tally,
    json: bool,
}

impl Looks {
    fn look<S: Stream>(&mut self, client: &mut Client<S>) -> Result<(State, String)> {
        let state = client.state()?;
        let recent = since(self.before, state.total);
        self.before = state.total;
        let (loss, accuracy) = means(recent, 1);
        let layers = usize::from(client.device().layers);
        let (elements, saturated) = counters(client, layers)?;
        let share = if elements == 0 { 0.0 } else { saturated as f64 / elements as f64 };
        let line = if self.json {
            json!({
                "step": state.step,
                "running": state.running,
                "samples": recent.samples,
                "loss": loss,
                "accuracy": accuracy,
                "saturated": share,
                "damaged_frames": state.line.damaged,
                "repeated_requests": state.line.repeated,
                "digest": format!("{:016x}", state.digest),
            })
            .to_string()
        } else {
            let doing = if state.running { "trains alone" } else { "waits" };
            let recent = if recent.samples == 0 {
                "no new samples".to_owned()
            } else if recent.correct > recent.samples {
                // A board does not tell how many answers a sample has.
                format!("loss {loss:.4}, {accuracy:.2} answers of a sample right")
            } else {
                format!("loss {loss:.4}, {:.2} % right", accuracy * 100.0)
            };
            format!("step {}: {doing}, {recent}, {:.3} % saturated", state.step, share * 100.0)
        };
        Ok((state, line))
    }
}

/// Values that were quantised since the counters were reset, and those of them that saturated.
fn counters<S: Stream>(client: &mut Client<S>, most: usize) -> Result<(u64, u64)> {
    let (mut elements, mut saturated) = (0, 0);
    for state in client.states(most)? {
        for tensor in fixgrad::trainer::Tensor::ALL {
            let range = state.range(tensor);
            elements += u64::from(range.elements);
            saturated += u64::from(range.saturated);
        }
    }
    Ok((elements, saturated))
}
