//! Every error message, as a person sees it.

use super::{tests::DIGITS, *};
use crate::data::SearchPath;

const MODEL: &str = "\
model:
  layers:
    - flatten
    - dense: { name: fc1, units: 32 }
    - relu
    - dense: { name: fc2, units: 10 }
";
const DATA: &str = "data: digits\n";
const TRAIN: &str = "train: { epochs: 3, batch: 32, lr: 0.5 }\n";

fn errors(text: &str) -> String {
    match Experiment::parse("a.yaml", text).and_then(|file| file.compile(&DIGITS)) {
        Ok((compiled, _)) => panic!("accepted:\n{text}\n{compiled:?}"),
        Err(errors) => errors.to_string(),
    }
}

/// Each case under its own line, all in one snapshot.
fn gallery(cases: &[String]) -> String {
    let shown: Vec<String> = cases
        .iter()
        .map(|text| errors(text).lines().map(|l| format!("{}\n", l.trim_end())).collect())
        .collect();
    shown.join("\n")
}

macro_rules! snapshot {
    ($shown:expr) => {
        insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!($shown);
        })
    };
}

fn fixed(cases: &[&str]) -> String {
    let cases: Vec<String> =
        cases.iter().map(|case| format!("{MODEL}{DATA}{TRAIN}fixed:\n  {case}\n")).collect();
    gallery(&cases)
}

#[test]
fn structure() {
    snapshot!(gallery(&[
        String::new(),
        "- a list\n".into(),
        "model: [\n".into(),
        "model: {}\n".into(),
        format!("{MODEL}{DATA}"),
        format!("{MODEL}{DATA}{TRAIN}strategy: []\n"),
        format!("{MODEL}{DATA}{TRAIN}data: digits\n"),
        format!("{MODEL}{TRAIN}data: mnist\n"),
        format!("{MODEL}{TRAIN}data: {{ idx: {{ dir: mnist, validaton: 3 }} }}\n"),
        format!("{MODEL}\t{DATA}"),
    ]));
}

#[test]
fn model() {
    let layers = |layers: &str| format!("model:\n  layers:\n    {layers}\n{DATA}{TRAIN}");
    snapshot!(gallery(&[
        format!("model: {{ layers: [] }}\n{DATA}{TRAIN}"),
        layers("- dens: { units: 10 }"),
        layers("- rellu"),
        layers("- dense"),
        layers("- dense: {}"),
        layers("- dense: { unit: 10 }"),
        layers("- dense: { units: ten }"),
        layers("- dense: { units: 99999 }"),
        layers("- dense: { units: 10, init: he }"),
        layers("- dense: { name: the first layer, units: 10 }"),
        layers("- { relu: { name: a }, flatten: { name: b } }"),
        layers("- relu: { name: a }\n    - dense: { name: a, units: 10 }"),
        layers("- relu\n    - dense: { units: 9 }"),
        layers("- conv2d"),
        layers(
            "- conv2d: { channels: 6, kernel: 3 }\n    - conv2d: { channels: 8, kernel: 3, groups: 4 }"
        ),
        layers("- depthwise_conv2d"),
        layers("- depthwise_conv2d: { kernel: 3, groups: 2 }"),
        layers("- depthwise_conv2d: { kernel: 9 }"),
        layers(
            "- conv2d: { channels: 6, kernel: 3 }\n    - depthwise_conv2d: { kernel: 3, multiplier: 20000 }"
        ),
        layers("- conv1d: { channels: 6, kernel: 3 }"),
        layers("- conv1d: { channels: 6, kernel: [1, 3] }"),
        layers("- conv1d: { channels: 6, kernel: 3, padding: [2, 0] }"),
        layers("- max_pool2d: { stride: 2 }"),
        layers("- relu: { name: a }\n    - add: { other: b }"),
        layers("- relu: { name: a }\n    - concat: { other: a }"),
        layers("- relu: { name: a }\n    - add"),
        layers("- relu: { from: relu1 }"),
        layers("- splitt: { channels: 1 }"),
        layers("- hardtanh: { low: 1, high: 2 }"),
        layers("- leaky_relu: { shift: 0 }"),
        layers("- dropout: { p: 1.5 }"),
        layers("- batch_norm: { momentum: 2 }"),
        layers("- batch_norm: { momentum: 0.99 }"),
        layers("- batch_norm: { eps: 1.0e-12 }"),
        layers("- max_pool2d: { kernel: 16 }"),
        layers("- flatten\n    - lstm: { units: 8 }"),
        layers("- lstm: {}"),
        layers("- 12"),
        format!(
            "model: {{ input: [1, 8, 9], layers: [{{ dense: {{ units: 10 }} }}] }}\n{DATA}{TRAIN}"
        ),
        format!("model: {{ input: [1, 1, 8, 8], layers: [flatten] }}\n{DATA}{TRAIN}"),
        layers(&"- relu\n    ".repeat(64)),
    ]));
}

