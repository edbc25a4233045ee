//! The compiler as a whole: what is written, what it becomes, and what is refused.

use fixgrad::{
    config::{Init, LayerConfig, Update},
    optim::{Lr, Schedule},
    quant::{Overflow, Quant, Range, Round},
    strategy::{LayerSet, StrategyKind},
    tensor::Width,
};

use super::*;
use crate::data::Source;

pub(super) const DIGITS: DatasetFacts =
    DatasetFacts { shape: [1, 8, 8], outputs: 10, classes: true, train_samples: 1280 };

const SMALL: &str = "\
model:
  layers:
    - flatten
    - dense: { name: fc1, units: 32 }
    - relu
    - dense: { name: fc2, units: 10, init: lecun_uniform }
data: digits
train: { epochs: 3, batch: 32, lr: 0.1 }
";

fn compile(text: &str) -> (Compiled, Vec<String>) {
    match Experiment::parse("a.yaml", text).and_then(|file| file.compile(&DIGITS)) {
        Ok(compiled) => compiled,
        Err(errors) => panic!("{errors}"),
    }
}

fn with(fixed: &str) -> Compiled {
    compile(&format!("{SMALL}{fixed}")).0
}

#[test]
fn nothing_said_is_eight_bits_everywhere() {
    let (compiled, _) = compile(SMALL);
    let layers = &compiled.config.layers;
    assert_eq!(layers.len(), 5);
    assert_eq!(layers[2], LayerConfig::new(8));
    assert_eq!(layers[1], LayerConfig::new(8).passing());
    assert_eq!(layers[4].master.init, Init::LecunUniform);
    let data = LayerConfig { activation_grad: None, ..LayerConfig::new(8) };
    assert_eq!(layers[0], data);
    assert_eq!(compiled.config.train.lr, Lr::ratio(1, 10));
    assert_eq!(compiled.host.name, "a");
}

#[test]
fn levels_merge_key_by_key_and_the_later_pattern_wins() {
    let compiled = with(
        "\
fixed:
  default: { weight: { bits: 6, round: rnd, infer: { bits: 5 } } }
  by_kind: { dense: { weight: { range: sweep } } }
  by_name:
    fc*: { weight: { bits: 4 } }
    fc2: { weight: { bits: 3, infer: { range: fixed=1 } } }
",
    );
    let [.., fc1, _, fc2] = compiled.config.layers.as_slice() else { panic!() };
    let rules = Quant::new(4).overflow(Overflow::SatSym).round(Round::Rnd).range(Range::Sweep);
    assert_eq!(fc1.weight.train, rules);
    assert_eq!(fc1.weight.infer, Quant { bits: 5, range: Range::Keep, ..rules });
    assert_eq!(fc2.weight.train, Quant { bits: 3, ..rules });
    assert_eq!(fc2.weight.infer, Quant { bits: 5, range: Range::Fixed(1), ..rules });
}

