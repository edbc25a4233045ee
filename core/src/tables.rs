//! Base-two exponential and logarithm from integer tables with linear interpolation.
//!
//! The tables are constants, not calls of a maths library, so that every machine has the same.
//! Interpolation over 64 pieces costs at most `(ln 2 / 64)^2 / 8 = 1.5e-5`.

/// `log2(e)` in units of 2^-14.
const LOG2_E: u32 = 23_637;

/// Distances below a peak are cut here, in units of 2^-16 octaves: what lies 64
/// octaves down has no probability in 15 bits anyway, and the loss stays finite.
pub(crate) const FARTHEST: u32 = 64 << 16;

/// How far codes lie below a peak.
#[derive(Clone, Copy)]
pub(crate) struct Below {
    peak: i32,
    /// Added before as many bits are dropped.
    half: u32,
    right: u32,
    /// Most of what is left, and how far that goes to the left.
    most: u32,
    left: u32,
}

impl Below {
    /// Below a code in units of `2^exponent`.
    #[inline(always)]
    pub(crate) fn of(peak: i32, exponent: i16) -> Self {
        // Unit of the product: 2^(exponent - 14); wanted: 2^-16.
        let left = i32::from(exponent) + 2;
        let by = left.unsigned_abs();
        let (half, right, most, left) = match left {
            // Where one unit is farther than anything, any other factor that makes it so will do.
            0.. => {
                let left = by.min(FARTHEST.ilog2());
                (0, 0, FARTHEST >> left, left)
            }
            -31.. => (1 << (by - 1), by, FARTHEST, 0),
            _ => (0, 0, 0, 0),
        };
        Self { peak, half, right, most, left }
    }

    /// In units of 2^-16 octaves. Codes have at most 16 bits, so that 32 do.
    #[inline(never)]
    pub(crate) fn octaves(self, code: i32) -> u32 {
        let steps = self.peak.wrapping_sub(code).cast_unsigned().min(u16::MAX.into());
        let distance = (steps * LOG2_E).wrapping_add(self.half) >> self.right;
        distance.min(self.most) << self.left
    }
}

/// `2^-t` in units of 2^-15, for `t` in units of 2^-16.
pub(crate) const fn exp2_negative(t: u32) -> u32 {
    let (whole, fraction) = (t >> 16, t & 0xffff);
    if whole > 15 {
        return 0;
    }
    interpolate(&EXP2, fraction) >> whole
}

/// `log2(x)` in units of 2^-16; zero for zero.
pub(crate) const fn log2(x: u32) -> u32 {
    if x == 0 {
        return 0;
    }
    let above = x.leading_zeros();
    // The 16 bits after the leading one.
    let fraction = ((x << above) >> 15) & 0xffff;
    ((31 - above) << 16) + interpolate(&LOG2, fraction)
}

/// `1 / (1 + exp(-x))` of a code in units of 2^-15. `below` is of zero and the code's exponent.
#[inline(always)]
pub(crate) fn logistic(below: Below, code: i32) -> i32 {
    const ONE: u32 = 1 << 15;
    let power = exp2_negative(below.octaves(-code.saturating_abs()));
    let whole = (ONE + power).max(1);
    let high = ((1 << 30) + whole / 2) / whole;
    (if code < 0 { ONE.wrapping_sub(high) } else { high }).cast_signed()
}

/// Size of both tables.
pub(crate) const BYTES: usize = size_of_val(&EXP2) + size_of_val(&LOG2);

#[expect(clippy::indexing_slicing, reason = "the index is masked: 64 of 65 entries, and the next")]
const fn interpolate(table: &[u16; 65], fraction: u32) -> u32 {
    let index = (fraction >> 10 & 63) as usize;
    let rest = (fraction & 1023) as i32;
    let (here, next) = (table[index], table[index + 1]);
    // Neighbours are near, so their distance is right also where the last entry is 2^16.
    let distance = next.wrapping_sub(here).cast_signed() as i32;
    (here as i32 + ((distance * rest + 512) >> 10)) as u32
}

/// `2^(-i/64)` in units of 2^-15, rounded to nearest.
const EXP2: [u16; 65] = [
    32_768, 32_415, 32_066, 31_720, 31_379, 31_041, 30_706, 30_376, 30_048, 29_725, 29_405, 29_088,
    28_774, 28_464, 28_158, 27_855, 27_554, 27_258, 26_964, 26_674, 26_386, 26_102, 25_821, 25_543,
    25_268, 24_995, 24_726, 24_460, 24_196, 23_936, 23_678, 23_423, 23_170, 22_921, 22_674, 22_430,
    22_188, 21_949, 21_713, 21_479, 21_247, 21_019, 20_792, 20_568, 20_347, 20_127, 19_911, 19_696,
    19_484, 19_274, 19_066, 18_861, 18_658, 18_457, 18_258, 18_061, 17_867, 17_674, 17_484, 17_296,
    17_109, 16_925, 16_743, 16_562, 16_384,
];

/// `log2(1 + i/64)` in units of 2^-16, rounded to nearest; of the last one, 2^16, the low bits.
const LOG2: [u16; 65] = [
    0, 1466, 2909, 4331, 5732, 7112, 8473, 9814, 11_136, 12_440, 13_727, 14_996, 16_248, 17_484,
    18_704, 19_909, 21_098, 22_272, 23_433, 24_579, 25_711, 26_830, 27_936, 29_029, 30_109, 31_178,
    32_234, 33_279, 34_312, 35_334, 36_346, 37_346, 38_336, 39_316, 40_286, 41_246, 42_196, 43_137,
    44_068, 44_990, 45_904, 46_809, 47_705, 48_593, 49_472, 50_344, 51_207, 52_063, 52_911, 53_751,
    54_584, 55_410, 56_229, 57_040, 57_845, 58_643, 59_434, 60_219, 60_997, 61_769, 62_534, 63_294,
    64_047, 64_794, 0,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_the_rounded_functions() {
        for i in 0..65 {
            let x = i as f64 / 64.0;
            assert!((f64::from(EXP2[i]) - 32768.0 * (-x).exp2()).abs() <= 0.5 + 1e-9, "{i}");
            let log = if i < 64 { LOG2[i].into() } else { 65536.0 + f64::from(LOG2[i]) };
            assert!((log - 65536.0 * (1.0 + x).log2()).abs() <= 0.5 + 1e-9, "{i}");
        }
    }

    #[test]
    fn interpolation_stays_within_its_bound() {
        for t in (0..1 << 20).step_by(37) {
            let exact = 32768.0 * (-f64::from(t) / 65536.0).exp2();
            assert!((f64::from(exp2_negative(t)) - exact).abs() <= 1.5, "{t}");
        }
        for x in (1..1u32 << 26).step_by(9_973) {
            // Interpolation 2.9, table and rounding 0.5 each, the cut fraction 1.44.
            let exact = 65536.0 * f64::from(x).log2();
            assert!((f64::from(log2(x)) - exact).abs() <= 5.4, "{x}");
        }
        assert_eq!((exp2_negative(16 << 16), log2(0), log2(1)), (0, 0, 0));
    }
}
