//! Some of the channels of an output.
//!
//! Layers that read the other channels are further splits of the same output.

use serde::{Deserialize, Serialize};

use super::{Facts, Forward, InputGrad, Misfit, Operator, Output};
use crate::{kernel::Kernel, tensor::Shape, uses::Uses};

/// Some of the channels: codes stay what they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Split {
    /// The first channel.
    pub first: u16,
    /// How many.
    pub channels: u16,
}

impl Split {
    /// `channels` channels, of which `first` is the first.
    pub const fn new(first: u16, channels: u16) -> Self {
        Self { first, channels }
    }

    /// The same pixels.
    pub const fn facts(self, from: Shape) -> Result<Facts, Misfit> {
        let [all, height, width] = from.0;
        let Self { first, channels } = self;
        if channels == 0 {
            return Err(Misfit::Zero);
        }
        if first as u32 + channels as u32 > all as u32 {
            return Err(Misfit::Channels { first, channels });
        }
        let shape = Shape([channels, height, width]);
        Ok(Facts { shape, output: Output::Codes, ..Facts::in_place(from) })
    }
}

impl Operator for Split {
    #[inline(always)]
    fn forward<K: Kernel, U: Uses>(self, run: Forward<'_, K>) {
        let Forward { from, x, rows, sums, .. } = run;
        let (all, channels) = (usize::from(from.0[0]), usize::from(self.channels));
        for (row, sums) in rows.zip(sums.chunks_exact_mut(channels.max(1))) {
            x.part(row * all + usize::from(self.first), channels).widen_into(sums);
        }
    }

    #[inline(always)]
    fn input_grad<K: Kernel, U: Uses>(self, run: InputGrad<'_, K>) {
        let InputGrad { from, grad, first, sums, .. } = run;
        let (all, channels) = (usize::from(from.0[0]), usize::from(self.channels));
        let from = usize::from(self.first);
        sums.fill(0);
        for (row, sums) in (first / all.max(1)..).zip(sums.chunks_exact_mut(all.max(1))) {
            let mine = sums.get_mut(from..from + channels).unwrap_or_default();
            grad.part(row * channels, channels).widen_into(mine);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::testing::Bench;

    #[test]
    fn the_channels_in_the_middle_of_every_pixel() {
        let mut split = Bench::new(Split::new(1, 2), [4, 1, 2]);
        assert_eq!(split.facts.shape, Shape([2, 1, 2]));
        assert_eq!(split.forward(&[1, 2, 3, 4, 5, 6, 7, 8], &[]), [2, 3, 6, 7]);
        assert_eq!(split.input_grad(&[10, 20, 30, -40], &[]), [0, 10, 20, 0, 0, 30, -40, 0]);
    }

    #[test]
    fn channels_that_are_not_there_are_refused() {
        let from = Shape([4, 1, 2]);
        assert!(Split::new(3, 1).facts(from).is_ok());
        assert_eq!(Split::new(0, 0).facts(from), Err(Misfit::Zero));
        let beyond = Misfit::Channels { first: 3, channels: 2 };
        assert_eq!(Split::new(3, 2).facts(from), Err(beyond));
        assert!(Split::new(u16::MAX, u16::MAX).facts(from).is_err());
    }
}
