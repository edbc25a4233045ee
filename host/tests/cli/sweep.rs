//! `fixgrad sweep`, as a user runs it.

use std::fs;

use crate::support::{CONFIG, Desk, names};

const SWEEP: &str = "sweep tiny.yaml --set fixed.default.weight.bits=2,8 --set \
                     train.update_round=stochastic,rnd --out s";

#[test]
fn a_sweep_trains_what_is_missing_and_compares() {
    let desk = Desk::new();
    let first = desk.json(&format!("{SWEEP} --seeds 0,1 --json --jobs 2"));
    let rows = first["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 4);
    for row in rows {
        assert_eq!(row["seeds"], serde_json::json!([0, 1]));
        let spread = |key: &str| row["test_accuracy"][key].as_f64().unwrap();
        assert!(spread("min") <= spread("mean") && spread("mean") <= spread("max"));
    }
    assert_eq!(names(&desk.path("s")), ["cells", "sweep.csv", "sweep.html"]);
    assert_eq!(names(&desk.path("s/cells")).len(), 8);
    let csv = fs::read_to_string(desk.path("s/sweep.csv")).unwrap();
    assert_eq!(csv.lines().count(), 9);
    assert!(csv.starts_with("fixed.default.weight.bits,train.update_round,seed,test_accuracy"));

    // Lose one cell and damage another: both are trained again, with the same outcome, and the
    // new seed is trained too.
    let cells = names(&desk.path("s/cells"));
    let stamp = |name: &str| fs::metadata(desk.path("s/cells").join(name)).unwrap().modified();
    let kept = stamp(&cells[2]).unwrap();
    fs::remove_file(desk.path("s/cells").join(&cells[0])).unwrap();
    fs::write(desk.path("s/cells").join(&cells[1]), "{").unwrap();
    let again = desk.json(&format!("{SWEEP} --seeds 0,1 --json --jobs 1"));
    for (a, b) in rows.iter().zip(again["rows"].as_array().unwrap()) {
        assert_eq!(a["test_accuracy"], b["test_accuracy"]);
    }
    assert_eq!(stamp(&cells[2]).unwrap(), kept, "a finished cell was trained again");
    let table = desk.stdout(&format!("{SWEEP} --seeds 0,1,2"));
    assert!(table.contains("12 runs: s/sweep.csv, plot s/sweep.html"), "{table}");
    assert_eq!(names(&desk.path("s/cells")).len(), 12);
}

#[test]
fn a_cell_is_the_run_that_train_makes() {
    let desk = Desk::new();
    desk.stdout("sweep tiny.yaml --set train.lr=0.25 --seeds 3 --out s");
    let csv = fs::read_to_string(desk.path("s/sweep.csv")).unwrap();
    let config = CONFIG.replace("lr: 0.5", "lr: 0.25");
    fs::write(desk.path("quarter.yaml"), config).unwrap();
    let run = desk.json("train quarter.yaml --seed 3 --json");
    assert!(csv.contains(run["weights_sha256"].as_str().unwrap()), "{csv}");
}

#[test]
fn nothing_is_trained_when_a_setting_is_wrong() {
    let desk = Desk::new();
    let text = desk.refusal("sweep tiny.yaml --set train.lr=0.5 --set train.batsch=8 --out s");
    assert!(text.contains("did you mean `batch`?"), "{text}");
    let text = desk.refusal("sweep tiny.yaml --set fixed.default.weight.bits=8,40 --out s");
    assert!(text.contains("fixed.default.weight.bits=40"), "{text}");
    assert_eq!(names(&desk.path("s/cells")).len(), 0);
    assert_eq!(desk.output("sweep tiny.yaml").status.code(), Some(2));
    assert_eq!(desk.output("sweep tiny.yaml --set lr").status.code(), Some(2));
}
