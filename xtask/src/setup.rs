//! `cargo xtask setup`: finds out what the checks need beyond cargo, and gets it.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};
use xshell::{Shell, cmd};

use crate::board::{self, EMULATORS};
use crate::packages::{self, Installer};
use crate::project::Project;
use crate::stage::Outcome;
use crate::toolchain::{self, DEBIAN_PACKAGES, Toolchain};

/// The command line of `cargo xtask setup`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Install without asking.
    #[arg(long)]
    yes: bool,
}

/// Components of the Rust toolchain: the name for rustup, the subcommand of cargo, and the package
/// where Rust comes from Debian.
const COMPONENTS: [(&str, &str, &str); 2] =
    [("rustfmt", "fmt", "rustfmt"), ("clippy", "clippy", "rust-clippy")];

/// What this machine does not have.
#[derive(Debug, Default, PartialEq)]
struct Missing {
    components: Vec<&'static str>,
    targets: Vec<String>,
    /// Debian's packages of what rustup cannot bring.
    packages: Vec<&'static str>,
}

/// Installs what is missing, after asking.
pub(crate) fn run(project: &Project, args: &Args) -> Result<ExitCode> {
    let shell = &project.shell;
    let missing = find_missing(shell)?;
    if missing == Missing::default() {
        println!("setup: nothing to install");
        return Ok(ExitCode::SUCCESS);
    }
    println!("setup: will install {}", missing.list());
    if !args.yes && !agreed()? {
        println!("setup: nothing was installed");
        return Ok(ExitCode::FAILURE);
    }
    missing.install(shell);
    report(&find_missing(shell)?).map(|()| ExitCode::SUCCESS)
}

/// The same as the first stage of the checks. What cannot be installed here is no failure: the
/// stages that need it say so.
pub(crate) fn stage(shell: &Shell) -> Result<Outcome> {
    let missing = find_missing(shell)?;
    missing.install(shell);
    Ok(match report(&find_missing(shell)?) {
        Ok(()) => Outcome::Passed,
        Err(error) => Outcome::Skipped(format!("{error:#}")),
    })
}

fn report(missing: &Missing) -> Result<()> {
    if *missing == Missing::default() {
        println!("setup: complete");
        return Ok(());
    }
    bail!("still missing: {}. {}", missing.list(), missing.advice())
}

fn agreed() -> Result<bool> {
    if !io::stdin().is_terminal() {
        bail!("there is nobody to ask: say `cargo xtask setup --yes` to install");
    }
    print!("Go on? [y/N] ");
    io::stdout().flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn find_missing(shell: &Shell) -> Result<Missing> {
    let mut missing = Missing::default();
    for (name, subcommand, _) in COMPONENTS {
        if !answers(name, cmd!(shell, "cargo {subcommand} --version")) {
            missing.components.push(name);
        }
    }
    let boards = board::all(Path::new("."))?;
    let mut targets: Vec<&str> = toolchain::TARGETS.to_vec();
    targets.extend(boards.iter().map(|board| board.about.target.as_str()));
    targets.sort_unstable();
    targets.dedup();
    for target in targets {
        let found = Toolchain::find(shell, target)?;
        println!(
            "setup: {target}: {}",
            match found {
                Some(Toolchain::Installed) => "found",
                Some(Toolchain::Debian { .. }) => "found Debian's compiler and sources",
                None => "missing",
            }
        );
        if found.is_none() {
            missing.targets.push(target.to_owned());
        }
    }
    for (program, package) in EMULATORS {
        if !answers(program, cmd!(shell, "{program} --version")) {
            missing.packages.push(package);
        }
    }
    Ok(missing)
}

/// Whether a program answers with its version; tells the user either way.
fn answers(name: &str, command: xshell::Cmd<'_>) -> bool {
    let version = command.quiet().ignore_stderr().read();
    let version = version.as_deref().ok().and_then(|text| text.lines().next());
    println!("setup: {name}: {}", version.map_or("missing".into(), |text| format!("found {text}")));
    version.is_some()
}

impl Missing {
    fn list(&self) -> String {
        let targets = self.targets.iter().map(|target| format!("the target {target}"));
        let others = self.components.iter().chain(&self.packages).map(|name| (*name).to_owned());
        others.chain(targets).collect::<Vec<_>>().join(", ")
    }

    /// Tries every way; what did not work is seen by looking again.
    fn install(&self, shell: &Shell) {
        let mut packages = self.packages.clone();
        for component in &self.components {
            if cmd!(shell, "rustup component add {component}").run().is_err() {
                packages.extend(debian_name(component));
            }
        }
        let targets: Vec<&str> = self.targets.iter().map(String::as_str).collect();
        if !targets.is_empty() && !toolchain::add_targets(shell, &targets) {
            println!("setup: rustup could not bring the targets; trying Debian's compiler");
            packages.extend(DEBIAN_PACKAGES);
        }
        if packages.is_empty() {
            return;
        }
        match Installer::find(shell) {
            Some(installer) => installer.install(shell, &packages),
            None => println!("setup: packages need apt and the right to use it"),
        }
    }

    /// What the user can do where nothing can be installed.
    fn advice(&self) -> String {
        let mut packages = self.packages.clone();
        packages.extend(self.components.iter().filter_map(|component| debian_name(component)));
        let mut advice = Vec::new();
        if !self.targets.is_empty() {
            packages.extend(DEBIAN_PACKAGES);
            advice.push(format!("With rustup: `rustup target add {}`.", self.targets.join(" ")));
        }
        if !packages.is_empty() {
            advice.push(format!(
                "On Debian: `{}`; elsewhere, what your system has instead.",
                packages::by_hand(&packages)
            ));
        }
        advice.join(" ")
    }
}

fn debian_name(component: &str) -> Option<&'static str> {
    COMPONENTS.iter().find(|(name, ..)| *name == component).map(|(_, _, package)| *package)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_learns_what_to_type_when_we_cannot() {
        let missing = Missing {
            components: vec!["clippy"],
            targets: vec!["thumbv6m-none-eabi".to_owned()],
            packages: vec!["qemu-system-arm"],
        };
        assert_eq!(
            report(&missing).expect_err("something is missing").to_string(),
            "still missing: clippy, qemu-system-arm, the target thumbv6m-none-eabi. With rustup: \
             `rustup target add thumbv6m-none-eabi`. On Debian: `sudo apt-get install \
             qemu-system-arm rust-clippy rustc-web rust-web-src`; elsewhere, what your system has \
             instead."
        );
        assert!(report(&Missing::default()).is_ok());
    }

    #[test]
    fn only_what_does_not_answer_is_missing() {
        let shell = Shell::new().expect("a shell");
        assert!(answers("cargo", cmd!(shell, "cargo --version")));
        assert!(!answers("nothing", cmd!(shell, "no-such-program-anywhere --version")));
    }
}