#[test]
fn data() {
    let data = |data: &str| format!("{MODEL}data: {data}\n{TRAIN}");
    snapshot!(gallery(&[
        data("{ digits: {}, idx: { dir: mnist } }"),
        data("{ augment: { crop: 1 } }"),
        data("cifar10"),
        data("{ digits: {}, normalise: mean }"),
        data("{ digits: {}, normalize: std }"),
        data("{ digits: {}, augment: { flip: vertical } }"),
        data("{ digits: {}, augment: { crop: -1 } }"),
        data("{ npy: { samples: a.npy, labels: b.npy, channels: middle } }"),
    ]));
}

#[test]
fn samples_that_cannot_be_augmented() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.csv"), "1,2,x\n3,4,y\n5,6,x\n7,8,y\n").unwrap();
    let places = SearchPath::new(Some(folder.path()), None, None);
    let cases = [
        "\n  digits: {}\n  augment: { flip: horizontal, crop: 8 }",
        "\n  digits: {}\n  augment:\n    cutout: 0",
        "\n  csv: { file: a.csv }\n  augment: { flip: horizontal }",
    ];
    let errors = cases.map(|data| {
        let text = format!("{MODEL}data:{data}\n{TRAIN}");
        let loaded = Experiment::parse("a.yaml", &text).unwrap().load_data(&places);
        let error = loaded.unwrap_err().to_string();
        error.lines().map(|line| format!("{}\n", line.trim_end())).collect::<String>()
    });
    snapshot!(errors.join("\n"));
}

#[test]
fn training() {
    let train = |keys: &str| format!("{MODEL}{DATA}train: {{ {keys} }}\n");
    snapshot!(gallery(&[
        train("batch: 32, lr: 0.5"),
        train("epochs: 3, steps: 9, batch: 32, lr: 0.5"),
        train("epochs: 0, batch: 0, lr: -0.5"),
        train("epochs: 3, batch: 32, lr: fast"),
        train("epochs: 3, batch: 1e3, lr: 1"),
        train("epochs: 3, batch: 4096, lr: 0.5"),
        train("epochs: 3, batch: 32, micro_batch: 5, lr: 0.5"),
        train("epochs: 3, batch: 32, lr: 0.5, momentum: 1"),
        train("epochs: 3, batch: 32, lr: 0.5, momentum: 1.5, weight_decay: -1, velocity: 12"),
        train("epochs: 3, batch: 32, lr: 0.5, nesterov: true"),
        train("epochs: 3, batch: 32, lr: 0.5, optimizer: adam"),
        train("epochs: 3, batch: 32, lr: 0.5, optimizer: lion, momentum: 0.9, nesterov: true"),
        train("epochs: 3, batch: 32, lr: 0.5, optimizer: { lion: { betas: [0.9, 1] } }"),
        train("epochs: 3, batch: 32, lr: 0.5, optimizer: { lion: { betas: [0.9] } }"),
        train("epochs: 3, batch: 32, lr: 0.5, label_smoothing: 1"),
        train("epochs: 3, batch: 32, lr: 0.5, loss: mse, label_smoothing: 0.1"),
        train("epochs: 3, batch: 32, lr: 0.5, schedule: cosinus"),
        train("epochs: 3, batch: 32, lr: 0.5, schedule: step"),
        train("epochs: 3, batch: 32, lr: 0.5, schedule: { step: { factor: 0.5 } }"),
        train("epochs: 3, batch: 32, lr: 0.5, schedule: { cosine: { floor: 2 } }"),
        train("steps: 10, batch: 32, lr: 0.5, warmup_epochs: -1"),
        train("steps: 10, batch: 32, lr: 0.5, warmup_steps: 2, warmup_epochs: 1"),
        train("epochs: 3, batch: 32, lr: 0.5, loss: cross_entropy"),
        train("epochs: 3, batch: 32, lr: 0.5, update_round: nearest"),
        train("epochs: 3, batch: 32, learning_rate: 0.5"),
    ]));
}

