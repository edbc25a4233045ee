//! What `boards/*/board.toml` says.

use std::fs;
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
    /// Bytes of memory of that part.
    pub(crate) ram: u64,
    pub(crate) flash: u64,
    /// Bytes of the flash that hold checkpoints, where there is a firmware that serves the link.
    pub(crate) kept: Option<u64>,
    pub(crate) qemu: Qemu,
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

impl Qemu {
    /// Instructions in one count, when every instruction takes a nanosecond of emulated time.
    pub(crate) fn instructions_per_count(&self) -> f64 {
        1e9 / self.counter_hz as f64
    }
}

/// The emulators, and how Debian calls the packages that they are in.
pub(crate) const EMULATORS: [(&str, &str); 2] =
    [("qemu-system-arm", "qemu-system-arm"), ("qemu-system-riscv32", "qemu-system-misc")];

impl Board {
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
        let about =
            toml::from_str(&text).with_context(|| format!("{} is not right", path.display()))?;
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        boards.push(Board { name, folder, about });
    }
    boards.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(boards)
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
        let text = "target = 'riscv32imac-unknown-none-elf'\npart = 'GD32VF103'\nram = 32768\n\
                    flash = 131072\nqemu = { machine = 'virt', counter_hz = 25_000_000 }\n";
        fs::write(folder.join("board.toml"), text).expect("a file");

        let boards = select(root.path(), "all").expect("boards");
        assert_eq!(boards.len(), 1);
        assert_eq!(boards[0].emulator(), "qemu-system-riscv32");
        assert_eq!(boards[0].about.qemu.instructions_per_count(), 40.0);
        let error = select(root.path(), "nano").expect_err("no such board").to_string();
        assert_eq!(error, "there is no board `nano`; there are qemu-x, and `all`");

        fs::write(folder.join("board.toml"), format!("{text}speed = 1\n")).expect("a file");
        let error = format!("{:#}", all(root.path()).expect_err("an unknown key"));
        assert!(error.contains("board.toml is not right") && error.contains("speed"), "{error}");
    }

    #[test]
    fn the_files_of_a_board_agree() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the root");
        let boards = all(root).expect("boards");
        assert!(!boards.is_empty());
        for Board { name, folder, about } in &boards {
            let read = |file: &str| fs::read_to_string(folder.join(file)).expect(file);
            let memory = read("memory.x");
            let room = |region: &str| {
                let line = memory.lines().find(|line| line.trim().starts_with(region));
                let kilobytes =
                    line.and_then(|line| line.split("LENGTH = ").nth(1)?.strip_suffix('K'));
                kilobytes.and_then(|number| number.parse::<u64>().ok()).map(|number| number * 1024)
            };
            assert_eq!(room("KEPT"), about.kept, "{name}");
            assert_eq!(folder.join("src/link.rs").is_file(), about.kept.is_some(), "{name}");
            let kept = about.kept.unwrap_or_default();
            assert_eq!(room("FLASH"), Some(about.flash - kept), "{name}");
            assert_eq!(room("RAM"), Some(about.ram), "{name}");
            let cargo = read(".cargo/config.toml");
            assert!(cargo.contains(&format!("target = \"{}\"\n", about.target)), "{name}");
            assert!(cargo.contains(&format!("-machine {} ", about.qemu.machine)), "{name}");
        }
    }
}
