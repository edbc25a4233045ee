//! The run log `metrics.jsonl`: one JSON object a line, one line for each thing that happened.
//!
//! The log is the only thing that the report reads about a run, so a report can be made again
//! from any run folder. Lines are appended as they happen: a run that is cut off leaves a log
//! that is readable up to the cut.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

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
        i64::from(self.exponent) + i64::from(self.bits.saturating_sub(1))
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
    /// Grey values, row-major; 0 is empty.
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

/// Why a run log could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file could not be opened or read.
    #[error("cannot read the run log {}: {source}", path.display())]
    Io {
        /// The log.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line is no record.
    #[error(
        "{}, line {line}: expected one JSON record, found: {reason}. \
         Remove the line, or train again",
        path.display()
    )]
    Damaged {
        /// The log.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What the JSON reader said.
        reason: String,
    },
    /// The last line was cut off while it was written.
    #[error(
        "{}, line {line}: the last line is cut off, so the run was interrupted. \
         Continue it with `fixgrad train --resume` and the run's folder",
        path.display()
    )]
    Torn {
        /// The log.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
}

/// What to do with a last line that was cut off while it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TornTail {
    /// It is an error: the log should be that of a finished run.
    Refuse,
    /// Leave the line out: the run was interrupted, and that is expected.
    Drop,
}

/// Reads a whole run log.
pub fn read_log(path: &Path, torn: TornTail) -> Result<Vec<Record>, LogError> {
    let bytes =
        std::fs::read(path).map_err(|source| LogError::Io { path: path.to_owned(), source })?;
    parse_log(path, &bytes, torn)
}

fn parse_log(path: &Path, bytes: &[u8], torn: TornTail) -> Result<Vec<Record>, LogError> {
    let mut records = Vec::new();
    for (i, line) in bytes.split_inclusive(|&b| b == b'\n').enumerate() {
        let line_number = i + 1;
        if line.trim_ascii().is_empty() {
            continue;
        }
        match serde_json::from_slice(line) {
            Ok(record) => records.push(record),
            // Only the last line can lack its line end, and `LogWriter` always writes one.
            Err(_) if !line.ends_with(b"\n") => match torn {
                TornTail::Drop => break,
                TornTail::Refuse => {
                    return Err(LogError::Torn { path: path.to_owned(), line: line_number });
                }
            },
            Err(error) => {
                return Err(LogError::Damaged {
                    path: path.to_owned(),
                    line: line_number,
                    reason: reason(&error),
                });
            }
        }
    }
    Ok(records)
}

/// serde_json counts lines within the one line that it was given; that number would mislead.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((what, _)) => format!("{what} at column {}", error.column()),
        None => text,
    }
}

/// Appends records to a run log, each complete on disk before the next one is begun.
#[derive(Debug)]
pub struct LogWriter {
    file: File,
}

impl LogWriter {
    /// Begins a log that holds `kept`: nothing for a new run, the records up to the checkpoint
    /// for one that continues. Replaces an older log of that name only when all is written.
    pub fn create(path: &Path, kept: &[Record]) -> io::Result<Self> {
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
        for record in kept {
            temporary.write_all(&line(record)?)?;
        }
        let file = temporary.persist(path)?;
        Ok(Self { file })
    }

    /// Appends one line.
    pub fn push(&mut self, record: &Record) -> io::Result<()> {
        // One write, so that a cut leaves at most one torn line, the last.
        self.file.write_all(&line(record)?)
    }
}

fn line(record: &Record) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(record)?;
    line.push(b'\n');
    Ok(line)
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

    fn end() -> Record {
        Record::End(End {
            train_seconds: 1.5,
            samples_per_second: 1e5,
            weights_sha256: "ab12".to_owned(),
        })
    }

    fn test_record(loss: f64) -> Record {
        Record::Test(Test { accuracy: 0.5, loss, confusion: vec![vec![1]], wrong: vec![] })
    }

    fn parse(text: &str, torn: TornTail) -> Result<Vec<Record>, LogError> {
        parse_log(Path::new("metrics.jsonl"), text.as_bytes(), torn)
    }

    #[test]
    fn the_kind_stands_beside_the_fields() {
        let text = String::from_utf8(line(&end()).unwrap()).unwrap();
        assert_eq!(
            text,
            "{\"kind\":\"end\",\"train_seconds\":1.5,\"samples_per_second\":100000.0,\
             \"weights_sha256\":\"ab12\"}\n"
        );
    }

    #[test]
    fn a_log_is_written_continued_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let mut log = LogWriter::create(&path, &[]).unwrap();
        log.push(&test_record(0.25)).unwrap();
        log.push(&end()).unwrap();
        drop(log);
        let records = read_log(&path, TornTail::Refuse).unwrap();
        assert_eq!(records, [test_record(0.25), end()]);

        let mut log = LogWriter::create(&path, &records[..1]).unwrap();
        log.push(&end()).unwrap();
        drop(log);
        assert_eq!(read_log(&path, TornTail::Refuse).unwrap(), records);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file left");
    }

    #[test]
    fn a_loss_that_is_no_number_survives() {
        let text = String::from_utf8(line(&test_record(f64::NAN)).unwrap()).unwrap();
        assert!(text.contains("\"loss\":null"), "{text}");
        let records = parse(&text, TornTail::Refuse).unwrap();
        assert!(matches!(&records[..], [Record::Test(test)] if test.loss.is_nan()));
    }

    #[test]
    fn a_missing_number_is_no_nan() {
        let error = parse(
            "{\"kind\":\"test\",\"accuracy\":1,\"confusion\":[],\"wrong\":[]}\n",
            TornTail::Refuse,
        );
        assert!(error.unwrap_err().to_string().contains("missing field `loss`"));
    }

    #[test]
    fn a_damaged_line_is_named() {
        let good = String::from_utf8(line(&end()).unwrap()).unwrap();
        let error = parse(&format!("{good}{{\"kind\":\n{good}"), TornTail::Drop).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("metrics.jsonl, line 2: expected one JSON record"), "{text}");
        assert!(!text.contains("line 1"), "{text}");
        let error = parse("{\"kind\":\"lunch\"}\n", TornTail::Drop).unwrap_err();
        assert!(error.to_string().contains("unknown variant `lunch`"), "{error}");
    }

    #[test]
    fn a_torn_last_line_is_left_out_only_when_asked() {
        let good = String::from_utf8(line(&end()).unwrap()).unwrap();
        let torn = format!("{good}{}", &good[..20]);
        assert_eq!(parse(&torn, TornTail::Drop).unwrap(), [end()]);
        let error = parse(&torn, TornTail::Refuse).unwrap_err();
        assert!(matches!(error, LogError::Torn { line: 2, .. }));
        assert!(error.to_string().contains("--resume"));
    }

    #[test]
    fn shares_of_nothing_are_zero() {
        assert_eq!(share(0, 0), 0.0);
        assert_eq!(share(1, 4), 0.25);
    }
}
