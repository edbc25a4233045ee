//! From summed gradients to moved weights, a piece at a time, so that no gradient array exists.

use super::{Momentum, Rule, Update, block, rule};
use crate::{
    quant::{Counts, Quantizer, compact::pairs_or_one, loops::Loops},
    tensor::{MantissasMut, for_width},
};

/// Quantises the gradient of a parameter, blocks it where the weight was clipped, and updates.
#[derive(Clone, Copy, Debug)]
pub struct Descend {
    /// The weight gradient's point, whose codes have at most 16 bits.
    pub quantizer: Quantizer,
    /// True where the gradient comes from there already, with what hooks made of it.
    pub quantized: bool,
    /// Momentum, if any.
    pub momentum: Option<Momentum>,
    /// The update itself.
    pub update: Update,
}

/// What [`Descend::run`] saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Descent {
    /// At the gradient's point.
    pub counts: Counts,
    /// Largest magnitude of the new velocity in its units.
    pub velocity_peak: u32,
}

impl core::ops::AddAssign for Descent {
    fn add_assign(&mut self, other: Self) {
        self.counts += other.counts;
        self.velocity_peak = self.velocity_peak.max(other.velocity_peak);
    }
}

/// How the stages are compiled. The stages, and with them the numbers, are the same.
pub(super) trait Build {
    /// A buffer for gradients between two stages.
    type Piece: AsMut<[i32]>;
    /// An empty one.
    const PIECE: Self::Piece;
    /// [`Quantizer::in_place`].
    fn quantize(quantizer: &Quantizer, values: &mut [i32], first: u32) -> Counts;
    /// Whether there may be another rule than [`Rule::Velocity`].
    const RULES: bool;
    /// [`Momentum::run`].
    fn velocity<const MEAN: bool>(
        m: &Momentum,
        grad: &mut [i32],
        first: u32,
        velocity: MantissasMut<'_>,
    ) -> u32;
}

/// Inlined where it is called, and once for every storage, for the wide registers there.
pub(super) struct Wide;

impl Build for Wide {
    type Piece = [i32; 256];
    const PIECE: Self::Piece = [0; 256];
    #[inline(always)]
    fn quantize(quantizer: &Quantizer, values: &mut [i32], first: u32) -> Counts {
        quantizer.in_place(values, first)
    }
    const RULES: bool = true;
    #[inline(always)]
    fn velocity<const MEAN: bool>(
        m: &Momentum,
        grad: &mut [i32],
        first: u32,
        velocity: MantissasMut<'_>,
    ) -> u32 {
        for_width!(MantissasMut, velocity, v => m.run::<_, MEAN>(grad, first, v))
    }
}

/// As little code and stack as possible.
pub(super) struct Compact<const RULES: bool = false>;

impl<const RULES: bool> Build for Compact<RULES> {
    type Piece = [i32; 32];
    const PIECE: Self::Piece = [0; 32];
    fn quantize(quantizer: &Quantizer, values: &mut [i32], first: u32) -> Counts {
        quantizer.in_place_compact(values, first)
    }
    const RULES: bool = RULES;
    fn velocity<const MEAN: bool>(
        m: &Momentum,
        grad: &mut [i32],
        first: u32,
        velocity: MantissasMut<'_>,
    ) -> u32 {
        m.run_compact::<MEAN>(grad, first, velocity)
    }
}

impl Descend {
    /// `grad`, `velocity` and `master` begin at element `first` of the tensor; `pass` is the mask
    /// of the whole tensor, empty when every gradient passes.
    #[inline(always)]
    pub fn run(
        &self,
        grad: &[i32],
        first: u32,
        pass: &[u8],
        velocity: MantissasMut<'_>,
        master: MantissasMut<'_>,
    ) -> Descent {
        self.stages::<Wide, false>(grad, first, pass, velocity, master)
    }

    /// As [`run`](Self::run), for cores without vectors. Inlined down to a choice, so that whoever
    /// knows that there are neither momentum, decay nor hooks links the shorter way only.
    #[inline(always)]
    pub(crate) fn run_compact<L: Loops>(
        &self,
        grad: &[i32],
        first: u32,
        pass: &[u8],
        velocity: MantissasMut<'_>,
        master: MantissasMut<'_>,
    ) -> Descent {
        if self.is_plain() {
            self.plain::<L>(grad, first, pass, master)
        } else {
            self.not_plain(grad, first, pass, velocity, master)
        }
    }

