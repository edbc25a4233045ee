//! What `boards/*/board.toml` says.

use std::collections::BTreeMap;
use std::fs;
use std::iter;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// One folder of `boards/` with a `board.toml`.
#[derive(Debug)]
pub(crate) struct Board {
    /// The name of its folder.
    pub(crate) name: String,
    /// The folder.
    pub(crate) folder: PathBuf,
    pub(crate) about: About,
}

/// The contents of `board.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct About {
    /// The Rust target.
    pub(crate) target: String,
    /// The part whose memory the board has, or pretends to have.
    pub(crate) part: String,
    /// Its processor, for people.
    pub(crate) core: String,
    /// Bytes of memory of that part.
    pub(crate) ram: u64,
    pub(crate) flash: u64,
    /// Bytes of the flash that hold checkpoints, where there is a firmware that serves the link.
    pub(crate) kept: Option<u64>,
    /// What the checks train over that link.
    pub(crate) streams: Option<Streams>,
    /// What each program of the board may take.
    pub(crate) budget: BTreeMap<String, Budget>,
    /// How it is emulated, if it is.
    pub(crate) qemu: Option<Qemu>,
    /// How a real board is reached.
    pub(crate) device: Option<Device>,
}

/// A training whose samples come over the link.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Streams {
    /// The name of a file in configs/.
    pub(crate) config: String,
    /// As many steps as take one to two seconds under emulation.
    pub(crate) steps: u32,
    /// Others, which the checks train for their layers: the kinds, losses and rules that no program in
    /// flash has.
    #[serde(default)]
    pub(crate) also: Vec<String>,
    /// Where the link goes.
    #[serde(default)]
    pub(crate) line: Line,
}

impl Streams {
    /// All that is trained over the link.
    pub(crate) fn configs(&self) -> impl Iterator<Item = &str> {
        iter::once(&self.config).chain(&self.also).map(String::as_str)
    }
}

/// The lines of emulated boards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Line {
    /// The first serial port of the machine.
    #[default]
    Serial,
    /// Files, by semihosting.
    Files,
}

/// What a program may take, in bytes.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Budget {
    /// Code, constants, and what static memory holds at the start.
    pub(crate) flash: u64,
    /// Static memory, and the stack.
    pub(crate) ram: u64,
    /// The stack, of which the linker knows nothing.
    pub(crate) stack: u64,
    /// Of the flash, the trainer, where that has a budget of its own.
    pub(crate) trainer: Option<u64>,
}

/// How the board is emulated.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Qemu {
    /// The machine, by QEMU's name, with its options.
    pub(crate) machine: String,
    /// Counts of the board's counter in a second of emulated time.
    pub(crate) counter_hz: u64,
}

/// A real board.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Device {
    /// The program that flashes it.
    pub(crate) tool: Tool,
    /// The chip, as that program calls it.
    pub(crate) chip: String,
    /// Its serial line on most Linux machines.
    pub(crate) port: String,
    /// What the user connects for that.
    pub(crate) wiring: String,
    /// What is lit while it computes.
    pub(crate) lamp: String,
}

/// Programs that flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Tool {
    ProbeRs,
    Espflash,
}

impl Qemu {
    /// Instructions in one count, when every instruction takes a nanosecond of emulated time.
    pub(crate) fn instructions_per_count(&self) -> f64 {
        1e9 / self.counter_hz as f64
    }
}

/// The emulators, and how Debian calls the packages that they are in.
pub(crate) const EMULATORS: [(&str, &str); 2] =
    [("qemu-system-arm", "qemu-system-arm"), ("qemu-system-riscv32", "qemu-system-misc")];

/// What follows the board's name in that of a program that trains on data in flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trains {
    /// The digits, with a dense network.
    Digits,
    /// The same, with the kernel for little flash.
    Small,
    /// The same, with a small convolutional network.
    Cnn,
    /// LeNet-5.
    Lenet,
    /// DS-CNN-S.
    Dscnn,
    /// The last layers of a network whose parameters are in flash.
    Tune,
}

impl Trains {
    pub(crate) const ALL: [Self; 6] =
        [Self::Digits, Self::Small, Self::Cnn, Self::Lenet, Self::Dscnn, Self::Tune];

