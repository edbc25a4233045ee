//! The records of a run: what stands in its log, `metrics.jsonl`.
//!
//! The log is the only thing that the report reads about a run, so a report can be made again
//! from any run folder.

use fixgrad::quant::exponent_of;
use serde::{Deserialize, Serialize};

/// One line of the run log.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Record {
    /// First line: what is about to be trained.
    Start(Start),
    /// After every epoch.
    Epoch(Epoch),
    /// Once, after the last epoch: the test set.
    Test(Test),
    /// Last line of a run that was not interrupted.
    End(End),
}

/// What is about to be trained.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Start {
    /// Name of the configuration.
    pub config: String,
    /// Seed of all random numbers of the run.
    pub seed: u64,
    /// Name of the data set.
    pub dataset: String,
    /// Samples in the training set.
    pub train: usize,
    /// Samples in the validation set.
    pub validation: usize,
    /// Samples in the test set.
    pub test: usize,
    /// Samples in one step.
    pub batch: usize,
    /// Epochs to be trained.
    pub epochs: u32,
    /// Trainable parameters.
    pub parameters: usize,
    /// RAM that the plan needs.
    pub ram_bytes: usize,
    /// Flash that constants and the stored model need.
    pub flash_bytes: usize,
}

/// The state at the end of an epoch. Accuracies are fractions, 0 to 1.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Epoch {
    /// Counted from 1.
    pub epoch: u32,
    /// Steps done since the start of the run.
    pub step: u64,
    /// Learning rate of the last step.
    #[serde(with = "float")]
    pub lr: f64,
    /// Mean loss over the epoch's training samples.
    #[serde(with = "float")]
    pub train_loss: f64,
    /// Accuracy over the epoch's training samples.
    #[serde(with = "float")]
    pub train_accuracy: f64,
    /// Mean loss over the validation set.
    #[serde(with = "float")]
    pub validation_loss: f64,
    /// Accuracy over the validation set.
    #[serde(with = "float")]
    pub validation_accuracy: f64,
    /// Wall time of the epoch's training steps.
    #[serde(with = "float")]
    pub seconds: f64,
    /// Training samples per second.
    #[serde(with = "float")]
    pub samples_per_second: f64,
    /// Counters per tensor and point.
    pub tensors: Vec<TensorStats>,
}

/// The test set, touched once. Accuracy is a fraction, 0 to 1.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Test {
    /// Share of the test set that was classified rightly.
    #[serde(with = "float")]
    pub accuracy: f64,
    /// Mean loss over the test set.
    #[serde(with = "float")]
    pub loss: f64,
    /// Counts, `[true class][predicted class]`.
    pub confusion: Vec<Vec<u32>>,
    /// A few of the wrongly classified samples, as pictures.
    pub wrong: Vec<Wrong>,
}

/// How a finished run ended.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct End {
    /// Wall time of all training steps.
    #[serde(with = "float")]
    pub train_seconds: f64,
    /// Training samples per second, over the whole run.
    #[serde(with = "float")]
    pub samples_per_second: f64,
    /// SHA-256 of the final weights, in hexadecimal.
    pub weights_sha256: String,
}

/// Where in a step a tensor is quantised.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[serde(rename_all = "snake_case")]
pub enum Point {
    /// Weights of a layer.
    Weight,
    /// Biases of a layer.
    Bias,
    /// Gradient of the loss by the weights.
    WeightGrad,
    /// Gradient of the loss by the biases.
    BiasGrad,
    /// Output of a layer.
    Activation,
    /// Gradient of the loss by a layer's output.
    ActivationGrad,
}

impl Point {
    /// The word that tables and plots print.
    pub fn label(self) -> &'static str {
        match self {
            Self::Weight => "weight",
            Self::Bias => "bias",
            Self::WeightGrad => "weight gradient",
            Self::BiasGrad => "bias gradient",
            Self::Activation => "activation",
            Self::ActivationGrad => "activation gradient",
        }
    }
}

