//! Random depthwise convolutions, forward, backward and by weights, on which every kernel must equal
//! the definition of convolutions in groups.

use std::vec;

use proptest::{prelude::*, test_runner::TestRunner};

use super::{
    Fill, Store, any_fill,
    convolutions::{Share, any_windows},
};
use crate::{
    kernel::{Depthwise, DepthwiseGrad, Kernel, WindowGrad, convolve},
    tensor::{Matrix, Patches, Taps, Windows},
};

#[derive(Clone, Debug)]
struct Case {
    windows: Windows,
    samples: usize,
    channels: usize,
    multiplier: usize,
    wide: [bool; 2],
    fills: [Fill; 2],
    drop: u32,
    /// Parts of the whole that are asked for.
    part: [Share; 4],
}

fn any_case() -> impl Strategy<Value = Case> {
    (
        (any_windows(), 1..4usize),
        (prop_oneof![1..24usize, 24..150usize], prop_oneof![2 => Just(1usize), 1 => 2..6usize]),
        (any::<[bool; 2]>(), prop::bool::weighted(0.2)),
        [any_fill(), any_fill()],
        prop_oneof![3 => Just(0u32), 1 => 0..12u32],
        any::<[u32; 4]>().prop_map(|part| part.map(Share)),
    )
        .prop_map(|((windows, samples), (channels, multiplier), wide, fills, drop, part)| {
            let wide = wide.0.map(|is| is && wide.1);
            // Sums that fit, as a plan would have them.
            let drop = drop.max([0, 4, 12][usize::from(wide[0]) + usize::from(wide[1])]);
            Case { windows, samples, channels, multiplier, wide, fills, drop, part }
        })
}

impl Case {
    fn units(&self) -> usize {
        self.channels * self.multiplier
    }

    /// The output, or the gradient by the input, group by group and at once.
    fn check_sums(&self, kernel: &dyn Kernel, name: &str, back: bool) {
        let (taps, units, multiplier) = (self.windows.taps(), self.units(), self.multiplier);
        let weights = Store::new(self.wide[1].into(), self.fills[1], taps * units);
        let (windows, all, each) = if back {
            (self.windows.turned(), units, [multiplier, 1])
        } else {
            (self.windows, self.channels, [1, multiplier])
        };
        let data =
            Store::new(self.wide[0].into(), self.fills[0], self.samples * windows.pixels() * all);
        let x = Patches::new(data.get(), windows, all);
        let rows = self.samples * windows.per_picture();
        let first = self.part[0].index(rows);
        let count = 1 + self.part[1].index(rows - first);
        let width = self.channels * each[1];
        let mut expected = vec![5; count * width];
        for group in 0..self.channels {
            let some = weights.get().part(group * multiplier * taps, multiplier * taps);
            let weight = Taps::new(some, taps, 1, multiplier);
            let weight = if back { weight.back() } else { weight };
            let x = Patches { group: [group * each[0], each[0]], ..x };
            let mut sums = vec![0; count * each[1]];
            convolve::convolve_single(&x, &weight, self.drop, first, &mut sums);
            for (row, sums) in expected.chunks_mut(width).zip(sums.chunks(each[1])) {
                row[group * each[1]..][..each[1]].copy_from_slice(sums);
            }
        }
        let mut found = vec![6; count * width];
        let sums = Depthwise { x, weight: weights.get(), multiplier, back, drop: self.drop };
        kernel.depthwise(&sums, first, &mut found);
        assert!(found == expected, "{name}, back {back}: {self:?}");
    }

    fn check_grad(&self, kernel: &dyn Kernel, name: &str) {
        let (windows, units, multiplier) = (self.windows, self.units(), self.multiplier);
        let len = self.samples * windows.pixels() * self.channels;
        let data = Store::new(self.wide[0].into(), self.fills[0], len);
        let all = self.samples * windows.per_picture();
        // Windows that are not whole pictures, as threads have them.
        let skip = self.part[2].index(all);
        let rows = 1 + self.part[3].index(all - skip);
        let x = Patches { skip, ..Patches::new(data.get(), windows, self.channels) };
        let grads = Store::new(self.wide[1].into(), self.fills[1], rows * units);
        let unit = self.part[0].index(units);
        let wanted = 1 + self.part[1].index(units - unit);
        let tap = self.part[1].index(windows.taps());
        let taps = tap..tap + 1 + self.part[0].index(windows.taps() - tap);
        let mut expected = vec![5; wanted * taps.len()];
        for (u, out) in (unit..).zip(expected.chunks_mut(taps.len())) {
            let grad = Matrix::columns(grads.get(), rows, units, u, 1);
            let x = Patches { group: [u / multiplier, 1], ..x };
            let sums = WindowGrad { grad, x, cols: taps.clone(), drop: self.drop, add: false };
            convolve::convolve_grad_single(&sums, out);
        }
        let grad = Matrix::columns(grads.get(), rows, units, unit, wanted);
        let drop = self.drop;
        let sums = DepthwiseGrad { grad, unit, x, multiplier, taps, drop, add: false };
        let mut found = vec![6; expected.len()];
        kernel.depthwise_grad(&sums, &mut found);
        assert!(found == expected, "{name}, weights: {self:?}");
        expected.iter_mut().for_each(|sum| *sum += 7);
        found.fill(7);
        kernel.depthwise_grad(&DepthwiseGrad { add: true, ..sums }, &mut found);
        assert!(found == expected, "{name}, added weights: {self:?}");
    }
}

/// What every kernel promises of depthwise convolutions.
pub(in crate::kernel) fn check_depthwise(kernel: &dyn Kernel, name: &str) {
    TestRunner::default()
        .run(&any_case(), |case| {
            case.check_sums(kernel, name, false);
            case.check_sums(kernel, name, true);
            case.check_grad(kernel, name);
            Ok(())
        })
        .unwrap();
}

/// More windows than 32 bits hold the sums of.
#[cfg(all(feature = "std", target_arch = "x86_64"))]
pub(in crate::kernel) fn check_long_depthwise(kernel: &dyn Kernel, name: &str) {
    let windows = Windows {
        from: [70, 300],
        count: [70, 300],
        size: [1, 3],
        stride: [1; 2],
        pad: [0, 1],
        spread: [1; 2],
    };
    let part = [Share(0), Share(u32::MAX), Share(0), Share(u32::MAX)];
    for (channels, multiplier, samples) in [(2, 1, 7), (1, 2, 4)] {
        let fills = [Fill::Lowest, Fill::Lowest];
        let (wide, drop) = ([false; 2], 3);
        Case { windows, samples, channels, multiplier, wide, fills, drop, part }
            .check_grad(kernel, name);
    }
}
