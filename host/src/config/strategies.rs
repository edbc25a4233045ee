//! The `strategies:` section as it is written.

use fixgrad::strategy::Place;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{
    at::At,
    short::{Short, deserialize_short},
    suggest::remedy,
    yaml::HELP,
};

/// A ready-made strategy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StrategyKeys {
    /// Uniform noise before or after a point.
    Noise(NoiseKeys),
    /// Weight gradients held in a fixed range.
    GradientBuffer(BufferKeys),
}

/// Uniform noise before or after a point, independent for every element and step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoiseKeys {
    /// Name patterns, or `kind:dense`; by default every layer.
    #[serde(default)]
    pub layers: Patterns,
    /// The point.
    #[schemars(with = "PlaceWord")]
    pub place: Place,
    /// Before the point; `none` by default.
    #[serde(default)]
    pub pre: At<AmountKeys>,
    /// After the point; `none` by default.
    #[serde(default)]
    pub post: At<AmountKeys>,
    /// Whether values are rounded back to the grid after `post`; by default they are.
    #[serde(default = "yes")]
    pub requantize: bool,
}

const fn yes() -> bool {
    true
}

/// Weight gradients are quantised once more, to a fixed bound and width.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BufferKeys {
    /// Name patterns, or `kind:dense`; by default every layer.
    #[serde(default)]
    pub layers: Patterns,
    /// Exponent of the bound.
    #[schemars(range(min = -64, max = 64))]
    pub bound: At<i64>,
    /// Width of the buffer.
    #[schemars(range(min = 2, max = 30))]
    pub bits: At<i64>,
}

/// How much noise, in words or numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum AmountKeys {
    /// None.
    #[default]
    None,
    /// Some.
    Some(AmountMapping),
}

/// How much noise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AmountMapping {
    /// Between two numbers.
    Uniform(Ends),
    /// Between two numbers of steps of the point.
    UniformSteps(Ends),
}

/// The ends of an interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ends {
    /// Lower end.
    #[serde(default = "minus_half")]
    pub min: f64,
    /// Upper end.
    #[serde(default = "half")]
    pub max: f64,
}

const fn minus_half() -> f64 {
    -0.5
}

const fn half() -> f64 {
    0.5
}

impl Default for At<AmountKeys> {
    fn default() -> Self {
        AmountKeys::None.into()
    }
}

impl Short for AmountKeys {
    type Long = AmountMapping;
    const EXPECTED: &'static str = "`none` or `uniform_steps: { min: -0.5, max: 0.5 }`";

    fn word(word: &str) -> Result<Self, String> {
        let ends = Ends { min: minus_half(), max: half() };
        match word {
            "none" => Ok(Self::None),
            "uniform" => Ok(Self::Some(AmountMapping::Uniform(ends))),
            "uniform_steps" => Ok(Self::Some(AmountMapping::UniformSteps(ends))),
            _ => {
                let remedy = remedy(word, &["none", "uniform", "uniform_steps"]);
                Err(format!("`{word}` is not an amount of noise{HELP}{remedy}"))
            }
        }
    }
    fn long(long: AmountMapping) -> Result<Self, String> {
        Ok(Self::Some(long))
    }
}

deserialize_short!(AmountKeys);

impl Serialize for AmountKeys {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => serializer.serialize_str("none"),
            Self::Some(mapping) => serde_saphyr::FlowMap(mapping).serialize(serializer),
        }
    }
}

impl JsonSchema for AmountKeys {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Amount".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mapping = generator.subschema_for::<AmountMapping>();
        json_schema!({ "anyOf": [{ "enum": ["none", "uniform", "uniform_steps"] }, mapping] })
    }
}

/// One name pattern or a list of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Patterns(pub Vec<At<String>>);

impl Default for Patterns {
    fn default() -> Self {
        Self(vec!["*".to_owned().into()])
    }
}

impl<'de> Deserialize<'de> for Patterns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany;
        impl<'de> de::Visitor<'de> for OneOrMany {
            type Value = Vec<At<String>>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a name pattern such as `fc*`, or a list of them")
            }
            fn visit_str<E: de::Error>(self, one: &str) -> Result<Self::Value, E> {
                Ok(vec![one.to_owned().into()])
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut many = Vec::new();
                while let Some(one) = seq.next_element()? {
                    many.push(one);
                }
                Ok(many)
            }
        }
        struct Any(Vec<At<String>>);
        impl<'de> Deserialize<'de> for Any {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(OneOrMany).map(Self)
            }
        }
        let At { value: Any(mut patterns), span } = At::deserialize(deserializer)?;
        for pattern in &mut patterns {
            pattern.span = pattern.span.take().or_else(|| span.clone());
        }
        Ok(Self(patterns))
    }
}

impl Serialize for Patterns {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [one] => one.serialize(serializer),
            many => serde_saphyr::FlowSeq(many).serialize(serializer),
        }
    }
}

impl JsonSchema for Patterns {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Patterns".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "string" },
                { "type": "array", "items": { "type": "string" }, "minItems": 1 }
            ]
        })
    }
}

/// Names of [`Place`], for the schema.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "only its schema is used")]
enum PlaceWord {
    Weight,
    WeightGrad,
    Activation,
    ActivationGrad,
}
