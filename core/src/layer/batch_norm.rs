//! Mean zero and variance one in every channel, then a weight and a bias (Ioffe and Szegedy 2015).
//!
//! Per channel, all of that is `factor * x + offset`, and its way back `p * g + q * x + r`: what follows
//! from the sums over a channel is worked out once, by the trainer, and the loops here are over pixels.

use serde::{Deserialize, Serialize};

use super::{Facts, Forward, InputGrad, Misfit, Operator, Output, Scale, Terms};
use crate::{
    kernel::{ChannelWork, Kernel, Work},
    tensor::{Mantissas, Shape, Windows},
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
            steps: 0,
        })
    }
}

impl Default for BatchNorm {
    fn default() -> Self {
        Self::new()
    }
}

/// Codes of 8 bits are said to be such again, so that the compiler sees no others where none are linked.
macro_rules! for_codes {
    ($uses:ty, $codes:ident => $body:expr) => {
        match $codes {
            Mantissas::I8(codes) => {
                let $codes = Mantissas::I8(codes);
                $body
            }
            $codes if <$uses>::uses(Part::WideCodes) => $body,
            _ => {}
        }
    };
}

impl Operator for BatchNorm {
    /// The weight is one factor a channel. The offsets are added as a bias is.
    #[inline(always)]
    fn forward<K: Kernel, U: Uses>(self, run: Forward<'_, K>) {
        let Forward { kernel, x, weight, rows, sums, .. } = run;
        let Mantissas::I32(factors) = weight else { return };
        let x = x.part(rows.start * factors.len(), sums.len());
        for_codes!(U, x => kernel.channels(ChannelWork(Work::Scale { x, factors, sums })));
    }

    /// The weight is three factors a channel: all `p`, all `q`, all `r`.
    #[inline(always)]
    fn input_grad<K: Kernel, U: Uses>(self, run: InputGrad<'_, K>) {
        let InputGrad { kernel, grad, x, weight, first, sums, .. } = run;
        let Mantissas::I32(factors) = weight else { return };
        let mut rows = factors.chunks_exact((factors.len() / 3).max(1));
        let factors = [(); 3].map(|()| rows.next().unwrap_or_default());
        let (grad, x) = (grad.part(first, sums.len()), x.part(first, sums.len()));
        for_codes!(U, grad => for_codes!(U, x => {
            kernel.channels(ChannelWork(Work::Blend { grad, x, factors, sums }));
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