#[test]
fn points() {
    snapshot!(fixed(&[
        "default: { weight: { bits: 17 } }",
        "default: { weight: { bits: sixteen } }",
        "default: { weight: { bit_width: 8 } }",
        "default: { weight: { round: rnd_con } }",
        "default: { weight: { overflow: saturate } }",
        "default: { weight: { range: maximum } }",
        "default: { weight: { range: percentile } }",
        "default: { weight: { range: percentile=101 } }",
        "default: { weight: { range: { percentile: 99.999 } } }",
        "default: { weight: { range: fixed } }",
        "default: { weight: { range: fixed=1.5 } }",
        "default: { weight: { range: { fixed: 65 } } }",
        "default: { weight: { range: 3 } }",
        "default: { weight: { range: { moving: { window: 0 } } } }",
        "default: { weight: 8 }",
        "default: { weight: float }",
        "default: { weight: none }",
        "default: { weight: fixed<8,2>, bias: i1f7 }",
        "default: { weight: 'fixed<8,2,RDN>' }",
        "default: { weight: 'ufixed<8,0>' }",
        "default: { weight: 'fixed<18,2>' }",
        "default: { weight: { infer: { round: stochastic } } }",
        "default: { bias: { per_channel: true } }",
        "default: { update: biases }",
        "by_name: { fc2: { update: channels=5..11 } }",
        "default: { update: nothing }",
        "default: { weight_grad: { clip: false } }",
        "default: { weights: { bits: 8 } }",
        "default: { master: { bits: 12, bound: 100 } }",
    ]));
}

#[test]
fn levels() {
    snapshot!(fixed(&[
        "by_name: { fc3: { weight: { bits: 8 } } }",
        "by_name: { 'conv*': { weight: { bits: 8 } } }",
        "by_name: { relu3: { weight: { bits: 8 } } }",
        "by_kind: { relu: { master: { bits: 8 } } }",
        "by_kind: { relu: { update: nothing } }",
        "by_kind: { Dense: { weight: { bits: 8 } } }",
        "by_type: { dense: { weight: { bits: 8 } } }",
        "by_name: { fc1: { activation: none, activation_grad: none }, data: { activation: none } }",
    ]));
}

#[test]
fn strategies() {
    let case = |case: &str| format!("{MODEL}{DATA}{TRAIN}strategies:\n  - {case}\n");
    let noise = "noise: { place: weight, pre: uniform_steps }";
    snapshot!(gallery(&[
        case("nois: { place: weight }"),
        case("noise: { place: wieght }"),
        case("noise: { place: weight, pre: gaussian }"),
        case("noise: { place: weight, pre: { uniform: { min: 1, max: 0 } } }"),
        case("noise: { place: weight, pre: { uniform_steps: { min: 0, max: 1000 } } }"),
        case("noise: { layers: fc3, place: weight }"),
        case("noise: { layers: [fc1, fc9], place: weight }"),
        case("gradient_buffer: { layers: fc1, bound: 0, bits: 31 }"),
        case("gradient_buffer: { layers: fc1, bits: 24 }"),
        case(&[noise; 9].join("\n  - ")),
    ]));
}

#[test]
fn several_errors_are_shown_at_once_in_the_order_of_the_file() {
    snapshot!(errors(&format!(
        "{MODEL}{DATA}train: {{ epochs: 0, batch: 32, lr: -1 }}\n\
         fixed:\n  default: {{ weight: {{ bits: 0 }} }}\n  by_name: {{ fc3: {{ }} }}\n"
    )));
}
