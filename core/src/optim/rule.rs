//! Which optimiser, and the steps that are not the velocity itself: Nesterov's and Lion's.

use serde::{Deserialize, Serialize};

use super::{Momentum, descend::Build};
use crate::tensor::MantissasMut;

/// What becomes of gradients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Optimizer {
    /// Stochastic gradient descent, with the momentum of the run if it has any: PyTorch's `SGD`.
    Sgd,
    /// The same with Nesterov's momentum: PyTorch's `nesterov=True`.
    Nesterov,
    /// Lion (Chen et al. 2023, algorithm 2): every weight moves by the learning rate, in the
    /// direction that velocity and gradient agree on. Equal factors make signSGD with momentum
    /// (Bernstein et al. 2018, algorithm 3).
    Lion {
        /// What the velocity weighs in the direction and in the next velocity, in units of 2^-15.
        /// The gradient weighs what is left of one.
        betas: [u16; 2],
    },
}

impl Optimizer {
    /// Lion with the factors of its paper, 0.9 and 0.99.
    pub const LION: Self = Self::Lion { betas: [29_491, 32_440] };

    /// False where the run must not have this momentum.
    pub(crate) const fn goes_with(self, momentum: u16) -> bool {
        match self {
            Self::Sgd => true,
            Self::Nesterov => momentum > 0,
            Self::Lion { betas: [a, b] } => momentum == 0 && (a | b) < 1 << 15,
        }
    }

    /// What the velocity is multiplied with, in a run with this momentum; zero is no velocity, but for
    /// Lion.
    pub(crate) const fn factor(self, momentum: u16) -> u16 {
        match self {
            Self::Sgd | Self::Nesterov => momentum,
            Self::Lion { betas: [_, factor] } => factor,
        }
    }

    /// The steps that follow.
    pub(crate) const fn rule(self) -> Rule {
        match self {
            Self::Sgd => Rule::Velocity,
            Self::Nesterov => Rule::Nesterov,
            Self::Lion { betas: [beta, _] } => Rule::Lion { beta: beta as i32 },
        }
    }
}

/// What moves the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The new velocity.
    Velocity,
    /// `g + momentum * v` with the new velocity.
    Nesterov,
    /// The sign of `beta * v + (1 - beta) * g` with the old velocity, which is a mean: gradients
    /// weigh what is left of one in the new one too.
    Lion {
        /// In units of 2^-15.
        beta: i32,
    },
}

