//! Range rules: which power of two bounds a tensor. Integer bit operations only.
//!
//! A bound is written as its exponent `N`: values lie in `-2^N ..= 2^N`, a code of `b` bits has the
//! unit `2^(N-b+1)` and the top code is worth `2^N - 2^(N-b+1)`.

use serde::{Deserialize, Serialize};

use super::{Format, requantize};

/// How the bound of a tensor is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Range {
    /// This bound, always.
    Fixed(i16),
    /// The bound that the tensor has: the last one found in training, or that of the state it was
    /// [restored](crate::trainer::Trainer::restore) from. In training the first bound stays.
    Keep,
    /// The largest magnitude.
    Max,
    /// Three standard deviations plus the magnitude of the mean.
    ThreeSigma,
    /// The magnitude below which this share of the values lies, in hundredths of a per cent.
    Percentile(u16),
    /// Of the largest magnitude's bound and the two below it, the one with the least sum of
    /// absolute errors; the larger bound on a tie.
    Sweep,
    /// The largest bound of the last `window + 1` to `2 * window` steps, each step's bound being the
    /// largest `Percentile` bound of a sample. Needs no second look at the tensor, hence no 32-bit
    /// copy of it, and does not change when a batch is split.
    Moving {
        /// Steps, at least 1.
        window: u8,
        /// Share of the values, in hundredths of a per cent; 10,000 is the largest magnitude.
        percentile: u16,
    },
}

impl Range {
    /// The velocity's bound follows what the last steps needed.
    pub(crate) const VELOCITY: Self = Self::Moving { window: 16, percentile: 10_000 };

    /// Steps that the rule looks back; zero for rules that do not.
    pub(crate) const fn window(self) -> u8 {
        match self {
            Self::Moving { window: 0, .. } => 1,
            Self::Moving { window, .. } => window,
            _ => 0,
        }
    }

    /// True when the rule looks at the whole tensor before the first element can be quantised.
    pub const fn needs_whole_tensor(self) -> bool {
        matches!(self, Self::Max | Self::ThreeSigma | Self::Percentile(_) | Self::Sweep)
    }

    /// The bound for the tensor at hand. `seen` is what an observer of the whole tensor found,
    /// `previous` the bound that it had; `guess` serves when nothing is known yet.
    pub(crate) fn resolve(self, seen: Option<i16>, previous: Option<i16>, guess: i16) -> i16 {
        match self {
            Self::Fixed(bound) => bound,
            Self::Keep | Self::Moving { .. } => previous.unwrap_or(guess),
            // An all-zero tensor keeps the bound it had.
            _ => seen.or(previous).unwrap_or(guess),
        }
    }

    /// True when the rule looks at the values at all.
    pub const fn observes(self) -> bool {
        !matches!(self, Self::Fixed(_) | Self::Keep)
    }
}

/// The exponent of the codes of `bits` bits under the bound `2^bound`. Binary codes are worth
/// plus and minus half the bound.
pub const fn exponent_of(bound: i16, bits: u8) -> i16 {
    let bits = if bits < 2 { 2 } else { bits as i16 };
    bound.saturating_sub(bits - 1)
}

/// The bound of a tensor whose codes of `bits` bits have this unit: the other way round.
pub(crate) const fn bound_of(exponent: i16, bits: u8) -> i16 {
    let bits = if bits < 2 { 2 } else { bits as i16 };
    exponent.saturating_add(bits - 1)
}

/// The smallest `n` with `2^n >= magnitude`; zero has none.
#[inline(always)]
pub const fn ceil_log2(magnitude: u32) -> Option<u8> {
    match magnitude {
        0 => None,
        m => Some((32 - (m - 1).leading_zeros()) as u8),
    }
}

/// As [`ceil_log2`], once for all that ask rarely: on a chip that cannot count zeros it is long.
#[inline(never)]
pub(crate) const fn bits_for(magnitude: u32) -> Option<u8> {
    ceil_log2(magnitude)
}

/// Collects what a range rule needs to know of a tensor, piece by piece and in any order.
#[derive(Clone, Debug)]
pub struct Observer {
    range: Range,
    peak: u32,
    count: u32,
    /// Values with `ceil_log2(|x|)` equal to the index; zeros are in none.
    bins: [u32; 33],
    sum: i64,
    squares: u128,
    /// Right shift applied before the moments, so that their sums fit.
    drop: u32,
    /// Elements of one sample, for `Moving`; `bins` and `count` hold the sample at hand only.
    row: usize,
    /// Largest percentile of a sample so far, for `Moving`.
    highest: Option<i16>,
}

