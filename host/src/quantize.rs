//! One quantiser applied to a list of numbers: what a point of a network would make of them.
//!
//! Numbers are decoded to a mantissa and an exponent each, and [`requantize`] of the core, the
//! definition, rounds them: no float takes part, so results are exact whatever the range of the
//! numbers. The range rules of the core look at 31-bit mantissas of one common exponent, as they
//! do in a network; what lies below that is jammed, which leaves powers of two where they are.

use fixgrad::{
    quant::{Format, Observer, Range, exponent_of, jam, requantize, sweep},
    rng::Key,
};
use serde::Serialize;

/// The widest code, in bits.
pub const WIDEST: u8 = 24;

/// How numbers are quantised.
#[derive(Clone, Copy, Debug)]
pub struct Quantization {
    /// Width and rules; 1 to [`WIDEST`] bits.
    pub format: Format,
    /// How the bound is found: `Fixed`, `Max`, `ThreeSigma`, `Percentile` or `Sweep`.
    pub range: Range,
    /// The random numbers of [`Round::Stochastic`](fixgrad::quant::Round::Stochastic).
    pub seed: u64,
}

/// What became of the numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Quantized {
    /// Exponent of the bound; 0 when a rule that looks at the numbers finds nothing but zeros.
    pub bound_exponent: i16,
    /// Exponent of one unit of the codes: `bound_exponent - bits + 1`, for one bit
    /// `bound_exponent - 1`.
    pub exponent: i16,
    /// The codes.
    pub mantissas: Vec<i32>,
    /// What the codes are worth.
    pub values: Vec<f64>,
    /// The straight-through gradient: 0 where the rounded number lay outside the codes.
    pub mask: Vec<u8>,
}

/// A line that is not a number.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: \"{text}\" is not {missing}: one finite decimal number a line was expected")]
pub struct BadLine {
    /// Counted from 1.
    pub line: usize,
    /// What stands there, cut short.
    pub text: String,
    missing: &'static str,
}

/// A number without rounding: `mantissa * 2^exponent`, the mantissa below 2^53.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exact {
    mantissa: i64,
    exponent: i32,
}

impl From<f64> for Exact {
    /// A finite number; the parts of IEEE 754's binary64, an odd mantissa or zero.
    fn from(number: f64) -> Self {
        let bits = number.to_bits();
        let (biased, fraction) = ((bits >> 52 & 0x7ff) as i32, bits & ((1 << 52) - 1));
        let magnitude = if biased == 0 { fraction } else { fraction | 1 << 52 } as i64;
        let zeros = if magnitude == 0 { 0 } else { magnitude.trailing_zeros() };
        let mantissa = magnitude >> zeros;
        let sign = if number.is_sign_negative() { -1 } else { 1 };
        Self { mantissa: sign * mantissa, exponent: biased.max(1) - 1075 + zeros as i32 }
    }
}

impl Exact {
    /// The smallest `n` with `2^n > magnitude`; `None` for zero.
    fn top(self) -> Option<i32> {
        let bits = 64 - self.mantissa.unsigned_abs().leading_zeros() as i32;
        (self.mantissa != 0).then_some(self.exponent + bits)
    }

    /// In units of `2^exponent`, jammed below and saturating at plus and minus 2^30.
    fn in_units(self, exponent: i32) -> i32 {
        let left = self.exponent - exponent;
        let wide = if left <= 0 {
            jam(self.mantissa, left.unsigned_abs())
        } else if self.top().is_some_and(|top| top - exponent > 31) {
            self.mantissa.signum() << 31
        } else {
            self.mantissa << left
        };
        wide.clamp(-(1 << PEAK_BITS), 1 << PEAK_BITS) as i32
    }
}

/// Range rules look at magnitudes of at most so many bits.
const PEAK_BITS: i32 = 30;

/// Reads one number a line; empty lines are passed over.
pub fn read(text: &str) -> Result<Vec<Exact>, BadLine> {
    let lines = text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty());
    lines
        .map(|(index, line)| {
            let bad = |missing| BadLine {
                line: index + 1,
                text: line.chars().take(40).collect(),
                missing,
            };
            let number: f64 = line.parse().map_err(|_| bad("a number"))?;
            if number.is_finite() { Ok(Exact::from(number)) } else { Err(bad("finite")) }
        })
        .collect()
}

