//! The two forms of a compiled configuration, and bytes that are neither.

use proptest::prelude::*;

use super::{tests::DIGITS, *};

const LAYERS: &str = "\
model:
  layers:
    - flatten
    - dense: { name: fc1, units: 32, bias: false, init: xavier_uniform }
    - relu
    - dense: { name: fc2, units: 10 }
data:
  csv: { file: a.csv, label: class, validation: 0.15, test: 90 }
  normalize: mean_std
  augment: { flip: horizontal, crop: 2, cutout: 3 }
";

fn read(text: &str) -> Compiled {
    let compiled = Experiment::parse("a.yaml", text).and_then(|file| file.compile(&DIGITS));
    compiled.unwrap_or_else(|errors| panic!("{text}\n{errors}")).0
}

fn check(text: &str) -> Result<(), TestCaseError> {
    let first = read(text);
    let bytes = first.encode().unwrap();
    let decoded = Compiled::decode(&bytes).unwrap();
    prop_assert_eq!(&decoded, &first);
    let printed = decoded.to_yaml().unwrap();
    let second = read(&printed);
    prop_assert_eq!(&second, &first, "{}\n{}", text, printed);
    prop_assert_eq!(second.encode().unwrap(), bytes);
    prop_assert_eq!(second.to_yaml().unwrap(), printed);
    Ok(())
}

fn range() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("max".to_owned()),
        Just("three_sigma".to_owned()),
        Just("sweep".to_owned()),
        Just("keep".to_owned()),
        (-64i16..=64).prop_map(|bound| format!("fixed={bound}")),
        (0u16..=10_000).prop_map(|share| format!("percentile={}", f64::from(share) / 100.0)),
        (1u8.., 0u16..=10_000).prop_map(|(window, share)| format!(
            "{{ moving: {{ window: {window}, percentile: {} }} }}",
            f64::from(share) / 100.0
        )),
    ]
}

fn quant(stochastic: bool) -> impl Strategy<Value = String> {
    let rounds = if stochastic { 9 } else { 7 };
    let round = prop::sample::select(
        &[
            "trn",
            "trn_zero",
            "rnd",
            "rnd_zero",
            "rnd_inf",
            "rnd_min_inf",
            "rnd_conv",
            "stochastic",
            "pseudo_stochastic",
        ][..rounds],
    );
    let overflow = prop::sample::select(&["sat", "sat_sym", "sat_zero", "wrap"][..]);
    let bits = prop_oneof![
        (1u8..=16).prop_map(|bits| bits.to_string()),
        Just("binary".to_owned()),
        Just("ternary".to_owned())
    ];
    (bits, range(), round, overflow).prop_map(|(bits, range, round, overflow)| {
        format!("bits: {bits}, range: {range}, round: {round}, overflow: {overflow}")
    })
}

fn point() -> impl Strategy<Value = String> {
    prop_oneof![
        (quant(true), any::<bool>(), prop::option::of(quant(false))).prop_map(
            |(train, clip, infer)| {
                let infer =
                    infer.map(|infer| format!(", infer: {{ {infer} }}")).unwrap_or_default();
                format!("{{ {train}, clip: {clip}{infer} }}")
            }
        ),
        (1i16..=16, -40i16..40)
            .prop_map(|(bits, integer)| format!("'fixed<{bits},{integer},RND>'")),
    ]
}

fn grad() -> impl Strategy<Value = String> {
    quant(true).prop_map(|quant| format!("{{ {quant} }}"))
}

prop_compose! {
    fn layer()(
        weight in point(), bias in point(), activation in point(), weight_grad in grad(),
        activation_grad in grad(), bits in prop::sample::select(&[8, 16, 32][..]), bound in -64i16..=64,
    ) -> String {
        format!(
            "{{ weight: {weight}, bias: {bias}, activation: {activation}, weight_grad: \
             {weight_grad}, activation_grad: {activation_grad}, master: {{ bits: {bits}, bound: \
             {bound} }} }}"
        )
    }
}

