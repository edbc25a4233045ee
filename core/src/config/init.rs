//! Values of parameters before the first step.

use serde::{Deserialize, Serialize};

use super::Master;

/// Values of a parameter before the first step: uniform in plus and minus a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[serde(rename_all = "snake_case")]
pub enum Init {
    /// All zero.
    Zero,
    /// Limit `sqrt(6 / inputs)`: for layers followed by a ReLU (He et al. 2015, equation 10).
    HeUniform,
    /// Limit `sqrt(6 / (inputs + outputs))` (Glorot and Bengio 2010, equation 16).
    XavierUniform,
    /// Limit `1 / sqrt(inputs)`: what PyTorch's `Linear` does.
    LecunUniform,
}

impl Master {
    /// The largest first value of a parameter with so many inputs and outputs, in units of the
    /// master copy.
    pub(crate) const fn limit(self, inputs: usize, outputs: usize) -> u32 {
        let (numerator, denominator) = match self.init {
            Init::Zero => return 0,
            Init::HeUniform => (6, inputs),
            Init::XavierUniform => (6, inputs.saturating_add(outputs)),
            Init::LecunUniform => (1, inputs),
        };
        // The largest root with root^2 <= (n << 2 up) / d = (sqrt(n / d) * 2^up)^2. What is cut off
        // here exceeds every storage, or is less than one unit.
        let up = match -(self.exponent() as i32) {
            up @ -2..=62 => up,
            up => {
                if up < 0 {
                    -2
                } else {
                    62
                }
            }
        };
        let denominator = if denominator == 0 { 1 } else { denominator as u64 };
        let square = match up {
            0.. => scaled_quotient(numerator, denominator, 2 * up.unsigned_abs()),
            _ => scaled_quotient(numerator, denominator << (2 * up.unsigned_abs()), 0),
        };
        let (mut root, mut bit) = (0, self.width.bits() - 1);
        while bit > 0 {
            bit -= 1;
            let larger = root | 1u32 << bit;
            if larger as u64 * larger as u64 <= square {
                root = larger;
            }
        }
        root
    }
}

impl Master {
    /// The mantissa of one less the step of codes of so many bits that end there, or the largest.
    pub(crate) const fn one(self, bits: u8) -> u32 {
        let most = u32::MAX >> (33 - self.width.bits());
        let step = if bits > 1 { bits as i32 - 1 } else { 1 };
        let (up, one) = (-(self.exponent() as i32), (1u64 << step) - 1);
        let mantissa = match up - step {
            down @ ..0 => one >> if down < -63 { 63 } else { down.unsigned_abs() },
            up @ 0..=31 => one << up,
            _ => most as u64,
        };
        if mantissa > most as u64 { most } else { mantissa as u32 }
    }
}

/// `(numerator << up) / denominator`, for a numerator below 8; beyond 63 bits, as many ones.
const fn scaled_quotient(numerator: u32, denominator: u64, up: u32) -> u64 {
    let (mut quotient, mut rest, mut bit) = (0u64, 0u64, up + 3);
    while bit > 0 {
        bit -= 1;
        let digit = if bit >= up { numerator >> (bit - up) & 1 } else { 0 };
        rest = rest << 1 | digit as u64;
        let fits = rest >= denominator;
        if fits {
            rest -= denominator;
        }
        quotient = if quotient >> 62 == 0 { quotient << 1 | fits as u64 } else { u64::MAX >> 1 };
    }
    quotient
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Width;

    #[test]
    fn limits_are_the_published_ones() {
        let master = |init| Master { width: Width::I16, bound: 0, init };
        let unit = 32768.0;
        for (init, exact) in [
            (Init::HeUniform, (6.0f64 / 784.0).sqrt()),
            (Init::XavierUniform, (6.0f64 / 884.0).sqrt()),
            (Init::LecunUniform, (1.0f64 / 784.0).sqrt()),
        ] {
            let limit = f64::from(master(init).limit(784, 100));
            assert!((limit - exact * unit).abs() <= 1.0, "{init:?}: {limit}");
        }
    }

    #[test]
    fn one_is_the_last_code_before_it() {
        let master = |width, bound| Master { width, bound, init: Init::Zero };
        assert_eq!(master(Width::I16, 1).one(8), (1 << 14) - (1 << 7));
        assert_eq!(master(Width::I8, 0).one(8), 127);
        assert_eq!((master(Width::I8, 1).one(8), master(Width::I8, 7).one(8)), (63, 0));
        assert_eq!(
            (master(Width::I8, -1).one(8), master(Width::I32, -64).one(16)),
            (127, i32::MAX as u32)
        );
        assert_eq!((master(Width::I16, 1).one(1), master(Width::I32, 64).one(2)), (1 << 13, 0));
    }

    #[test]
    fn limits_hold_for_every_storage_and_bound() {
        for width in [Width::I8, Width::I16, Width::I32] {
            for bound in -64..=64 {
                for (fan_in, fan_out) in [(1, 1), (784, 100), (65_535, 65_535)] {
                    let master = Master { width, bound, init: Init::HeUniform };
                    let most = (f64::from(width.bits() - 1)).exp2() - 1.0;
                    let unit = f64::from(master.exponent()).exp2();
                    let exact = ((6.0 / fan_in as f64).sqrt() / unit).min(most);
                    let limit = f64::from(master.limit(fan_in, fan_out));
                    assert!(limit <= exact * (1.0 + 1e-9), "{master:?} {limit} {exact}");
                    assert!(limit > exact - 1.0 - exact * 1e-9, "{master:?} {limit} {exact}");
                }
            }
        }
    }
}
