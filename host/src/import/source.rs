//! nics_fix's two kinds of YAML file as they are written: fixed-point settings and strategies.
//!
//! Both have `by_type` and `by_name`, so one set of types reads both; an entry with `name` is a
//! strategy. Unlike nics_fix, a misspelt key is an error.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, SeqAccess, Visitor},
};

use crate::config::At;

/// A file of either kind.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// Named templates.
    #[serde(default)]
    pub(super) configs: Mapping<Op>,
    /// By class of operation.
    #[serde(default)]
    pub(super) by_type: Mapping<Ops>,
    /// By name of operation.
    #[serde(default)]
    pub(super) by_name: Mapping<Ops>,
}

/// A mapping in the order of the file; nothing written is an empty one.
#[derive(Debug)]
pub(super) struct Mapping<T>(pub(super) Vec<(At<String>, T)>);

impl<T> Default for Mapping<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Mapping<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for InOrder<T> {
            type Value = Mapping<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping from names to settings")
            }
            fn visit_unit<E: de::Error>(self) -> Result<Mapping<T>, E> {
                Ok(Mapping::default())
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Mapping<T>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Mapping(entries))
            }
        }
        deserializer.deserialize_any(InOrder(std::marker::PhantomData))
    }
}

/// One operation's settings, or a list of strategies.
#[derive(Debug, Default)]
pub(super) struct Ops(pub(super) Vec<Op>);

impl<'de> Deserialize<'de> for Ops {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany;
        impl<'de> Visitor<'de> for OneOrMany {
            type Value = Ops;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("settings, or a list of strategies")
            }
            fn visit_unit<E: de::Error>(self) -> Result<Ops, E> {
                Ok(Ops::default())
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Ops, A::Error> {
                Op::deserialize(de::value::MapAccessDeserializer::new(map)).map(|op| Ops(vec![op]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Ops, A::Error> {
                let mut ops = Vec::new();
                while let Some(op) = seq.next_element()? {
                    ops.push(op);
                }
                Ok(Ops(ops))
            }
        }
        deserializer.deserialize_any(OneOrMany)
    }
}

/// Settings of an operation, or one strategy.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Op {
    /// The template that the rest overrides.
    pub(super) config_name: Option<At<String>>,
    /// The strategy's registered name.
    pub(super) name: Option<At<String>>,
    pub(super) weight: Option<Part>,
    pub(super) activation: Option<Part>,
    /// The gradient buffer's exponent.
    pub(super) scale: Option<At<i64>>,
    /// The gradient buffer's width.
    pub(super) bit_width: Option<At<i64>>,
}

/// Data and gradient of a tensor.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Part {
    pub(super) data_config: Option<Quantiser>,
    pub(super) gradient_config: Option<Quantiser>,
}

/// One quantiser, or the noise around it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Quantiser {
    #[serde(default)]
    pub(super) training: Mode,
    #[serde(default)]
    pub(super) not_training: Mode,
    pub(super) bit_width: Option<At<i64>>,
    pub(super) pre: Option<Noise>,
    pub(super) post: Option<Noise>,
}

/// Noise on one side of a quantiser.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Noise {
    #[serde(default, rename = "type")]
    pub(super) kind: NoiseKind,
    pub(super) min: Option<f64>,
    pub(super) max: Option<f64>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum NoiseKind {
    #[default]
    None,
    Uniform,
    UniformRatio,
}

/// Where a quantiser's exponent comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Mode {
    /// No quantiser: float.
    #[default]
    None,
    /// From this tensor.
    Auto,
    /// The stored one.
    Fixed,
    /// This one.
    Exponent(i64),
}

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ModeVisitor;
        impl Visitor<'_> for ModeVisitor {
            type Value = Mode;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`auto`, `fixed`, `none` or a whole number")
            }
            fn visit_unit<E: de::Error>(self) -> Result<Mode, E> {
                Ok(Mode::None)
            }
            fn visit_str<E: de::Error>(self, word: &str) -> Result<Mode, E> {
                match word {
                    "none" => Ok(Mode::None),
                    "auto" => Ok(Mode::Auto),
                    "fixed" => Ok(Mode::Fixed),
                    _ => Err(E::unknown_variant(word, &["auto", "fixed", "none"])),
                }
            }
            fn visit_i64<E: de::Error>(self, exponent: i64) -> Result<Mode, E> {
                Ok(Mode::Exponent(exponent))
            }
            fn visit_u64<E: de::Error>(self, exponent: u64) -> Result<Mode, E> {
                Ok(Mode::Exponent(i64::try_from(exponent).unwrap_or(i64::MAX)))
            }
        }
        deserializer.deserialize_any(ModeVisitor)
    }
}
