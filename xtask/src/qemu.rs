//! `cargo xtask qemu BOARD [CONFIG]`: trains on an emulated board and on this machine, and compares
//! what both know after every step. Without a configuration the board checks its own kernel and
//! trains on digits in its flash; with one, on samples that this machine sends over its serial line.

mod audit;
mod emulate;
mod files;
mod flash;
mod forbidden;
mod kernel;
mod machine;
mod pictures;
mod references;
mod report;
mod stand_alone;
mod stream;
mod table;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use xshell::{Shell, cmd};

use crate::board::{self, Board, Streams, Trains};
use crate::firmware;
use crate::parallel;
use crate::project::Project;
use crate::stage::Outcome;
use crate::toolchain::{self, Toolchain};
pub(crate) use flash::trainer_of;
use report::Report;
use stream::Task;
pub(crate) use table::Row;

/// The command line of `cargo xtask qemu`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The board: a folder of boards/, or `all`.
    #[arg(value_name = "BOARD")]
    board: String,
    /// What to train over the serial line: a YAML file, or the name of one in configs/. With `all`,
    /// on the boards that have a firmware for it. By default, the digits in the board's flash.
    #[arg(value_name = "CONFIG")]
    config: Option<PathBuf>,
    /// Folder with the data sets of CONFIG.
    #[arg(long, value_name = "DIR", requires = "config")]
    data: Option<PathBuf>,
    /// End with one line of JSON that holds the results.
    #[arg(long)]
    json: bool,
    /// How many steps to train; by default an epoch of the digits, fewer of larger networks, or all steps
    /// of CONFIG.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    steps: Option<u32>,
}

/// What is trained on data in flash: the programs of boards, the word by which the run on this machine
/// knows it, and steps: an epoch of the digits, the whole tuning, or as many as take a board some seconds.
/// Bounds need the first ones to find their place, one a layer; until then networks answer nothing.
const IN_FLASH: [(Trains, &str, u32); 6] = [
    (Trains::Digits, "digits", 44),
    (Trains::Small, "digits", 44),
    (Trains::Cnn, "cnn", 16),
    (Trains::Lenet, "lenet", 16),
    (Trains::Dscnn, "dscnn", 12),
    (Trains::Tune, "tune", 600),
];
/// Steps for a table: an epoch of 5,000 pictures, 16 a step.
const STREAMED_EPOCH: u32 = 313;
/// The longest silence that is not a crash: a step and a test on the slowest board are seconds.
const SILENCE: Duration = Duration::from_secs(60);

