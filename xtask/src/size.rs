//! `cargo xtask size [BOARD]`: builds firmware, and compares the flash and RAM that it takes with
//! what `board.toml` allows.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use object::{Object, ObjectSection, ObjectSegment, ObjectSymbol, SectionFlags};
use xshell::Shell;

use crate::board::{self, Board, Budget};
use crate::firmware;
use crate::project::Project;
use crate::qemu::trainer_of;
use crate::stage::Outcome;
use crate::toolchain::{self, Toolchain};

/// The command line of `cargo xtask size`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The board: a folder of boards/, or `all`.
    #[arg(value_name = "BOARD", default_value = "all")]
    board: String,
    /// List the functions and constants of the trainer too, on boards that train the digits.
    #[arg(long)]
    trainer: bool,
}

/// Builds and measures the boards that were asked for.
pub(crate) fn run(project: &Project, args: &Args) -> Result<ExitCode> {
    let boards = board::select(&project.root, &args.board)?;
    for board in &boards {
        Toolchain::obtain(&project.shell, &board.about.target)?;
    }
    let findings = check(&project.shell, &boards, args.trainer)?;
    for finding in &findings {
        eprintln!("error: {finding}");
    }
    Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The same for all boards that this machine can build for, as a stage of the checks.
pub(crate) fn stage(shell: &Shell) -> Result<Outcome> {
    let mut boards = board::all(Path::new("."))?;
    let mut absent = Vec::new();
    for board in &boards {
        if Toolchain::find(shell, &board.about.target)?.is_none() {
            absent.push(board.about.target.clone());
        }
    }
    boards.retain(|board| !absent.contains(&board.about.target));
    absent.sort_unstable();
    absent.dedup();
    let findings = check(shell, &boards, false)?;
    ensure!(findings.is_empty(), "{}", findings.join("; "));
    Ok(match &absent[..] {
        [] => Outcome::Passed,
        _ if boards.is_empty() => Outcome::Skipped(toolchain::missing(&absent.join(", "))),
        _ => Outcome::PassedWithout(toolchain::missing(&absent.join(", "))),
    })
}

/// Prints the sizes of all programs; what is too large, or does not build.
fn check(shell: &Shell, boards: &[Board], trainer: bool) -> Result<Vec<String>> {
    let (mut rows, mut findings) = (Vec::new(), Vec::new());
    for board in boards {
        eprintln!("== {}", board.name);
        let firmware = match firmware::build(shell, board) {
            Ok(firmware) => firmware,
            Err(error) => {
                findings.push(format!("{}: {error:#}", board.name));
                continue;
            }
        };
        for (program, budget) in &board.about.budget {
            let path = firmware.program(program);
            let bytes =
                fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let size = Size::read(&bytes)
                .with_context(|| format!("{} cannot be measured", path.display()))?;
            findings.extend(size.beyond(budget, board).map(|what| format!("{program}: {what}")));
            rows.push(size.row(program, budget, board)?);
            // Other programs do not have that trainer.
            if trainer && let Ok(items) = trainer_of(&bytes) {
                items.iter().for_each(|(name, size)| println!("{size:>8}  {name}"));
            }
        }
    }
    println!(
        "{:<16} {:>8} {:>8} {:>9}   {:>7} {:>7} {:>7} {:>8} {:>8}  part",
        "program", "flash", "budget", "there", "static", "stack", "RAM", "budget", "there"
    );
    rows.iter().for_each(|row| println!("{row}"));
    Ok(findings)
}

/// What a linked program takes, in bytes.
#[derive(Debug, PartialEq)]
struct Size {
    /// Everything that is written to the chip: code, constants, and what static memory holds at
    /// the start.
    flash: u64,
    /// Static memory, the arena included.
    memory: u64,
    /// What the linker left for the stack.
    room: u64,
}

/// Symbols of the linker scripts: the end of static memory, where the stack would meet it, and
/// where the stack begins.
const STACK: (&str, &str) = ("__sheap", "_stack_start");
/// Stands in the RAM's data view for code that lies in the same RAM (ESP chips).
const CODE_IN_RAM: &str = ".rwdata_dummy";

impl Size {
    fn read(bytes: &[u8]) -> Result<Size> {
        let file = object::File::parse(bytes)?;
        let symbol = |name: &str| {
            let found = file.symbol_by_name(name).map(|symbol| symbol.address());
            found.with_context(|| format!("it has no symbol {name}"))
        };
        let (end, stack) = (symbol(STACK.0)?, symbol(STACK.1)?);
        let memory = file.sections().filter(|section| {
            let flags = match section.flags() {
                SectionFlags::Elf { sh_flags } => sh_flags as u32,
                _ => 0,
            };
            let written =
                flags & object::elf::SHF_ALLOC != 0 && flags & object::elf::SHF_WRITE != 0;
            // Some scripts have sections for stack and heap behind the end.
            (written || section.name() == Ok(CODE_IN_RAM)) && section.address() < end
        });
        Ok(Size {
            flash: file.segments().map(|segment| segment.file_range().1).sum(),
            memory: memory.map(|section| section.size()).sum(),
            room: stack.checked_sub(end).context("its stack lies within static memory")?,
        })
    }

    /// What is more than allowed, or than there is.
    fn beyond(&self, budget: &Budget, board: &Board) -> impl Iterator<Item = String> {
        let about = &board.about;
        let ram = self.memory + budget.stack;
        let part = &about.part;
        let checks = [
            (self.flash, budget.flash, "of flash; the budget is".to_owned()),
            (ram, budget.ram, "of RAM with the stack; the budget is".to_owned()),
            (budget.stack, self.room, "of stack budgeted; the linker left".to_owned()),
            (
                budget.flash,
                about.flash - about.kept.unwrap_or_default(),
                format!("of flash budgeted; beside the checkpoints {part} has"),
            ),
            (budget.ram, about.ram, format!("of RAM budgeted; {part} has")),
        ];
        checks
            .into_iter()
            .filter(|(used, allowed, _)| used > allowed)
            .map(|(used, allowed, what)| format!("{used} bytes {what} {allowed}"))
    }

    fn row(&self, program: &str, budget: &Budget, board: &Board) -> Result<String> {
        let Board { about, .. } = board;
        let mut row = String::new();
        write!(row, "{program:<16} {:>8} {:>8} {:>9}   ", self.flash, budget.flash, about.flash)?;
        write!(row, "{:>7} {:>7} ", self.memory, budget.stack)?;
        let ram = self.memory + budget.stack;
        write!(row, "{ram:>7} {:>8} {:>8}  ", budget.ram, about.ram)?;
        write!(row, "{}, {}", about.part, about.core)?;
        Ok(row)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::board::About;

    fn board() -> Board {
        let about = About {
            target: "t".into(),
            part: "a part".into(),
            core: "a core".into(),
            ram: 2_000,
            flash: 1_000,
            kept: Some(200),
            streams: None,
            budget: BTreeMap::new(),
            qemu: None,
            device: None,
        };
        Board { name: "b".into(), folder: "b".into(), about }
    }

    #[test]
    fn more_than_the_budget_or_the_part_is_found() {
        let size = Size { flash: 700, memory: 900, room: 400 };
        let beyond = |flash, ram, stack| {
            size.beyond(&Budget { flash, ram, stack, trainer: None }, &board()).collect::<Vec<_>>()
        };
        assert_eq!(beyond(700, 1_300, 400), [""; 0]);
        assert_eq!(
            beyond(699, 1_299, 400),
            [
                "700 bytes of flash; the budget is 699",
                "1300 bytes of RAM with the stack; the budget is 1299"
            ]
        );
        assert_eq!(
            beyond(801, 2_001, 401),
            [
                "401 bytes of stack budgeted; the linker left 400",
                "801 bytes of flash budgeted; beside the checkpoints a part has 800",
                "2001 bytes of RAM budgeted; a part has 2000"
            ]
        );
    }

    #[test]
    fn what_is_no_program_is_refused() {
        assert!(Size::read(b"no ELF").is_err());
        let own = fs::read(std::env::current_exe().expect("a name")).expect("this program");
        let error = Size::read(&own).expect_err("not made by a board's linker script");
        assert_eq!(error.to_string(), "it has no symbol __sheap");
    }
}
