//! The settings of one point, as they are written: every key may be left out.

use fixgrad::quant::{Overflow, Round};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize, Serializer, de::DeserializeOwned};

use super::{
    at::At,
    format::Format,
    range::RangeRule,
    short::{Short, deserialize_short},
    yaml::HELP,
};

/// A bit width: 1 to 16, `binary` or `ternary`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bits {
    /// So many bits, the sign included.
    Number(i64),
    /// One bit: -1 and +1.
    Binary,
    /// Two bits without the most negative code: -1, 0 and +1.
    Ternary,
}

impl Short for Bits {
    type Long = NoMapping;
    const EXPECTED: &'static str = "a bit width from 1 to 16, `binary` or `ternary`";

    fn word(word: &str) -> Result<Self, String> {
        match word {
            "binary" => Ok(Self::Binary),
            "ternary" => Ok(Self::Ternary),
            _ => Err(format!("expected {}, found `{word}`", Self::EXPECTED)),
        }
    }
    fn long(_: NoMapping) -> Result<Self, String> {
        Err(format!("expected {}", Self::EXPECTED))
    }
    fn number(number: i64) -> Result<Self, String> {
        Ok(Self::Number(number))
    }
}

/// Where no mapping is allowed.
#[derive(Debug, Deserialize)]
pub(crate) struct NoMapping {}

impl Serialize for Bits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(bits) => serializer.serialize_i64(*bits),
            Self::Binary => serializer.serialize_str("binary"),
            Self::Ternary => serializer.serialize_str("ternary"),
        }
    }
}

impl JsonSchema for Bits {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Bits".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A bit width, the sign included. `binary` is 1 bit (-1, +1), `ternary` \
                            is 2 bits with `overflow: sat_sym` (-1, 0, +1).",
            "oneOf": [
                { "type": "integer", "minimum": 1, "maximum": 16 },
                { "enum": ["binary", "ternary"] }
            ]
        })
    }
}

/// How numbers become codes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QuantKeys {
    /// Bit width.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bits: Option<At<Bits>>,
    /// How the bound is found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<At<RangeRule>>,
    /// Rounding rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<RoundWord>")]
    pub round: Option<At<Round>>,
    /// Overflow rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<OverflowWord>")]
    pub overflow: Option<At<Overflow>>,
}

/// A point of the forward pass.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PointKeys {
    /// Bit width.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bits: Option<At<Bits>>,
    /// How the bound is found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<At<RangeRule>>,
    /// Rounding rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<RoundWord>")]
    pub round: Option<At<Round>>,
    /// Overflow rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<OverflowWord>")]
    pub overflow: Option<At<Overflow>>,
    /// Whether the gradient is zero where the value was outside the range.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip: Option<At<bool>>,
    /// Weights only: a bound of its own for every output channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_channel: Option<At<bool>>,
    /// What inference does otherwise. By default it keeps the bound of the training and rounds
    /// without random numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub infer: Option<At<QuantKeys>>,
}

impl PointKeys {
    /// The keys that gradients have too.
    pub(super) fn quant(&self) -> QuantKeys {
        QuantKeys {
            bits: self.bits.clone(),
            range: self.range.clone(),
            round: self.round.clone(),
            overflow: self.overflow.clone(),
        }
    }
}

/// What is written for a point: its keys, a fixed-point format for all of it, or `none`.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry<K> {
    /// No point: the numbers pass as they are.
    None,
    /// `fixed<W,I,ROUND,OVERFLOW>`, or `iIfF`.
    Format(Format),
    /// Single settings.
    Keys(K),
}

/// A point of the forward pass, as written.
pub type PointEntry = Entry<PointKeys>;
/// The point of a gradient, as written.
pub type GradEntry = Entry<QuantKeys>;

impl<K: DeserializeOwned> Short for Entry<K> {
    type Long = K;
    const EXPECTED: &'static str = "settings such as `bits: 8`, a format such as `i2f6`, or `none`";

    fn word(word: &str) -> Result<Self, String> {
        match word {
            "none" => Ok(Self::None),
            "float" | "float32" => Err(format!(
                "there are no floats in a step{HELP}give the point `bits: 16`, or `none` where a \
                 layer only passes numbers on"
            )),
            _ => word.parse().map(Self::Format),
        }
    }
    fn long(keys: K) -> Result<Self, String> {
        Ok(Self::Keys(keys))
    }
    fn number(number: i64) -> Result<Self, String> {
        Err(format!(
            "expected {}, found {number}{HELP}write `{{ bits: {number} }}`",
            Self::EXPECTED
        ))
    }
}

deserialize_short!(Bits, PointEntry, GradEntry);

impl<K: Serialize> Serialize for Entry<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => serializer.serialize_str("none"),
            Self::Format(format) => format.serialize(serializer),
            Self::Keys(keys) => serde_saphyr::FlowMap(keys).serialize(serializer),
        }
    }
}

impl<K: JsonSchema> JsonSchema for Entry<K> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("{}OrFormat", K::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let keys = generator.subschema_for::<K>();
        let format = generator.subschema_for::<Format>();
        json_schema!({ "anyOf": [keys, format, { "const": "none" }] })
    }
}

/// Names of [`Round`], for the schema.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) enum RoundWord {
    Trn,
    TrnZero,
    Rnd,
    RndZero,
    RndInf,
    RndMinInf,
    RndConv,
    Stochastic,
    PseudoStochastic,
}

/// Names of [`Overflow`], for the schema.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) enum OverflowWord {
    Sat,
    SatSym,
    SatZero,
    Wrap,
}
