//! The `data:` section of a configuration: a source, and what is made of it.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize, Serializer};

use super::{
    Augment, CifarConfig, CsvConfig, DataError, Dataset, IdxConfig, Normalize, NpyConfig,
    SearchPath, cifar, csv, digits, idx, npy,
};
use crate::config::{
    At,
    short::{Short, deserialize_short},
    suggest::{list, remedy},
    yaml::HELP,
};

/// Where the samples come from, and what is made of them.
#[derive(Clone, Debug, PartialEq)]
pub struct DataConfig {
    /// Where they come from.
    pub source: Source,
    /// What all samples go through once.
    pub normalize: Option<Normalize>,
    /// What training samples go through in every epoch.
    pub augment: Option<At<Augment>>,
}

/// Where samples come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// The built-in handwritten digits.
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

impl From<Source> for DataConfig {
    fn from(source: Source) -> Self {
        Self { source, normalize: None, augment: None }
    }
}

impl DataConfig {
    /// Finds the files, reads all of them, divides the samples and normalises them.
    pub fn load(&self, places: &SearchPath) -> Result<Dataset, DataError> {
        let mut data = match &self.source {
            Source::Digits => digits::load(),
            Source::Idx(config) => idx::load(config, places),
            Source::Cifar10(config) => cifar::load(config, places),
            Source::Csv(config) => csv::load(config, places),
            Source::Npy(config) => npy::load(config, places),
        }?;
        if let Some(normalize) = self.normalize {
            normalize.apply(&mut data)?;
        }
        data.augment = self.augment.as_ref().map(|augment| augment.value);
        Ok(data)
    }
}

/// The section as a mapping. Exactly one of the sources is there.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DataKeys {
    /// The built-in 1,797 handwritten digits of 8x8 pixels: 1,280 to train on, 127 for validation
    /// and 390 for test. Nothing can be set: `{}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    digits: Option<Nothing>,
    /// Pictures and labels in IDX files, as MNIST has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    idx: Option<IdxConfig>,
    /// CIFAR-10 in its binary form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cifar10: Option<CifarConfig>,
    /// A table of numbers with a label column or target columns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    csv: Option<CsvConfig>,
    /// NumPy arrays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    npy: Option<NpyConfig>,
    /// What all samples go through when they are loaded; nothing by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    normalize: Option<Normalize>,
    /// What training samples go through, anew in every epoch; nothing by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    augment: Option<At<Augment>>,
}

/// A mapping without keys.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

const SOURCES: [&str; 5] = ["digits", "idx", "cifar10", "csv", "npy"];

impl Short for DataConfig {
    type Long = DataKeys;
    const EXPECTED: &'static str = "`digits`, or a mapping such as `idx: { dir: mnist }`";

    fn word(word: &str) -> Result<Self, String> {
        match word {
            "digits" => Ok(Source::Digits.into()),
            _ if SOURCES.contains(&word) => {
                Err(format!("`{word}` needs settings{HELP}write `{word}: {{ ... }}`"))
            }
            _ => Err(format!("`{word}` is not known here{HELP}{}", remedy(word, &SOURCES))),
        }
    }

    fn long(keys: DataKeys) -> Result<Self, String> {
        let DataKeys { digits, idx, cifar10, csv, npy, normalize, augment } = keys;
        let sources = [
            digits.map(|Nothing {}| Source::Digits),
            idx.map(Source::Idx),
            cifar10.map(Source::Cifar10),
            csv.map(Source::Csv),
            npy.map(Source::Npy),
        ];
        let given: Vec<(&str, Source)> =
            SOURCES.into_iter().zip(sources).filter_map(|(key, s)| Some((key, s?))).collect();
        match <[_; 1]>::try_from(given) {
            Ok([(_, source)]) => Ok(Self { source, normalize, augment }),
            Err(given) if given.is_empty() => {
                Err(format!("`data` has no source{HELP}add one of {}", list(SOURCES)))
            }
            Err(given) => {
                let count = given.len();
                let names = list(given.iter().map(|(key, _)| *key));
                Err(format!("`data` has {count} sources{HELP}keep one of {names}"))
            }
        }
    }
}

deserialize_short!(DataConfig);

impl Serialize for DataConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if *self == Source::Digits.into() {
            return serializer.serialize_str("digits");
        }
        let (normalize, augment) = (self.normalize, self.augment.clone());
        let mut keys = DataKeys { normalize, augment, ..DataKeys::default() };
        match self.source.clone() {
            Source::Digits => keys.digits = Some(Nothing {}),
            Source::Idx(config) => keys.idx = Some(config),
            Source::Cifar10(config) => keys.cifar10 = Some(config),
            Source::Csv(config) => keys.csv = Some(config),
            Source::Npy(config) => keys.npy = Some(config),
        }
        keys.serialize(serializer)
    }
}

