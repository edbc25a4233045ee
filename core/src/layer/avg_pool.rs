//! The mean of every window, channel by channel.
//!
//! The mean is the sum of the codes times a factor, on a finer grid: `1 / n` is one shift where `n`
//! is a power of two, and else a number of up to 15 bits. Zeros around the picture count, as in
//! PyTorch by default.

use serde::{Deserialize, Serialize};

use super::{
    Facts, Forward, InputGrad, Misfit, Operator, Output, Padding, Scale, Terms, facts, pool::pool,
};
use crate::{
    kernel::Kernel,
    quant::ceil_log2,
    tensor::{Mantissa, Patches, Shape, Windows, for_width},
    uses::Uses,
};

pool! {
    /// The mean of every window. Pairs are vertical, then horizontal. Room around the picture is zeros.
    AvgPool2d
}

impl AvgPool2d {
    /// As many pixels as windows.
    pub const fn facts(self, from: Shape) -> Result<Facts, Misfit> {
        match self.windows(from) {
            Ok(windows) => Ok(of(from, windows)),
            Err(misfit) => Err(misfit),
        }
    }
}

/// The mean of every channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct GlobalAvgPool;

impl GlobalAvgPool {
    /// One pixel.
    pub const fn facts(self, from: Shape) -> Result<Facts, Misfit> {
        let [_, height, width] = from.0;
        let size = [height, width];
        match facts::windows(from, size, size, Padding::Valid) {
            Ok(windows) => Ok(of(from, windows)),
            Err(misfit) => Err(misfit),
        }
    }
}

const fn of(from: Shape, windows: Windows) -> Facts {
    let [channels, ..] = from.0;
    let [height, width] = windows.count;
    let terms = Terms { forward: windows.taps(), backward: facts::overlap(&windows) };
    Facts {
        shape: Shape([channels, height, width]),
        output: Output::Sums,
        terms,
        windows,
        scale: Scale::Mean(windows.taps()),
        ..Facts::in_place(from)
    }
}

/// A division by a number of terms: `x / n` is near `x * factor / 2^shift`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Average {
    /// The factor, of at most 15 bits.
    pub factor: u16,
    /// Binary places that it has behind the point.
    pub shift: u8,
}

impl Average {
    /// No division.
    pub const NONE: Self = Self { factor: 1, shift: 0 };

    /// What sums of `terms` codes of `bits` bits are multiplied by; none where there is no room for it.
    pub(crate) const fn for_scale(scale: Scale, terms: usize, bits: u8) -> Option<Self> {
        match scale {
            Scale::Mean(count) => Self::of(count, terms, bits),
            Scale::Kept(p) => Some(Self::of_kept(p)),
            Scale::Curve { back } => Some(Self { factor: u8::MAX as u16, shift: back }),
        }
    }

    /// A division by `count` of sums of `terms` codes of `bits` bits, which stay below 2^30; none
    /// where there is no bit left for a factor.
    pub(crate) const fn of(count: usize, terms: usize, bits: u8) -> Option<Self> {
        let (Some(log), Some(growth)) = (ceil_log2(count as u32), ceil_log2(terms as u32)) else {
            return None;
        };
        let room = match 30u8.checked_sub(bits - 1 + growth) {
            Some(_) if count.is_power_of_two() => return Some(Self { factor: 1, shift: log }),
            Some(room) if room > 15 => 15,
            Some(room @ 1..) => room,
            _ => return None,
        };
        let shift = room + log - 1;
        match ((1u64 << shift) + count as u64 / 2).checked_div(count as u64) {
            Some(factor) => Some(Self { factor: factor as u16, shift }),
            None => None,
        }
    }
}

/// Sums of codes under windows, times a factor.
#[inline(always)]
fn sum(windows: Patches<'_>, first: usize, factor: u16, sums: &mut [i32]) {
    let channels = windows.channels;
    for (place, out) in windows.places(first).zip(sums.chunks_exact_mut(channels.max(1))) {
        out.fill(0);
        windows.under(place, |_, pixel| {
            for_width!(Mantissas, windows.data.part(pixel, channels), codes => {
                out.iter_mut().zip(codes).for_each(|(sum, code)| *sum += code.widen());
            });
        });
        if factor != 1 {
            out.iter_mut().for_each(|sum| *sum *= i32::from(factor));
        }
    }
}