/// One step of a piece by any rule: moves `velocity` on and leaves the step in `grad`. Gives the
/// largest magnitude of the new velocity, before saturation.
#[inline(always)]
pub(super) fn step<B: Build>(
    momentum: &Momentum,
    grad: &mut [i32],
    first: u32,
    velocity: MantissasMut<'_>,
) -> u32 {
    let mut piece = B::PIECE;
    let other = piece.as_mut().get_mut(..grad.len()).unwrap_or_default();
    match momentum.rule {
        Rule::Velocity => B::velocity::<false>(momentum, grad, first, velocity),
        Rule::Nesterov => {
            other.copy_from_slice(grad);
            let peak = B::velocity::<false>(momentum, other, first, velocity);
            // One more step from the new velocity on, which nobody keeps.
            let (old_exponent, key) = (momentum.new_exponent, momentum.key.child(1));
            let ahead = Momentum { old_exponent, key, ..*momentum };
            B::velocity::<false>(&ahead, grad, first, MantissasMut::I32(other));
            peak
        }
        Rule::Lion { beta } => {
            velocity.as_ref().widen_into(other);
            for (v, &g) in other.iter_mut().zip(&*grad) {
                *v = momentum.direction(beta, *v, g);
            }
            let peak = B::velocity::<true>(momentum, grad, first, velocity);
            grad.copy_from_slice(other);
            peak
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::{
        optim::descend::{Compact, Wide},
        quant::{Format, Overflow, Round, requantize},
        rng::Key,
    };

    const STEP: Momentum = Momentum {
        rule: Rule::Nesterov,
        factor: 1 << 14,
        old_exponent: 0,
        grad_exponent: 0,
        new_exponent: 0,
        round: Round::RndConv,
        key: Key::new(0),
    };

    #[test]
    fn nesterov_looks_one_step_ahead_of_its_velocity() {
        let (mut velocity, mut grad) = ([40i16, -7, 0], [10, 0, 3]);
        let peak = step::<Wide>(&STEP, &mut grad, 0, MantissasMut::I16(&mut velocity));
        // v = v / 2 + g, ties to even, and d = g + v / 2.
        assert_eq!((velocity, grad, peak), ([30, -4, 3], [25, -2, 4], 30));
    }

    #[test]
    fn lion_goes_where_velocity_and_gradient_agree_and_keeps_their_mean() {
        let lion = Momentum { rule: Rule::Lion { beta: 3 << 13 }, ..STEP };
        let (mut velocity, mut grad) = ([40i8, 10, -4, 0, -1], [10, -30, 12, 0, 0]);
        step::<Compact<true>>(&lion, &mut grad, 0, MantissasMut::I8(&mut velocity));
        // The sign of 3 v / 4 + g / 4, and v / 2 + g / 2.
        assert_eq!((velocity, grad), ([25, -10, 4, 0, 0], [1, 0, 0, 0, -1]));
    }

    #[test]
    fn the_smaller_unit_decides_where_the_larger_one_is_silent() {
        let lion = Momentum { rule: Rule::Lion { beta: 1 << 14 }, ..STEP };
        for (old_exponent, grad_exponent) in [(-200, 200), (0, 0), (200, -200)] {
            let far = Momentum { old_exponent, grad_exponent, ..lion };
            let signs =
                [(1, -2), (0, -1), (3, 0), (0, 0)].map(|(v, g)| far.direction(1 << 14, v, g));
            let first = if old_exponent > grad_exponent { 1 } else { -1 };
            assert_eq!(signs, [first, -1, 1, 0], "{old_exponent}");
        }
    }

    proptest! {
        #[test]
        fn rules_equal_their_definitions(
            (factor, beta) in (0..1i32 << 15, 0..1i32 << 15),
            (old_exponent, grad_exponent, new_exponent) in (-12i16..12, -12i16..12, -12i16..12),
            values in proptest::collection::vec((any::<i16>(), any::<i32>(), 0..17u32), 1..32),
            (seed, first) in (any::<u64>(), any::<u32>()),
            round in 0..Round::ALL.len(),
        ) {
            let (round, key) = (Round::ALL[round], Key::new(seed));
            let grads: Vec<i32> = values.iter().map(|&(_, g, drop)| g >> drop).collect();
            let old: Vec<i16> = values.iter().map(|&(v, ..)| v).collect();
            // In units of 2^-40, where all is exact and sums end below the limits of `scale`.
            let units = |value: i128, exponent: i16| value << (exponent + 40);
            let code = |sum: i128, unit: i16, bits: u8, key: Key, i: u32| {
                // Beyond 2^61 all saturates.
                let value = (sum >> (unit + 40 - 15)).clamp(-1 << 61, 1 << 61) as i64;
                requantize(value, 15, Format { bits, round, overflow: Overflow::SatSym }, key.half(i)).value
            };
            let down = |term: i128, unit: i16| term >> (unit + 40 - 15) << (unit + 40 - 15);
            for rule in [Rule::Nesterov, Rule::Lion { beta }] {
                let step = Momentum {
                    rule, factor, old_exponent, grad_exponent, new_exponent, round, key,
                };
                let (mut wide, mut compact) = (old.clone(), old.clone());
                let (mut steps, mut others) = (grads.clone(), grads.clone());
                let peak = super::step::<Wide>(&step, &mut steps, first, MantissasMut::I16(&mut wide));
                let velocity = MantissasMut::I16(&mut compact);
                prop_assert_eq!(super::step::<Compact<true>>(&step, &mut others, first, velocity), peak);
                prop_assert_eq!((&wide, &steps), (&compact, &others));
                let share = match rule {
                    Rule::Lion { .. } => (1 << 15) - factor,
                    _ => 1 << 15,
                };
                for (i, (&v, &g)) in old.iter().zip(&grads).enumerate() {
                    let element = first.wrapping_add(i as u32);
                    let term = |factor: i32, of: i32, exponent: i16| {
                        units(i128::from(factor) * i128::from(of), exponent - 15)
                    };
                    let sum = down(term(factor, v.into(), old_exponent), new_exponent)
                        + down(term(share, g, grad_exponent), new_exponent);
                    let new = code(sum, new_exponent, 16, key, element);
                    prop_assert_eq!(i32::from(wide[i]), new);
                    let expected = match rule {
                        Rule::Lion { beta } => {
                            let sum = term(beta, v.into(), old_exponent)
                                + term((1 << 15) - beta, g, grad_exponent);
                            sum.signum() as i32
                        }
                        _ => {
                            let sum = down(term(factor, new, new_exponent), new_exponent)
                                + down(term(share, g, grad_exponent), new_exponent);
                            code(sum, new_exponent, 31, key.child(1), element)
                        }
                    };
                    prop_assert_eq!(steps[i], expected);
                }
            }
        }
    }
}
