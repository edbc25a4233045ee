//! Runs named checks one after the other and keeps the books: a failure does not hide the next one,
//! and nothing is left out without a reason.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::Result;
use xshell::Shell;

/// One named check.
pub(crate) struct Stage {
    pub(crate) name: &'static str,
    /// Left out by `--fast`.
    pub(crate) slow: bool,
    pub(crate) run: fn(&Shell) -> Result<Outcome>,
}

/// How a stage ended when it did not fail.
pub(crate) enum Outcome {
    Passed,
    /// Passed but for a part that could not run here; the text says which, and why.
    PassedWithout(String),
    /// It could not run here; the text says why, and what would help.
    Skipped(String),
}

enum Verdict {
    Passed,
    PassedWithout(String),
    Failed(String),
    Skipped(String),
}

struct Row {
    name: &'static str,
    verdict: Verdict,
    took: Duration,
}

/// What became of every stage. Its last line is `N passed, N failed, N skipped`.
pub(crate) struct Summary {
    rows: Vec<Row>,
}

impl Summary {
    /// Whether no stage failed.
    pub(crate) fn is_success(&self) -> bool {
        !self.rows.iter().any(|row| matches!(row.verdict, Verdict::Failed(_)))
    }

    fn count(&self, is: fn(&Verdict) -> bool) -> usize {
        self.rows.iter().filter(|row| is(&row.verdict)).count()
    }
}

/// Runs the stages in order. `leave_out` gives the reason why a stage is not wanted, if there is one.
pub(crate) fn run_stages(
    stages: &[Stage],
    shell: &Shell,
    leave_out: impl Fn(&Stage) -> Option<String>,
) -> Summary {
    let mut rows = Vec::new();
    for stage in stages {
        let start = Instant::now();
        let verdict = match leave_out(stage) {
            Some(reason) => Verdict::Skipped(reason),
            None => {
                println!("== {}", stage.name);
                match (stage.run)(shell) {
                    Ok(Outcome::Passed) => Verdict::Passed,
                    Ok(Outcome::PassedWithout(part)) => Verdict::PassedWithout(part),
                    Ok(Outcome::Skipped(reason)) => Verdict::Skipped(reason),
                    Err(error) => Verdict::Failed(format!("{error:#}")),
                }
            }
        };
        let row = Row { name: stage.name, verdict, took: start.elapsed() };
        println!("{row}");
        rows.push(row);
    }
    Summary { rows }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.took.as_secs_f64();
        match &self.verdict {
            Verdict::Passed => write!(f, "passed   {:<12} {seconds:7.1} s", self.name),
            Verdict::PassedWithout(part) => {
                write!(f, "passed   {:<12} {seconds:7.1} s  without {part}", self.name)
            }
            Verdict::Failed(why) => write!(f, "FAILED   {:<12} {seconds:7.1} s  {why}", self.name),
            Verdict::Skipped(why) => write!(f, "skipped  {:<12}            {why}", self.name),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in &self.rows {
            writeln!(f, "{row}")?;
        }
        let passed =
            self.count(|verdict| matches!(verdict, Verdict::Passed | Verdict::PassedWithout(_)));
        let failed = self.count(|verdict| matches!(verdict, Verdict::Failed(_)));
        let skipped = self.count(|verdict| matches!(verdict, Verdict::Skipped(_)));
        write!(f, "{passed} passed, {failed} failed, {skipped} skipped")
    }
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    const STAGES: [Stage; 5] = [
        Stage { name: "bad", slow: false, run: |_| bail!("a reason") },
        Stage { name: "good", slow: false, run: |_| Ok(Outcome::Passed) },
        Stage { name: "absent", slow: false, run: |_| Ok(Outcome::Skipped("no tool".into())) },
        Stage { name: "most", slow: false, run: |_| Ok(Outcome::PassedWithout("a part".into())) },
        Stage { name: "late", slow: true, run: |_| Ok(Outcome::Passed) },
    ];

    fn summary(leave_out: impl Fn(&Stage) -> Option<String>) -> Summary {
        run_stages(&STAGES, &Shell::new().expect("a shell"), leave_out)
    }

    #[test]
    fn a_failure_does_not_stop_the_rest_and_every_reason_is_told() {
        let summary = summary(|stage| stage.slow.then(|| "slow".to_owned()));
        let text = summary.to_string();
        assert!(!summary.is_success());
        assert!(text.contains("FAILED   bad") && text.contains("a reason"), "{text}");
        assert!(text.contains("skipped  absent") && text.contains("no tool"), "{text}");
        assert!(text.contains("passed   most") && text.contains("without a part"), "{text}");
        assert!(text.contains("skipped  late") && text.contains("slow"), "{text}");
        assert_eq!(text.lines().last(), Some("2 passed, 1 failed, 2 skipped"));
    }

    #[test]
    fn a_stage_that_is_left_out_does_not_run() {
        let summary = summary(|stage| (stage.name == "bad").then(|| "not wanted".to_owned()));
        assert!(summary.is_success());
        assert!(summary.to_string().ends_with("3 passed, 0 failed, 2 skipped"));
    }
}
