//! `cargo xtask flash BOARD`: builds the firmware of a real board, and brings it there with the
//! usual program for that chip.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use xshell::{Cmd, Shell, cmd};

use crate::board::{self, Board, Device, Tool};
use crate::firmware;
use crate::project::{Project, pass_through};
use crate::toolchain::Toolchain;

/// The command line of `cargo xtask flash`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The board: a folder of boards/ with a `[device]` in its board.toml.
    #[arg(value_name = "BOARD")]
    board: String,
    /// Stay, and show the log of the firmware.
    #[arg(long)]
    log: bool,
    /// Flash the program whose link goes through the debug probe, where the board has one.
    #[arg(long, conflicts_with = "log")]
    rtt: bool,
}

/// Builds and flashes.
pub(crate) fn run(project: &Project, args: &Args) -> Result<ExitCode> {
    let boards = board::select(&project.root, &args.board)?;
    let [board] = &boards[..] else { bail!("flash one board at a time: {}", real(&boards)) };
    let Some(device) = &board.about.device else {
        let all = board::all(&project.root)?;
        let name = &board.name;
        bail!("{name} is emulated: `cargo xtask qemu {name}` runs it. Real are {}", real(&all));
    };
    let program = program(board, args.rtt)?;
    let shell = &project.shell;
    Toolchain::obtain(shell, &board.about.target)?;
    let firmware = firmware::build(shell, board)?.program(&program);

    device.tool.find(shell)?;
    // Before the log begins, which ends only when the user ends it.
    println!("{}", next(board, device, args.rtt));
    for command in commands(shell, board, device, &firmware, args.log) {
        let code = pass_through(command)?;
        if code != ExitCode::SUCCESS {
            eprintln!(
                "error: {} did not reach the board: {}",
                device.tool.name(),
                device.tool.connect()
            );
            return Ok(code);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The names of the real boards.
fn real(boards: &[Board]) -> String {
    let real = boards.iter().filter(|board| board.about.device.is_some());
    real.map(|board| board.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// The program to flash.
fn program(board: &Board, rtt: bool) -> Result<String> {
    let name = if rtt { format!("{}-rtt", board.name) } else { board.name.clone() };
    if !board.about.budget.contains_key(&name) {
        bail!("{} has no program for RTT: leave --rtt out, and use its serial line", board.name);
    }
    Ok(name)
}

/// What the user does with the flashed board.
fn next(board: &Board, device: &Device, rtt: bool) -> String {
    let Device { port, wiring, lamp, chip, .. } = device;
    let (line, link) = if rtt {
        ("link through the debug probe alone".to_owned(), format!("rtt:{chip}"))
    } else {
        (format!("serial line: {wiring}"), format!("serial:{port}"))
    };
    format!(
        "{}: {line}; lit while it computes: {lamp}.\n\
         Flashed, it trains on what this machine sends, and tells what it is:\n\
         \x20   fixgrad stream CONFIG --link {link}\n\
         \x20   fixgrad verify CONFIG --link {link}   (compares every step)\n\
         \x20   fixgrad monitor --link {link}",
        board.name
    )
}

fn commands<'a>(
    shell: &'a Shell,
    board: &Board,
    device: &Device,
    firmware: &Path,
    log: bool,
) -> Vec<Cmd<'a>> {
    let chip = &device.chip;
    match device.tool {
        Tool::ProbeRs if log => vec![cmd!(shell, "probe-rs run --chip {chip} {firmware}")],
        Tool::ProbeRs => vec![
            cmd!(shell, "probe-rs download --verify --chip {chip} {firmware}"),
            cmd!(shell, "probe-rs reset --chip {chip}"),
        ],
        Tool::Espflash => {
            let partitions = board.folder.join("partitions.csv");
            let log: &[&str] = if log { &["--monitor", "--log-format", "defmt"] } else { &[] };
            let flash = cmd!(shell, "espflash flash --chip {chip} --partition-table {partitions}");
            vec![flash.args(log).arg(firmware)]
        }
    }
}

impl Tool {
    const fn name(self) -> &'static str {
        match self {
            Tool::ProbeRs => "probe-rs",
            Tool::Espflash => "espflash",
        }
    }

    /// How to get it.
    const fn package(self) -> &'static str {
        match self {
            Tool::ProbeRs => "probe-rs-tools",
            Tool::Espflash => "espflash",
        }
    }

    /// What the user connects.
    const fn connect(self) -> &'static str {
        match self {
            Tool::ProbeRs => {
                "connect the USB plug of the board's debugger, or a debug probe to its SWD pins; \
                 on Linux the udev rules of https://probe.rs/docs/getting-started/probe-setup let \
                 you use it"
            }
            Tool::Espflash => {
                "connect the board by USB; on Linux you need the right to use its serial port \
                 (often the group `dialout`)"
            }
        }
    }

    /// Makes sure that it is installed, and that there is something to flash through.
    fn find(self, shell: &Shell) -> Result<()> {
        let name = self.name();
        let answer = cmd!(shell, "{name} --version").quiet().ignore_stdout().ignore_stderr().run();
        if answer.is_err() {
            bail!("{name} is not installed: `cargo install --locked {}` gets it", self.package());
        }
        // The other one looks for ports by itself, and asks when there are several.
        if self == Tool::ProbeRs {
            let list = cmd!(shell, "probe-rs list").quiet().ignore_stderr().read();
            if !has_probe(&list.context("`probe-rs list` fails")?) {
                bail!("no debug probe is connected: {}", self.connect());
            }
        }
        Ok(())
    }
}