    /// As [`run`](Self::run), one weight after the other: the least code. Inlined as
    /// [`run_compact`](Self::run_compact).
    #[inline(always)]
    pub(crate) fn run_single(
        &self,
        grad: &[i32],
        first: u32,
        pass: &[u8],
        velocity: MantissasMut<'_>,
        master: MantissasMut<'_>,
    ) -> Descent {
        if self.is_plain() {
            Descent { counts: self.singly(grad, first, pass, master), velocity_peak: 0 }
        } else {
            self.not_plain(grad, first, pass, velocity, master)
        }
    }

    /// Inlined for the same reason: who knows the rule of the steps does not link others.
    #[inline(always)]
    fn not_plain(
        &self,
        grad: &[i32],
        first: u32,
        pass: &[u8],
        velocity: MantissasMut<'_>,
        master: MantissasMut<'_>,
    ) -> Descent {
        match self.momentum {
            None | Some(Momentum { rule: Rule::Velocity, .. }) => {
                self.full::<Compact>(grad, first, pass, velocity, master)
            }
            Some(_) => self.full::<Compact<true>>(grad, first, pass, velocity, master),
        }
    }

    /// Without momentum and decay, for gradients that are still sums.
    #[inline(never)]
    fn singly(
        &self,
        grad: &[i32],
        first: u32,
        pass: &[u8],
        mut master: MantissasMut<'_>,
    ) -> Counts {
        let (mut counts, mut unseen) = (Counts::default(), Counts::default());
        let steps = self.update.quantizer();
        for (i, &sum) in grad.iter().enumerate() {
            let element = first.wrapping_add(i as u32);
            let code = self.quantizer.one(sum, element, &mut counts);
            let mask = pass.get(element as usize / 8).copied().unwrap_or(0xff);
            if mask >> (element % 8) & 1 == 1 {
                // A point makes codes of at most 16 bits.
                let step = steps.one(code * self.update.lr, element, &mut unseen);
                master.set(i, master.as_ref().get(i).saturating_sub(step));
            }
        }
        counts
    }

    /// Without momentum and decay, for gradients that are still sums.
    #[inline(always)]
    const fn is_plain(&self) -> bool {
        self.momentum.is_none() && self.update.decay == 0 && !self.quantized
    }

    /// Without momentum and decay, for gradients that are still sums.
    #[inline(never)]
    fn plain<L: Loops>(
        &self,
        grad: &[i32],
        first: u32,
        pass: &[u8],
        mut master: MantissasMut<'_>,
    ) -> Descent {
        let mut seen = Descent::default();
        let mut from = 0;
        while from < grad.len() {
            let at = first.wrapping_add(from as u32);
            let len = pairs_or_one(at, grad.len() - from);
            let grad = grad.get(from..from + len).unwrap_or_default();
            let mut master = master.part(from, len);
            let quick = match (pass, &mut master) {
                ([], MantissasMut::I8(master)) => self.quick::<L, _>(grad, at, master),
                ([], MantissasMut::I16(master)) => self.quick::<L, _>(grad, at, master),
                _ => None,
            };
            seen += quick.unwrap_or_else(|| {
                self.stages::<Compact, true>(grad, at, pass, MantissasMut::I8(&mut []), master)
            });
            from += len;
        }
        seen
    }

    #[inline(never)]
    fn full<B: Build>(
        &self,
        grad: &[i32],
        first: u32,
        pass: &[u8],
        velocity: MantissasMut<'_>,
        master: MantissasMut<'_>,
    ) -> Descent {
        self.stages::<B, false>(grad, first, pass, velocity, master)
    }