prop_compose! {
    fn train()(
        length in prop::sample::select(&["epochs: 7", "steps: 1234"][..]),
        lr in 1e-9f64..10.0, decay in 0.0f64..0.1, seed: u64,
        optimizer in prop_oneof![
            (0.0f64..0.99).prop_map(|momentum| format!("momentum: {momentum}")),
            (0.001f64..0.99).prop_map(|m| format!("optimizer: sgd, nesterov: true, momentum: {m}")),
            Just("optimizer: lion".to_owned()),
            (0.0f64..0.99, 0.0f64..0.99)
                .prop_map(|(a, b)| format!("optimizer: {{ lion: {{ betas: [{a}, {b}] }} }}")),
        ],
        schedule in prop_oneof![
            Just("constant".to_owned()),
            (0.0f64..=1.0).prop_map(|floor| format!("{{ cosine: {{ floor: {floor} }} }}")),
            (0.0f64..=1.0, 1u32..9).prop_map(|(factor, every)| format!(
                "{{ step: {{ every_epochs: {every}, factor: {factor} }} }}"
            )),
        ],
        loss in prop_oneof![
            Just("mse".to_owned()),
            Just("bce_with_logits".to_owned()),
            (0.0f64..0.99).prop_map(|e| format!("softmax_cross_entropy, label_smoothing: {e}")),
        ],
        velocity in prop::sample::select(&[8, 16, 32][..]),
        recompute in any::<bool>(),
        warmup in prop::sample::select(&["warmup_steps: 9", "warmup_epochs: 1", "warmup_steps: 0"][..]),
    ) -> String {
        let decay = if decay < 1e-9 { 0.0 } else { decay };
        format!(
            "train: {{ {length}, batch: 32, micro_batch: 4, lr: {lr}, {optimizer}, \
             weight_decay: {decay}, seed: {seed}, schedule: {schedule}, {warmup}, loss: {loss}, \
             velocity: {velocity}, recompute: {recompute} }}\n"
        )
    }
}

fn amount() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("none".to_owned()),
        (-9.0f64..0.0, 0.0f64..100.0)
            .prop_map(|(min, max)| format!("{{ uniform: {{ min: {min}, max: {max} }} }}")),
        (-99.0f64..0.0, 0.0f64..99.0)
            .prop_map(|(min, max)| format!("{{ uniform_steps: {{ min: {min}, max: {max} }} }}")),
    ]
}

prop_compose! {
    fn strategies()(
        pre in amount(), post in amount(), requantize: bool, bits in 2u8..=30, bound in -64i16..=64,
        layers in prop::sample::select(&["fc*", "'*'", "relu3", "[data, fc2]"][..]),
        place in prop::sample::select(&["weight", "weight_grad", "activation", "activation_grad"][..]),
    ) -> String {
        format!(
            "strategies:\n  - noise: {{ layers: {layers}, place: {place}, pre: {pre}, post: \
             {post}, requantize: {requantize} }}\n  - gradient_buffer: {{ layers: {layers}, \
             bound: {bound}, bits: {bits} }}\n"
        )
    }
}

prop_compose! {
    fn text()(
        train in train(), default in layer(), fc1 in layer(), relu in point(),
        strategies in prop::option::of(strategies()),
    ) -> String {
        let strategies = strategies.unwrap_or_default();
        format!(
            "{LAYERS}{train}fixed:\n  default: {default}\n  by_kind: {{ relu: {{ activation: \
             {relu} }} }}\n  by_name: {{ '?c1': {fc1} }}\n{strategies}"
        )
    }
}