/// Whether the answer of `probe-rs list` names a probe: they are numbered, `[0]: ...`.
fn has_probe(list: &str) -> bool {
    list.lines().any(|line| line.trim_start().starts_with("[0]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(name: &str, log: bool) -> Vec<String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the root");
        let boards = board::select(root, name).expect("a board");
        let device = boards[0].about.device.as_ref().expect("a real board");
        let shell = Shell::new().expect("a shell");
        let commands = commands(&shell, &boards[0], device, Path::new("fw"), log);
        let partitions = root.join("boards/esp32-c3/partitions.csv").display().to_string();
        commands.iter().map(|line| line.to_string().replace(&partitions, "P")).collect()
    }

    #[test]
    fn every_tool_gets_the_chip_and_the_firmware() {
        let probe = [
            "probe-rs download --verify --chip nRF52840_xxAA fw",
            "probe-rs reset --chip nRF52840_xxAA",
        ];
        assert_eq!(lines("nrf52840-dk", false), probe);
        assert_eq!(lines("rpi-pico2-riscv", true), ["probe-rs run --chip RP235x_riscv fw"]);
        let esp = "espflash flash --chip esp32c3 --partition-table P";
        assert_eq!(lines("esp32-c3", false), [format!("{esp} fw")]);
        assert_eq!(lines("esp32-c3", true), [format!("{esp} --monitor --log-format defmt fw")]);
    }

    #[test]
    fn the_user_learns_what_to_connect_and_what_to_type_next() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the root");
        let boards = board::select(root, "rpi-pico").expect("a board");
        let device = boards[0].about.device.as_ref().expect("a real board");
        let serial = next(&boards[0], device, false);
        assert!(serial.contains("GP0 sends, GP1 receives"), "{serial}");
        assert!(serial.contains("fixgrad stream CONFIG --link serial:/dev/ttyACM0"), "{serial}");
        let rtt = next(&boards[0], device, true);
        assert!(rtt.contains("fixgrad verify CONFIG --link rtt:RP2040"), "{rtt}");
    }

    #[test]
    fn a_board_without_a_program_for_rtt_says_so() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the root");
        let boards = board::select(root, "nrf52840-dk").expect("a board");
        assert_eq!(program(&boards[0], false).expect("a program"), "nrf52840-dk");
        assert_eq!(program(&boards[0], true).expect("a program"), "nrf52840-dk-rtt");
        let boards = board::select(root, "rpi-pico").expect("a board");
        let error = program(&boards[0], true).expect_err("no program").to_string();
        assert!(error.contains("leave --rtt out"), "{error}");
    }

    #[test]
    fn a_machine_without_a_probe_is_told_apart() {
        assert!(has_probe(
            "The following debug probes were found:\n[0]: STLink V2-1 -- 0483:374b\n"
        ));
        assert!(!has_probe("No debug probes were found.\n"));
    }

    #[test]
    fn the_boards_that_are_no_use_here_are_not_offered() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the root");
        let offered = real(&board::all(root).expect("boards"));
        assert!(offered.contains("rpi-pico, rpi-pico2") && !offered.contains("qemu"), "{offered}");
    }
}