/// Counters of one tensor over one epoch.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct TensorStats {
    /// Name of the layer.
    pub layer: String,
    /// Which of the layer's tensors.
    pub point: Point,
    /// Width of a mantissa.
    pub bits: u8,
    /// Exponent of the mantissa's unit. What can be represented lies between
    /// `2^exponent`, the step, and `2^(exponent + bits - 1)`, the bound.
    pub exponent: i16,
    /// Smallest exponent of the epoch.
    pub exponent_min: i16,
    /// Largest exponent of the epoch.
    pub exponent_max: i16,
    /// Values quantised.
    pub elements: u64,
    /// Values that lay beyond the bound.
    pub saturated: u64,
    /// Values that were not zero before, and are zero after.
    pub underflowed: u64,
    /// `[bin, count]`: bin N counts `2^(N-1) < |x| <= 2^N` before quantisation. Zeros are left out.
    pub histogram: Vec<[i64; 2]>,
    /// Proven bound: accumulators stay below `2^accumulator_bits` units. Zero: no accumulator.
    pub accumulator_bits: u8,
    /// Exponent of the accumulator's unit.
    pub accumulator_exponent: i16,
}

impl TensorStats {
    /// Exponent of the bound: `2^bound_exponent()` is the first value that cannot be represented.
    pub fn bound_exponent(&self) -> i64 {
        i64::from(self.exponent) - i64::from(exponent_of(0, self.bits))
    }

    /// Share of the values that saturated, 0 to 1.
    pub fn saturated_share(&self) -> f64 {
        share(self.saturated, self.elements)
    }

    /// Share of the values that underflowed to zero, 0 to 1.
    pub fn underflowed_share(&self) -> f64 {
        share(self.underflowed, self.elements)
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// A sample of the test set that was classified wrongly, as a grey picture.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Wrong {
    /// Place in the test set.
    pub index: u64,
    /// True class.
    pub label: u16,
    /// Class that the network chose.
    pub predicted: u16,
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Row-major. One number a pixel is grey, and 0 is empty; three are red, green and blue.
    pub pixels: Vec<u8>,
}

/// One region of the arena, for the RAM map.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct MemoryRegion {
    /// What is kept there.
    pub name: String,
    /// Layer that it belongs to; empty for what the whole net shares.
    pub layer: String,
    /// First byte, counted from the start of the arena.
    pub offset: usize,
    /// Size.
    pub bytes: usize,
    /// Phase of the step in which the region comes alive.
    pub from: String,
    /// Last phase in which it is alive.
    pub to: String,
}

/// One thing that is kept in flash.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct FlashItem {
    /// What it is.
    pub name: String,
    /// Size.
    pub bytes: usize,
}

/// JSON has no NaN: a loss that is no number is written as `null`, and read back as NaN.
mod float {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(*value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        Ok(Option::<f64>::deserialize(from)?.unwrap_or(f64::NAN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example::stats;

    #[test]
    fn the_kind_stands_beside_the_fields() {
        let end = Record::End(End {
            train_seconds: 1.5,
            samples_per_second: 1e5,
            weights_sha256: "ab12".to_owned(),
        });
        assert_eq!(
            serde_json::to_string(&end).unwrap(),
            "{\"kind\":\"end\",\"train_seconds\":1.5,\"samples_per_second\":100000.0,\
             \"weights_sha256\":\"ab12\"}"
        );
    }

    #[test]
    fn the_bound_of_a_tensor_is_the_one_that_its_unit_came_from() {
        for bits in 1..=16u8 {
            let exponent = exponent_of(3, bits);
            let stats = TensorStats { bits, exponent, ..stats("fc1", Point::Weight, 8, 0, 0.0) };
            assert_eq!(stats.bound_exponent(), 3, "{bits} bits");
        }
    }

    #[test]
    fn a_loss_that_is_no_number_survives() {
        let test = Test { accuracy: 0.5, loss: f64::NAN, confusion: vec![], wrong: vec![] };
        let text = serde_json::to_string(&Record::Test(test)).unwrap();
        assert!(text.contains("\"loss\":null"), "{text}");
        let back: Record = serde_json::from_str(&text).unwrap();
        assert!(matches!(back, Record::Test(test) if test.loss.is_nan()));
    }

    #[test]
    fn a_missing_number_is_no_nan() {
        let text = "{\"kind\":\"test\",\"accuracy\":1,\"confusion\":[],\"wrong\":[]}";
        let error = serde_json::from_str::<Record>(text).unwrap_err();
        assert!(error.to_string().contains("missing field `loss`"), "{error}");
    }

    #[test]
    fn shares_of_nothing_are_zero() {
        assert_eq!(share(0, 0), 0.0);
        assert_eq!(share(1, 4), 0.25);
    }
}
