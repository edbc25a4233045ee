//! `cargo xtask qemu BOARD`: trains on an emulated board and on this machine, and compares what
//! both know after every step. Before that, the board checks its own kernel.

mod audit;
mod emulate;
mod firmware;
mod forbidden;
mod products;
mod references;
mod report;
mod table;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use xshell::{Shell, cmd};

use crate::board::{self, Board};
use crate::project::Project;
use crate::stage::Outcome;
use crate::toolchain::{self, Toolchain};
use report::Report;
use table::Row;

/// The command line of `cargo xtask qemu`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The board: a folder of boards/, or `all`.
    #[arg(value_name = "BOARD")]
    board: String,
    /// End with one line of JSON that holds the results.
    #[arg(long)]
    json: bool,
    /// How many steps to train.
    #[arg(long, value_name = "N", default_value_t = STEPS,
        value_parser = clap::value_parser!(u32).range(1..))]
    steps: u32,
}

/// One epoch of the digits.
const STEPS: u32 = 44;
/// The longest silence that is not a crash: a step and a test on the slowest board are seconds.
const SILENCE: Duration = Duration::from_secs(60);

/// Trains on the boards that were asked for.
pub(crate) fn run(project: &Project, args: &Args) -> Result<ExitCode> {
    let boards = board::select(&project.root, &args.board)?;
    for board in &boards {
        // This verb may install what `test` only looks for.
        Toolchain::obtain(&project.shell, &board.about.target)?;
        if let Some(reason) = reason_against(&project.shell, board)? {
            bail!("{}: {reason}", board.name);
        }
    }
    let (rows, findings) = train(&project.shell, &boards, args.steps)?;
    println!("{}", table::show(&rows));
    for finding in &findings {
        eprintln!("error: {finding}");
    }
    if args.json {
        println!("{}", serde_json::to_string(&serde_json::json!({ "boards": rows }))?);
    }
    Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The same for all boards that this machine can build for, as a stage of the checks.
pub(crate) fn stage(shell: &Shell) -> Result<Outcome> {
    let mut reasons = Vec::new();
    let mut boards = Vec::new();
    for board in board::all(Path::new("."))? {
        match reason_against(shell, &board)? {
            Some(reason) => reasons.push(format!("{}: {reason}", board.name)),
            None => boards.push(board),
        }
    }
    let (rows, findings) = train(shell, &boards, STEPS)?;
    println!("{}", table::show(&rows));
    if !findings.is_empty() {
        bail!("{}", findings.join("; "));
    }
    Ok(if reasons.is_empty() { Outcome::Passed } else { Outcome::Skipped(reasons.join("; ")) })
}

/// Why this machine cannot build or emulate a board.
fn reason_against(shell: &Shell, board: &Board) -> Result<Option<String>> {
    if Toolchain::find(shell, &board.about.target)?.is_none() {
        return Ok(Some(toolchain::missing(&board.about.target)));
    }
    let emulator = board.emulator();
    let answer = cmd!(shell, "{emulator} --version").quiet().ignore_stdout().ignore_stderr().run();
    Ok(answer.is_err().then(|| format!("no {emulator}; `cargo xtask setup` gets it")))
}

/// Trains on the boards; what was measured, and what is wrong.
fn train(shell: &Shell, boards: &[Board], steps: u32) -> Result<(Vec<Row>, Vec<String>)> {
    let (mut rows, mut findings) = (Vec::new(), Vec::new());
    if boards.is_empty() {
        return Ok((rows, findings));
    }
    let host = on_this_machine(shell, steps)?;
    for board in boards {
        eprintln!("== {}", board.name);
        match train_one(shell, board, &host, steps) {
            Ok((row, wrong)) => {
                findings.extend(wrong.into_iter().map(|wrong| format!("{}: {wrong}", board.name)));
                rows.push(row);
            }
            Err(error) => findings.push(format!("{}: {error:#}", board.name)),
        }
    }
    Ok((rows, findings))
}

fn train_one(
    shell: &Shell,
    board: &Board,
    host: &Report,
    steps: u32,
) -> Result<(Row, Vec<String>)> {
    let firmware = firmware::build(shell, board)?;
    let audit = audit::audit(&firmware)?;
    let mut findings = audit.findings.clone();
    let costs = products::check(board, &firmware)?;

    let mut report = Report::default();
    let mut difference = None;
    let mut command = emulate::command(board, &firmware, &steps.to_string());
    emulate::lines(&mut command, SILENCE, |line| {
        report.read(line)?;
        difference = report.difference_to(host);
        Ok(difference.is_none())
    })?;
    match &difference {
        Some(difference) => findings.push(difference.clone()),
        None => report.check_complete(steps)?,
    }
    let row = Row::new(board, &report, &audit, costs, difference.is_none());
    findings.extend(row.beyond(board));
    Ok((row, findings))
}

/// The same training with the definition of the arithmetic, on this machine.
fn on_this_machine(shell: &Shell, steps: u32) -> Result<Report> {
    let steps_word = steps.to_string();
    let text = cmd!(shell, "cargo run -q -p fixgrad-boards --example desktop -- {steps_word}")
        .read()
        .context("the run on this machine failed")?;
    let mut report = Report::default();
    text.lines().try_for_each(|line| report.read(line))?;
    report.check_complete(steps)?;
    Ok(report)
}
