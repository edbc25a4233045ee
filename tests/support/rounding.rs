//! From a wide number to a code a second time, from the words of docs/numerics.md and in floats
//! where they are exact: no line is shared with the core.

use fixgrad::quant::{Format, Overflow, Round};

/// A code, and whether the rounded value lay outside the codes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coded {
    /// The code. All codes are whole numbers that a float holds.
    pub code: f64,
    /// True where the straight-through gradient is blocked.
    pub clipped: bool,
}

/// How far a rounded value may lie below and above the exact one, in units of the codes:
///
/// | rule | below | above | because |
/// |---|---|---|---|
/// | `trn` | 1 | 0 | the dropped bits are worth less than a unit and never negative |
/// | `trn_zero` | 1 | 1 | the same, towards zero |
/// | the five to nearest | 1/2 | 1/2 | they differ in ties only |
/// | `stochastic`, `pseudo_stochastic` | 1 | 1 | the carry is 0 or 1 |
pub const fn reach(round: Round) -> (f64, f64) {
    match round {
        Round::Trn => (1.0, 0.0),
        Round::TrnZero | Round::Stochastic | Round::PseudoStochastic => (1.0, 1.0),
        Round::Rnd | Round::RndZero | Round::RndInf | Round::RndMinInf | Round::RndConv => {
            (0.5, 0.5)
        }
    }
}

/// The code of `value * 2^-shift`; `random` holds 16 random bits.
pub fn code(value: i64, shift: i32, format: Format, random: u32) -> Coded {
    let Format { bits, round, overflow } = format;
    let exact = value as f64 * f64::from(-shift).exp2();
    if bits == 1 {
        // Plus and minus one stand for half the bound; hard tanh ends at the bound.
        return Coded { code: if value < 0 { -1.0 } else { 1.0 }, clipped: exact.abs() > 2.0 };
    }
    let rounded = if shift > 0 { rounded(value, shift, round, random) } else { exact };
    let count = f64::from(bits).exp2();
    let (high, sym) = (count / 2.0 - 1.0, overflow == Overflow::SatSym);
    let low = if sym { -high } else { -count / 2.0 };
    let clipped = rounded < low || rounded > high;
    let code = match overflow {
        Overflow::Sat | Overflow::SatSym => rounded.clamp(low, high),
        Overflow::SatZero if clipped => 0.0,
        Overflow::SatZero => rounded,
        Overflow::Wrap => match rounded.rem_euclid(count) {
            upper if upper > high => upper - count,
            lower => lower,
        },
    };
    Coded { code, clipped }
}

/// `value` has at most 53 bits, so halves and whole numbers are told apart exactly.
fn rounded(value: i64, shift: i32, round: Round, random: u32) -> f64 {
    let exact = value as f64 * f64::from(-shift).exp2();
    let floor = exact.floor();
    let tie_goes_up = match round {
        Round::Trn => return floor,
        Round::TrnZero => return exact.trunc(),
        Round::Stochastic | Round::PseudoStochastic => {
            return floor + f64::from(u8::from(carries(value, shift, round, random)));
        }
        Round::Rnd => true,
        Round::RndZero => exact < 0.0,
        Round::RndInf => exact > 0.0,
        Round::RndMinInf => false,
        Round::RndConv => floor.rem_euclid(2.0) == 1.0,
    };
    let fraction = exact - floor;
    let up = fraction > 0.5 || (fraction == 0.5 && tie_goes_up);
    floor + f64::from(u8::from(up))
}

/// The carry of the two rules that draw: this is about bits, so here are no floats.
fn carries(value: i64, shift: i32, round: Round, random: u32) -> bool {
    let (value, k) = if shift > 31 { (jam(value, shift - 31), 31) } else { (value, shift) };
    let dropped = value & ((1 << k) - 1);
    if round == Round::Stochastic {
        let random = i64::from(random);
        let draw = if k <= 16 { random >> (16 - k) } else { random << (k - 16) };
        return dropped + draw >= 1 << k;
    }
    let low = k / 2;
    let (chance, draw) = (dropped >> (k - low), dropped & ((1 << low) - 1));
    let tie_to_odd = k == 1 && dropped == 1 && (value >> 1) & 1 == 1;
    chance > draw || tie_to_odd
}

/// A right shift that keeps in the last bit whether anything was lost.
pub fn jam(value: i64, shift: i32) -> i64 {
    let shift = shift.clamp(0, 63) as u32;
    let kept = value >> shift;
    if kept << shift == value { kept } else { kept | 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every 9-bit value, so that the table of [`reach`] is a fact and not a hope.
    #[test]
    fn no_rule_reaches_further_than_its_bound() {
        for round in Round::ALL {
            let (below, above) = reach(round);
            for (value, shift, random) in (-256..256)
                .flat_map(|v| (1..8).flat_map(move |s| [0, 0x7fff, 0xffff].map(|r| (v, s, r))))
            {
                let error =
                    rounded(value, shift, round, random) - value as f64 * f64::from(-shift).exp2();
                assert!((-below..=above).contains(&error), "{round:?} {value} >> {shift}: {error}");
            }
        }
    }
}
