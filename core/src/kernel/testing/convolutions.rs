//! Random convolutions, forward, backward and by weights, on which every kernel must equal the
//! definition.

use std::vec;

use proptest::{prelude::*, test_runner::TestRunner};

use super::{Fill, Store, any_fill};
use crate::{
    kernel::{Kernel, WindowGrad, convolve},
    tensor::{Matrix, Patches, Taps, Windows},
};

#[derive(Clone, Debug)]
struct Convolution {
    windows: Windows,
    samples: usize,
    /// Channels of a pixel, those of the group, and where they begin.
    channels: [usize; 3],
    units: usize,
    wide: [bool; 2],
    fills: [Fill; 2],
    drop: u32,
    room: usize,
    /// Parts of the whole that are asked for.
    part: [Share; 2],
}

/// A place in anything.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share(pub(super) u32);

impl Share {
    pub(super) fn index(self, len: usize) -> usize {
        ((u64::from(self.0) * len as u64) >> 32) as usize
    }
}

pub(super) fn any_windows() -> impl Strategy<Value = Windows> {
    let pair = |range: core::ops::Range<u16>| (range.clone(), range).prop_map(<[u16; 2]>::from);
    // Chips have loops of their own for a stride of one.
    let stride = prop_oneof![Just([1; 2]), pair(1..4)];
    (pair(1..9), pair(1..5), stride, pair(0..4)).prop_map(|(from, size, stride, pad)| {
        let pad = [0, 1].map(|i| pad[i].min(size[i] - 1));
        let count = [0, 1].map(|i| (from[i] + 2 * pad[i]).saturating_sub(size[i]) / stride[i] + 1);
        Windows { from, count, size, stride, pad, spread: [1; 2] }
    })
}

fn any_convolution() -> impl Strategy<Value = Convolution> {
    let channels = (1..40usize, 1..40usize).prop_flat_map(|(some, more)| {
        let all = prop_oneof![Just(some), Just(some + more)];
        all.prop_flat_map(move |all| (0..=all - some).prop_map(move |from| [all, some, from]))
    });
    (
        (any_windows(), 1..4usize, channels, 1..70usize),
        (any::<[bool; 2]>(), prop::bool::weighted(0.2)),
        [any_fill(), any_fill()],
        (prop_oneof![3 => Just(0u32), 1 => 0..12u32], 0..2_000usize),
        any::<[u32; 2]>().prop_map(|part| part.map(Share)),
    )
        .prop_map(|((windows, samples, channels, units), wide, fills, (drop, room), part)| {
            let wide = wide.0.map(|is| is && wide.1);
            // Sums that fit, as a plan would have them: at most 2^10 products.
            let drop = drop.max([0, 4, 12][usize::from(wide[0]) + usize::from(wide[1])]);
            Convolution { windows, samples, channels, units, wide, fills, drop, room, part }
        })
}

impl Convolution {
    /// The output of a convolution, and the gradient by its input of the same shapes.
    fn check_convolve(&self, kernel: &dyn Kernel, name: &str, back: bool) {
        let [all, some, from] = self.channels;
        let taps = self.windows.taps();
        let weights = Store::new(self.wide[1].into(), self.fills[1], taps * some * self.units);
        let forward = Taps::new(weights.get(), taps, some, self.units);
        let (windows, weight, all, group) = if back {
            (self.windows.turned(), forward.back(), self.units, [0, self.units])
        } else {
            (self.windows, forward, all, [from, some])
        };
        let data =
            Store::new(self.wide[0].into(), self.fills[0], self.samples * windows.pixels() * all);
        let x = Patches { group, ..Patches::new(data.get(), windows, all) };
        let rows = self.samples * windows.per_picture();
        let first = self.part[0].index(rows);
        let len = (1 + self.part[1].index(rows - first)) * weight.cols[0];
        let (mut expected, mut found) = (vec![5; len], vec![6; len]);
        convolve::convolve_single(&x, &weight, self.drop, first, &mut expected);
        let mut room = self.room();
        let room = room.get_mut();
        kernel.convolve(&x, &weight, self.drop, first, &mut found, room);
        assert!(found == expected, "{name}, back {back}: {self:?}");
    }

    fn check_convolve_grad(&self, kernel: &dyn Kernel, name: &str) {
        let [all, some, from] = self.channels;
        let windows = self.windows;
        let data =
            Store::new(self.wide[0].into(), self.fills[0], self.samples * windows.pixels() * all);
        let x = Patches { group: [from, some], ..Patches::new(data.get(), windows, all) };
        let rows = self.samples * windows.per_picture();
        let grads = Store::new(self.wide[1].into(), self.fills[1], rows * self.units);
        let unit = self.part[0].index(self.units);
        let units = 1 + self.part[1].index(self.units - unit);
        let grad = Matrix::columns(grads.get(), rows, self.units, unit, units);
        let col = self.part[1].index(x.cols());
        let cols = col..col + 1 + self.part[0].index(x.cols() - col);
        let len = units * cols.len();
        let (mut expected, mut found) = (vec![5; len], vec![6; len]);
        let sums = WindowGrad { grad, x, cols, drop: self.drop, add: false };
        convolve::convolve_grad_single(&sums, &mut expected);
        let mut room = self.room();
        kernel.convolve_grad(&sums, &mut found, room.get_mut());
        assert!(found == expected, "{name}, weights: {self:?}");
        expected.iter_mut().for_each(|sum| *sum += 7);
        found.fill(7);
        kernel.convolve_grad(&WindowGrad { add: true, ..sums }, &mut found, room.get_mut());
        assert!(found == expected, "{name}, added weights: {self:?}");
    }

    fn room(&self) -> Store {
        Store::new(self.wide[0].into(), Fill::Lowest, self.room)
    }
}

/// What every kernel promises of convolutions.
pub(in crate::kernel) fn check_convolutions(kernel: &dyn Kernel, name: &str) {
    TestRunner::default()
        .run(&any_convolution(), |convolution| {
            convolution.check_convolve(kernel, name, false);
            convolution.check_convolve(kernel, name, true);
            convolution.check_convolve_grad(kernel, name);
            Ok(())
        })
        .unwrap();
}

/// More rows, columns and depth than panels take at once.
#[cfg(all(feature = "std", target_arch = "x86_64"))]
pub(in crate::kernel) fn check_deep_convolutions(kernel: &dyn Kernel, name: &str) {
    let square = |from, size| Windows {
        from: [from; 2],
        count: [from; 2],
        size: [size; 2],
        stride: [1; 2],
        pad: [size / 2; 2],
        spread: [1; 2],
    };
    let shapes =
        [(square(3, 3), 250, 70, 1), (square(34, 3), 3, 40, 2), (square(5, 3), 300, 20, 3)];
    let widths = [[false, false], [true, false], [false, true], [true, true]];
    for ((windows, channels, units, samples), wide) in
        shapes.into_iter().flat_map(|shape| widths.map(|wide| (shape, wide)))
    {
        let convolution = Convolution {
            windows,
            samples,
            channels: [channels, channels, 0],
            units,
            wide,
            fills: [1, 2].map(Fill::Random),
            drop: [0, 6, 14][usize::from(wide[0]) + usize::from(wide[1])],
            room: 1000,
            part: [Share(0), Share(u32::MAX)],
        };
        convolution.check_convolve(kernel, name, false);
        convolution.check_convolve(kernel, name, true);
        convolution.check_convolve_grad(kernel, name);
    }
}