#[test]
fn a_bias_is_as_the_weights_unless_it_says_otherwise() {
    let compiled = with("\
fixed:
  default: { weight: { bits: 4 }, weight_grad: { bits: 5, range: three_sigma }, master: { bits: 8 } }
  by_name: { fc2: { bias: { bits: 16 }, bias_grad: { range: max }, bias_master: { bound: 3 } } }
");
    let [.., fc1, _, fc2] = compiled.config.layers.as_slice() else { panic!() };
    assert_eq!((fc1.bias.train.bits, fc2.bias.train.bits), (4, 16));
    assert_eq!(fc1.bias_grad, fc1.weight_grad);
    assert_eq!((fc2.bias_grad.bits, fc2.bias_grad.range), (5, Range::Max));
    assert_eq!((fc2.bias_master.width, fc2.bias_master.bound), (Width::I8, 3));
    assert_eq!(fc2.master.bound, 1);
}

#[test]
fn layers_that_pass_numbers_on_have_a_point_only_when_named() {
    let compiled = with("fixed: { default: { activation: { bits: 5 } } }\n");
    assert_eq!(compiled.config.layers[3].activation, None);
    let compiled = with(
        "\
fixed:
  default: { activation: { bits: 5 } }
  by_kind: { relu: { activation: { round: trn } } }
",
    );
    let point = compiled.config.layers[3].activation.unwrap();
    assert_eq!((point.train.bits, point.train.round), (5, Round::Trn));
    assert_eq!(compiled.config.layers[3].activation_grad, None);
    let compiled = with(
        "\
fixed:
  by_kind: { relu: { activation: { round: trn } } }
  by_name: { relu3: { activation: none } }
",
    );
    assert_eq!(compiled.config.layers[3].activation, None);
}

#[test]
fn words_stand_for_whole_points_and_widths() {
    let compiled = with(
        "\
fixed:
  by_name:
    fc1:
      weight: fixed<8,2,TRN,WRAP>
      activation: i3f5
      weight_grad: { bits: ternary }
      activation_grad: { bits: ternary, overflow: wrap, range: { percentile: 99.9 } }
    fc2:
      weight: { bits: binary, per_channel: true, clip: false }
      bias: { range: { moving: { window: 9 } } }
",
    );
    let [.., fc1, _, fc2] = compiled.config.layers.as_slice() else { panic!() };
    let expected =
        Quant { bits: 8, range: Range::Fixed(1), round: Round::Trn, overflow: Overflow::Wrap };
    assert_eq!(fc1.weight.train, expected);
    assert_eq!(fc1.weight.infer, expected);
    let activation = fc1.activation.unwrap().train;
    assert_eq!((activation.bits, activation.range), (8, Range::Fixed(2)));
    assert_eq!((fc1.weight_grad.bits, fc1.weight_grad.overflow), (2, Overflow::SatSym));
    let grad = fc1.activation_grad.unwrap();
    assert_eq!((grad.overflow, grad.range), (Overflow::Wrap, Range::Percentile(9990)));
    assert_eq!(fc2.bias.train.range, Range::Moving { window: 9, percentile: 10_000 });
    assert!(fc2.per_channel && !fc2.weight.clip && !fc1.per_channel);
}

#[test]
fn what_moves_is_said_by_level() {
    let compiled = with(
        "\
fixed:
  default: { update: nothing }
  by_kind: { dense: { update: bias } }
  by_name: { fc2: { update: channels=1..3 } }
",
    );
    let [.., fc1, relu, fc2] = compiled.config.layers.as_slice() else { panic!() };
    let some = Update::Channels { first: 1, count: 2 };
    assert_eq!((fc1.update, relu.update, fc2.update), (Update::Bias, Update::All, some));
    let all = with("fixed: {}\n").plan().unwrap();
    assert!(compiled.plan().unwrap().ram() < all.ram());
}

#[test]
fn schedules_count_steps() {
    let schedule = |schedule: &str| {
        let text = SMALL.replace("lr: 0.1", &format!("lr: 0.1, schedule: {schedule}"));
        compile(&text).0.config.train.schedule
    };
    assert_eq!(schedule("cosine"), Schedule::Cosine { steps: 120, floor: 0 });
    assert_eq!(
        schedule("{ step: { every_epochs: 2, factor: 0.5 } }"),
        Schedule::Step { every: 80, factor: 1 << 14 }
    );
    assert_eq!(
        schedule("{ cosine: { floor: 0.25, steps: 7 } }"),
        Schedule::Cosine { steps: 7, floor: 1 << 13 }
    );
}

#[test]
fn warm_ups_count_steps() {
    let warmup = |keys: &str| {
        let text = SMALL.replace("lr: 0.1", &format!("lr: 0.1{keys}"));
        compile(&text).0.config.train.warmup
    };
    assert_eq!(warmup(""), 0);
    assert_eq!(warmup(", warmup_epochs: 2"), 80);
    assert_eq!(warmup(", warmup_steps: 7"), 7);
    let (_, notes) = compile(&SMALL.replace("lr: 0.1", "lr: 0.1, warmup_steps: 121"));
    let told =
        "a warm-up of 121 steps in a run of 120: the rate stays below what the schedule says";
    assert!(notes.iter().any(|note| note == told), "{notes:?}");
}

#[test]
fn strategies_find_their_layers() {
    let compiled = with(
        "\
strategies:
  - noise: { layers: 'kind:dense', place: weight_grad, pre: uniform_steps, requantize: false }
  - gradient_buffer: { layers: [fc1, relu3], bound: 0, bits: 24 }
  - noise: { place: activation, post: { uniform: { min: -0.25, max: 0.5 } } }
",
    );
    let strategies = &compiled.config.strategies;
    assert_eq!(strategies[0].layers, LayerSet::default().with(2).with(4));
    assert_eq!(strategies[1].layers, LayerSet::default().with(2).with(3));
    assert_eq!(strategies[2].layers, LayerSet::ALL);
    assert!(matches!(strategies[1].kind, StrategyKind::GradientBuffer(_)));
}

#[test]
fn notes_tell_what_numbers_became_and_what_depends_on_micro_batches() {
    let text = SMALL.replace("lr: 0.1", "lr: 0.1, momentum: 0.5, micro_batch: 8");
    let (_, notes) =
        compile(&format!("{text}fixed: {{ by_name: {{ fc1: {{ weight: 'ap_fixed<8,2>' }} }} }}\n"));
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!(notes.join("\n"));
    });
    let moving = "fixed: { default: { activation: { range: moving }, activation_grad: { range: moving } } }\n";
    let (_, notes) = compile(&format!("{text}{moving}"));
    assert!(notes.iter().all(|note| !note.contains("micro_batch")), "{notes:?}");
    let wide =
        "activation: { bits: 16, range: moving }, activation_grad: { bits: 16, range: moving }";
    let (_, notes) = compile(&format!("{text}fixed: {{ default: {{ {wide} }} }}\n"));
    assert!(notes.iter().any(|note| note.contains("each micro-batch drops low bits")), "{notes:?}");
}

#[test]
fn every_configuration_of_the_project_is_read() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs");
    let mut read = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let file = Experiment::read(&path).unwrap_or_else(|error| panic!("{error}"));
            let shape = match file.data().source {
                Source::Digits => [1, 8, 8],
                Source::Cifar10(_) => [3, 32, 32],
                _ => [1, 28, 28],
            };
            let facts = DatasetFacts { shape, ..DIGITS };
            file.compile(&facts).unwrap_or_else(|error| panic!("{error}"));
            read += 1;
        }
    }
    assert!(read >= 2);
}

/// Set `FIXGRAD_BLESS=1` to write the file anew.
#[test]
fn the_schema_file_is_current() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/schema.json");
    if std::env::var_os("FIXGRAD_BLESS").is_some_and(|value| value == "1") {
        crate::files::replace(&path, schema_text().as_bytes()).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap();
    assert_eq!(found, schema_text(), "run this test with FIXGRAD_BLESS=1 to write the file anew");
}
