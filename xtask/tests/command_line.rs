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
    for verb in ["sim", "test", "qemu", "setup", "tidy", "bench", "bless", "results"] {
        assert!(help.contains(&format!("\n  {verb} ")), "{verb} is not in\n{help}");
    }
}

#[test]
fn the_last_line_counts_every_stage() {
    let output = xtask(&["test", "fmt"]);
    let text = stdout(&output);
    assert!(output.status.success(), "{text}");
    assert_eq!(text.lines().last(), Some("1 passed, 0 failed, 9 skipped"));
    assert!(text.contains("only fmt was asked for"), "{text}");
}

#[test]
fn a_board_that_does_not_exist_is_refused_with_the_list() {
    let output = xtask(&["qemu", "toaster"]);
    assert!(!output.status.success());
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("there is no board `toaster`; there are esp32-c3, "), "{error}");
}

#[test]
fn an_unknown_stage_is_refused_with_the_list() {
    let output = xtask(&["test", "everything"]);
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("[possible values: fmt, tidy, clippy"), "{error}");
}
