//! `fixgrad fold`: a network without its batch normalisation.

use std::fs;

use serde_json::Value;

use crate::support::{CONFIG, Desk};

#[test]
fn a_folded_network_answers_as_the_one_it_comes_from() {
    let desk = Desk::new();
    let normalised =
        CONFIG.replace("    - relu", "    - batch_norm: { name: normalised }\n    - relu");
    fs::write(desk.path("norm.yaml"), normalised).unwrap();
    desk.json("train norm.yaml --out run --json");
    let said = desk.stdout("fold run folded.fxg");
    assert_eq!(said, "folded.fxg: folded normalised\n");
    let names =
        |model| fs::read(desk.path(model)).unwrap().windows(10).any(|bytes| bytes == b"normalised");
    assert!(names("run/model.fxg") && !names("folded.fxg"));
    let right = |line: &str| {
        let answer: Value = desk.json(line);
        (answer["test_accuracy"].as_f64().unwrap() * 390.0).round() as i32
    };
    let (whole, folded) = (right("eval run --json"), right("eval folded.fxg --json"));
    // Of 390 pictures, roundings decide about a few at most.
    assert!(whole > 195 && (whole - folded).abs() <= 8, "{whole} {folded}");
    assert!(desk.refusal("fold folded.fxg twice.fxg").contains("there is nothing to fold"));
    assert!(!desk.path("twice.fxg").exists());
}
