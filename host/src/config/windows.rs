//! Sizes of windows: one number for both directions, or two.

use fixgrad::graph::Padding;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// A number for both directions, or `[vertical, horizontal]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair(pub [u8; 2]);

/// `valid`, `same`, or zeros on each side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PaddingEntry(pub Padding);

/// What is written.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    One(i64),
    Two([i64; 2]),
    Word(String),
}

fn pair<E: Error>(numbers: [i64; 2]) -> Result<[u8; 2], E> {
    let small = |n: i64| {
        u8::try_from(n).map_err(|_| E::custom(format_args!("expected 0 to 255, found {n}")))
    };
    let [a, b] = numbers;
    Ok([small(a)?, small(b)?])
}

impl<'de> Deserialize<'de> for Pair {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "expected a number, or two as `[vertical, horizontal]`";
        match Written::deserialize(deserializer).map_err(|_| D::Error::custom(expected))? {
            Written::One(both) => pair([both; 2]).map(Self),
            Written::Two(each) => pair(each).map(Self),
            Written::Word(_) => Err(D::Error::custom(expected)),
        }
    }
}

impl Serialize for Pair {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            [a, b] if a == b => serializer.serialize_u8(a),
            both => serde_saphyr::FlowSeq(both).serialize(serializer),
        }
    }
}

impl JsonSchema for Pair {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Pair".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let number = json_schema!({ "type": "integer", "minimum": 0, "maximum": 255 });
        json_schema!({ "anyOf": [
            number,
            { "type": "array", "items": number, "minItems": 2, "maxItems": 2 }
        ] })
    }
}

impl<'de> Deserialize<'de> for PaddingEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "expected `valid`, `same`, or zeros on each side as a number or \
                        `[vertical, horizontal]`";
        let written = Written::deserialize(deserializer).map_err(|_| D::Error::custom(expected))?;
        Ok(Self(match written {
            Written::One(both) => Padding::Explicit(pair([both; 2])?),
            Written::Two(each) => Padding::Explicit(pair(each)?),
            Written::Word(word) if word == "valid" => Padding::Valid,
            Written::Word(word) if word == "same" => Padding::Same,
            Written::Word(word) => {
                return Err(D::Error::custom(format_args!("{expected}; found `{word}`")));
            }
        }))
    }
}

impl Serialize for PaddingEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Padding::Valid => serializer.serialize_str("valid"),
            Padding::Same => serializer.serialize_str("same"),
            Padding::Explicit(pad) => Pair(pad).serialize(serializer),
        }
    }
}

impl JsonSchema for PaddingEntry {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Padding".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let pair = generator.subschema_for::<Pair>();
        json_schema!({ "anyOf": [{ "enum": ["valid", "same"] }, pair] })
    }
}
