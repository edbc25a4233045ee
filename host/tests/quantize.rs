//! `fixgrad quantize` from the outside.

use std::{
    io::{ErrorKind, Write},
    process::{Command, Output, Stdio},
};

use serde_json::json;

fn quantize(args: &[&str], numbers: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_fixgrad"))
        .arg("quantize")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    // A program that refuses its arguments ends before it reads; its pipe is then closed.
    match child.stdin.take().expect("a pipe").write_all(numbers.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => panic!("numbers go in: {error}"),
        _ => {}
    }
    child.wait_with_output().expect("the program ends")
}

#[test]
fn one_json_object_comes_out() {
    let args = ["--bits", "4", "--range", "fixed=0", "--round", "rnd_conv", "--overflow", "sat"];
    let output = quantize(&[&args[..], &["--json"]].concat(), "0.95\n-1.0\n0.3125\n");
    assert!(output.status.success());
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let expected = json!({
        "bound_exponent": 0,
        "exponent": -3,
        "mantissas": [7, -8, 2],
        "values": [0.875, -1.0, 0.25],
        "mask": [0, 1, 1],
    });
    assert_eq!(found, expected);
}

#[test]
fn the_seed_decides_stochastic_rounding() {
    let numbers = "0.3\n".repeat(64) + "1\n";
    let run = |seed: &str| {
        let args = ["--bits", "2", "--round", "stochastic", "--json", "--seed", seed];
        quantize(&args, &numbers).stdout
    };
    assert_eq!(run("1"), run("1"));
    assert_ne!(run("1"), run("2"));
}

#[test]
fn a_bad_line_and_a_bad_rule_say_what_would_be_right() {
    for (args, numbers, message) in [
        (["--bits", "8"], "1\nnan\n", "line 2: \"nan\" is not finite"),
        (["--bits", "25"], "1\n", "25 is not in 1..=24"),
    ] {
        let output = quantize(&args, numbers);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && text.contains(message), "{text}");
    }
}
