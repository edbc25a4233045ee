//! The largest number of every window, channel by channel.
//!
//! Codes are compared, so they stay on their grid. The first of several largest ones wins, as in
//! PyTorch, and the gradient goes to it alone. Zeros around the picture never win.
//!
//! Right above a ReLU, a window of zeros has no winner: the gradient that it would get is one that the
//! ReLU blocks. So nobody needs the ReLU's output on the way back.

use super::{Facts, Forward, InputGrad, Misfit, Operator, Output, Terms, facts, pool::pool};
use crate::{
    kernel::Kernel,
    tensor::{Mantissa, Patches, Shape, Windows, for_width},
    uses::Uses,
};

pool! {
    /// The largest number of every window, of 255 at most. Pairs are vertical, then horizontal. Room
    /// around the picture never wins.
    MaxPool2d
}

/// No winner: windows have one tap less than a byte has numbers.
const NONE: i8 = u8::MAX.cast_signed();

impl MaxPool2d {
    /// As many pixels as windows, of 255 taps at most: the place of every winner is a byte.
    pub const fn facts(self, from: Shape) -> Result<Facts, Misfit> {
        let size = [self.kernel[0] as u16, self.kernel[1] as u16];
        if size[0] * size[1] > u8::MAX as u16 {
            return Err(Misfit::Taps { size });
        }
        let windows = match self.windows(from) {
            Ok(windows) => windows,
            Err(misfit) => return Err(misfit),
        };
        let [channels, ..] = from.0;
        let [height, width] = windows.count;
        Ok(Facts {
            shape: Shape([channels, height, width]),
            output: Output::Codes,
            terms: Terms { forward: 1, backward: facts::overlap(&windows) },
            windows,
            memo: 1,
            ..Facts::in_place(from)
        })
    }
}

impl Operator for MaxPool2d {
    #[inline(always)]
    fn forward<K: Kernel, U: Uses>(self, run: Forward<'_, K>) {
        let Forward { from, x, rows, sums, gated, memo, .. } = run;
        let Ok(facts) = self.facts(from) else { return };
        let windows = Patches::new(x, facts.windows, from.0[0].into());
        // What a ReLU made is never below zero.
        let least = if gated { 0 } else { i32::MIN };
        for_width!(Mantissas, x, x => largest(x, &windows, rows.start, least, sums, memo));
    }

    #[inline(always)]
    fn input_grad<K: Kernel, U: Uses>(self, run: InputGrad<'_, K>) {
        let InputGrad { from, grad, first, sums, memo, .. } = run;
        let Ok(facts) = self.facts(from) else { return };
        let channels = usize::from(from.0[0]);
        let windows = Patches::new(grad, facts.windows.turned(), channels);
        let first = first / channels.max(1);
        let Windows { size, stride, pad, .. } = facts.windows;
        for_width!(Mantissas, grad, grad => if size == stride && pad == [0; 2] {
            back_of_one(grad, memo, &windows, first, sums);
        } else {
            back(grad, memo, &windows, first, sums);
        });
    }
}

/// True where writing what does not change takes less time than a branch, because vectors do it.
const VECTORS: bool = cfg!(any(target_arch = "x86_64", target_arch = "aarch64"));

/// The largest numbers of windows, and which they are. Where none is above `least`, that is the largest
/// and has no winner.
#[inline(always)]
fn largest<T: Mantissa>(
    x: &[T],
    windows: &Patches<'_>,
    first: usize,
    least: i32,
    sums: &mut [i32],
    memo: &mut [i8],
) {
    let channels = windows.channels;
    let outputs = sums.chunks_exact_mut(channels.max(1));
    let winners = memo.chunks_exact_mut(channels.max(1));
    for ((under, out), winners) in windows.unders(first).zip(outputs).zip(winners) {
        out.fill(least);
        winners.fill(NONE);
        under.each(|tap, pixel| {
            let pixel = x.get(pixel..).unwrap_or_default();
            let tap = (tap as u8).cast_signed();
            for ((best, winner), &value) in out.iter_mut().zip(winners.iter_mut()).zip(pixel) {
                let value = value.widen();
                if VECTORS {
                    *winner = if value > *best { tap } else { *winner };
                    *best = value.max(*best);
                } else if value > *best {
                    (*best, *winner) = (value, tap);
                }
            }
        });
    }
}

/// Gradients of pixels, from windows that may lie on one another.
#[inline(always)]
fn back<T: Mantissa>(
    grad: &[T],
    memo: &[i8],
    windows: &Patches<'_>,
    first: usize,
    sums: &mut [i32],
) {
    let taps = windows.windows.taps();
    let outputs = sums.chunks_exact_mut(windows.channels.max(1));
    for (place, out) in windows.places(first).zip(outputs) {
        out.fill(0);
        windows.under(place, |tap, window| {
            let tap = ((taps - 1 - tap) as u8).cast_signed();
            let (grad, winners) = (grad.get(window..), memo.get(window..));
            let all = grad.unwrap_or_default().iter().zip(winners.unwrap_or_default());
            for (sum, (&g, &winner)) in out.iter_mut().zip(all) {
                *sum += if winner == tap { g.widen() } else { 0 };
            }
        });
    }
}