impl Quantization {
    /// Quantises `numbers`.
    pub fn apply(&self, numbers: &[Exact]) -> Quantized {
        let bound = self.bound(numbers).unwrap_or(0);
        let exponent = exponent_of(bound, self.format.bits);
        let key = Key::new(self.seed);
        let codes = numbers.iter().zip(0u32..).map(|(number, index)| {
            let shift = i32::from(exponent) - number.exponent;
            requantize(number.mantissa, shift, self.format, key.half(index))
        });
        let (mantissas, mask): (Vec<i32>, Vec<u8>) =
            codes.map(|code| (code.value, u8::from(!code.clipped))).unzip();
        let values = mantissas.iter().map(|&mantissa| value(mantissa, exponent)).collect();
        Quantized { bound_exponent: bound, exponent, mantissas, values, mask }
    }

    /// The exponent of the bound, unless there are only zeros to find it by.
    fn bound(&self, numbers: &[Exact]) -> Option<i16> {
        if let Range::Fixed(bound) = self.range {
            return Some(bound);
        }
        let mut unit = numbers.iter().filter_map(|number| number.top()).max()? - PEAK_BITS;
        loop {
            let mantissas: Vec<i32> = numbers.iter().map(|number| number.in_units(unit)).collect();
            let mut observer = Observer::new(self.range, PEAK_BITS as u32, mantissas.len());
            observer.note(&mantissas);
            let exponent = unit as i16;
            let bound = observer.bound(exponent)?;
            // A percentile may lie far below the largest number, where everything looks like one
            // unit: look again with a finer one.
            let lost = bound == exponent && numbers.iter().any(|number| number.exponent < unit);
            match self.range {
                Range::Percentile(_) if lost => unit -= PEAK_BITS - 1,
                Range::Sweep => return Some(sweep(&mantissas, exponent, bound, self.format)),
                _ => return Some(bound),
            }
        }
    }
}

/// `mantissa * 2^exponent`; exact unless it is too small for a double.
fn value(mantissa: i32, exponent: i16) -> f64 {
    // Half of the exponent at a time, because 2^-1080 alone is zero.
    let half = i32::from(exponent) / 2;
    f64::from(mantissa) * 2f64.powi(half) * 2f64.powi(i32::from(exponent) - half)
}

/// A range rule as it is written: `max`, `three_sigma`, `percentile=P`, `sweep` or `fixed=N`.
pub fn parse_range(text: &str) -> Result<Range, String> {
    let bad = || {
        format!(
            "\"{text}\" is no range rule: write max, three_sigma, sweep, percentile=P with P from \
             0 to 100 and at most two decimals, or fixed=N with the bound's exponent N"
        )
    };
    match text.split_once('=') {
        None => match text {
            "max" => Ok(Range::Max),
            "three_sigma" => Ok(Range::ThreeSigma),
            "sweep" => Ok(Range::Sweep),
            _ => Err(bad()),
        },
        Some(("fixed", exponent)) => exponent.parse().map(Range::Fixed).map_err(|_| bad()),
        Some(("percentile", share)) => hundredths(share).map(Range::Percentile).ok_or_else(bad),
        Some(_) => Err(bad()),
    }
}