/// Moments are taken of values up to 2^26.
const MOMENT_BITS: u32 = 26;

impl Observer {
    /// An observer for one tensor whose magnitudes stay at or below `2^bits`; `row` is the number
    /// of elements of one sample.
    pub const fn new(range: Range, bits: u32, row: usize) -> Self {
        let drop = bits.saturating_sub(MOMENT_BITS);
        Self {
            range,
            peak: 0,
            count: 0,
            bins: [0; 33],
            sum: 0,
            squares: 0,
            drop,
            row,
            highest: None,
        }
    }

    /// True when one number, the largest magnitude, decides.
    pub const fn needs_only_peak(&self) -> bool {
        matches!(self.range, Range::Max | Range::Sweep | Range::Moving { percentile: 10_000.., .. })
    }

    /// The largest magnitude so far, as far as it decides the bound.
    pub(crate) const fn peak(&self) -> u32 {
        self.peak
    }

    /// Takes in a largest magnitude found elsewhere, over `count` values.
    pub fn note_peak(&mut self, peak: u32, count: usize) {
        self.peak = self.peak.max(peak);
        self.count = self.count.saturating_add(count as u32);
    }

    /// Takes in some values of the tensor.
    pub fn note(&mut self, values: &[i32]) {
        match self.range {
            Range::Fixed(_) | Range::Keep => {}
            Range::ThreeSigma => self.note_moments(values),
            _ if self.needs_only_peak() => self.note_peak(peak(values), values.len()),
            Range::Moving { percentile, .. } => {
                // A sample may come in several pieces, and a piece may hold several samples.
                let mut rest = values;
                while !rest.is_empty() {
                    let missing = self.row.saturating_sub(self.count as usize).max(1);
                    let Some((piece, after)) = rest.split_at_checked(missing.min(rest.len()))
                    else {
                        break;
                    };
                    self.note_bins(piece);
                    if self.count as usize >= self.row {
                        self.highest = self.highest.max(self.percentile(percentile));
                        (self.bins, self.count) = ([0; 33], 0);
                    }
                    rest = after;
                }
            }
            _ => self.note_bins(values),
        }
    }

    fn note_bins(&mut self, values: &[i32]) {
        self.count = self.count.saturating_add(values.len() as u32);
        for v in values {
            if let Some(bin) = ceil_log2(v.unsigned_abs())
                && let Some(count) = self.bins.get_mut(usize::from(bin))
            {
                *count = count.saturating_add(1);
            }
        }
    }

    fn note_moments(&mut self, values: &[i32]) {
        self.count = self.count.saturating_add(values.len() as u32);
        // What a hook made larger than planned counts as the largest that was planned.
        let most = 1 << MOMENT_BITS;
        // 2^11 squares of 2^26 fit 64 bits.
        for chunk in values.chunks(1 << 11) {
            let (mut sum, mut squares) = (0i64, 0u64);
            for &v in chunk {
                let v = i64::from((v >> self.drop).clamp(-most, most));
                sum += v;
                squares = squares.wrapping_add((v * v) as u64);
            }
            self.sum = self.sum.saturating_add(sum);
            self.squares = self.squares.saturating_add(u128::from(squares));
        }
    }

    /// The bound of the tensor whose mantissas have the unit `2^exponent`; `None` when the values
    /// say nothing (all zero, or a rule that does not observe).
    pub fn bound(&self, exponent: i16) -> Option<i16> {
        let relative = match self.range {
            Range::Fixed(_) | Range::Keep => None,
            Range::Max | Range::Sweep => ceil_log2(self.peak).map(i16::from),
            Range::Moving { percentile: 10_000.., .. } => ceil_log2(self.peak).map(i16::from),
            Range::Moving { .. } => self.highest,
            Range::Percentile(share) => self.percentile(share),
            Range::ThreeSigma => self.three_sigma().map(|n| n.saturating_add(self.drop as i16)),
        }?;
        Some(exponent.saturating_add(relative))
    }

