//! Mean zero and variance one in every channel, then a weight and a bias (Ioffe and Szegedy 2015).
//!
//! Per channel, all of that is `factor * x + offset`, and its way back `p * g + q * x + r`: what follows
//! from the sums over a channel is worked out once, by the trainer, and the loops here are over pixels.

use serde::{Deserialize, Serialize};

use super::{Facts, Forward, InputGrad, Misfit, Operator, Output, Scale, Terms};
use crate::{
    kernel::Kernel,
    tensor::{Mantissa, Mantissas, Shape, Windows, for_width},
    uses::{Part, Uses},
};

/// Normalises every channel over the pixels and samples in memory; inference, by running statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct BatchNorm {
    /// Running statistics move by two to minus this of what they differ from those in memory.
    pub momentum: u8,
    /// Two to minus this is added to variances.
    pub eps: u8,
    /// True when training, too, uses the running statistics, and leaves them as they are.
    pub frozen: bool,
}

impl BatchNorm {
    /// A momentum of an eighth, and 2^-17 added to variances, which is nearest to the 1e-5 of PyTorch.
    pub const fn new() -> Self {
        Self { momentum: 3, eps: 17, frozen: false }
    }

    /// With running statistics that are used in training and stay as they are.
    #[must_use]
    pub const fn frozen(self) -> Self {
        Self { frozen: true, ..self }
    }

    /// The shape stays; a weight and a bias a channel.
    pub const fn facts(self, from: Shape) -> Result<Facts, Misfit> {
        let [channels, ..] = from.0;
        if self.momentum > 15 || self.eps == 0 || self.eps > 24 {
            return Err(Misfit::Norm { shifts: [self.momentum, self.eps] });
        }
        Ok(Facts {
            shape: from,
            output: Output::Sums,
            weights: [channels as usize, 1],
            biases: channels as usize,
            terms: Terms { forward: 1, backward: 1 },
            windows: Windows::POINT,
            patch: 0,
            scale: Scale::Mean(1),
            memo: 0,
        })
    }
}

impl Default for BatchNorm {
    fn default() -> Self {
        Self::new()
    }
}

/// Numbers of 8 bits, or of any width where that is linked.
macro_rules! for_codes {
    ($uses:ty, $value:expr, $name:ident => $body:expr) => {
        match $value {
            Mantissas::I8($name) => $body,
            other if <$uses>::uses(Part::WideCodes) => for_width!(Mantissas, other, $name => $body),
            _ => {}
        }
    };
}

/// `factor * x` for every channel of every pixel.
#[inline(always)]
pub(crate) fn scale<A: Mantissa>(x: &[A], factors: &[i32], sums: &mut [i32]) {
    let width = factors.len().max(1);
    for (sums, x) in sums.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
        for ((sum, x), factor) in sums.iter_mut().zip(x).zip(factors) {
            *sum = x.widen().wrapping_mul(*factor);
        }
    }
}

/// `p * g + q * x + r` for every channel of every pixel.
#[inline(always)]
pub(crate) fn blend<A: Mantissa, B: Mantissa>(
    grad: &[A],
    x: &[B],
    [p, q, r]: [&[i32]; 3],
    sums: &mut [i32],
) {
    let width = p.len().max(1);
    let pixels = grad.chunks_exact(width).zip(x.chunks_exact(width));
    for (sums, (grad, x)) in sums.chunks_exact_mut(width).zip(pixels) {
        let factors = p.iter().zip(q).zip(r);
        for (((sum, g), x), ((p, q), r)) in sums.iter_mut().zip(grad).zip(x).zip(factors) {
            let grad = g.widen().wrapping_mul(*p);
            *sum = grad.wrapping_add(x.widen().wrapping_mul(*q)).wrapping_add(*r);
        }
    }
}

impl Operator for BatchNorm {
    /// The weight is one factor a channel. The offsets are added as a bias is.
    #[inline(always)]
    fn forward<K: Kernel, U: Uses>(self, run: Forward<'_, K>) {
        let Forward { x, weight, rows, sums, .. } = run;
        let Mantissas::I32(factors) = weight else { return };
        let x = x.part(rows.start * factors.len(), sums.len());
        for_codes!(U, x, x => scale(x, factors, sums));
    }

    /// The weight is three factors a channel: all `p`, all `q`, all `r`.
    #[inline(always)]
    fn input_grad<K: Kernel, U: Uses>(self, run: InputGrad<'_, K>) {
        let InputGrad { grad, x, weight, first, sums, .. } = run;
        let Mantissas::I32(factors) = weight else { return };
        let mut rows = factors.chunks_exact((factors.len() / 3).max(1));
        let factors = [(); 3].map(|()| rows.next().unwrap_or_default());
        let (grad, x) = (grad.part(first, sums.len()), x.part(first, sums.len()));
        for_codes!(U, grad, grad => for_codes!(U, x, x => blend(grad, x, factors, sums)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_channel_has_its_factors() {
        let mut sums = [7; 4];
        scale(&[1i8, 2, -3, 4], &[10, 100], &mut sums);
        assert_eq!(sums, [10, 200, -30, 400]);
        blend(&[1i8, 2, -3, 4], &[5i16, 6, 7, 8], [&[10, 100], &[1, -1], &[1000, 0]], &mut sums);
        assert_eq!(sums, [1015, 194, 977, 392]);
    }

    #[test]
    fn settings_out_of_reach_are_refused() {
        let from = Shape([3, 2, 2]);
        let facts = BatchNorm::new().facts(from).unwrap();
        assert_eq!((facts.weights, facts.biases, facts.shape), ([3, 1], 3, from));
        for norm in [
            BatchNorm { momentum: 16, ..BatchNorm::new() },
            BatchNorm { eps: 0, ..BatchNorm::new() },
            BatchNorm { eps: 25, ..BatchNorm::new() },
        ] {
            let shifts = [norm.momentum, norm.eps];
            assert_eq!(norm.facts(from), Err(Misfit::Norm { shifts }));
        }
    }
}
