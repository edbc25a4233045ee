//! Programs of a board that need no host, such as the examples. Each knows what it must come to, and
//! tells by its exit code whether it did.

use anyhow::{Context, Result, bail};

use super::{SILENCE, audit, emulate, report::number};
use crate::board::{Board, Budget};
use crate::firmware::Firmware;

/// Runs all of them; what is wrong.
pub(super) fn check(board: &Board, firmware: &Firmware) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for (program, budget) in board.stand_alone() {
        let path = firmware.program(program);
        let wrong = audit::stand_alone(&path)?.into_iter();
        findings.extend(wrong.map(|finding| format!("{program}: {finding}")));
        let mut stack = None;
        // It reads no task.
        let mut command = emulate::command(board, &path, "none")?;
        let run = emulate::lines(&mut command, SILENCE, |line| {
            stack = Some(stack_of(line)?);
            Ok(true)
        });
        run.with_context(|| program.to_owned())?;
        findings.extend(beyond(program, stack, budget));
    }
    Ok(findings)
}

/// The one line of such a program.
fn stack_of(line: &str) -> Result<u64> {
    match line.split_once(' ') {
        Some(("stack", bytes)) => number(bytes),
        _ => bail!("it says: {line}"),
    }
}

fn beyond(program: &str, stack: Option<u64>, budget: &Budget) -> Option<String> {
    let allowed = budget.stack;
    match stack {
        None => Some(format!("{program} ended without a word about its stack")),
        Some(used) if used > allowed => {
            Some(format!("{program}: {used} bytes of stack; the budget is {allowed}"))
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_beyond_the_budget_and_a_failure_are_found() {
        let budget = Budget { flash: 0, ram: 0, stack: 800, trainer: None };
        let judge = |line| stack_of(line).map(|stack| beyond("p", Some(stack), &budget));
        assert_eq!(judge("stack 800").expect("a stack"), None);
        let finding = judge("stack 801").expect("a stack").expect("a finding");
        assert_eq!(finding, "p: 801 bytes of stack; the budget is 800");
        assert!(beyond("p", None, &budget).is_some());
        let error = judge("failed the program ended early, line 7").expect_err("a failure");
        assert!(error.to_string().ends_with("ended early, line 7"), "{error}");
    }
}
