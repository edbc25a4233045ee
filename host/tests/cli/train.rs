//! `fixgrad train` and `fixgrad eval`, as a user runs them.

use std::{fs, thread, time::Duration};

use serde_json::Value;

use crate::support::{CONFIG, Desk, augmented, names};

const RUN: [&str; 6] =
    ["checkpoint.fxg", "config.yaml", "metrics.jsonl", "model.fxg", "origin.json", "report.html"];

#[test]
fn a_run_leaves_a_folder_and_ends_with_its_results() {
    let desk = Desk::new();
    let first = desk.json("train tiny.yaml --seed 7 --json");
    assert_eq!(names(&desk.path("runs/tiny-7-1")), RUN);
    for (key, expected) in [("config", "tiny"), ("run_dir", "runs/tiny-7-1")] {
        assert_eq!(first[key], expected);
    }
    assert_eq!((&first["seed"], &first["epochs"]), (&Value::from(7), &Value::from(3)));
    for key in ["test_accuracy", "validation_accuracy"] {
        let share = first[key].as_f64().unwrap();
        assert!((0.5..=1.0).contains(&share), "{key}: {share}");
    }
    for key in ["train_seconds", "samples_per_second", "ram_bytes", "flash_bytes"] {
        assert!(first[key].as_f64().unwrap() > 0.0, "{key}");
    }
    assert_eq!(first["weights_sha256"].as_str().unwrap().len(), 64);

    // The same again, in lines for people, in the next folder, on another number of threads.
    let text = desk.stdout("train tiny.yaml --seed 7 --threads 1 -q");
    assert!(text.contains(first["weights_sha256"].as_str().unwrap()), "{text}");
    assert!(text.contains("runs/tiny-7-2/report.html"), "{text}");
    assert_eq!(desk.metrics("runs/tiny-7-1"), desk.metrics("runs/tiny-7-2"));

    // The resolved configuration is a configuration, and trains the same.
    let again = desk.json("train runs/tiny-7-1/config.yaml --json --out again");
    assert_eq!(again["weights_sha256"], first["weights_sha256"]);

    for what in ["runs/tiny-7-1", "runs/tiny-7-1/model.fxg", "runs/tiny-7-1/checkpoint.fxg"] {
        let eval = desk.json(&format!("eval {what} --json"));
        assert_eq!(eval["test_accuracy"], first["test_accuracy"]);
        assert_eq!(eval["weights_sha256"], first["weights_sha256"]);
    }
    let text = desk.stdout("eval runs/tiny-7-1");
    assert!(text.contains("predicted class"), "{text}");
}

