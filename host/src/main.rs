//! The program `fixgrad`.

use std::process::ExitCode;

fn main() -> ExitCode {
    fixgrad_host::cli::run(std::env::args_os())
}
