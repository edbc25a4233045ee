//! How this machine builds for a chip: whose compiler, and where the chip's core library is from.
//!
//! rustup brings a ready core library for every target. Where rustup cannot download, a
//! distribution can help out: Debian packages a newer compiler with the sources of the core
//! library (`rustc-web`, `rust-web-src`), and cargo then builds that library like any other crate.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use xshell::{Cmd, Shell, cmd};

/// What the core is built for even when no board is involved: without and with a floating-point
/// unit, and the other instruction set.
pub(crate) const TARGETS: [&str; 3] =
    ["thumbv6m-none-eabi", "thumbv7em-none-eabihf", "riscv32imac-unknown-none-elf"];

/// Packages of Debian that can stand in for rustup's targets.
pub(crate) const DEBIAN_PACKAGES: [&str; 2] = ["rustc-web", "rust-web-src"];

/// Debian's compiler. Not looked up on `PATH`, where rustup's comes first.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

/// A way to build for a chip.
#[derive(Debug, PartialEq)]
pub(crate) enum Toolchain {
    /// The compiler that also builds for this machine has the core library of the target.
    Installed,
    /// Debian's compiler, which has the core library as source, and a linker.
    Debian { linker: PathBuf },
}

impl Toolchain {
    /// The way that this machine has for `target`, if it has one. Installs nothing.
    pub(crate) fn find(shell: &Shell, target: &str) -> Result<Option<Toolchain>> {
        let sysroot = sysroot(shell, "rustc").context("`rustc` does not answer")?;
        if has_core(&sysroot, target) {
            return Ok(Some(Toolchain::Installed));
        }
        let debian = Path::new(DEBIAN_RUSTC).exists().then(|| sysroot_of_debian(shell)).flatten();
        let linker = find_linker(&sysroot, env::var_os("PATH"));
        Ok(debian.and(linker).map(|linker| Toolchain::Debian { linker }))
    }

    /// As [`find`](Self::find); where there is no way yet, rustup is asked for the target.
    pub(crate) fn obtain(shell: &Shell, target: &str) -> Result<Option<Toolchain>> {
        match Self::find(shell, target)? {
            None if add_targets(shell, &[target]) => Self::find(shell, target),
            found => Ok(found),
        }
    }

    /// Clippy for `target`, or a plain check where clippy is not that compiler's.
    pub(crate) fn lint<'a>(&self, shell: &'a Shell, target: &str) -> Cmd<'a> {
        match self {
            Toolchain::Installed => self.cargo(shell, "clippy", target),
            Toolchain::Debian { .. } => self.cargo(shell, "check", target),
        }
    }

    /// What goes behind all other arguments of [`lint`](Self::lint).
    pub(crate) fn deny_warnings(&self) -> &'static [&'static str] {
        match self {
            Toolchain::Installed => &["--", "-D", "warnings"],
            Toolchain::Debian { .. } => &[],
        }
    }

    /// `cargo VERB` for `target`. All boards share one target directory, so that their common
    /// crates are built once for each target.
    pub(crate) fn cargo<'a>(&self, shell: &'a Shell, verb: &str, target: &str) -> Cmd<'a> {
        let folder = target_dir();
        let cargo = cmd!(shell, "cargo {verb} --target {target} --target-dir {folder}");
        match self {
            Toolchain::Installed => cargo,
            // Cargo takes `-Z` flags from a stable toolchain only with RUSTC_BOOTSTRAP.
            Toolchain::Debian { linker } => cargo
                .arg("-Zbuild-std=core")
                .env("RUSTC", DEBIAN_RUSTC)
                .env("RUSTC_BOOTSTRAP", "1")
                .env(linker_variable(target), linker),
        }
    }
}

/// What to say where [`Toolchain::find`] finds nothing.
pub(crate) fn missing(target: &str) -> String {
    format!("this machine has no core library for {target}; `cargo xtask setup` gets one")
}

