//! `cargo xtask bless`: accepts what the code computes now as the golden truth.

use anyhow::{Context, Result};
use xshell::cmd;

use crate::project::Project;

/// Reruns the golden tests in writing mode, then shows what that changed.
pub(crate) fn run(project: &Project) -> Result<()> {
    let shell = &project.shell;
    let tests = cmd!(shell, "cargo test -p fixgrad-tests golden").env("FIXGRAD_BLESS", "1").run();
    // Also after a failure: files that were rewritten before it are changed all the same.
    cmd!(shell, "git --no-pager diff --stat -- tests/golden").run()?;
    cmd!(shell, "git status --short -- tests/golden").run()?;
    tests.context("the golden tests did not pass, so not every golden file is rewritten")
}