impl Operator for AvgPool2d {
    #[inline(always)]
    fn forward<K: Kernel, U: Uses>(self, run: Forward<'_, K>) {
        forward(self.facts(run.from), run);
    }

    #[inline(always)]
    fn input_grad<K: Kernel, U: Uses>(self, run: InputGrad<'_, K>) {
        input_grad(self.facts(run.from), run);
    }
}

impl Operator for GlobalAvgPool {
    #[inline(always)]
    fn forward<K: Kernel, U: Uses>(self, run: Forward<'_, K>) {
        forward(self.facts(run.from), run);
    }

    #[inline(always)]
    fn input_grad<K: Kernel, U: Uses>(self, run: InputGrad<'_, K>) {
        input_grad(self.facts(run.from), run);
    }
}

fn forward<K>(facts: Result<Facts, Misfit>, run: Forward<'_, K>) {
    let Ok(facts) = facts else { return };
    let windows = Patches::new(run.x, facts.windows, run.from.0[0].into());
    sum(windows, run.rows.start, run.average.factor, run.sums);
}

fn input_grad<K>(facts: Result<Facts, Misfit>, run: InputGrad<'_, K>) {
    let Ok(facts) = facts else { return };
    let windows = Patches::new(run.grad, facts.windows.turned(), run.from.0[0].into());
    sum(windows, run.first / windows.channels.max(1), run.average.factor, run.sums);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::testing::Bench;

    #[test]
    fn sums_of_windows_times_a_factor() {
        let mut pool = Bench::new(AvgPool2d::new(2), [1, 2, 4]);
        assert_eq!(pool.forward(&[1, 2, 10, 20, 3, 4, 30, 40], &[]), [10, 100]);
        assert_eq!(pool.input_grad(&[5, -6], &[]), [5, 5, -6, -6, 5, 5, -6, -6]);
        pool.average.factor = 3;
        assert_eq!(pool.forward(&[1, 2, 10, 20, 3, 4, 30, 40], &[]), [30, 300]);
        assert_eq!(pool.input_grad(&[5, -6], &[])[..3], [15, 15, -18]);
        // Zeros around the picture count, and windows that overlap add up.
        let pool = AvgPool2d::new(3).stride(1).padding(Padding::Same);
        let mut pool = Bench::new(pool, [1, 1, 3]);
        assert_eq!(pool.facts.scale, Scale::Mean(9));
        assert_eq!(pool.forward(&[1, 2, 4], &[]), [3, 7, 6]);
        assert_eq!(pool.input_grad(&[1, 2, 4], &[]), [3, 7, 6]);
    }

    #[test]
    fn the_mean_of_every_channel_of_a_picture() {
        let mut pool = Bench::new(GlobalAvgPool, [2, 3, 1]);
        assert_eq!((pool.facts.shape, pool.facts.scale), (Shape::vector(2), Scale::Mean(3)));
        assert_eq!(pool.forward(&[1, 10, 2, 20, 3, 30], &[]), [6, 60]);
        assert_eq!(pool.input_grad(&[7, -7], &[]), [7, -7, 7, -7, 7, -7]);
    }

    #[test]
    fn a_mean_is_a_shift_or_a_factor_that_leaves_room() {
        assert_eq!(Average::of(4, 4, 8), Some(Average { factor: 1, shift: 2 }));
        assert_eq!(Average::of(1, 1, 16), Some(Average::NONE));
        for (count, bits) in [(49, 8), (125, 8), (9, 16), (1000, 8)] {
            let Average { factor, shift } = Average::of(count, count, bits).unwrap();
            let exact = f64::from(shift).exp2() / count as f64;
            assert!((f64::from(factor) - exact).abs() <= 0.5, "{count} {bits}");
            let most = (1i64 << (bits - 1)) * count as i64 * i64::from(factor);
            assert!(most <= 1 << 30, "{count} {bits}");
        }
        assert_eq!(Average::of(3 << 14, 3 << 14, 16), None);
        // A shift needs no room of its own, but the sum must fit too.
        assert_eq!(Average::of(1 << 15, 1 << 15, 16), Some(Average { factor: 1, shift: 15 }));
        assert_eq!(Average::of(1 << 16, 1 << 16, 16), None);
    }
}
