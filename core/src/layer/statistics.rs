//! Mean and variance of a channel as integers, and what a running one of them becomes.

use crate::quant::Scaled;

/// Mean and variance of a channel, in units of 2^-32: of a code, and of a code squared; or of one,
/// where they are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Statistics {
    pub(crate) mean: i64,
    pub(crate) variance: i64,
}

/// Binary places of means and variances.
const PLACES: i32 = 32;

impl Statistics {
    /// Of `count` codes with this sum and sum of squares: the mean within one unit, the variance (that
    /// of the codes themselves, divided by their number) within three.
    pub(crate) fn of(sum: i64, squares: i64, count: u32) -> Self {
        let number = i64::from(count);
        // About the whole number below the mean, so that nothing cancels.
        let middle = sum.checked_div_euclid(number).unwrap_or(0);
        let rest = sum.wrapping_sub(middle.wrapping_mul(number)).cast_unsigned();
        let twice = sum.wrapping_add(rest.cast_signed());
        let squares = squares.wrapping_sub(middle.wrapping_mul(twice)).cast_unsigned();
        let divide = |a: u64| a.checked_div(count.into()).unwrap_or(0);
        let fraction = divide(rest << PLACES);
        let whole = divide(squares);
        let parts = divide(squares.wrapping_sub(whole.wrapping_mul(count.into())) << PLACES);
        let square = fraction.wrapping_mul(fraction) >> PLACES;
        let variance = (whole << PLACES).saturating_add(parts).saturating_sub(square);
        Self {
            mean: (middle << PLACES).wrapping_add(fraction.cast_signed()),
            variance: variance.min(i64::MAX as u64).cast_signed(),
        }
    }

    /// The same in other units: codes in units of `2^exponent` become units of 2^-32 of one, or, with
    /// a negative exponent, go back. What is shifted out is rounded down; what does not fit saturates.
    #[must_use]
    pub(crate) fn scaled(self, exponent: i32) -> Self {
        let twice = exponent.saturating_mul(2);
        Self { mean: shifted(self.mean, exponent), variance: shifted(self.variance, twice) }
    }

    /// As running statistics take it in: the variance that a larger set of such codes would have.
    #[must_use]
    pub(crate) fn unbiased(self, count: u32) -> Self {
        let more = self.variance.checked_div(i64::from(count) - 1).unwrap_or(0);
        Self { variance: self.variance.saturating_add(more), ..self }
    }

    /// A step of `2^-momentum` of the way towards `new`. It is rounded away from zero, so that the way
    /// ends where it leads to, however small the difference.
    #[must_use]
    pub(crate) fn towards(self, new: Self, momentum: u8) -> Self {
        let step = |from: i64, to: i64| {
            let way = to.saturating_sub(from);
            let most = (1i64 << momentum.min(31)) - 1;
            let part = way.unsigned_abs().saturating_add(most.cast_unsigned()) >> momentum.min(31);
            from.saturating_add(if way < 0 { -(part as i64) } else { part as i64 })
        };
        Self { mean: step(self.mean, new.mean), variance: step(self.variance, new.variance) }
    }

    /// One over the standard deviation of codes in units of `2^exponent`, where `2^-eps` is added to
    /// the variance of their values.
    pub(crate) fn inverse_deviation(self, eps: u8, exponent: i32) -> Scaled {
        let places = (PLACES - i32::from(eps)).saturating_sub(exponent.saturating_mul(2));
        // What is added may be larger than any variance; then both are counted in larger units.
        let halves = if places > 62 { (places - 61) / 2 } else { 0 };
        let eps = if places < 0 { 0 } else { 1u64 << (places - 2 * halves).min(62) };
        let variance = self.variance.max(0).cast_unsigned() >> (2 * halves).min(63);
        let root = Scaled::inverse_root(variance.saturating_add(eps));
        Scaled { exponent: root.exponent.saturating_sub(halves), ..root }
    }
}