    const fn suffix(self) -> &'static str {
        match self {
            Self::Digits => "",
            Self::Small => "-small",
            Self::Cnn => "-cnn",
            Self::Lenet => "-lenet",
            Self::Dscnn => "-dscnn",
            Self::Tune => "-tune",
        }
    }
}

impl Board {
    /// How it is emulated.
    pub(crate) fn qemu(&self) -> Result<&Qemu> {
        let name = &self.name;
        self.about.qemu.as_ref().with_context(|| {
            format!("{name} is a real board: `cargo xtask flash {name}` brings the firmware to it")
        })
    }

    /// Its programs that need no host, neither for training nor for comparing: they know themselves what
    /// they must come to. The others have the name of the board, of the link or of its line.
    pub(crate) fn stand_alone(&self) -> impl Iterator<Item = (&str, &Budget)> {
        let programs = self.about.budget.iter();
        programs.map(|(program, budget)| (program.as_str(), budget)).filter(|(program, _)| {
            let rest = program.strip_prefix(self.name.as_str());
            let trains = Trains::ALL.map(|what| Some(what.suffix())).contains(&rest);
            !trains && !matches!(rest, Some("-link" | "-rtt"))
        })
    }

    /// Its program that trains something that is in flash, where it has one.
    pub(crate) fn trains(&self, what: Trains) -> Option<String> {
        let name = format!("{}{}", self.name, what.suffix());
        Some(name).filter(|name| self.about.budget.contains_key(name))
    }

    /// Its program that compares the kernel of the chip with the scalar one. Every emulated board has
    /// it, and it has no budget: it is no part of a product.
    pub(crate) fn kernel(&self) -> String {
        format!("{}-kernel", self.name)
    }

    /// The program that emulates the board.
    pub(crate) fn emulator(&self) -> &'static str {
        let [(arm, _), (riscv, _)] = EMULATORS;
        if self.about.target.starts_with("riscv") { riscv } else { arm }
    }
}

/// All boards, by name.
pub(crate) fn all(root: &Path) -> Result<Vec<Board>> {
    let folders = root.join("boards");
    let entries =
        fs::read_dir(&folders).with_context(|| format!("cannot read {}", folders.display()))?;
    let mut boards = Vec::new();
    for entry in entries {
        let folder = entry?.path();
        let path = folder.join("board.toml");
        if !path.is_file() {
            continue;
        }
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let about = basic_toml::from_str(&text)
            .with_context(|| format!("{} is not right", path.display()))?;
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        boards.push(Board { name, folder, about });
    }
    boards.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(boards)
}

/// Those that are emulated.
pub(crate) fn emulated(root: &Path) -> Result<Vec<Board>> {
    Ok(all(root)?.into_iter().filter(|board| board.about.qemu.is_some()).collect())
}