/// `99.5` as 9950.
fn hundredths(share: &str) -> Option<u16> {
    let (whole, decimals) = share.split_once('.').unwrap_or((share, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty()
        || whole.len() > 3
        || decimals.len() > 2
        || !digits(whole)
        || !digits(decimals)
    {
        return None;
    }
    let number: u32 = format!("{whole}{decimals:0<2}").parse().ok()?;
    u16::try_from(number).ok().filter(|&share| share <= 10_000)
}

/// The name of a rounding or overflow rule, as configurations write it.
pub fn parse_rule<T: serde::de::DeserializeOwned>(
    text: &str,
) -> Result<T, serde::de::value::Error> {
    T::deserialize(serde::de::IntoDeserializer::into_deserializer(text))
}

#[cfg(test)]
mod tests {
    use fixgrad::quant::{Overflow, Round};

    use super::*;
    use proptest::prelude::*;

    fn quantise(bits: u8, range: Range, numbers: &[f64]) -> Quantized {
        let format = Format { bits, round: Round::RndConv, overflow: Overflow::Sat };
        let numbers: Vec<Exact> = numbers.iter().copied().map(Exact::from).collect();
        Quantization { format, range, seed: 0 }.apply(&numbers)
    }

    #[test]
    fn numbers_become_codes_values_and_mask() {
        let found = quantise(4, Range::Fixed(0), &[0.95, 0.875, -1.0, -1.3, 0.3125, -0.0]);
        assert_eq!((found.bound_exponent, found.exponent), (0, -3));
        assert_eq!(found.mantissas, [7, 7, -8, -8, 2, 0]);
        assert_eq!(found.values, [0.875, 0.875, -1.0, -1.0, 0.25, 0.0]);
        assert_eq!(found.mask, [0, 1, 1, 0, 1, 1]);
    }

    #[test]
    fn a_bound_is_exact_next_to_a_power_of_two() {
        for n in [-1074i16, -500, -20, 0, 5, 1023] {
            let power = value(1, n);
            assert_eq!(quantise(8, Range::Max, &[power]).bound_exponent, n);
            let above = f64::from_bits(power.to_bits() + 1);
            assert_eq!(quantise(8, Range::Max, &[-above]).bound_exponent, n + 1);
        }
    }

    #[test]
    fn zeros_alone_have_the_bound_one() {
        for range in [Range::Max, Range::ThreeSigma, Range::Sweep, Range::Percentile(50)] {
            let found = quantise(8, range, &[0.0, -0.0]);
            assert_eq!((found.bound_exponent, found.exponent), (0, -7));
        }
        assert!(quantise(8, Range::Max, &[]).mantissas.is_empty());
    }

    #[test]
    fn a_percentile_is_found_however_far_below_the_peak() {
        let found = quantise(8, Range::Percentile(5_000), &[1e300, 3e-300, -2e-300, 1e-300]);
        assert_eq!(found.bound_exponent, Exact::from(3e-300).top().expect("not zero") as i16);
        assert_eq!(found.mask, [0, 1, 1, 1]);
    }

    #[test]
    fn a_bad_line_is_named() {
        assert_eq!(read("1\n\n -2.5e-3 \n").expect("numbers").len(), 2);
        for (text, message) in [
            (
                "1\ntwo\n",
                "line 2: \"two\" is not a number: one finite decimal number a line was expected",
            ),
            ("inf", "line 1: \"inf\" is not finite: one finite decimal number a line was expected"),
            (
                "\n1e999",
                "line 2: \"1e999\" is not finite: one finite decimal number a line was expected",
            ),
            ("NaN", "line 1: \"NaN\" is not finite: one finite decimal number a line was expected"),
        ] {
            assert_eq!(read(text).expect_err("a bad line").to_string(), message);
        }
    }

    #[test]
    fn range_rules_are_read_as_they_are_written() {
        assert_eq!(parse_range("percentile=99.5"), Ok(Range::Percentile(9_950)));
        assert_eq!(parse_range("percentile=100"), Ok(Range::Percentile(10_000)));
        assert_eq!(parse_range("fixed=-3"), Ok(Range::Fixed(-3)));
        for bad in [
            "",
            "min",
            "percentile=",
            "percentile=100.01",
            "percentile=1.234",
            "fixed=x",
            "moving=3",
        ] {
            assert!(parse_range(bad).is_err_and(|error| error.contains("percentile=P")), "{bad}");
        }
        assert_eq!(parse_rule::<Round>("rnd_conv"), Ok(Round::RndConv));
        assert_eq!(parse_rule::<Overflow>("sat_sym"), Ok(Overflow::SatSym));
    }

    proptest! {
        #[test]
        fn decoding_is_exact(number in any::<f64>().prop_filter("finite", |n| n.is_finite())) {
            let Exact { mantissa, exponent } = Exact::from(number);
            let half = exponent / 2;
            let back = mantissa as f64 * 2f64.powi(half) * 2f64.powi(exponent - half);
            prop_assert_eq!(back, number);
        }

        #[test]
        fn wide_codes_equal_rounding_in_floats(
            numbers in proptest::collection::vec(-1e6..1e6f64, 1..20), bits in 2..=WIDEST, bound in -5..25i16,
        ) {
            let found = quantise(bits, Range::Fixed(bound), &numbers);
            let (low, high) = Overflow::Sat.limits(bits);
            for (number, code) in numbers.iter().zip(found.mantissas) {
                let exact = (number / value(1, found.exponent)).round_ties_even();
                prop_assert_eq!(f64::from(code), exact.clamp(low.into(), high.into()));
            }
        }
    }
}