/// Asks rustup for targets; whether it brought them all.
pub(crate) fn add_targets(shell: &Shell, targets: &[&str]) -> bool {
    let add = cmd!(shell, "rustup target add").args(targets);
    // It is expected to fail where there is no network, and need not tell where in its code.
    add.env("RUST_BACKTRACE", "0").ignore_stdout().run().is_ok()
}

/// Where firmware is built.
pub(crate) fn target_dir() -> PathBuf {
    let own =
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    let own =
        if own.is_relative() { env::current_dir().unwrap_or_default().join(own) } else { own };
    own.join("boards")
}

fn sysroot(shell: &Shell, rustc: &str) -> Result<PathBuf> {
    Ok(cmd!(shell, "{rustc} --print sysroot").quiet().ignore_stderr().read()?.into())
}

fn has_core(sysroot: &Path, target: &str) -> bool {
    sysroot.join("lib/rustlib").join(target).join("lib").is_dir()
}

/// The sysroot of Debian's compiler, when it holds the sources of the core library.
fn sysroot_of_debian(shell: &Shell) -> Option<PathBuf> {
    let sysroot = sysroot(shell, DEBIAN_RUSTC).ok()?;
    sysroot.join("lib/rustlib/src/rust/library/core/Cargo.toml").is_file().then_some(sysroot)
}

/// A linker for chips: the one that comes with rustup's toolchain, or LLVM's on `PATH`.
fn find_linker(sysroot: &Path, path: Option<std::ffi::OsString>) -> Option<PathBuf> {
    let hosts = sysroot.join("lib/rustlib").read_dir().into_iter().flatten().flatten();
    let ours = hosts.map(|host| host.path().join("bin/rust-lld"));
    let path = path.unwrap_or_default();
    let systems = env::split_paths(&path)
        .flat_map(|folder| ["rust-lld", "ld.lld"].map(|name| folder.join(name)));
    ours.chain(systems).find(|linker| linker.is_file())
}

/// The variable by which cargo learns the linker of a target.
fn linker_variable(target: &str) -> String {
    format!("CARGO_TARGET_{}_LINKER", target.replace(['-', '.'], "_").to_uppercase())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn debians_compiler_builds_the_core_library_itself() {
        let shell = Shell::new().expect("a shell");
        let target = TARGETS[0];
        let plain = Toolchain::Installed.cargo(&shell, "build", target).to_string();
        assert!(plain.starts_with("cargo build --target thumbv6m-none-eabi"), "{plain}");
        assert!(!plain.contains("build-std"), "{plain}");
        let debian = Toolchain::Debian { linker: "/lld".into() };
        let line = debian.cargo(&shell, "build", target).to_string();
        assert!(line.ends_with("-Zbuild-std=core"), "{line}");
        assert_eq!(
            linker_variable("thumbv8m.main-none-eabihf"),
            "CARGO_TARGET_THUMBV8M_MAIN_NONE_EABIHF_LINKER"
        );
    }

    #[test]
    fn the_linker_of_the_toolchain_comes_before_that_of_the_system() {
        let folder = tempfile::tempdir().expect("a folder");
        let system = folder.path().join("system");
        fs::create_dir_all(&system).expect("a folder");
        fs::write(system.join("ld.lld"), "").expect("a file");
        let find = || find_linker(folder.path(), Some(system.clone().into()));
        assert_eq!(find(), Some(system.join("ld.lld")));
        let ours = folder.path().join("lib/rustlib/host/bin");
        fs::create_dir_all(&ours).expect("a folder");
        fs::write(ours.join("rust-lld"), "").expect("a file");
        assert_eq!(find(), Some(ours.join("rust-lld")));
        assert_eq!(find_linker(Path::new("/nowhere"), None), None);
    }

    #[test]
    fn a_core_library_is_a_folder_of_the_sysroot() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(!has_core(folder.path(), TARGETS[0]));
        let library = folder.path().join("lib/rustlib/thumbv6m-none-eabi/lib");
        fs::create_dir_all(library).expect("a folder");
        assert!(has_core(folder.path(), TARGETS[0]));
    }
}
