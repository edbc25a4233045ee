//! The `data:` section of a configuration.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DataError, Dataset, Part, SearchPath, cifar, csv, digits, idx, npy};

/// Where the samples come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DataConfig {
    /// The built-in 1,797 handwritten digits of 8x8 pixels: 1,280 to train on, 127 for validation
    /// and 390 for test.
    Digits,
    /// Pictures and labels in IDX files, as MNIST has them.
    Idx(IdxConfig),
    /// CIFAR-10 in its binary form.
    Cifar10(CifarConfig),
    /// A table of numbers with a label column or target columns.
    Csv(CsvConfig),
    /// NumPy arrays.
    Npy(NpyConfig),
}

/// A folder with the four files of MNIST or a relative of it, plain or gzip. Pixels become
/// `p * 2^-8`. The files' own test set is the test set.
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
    /// Channels, height and width of a sample, when the features are the pixels of a picture.
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

/// NumPy arrays in `.npy` files, in C order, plain or gzip. The first dimension counts samples.
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

impl DataConfig {
    /// Finds the files, reads all of them and divides the samples.
    pub fn load(&self, places: &SearchPath) -> Result<Dataset, DataError> {
        match self {
            DataConfig::Digits => digits::load(),
            DataConfig::Idx(config) => idx::load(config, places),
            DataConfig::Cifar10(config) => cifar::load(config, places),
            DataConfig::Csv(config) => csv::load(config, places),
            DataConfig::Npy(config) => npy::load(config, places),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<DataConfig, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn each_form_survives_a_round_trip() {
        for json in [
            r#""digits""#,
            r#"{"idx":{"dir":"mnist","validation":6000}}"#,
            r#"{"idx":{"dir":"mnist","validation":0.1,"classes":10}}"#,
            r#"{"cifar10":{"dir":"cifar10","validation":5000}}"#,
            r#"{"csv":{"file":"x.csv","label":"class","header":true,"delimiter":";","validation":0.1,"test":0.2}}"#,
            r#"{"csv":{"file":"x.csv","targets":[3,"y"],"ignore":[0],"delimiter":",","shape":[1,2,2],"scale_exponent":-8,"validation":10,"test":20}}"#,
            r#"{"npy":{"samples":"x.npy","labels":"y.npy","validation":0.1,"test":0.2}}"#,
        ] {
            let config = parse(json).unwrap();
            assert_eq!(serde_json::to_string(&config).unwrap(), json);
        }
    }

    #[test]
    fn unknown_keys_and_wrong_forms_are_refused() {
        let error = parse(r#"{"idx":{"dir":"mnist","valdiation":1}}"#).unwrap_err();
        assert!(error.contains("unknown field `valdiation`"), "{error}");
        let error = parse(r#"{"idx":{"dir":"mnist","validation":"all"}}"#).unwrap_err();
        assert!(error.contains("a count of samples (6000) or a share of them (0.1)"), "{error}");
        let error = parse(r#"{"csv":{"file":"x.csv","label":[1]}}"#).unwrap_err();
        assert!(error.contains("a column's name or its index"), "{error}");
        let error = parse(r#""mnist""#).unwrap_err();
        assert!(error.contains("unknown variant `mnist`"), "{error}");
    }

    #[test]
    fn every_field_is_described_in_the_schema() {
        let schema = serde_json::to_value(schemars::schema_for!(DataConfig)).unwrap();
        let definitions = schema["$defs"].as_object().unwrap();
        for name in ["IdxConfig", "CifarConfig", "CsvConfig", "NpyConfig"] {
            let definition = &definitions[name];
            assert_eq!(definition["additionalProperties"], false, "{name}");
            for (field, property) in definition["properties"].as_object().unwrap() {
                assert!(property["description"].is_string(), "{name}.{field}");
            }
        }
    }

    #[test]
    fn the_built_in_set_needs_no_place() {
        let set = parse(r#""digits""#).unwrap().load(&SearchPath::new(None, None, None)).unwrap();
        assert_eq!(set.len(), 1797);
    }
}
