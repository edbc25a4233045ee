//! The program as a person or a script meets it.

use std::process::{Command, Output};

fn xtask(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(arguments).env_remove("CI").output().expect("xtask starts")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn help_names_every_verb() {
    let help = stdout(&xtask(&["--help"]));
    for verb in ["sim", "test", "tidy", "bench", "bless", "results"] {
        assert!(help.contains(&format!("\n  {verb} ")), "{verb} is not in\n{help}");
    }
}

#[test]
fn the_last_line_counts_every_stage() {
    let output = xtask(&["test", "bare-metal"]);
    let text = stdout(&output);
    assert!(output.status.success(), "{text}");
    let closing = text.lines().last().expect("a last line");
    // Where the target is not installed, the stage itself is skipped, too.
    assert!(["1 passed, 0 failed, 7 skipped", "0 passed, 0 failed, 8 skipped"].contains(&closing));
    assert!(text.contains("only bare-metal was asked for"), "{text}");
}

#[test]
fn an_unknown_stage_is_refused_with_the_list() {
    let output = xtask(&["test", "everything"]);
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("[possible values: fmt, tidy, clippy"), "{error}");
}