impl JsonSchema for DataConfig {
    fn schema_name() -> Cow<'static, str> {
        "Data".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut mapping = generator.subschema_for::<DataKeys>();
        let one = SOURCES.map(|source| json_schema!({ "required": [source] }).to_value());
        mapping.insert("oneOf".to_owned(), one.to_vec().into());
        json_schema!({ "anyOf": [{ "enum": ["digits"] }, mapping] })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Flip, Mantissas};
    use super::*;

    fn parse(json: &str) -> Result<DataConfig, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn each_form_survives_a_round_trip() {
        for json in [
            r#""digits""#,
            r#"{"digits":{},"augment":{"crop":1}}"#,
            r#"{"idx":{"dir":"mnist","validation":6000}}"#,
            r#"{"idx":{"dir":"mnist","validation":0.1,"classes":10},"normalize":"mean"}"#,
            r#"{"cifar10":{"dir":"cifar10","validation":5000},"normalize":"mean_std","augment":{"flip":"horizontal","crop":4,"cutout":8}}"#,
            r#"{"csv":{"file":"x.csv","label":"class","header":true,"delimiter":";","validation":0.1,"test":0.2}}"#,
            r#"{"csv":{"file":"x.csv","targets":[3,"y"],"ignore":[0],"delimiter":",","shape":[1,2,2],"scale_exponent":-8,"validation":10,"test":20}}"#,
            r#"{"npy":{"samples":"x.npy","labels":"y.npy","validation":0.1,"test":0.2}}"#,
            r#"{"npy":{"samples":"x.npy","labels":"y.npy","channels":"last","validation":0.1,"test":0.2}}"#,
        ] {
            let config = parse(json).unwrap();
            assert_eq!(serde_json::to_string(&config).unwrap(), json);
        }
    }

    #[test]
    fn unknown_keys_and_wrong_forms_are_refused() {
        for (json, expected) in [
            (r#"{"idx":{"dir":"mnist","valdiation":1}}"#, "unknown field `valdiation`"),
            (
                r#"{"idx":{"dir":"mnist","validation":"all"}}"#,
                "a count of samples (6000) or a share of them (0.1)",
            ),
            (r#"{"csv":{"file":"x.csv","label":[1]}}"#, "a column's name or its index"),
            (r#""mnist""#, "`mnist` is not known here"),
            (r#""idx""#, "write `idx: { ... }`"),
            (r#"{"augment":{"crop":1}}"#, "`data` has no source"),
            (r#"{"digits":{},"idx":{"dir":"mnist"}}"#, "keep one of `digits` or `idx`"),
            (r#"{"digits":{},"augment":{"flip":"vertical"}}"#, "`vertical`"),
            (r#"{"digits":{"dir":"x"}}"#, "unknown field `dir`"),
        ] {
            let error = parse(json).unwrap_err();
            assert!(error.contains(expected), "{json}: {error}");
        }
    }

    #[test]
    fn every_field_is_described_in_the_schema() {
        let schema = serde_json::to_value(schemars::schema_for!(DataConfig)).unwrap();
        let definitions = schema["$defs"].as_object().unwrap();
        for name in ["DataKeys", "Augment", "IdxConfig", "CifarConfig", "CsvConfig", "NpyConfig"] {
            let definition = &definitions[name];
            assert_eq!(definition["additionalProperties"], false, "{name}");
            for (field, property) in definition["properties"].as_object().unwrap() {
                assert!(property["description"].is_string(), "{name}.{field}");
            }
        }
    }

    #[test]
    fn what_the_section_says_is_done() {
        let load = |json| parse(json).unwrap().load(&SearchPath::new(None, None, None)).unwrap();
        let plain = load(r#""digits""#);
        assert_eq!((plain.len(), plain.augment), (1797, None));
        let all =
            load(r#"{"digits":{},"normalize":"mean","augment":{"flip":"horizontal","crop":1}}"#);
        assert!(matches!(all.samples.mantissas, Mantissas::I8(_)));
        let flip = Some(Flip::Horizontal);
        assert_eq!(all.augment, Some(Augment { flip, crop: Some(1), cutout: None }));
        assert_eq!((all.split, all.targets), (plain.split, plain.targets));
    }
}
