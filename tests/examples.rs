//! The examples of the core run and print what they promise.

use std::{path::Path, process::Command};

fn output(example: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace");
    let output = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--package", "fixgrad", "--example", example])
        .current_dir(root)
        .output()
        .expect("cargo runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{example}: {errors}");
    String::from_utf8(output.stdout).expect("text")
}

/// The number before the first blank of a line.
fn first_number(line: &str) -> u32 {
    let word = line.split(' ').next().expect("a word");
    word.parse().unwrap_or_else(|_| panic!("no number in front of \"{line}\""))
}

#[test]
fn xor_is_learned() {
    let text = output("xor");
    let answers: Vec<&str> = text.lines().filter(|line| line.contains("->")).collect();
    assert_eq!(answers, ["0 0 -> 0", "0 1 -> 1", "1 0 -> 1", "1 1 -> 0"]);
}

#[test]
fn digits_are_recognised() {
    let text = output("digits");
    assert!(text.contains("of 389 digits right"), "{text}");
    let last = text.lines().last().expect("a line");
    assert!(first_number(last) >= 373, "fewer than 96 %: {text}");
}

#[test]
fn a_strategy_of_ones_own_is_taken() {
    let text = output("own_strategy");
    assert!(text.starts_with("4 of 4 right"), "{text}");
}

#[test]
fn a_keyword_spotter_is_planned() {
    let text = output("keywords");
    assert!(text.starts_with("22604 parameters"), "{text}");
    let lines: Vec<&str> = text.lines().collect();
    let [.., plain, kept, forgotten] = lines[..] else { panic!("{text}") };
    assert!(plain.ends_with("of 262144 bytes") && first_number(plain) <= 262_144, "{text}");
    let readme = include_str!("../README.md").replace(',', "");
    for bytes in [kept, forgotten].map(first_number) {
        assert!(readme.contains(&bytes.to_string()), "README does not state {bytes}");
    }
}
