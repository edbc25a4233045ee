//! `fixgrad gradient-buffer`, between a run that records and a run that is fixed.

use std::fs;

use serde_json::Value;

use crate::support::{CONFIG, Desk};

const GRADS: [&str; 2] = ["weight_grad", "bias_grad"];

/// A run that recorded, on a desk.
fn recorded() -> Desk {
    let desk = Desk::new();
    desk.stdout("train tiny.yaml --seed 3 --out first -q");
    desk
}

/// A counter of the weight gradients, summed over the epochs of a run, tensor by tensor.
fn sums(desk: &Desk, folder: &str, counter: &str) -> Vec<u64> {
    let mut sums = vec![0; 4];
    for record in desk.metrics(folder).iter().filter(|record| record["kind"] == "epoch") {
        let tensors = record["tensors"].as_array().unwrap().iter();
        let grads = tensors.filter(|tensor| GRADS.contains(&tensor["point"].as_str().unwrap()));
        sums.iter_mut().zip(grads).for_each(|(sum, grad)| *sum += grad[counter].as_u64().unwrap());
    }
    sums
}

#[test]
fn what_a_run_recorded_is_the_configuration_of_the_next() {
    let desk = recorded();
    let told = desk.stdout("gradient-buffer first -o next.yaml");
    assert!(told.contains("fc2") && told.ends_with("next.yaml\n"), "{told}");
    let yaml = fs::read_to_string(desk.path("next.yaml")).unwrap();
    assert!(yaml.contains("gradient_buffer"), "{yaml}");
    let next = desk.json("train next.yaml --out second --json");
    assert!(next["test_accuracy"].as_f64().unwrap() > 0.5, "{next}");
    assert_eq!(next["seed"], 3);

    // The largest recorded bound holds the gradients of the same seed: what lay within half a
    // unit of a bound saturated before, and nothing else does now.
    for (now, before) in
        sums(&desk, "second", "saturated").into_iter().zip(sums(&desk, "first", "saturated"))
    {
        assert!(now <= before, "{now} and {before}");
    }
    // The bounds stand still.
    let plan = desk.json("gradient-buffer second --json");
    for tensor in plan["tensors"].as_array().unwrap() {
        assert_eq!(tensor["recorded"][0], tensor["bound"], "{tensor}");
        assert_eq!(tensor["recorded"][1], tensor["bound"], "{tensor}");
    }
    // Buffers are replaced and not piled up, and what is printed is a configuration.
    let again = desk.stdout("gradient-buffer second");
    assert_eq!(again.matches("gradient_buffer").count(), yaml.matches("gradient_buffer").count());
    fs::write(desk.path("again.yaml"), again).unwrap();
    desk.stdout("encode again.yaml");
}

#[test]
fn the_rules_take_the_two_ends_of_what_was_recorded() {
    let desk = recorded();
    let of = |options: &str| desk.json(&format!("gradient-buffer first --json {options}"));
    for (rule, end) in [("from_min", 0), ("from_max", 1)] {
        let plan = of(&format!("--rule {rule} --bits 20"));
        assert_eq!((&plan["rule"], &plan["buffer_bits"]), (&Value::from(rule), &Value::from(20)));
        let tensors = plan["tensors"].as_array().unwrap();
        assert_eq!(tensors.len(), 4, "weight and bias of two layers");
        for tensor in tensors {
            assert_eq!(tensor["bound"], tensor["recorded"][end], "{tensor}");
            assert!(tensor["buffer_bound"].as_i64() >= tensor["bound"].as_i64(), "{tensor}");
        }
        let by_name = &plan["config"]["fixed"]["by_name"];
        let range = &by_name["fc1"]["weight_grad"]["range"];
        assert_eq!(range, &format!("fixed={}", tensors[0]["bound"]));
    }
    // Fewer epochs show no more.
    let (all, last) = (of(""), of("--last 1"));
    for (all, last) in
        all["tensors"].as_array().unwrap().iter().zip(last["tensors"].as_array().unwrap())
    {
        let end = |plan: &Value, end: usize| plan["recorded"][end].as_i64().unwrap();
        assert!(end(all, 0) <= end(last, 0) && end(last, 1) <= end(all, 1), "{all} {last}");
    }
}

#[test]
fn a_run_that_recorded_nothing_is_refused() {
    let desk = recorded();
    assert!(desk.refusal("gradient-buffer nowhere").contains("nowhere: expected the folder"));
    let log = desk.path("first/metrics.jsonl");
    let text = fs::read_to_string(&log).unwrap();
    let start: String = text.lines().take(1).map(|line| format!("{line}\n")).collect();
    fs::write(&log, &start).unwrap();
    let refusal = desk.refusal("gradient-buffer first -o next.yaml");
    assert!(refusal.contains("expected weight gradients in metrics.jsonl"), "{refusal}");
    fs::write(&log, format!("{start}{{\"kind\"")).unwrap();
    assert!(desk.refusal("gradient-buffer first").contains("--resume"));
    assert!(!desk.path("next.yaml").exists());
    assert_eq!(desk.output("gradient-buffer first --rule middle").status.code(), Some(2));
    assert_eq!(desk.output("gradient-buffer first --bits 31").status.code(), Some(2));
    assert!(!CONFIG.contains("gradient_buffer"));
}
