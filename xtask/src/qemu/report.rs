//! What a run tells about itself, on a board or on this machine. `run` in `boards/common` writes it.

use anyhow::{Context, Result, bail};

/// A run, as far as it has come.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Report {
    config: String,
    /// Bytes of the memory plan.
    ram: u64,
    /// Needed multiply-adds of a step.
    macs: u64,
    steps: Vec<Step>,
    /// The same of a network that was trained before, before the first step.
    before: Option<(u64, u64)>,
    /// Right answers, and pictures, of the test.
    test: (u64, u64),
    /// Most bytes of stack in use, where that is measured.
    stack: Option<u64>,
    ended: bool,
}

/// What a run is judged by.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) config: String,
    /// Bytes of the memory plan.
    pub(super) ram: u64,
    /// Needed multiply-adds of a step.
    pub(super) macs: u64,
    pub(super) steps: usize,
    /// What the board's counter counted during all of them.
    pub(super) counts: u64,
    /// Most bytes of stack in use, where that is measured.
    pub(super) stack: Option<u64>,
    /// The share of right answers in the test before the first step, where there was one.
    pub(super) before: Option<f64>,
    /// The share of right answers in the test.
    pub(super) accuracy: f64,
}

#[derive(Debug, PartialEq)]
pub(super) struct Step {
    /// Of weights, momentum, ranges and exponents after the step.
    digest: String,
    /// What the board's counter counted during the step.
    counts: u64,
}

impl Report {
    /// Takes in one line.
    pub(super) fn read(&mut self, line: &str) -> Result<()> {
        let fields: Vec<&str> = line.split_whitespace().collect();
        match fields[..] {
            ["config", name] => self.config = name.to_owned(),
            ["ram", bytes] => self.ram = number(bytes)?,
            ["macs", count] => self.macs = number(count)?,
            ["step", index, digest, counts] => {
                let expected = self.steps.len() as u64 + 1;
                if number(index)? != expected {
                    bail!("the run told of step {index} where step {expected} was expected");
                }
                let digest = digest.to_owned();
                self.steps.push(Step { digest, counts: number(counts)? });
            }
            ["before", right, pictures] => {
                self.before = Some((number(right)?, number(pictures)?));
            }
            ["test", right, pictures] => self.test = (number(right)?, number(pictures)?),
            ["stack", bytes] => self.stack = Some(number(bytes)?),
            ["end"] => self.ended = true,
            _ => bail!("the run says: {line}"),
        }
        Ok(())
    }

    /// In which step, if in any, this run stopped being the other one.
    pub(super) fn difference_to(&self, host: &Report) -> Option<String> {
        let known = self.before.is_some() || !self.steps.is_empty();
        if known && self.before != host.before {
            return Some(format!(
                "{:?} test pictures right and in all before the first step, expected {:?}",
                self.before, host.before
            ));
        }
        let pairs = self.steps.iter().zip(&host.steps);
        if let Some(at) = pairs.clone().position(|(a, b)| a.digest != b.digest) {
            let (board, host) = (&self.steps[at].digest, &host.steps[at].digest);
            return Some(format!(
                "step {} left other numbers than on this machine: {board}, expected {host}",
                at + 1
            ));
        }
        (self.ended && self.test != host.test).then(|| {
            format!("{:?} test pictures right and in all, expected {:?}", self.test, host.test)
        })
    }

    /// What it is judged by.
    pub(super) fn measured(&self) -> Measured {
        Measured {
            config: self.config.clone(),
            ram: self.ram,
            macs: self.macs,
            steps: self.steps.len(),
            counts: self.steps.iter().map(|step| step.counts).sum(),
            stack: self.stack,
            before: self.before.map(share),
            accuracy: share(self.test),
        }
    }

    /// Refuses a run that ended before its time.
    pub(super) fn check_complete(&self, steps: u32) -> Result<()> {
        if !self.ended || self.steps.len() != steps as usize {
            bail!("the run ended after {} of {steps} steps", self.steps.len());
        }
        Ok(())
    }
}

/// Right answers among all.
fn share((right, pictures): (u64, u64)) -> f64 {
    right as f64 / pictures.max(1) as f64
}

pub(super) fn number(text: &str) -> Result<u64> {
    text.parse().with_context(|| format!("expected a number, found `{text}`"))
}

#[cfg(test)]
pub(super) fn example() -> Report {
    let mut report = Report::default();
    let text =
        "config tiny\nram 7252\nmacs 1000\nstep 1 aa 50\nstep 2 bb 51\ntest 3 4\nstack 800\nend";
    text.lines().try_for_each(|line| report.read(line)).expect("a report");
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_step_that_differs_is_named() {
        let mut other = example();
        assert_eq!(other.difference_to(&example()), None);
        other.test.0 = 2;
        assert!(other.difference_to(&example()).is_some());
        other.steps[1].digest = "cc".to_owned();
        let difference = other.difference_to(&example()).expect("a difference");
        assert!(difference.starts_with("step 2 left other numbers"), "{difference}");
    }

    #[test]
    fn a_test_before_the_first_step_is_compared_too() {
        let with = |line: &str| {
            let mut report = Report::default();
            let lines = ["config tuned", line, "step 1 aa 50"].into_iter();
            lines
                .filter(|line| !line.is_empty())
                .try_for_each(|line| report.read(line))
                .map(|()| report)
        };
        let host = with("before 1 4").expect("a report");
        assert_eq!(host.difference_to(&host), None);
        assert_eq!(host.measured().before, Some(0.25));
        for other in ["before 2 4", ""] {
            let board = with(other).expect("a report");
            let difference = board.difference_to(&host).expect("a difference");
            assert!(difference.contains("before the first step"), "{difference}");
        }
        // Nothing is missed before it is due.
        assert_eq!(Report::default().difference_to(&host), None);
    }

    #[test]
    fn nothing_is_taken_for_a_whole_run_that_is_none() {
        assert!(example().check_complete(2).is_ok());
        assert!(example().check_complete(3).is_err());
        let mut report = Report::default();
        assert!(report.read("step 2 aa 1").is_err());
        assert!(report.read("step 1 aa many").is_err());
        let error = report.read("panicked core/src/a.rs 7").expect_err("a panic").to_string();
        assert_eq!(error, "the run says: panicked core/src/a.rs 7");
        assert!(report.check_complete(0).is_err());
    }
}
