//! `cargo xtask qemu BOARD CONFIG`: an emulated board trains on samples that come over its serial
//! line. `fixgrad verify` compares every step; then the board keeps its state, the power is cut,
//! and the state must be there again.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use xshell::{Shell, cmd};

use super::machine::Machine;
use super::report::{Measured, number};
use super::table::Row;
use super::{SILENCE, audit};
use crate::board::Board;
use crate::firmware;

/// What to train on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Task<'a> {
    pub(super) config: &'a Path,
    /// Where its data set is.
    pub(super) data: Option<&'a Path>,
    /// Steps; by default all of the configuration.
    pub(super) steps: Option<u32>,
}

/// What `fixgrad verify --json` prints.
#[derive(Debug, Deserialize)]
struct Verified {
    config: String,
    steps: u32,
    equal_to_host: bool,
    difference: Option<String>,
    weights_sha256: String,
    digest: String,
    ram_bytes: u64,
    macs_per_step: u64,
    link_bytes_per_step: u64,
    test_accuracy: f64,
}

/// What `fixgrad monitor --json` prints, as far as it is needed.
#[derive(Debug, Deserialize)]
struct Seen {
    step: u32,
    digest: String,
}

/// Builds what [`train`] runs on this machine, so that what keeps it from being built is not taken for
/// a silent board.
pub(super) fn prepare(shell: &Shell) -> Result<()> {
    cmd!(shell, "cargo build -q -p fixgrad-host --bin fixgrad").run()?;
    Ok(())
}

/// Trains on the board; what was measured, and what is wrong.
pub(super) fn train(shell: &Shell, board: &Board, task: Task<'_>) -> Result<(Row, Vec<String>)> {
    if board.about.kept.is_none() {
        bail!("this board trains on samples of its own only: leave the configuration out");
    }
    let firmware = firmware::build(shell, board)?.program(&format!("{}-link", board.name));
    let audit = audit::audit(&firmware, audit::LINK)?;
    let mut findings = audit.findings.clone();
    let mut machine = Machine::start(board, &firmware)?;
    let mut told = Told::default();
    told.hear(&machine)?;

    let verified = verify(shell, &machine.link, task)?;
    if let Some(difference) = &verified.difference {
        findings.push(format!("step {} differs: {difference}", verified.steps));
    }
    machine.reset()?;
    told.hear(&machine)?;
    if verified.equal_to_host {
        let seen: Seen = {
            let link = &machine.link;
            let text = cmd!(shell, "cargo {FIXGRAD...} -- monitor --link {link} --looks 1 --json")
                .read()?;
            serde_json::from_str(&text)?
        };
        if told.resumed != Some(verified.steps) || seen.digest != verified.digest {
            findings.push(format!(
                "after a power cut it is at step {} with the digest {}, expected {} with {}",
                seen.step, seen.digest, verified.steps, verified.digest
            ));
        }
    }
    let measured = Measured {
        config: verified.config,
        ram: verified.ram_bytes,
        macs: verified.macs_per_step,
        steps: verified.steps as usize,
        counts: told.counts,
        stack: told.stack,
        before: None,
        accuracy: verified.test_accuracy,
    };
    let row = Row::new(board, &measured, &audit, None, verified.equal_to_host)?
        .over_the_line(verified.weights_sha256, verified.link_bytes_per_step);
    findings.extend(row.beyond(board));
    Ok((row, findings))
}

/// As built for the other checks: the desktop has little to do here.
const FIXGRAD: [&str; 6] = ["run", "-q", "-p", "fixgrad-host", "--bin", "fixgrad"];

fn verify(shell: &Shell, link: &str, task: Task<'_>) -> Result<Verified> {
    let config = task.config;
    let mut verify =
        cmd!(shell, "cargo {FIXGRAD...} -- verify {config} --link {link} --commit --json");
    if let Some(data) = task.data {
        verify = verify.arg("--data").arg(data);
    }
    if let Some(steps) = task.steps {
        verify = verify.arg("--steps").arg(steps.to_string());
    }
    // A difference is an exit code, too; the object says more.
    let text = verify.ignore_status().read()?;
    serde_json::from_str(&text).with_context(|| format!("`fixgrad verify` failed: {text}"))
}

/// What the firmware tells besides the link.
#[derive(Debug, Default, PartialEq)]
struct Told {
    counts: u64,
    stack: Option<u64>,
    /// The step at which the last start went on; none where it began anew.
    resumed: Option<u32>,
}

impl Told {
    /// Everything up to the end of a start.
    fn hear(&mut self, machine: &Machine) -> Result<()> {
        while !self.read(&machine.line(SILENCE)?)? {}
        Ok(())
    }

    /// Takes in one line; true when it ends a start.
    fn read(&mut self, line: &str) -> Result<bool> {
        let fields: Vec<&str> = line.split_whitespace().collect();
        match fields[..] {
            ["link", _] => return Ok(false),
            ["work", counts, stack] => {
                self.counts += number(counts)?;
                self.stack = self.stack.max(Some(number(stack)?));
                return Ok(false);
            }
            ["resumed", step] => self.resumed = Some(number(step)? as u32),
            ["fresh"] => self.resumed = None,
            _ => bail!("the firmware says: {line}"),
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_firmware_tells_is_added_up() {
        let mut told = Told::default();
        for (line, end) in
            [("link b", false), ("fresh", true), ("work 5 800", false), ("work 6 700", false)]
        {
            assert_eq!(told.read(line).expect("a line"), end, "{line}");
        }
        assert_eq!(told, Told { counts: 11, stack: Some(800), resumed: None });
        assert!(told.read("resumed 2").expect("a line"));
        assert_eq!(told.resumed, Some(2));
        let error = told.read("failed fault at 7").expect_err("a fault").to_string();
        assert_eq!(error, "the firmware says: failed fault at 7");
    }
}
