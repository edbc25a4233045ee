//! Decimal numbers to fixed point and back.

use fixgrad::{optim::Lr, strategy::Amount};

use super::strategies::Ends;

/// One in the units that shares, factors and momentum have.
const ONE: f64 = 32_768.0;

/// The rate nearest to `value`; `None` when it is negative, not finite or out of reach.
pub(super) fn rate(value: f64) -> Option<Lr> {
    if value == 0.0 {
        return Some(Lr::ZERO);
    }
    // Outside, the rate's own range ends or an update can never be seen.
    if !(1e-12..=1e6).contains(&value) {
        return None;
    }
    let mut exponent = value.log2().floor() as i16 - 14;
    let mut mantissa = (value * f64::from(-exponent).exp2()).round_ties_even();
    // The logarithm may be off by one next to a power of two, and rounding may carry.
    if mantissa < ONE / 2.0 {
        exponent -= 1;
        mantissa = (value * f64::from(-exponent).exp2()).round_ties_even();
    }
    if mantissa >= ONE {
        exponent += 1;
        mantissa = (value * f64::from(-exponent).exp2()).round_ties_even();
    }
    Some(Lr { mantissa: mantissa as u16, exponent })
}

/// What a rate is worth.
pub(super) fn rate_value(rate: Lr) -> f64 {
    f64::from(rate.mantissa) * f64::from(rate.exponent).exp2()
}

/// The share nearest to `value` in units of 2^-15; `None` outside `0..=1`.
pub(super) fn share(value: f64) -> Option<u16> {
    (0.0..=1.0).contains(&value).then(|| (value * ONE).round_ties_even() as u16)
}

/// What a share is worth.
pub(super) fn share_value(share: u16) -> f64 {
    f64::from(share) / ONE
}

/// The `n` for which `2^-n` is nearest to `value`, in octaves; `None` where there is none from 0 on.
pub(super) fn octaves(value: f64) -> Option<u8> {
    let octaves = -value.log2().round_ties_even();
    (0.0..255.0).contains(&octaves).then_some(octaves as u8)
}

/// What so many octaves below one are worth.
pub(super) fn octaves_value(octaves: u8) -> f64 {
    f64::from(-i16::from(octaves)).exp2()
}

/// Noise between two numbers: both ends get the exponent that the larger one needs.
pub(super) fn uniform(ends: Ends) -> Option<Amount> {
    let largest = ends.min.abs().max(ends.max.abs());
    if largest == 0.0 {
        return Some(Amount::Uniform { low: 0, high: 0, exponent: 0 });
    }
    if !(1e-12..=1e6).contains(&largest) {
        return None;
    }
    let exponent = largest.log2().floor() as i16 - 13;
    let code = |end: f64| (end * f64::from(-exponent).exp2()).round_ties_even() as i16;
    let (mut low, mut high, mut exponent) = (code(ends.min), code(ends.max), exponent);
    // Few digits should read as few digits: -1/2..3/2 and not -4096..12288.
    while low % 2 == 0 && high % 2 == 0 && (low, high) != (0, 0) {
        (low, high, exponent) = (low / 2, high / 2, exponent + 1);
    }
    Some(Amount::Uniform { low, high, exponent })
}

/// Noise between two numbers of steps, in units of 2^-8 of a step.
pub(super) fn uniform_steps(ends: Ends) -> Option<Amount> {
    let code = |end: f64| {
        let code = (end * 256.0).round_ties_even();
        (code.abs() <= 32_767.0).then_some(code as i16)
    };
    Some(Amount::UniformSteps { low: code(ends.min)?, high: code(ends.max)? })
}

/// The ends that an amount stands for.
pub(super) fn ends(amount: Amount) -> Option<Ends> {
    let (low, high, exponent) = match amount {
        Amount::None => return None,
        Amount::Uniform { low, high, exponent } => (low, high, exponent),
        Amount::UniformSteps { low, high } => (low, high, -8),
    };
    let unit = f64::from(exponent).exp2();
    Some(Ends { min: f64::from(low) * unit, max: f64::from(high) * unit })
}

/// The decimal with the fewest digits that `encode` turns into the same code as `exact`.
pub(super) fn shortest<T: PartialEq>(exact: f64, encode: impl Fn(f64) -> T) -> f64 {
    let code = encode(exact);
    (0..17)
        .filter_map(|digits| format!("{exact:.digits$e}").parse().ok())
        .find(|&short| encode(short) == code)
        .unwrap_or(exact)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rates_equal_the_ratios_of_the_core() {
        for (n, d) in [(1, 2), (5, 1000), (1, 3), (7, 9), (1, 100_000), (500, 1), (1, 1), (9, 10)] {
            assert_eq!(rate(f64::from(n) / f64::from(d)), Some(Lr::ratio(n, d)), "{n}/{d}");
        }
        for wrong in [-0.1, f64::NAN, f64::INFINITY, 1e7, 1e-13] {
            assert_eq!(rate(wrong), None);
        }
    }

    #[test]
    fn few_digits_come_back() {
        for lr in [0.5, 0.1, 0.05, 0.001, 1e-5, 0.3] {
            assert_eq!(shortest(rate_value(rate(lr).unwrap()), rate), lr);
        }
        assert_eq!(
            uniform(Ends { min: -0.5, max: 1.5 }),
            Some(Amount::Uniform { low: -1, high: 3, exponent: -1 })
        );
    }

    #[test]
    fn powers_of_two_are_the_nearest() {
        assert_eq!([0.1, 0.125, 1.0, 1e-5, 6e-8].map(octaves), [3, 3, 0, 17, 24].map(Some));
        assert_eq!([-0.1, 0.0, f64::NAN, 2.0].map(octaves), [None; 4]);
        assert_eq!(
            (0..40).map(|n| octaves(octaves_value(n))).collect::<Vec<_>>(),
            (0..40).map(Some).collect::<Vec<_>>()
        );
    }

    proptest! {
        #[test]
        fn codes_survive_their_decimals(lr in 1e-11f64..1e5, low in any::<i16>(), high in any::<i16>(), exponent in -20i16..4) {
            let code = rate(lr).unwrap();
            prop_assert_eq!(rate(shortest(rate_value(code), rate)), Some(code));
            let ends_of = ends(Amount::Uniform { low, high, exponent }).unwrap();
            let amount = uniform(ends_of).unwrap();
            prop_assert_eq!(uniform(ends(amount).unwrap()), Some(amount));
        }
    }
}
