//! Values of the parameters before the first step, from keyed random numbers.

use super::{
    norm::{init_running, norm_of},
    recurrent::{init_forget_gates, lstm_of},
    stored::in_arena,
};
use crate::{
    graph::{LayerPlan, pick},
    rng::Key,
    tensor::MantissasMut,
    uses::Uses,
};

/// The root of these streams; step numbers never reach it.
const INIT_STREAM: u32 = u32::MAX;

/// Fills all master weights. Everything else in `memory` becomes zero.
pub(super) fn init<U: Uses>(plan: &[LayerPlan], seed: u64, memory: &mut [u8]) {
    memory.fill(0);
    let root = Key::new(seed).stream(INIT_STREAM);
    for (i, plan) in plan.iter().enumerate() {
        if norm_of::<U>(&plan.way).is_some() {
            init_running(memory, &plan.channels);
            let [mut ones] = pick(memory, [&plan.weight.master]);
            (0..ones.as_ref().len()).for_each(|c| ones.set(c, plan.weight.limit.cast_signed()));
            continue;
        }
        let recurrent = lstm_of::<U>(&plan.way).is_some();
        for (which, param) in [&plan.weight, &plan.bias].into_iter().enumerate() {
            let key = root.stream((i as u32) << 1 | which as u32);
            let [values] = pick(memory, [in_arena::<U>(&param.master)]);
            if recurrent && which == 1 {
                init_forget_gates(values, param.limit);
                continue;
            }
            uniform(values, param.limit, key);
        }
    }
}

/// One after the other, so that the code is there once for all storages.
fn uniform(mut values: MantissasMut<'_>, limit: u32, key: Key) {
    let count = if limit == 0 { 0 } else { values.as_ref().len() };
    for i in 0..count {
        let draw = key.below(i as u32, 2 * limit + 1);
        values.set(i, draw.wrapping_sub(limit).cast_signed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_fill_the_interval_evenly() {
        let mut values = [0i16; 4000];
        uniform(MantissasMut::I16(&mut values), 100, Key::new(3));
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / 4000.0;
        assert_eq!((values.iter().min(), values.iter().max()), (Some(&-100), Some(&100)));
        assert!(mean.abs() < 4.0, "{mean}");
    }
}
