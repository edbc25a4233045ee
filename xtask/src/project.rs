//! Where the project is, and how a verb starts programs in it.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus};

use anyhow::{Context, Result};
use xshell::{Cmd, Shell};

/// The project root, made the working directory, and what is needed to start programs there.
pub(crate) struct Project {
    pub(crate) root: PathBuf,
    /// Where the user typed the command: paths on the command line are relative to it.
    caller: PathBuf,
    pub(crate) shell: Shell,
}

impl Project {
    /// Goes to the project root.
    pub(crate) fn enter() -> Result<Project> {
        let caller = env::current_dir().context("the current folder cannot be read")?;
        // Cargo sets the variable when it runs us, so a moved checkout needs no rebuild.
        let package = env::var_os("CARGO_MANIFEST_DIR")
            .map(PathBuf::from)
            .filter(|package| package.ends_with("xtask"))
            .unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
        let root = package.parent().context("the xtask package has no parent folder")?.to_owned();
        env::set_current_dir(&root)
            .with_context(|| format!("cannot go to the project root {}", root.display()))?;

        let shell = Shell::new()?;
        if let Some(path) = path_with_our_cargo()? {
            shell.set_var("PATH", path);
        }
        Ok(Project { root, caller, shell })
    }

    /// A path from the command line, as seen from the project root.
    ///
    /// What exists where the user stands comes first; otherwise the path is meant from the root, so
    /// that a command copied from the README works in every folder.
    pub(crate) fn locate(&self, path: &Path) -> PathBuf {
        let there = self.caller.join(path);
        if !there.exists() {
            return path.to_owned();
        }
        there.strip_prefix(&self.root).map(Path::to_owned).unwrap_or(there)
    }

    /// A configuration from the command line: a path, or the bare name of a file in `configs/`.
    pub(crate) fn locate_config(&self, config: &Path) -> PathBuf {
        let path = self.locate(config);
        let named = Path::new("configs").join(config).with_extension("yaml");
        if !path.exists() && config.extension().is_none() && named.exists() { named } else { path }
    }
}

/// A `PATH` on which `cargo` is the cargo that started us, also when the user chose a toolchain.
///
/// Commands can then be written, and shown, as plain `cargo ...`.
fn path_with_our_cargo() -> Result<Option<OsString>> {
    let Some(cargo) = env::var_os("CARGO").map(PathBuf::from) else { return Ok(None) };
    let Some(folder) = cargo.parent().filter(|folder| folder.is_absolute()) else {
        return Ok(None);
    };
    let old = env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(folder.to_owned()).chain(env::split_paths(&old));
    env::join_paths(folders).map(Some).context("PATH cannot be extended")
}

/// Shows a command on stderr, runs it on our own standard streams, and hands back how it ended.
pub(crate) fn pass_through(command: Cmd<'_>) -> Result<ExitCode> {
    eprintln!("$ {command}");
    let shown = command.to_string();
    let status = Command::from(command)
        .status()
        .with_context(|| format!("`{shown}` could not be started"))?;
    Ok(exit_code(status))
}

fn exit_code(status: ExitStatus) -> ExitCode {
    // A program ended by a signal has no code.
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    ExitCode::from(code)
}

/// A whole number with commas between thousands.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn project(root: &Path, caller: &Path) -> Project {
        Project {
            root: root.to_owned(),
            caller: caller.to_owned(),
            shell: Shell::new().expect("a shell"),
        }
    }

    #[test]
    fn paths_are_meant_from_where_the_user_stands() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        fs::create_dir(root.join("docs")).expect("docs");
        fs::write(root.join("docs/own.yaml"), "").expect("own.yaml");

        let inside = project(root, &root.join("docs"));
        assert_eq!(inside.locate(Path::new("own.yaml")), Path::new("docs/own.yaml"));
        assert_eq!(inside.locate(Path::new("configs/a.yaml")), Path::new("configs/a.yaml"));

        let outside = tempfile::tempdir().expect("a folder");
        fs::write(outside.path().join("b.yaml"), "").expect("b.yaml");
        let elsewhere = project(root, outside.path());
        assert_eq!(elsewhere.locate(Path::new("b.yaml")), outside.path().join("b.yaml"));
    }
}
