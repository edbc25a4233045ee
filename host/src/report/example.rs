//! A made-up run that looks like a real one, for the tests of the figures.

use crate::run::record::*;

pub(crate) const YAML: &str = "model:\n  input: [64]\n  layers:\n    - dense: {name: fc1, units: 32}\n    - relu: {}\n    - dense: {name: fc2, units: 10}\ntrain:\n  batch: 32\n  epochs: 12 # <all of them>\n  lr: 0.125\nfixed:\n  default:\n    weight: {bits: 8, range: max, round: rnd_conv, overflow: sat}\n";

/// Panics unless `markup` is well-formed and free of what is no number.
pub(crate) fn assert_markup(markup: &str) {
    let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
    // A section is a run of elements: give it one root.
    let whole = if markup.starts_with("<!DOCTYPE") {
        markup.to_owned()
    } else {
        format!("<root>{markup}</root>")
    };
    if let Err(error) = roxmltree::Document::parse_with_options(&whole, options) {
        panic!("{error}\n{whole}");
    }
    for word in ["NaN", "inf\"", ">inf", "-inf"] {
        assert!(!markup.contains(word), "{word} in\n{markup}");
    }
}

/// Leaves a file for a look in a browser, when `FIXGRAD_REPORT_EXAMPLE` names a folder.
pub(crate) fn keep(name: &str, text: &str) {
    if let Some(folder) = std::env::var_os("FIXGRAD_REPORT_EXAMPLE") {
        std::fs::write(std::path::Path::new(&folder).join(name), text).unwrap();
    }
}

/// Counters with a bell-shaped histogram just below the bound.
pub(crate) fn stats(
    layer: &str,
    point: Point,
    bits: u8,
    exponent: i16,
    saturated: f64,
) -> TensorStats {
    let elements = 40_960u64;
    let bound = i64::from(exponent) + i64::from(bits) - 1;
    let mut histogram: Vec<[i64; 2]> = (0..14)
        .map(|i| {
            let distance = (i as f64 - 3.2) / 2.6;
            [bound - i, (9000.0 * (-distance * distance).exp()) as i64]
        })
        .filter(|bin| bin[1] > 0)
        .collect();
    let beyond = (saturated * elements as f64) as i64;
    if beyond > 0 {
        histogram.insert(0, [bound + 1, beyond]);
    }
    let (accumulator_bits, accumulator_exponent) = match point {
        Point::Weight | Point::Bias => (0, 0),
        _ => (21, exponent - 8),
    };
    TensorStats {
        layer: layer.to_owned(),
        point,
        bits,
        exponent,
        exponent_min: exponent - 1,
        exponent_max: exponent,
        elements,
        saturated: beyond as u64,
        underflowed: (0.31 * saturated.sqrt() * elements as f64) as u64,
        histogram,
        accumulator_bits,
        accumulator_exponent,
    }
}

pub(crate) fn epoch(epoch: u32, tensors: Vec<TensorStats>) -> Record {
    let e = f64::from(epoch);
    let wobble = (e * 2.4).sin() * 0.004;
    Record::Epoch(Epoch {
        epoch,
        step: u64::from(epoch) * 38,
        lr: 0.125 * (1.0 - e / 14.0),
        train_loss: 1.9 * (-e / 1.7).exp() + 0.05,
        train_accuracy: 0.996 - 0.35 * (-e / 1.8).exp(),
        validation_loss: 1.8 * (-e / 1.7).exp() + 0.11 + wobble.abs() * 4.0,
        validation_accuracy: 0.981 - 0.33 * (-e / 1.9).exp() + wobble,
        seconds: 0.031,
        samples_per_second: 38_700.0,
        tensors,
    })
}

pub(crate) fn records(epochs: u32) -> Vec<Record> {
    let mut records = vec![Record::Start(Start {
        config: "digits_mlp_w8".into(),
        seed: 1,
        dataset: "digits".into(),
        train: 1_200,
        validation: 207,
        test: 390,
        batch: 32,
        epochs,
        parameters: 2_410,
        ram_bytes: 23_544,
        flash_bytes: 5_120,
    })];
    records.extend((1..=epochs).map(|e| epoch(e, tensors(e))));
    records.push(Record::Test(Test {
        accuracy: 0.987_179,
        loss: 0.0613,
        confusion: confusion(),
        wrong: wrong(),
    }));
    records.push(Record::End(End {
        train_seconds: 0.37,
        samples_per_second: 38_919.0,
        weights_sha256: "9f2c41d07be8a5c3".repeat(4),
    }));
    records
}