    /// Only the power of two above the k-th largest magnitude is asked for, so a histogram by
    /// powers of two answers exactly and no sort is needed.
    fn percentile(&self, share: u16) -> Option<i16> {
        let above = u64::from(10_000u16.saturating_sub(share));
        let rank = (u64::from(self.count) * above / 10_000).max(1);
        let mut seen = 0u64;
        for (bin, &count) in self.bins.iter().enumerate().rev() {
            seen += u64::from(count);
            if seen >= rank {
                return Some(bin as i16);
            }
        }
        None
    }

    /// The smallest `t` with `2^t >= 3 * std + |mean|`, `std` with n - 1 in the denominator.
    ///
    /// Squared and multiplied out, so that only integers appear:
    /// `(n 2^t - |S1|)^2 >= 9 (n S2 - S1^2) n / (n - 1)` and `n 2^t >= |S1|`. With fewer than 2^32
    /// values of at most 2^26, both sides stay below 2^122.
    fn three_sigma(&self) -> Option<i16> {
        if self.squares == 0 {
            return None;
        }
        let n = u128::from(self.count);
        let mean = u128::from(self.sum.unsigned_abs());
        let nine = times(times(n, self.squares)?.saturating_sub(times(mean, mean)?), 9)?;
        let holds = |t: i16| {
            // Below zero both sides are multiplied by 2^-t; the values are small there.
            let (up, down) = if t >= 0 { (t, 0) } else { (0, t.unsigned_abs()) };
            let spread = times(nine, 1 << (2 * down));
            let (Some(rest), Some(spread)) = ((n << up).checked_sub(mean << down), spread) else {
                return false;
            };
            // n / (n - 1) of it, rounded up, as the other side is an integer.
            let more = spread.div_ceil(n.saturating_sub(1).max(1));
            times(rest, rest).is_none_or(|square| square >= spread.saturating_add(more))
        };
        // Two opposite values spread most: 3 sqrt(2) times their magnitude.
        let mut t = MOMENT_BITS as i16 + 3;
        while t > -20 && holds(t - 1) {
            t -= 1;
        }
        Some(t)
    }
}

/// Not inlined: the products of 128 bits are a large part of a board's program.
#[inline(never)]
const fn times(a: u128, b: u128) -> Option<u128> {
    a.checked_mul(b)
}

/// The largest magnitude of a slice.
#[inline(always)]
pub fn peak<S: Copy + Into<i32>>(values: &[S]) -> u32 {
    values.iter().fold(0, |peak, &v| peak.max(v.into().unsigned_abs()))
}

