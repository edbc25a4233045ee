//! Range rules as they are written: `max`, `percentile=99.9`, `{ moving: { window: 64 } }`.

use std::{fmt, str::FromStr};

use fixgrad::quant::Range;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize, Serializer};

use super::{
    short::{Short, deserialize_short},
    suggest::remedy,
    yaml::HELP,
};

/// How the bound of a tensor is found, with a form in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangeRule(pub Range);

const WORDS: [&str; 7] =
    ["max", "three_sigma", "percentile=99.9", "sweep", "keep", "fixed=0", "moving"];

const WINDOW: u8 = 64;

/// The mapping that a rule with numbers may be written as.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LongRange {
    /// The bound is two to this power.
    Fixed(#[schemars(range(min = -64, max = 64))] i64),
    /// Per cent of the magnitudes that lie within the bound, in steps of 0.01.
    Percentile(#[schemars(range(min = 0.0, max = 100.0))] f64),
    /// The largest bound of the steps before this one.
    Moving(Moving),
}

/// The numbers of a moving range.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Moving {
    /// Steps that are looked back, 1 to 255.
    #[serde(default = "default_window")]
    #[schemars(range(min = 1, max = 255))]
    window: i64,
    /// Per cent of the magnitudes that lie within the bound, in steps of 0.01.
    #[serde(default = "all")]
    #[schemars(range(min = 0.0, max = 100.0))]
    percentile: f64,
}

const fn default_window() -> i64 {
    WINDOW as i64
}

const fn all() -> f64 {
    100.0
}

impl FromStr for RangeRule {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name.trim(), Some(value.trim())),
            None => (word, None),
        };
        let range = match (name, value) {
            ("max", None) => Range::Max,
            ("three_sigma", None) => Range::ThreeSigma,
            ("sweep", None) => Range::Sweep,
            ("keep", None) => Range::Keep,
            ("moving", None) => Range::Moving { window: WINDOW, percentile: 10_000 },
            ("percentile", Some(value)) => Range::Percentile(share(number(word, value)?)?),
            ("fixed", Some(value)) => Range::Fixed(bound(number(word, value)?)?),
            ("percentile", None) => {
                return Err(format!("`percentile` needs its share{HELP}write `percentile=99.9`"));
            }
            ("fixed", None) => {
                return Err(format!(
                    "`fixed` needs the exponent of its bound{HELP}write `fixed=0` for the range \
                     -1 to 1, or `keep` for the bound that the tensor has"
                ));
            }
            _ => {
                return Err(format!("`{word}` is not a range rule{HELP}{}", remedy(name, &WORDS)));
            }
        };
        Ok(Self(range))
    }
}

fn number<T: FromStr>(word: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| {
        format!(
            "`{word}`: `{value}` is not a number that fits here{HELP}allowed: {}",
            WORDS.join(", ")
        )
    })
}

fn bound(exponent: i64) -> Result<i16, String> {
    match i16::try_from(exponent) {
        Ok(bound @ -64..=64) => Ok(bound),
        _ => Err(format!(
            "the bound 2^{exponent} is out of reach{HELP}the exponent of a bound lies in -64..=64"
        )),
    }
}

/// Hundredths of a per cent.
fn share(percent: f64) -> Result<u16, String> {
    let hundredths = (percent * 100.0).round();
    if !(0.0..=10_000.0).contains(&hundredths) {
        return Err(format!("{percent} per cent{HELP}a percentile lies in 0..=100"));
    }
    if (hundredths / 100.0 - percent).abs() > 1e-9 {
        return Err(format!("{percent} per cent is too fine{HELP}percentiles have steps of 0.01"));
    }
    Ok(hundredths as u16)
}

impl Short for RangeRule {
    type Long = LongRange;
    const EXPECTED: &'static str = "a range rule such as `max` or `{ percentile: 99.9 }`";

    fn word(word: &str) -> Result<Self, String> {
        word.parse()
    }
    fn long(long: LongRange) -> Result<Self, String> {
        Ok(Self(match long {
            LongRange::Fixed(exponent) => Range::Fixed(bound(exponent)?),
            LongRange::Percentile(percent) => Range::Percentile(share(percent)?),
            LongRange::Moving(Moving { window, percentile }) => Range::Moving {
                window: u8::try_from(window).ok().filter(|&window| window > 0).ok_or_else(
                    || format!("a window of {window} steps{HELP}a window has 1 to 255 steps"),
                )?,
                percentile: share(percentile)?,
            },
        }))
    }
    fn number(number: i64) -> Result<Self, String> {
        Err(format!("{number} is not a range rule{HELP}write `fixed={number}` for this exponent"))
    }
}

deserialize_short!(RangeRule);

impl fmt::Display for RangeRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Range::Max => f.write_str("max"),
            Range::ThreeSigma => f.write_str("three_sigma"),
            Range::Sweep => f.write_str("sweep"),
            Range::Keep => f.write_str("keep"),
            Range::Fixed(bound) => write!(f, "fixed={bound}"),
            Range::Percentile(share) => write!(f, "percentile={}", f64::from(share) / 100.0),
            Range::Moving { window, percentile } => {
                write!(f, "moving({window}, {}%)", f64::from(percentile) / 100.0)
            }
        }
    }
}

impl Serialize for RangeRule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            // As a map and not as the variant of an enum, which would lose its braces in flow style.
            Range::Moving { window, percentile } => serializer.collect_map([(
                "moving",
                Moving { window: window.into(), percentile: f64::from(percentile) / 100.0 },
            )]),
            _ => serializer.collect_str(self),
        }
    }
}

impl JsonSchema for RangeRule {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Range".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let long = generator.subschema_for::<LongRange>();
        json_schema!({
            "description": "How the bound of a tensor is found.",
            "anyOf": [
                { "enum": ["max", "three_sigma", "sweep", "keep", "moving"] },
                { "type": "string", "pattern": "^(percentile=[0-9.]+|fixed=-?[0-9]+)$" },
                long
            ]
        })
    }
}
