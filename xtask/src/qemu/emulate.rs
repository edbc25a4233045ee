//! Runs firmware under QEMU, line by line.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::board::Board;

/// QEMU with the firmware. `-icount shift=0` makes every instruction take a nanosecond of emulated
/// time, so that a board's counter counts instructions, on every machine the same.
pub(super) fn machine(board: &Board, firmware: &Path) -> Result<Command> {
    let mut command = Command::new(board.emulator());
    command
        .args(["-machine", &board.qemu()?.machine])
        .args(["-display", "none", "-monitor", "none", "-bios", "none", "-icount", "shift=0"])
        .arg("-kernel")
        .arg(firmware);
    Ok(command)
}

/// As [`machine`], without a serial line; the firmware reads its `task` from the command line, such as
/// the steps to train.
pub(super) fn command(board: &Board, firmware: &Path, task: &str) -> Result<Command> {
    let mut command = machine(board, firmware)?;
    command
        .args(["-serial", "none", "-semihosting-config"])
        .arg(format!("enable=on,target=native,arg={},arg={task}", board.name));
    Ok(command)
}

/// Hands every line of a program's output to `take`, until the program ends or `take` says that it
/// has enough. A program that is silent for too long is ended.
pub(super) fn lines(
    command: &mut Command,
    silence: Duration,
    mut take: impl FnMut(&str) -> Result<bool>,
) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = Running(child.with_context(|| format!("cannot start {name}"))?);
    let stdout = child.0.stdout.take().context("a pipe was asked for")?;
    let mut stderr = child.0.stderr.take().context("a pipe was asked for")?;
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    let complaints = thread::spawn(move || std::io::read_to_string(&mut stderr));
    loop {
        match receiver.recv_timeout(silence) {
            Ok(line) => {
                if !take(&line)? {
                    return Ok(());
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                bail!("{name} was silent for {} s and was ended", silence.as_secs())
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    let status = child.0.wait()?;
    if !status.success() {
        let complaints = complaints.join().ok().and_then(Result::ok).unwrap_or_default();
        bail!("{name} ended with {status}: {}", complaints.trim());
    }
    Ok(())
}

/// Ends the program when we are done with it, whatever the reason.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself, which is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn lines_arrive_until_the_end_or_until_there_are_enough() {
        let mut seen = Vec::new();
        let all = lines(&mut shell("echo a; echo b"), Duration::from_secs(20), |line| {
            seen.push(line.to_owned());
            Ok(true)
        });
        all.expect("a good end");
        assert_eq!(seen, ["a", "b"]);
        lines(&mut shell("echo a; sleep 600"), Duration::from_secs(20), |_| Ok(false))
            .expect("enough");
    }

    #[test]
    fn a_silent_program_and_a_failing_one_are_errors() {
        let error = lines(&mut shell("exec sleep 600"), Duration::from_millis(50), |_| Ok(true));
        assert!(error.expect_err("silent").to_string().contains("was silent"));
        let error = lines(&mut shell("echo no >&2; exit 3"), Duration::from_secs(20), |_| Ok(true));
        let error = error.expect_err("failed").to_string();
        assert!(error.contains('3') && error.ends_with("no"), "{error}");
    }
}