fn tensors(epoch: u32) -> Vec<TensorStats> {
    let drift = i16::try_from(epoch / 4).unwrap();
    let fading = 0.08 / f64::from(epoch);
    let mut tensors = Vec::new();
    for (layer, shift, share) in [("fc1", 0, 0.003), ("fc2", 1, 0.0)] {
        tensors.extend([
            stats(layer, Point::Weight, 8, -8 + shift, 0.0),
            stats(layer, Point::Bias, 8, -9 + shift, 0.0),
            stats(layer, Point::Activation, 8, -5 + shift, share),
            stats(layer, Point::ActivationGrad, 8, -13 - drift, fading * 0.4),
            stats(layer, Point::WeightGrad, 4, -9 - drift, fading),
            stats(layer, Point::BiasGrad, 8, -11 - drift, 0.0),
        ]);
    }
    tensors
}

fn confusion() -> Vec<Vec<u32>> {
    let mut confusion = vec![vec![0; 10]; 10];
    for (class, row) in confusion.iter_mut().enumerate() {
        row[class] = 37 + (class as u32 * 7) % 4;
    }
    for (truth, predicted, count) in [(8, 1, 2), (9, 5, 1), (3, 8, 1), (4, 9, 1)] {
        confusion[truth][predicted] = count;
        confusion[truth][truth] -= count;
    }
    confusion
}

fn wrong() -> Vec<Wrong> {
    let shapes = [
        (8, 1, "00266200026226200622260002666000026620000622620006226200026620 00"),
        (8, 1, "0006600000626000026260000066600000262600002026000062260000066000"),
        (9, 5, "0036630003600360036003600063336000000360000003600600036000366600"),
        (3, 8, "0266630000003600000036000036630000000360000003600200366002666300"),
        (4, 9, "0000360000036000003603000360360003666660000036000000360000003600"),
    ];
    shapes
        .iter()
        .enumerate()
        .map(|(i, (label, predicted, rows))| Wrong {
            index: 31 + 67 * i as u64,
            label: *label,
            predicted: *predicted,
            width: 8,
            height: 8,
            pixels: rows.bytes().filter(u8::is_ascii_digit).map(|d| (d - b'0') * 42).collect(),
        })
        .collect()
}

pub(crate) fn phases() -> Vec<String> {
    ["forward fc1", "forward fc2", "loss", "backward fc2", "backward fc1", "update"]
        .map(str::to_owned)
        .to_vec()
}

pub(crate) fn memory() -> Vec<MemoryRegion> {
    [
        ("master weights", "fc1", 2_080, "forward fc1", "update"),
        ("master weights", "fc2", 330, "forward fc1", "update"),
        ("momentum", "fc1", 4_160, "forward fc1", "update"),
        ("momentum", "fc2", 660, "forward fc1", "update"),
        ("input", "", 2_048, "forward fc1", "backward fc1"),
        ("activation", "fc1", 1_024, "forward fc1", "backward fc1"),
        ("accumulator", "fc1", 4_096, "forward fc1", "forward fc1"),
        ("accumulator", "fc2", 1_280, "forward fc2", "forward fc2"),
        ("logits", "fc2", 320, "forward fc2", "loss"),
        ("weight gradient", "fc2", 1_320, "backward fc2", "update"),
        ("activation gradient", "fc1", 1_024, "backward fc2", "backward fc1"),
        ("weight gradient", "fc1", 8_320, "backward fc1", "update"),
    ]
    .into_iter()
    .zip([0, 2080, 2410, 6570, 7230, 9278, 10302, 10302, 11582, 10302, 11904, 12928])
    .map(|((name, layer, bytes, from, to), offset)| MemoryRegion {
        name: name.into(),
        layer: layer.into(),
        offset,
        bytes,
        from: from.into(),
        to: to.into(),
    })
    .collect()
}

pub(crate) fn flash() -> Vec<FlashItem> {
    [("weights", 2_410), ("softmax table", 1_024), ("graph", 132), ("configuration", 286)]
        .map(|(name, bytes)| FlashItem { name: name.into(), bytes })
        .to_vec()
}