/// `value * 2^left`.
fn shifted(value: i64, left: i32) -> i64 {
    if left < 0 {
        return value >> left.unsigned_abs().min(63);
    }
    let left = left.unsigned_abs();
    let room = (value ^ value >> 63).leading_zeros() - 1;
    match value {
        0 => 0,
        _ if left <= room => value << left,
        _ if value < 0 => i64::MIN,
        _ => i64::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ONE: f64 = 4_294_967_296.0;

    proptest! {
        #[test]
        fn statistics_are_those_of_wide_integers(codes in prop::collection::vec(-32768i64..32768, 1..40), far: bool) {
            let codes: std::vec::Vec<i64> =
                codes.into_iter().map(|code| if far { 32_000 + code % 2 } else { code }).collect();
            let (sum, squares) = (codes.iter().sum::<i64>(), codes.iter().map(|x| x * x).sum::<i64>());
            let n = codes.len() as i128;
            let found = Statistics::of(sum, squares, n as u32);
            let mean = (i128::from(sum) << 32).div_euclid(n);
            prop_assert_eq!(i128::from(found.mean), mean);
            let exact = ((n * i128::from(squares) - i128::from(sum).pow(2)) << 32) / (n * n);
            prop_assert!((i128::from(found.variance) - exact).abs() <= 3, "{:?} {}", found, exact);
        }

        #[test]
        fn a_way_ends_where_it_leads_to(from in -1i64 << 40..1 << 40, by in -200i64..200, momentum in 0u8..8) {
            let at = |mean| Statistics { mean, variance: 0 };
            let (mut now, end) = (at(from), at(from + by));
            for _ in 0..2000 {
                let next = now.towards(end, momentum);
                prop_assert!((end.mean - next.mean).abs() < (end.mean - now.mean).abs() || now == end);
                now = next;
            }
            prop_assert_eq!(now, end);
        }
    }

    #[test]
    fn the_largest_sums_fit() {
        let count = (1u32 << 31) - 1;
        let n = i64::from(count);
        let low = Statistics::of(-32768 * n, (1 << 30) * n, count);
        assert_eq!(low, Statistics { mean: -32768 << 32, variance: 0 });
        // Half of them at one end, half at the other.
        let half = n / 2;
        let (sum, squares) =
            (32767 * half - 32768 * (half + 1), 32767 * 32767 * half + ((half + 1) << 30));
        let both = Statistics::of(sum, squares, count);
        let error = both.variance as f64 / ONE / 32767.5f64.powi(2) - 1.0;
        assert!(error.abs() < 1e-9, "{both:?}");
    }

    #[test]
    fn units_and_corrections() {
        let two = Statistics { mean: -2 << 32, variance: 3 << 32 };
        assert_eq!(two.scaled(-1), Statistics { mean: -1 << 32, variance: 3 << 30 });
        assert_eq!(two.scaled(-1).scaled(1), two);
        assert_eq!(two.scaled(40), Statistics { mean: i64::MIN, variance: i64::MAX });
        assert_eq!(two.unbiased(4).variance, 4 << 32);
        assert_eq!(two.unbiased(1), two);
        let deviation = |variance, eps, exponent| {
            let of = Statistics { mean: 0, variance }.inverse_deviation(eps, exponent);
            f64::from(of.mantissa) * f64::from(of.exponent).exp2()
        };
        assert_eq!(deviation(4 << 32, 40, 0), 0.5);
        // In units of a quarter, a variance of 2^-4 is one code squared.
        assert_eq!(deviation(3 << 32, 4, -2), 0.5);
        assert_eq!((deviation(0, 10, 3), deviation(0, 10, 20)), (256.0, 65_536.0));
        assert_eq!(deviation(i64::MIN, 10, 0), 32.0);
        // Units so small that what is added is all there is.
        assert_eq!(deviation(1 << 40, 24, -60), (12f64 - 60.0).exp2());
        assert_eq!(deviation(1 << 40, 24, -61), (12f64 - 61.0).exp2());
    }
}
