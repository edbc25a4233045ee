//! Overflow rules: what happens to a value outside the codes of a narrower number.

use serde::{Deserialize, Serialize};

/// An overflow rule of `ap_fixed` (AMD UG1399, "Overflow modes").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[serde(rename_all = "snake_case")]
pub enum Overflow {
    /// To the nearest code (`AP_SAT`).
    Sat,
    /// To the nearest code of a symmetric range: the most negative code is never used
    /// (`AP_SAT_SYM`).
    SatSym,
    /// To zero (`AP_SAT_ZERO`).
    SatZero,
    /// Modulo 2^bits (`AP_WRAP` with N = 0).
    Wrap,
}

impl Overflow {
    /// All rules.
    pub const ALL: [Self; 4] = [Self::Sat, Self::SatSym, Self::SatZero, Self::Wrap];

    /// Smallest and largest code at this width. One bit is binary: the codes are -1 and +1.
    pub const fn limits(self, bits: u8) -> (i32, i32) {
        if bits <= 1 {
            return (-1, 1);
        }
        let high = ((1u32 << (bits - 1)) - 1) as i32;
        match self {
            Self::SatSym => (-high, high),
            _ => (-high - 1, high),
        }
    }
}