#[test]
fn a_run_that_was_killed_ends_as_if_it_had_not_been() {
    let desk = Desk::new();
    fs::write(desk.path("tiny.yaml"), augmented()).unwrap();
    let whole = desk.json("train tiny.yaml --epochs 150 --threads 2 --out whole --json");
    let mut child =
        desk.command("train tiny.yaml --epochs 150 --threads 1 --out cut -q").spawn().unwrap();
    let log = desk.path("cut/metrics.jsonl");
    while fs::read_to_string(&log).map_or(0, |text| text.lines().count()) < 4 {
        assert!(child.try_wait().unwrap().is_none(), "ended before it could be killed");
        thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let text = fs::read_to_string(&log).unwrap();
    assert!(!text.contains(r#""kind":"end""#), "ended before it was killed");

    // As if the kill had come in the middle of a line, which now and then it does.
    fs::write(&log, format!("{text}{{\"kind\":\"epo")).unwrap();
    let resumed = desk.json("train --resume cut --json");
    assert_eq!(resumed["weights_sha256"], whole["weights_sha256"]);
    assert_eq!(desk.metrics("cut"), desk.metrics("whole"));

    // A finished run is left alone.
    let before = fs::read(desk.path("cut/metrics.jsonl")).unwrap();
    let output = desk.output("train --resume cut --json");
    assert!(String::from_utf8_lossy(&output.stderr).contains("finished already"));
    let line: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(line["weights_sha256"], whole["weights_sha256"]);
    assert_eq!(fs::read(desk.path("cut/metrics.jsonl")).unwrap(), before);
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let desk = Desk::new();
    desk.stdout("train tiny.yaml --out a");
    assert!(desk.refusal("train tiny.yaml --out a").contains("--resume a"));
    assert!(desk.refusal("train --resume a --seed 1").contains("--seed"));
    let other = CONFIG.replace("lr: 0.5", "lr: 0.25");
    fs::write(desk.path("other.yaml"), &other).unwrap();
    let text = desk.refusal("train other.yaml --resume a");
    assert!(text.contains("`lr: 0.5` here and `lr: 0.25` there"), "{text}");
    desk.stdout("train tiny.yaml --resume a");

    let yaml = fs::read_to_string(desk.path("a/config.yaml")).unwrap();
    fs::write(desk.path("a/config.yaml"), yaml.replace("lr: 0.5", "lr: 0.125")).unwrap();
    let text = desk.refusal("train --resume a");
    assert!(text.contains("checkpoint.fxg") && text.contains("lr: 0.125"), "{text}");
    fs::write(desk.path("a/config.yaml"), yaml).unwrap();

    let checkpoint = desk.path("a/checkpoint.fxg");
    let good = fs::read(&checkpoint).unwrap();
    fs::write(&checkpoint, &good[..good.len() / 2]).unwrap();
    assert!(desk.refusal("train --resume a").contains("cut short"));
    fs::copy(desk.path("tiny.yaml"), &checkpoint).unwrap();
    assert!(desk.refusal("train --resume a").contains("another kind of file"));

    assert!(desk.refusal("train --resume nowhere").contains("nowhere: expected the folder"));
    assert!(desk.refusal("eval tiny.yaml").contains("tiny.yaml"));
    assert!(desk.refusal("eval nowhere.fxg").contains("nowhere.fxg"));
    assert!(desk.refusal("train nowhere.yaml").contains("nowhere.yaml"));
    assert_eq!(desk.output("train").status.code(), Some(2));
    assert_eq!(desk.output("train tiny.yaml --epochs 0").status.code(), Some(2));
}

#[test]
fn a_write_that_fails_leaves_nothing_half_written() {
    let desk = Desk::new();
    fs::create_dir_all(desk.path("a/model.fxg")).unwrap();
    let text = desk.refusal("train tiny.yaml --out a -q");
    assert!(text.contains("model.fxg: cannot be written"), "{text}");
    let left = names(&desk.path("a"));
    assert_eq!(
        left,
        ["checkpoint.fxg", "config.yaml", "metrics.jsonl", "model.fxg", "origin.json"]
    );
    // Once the obstacle is gone the run goes on where it was.
    fs::remove_dir(desk.path("a/model.fxg")).unwrap();
    desk.stdout("train --resume a -q");
    assert_eq!(names(&desk.path("a")), RUN);
}

#[test]
fn quantities_are_learnt_without_accuracies() {
    let desk = Desk::new();
    let rows: String =
        (0..200).map(|i| format!("{},{},{}\n", i % 7, i % 5, i % 7 + i % 5)).collect();
    fs::write(desk.path("sums.csv"), format!("a,b,y\n{rows}")).unwrap();
    fs::write(
        desk.path("sums.yaml"),
        "model: { layers: [dense: { name: fc1, units: 1 }] }\n\
         data: { csv: { file: sums.csv, targets: [y], scale_exponent: -2 } }\n\
         train: { epochs: 20, batch: 10, lr: 0.1, loss: mse }\n\
         fixed: { default: { master: { bits: 16, bound: 3 } } }\n",
    )
    .unwrap();
    let summary = desk.json("train sums.yaml --json --out a");
    assert!(summary["test_accuracy"].is_null() && summary["validation_accuracy"].is_null());
    assert!(summary["test_loss"].as_f64().unwrap() < 1.0, "{summary}");
    assert!(desk.json("eval a --json")["test_loss"].is_number());
    assert!(!desk.stdout("eval a").contains("predicted"));
    // The data is found again from anywhere.
    let path = desk.path("a");
    let mut command = desk.command("eval");
    let output = command.arg(path).current_dir("/").output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn the_log_level_is_checked_and_obeyed() {
    let desk = Desk::new();
    let told = |level: &str, flags: &str| {
        let mut command = desk.command(&format!("train tiny.yaml --epochs 1 {flags}"));
        let output = command.env("FIXGRAD_LOG", level).output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    assert_eq!(told("error", ""), "");
    assert_eq!(told("debug", "-q"), "");
    assert!(told("info", "").contains("epoch 1/1") && !told("info", "").contains("DEBUG"));
    assert!(told("error", "-v").contains("DEBUG"));
    assert!(told("loud", "").starts_with("error: FIXGRAD_LOG is `loud`"));
}
