//! What is told on stderr, and how much of it.

use std::{
    env,
    io::{IsTerminal, stderr},
};

use anyhow::{Result, anyhow};
use tracing::level_filters::LevelFilter;

/// The environment variable that names the level.
pub const LOG_VARIABLE: &str = "FIXGRAD_LOG";

/// Sets up the log. `-v` and `-q` go before [`LOG_VARIABLE`].
pub fn init(verbose: u8, quiet: bool) -> Result<()> {
    let variable = env::var(LOG_VARIABLE).ok();
    let level = level(verbose, quiet, variable.as_deref())?;
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal())
        .with_target(false)
        .without_time()
        .init();
    Ok(())
}

fn level(verbose: u8, quiet: bool, variable: Option<&str>) -> Result<LevelFilter> {
    match (quiet, verbose) {
        (true, _) => return Ok(LevelFilter::ERROR),
        (false, 0) => {}
        (false, 1) => return Ok(LevelFilter::DEBUG),
        (false, _) => return Ok(LevelFilter::TRACE),
    }
    match variable.unwrap_or_default() {
        "" => Ok(LevelFilter::INFO),
        "error" => Ok(LevelFilter::ERROR),
        "warn" => Ok(LevelFilter::WARN),
        "info" => Ok(LevelFilter::INFO),
        "debug" => Ok(LevelFilter::DEBUG),
        "trace" => Ok(LevelFilter::TRACE),
        other => {
            Err(anyhow!("{LOG_VARIABLE} is `{other}`: expected error, warn, info, debug or trace"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_go_before_the_variable() {
        for (verbose, quiet, variable, expected) in [
            (0, false, None, LevelFilter::INFO),
            (0, false, Some(""), LevelFilter::INFO),
            (0, false, Some("trace"), LevelFilter::TRACE),
            (1, false, Some("error"), LevelFilter::DEBUG),
            (3, false, None, LevelFilter::TRACE),
            (0, true, Some("debug"), LevelFilter::ERROR),
        ] {
            assert_eq!(level(verbose, quiet, variable).unwrap(), expected);
        }
        let error = level(0, false, Some("loud")).unwrap_err().to_string();
        assert!(error.contains("`loud`: expected error, warn"), "{error}");
    }
}
