//! The largest number of every window, channel by channel.
//!
//! Codes are compared, so they stay on their grid. The first of several largest ones wins, as in
//! PyTorch, and the gradient goes to it alone. Zeros around the picture never win.

use super::{Facts, Forward, InputGrad, Misfit, Operator, Output, Terms, facts, pool::pool};
use crate::{
    kernel::Kernel,
    tensor::{Mantissa, Patches, Shape, for_width},
    uses::Uses,
};

pool! {
    /// The largest number of every window. Pairs are vertical, then horizontal. Room around the picture
    /// never wins.
    MaxPool2d
}

impl MaxPool2d {
    /// As many pixels as windows. The place of every winner is a byte.
    pub const fn facts(self, from: Shape) -> Result<Facts, Misfit> {
        let size = [self.kernel[0] as u16, self.kernel[1] as u16];
        if size[0] * size[1] > u8::MAX as u16 {
            return Err(Misfit::Window { size });
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
        let Forward { from, x, rows, sums, memo, .. } = run;
        let Ok(facts) = self.facts(from) else { return };
        let channels = usize::from(from.0[0]);
        let windows = Patches::new(x, facts.windows, channels);
        let outputs = sums.chunks_exact_mut(channels.max(1));
        let winners = memo.chunks_exact_mut(channels.max(1));
        let places = windows.places(rows.start);
        for ((place, out), winners) in places.zip(outputs).zip(winners) {
            out.fill(i32::MIN);
            windows.under(place, |tap, pixel| {
                for_width!(Mantissas, x.part(pixel, channels), pixel => {
                    let places = out.iter_mut().zip(winners.iter_mut());
                    for ((best, winner), &value) in places.zip(pixel) {
                        if value.widen() > *best {
                            (*best, *winner) = (value.widen(), (tap as u8).cast_signed());
                        }
                    }
                });
            });
        }
    }

    #[inline(always)]
    fn input_grad<K: Kernel, U: Uses>(self, run: InputGrad<'_, K>) {
        let InputGrad { from, grad, first, sums, memo, .. } = run;
        let Ok(facts) = self.facts(from) else { return };
        let (channels, taps) = (usize::from(from.0[0]), facts.windows.taps());
        let windows = Patches::new(grad, facts.windows.turned(), channels);
        let places = windows.places(first / channels.max(1));
        for (place, out) in places.zip(sums.chunks_exact_mut(channels.max(1))) {
            out.fill(0);
            windows.under(place, |tap, window| {
                let tap = ((taps - 1 - tap) as u8).cast_signed();
                let winners = memo.get(window..).unwrap_or_default();
                for_width!(Mantissas, grad.part(window, channels), grad => {
                    for ((sum, &g), &winner) in out.iter_mut().zip(grad).zip(winners) {
                        *sum += if winner == tap { g.widen() } else { 0 };
                    }
                });
            });
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
    fn zeros_around_the_picture_never_win() {
        let pool = MaxPool2d::new(3).stride(1).padding(Padding::Same);
        let mut pool = Bench::new(pool, [1, 2, 2]);
        assert_eq!(pool.forward(&[-128, -2, -3, -4], &[]), [-2; 4]);
        assert_eq!(pool.input_grad(&[1, 2, 3, 4], &[]), [0, 10, 0, 0]);
    }

    #[test]
    fn a_window_has_as_many_pixels_as_a_byte_counts() {
        let facts = |kernel| {
            MaxPool2d { kernel, ..MaxPool2d::new(1) }.stride(1).facts(Shape([1, 255, 255]))
        };
        assert!(facts([15, 17]).is_ok());
        assert_eq!(facts([16, 16]), Err(Misfit::Window { size: [16, 16] }));
        // The last place of the largest window.
        let mut pool = Bench::new(MaxPool2d { kernel: [1, 255], ..MaxPool2d::new(1) }, [1, 1, 255]);
        let mut x = [0; 255];
        x[254] = 1;
        assert_eq!(pool.forward(&x, &[]), [1]);
        assert_eq!(pool.input_grad(&[9], &[])[253..], [0, 9]);
    }
}