/// As [`back`], of windows side by side: every pixel lies in one of them.
#[inline(always)]
fn back_of_one<T: Mantissa>(
    grad: &[T],
    memo: &[i8],
    windows: &Patches<'_>,
    first: usize,
    sums: &mut [i32],
) {
    let Windows { from, count, size, .. } = windows.windows;
    let ([down, across], [height, width]) = (from.map(usize::from), size.map(usize::from));
    let channels = windows.channels.max(1);
    // The window of a pixel, and the tap that lies on it.
    let in_window = |place: usize, size: usize| {
        let window = place.checked_div(size).unwrap_or(0);
        (window, place - window * size)
    };
    let [mut picture, y, x] = windows.place(first);
    let ((mut row, mut tap_y), (mut col, mut tap_x)) = (in_window(y, height), in_window(x, width));
    let mut left = usize::from(count[1]).saturating_sub(x);
    for out in sums.chunks_exact_mut(channels) {
        let window = ((picture * down + row) * across + col) * channels;
        let tap = ((tap_y * width + tap_x) as u8).cast_signed();
        let (grad, winners) = (grad.get(window..), memo.get(window..));
        let all = grad.unwrap_or_default().iter().zip(winners.unwrap_or_default());
        for (sum, (&g, &winner)) in out.iter_mut().zip(all) {
            *sum = if winner == tap { g.widen() } else { 0 };
        }
        (tap_x, left) = (tap_x + 1, left.saturating_sub(1));
        if tap_x == width {
            (col, tap_x) = (col + 1, 0);
        }
        if left == 0 {
            // The next row of pixels.
            (col, tap_x, left) = (0, 0, count[1].into());
            tap_y += 1;
            if tap_y == height {
                (row, tap_y) = (row + 1, 0);
            }
            if row * height + tap_y == usize::from(count[0]) {
                (picture, row, tap_y) = (picture + 1, 0, 0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::{Padding, testing::Bench};

    #[test]
    fn the_largest_number_of_every_window_and_channel() {
        let mut pool = Bench::new(MaxPool2d::new(2), [2, 2, 4]);
        // Pixels of two channels each.
        let x = [1, -1, 2, -2, 9, -9, 0, 0, 3, -3, 4, -4, 5, -5, 6, -6];
        assert_eq!(pool.forward(&x, &[]), [4, -1, 9, 0]);
        assert_eq!(pool.memo, [3, 0, 0, 1]);
        let back = pool.input_grad(&[10, 20, 30, 40], &[]);
        assert_eq!(back, [0, 20, 0, 0, 30, 0, 0, 40, 0, 0, 10, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn the_first_of_equals_wins_and_a_winner_of_two_windows_gets_both_gradients() {
        let mut pool = Bench::new(MaxPool2d::new(2).stride(1), [1, 2, 3]);
        assert_eq!(pool.forward(&[0, 7, 7, 7, 0, 0], &[]), [7, 7]);
        assert_eq!(pool.input_grad(&[3, 5], &[]), [0, 8, 0, 0, 0, 0]);
    }

    #[test]
    fn windows_side_by_side_give_their_winners_the_gradient() {
        // Two pictures of four pixels by two.
        let mut pool = Bench::new(MaxPool2d::new(2), [1, 4, 2]);
        assert_eq!(
            pool.forward(&[1, 0, 2, 0, 0, 3, 3, 0, 5, 5, 5, 5, 0, 0, 0, 7], &[]),
            [2, 3, 5, 7]
        );
        let back = pool.input_grad(&[10, 20, 30, 40], &[]);
        assert_eq!(back, [0, 0, 10, 0, 0, 20, 0, 0, 30, 0, 0, 0, 0, 0, 0, 40]);
    }

    #[test]
    fn zeros_around_the_picture_never_win() {
        let pool = MaxPool2d::new(3).stride(1).padding(Padding::Same);
        let mut pool = Bench::new(pool, [1, 2, 2]);
        assert_eq!(pool.forward(&[-128, -2, -3, -4], &[]), [-2; 4]);
        assert_eq!(pool.input_grad(&[1, 2, 3, 4], &[]), [0, 10, 0, 0]);
    }

    #[test]
    fn above_a_relu_a_window_of_zeros_has_no_winner() {
        let mut pool = Bench::new(MaxPool2d::new(2).stride(1), [1, 2, 4]);
        pool.gated = true;
        assert_eq!(pool.forward(&[0, 0, 0, 5, 0, 0, 0, 5], &[]), [0, 0, 5]);
        assert_eq!(pool.memo, [NONE, NONE, 1]);
        assert_eq!(pool.input_grad(&[7, 8, 9], &[]), [0, 0, 0, 9, 0, 0, 0, 0]);
        // Windows side by side.
        let mut pool = Bench::new(MaxPool2d::new(2), [1, 2, 4]);
        pool.gated = true;
        assert_eq!(pool.forward(&[0, 0, 0, 0, 0, 0, 3, 3], &[]), [0, 3]);
        assert_eq!(pool.input_grad(&[7, 8], &[]), [0, 0, 0, 0, 0, 0, 8, 0]);
    }

    #[test]
    fn a_window_has_as_many_pixels_as_a_byte_counts() {
        let facts = |kernel| {
            MaxPool2d { kernel, ..MaxPool2d::new(1) }.stride(1).facts(Shape([1, 255, 255]))
        };
        assert!(facts([15, 17]).is_ok());
        assert_eq!(facts([16, 16]), Err(Misfit::Taps { size: [16, 16] }));
        // The last place of the largest window.
        let mut pool = Bench::new(MaxPool2d { kernel: [1, 255], ..MaxPool2d::new(1) }, [1, 1, 255]);
        let mut x = [0; 255];
        x[254] = 1;
        for gated in [false, true] {
            pool.gated = gated;
            assert_eq!(pool.forward(&x, &[]), [1]);
            assert_eq!(pool.input_grad(&[9], &[])[253..], [0, 9]);
        }
    }
}