/// The bound among `bound`, `bound - 1` and `bound - 2` with the least sum of absolute errors
/// ([`Range::Sweep`]). `exponent` is the unit of the values.
pub fn sweep(values: &[i32], exponent: i16, bound: i16, format: Format) -> i16 {
    let format = Format { round: format.round.deterministic(), ..format };
    let shift = |bound: i16| i32::from(exponent_of(bound, format.bits)) - i32::from(exponent);
    // Errors in units of the source, or of the finest candidate's codes where these are finer.
    let fine = shift(bound.saturating_sub(2)).saturating_neg().clamp(0, 32);
    let error = |bound: i16| -> u64 {
        let shift = shift(bound);
        values.iter().fold(0u64, |sum, &v| {
            let code = i64::from(requantize(i64::from(v), shift, format, 0).value);
            let back = code << (shift + fine).clamp(0, 32);
            sum.saturating_add(back.abs_diff(i64::from(v) << fine))
        })
    };
    let mut best = (error(bound), bound);
    for candidate in [bound.saturating_sub(1), bound.saturating_sub(2)] {
        let error = error(candidate);
        if error < best.0 {
            best = (error, candidate);
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quant::{Overflow, Round};
    use proptest::prelude::*;

    fn bound(range: Range, values: &[i32]) -> Option<i16> {
        let mut observer = Observer::new(range, 32, 1);
        values.chunks(3).for_each(|part| observer.note(part));
        observer.bound(0)
    }

    #[test]
    fn a_power_of_two_is_its_own_bound() {
        for n in 0..31 {
            let m = 1i32 << n;
            assert_eq!(bound(Range::Max, &[m]), Some(n as i16));
            assert_eq!(bound(Range::Max, &[-m]), Some(n as i16));
            assert_eq!(bound(Range::Max, &[m, m - 1, 0]), Some(n as i16));
        }
        assert_eq!(bound(Range::Max, &[5]), Some(3));
        assert_eq!(bound(Range::Max, &[i32::MIN]), Some(31));
    }

    #[test]
    fn zeros_have_no_bound_under_any_rule() {
        for range in [Range::Max, Range::ThreeSigma, Range::Percentile(9000), Range::Sweep] {
            assert_eq!(bound(range, &[0; 20]), None, "{range:?}");
        }
    }

    #[test]
    fn sweep_takes_the_smaller_bound_when_one_outlier_rules() {
        let mut values = [3i32; 100];
        values[0] = 65;
        let format = Format { bits: 4, round: Round::RndConv, overflow: Overflow::Sat };
        assert_eq!(sweep(&values, 0, 7, format), 5);
        assert_eq!(sweep(&[64, -64], 0, 6, format), 6);
    }

    #[test]
    fn sweep_counts_what_saturates_where_codes_are_finer_than_the_source() {
        // Under 2^2 the errors are 1 and 1, under 2^1 they are 0 and 2, under 2^0 0.5 and 2.5.
        let format = Format { bits: 2, round: Round::RndConv, overflow: Overflow::Sat };
        assert_eq!(sweep(&[1, 3], 0, 2, format), 2);
        let binary = Format { bits: 1, ..format };
        // Plus and minus 1, 0.5 or 0.25: zeros want the smallest.
        assert_eq!(sweep(&[0, 0, 0, 2], 0, 1, binary), -1);
    }

    #[test]
    fn three_sigma_holds_at_its_extremes() {
        let most = 1 << 26;
        let narrow = |values: &[i32]| {
            let mut observer = Observer::new(Range::ThreeSigma, 26, 1);
            observer.note(values);
            observer.bound(0)
        };
        assert_eq!(narrow(&[most, -most]), Some(29), "3 sqrt(2) 2^26");
        assert_eq!(narrow(&[5]), Some(3), "one value alone has no deviation");
        // What is larger than planned counts as the largest.
        assert_eq!(narrow(&[i32::MIN, i32::MAX]), Some(29));
        let many = Observer {
            count: u32::MAX,
            squares: u128::from(u32::MAX) << 52,
            ..Observer::new(Range::ThreeSigma, 26, 1)
        };
        assert_eq!(many.bound(0), Some(28), "3 * 2^26");
    }

    #[test]
    fn moving_takes_the_sample_with_the_largest_percentile() {
        let mut observer = Observer::new(Range::Moving { window: 1, percentile: 5000 }, 32, 4);
        observer.note(&[1, 1, 1, 500, 9, 9, 9, 0]);
        observer.note(&[0, 0, 0, 0]);
        // The second largest of four values counts: 1 and 9.
        assert_eq!(observer.bound(-2), Some(4 - 2));
    }

    proptest! {
        #[test]
        fn percentile_equals_sorting(
            values in proptest::collection::vec(-100_000i32..100_000, 1..200), share in 0u16..=10_000,
        ) {
            let mut sorted: std::vec::Vec<u32> = values.iter().map(|v| v.unsigned_abs()).collect();
            sorted.sort_unstable_by(|a, b| b.cmp(a));
            let rank = (values.len() * usize::from(10_000 - share) / 10_000).max(1);
            let expected = ceil_log2(sorted[rank - 1]).map(i16::from);
            prop_assert_eq!(bound(Range::Percentile(share), &values), expected);
        }

        #[test]
        fn three_sigma_equals_floating_point_away_from_ties(
            values in proptest::collection::vec(-100_000i32..100_000, 2..200),
        ) {
            let n = values.len() as f64;
            let mean = values.iter().map(|&v| f64::from(v >> 6)).sum::<f64>() / n;
            let variance =
                values.iter().map(|&v| (f64::from(v >> 6) - mean).powi(2)).sum::<f64>() / (n - 1.0);
            let exact = (3.0 * variance.sqrt() + mean.abs()).log2() + 6.0;
            prop_assume!((exact - exact.round()).abs() > 1e-6 && exact.is_finite());
            prop_assert_eq!(bound(Range::ThreeSigma, &values), Some(exact.ceil() as i16));
        }
    }
}
