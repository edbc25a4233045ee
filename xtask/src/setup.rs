//! What the checks need beyond cargo, and how this machine gets it.

use anyhow::{Context, Result, bail};
use xshell::{Shell, cmd};

/// A component of the Rust toolchain.
struct Component {
    /// Its name for rustup.
    name: &'static str,
    /// The cargo subcommand that exists when it is installed.
    subcommand: &'static str,
    /// The package to install where Rust comes from Debian.
    debian: &'static str,
}

const COMPONENTS: [Component; 2] = [
    Component { name: "rustfmt", subcommand: "fmt", debian: "rustfmt" },
    Component { name: "clippy", subcommand: "clippy", debian: "rust-clippy" },
];

/// Finds out what is missing, says so, and installs it.
pub(crate) fn run(shell: &Shell) -> Result<()> {
    let missing = missing(|component| {
        let subcommand = component.subcommand;
        cmd!(shell, "cargo {subcommand} --version").quiet().ignore_stderr().read().ok()
    });
    if missing.is_empty() {
        println!("setup: nothing to install");
    }
    for component in missing {
        install(shell, component)?;
    }
    Ok(())
}

/// The components that do not answer with a version.
fn missing(version: impl Fn(&Component) -> Option<String>) -> Vec<&'static Component> {
    let mut missing = Vec::new();
    for component in &COMPONENTS {
        match version(component) {
            Some(version) => println!("setup: {}: found {version}", component.name),
            None => {
                println!("setup: {}: missing", component.name);
                missing.push(component);
            }
        }
    }
    missing
}

fn install(shell: &Shell, component: &Component) -> Result<()> {
    let Component { name, debian, .. } = component;
    if cmd!(shell, "rustup --version").quiet().ignore_stderr().read().is_err() {
        bail!(
            "{name} is missing and there is no rustup to install it: install your system's package \
             (Debian: `apt install {debian}`), or Rust from https://rustup.rs"
        );
    }
    println!("setup: installing {name}");
    cmd!(shell, "rustup component add {name}")
        .run()
        .with_context(|| format!("rustup could not install {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_does_not_answer_is_installed() {
        let found = missing(|component| (component.name == "rustfmt").then(|| "1.8".to_owned()));
        assert_eq!(found.iter().map(|component| component.name).collect::<Vec<_>>(), ["clippy"]);
        assert!(missing(|_| Some("1.0".to_owned())).is_empty());
    }
}
