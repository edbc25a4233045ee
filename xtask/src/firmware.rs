//! Builds the firmware of a board.

use std::path::PathBuf;

use anyhow::{Context, Result};
use xshell::Shell;

use crate::board::Board;
use crate::toolchain::{self, Toolchain};

/// The linked programs of a board.
pub(crate) struct Firmware {
    folder: PathBuf,
}

impl Firmware {
    /// Where a program is. Its name is that of the board, or begins so.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// Builds all programs of a board.
pub(crate) fn build(shell: &Shell, board: &Board) -> Result<Firmware> {
    let target = &board.about.target;
    let toolchain = Toolchain::find(shell, target)?.with_context(|| toolchain::missing(target))?;
    // Cargo reads the board's own settings, such as its linker script, only from its folder.
    let _folder = shell.push_dir(&board.folder);
    toolchain.cargo(shell, "build", target).args(["--release", "--locked"]).run().with_context(
        || {
            let name = &board.name;
            format!(
                "the firmware of {name} does not build (if only its lockfile is behind: \
                 `cargo update --workspace --manifest-path boards/{name}/Cargo.toml`)"
            )
        },
    )?;
    Ok(Firmware { folder: toolchain::target_dir().join(target).join("release") })
}