proptest! {
    #[test]
    fn yaml_to_bytes_to_yaml_to_bytes(text in text()) {
        check(&text)?;
    }

    #[test]
    fn damaged_yaml_never_panics(
        text in text(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<char>(), 0u8..3), 1..6),
    ) {
        let mut letters: Vec<char> = text.chars().collect();
        for (at, letter, edit) in edits {
            let at = at.index(letters.len());
            match edit {
                0 => letters[at] = letter,
                1 => letters.insert(at, letter),
                _ => drop(letters.drain(at..(at + 3).min(letters.len()))),
            }
        }
        let text: String = letters.into_iter().collect();
        if let Err(errors) = Experiment::parse("a.yaml", &text).and_then(|file| file.compile(&DIGITS)) {
            prop_assert!(errors.to_string().contains("a.yaml"));
        }
    }

    #[test]
    fn any_text_is_answered(text in "\\PC{0,80}") {
        if let Err(errors) = Experiment::parse("a.yaml", &text) {
            prop_assert!(errors.to_string().contains("a.yaml"));
        }
    }

    #[test]
    fn damaged_bytes_are_refused_even_with_a_right_checksum(
        text in text(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
        right_checksum: bool,
    ) {
        let mut bytes = read(&text).encode().unwrap();
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if right_checksum {
            let end = bytes.len() - 4;
            let crc = fixgrad::config::CRC32.checksum(&bytes[..end]);
            bytes[end..].copy_from_slice(&crc.to_le_bytes());
        } else {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(compiled) = Compiled::decode(&bytes) {
            prop_assert!(compiled.config.validate(compiled.graph.view()).is_ok());
            prop_assert!(compiled.to_yaml().is_ok());
        }
    }

    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Compiled::decode(&bytes).is_err());
    }
}

#[test]
fn pictures_make_the_round_trip() {
    let text = "\
model:
  input: [4, 4, 4]
  defaults: { conv2d: { kernel: 3, bias: false, init: xavier_uniform } }
  layers:
    - conv2d: { name: conv1, channels: 6, padding: same, groups: 2 }
    - max_pool2d: { kernel: [2, 1], padding: [0, 0] }
    - relu
    - conv2d: { channels: 8, kernel: [1, 2], stride: [1, 2], padding: [0, 1], bias: true }
    - avg_pool2d: { kernel: 2, stride: 1, padding: valid }
    - global_avg_pool
    - dense: { units: 10 }
fixed:
  by_kind:
    conv2d: { weight: { bits: 5 } }
    max_pool2d: { activation_grad: { bits: 9 } }
    avg_pool2d: { activation: { bits: 6 } }
data: digits
train: { epochs: 2, batch: 8, lr: 0.1 }
";
    check(text).unwrap();
    let compiled = read(text);
    let layers = &compiled.config.layers;
    assert_eq!((layers[1].weight.bits(), layers[4].weight.bits()), (5, 5));
    // A max pool hands codes on, and rounds what comes back.
    assert!(layers[2].activation.is_none());
    assert_eq!(layers[2].activation_grad.map(|grad| grad.bits), Some(9));
    assert_eq!(layers[5].activation.map(|point| point.bits()), Some(6));
    let view = compiled.graph.view();
    // The longest word leaves room for its place.
    assert_eq!(view.layers()[6].name.as_str(), "global_avg_p6");
    assert_eq!((view.layer_parameters(1), view.layer_parameters(4)), ((6 * 18, 0), (8 * 12, 8)));
}

