//! Which settings a sweep tries.

use std::str::FromStr;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

use crate::config::{Experiment, yaml};

/// `key=a,b,c`: a key by its path in the file, and the values to try.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// The path, with dots; a place in a list is a number that counts from 0.
    pub key: String,
    /// The values.
    pub values: Vec<Value>,
}

impl FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const FORM: &str = "expected KEY=VALUE,VALUE, such as fixed.default.weight.bits=2,4,8";
        let (key, values) = text.split_once('=').ok_or(FORM)?;
        if key.split('.').any(str::is_empty) {
            return Err(FORM.to_owned());
        }
        // As YAML reads a list, so that values may be numbers, words, lists and mappings.
        let values: Vec<Value> = yaml::parse(key, &format!("[{values}]"))
            .map_err(|_| format!("`{values}` is no list of values: {FORM}"))?;
        if values.is_empty() || values.iter().any(Value::is_null) {
            return Err(FORM.to_owned());
        }
        Ok(Self { key: key.to_owned(), values })
    }
}

/// All that a sweep tries.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Grid {
    /// The settings; every combination is a row.
    pub settings: Vec<Setting>,
    /// Seeds of every combination; none is the configuration's own.
    pub seeds: Vec<u64>,
}

impl Grid {
    /// Every combination of values; the last key changes fastest.
    pub fn combinations(&self) -> Vec<Vec<(String, Value)>> {
        let mut all = vec![Vec::new()];
        for Setting { key, values } in &self.settings {
            let longer = |start: &Vec<(String, Value)>| {
                let start = start.clone();
                values.iter().map(move |value| {
                    let mut row = start.clone();
                    row.push((key.clone(), value.clone()));
                    row
                })
            };
            all = all.iter().flat_map(longer).collect();
        }
        all
    }
}

/// `key=value, key=value`.
pub(super) fn label(settings: &[(String, Value)]) -> String {
    let words: Vec<String> =
        settings.iter().map(|(key, value)| format!("{key}={}", word(value))).collect();
    words.join(", ")
}

/// A value as it is typed.
pub(super) fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The configuration with these settings. A key that does not exist is the compiler's error, with
/// its remedy, in the text as it would have to be written.
pub(super) fn apply(text: &str, file: &str, settings: &[(String, Value)]) -> Result<Experiment> {
    if settings.is_empty() {
        return Ok(Experiment::parse(file, text)?);
    }
    let mut root: Value = yaml::parse(file, text)?;
    for (key, value) in settings {
        set(&mut root, key, value).with_context(|| format!("--set {key}={}", word(value)))?;
    }
    let text = serde_saphyr::to_string(&root)?;
    Ok(Experiment::parse(&format!("{file} with {}", label(settings)), &text)?)
}

fn set(root: &mut Value, key: &str, value: &Value) -> Result<()> {
    let mut at = root;
    let mut path = String::new();
    for word in key.split('.') {
        at = match at {
            Value::Null => {
                *at = Value::Object(Map::new());
                at.as_object_mut().map(|map| map.entry(word).or_insert(Value::Null))
            }
            Value::Object(map) => Some(map.entry(word).or_insert(Value::Null)),
            Value::Array(items) => {
                let count = items.len();
                let item = word.parse().ok().and_then(|index: usize| items.get_mut(index));
                let Some(item) = item else {
                    bail!("`{path}` is a list of {count}: expected a number below that, found `{word}`");
                };
                Some(item)
            }
            other => {
                bail!(
                    "`{path}` is `{}` in the file and has no key `{word}`: write it out as a \
                     mapping there",
                    self::word(other)
                );
            }
        }
        .context("a mapping")?;
        path = if path.is_empty() { word.to_owned() } else { format!("{path}.{word}") };
    }
    *at = value.clone();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
model:
  layers:
    - flatten
    - dense: { name: fc1, units: 10 }
data: digits
train: { epochs: 1, batch: 32, lr: 0.5, schedule: cosine }
fixed: { default: { weight: { bits: 8 } } }
";

    fn settings(texts: &[&str]) -> Vec<Setting> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn first(texts: &[&str]) -> Result<Experiment> {
        let grid = Grid { settings: settings(texts), seeds: vec![] };
        apply(TEXT, "a.yaml", &grid.combinations()[0])
    }

    #[test]
    fn values_are_what_yaml_reads() {
        let setting: Setting = "a.b=2, 0.5, rnd_conv, {step: {factor: 0.5}}".parse().unwrap();
        assert_eq!(setting.key, "a.b");
        assert_eq!(setting.values.len(), 4);
        assert_eq!(setting.values[0], 2);
        assert_eq!(setting.values[2], "rnd_conv");
        for wrong in ["a.b", "=1", "a..b=1", "a=", "a=[", "a=1,"] {
            let parsed = wrong.parse::<Setting>();
            assert!(parsed.is_err() || wrong == "a=1,", "{wrong}: {parsed:?}");
        }
    }

    #[test]
    fn every_combination_comes_once_and_the_last_key_changes_fastest() {
        let grid = Grid { settings: settings(&["a=1,2", "b=x,y,z"]), seeds: vec![] };
        let labels: Vec<String> = grid.combinations().iter().map(|row| label(row)).collect();
        assert_eq!(labels.len(), 6);
        assert_eq!(labels[1], "a=1, b=y");
        assert_eq!(labels[3], "a=2, b=x");
        assert_eq!(Grid::default().combinations(), [vec![]]);
    }

    #[test]
    fn keys_reach_their_place_also_where_the_file_is_silent() {
        let set = first(&[
            "fixed.default.weight.bits=4",
            "fixed.default.activation.round=trn",
            "model.layers.1.dense.units=12",
            "train.lr=0.25",
        ]);
        let sections = set.unwrap().sections;
        assert_eq!(sections.train.lr.value, 0.25);
        let yaml = serde_json::to_value(&sections).unwrap();
        assert_eq!(yaml["fixed"]["default"]["weight"]["bits"], 4);
        assert_eq!(yaml["fixed"]["default"]["activation"]["round"], "trn");
        assert_eq!(yaml["model"]["layers"][1]["dense"]["units"], 12);
    }

    #[test]
    fn keys_that_do_not_exist_are_refused_with_near_ones() {
        let error = format!("{:#}", first(&["fixed.default.weight.bit=4"]).unwrap_err());
        assert!(error.contains("a.yaml with fixed.default.weight.bit=4"), "{error}");
        assert!(error.contains("did you mean `bits`?"), "{error}");
        let error = format!("{:#}", first(&["train.schedule.cosine.floor=0.1"]).unwrap_err());
        assert!(error.contains("`train.schedule` is `cosine` in the file"), "{error}");
        let error = format!("{:#}", first(&["model.layers.fc1.units=4"]).unwrap_err());
        assert!(error.contains("`model.layers` is a list of 2"), "{error}");
    }
}
