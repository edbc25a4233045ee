//! `fixgrad train --init`, `fixgrad store` and `fixgrad plan`, from a trained network to one that goes on
//! learning on a chip.

use std::{fs, path::Path};

use serde_json::Value;

use crate::support::{CONFIG, Desk};

/// The first layer stays in flash, the last one learns.
fn tuned() -> String {
    let fixed = "fixed: { by_name: { fc1: { update: nothing, stored: true } } }\n";
    format!("{CONFIG}{fixed}").replace("epochs: 3", "epochs: 2")
}

#[test]
fn what_a_run_learned_is_where_another_begins() {
    let desk = Desk::new();
    let first = desk.json("train tiny.yaml --out first --json");
    fs::write(desk.path("tune.yaml"), tuned()).unwrap();
    let share = |run: &Value| run["test_accuracy"].as_f64().unwrap();
    let with = desk.json("train tune.yaml --init first --out tuned --json");
    let without = desk.json("train tune.yaml --out fresh --json");
    assert!(share(&with) > share(&without), "{with} {without}");
    assert!(share(&with) > 0.9 * share(&first));
    // What stays is as it was, and what is resumed begins no second time.
    let again = desk.json("train --resume tuned --json");
    assert_eq!(again["weights_sha256"], with["weights_sha256"]);

    let said = desk.stdout("store tuned/model.fxg chip.fxp");
    assert!(said.contains("fc1, fc2"), "{said}");
    let bytes = fs::read(desk.path("chip.fxp")).unwrap();
    assert_eq!(bytes[..4], *b"FXCP");
    let said = desk.stdout("store first other.fxp --config tune.yaml");
    assert!(said.contains(&format!("other.fxp: {} bytes", bytes.len())), "{said}");
    assert_ne!(fs::read(desk.path("other.fxp")).unwrap(), bytes);

    let refusal = desk.refusal("store first nothing.fxp");
    assert!(refusal.contains("`stored: true`"), "{refusal}");
    fs::write(desk.path("other.yaml"), CONFIG.replace("fc", "layer")).unwrap();
    let refusal = desk.refusal("train other.yaml --init first --out other");
    assert!(refusal.contains("nothing can be taken over"), "{refusal}");
}

#[test]
fn mobilenet_is_tuned_in_128_kib() {
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/mobilenetv2_tune.yaml");
    let desk = Desk::new();
    let plan = desk.json(&format!("plan {config} --input 3x80x80 --task --json"));
    assert!(plan["ram_bytes"].as_u64().unwrap() <= 128 << 10, "{}", plan["ram_bytes"]);
    assert_eq!(plan["updates"]["fc"], "all");
}

#[test]
fn the_small_network_trains_in_the_bytes_that_the_documents_say() {
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/digits_cnn_tiny.yaml");
    let desk = Desk::new();
    let plan = desk.json(&format!("plan {config} --task --json"));
    assert_eq!(plan["ram_bytes"], 8_136);
    for page in ["README.md", "docs/benchmarks.md"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(page);
        assert!(fs::read_to_string(path).unwrap().contains("8,136 bytes"), "{page}");
    }
}
