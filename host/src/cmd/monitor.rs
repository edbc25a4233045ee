//! `fixgrad monitor`: what a board does, while it does it.

use std::{thread::sleep, time::Duration};

use anyhow::Result;
use fixgrad::{link::Request, trainer::Tally};
use serde_json::json;

use super::{line::Line, output::print};
use crate::run::means;

/// Watch a board train.
#[derive(Debug, clap::Args)]
pub struct Args {
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
    /// One JSON object a look.
    #[arg(long)]
    json: bool,
}

/// Looks again and again, and prints a line each time.
pub fn run(args: &Args) -> Result<()> {
    let mut client = args.line.connect()?;
    if args.start {
        client.tell(&Request::Start)?;
    }
    if args.pause {
        client.tell(&Request::Pause)?;
    }
    let layers = usize::from(client.device().layers);
    let mut before = Tally::default();
    for look in 1.. {
        let state = client.state()?;
        let now = state.total;
        // A reset starts to count again.
        let samples = now.samples.checked_sub(before.samples);
        let recent = samples.map_or(now, |samples| Tally {
            samples,
            loss: now.loss.saturating_sub(before.loss),
            correct: now.correct.saturating_sub(before.correct),
        });
        before = now;
        let (loss, accuracy) = means(recent, true);
        let (elements, saturated) = counters(&mut client, layers)?;
        let share = if elements == 0 { 0.0 } else { saturated as f64 / elements as f64 };
        print(&if args.json {
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
            } else {
                format!("loss {loss:.4}, {:.2} % right", accuracy * 100.0)
            };
            format!("step {}: {doing}, {recent}, {:.3} % saturated", state.step, share * 100.0)
        })?;
        if args.looks.is_some_and(|looks| look >= looks) {
            break;
        }
        sleep(Duration::from_secs(args.every.into()));
    }
    Ok(())
}

/// Values that were quantised since the counters were reset, and those of them that saturated.
fn counters(client: &mut crate::link::Client, most: usize) -> Result<(u64, u64)> {
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