/// Trains on the boards that were asked for.
pub(crate) fn run(project: &Project, args: &Args) -> Result<ExitCode> {
    let mut boards = board::select(&project.root, &args.board)?;
    if args.board == "all" {
        boards.retain(|board| board.about.qemu.is_some());
        boards.retain(|board| args.config.is_none() || board.about.kept.is_some());
    }
    prepare(&project.shell, &boards)?;
    let (rows, findings) = match &args.config {
        None => train(&project.shell, &boards, args.steps)?,
        Some(config) => {
            let config = project.locate_config(config);
            let data = args.data.as_ref().map(|data| project.locate(data));
            let task = Task { config: &config, data: data.as_deref(), steps: args.steps };
            stream::prepare(&project.shell)?;
            let jobs: Vec<_> = boards.iter().map(|board| (board, task)).collect();
            collect(&project.shell, &jobs, |shell, board, task| stream::train(shell, board, *task))
        }
    };
    println!("{}", table::show(&rows));
    for finding in &findings {
        eprintln!("error: {finding}");
    }
    if args.json {
        println!("{}", serde_json::to_string(&serde_json::json!({ "boards": rows }))?);
    }
    Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Makes sure that all these boards can be built and emulated.
fn prepare(shell: &Shell, boards: &[Board]) -> Result<()> {
    for board in boards {
        board.qemu()?;
        // A verb may install what `test` only looks for.
        Toolchain::obtain(shell, &board.about.target)?;
        if let Some(reason) = reason_against(shell, board)? {
            bail!("{}: {reason}", board.name);
        }
    }
    Ok(())
}

/// The same for all boards that this machine can build for, as a stage of the checks.
pub(crate) fn stage(shell: &Shell) -> Result<Outcome> {
    let mut reasons = Vec::new();
    let mut boards = Vec::new();
    for board in board::emulated(Path::new("."))? {
        match reason_against(shell, &board)? {
            Some(reason) => reasons.push(format!("{}: {reason}", board.name)),
            None => boards.push(board),
        }
    }
    let (rows, findings) = everything(shell, &boards, None, None)?;
    println!("{}", table::show(&rows));
    if !findings.is_empty() {
        bail!("{}", findings.join("; "));
    }
    Ok(if reasons.is_empty() { Outcome::Passed } else { Outcome::Skipped(reasons.join("; ")) })
}

/// The same for a table: what was measured, and what is wrong.
pub(crate) fn measure(
    project: &Project,
    boards: &[Board],
    data: Option<&Path>,
) -> Result<(Vec<Row>, Vec<String>)> {
    prepare(&project.shell, boards)?;
    everything(&project.shell, boards, data, Some(STREAMED_EPOCH))
}

/// What is in flash on all boards; and over the serial line of those that have one as many steps as was asked,
/// or as the board says, on pictures that stand in for MNIST where there is no data.
fn everything<'b>(
    shell: &Shell,
    boards: &'b [Board],
    data: Option<&Path>,
    steps: Option<u32>,
) -> Result<(Vec<Row>, Vec<String>)> {
    let (mut rows, mut findings) = train(shell, boards, None)?;
    let linked = boards.iter().filter_map(|board| Some((board, board.about.streams.as_ref()?)));
    let streams = |(board, streams): (_, &'b Streams)| {
        // For a table, the one that it is about; to compare, all.
        let count = if steps.is_some() { 1 } else { usize::MAX };
        let steps = steps.unwrap_or(streams.steps);
        streams.configs().take(count).map(move |config| (board, (config, steps)))
    };
    let linked: Vec<(&Board, (&str, u32))> = linked.flat_map(streams).collect();
    if linked.is_empty() {
        return Ok((rows, findings));
    }
    stream::prepare(shell)?;
    let stand_in = toolchain::target_dir().join("pictures");
    if data.is_none() {
        pictures::write(&stand_in)?;
    }
    let data = Some(data.unwrap_or(&stand_in));
    let streamed = collect(shell, &linked, |shell, board, &(config, steps)| {
        let path = PathBuf::from(format!("configs/{config}.yaml"));
        let task = Task { config: &path, data, steps: Some(steps) };
        let (row, findings) = stream::train(shell, board, task).context(config.to_owned())?;
        Ok((row, findings.iter().map(|found| format!("{config}: {found}")).collect()))
    });
    rows.extend(streamed.0);
    findings.extend(streamed.1);
    Ok((rows, findings))
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
fn train(shell: &Shell, boards: &[Board], steps: Option<u32>) -> Result<(Vec<Row>, Vec<String>)> {
    let (mut jobs, mut hosts) = (Vec::new(), Vec::new());
    for (what, word, usual) in IN_FLASH {
        let (before, steps) = (jobs.len(), steps.unwrap_or(usual));
        let programs = boards.iter().filter_map(|board| Some((board, board.trains(what)?)));
        jobs.extend(
            programs
                .map(|(board, program)| (board, Job { what, program, steps, host: hosts.len() })),
        );
        if jobs.len() > before {
            hosts.push(on_this_machine(shell, word, steps)?);
        }
    }
    Ok(collect(shell, &jobs, |shell, board, job| train_one(shell, board, job, &hosts[job.host])))
}

/// A program of a board that trains on data in flash.
struct Job {
    what: Trains,
    program: String,
    steps: u32,
    /// Which run on this machine does the same.
    host: usize,
}

/// Several boards at once, since an emulated one needs one core: what was measured, in the order of
/// the boards, and what is wrong.
fn collect<T: Sync>(
    shell: &Shell,
    boards: &[(&Board, T)],
    train: impl Fn(&Shell, &Board, &T) -> Result<(Row, Vec<String>)> + Sync,
) -> (Vec<Row>, Vec<String>) {
    let trained = parallel::each(shell, boards, |shell, (board, task)| {
        eprintln!("== {}", board.name);
        train(shell, board, task)
    });
    let (mut rows, mut findings) = (Vec::new(), Vec::new());
    for ((board, _), outcome) in boards.iter().zip(trained) {
        match outcome {
            Ok((row, wrong)) => {
                findings.extend(wrong.into_iter().map(|wrong| format!("{}: {wrong}", board.name)));
                rows.push(row);
            }
            Err(error) => findings.push(format!("{}: {error:#}", board.name)),
        }
    }
    (rows, findings)
}

fn train_one(shell: &Shell, board: &Board, job: &Job, host: &Report) -> Result<(Row, Vec<String>)> {
    let Job { what, ref program, steps, .. } = *job;
    let programs = firmware::build(shell, board)?;
    let firmware = programs.program(program);
    let audit = audit::audit(&firmware, audit::IN_FLASH)?;
    let mut findings = audit.findings.clone();
    if what == Trains::Digits {
        findings.extend(stand_alone::check(board, &programs)?);
    }
    let costs = match what {
        Trains::Digits => Some(kernel::check(board, &programs, kernel::DEVICE)?),
        Trains::Small => Some(kernel::check(board, &programs, kernel::SCALAR)?),
        Trains::Cnn | Trains::Lenet | Trains::Dscnn | Trains::Tune => None,
    };

    let mut report = Report::default();
    let mut difference = None;
    let mut command = emulate::command(board, &firmware, &steps.to_string())?;
    emulate::lines(&mut command, SILENCE, |line| {
        report.read(line)?;
        difference = report.difference_to(host);
        Ok(difference.is_none())
    })?;
    match &difference {
        Some(difference) => findings.push(difference.clone()),
        None => report.check_complete(steps)?,
    }
    let row = Row::new(board, &report.measured(), &audit, costs, difference.is_none())?
        .of_program(program);
    findings.extend(row.beyond(board));
    Ok((row, findings))
}

/// The same training with the definition of the arithmetic, on this machine.
fn on_this_machine(shell: &Shell, what: &str, steps: u32) -> Result<Report> {
    let steps_word = steps.to_string();
    let text =
        cmd!(shell, "cargo run -q -p fixgrad-boards --example desktop -- {steps_word} {what}")
            .read()
            .context("the run on this machine failed")?;
    let mut report = Report::default();
    text.lines().try_for_each(|line| report.read(line))?;
    report.check_complete(steps)?;
    Ok(report)
}
