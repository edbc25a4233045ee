//! What the `data:` section of a configuration says of each format.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Part;

/// A folder with the four files of MNIST or a relative of it, plain or gzip. Pixels become
/// `p * 2^-8`. Where samples have three dimensions, these are channels, height and width. The
/// files' own test set is the test set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IdxConfig {
    /// The folder. A relative path is looked up in --data, FIXGRAD_DATA, the folder of this file
    /// and ./data, in this order.
    pub dir: PathBuf,
    /// How many of the training samples, from the end, are set aside for validation: a count or
    /// a share.
    #[serde(default = "a_tenth")]
    pub validation: Part,
    /// Number of classes; by default one more than the largest training label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<usize>,
}

/// A folder with `data_batch_1.bin` to `data_batch_5.bin` and `test_batch.bin`, plain or gzip.
/// Pixels become `p * 2^-8`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CifarConfig {
    /// The folder. A relative path is looked up in --data, FIXGRAD_DATA, the folder of this file
    /// and ./data, in this order.
    pub dir: PathBuf,
    /// How many of the training samples, from the end, are set aside for validation: a count or
    /// a share.
    #[serde(default = "a_tenth")]
    pub validation: Part,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a column's name or its index, counting from 0")]
pub enum Column {
    /// Its index, counting from 0.
    Index(usize),
    /// Its name in the header line.
    Name(String),
}

/// A CSV file, plain or gzip. All columns that are not named below are features; they become
/// 16-bit mantissas with one common exponent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CsvConfig {
    /// The file. A relative path is looked up in --data, FIXGRAD_DATA, the folder of this file
    /// and ./data, in this order.
    pub file: PathBuf,
    /// The column with the class: whole numbers or words. By default the last one, unless there
    /// are `targets`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Column>,
    /// Columns with quantities to be predicted, instead of a class.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<Column>,
    /// Columns to leave out, such as a running number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<Column>,
    /// Whether the first line names the columns. By default it does when none of its feature and
    /// target cells is a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<bool>,
    /// What parts the cells: one ASCII character, a comma by default.
    #[serde(default = "comma")]
    pub delimiter: char,
    /// Channels, height and width of a sample, when the features are the pixels of a picture, one
    /// channel after the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<[usize; 3]>,
    /// Multiplies every feature by two to this power: -8 brings pixels 0..255 below 1. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_exponent: Option<i8>,
    /// How many samples are set aside for validation, after a shuffle that is always the same: a
    /// count or a share.
    #[serde(default = "a_tenth")]
    pub validation: Part,
    /// How many samples are set aside for the test at the end: a count or a share.
    #[serde(default = "a_fifth")]
    pub test: Part,
}

/// Where an array has the channels of its pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Channels {
    /// Samples, channels, height, width, as in PyTorch.
    #[default]
    First,
    /// Samples, height, width, channels, as in TensorFlow.
    Last,
}

impl Channels {
    fn are_first(&self) -> bool {
        *self == Self::First
    }
}

/// NumPy arrays in `.npy` files, in C order, plain or gzip. The first dimension counts samples. Two
/// dimensions are features, three are pictures of one channel, four are pictures with channels; a
/// series of several channels is a picture of height 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NpyConfig {
    /// The array of samples: u8, i8, i16, f32 or f64; one to three dimensions a sample. A
    /// relative path is looked up in --data, FIXGRAD_DATA, the folder of this file and ./data, in
    /// this order.
    pub samples: PathBuf,
    /// The array of class indices, of any integer type. Either this or `targets`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<PathBuf>,
    /// The array of quantities to be predicted, of the same types as samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targets: Option<PathBuf>,
    /// Number of classes; by default one more than the largest label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<usize>,
    /// Multiplies every element by two to this power. Default -8 for u8, which brings pixels
    /// below 1, and 0 for all other types.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_exponent: Option<i8>,
    /// Where an array of four dimensions has the channels: `first` (default) or `last`.
    #[serde(default, skip_serializing_if = "Channels::are_first")]
    pub channels: Channels,
    /// How many samples are set aside for validation, after a shuffle that is always the same: a
    /// count or a share.
    #[serde(default = "a_tenth")]
    pub validation: Part,
    /// How many samples are set aside for the test at the end: a count or a share.
    #[serde(default = "a_fifth")]
    pub test: Part,
}

fn a_tenth() -> Part {
    Part::Share(0.1)
}

fn a_fifth() -> Part {
    Part::Share(0.2)
}

fn comma() -> char {
    ','
}
