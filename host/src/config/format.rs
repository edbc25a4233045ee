//! Fixed-point formats in a word: `fixed<W,I,ROUND,OVERFLOW>` as hls4ml and `ap_fixed` have it, and
//! `i2f6`, which needs no comma.

use std::{fmt, str::FromStr};

use fixgrad::quant::{Overflow, Round};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

use super::yaml::HELP;

/// A format with a fixed bound. Rules that are not written stay as they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// All bits, the sign included.
    pub bits: u8,
    /// Exponent of the bound: the integer bits without the sign.
    pub bound: i16,
    /// Rounding rule, when written.
    pub round: Option<Round>,
    /// Overflow rule, when written.
    pub overflow: Option<Overflow>,
    /// Whether it was written `ap_fixed`, whose own defaults are TRN and WRAP.
    pub ap: bool,
}

const FORMS: &str = "a format is `fixed<W,I>`, `fixed<W,I,ROUND,OVERFLOW>` or `iIfF`: W bits in all, \
                     I of them before the binary point, the sign included; `fixed<8,2>` is `i2f6`";

const ROUNDS: [(&str, Round); 7] = [
    ("TRN", Round::Trn),
    ("TRN_ZERO", Round::TrnZero),
    ("RND", Round::Rnd),
    ("RND_ZERO", Round::RndZero),
    ("RND_INF", Round::RndInf),
    ("RND_MIN_INF", Round::RndMinInf),
    ("RND_CONV", Round::RndConv),
];

const OVERFLOWS: [(&str, Overflow); 4] = [
    ("SAT", Overflow::Sat),
    ("SAT_SYM", Overflow::SatSym),
    ("SAT_ZERO", Overflow::SatZero),
    ("WRAP", Overflow::Wrap),
];

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = || format!("`{text}` is not a setting of a point{HELP}{FORMS}");
        if text.starts_with("ufixed<") || text.starts_with("ap_ufixed<") {
            return Err(format!("`{text}`: numbers are signed here{HELP}{FORMS}"));
        }
        let (ap, body) = match (text.strip_prefix("ap_fixed<"), text.strip_prefix("fixed<")) {
            (Some(body), _) => (true, body),
            (None, Some(body)) => (false, body),
            (None, None) => return q_format(text).unwrap_or_else(|| Err(unknown())),
        };
        let Some(body) = body.strip_suffix('>') else {
            return Err(format!(
                "`{text}` has no end: inside {{ }} a comma starts the next key{HELP}quote it, \
                 'fixed<8,2>', or write `i2f6`, which has no comma"
            ));
        };
        let parts: Vec<&str> = body.split(',').map(str::trim).collect();
        let [width, integer, rules @ ..] = parts.as_slice() else { return Err(unknown()) };
        let (Ok(width), Ok(integer)) = (width.parse::<i64>(), integer.parse::<i64>()) else {
            return Err(unknown());
        };
        let (round, overflow) = match rules {
            [] => (None, None),
            [round] => (Some(rule(round, &ROUNDS)?), None),
            [round, overflow] => (Some(rule(round, &ROUNDS)?), Some(rule(overflow, &OVERFLOWS)?)),
            _ => return Err(unknown()),
        };
        Ok(Self { round, overflow, ap, ..sized(width, integer)? })
    }
}

fn q_format(text: &str) -> Option<Result<Format, String>> {
    let (integer, fraction) = text.strip_prefix('i')?.split_once('f')?;
    let (integer, fraction) = (integer.parse::<i64>().ok()?, fraction.parse::<i64>().ok()?);
    Some(match integer.checked_add(fraction) {
        Some(width) => sized(width, integer),
        None => sized(0, 0),
    })
}

fn sized(width: i64, integer: i64) -> Result<Format, String> {
    let bits = match u8::try_from(width) {
        Ok(bits @ 1..=16) => bits,
        _ => return Err(format!("{width} bits in all{HELP}a point has 1 to 16 bits; {FORMS}")),
    };
    let bound = match integer.checked_sub(1).map(i16::try_from) {
        Some(Ok(bound @ -64..=64)) => bound,
        _ => {
            return Err(format!(
                "{integer} bits before the binary point{HELP}-63 to 65 are possible"
            ));
        }
    };
    Ok(Format { bits, bound, round: None, overflow: None, ap: false })
}

fn rule<T: Copy>(word: &str, rules: &[(&'static str, T)]) -> Result<T, String> {
    let upper = word.to_ascii_uppercase();
    let name = upper.strip_prefix("AP_").unwrap_or(&upper);
    let found = rules.iter().find(|(known, _)| *known == name);
    found.map(|&(_, rule)| rule).ok_or_else(|| {
        let names: Vec<&str> = rules.iter().map(|&(name, _)| name).collect();
        format!("`{word}` is not a rule here{HELP}{}", super::suggest::remedy(name, &names))
    })
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name =
            |round| ROUNDS.iter().find(|(_, rule)| *rule == round).map_or("RND_CONV", |r| r.0);
        write!(f, "{}fixed<{},{}", if self.ap { "ap_" } else { "" }, self.bits, self.bound + 1)?;
        if let Some(round) = self.round {
            write!(f, ",{}", name(round))?;
        }
        if let Some(overflow) = self.overflow {
            let name = OVERFLOWS.iter().find(|(_, rule)| *rule == overflow).map_or("SAT", |r| r.0);
            write!(f, ",{name}")?;
        }
        f.write_str(">")
    }
}

impl Serialize for Format {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Format {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Format".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": FORMS,
            "pattern": "^((ap_)?fixed<.*>|i-?[0-9]+f-?[0-9]+)$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_integer_bits_count_the_sign() {
        let format: Format = "fixed<8,2>".parse().unwrap();
        assert_eq!((format.bits, format.bound), (8, 1));
        assert_eq!("i2f6".parse(), Ok(format));
        assert_eq!("i-1f9".parse::<Format>().unwrap().bound, -2);
        let full: Format = "ap_fixed<16, 6, AP_RND_CONV, sat_sym>".parse().unwrap();
        assert_eq!(full.round, Some(Round::RndConv));
        assert_eq!(full.overflow, Some(Overflow::SatSym));
        assert_eq!(full.to_string(), "ap_fixed<16,6,RND_CONV,SAT_SYM>");
        assert_eq!(full.to_string().parse(), Ok(full));
    }

    #[test]
    fn what_is_no_format_says_what_one_is() {
        for text in [
            "fixed<8",
            "fixed<8>",
            "fixed<a,2>",
            "fixed<17,2>",
            "fixed<8,200>",
            "i2f",
            "ufixed<8,0>",
            "fixed<8,2,RDN>",
            "fixed<8,2,RND,SAT,1>",
            "i9223372036854775807f1",
            "ix",
        ] {
            let error = text.parse::<Format>().unwrap_err();
            assert!(error.contains(HELP), "{text}: {error}");
        }
    }
}