#[test]
fn other_words_for_convolutions_make_the_same_layer() {
    let rest =
        "    - dense: { units: 10 }\ndata: digits\ntrain: { epochs: 2, batch: 8, lr: 0.1 }\n";
    let network = |input: &str, layers: &[&str]| {
        let layers: String = layers.iter().map(|layer| format!("    - {layer}\n")).collect();
        format!(
            "model:\n  input: {input}\n  defaults: {{ depthwise_conv2d: {{ kernel: 3 }} }}\n  layers:\n{layers}{rest}"
        )
    };
    for (input, word, layer) in [
        (
            "[4, 4, 4]",
            "depthwise_conv2d: { multiplier: 2, padding: same, bias: false }",
            "conv2d: { channels: 8, kernel: 3, padding: same, groups: 4, bias: false }",
        ),
        (
            "[4, 4, 4]",
            "depthwise_conv2d: { name: dw, kernel: [1, 2], stride: [1, 2], init: zero }",
            "conv2d: { name: dw, channels: 4, kernel: [1, 2], stride: [1, 2], groups: 4, init: zero }",
        ),
        (
            "[4, 1, 16]",
            "conv1d: { channels: 6, kernel: 4, stride: 2, padding: 1, groups: 2 }",
            "conv2d: { channels: 6, kernel: [1, 4], stride: [1, 2], padding: [0, 1], groups: 2 }",
        ),
    ] {
        let text = network(input, &[word]);
        check(&text).unwrap();
        let (ours, same) = (read(&text), read(&network(input, &[layer])));
        assert_eq!(ours.graph, same.graph, "{word}");
        assert_eq!(ours.config, same.config, "{word}");
    }
}

#[test]
fn branches_make_the_round_trip() {
    let text = "\
model:
  input: [4, 4, 4]
  layers:
    - conv2d: { name: stem, channels: 4, kernel: 1 }
    - relu
    - conv2d: { name: conv1, channels: 4, kernel: 3, padding: same }
    - add: { other: relu2 }
    - split: { channels: 1 }
    - split: { name: rest, from: add4, first: 1, channels: 3 }
    - concat: { other: split5, from: rest }
    - dense: { units: 10 }
data: digits
train: { epochs: 2, batch: 8, lr: 0.1 }
";
    check(text).unwrap();
    let compiled = read(text);
    let inputs = compiled.graph.view().layers().iter().map(|layer| (layer.input, layer.other));
    assert_eq!(inputs.collect::<Vec<_>>()[4..8], [(3, 2), (4, 4), (4, 4), (6, 5)]);
    assert!(compiled.to_yaml().unwrap().contains("from: add4"));
}

#[test]
fn activations_make_the_round_trip() {
    let text = "\
model:
  layers:
    - flatten
    - dense: { units: 20 }
    - batch_norm
    - relu6
    - batch_norm: { momentum: 0.01, eps: 1.0e-3, frozen: true }
    - dropout: { p: 0.2 }
    - dense: { units: 20 }
    - hardtanh: { low: -2 }
    - leaky_relu: { shift: 4 }
    - sigmoid
    - tanh
    - hardsigmoid
    - dense: { units: 10 }
data: digits
train: { epochs: 2, batch: 8, lr: 0.1 }
";
    check(text).unwrap();
    assert!(read(text).to_yaml().unwrap().contains("p: 0.2\n"));
}

#[test]
fn cells_through_time_make_the_round_trip() {
    let text = "\
model:
  layers:
    - lstm: { units: 6, return_sequences: true, truncate: 3, init: xavier_uniform }
    - lstm: { name: last, units: 4 }
    - dense: { units: 10 }
data: digits
train: { epochs: 2, batch: 8, lr: 0.1 }
fixed: { by_kind: { lstm: { weight: { bits: 4 } } } }
";
    check(text).unwrap();
    let compiled = read(text);
    let shapes = compiled.graph.view().layers().iter().map(|layer| layer.shape.0);
    assert_eq!(shapes.collect::<Vec<_>>(), [[1, 8, 8], [6, 1, 8], [4, 1, 1], [10, 1, 1]]);
    let printed = compiled.to_yaml().unwrap();
    assert!(printed.contains("return_sequences: true\n"), "{printed}");
}

#[test]
fn the_printed_form_says_everything() {
    let text = format!("{LAYERS}train: {{ epochs: 2, batch: 32, lr: 0.1, schedule: cosine }}\n");
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!(read(&text).to_yaml().unwrap());
    });
}