    /// `PLAIN` is without momentum and decay, for gradients that are still sums.
    #[inline(always)]
    fn stages<B: Build, const PLAIN: bool>(
        &self,
        grad: &[i32],
        first: u32,
        pass: &[u8],
        mut velocity: MantissasMut<'_>,
        mut master: MantissasMut<'_>,
    ) -> Descent {
        let mut piece = B::PIECE;
        let piece = piece.as_mut();
        let size = piece.len().max(1);
        let mut seen = Descent::default();
        for (i, sums) in grad.chunks(size).enumerate() {
            let piece = piece.get_mut(..sums.len()).unwrap_or_default();
            let from = i * size;
            let at = first.wrapping_add(from as u32);
            piece.copy_from_slice(sums);
            if PLAIN || !self.quantized {
                seen.counts += B::quantize(&self.quantizer, piece, at);
            }
            if !pass.is_empty() {
                block(piece, at, pass);
            }
            if !PLAIN && let Some(momentum) = &self.momentum {
                let velocity = velocity.part(from, sums.len());
                let peak = if B::RULES {
                    rule::step::<B>(momentum, piece, at, velocity)
                } else {
                    B::velocity::<false>(momentum, piece, at, velocity)
                };
                seen.velocity_peak = seen.velocity_peak.max(peak);
            }
            self.update.run::<B, PLAIN>(piece, at, master.part(from, sums.len()));
        }
        seen
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use std::vec::Vec;

    use super::*;
    use crate::{
        quant::{Format, Overflow, Round, loops::Plain},
        rng::Key,
    };

    /// Stochastic rounding has loops of its own.
    fn any_round() -> impl Strategy<Value = Round> {
        prop_oneof![3 => Just(Round::Stochastic), 1 => (0..9usize).prop_map(|i| Round::ALL[i])]
    }

    proptest! {
        #[test]
        fn compact_stages_equal_wide_ones(
            grad in proptest::collection::vec(-70_000i32..70_000, 1..150),
            fine in 0u32..14,
            first in 0u32..10,
            shifts in (0i32..20, 0i32..30),
            (lr, bits) in (0i32..1 << 15, 2u8..17),
            rounds in (any_round(), any_round()),
            saturates: bool,
            seed: u64,
        ) {
            let grad: Vec<i32> = grad.into_iter().map(|v| v >> fine).collect();
            let (grad_round, round) = rounds;
            let overflow = if saturates { Overflow::Sat } else { Overflow::SatSym };
            let (shift, format) = (shifts.0, Format { bits, round: grad_round, overflow });
            let key = Key::new(seed);
            let descend = Descend {
                quantizer: Quantizer { shift, format, key, peak: u32::MAX },
                quantized: false,
                momentum: None,
                update: Update {
                    lr, shift: shifts.1, decay: 0, decay_shift: 0, round, key: key.child(1),
                },
            };
            let weight = |i: usize| key.child(2).word(i as u32) as i32;
            macro_rules! both {
                ($width:ident, $type:ty) => {
                    let start: Vec<$type> = (0..grad.len()).map(|i| weight(i) as $type).collect();
                    let (mut wide, mut compact) = (start.clone(), start.clone());
                    let none = || MantissasMut::I8(&mut []);
                    let seen =
                        descend.run(&grad, first, &[], none(), MantissasMut::$width(&mut wide));
                    let master = MantissasMut::$width(&mut compact);
                    prop_assert_eq!(descend.run_compact::<Plain>(&grad, first, &[], none(), master), seen);
                    prop_assert_eq!(&compact, &wide);
                    let mut single = start.clone();
                    let master = MantissasMut::$width(&mut single);
                    prop_assert_eq!(descend.run_single(&grad, first, &[], none(), master), seen);
                    prop_assert_eq!(&single, &wide);
                };
            }
            both!(I8, i8);
            both!(I16, i16);
            both!(I32, i32);
        }
    }

    #[test]
    fn clipped_weights_stay_and_others_move() {
        let key = Key::new(0);
        let format = Format { bits: 8, round: Round::Rnd, overflow: Overflow::Sat };
        let descend = Descend {
            quantizer: Quantizer { shift: 2, format, key, peak: u32::MAX },
            quantized: false,
            momentum: None,
            update: Update { lr: 1, shift: 0, decay: 0, decay_shift: 0, round: Round::Rnd, key },
        };
        let mut master = [0i16; 3];
        // Element 8 is blocked; the tile starts at 7.
        let seen = descend.run(
            &[40, 40, 4000],
            7,
            &[0xff, 0b1111_1110],
            MantissasMut::I8(&mut []),
            MantissasMut::I16(&mut master),
        );
        assert_eq!(master, [-10, 0, -127]);
        assert_eq!(seen.counts, Counts { saturated: 1, underflowed: 0 });
    }
}
