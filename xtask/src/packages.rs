//! Packages of the system, where it is Debian or a relative of it.

use xshell::{Shell, cmd};

/// A way to install packages.
#[derive(Debug, PartialEq)]
pub(crate) enum Installer {
    /// We are root.
    Apt,
    /// We may become root without a password.
    SudoApt,
}

impl Installer {
    /// The way that this machine has for us, if it has one.
    pub(crate) fn find(shell: &Shell) -> Option<Installer> {
        cmd!(shell, "apt-get --version").quiet().ignore_stdout().ignore_stderr().run().ok()?;
        if cmd!(shell, "id -u").quiet().read().is_ok_and(|id| id == "0") {
            return Some(Installer::Apt);
        }
        let sudo = cmd!(shell, "sudo -n true").quiet().ignore_stdout().ignore_stderr().run();
        sudo.is_ok().then_some(Installer::SudoApt)
    }

    /// Installs packages. What failed is told by apt, and found by looking for the programs.
    pub(crate) fn install(&self, shell: &Shell, packages: &[&str]) {
        let install = ["install", "--yes", "--no-install-recommends"];
        let install: Vec<&str> = install.iter().chain(packages).copied().collect();
        // The lists are fetched only when they turn out to be missing or old.
        if !self.apt_get(shell, &install) && self.apt_get(shell, &["update"]) {
            self.apt_get(shell, &install);
        }
    }

    fn apt_get(&self, shell: &Shell, args: &[&str]) -> bool {
        let apt = match self {
            Installer::Apt => cmd!(shell, "apt-get"),
            Installer::SudoApt => cmd!(shell, "sudo -n apt-get"),
        };
        apt.args(args).env("DEBIAN_FRONTEND", "noninteractive").ignore_stdout().run().is_ok()
    }
}

/// What a user types to install packages.
pub(crate) fn by_hand(packages: &[&str]) -> String {
    format!("sudo apt-get install {}", packages.join(" "))
}