/// The boards that a user means: one name, or `all`.
pub(crate) fn select(root: &Path, name: &str) -> Result<Vec<Board>> {
    let boards = all(root)?;
    let names: Vec<&str> = boards.iter().map(|board| board.name.as_str()).collect();
    if name != "all" && !names.contains(&name) {
        bail!("there is no board `{name}`; there are {}, and `all`", names.join(", "));
    }
    Ok(boards.into_iter().filter(|board| name == "all" || board.name == name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_board_is_a_folder_with_a_description() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path().join("boards/qemu-x");
        fs::create_dir_all(&folder).expect("a folder");
        fs::create_dir_all(root.path().join("boards/common")).expect("a folder");
        let text = "target = 'riscv32imac-unknown-none-elf'\npart = 'GD32VF103'\ncore = 'c'\n\
                    ram = 32768\nflash = 131072\nbudget = {}\nqemu = { machine = 'virt', counter_hz = 25_000_000 }\n";
        fs::write(folder.join("board.toml"), text).expect("a file");

        let boards = select(root.path(), "all").expect("boards");
        assert_eq!(boards.len(), 1);
        assert_eq!(boards[0].emulator(), "qemu-system-riscv32");
        assert_eq!(boards[0].qemu().expect("emulated").instructions_per_count(), 40.0);
        let error = select(root.path(), "nano").expect_err("no such board").to_string();
        assert_eq!(error, "there is no board `nano`; there are qemu-x, and `all`");

        fs::write(folder.join("board.toml"), format!("{text}speed = 1\n")).expect("a file");
        let error = format!("{:#}", all(root.path()).expect_err("an unknown key"));
        assert!(error.contains("board.toml is not right") && error.contains("speed"), "{error}");
    }

    #[test]
    fn a_real_board_is_not_emulated() {
        let text = "target = 't'\npart = 'p'\ncore = 'c'\nram = 1\nflash = 1\n\
                    budget.x = { flash = 1, ram = 1, stack = 1 }\n\
                    [device]\ntool = 'probe-rs'\nchip = 'c'\nport = 'p'\nwiring = 'w'\nlamp = 'l'\n";
        let about: About = basic_toml::from_str(text).expect("a description");
        let board = Board { name: "x".into(), folder: "x".into(), about };
        let error = board.qemu().expect_err("a real board").to_string();
        assert_eq!(error, "x is a real board: `cargo xtask flash x` brings the firmware to it");
    }

    /// Bytes of a region of `memory.x`, whose length is a number, or one less another.
    fn room(memory: &str, region: &str) -> Option<u64> {
        let number = |text: &str| match text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok(),
            None => Some(text.strip_suffix('K')?.parse::<u64>().ok()? * 1024),
        };
        let line = memory.lines().find(|line| line.trim().starts_with(region))?;
        let (length, less) = {
            let length = line.split("LENGTH = ").nth(1)?;
            length.split_once(" - ").unwrap_or((length, "0x0"))
        };
        Some(number(length)? - number(less)?)
    }

    #[test]
    fn the_files_of_a_board_agree() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the root");
        let boards = all(root).expect("boards");
        assert!(!boards.is_empty());
        for board @ Board { name, folder, about } in &boards {
            let read = |file: &str| fs::read_to_string(folder.join(file)).expect(file);
            let cargo = read(".cargo/config.toml");
            assert!(cargo.contains(&format!("target = \"{}\"\n", about.target)), "{name}");
            let [link, rtt] = ["link", "rtt"].map(|line| format!("{name}-{line}"));
            let mut programs: Vec<&str> = about.budget.keys().map(String::as_str).collect();
            for program in &programs {
                assert!(read("Cargo.toml").contains(&format!("name = \"{program}\"")), "{name}");
            }
            programs.retain(|program| board.stand_alone().all(|(other, _)| other != *program));
            let more = Trains::ALL.map(|what| board.trains(what));
            programs.retain(|program| {
                program == name || !more.iter().flatten().any(|other| other == program)
            });
            match (&about.qemu, &about.device) {
                (Some(qemu), None) => {
                    assert!(cargo.contains(&format!("-machine {} ", qemu.machine)), "{name}");
                    let kernel = format!("name = \"{}\"", board.kernel());
                    assert!(read("Cargo.toml").contains(&kernel), "{name}");
                    let expected = [name, &link];
                    let count = if about.kept.is_some() { 2 } else { 1 };
                    assert_eq!(programs, expected[..count], "{name}");
                }
                (None, Some(device)) => {
                    assert!(cargo.contains(&format!("--chip {}", device.chip)), "{name}");
                    assert!(programs == [name] || programs == [name, &rtt], "{name}");
                }
                _ => panic!("{name}: a board is emulated or real"),
            }
            let linked = about.qemu.is_some() && about.kept.is_some();
            assert_eq!(about.streams.is_some(), linked, "{name}");
            for config in about.streams.iter().flat_map(Streams::configs) {
                assert!(root.join(format!("configs/{config}.yaml")).exists(), "{name}: {config}");
            }
            let kept = about.kept.unwrap_or_default();
            for (program, budget) in &about.budget {
                assert!(budget.flash <= about.flash - kept, "{program}: flash");
                assert!(budget.ram <= about.ram, "{program}: RAM");
            }
            if about.device.as_ref().is_some_and(|device| device.tool == Tool::Espflash) {
                // The memory of these is in their HAL.
                assert!(read("partitions.csv").ends_with(&format!("{kept:#x}\n")), "{name}");
                continue;
            }
            let memory = read("memory.x");
            assert_eq!(room(&memory, "KEPT").unwrap_or_default(), kept, "{name}");
            let boot = room(&memory, "BOOT2").unwrap_or_default();
            assert_eq!(room(&memory, "FLASH"), Some(about.flash - kept - boot), "{name}");
            assert_eq!(room(&memory, "RAM"), Some(about.ram), "{name}");
        }
    }
}
