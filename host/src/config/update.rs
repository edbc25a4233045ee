//! Which parameters move, as it is written: `all`, `bias`, `nothing`, `channels=0..16`.

use std::{fmt, str::FromStr};

use fixgrad::config::Update;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use super::{suggest::remedy, yaml::HELP};

/// Which parameters of a layer move, with a form in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpdateRule(pub Update);

const WORDS: [&str; 4] = ["all", "bias", "nothing", "channels=0..16"];

impl FromStr for UpdateRule {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        Ok(Self(match word.split_once('=') {
            None if word == "all" => Update::All,
            None if word == "bias" => Update::Bias,
            None if word == "nothing" => Update::Nothing,
            Some((name, value)) if name.trim() == "channels" => channels(word, value)?,
            _ => return Err(format!("`{word}` is no update{HELP}{}", remedy(word, &WORDS))),
        }))
    }
}

fn channels(word: &str, value: &str) -> Result<Update, String> {
    let ends = value.split_once("..").map(|(first, end)| (first.trim(), end.trim()));
    let ends = ends.and_then(|(first, end)| Some((first.parse().ok()?, end.parse().ok()?)));
    match ends {
        Some::<(u16, u16)>((first, end)) if first < end => {
            Ok(Update::Channels { first, count: end - first })
        }
        _ => Err(format!(
            "`{word}` names no channels{HELP}write `channels=0..16` for the first 16, which end \
             before channel 16"
        )),
    }
}

impl fmt::Display for UpdateRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Update::All => f.write_str("all"),
            Update::Bias => f.write_str("bias"),
            Update::Nothing => f.write_str("nothing"),
            Update::Channels { first, count } => {
                write!(f, "channels={first}..{}", u32::from(first) + u32::from(count))
            }
        }
    }
}

impl Serialize for UpdateRule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UpdateRule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for UpdateRule {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Update".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Which parameters of a layer move in training.",
            "anyOf": [
                { "enum": ["all", "bias", "nothing"] },
                { "type": "string", "pattern": "^channels=[0-9]+\\.\\.[0-9]+$" }
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_read_again() {
        for update in
            [Update::All, Update::Bias, Update::Nothing, Update::Channels { first: 3, count: 5 }]
        {
            assert_eq!(UpdateRule(update).to_string().parse(), Ok(UpdateRule(update)));
        }
        assert_eq!(
            "channels=3..8".parse(),
            Ok(UpdateRule(Update::Channels { first: 3, count: 5 }))
        );
    }

    #[test]
    fn what_names_nothing_is_refused_with_a_way_out() {
        for (word, part) in [
            ("none", "allowed: `all`"),
            ("biases", "did you mean `bias`"),
            ("channels", "`channels=0..16`"),
            ("channels=5..5", "names no channels"),
            ("channels=5", "names no channels"),
            ("channels=-1..5", "names no channels"),
        ] {
            let error = word.parse::<UpdateRule>().unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
