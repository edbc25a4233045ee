//! Values of the parameters before the first step, from keyed random numbers.

use crate::{
    config::{Init, LayerConfig, Master},
    graph::{LayerPlan, pick},
    rng::Key,
    tensor::MantissasMut,
};

/// The root of these streams; step numbers never reach it.
const INIT_STREAM: u32 = u32::MAX;

/// Fills all master weights. Everything else in `memory` becomes zero.
pub(super) fn init(layers: &[LayerConfig], plan: &[LayerPlan], seed: u64, memory: &mut [u8]) {
    memory.fill(0);
    let root = Key::new(seed).child(INIT_STREAM);
    for (i, (config, plan)) in layers.iter().zip(plan).enumerate() {
        let (fan_out, fan_in) = (plan.way.outputs, plan.way.inputs);
        let params = [(plan.weight.master, config.master), (plan.bias.master, config.bias_master)];
        for (which, (region, master)) in params.into_iter().enumerate() {
            let limit = limit(master, fan_in, fan_out);
            let key = root.child((i as u32) << 1 | which as u32);
            let [values] = pick(memory, [&region]);
            uniform(values, limit, key);
        }
    }
}

/// The largest magnitude in units of the master weights.
fn limit(master: Master, fan_in: u32, fan_out: u32) -> u32 {
    let (numerator, denominator) = match master.init {
        Init::Zero => return 0,
        Init::HeUniform => (6u32, fan_in),
        Init::XavierUniform => (6, fan_in.saturating_add(fan_out)),
        Init::LecunUniform => (1, fan_in),
    };
    // The largest root with root^2 <= (n << 2 up) / d = (sqrt(n / d) * 2^up)^2. What the caps cut
    // off exceeds every storage, or is less than one unit.
    let up = -i32::from(master.exponent());
    let (left, right) = (up.clamp(0, 62) as u32, (-up).clamp(0, 2) as u32);
    let square = scaled_quotient(numerator, u64::from(denominator.max(1)) << (2 * right), 2 * left);
    // Bit by bit: a division and a root of many bits would be a large part of a board's program.
    (0..master.width.bits() - 1).rev().fold(0, |root, bit| {
        let larger = root | 1u32 << bit;
        if u64::from(larger) * u64::from(larger) <= square { larger } else { root }
    })
}

/// `(numerator << up) / denominator`, for a numerator below 8; beyond 63 bits, as many ones.
fn scaled_quotient(numerator: u32, denominator: u64, up: u32) -> u64 {
    let (mut quotient, mut rest) = (0u64, 0u64);
    for bit in (0..up + 3).rev() {
        let digit = if bit >= up { numerator >> (bit - up) & 1 } else { 0 };
        rest = rest << 1 | u64::from(digit);
        let fits = rest >= denominator;
        if fits {
            rest -= denominator;
        }
        quotient =
            if quotient >> 62 == 0 { quotient << 1 | u64::from(fits) } else { u64::MAX >> 1 };
    }
    quotient
}

/// One after the other, so that the code is there once for all storages.
fn uniform(mut values: MantissasMut<'_>, limit: u32, key: Key) {
    let count = if limit == 0 { 0 } else { values.as_ref().len() };
    for i in 0..count {
        let draw = key.below(i as u32, 2 * limit + 1);
        values.part(i, 1).store(&[draw.wrapping_sub(limit) as i32]);
    }
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
            let limit = f64::from(limit(master(init), 784, 100));
            assert!((limit - exact * unit).abs() <= 1.0, "{init:?}: {limit}");
        }
    }

    #[test]
    fn limits_hold_for_every_storage_and_bound() {
        for width in [Width::I8, Width::I16, Width::I32] {
            for bound in -64..=64 {
                for (fan_in, fan_out) in [(1, 1), (784, 100), (65_535, 65_535)] {
                    let master = Master { width, bound, init: Init::HeUniform };
                    let most = (f64::from(width.bits() - 1)).exp2() - 1.0;
                    let unit = f64::from(master.exponent()).exp2();
                    let exact = ((6.0 / f64::from(fan_in)).sqrt() / unit).min(most);
                    let limit = f64::from(limit(master, fan_in, fan_out));
                    assert!(limit <= exact * (1.0 + 1e-9), "{master:?} {limit} {exact}");
                    assert!(limit > exact - 1.0 - exact * 1e-9, "{master:?} {limit} {exact}");
                }
            }
        }
    }

    #[test]
    fn values_fill_the_interval_evenly() {
        let mut values = [0i16; 4000];
        uniform(MantissasMut::I16(&mut values), 100, Key::new(3));
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / 4000.0;
        assert_eq!((values.iter().min(), values.iter().max()), (Some(&-100), Some(&100)));
        assert!(mean.abs() < 4.0, "{mean}");
    }
}
