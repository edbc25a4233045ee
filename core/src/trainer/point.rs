//! One tensor on its way through a point: pre hooks, quantise, post hooks.

use super::mask::Mask;
use crate::{
    kernel::Kernel,
    quant::{
        Counts, Format, Observe, Overflow, Quant, Quantizer, Range, Round, bits_for, bound_of,
        exponent_of, requantize, sweep,
    },
    rng::Key,
    strategy::{Context, Place, Strategy, Tile},
    tensor::{Mantissas, MantissasMut, Source},
    uses::{Part, Uses},
};

/// Fraction bits of codes in the hands of a post hook. Where it leaves values between the codes,
/// as many are stored as 16 bits have room for, with one bit more for growth.
const GUARD: u8 = 7;
/// Codes in the hands of a post hook at a time.
pub(crate) const PIECE: usize = 64;

/// A tensor in one pass through its point. Tiles may come in any order.
pub(crate) struct Pass<'e, U: Uses> {
    pub(super) quant: &'e Quant,
    /// Random numbers of the quantiser.
    pub(super) key: Key,
    /// Exponent of the sums as the pre hooks leave them.
    pub(super) exponent: i16,
    /// The bound where nothing is known.
    pub(super) guess: i16,
    /// The bound that the tensor had.
    pub(super) previous: Option<i16>,
    bound: Option<i16>,
    observer: U::Observer,
    /// No magnitude is larger in what was looked at last, if it comes next.
    peak: u32,
    counts: Counts,
    elements: usize,
    hooks: Option<Hooks>,
}

/// What the hooks of a pass need to know.
pub(super) struct Hooks {
    pub(super) place: Place,
    pub(super) context: Context,
    /// Exponent of the sums as they come.
    pub(super) source: i16,
    /// True when they leave values between the codes.
    pub(super) off_grid: bool,
}

/// What is known of the mantissas that come to a point before anything looks at them.
#[derive(Clone, Copy)]
pub(crate) struct Sums {
    /// Exponent of their unit.
    pub(crate) exponent: i16,
    /// Magnitudes stay at or below `2^bits`.
    pub(crate) bits: u8,
    /// Octaves by which the largest magnitude is likely to stay below that. In the first step, a
    /// rule that looks back has nothing better.
    pub(crate) slack: u8,
}

impl Sums {
    /// Octaves that a sum of `terms` products of either sign is likely to stay below its bound:
    /// it grows with the square root of their number.
    pub(crate) const fn slack_of(terms: usize) -> u8 {
        match bits_for(terms as u32) {
            Some(octaves) => octaves / 2,
            None => 0,
        }
    }
}

/// The exponent of a product on a finer or coarser grid: the sum of the exponents.
#[inline(never)]
pub(crate) fn grid(a: i16, b: i16, c: i16) -> i16 {
    let sum = i32::from(a) + i32::from(b) + i32::from(c);
    sum.clamp(i16::MIN.into(), i16::MAX.into()) as i16
}

/// What is left when all tiles have passed.
pub(crate) struct Passed {
    pub(super) bound: i16,
    /// The bound that a rule which looks would have.
    pub(super) seen: Option<i16>,
    pub(super) counts: Counts,
    pub(super) elements: usize,
    /// Exponent of what was stored.
    pub(crate) exponent: i16,
    /// Magnitudes stay at or below two to this power.
    pub(crate) limit: i16,
}

impl Passed {
    /// What was quantised long ago: `bits` bits in units of two to `exponent`.
    pub(super) const fn before(exponent: i16, bits: u8) -> Self {
        let bound = exponent.saturating_add(bits as i16 - 1);
        let counts = Counts { saturated: 0, underflowed: 0 };
        Self { bound, seen: None, counts, elements: 0, exponent, limit: bound }
    }

    pub(crate) const fn clipped(&self) -> bool {
        self.counts.saturated > 0
    }
}

impl<'e, U: Uses> Pass<'e, U> {
    /// A pass of a tensor with rows of `row` elements.
    pub(super) fn new(
        quant: &'e Quant,
        key: Key,
        sums: Sums,
        row: usize,
        previous: Option<i16>,
        hooks: Option<Hooks>,
    ) -> Self {
        let Sums { exponent, bits, slack } = sums;
        Self {
            quant,
            key,
            exponent,
            guess: exponent.saturating_add(i16::from(bits.saturating_sub(slack))),
            previous,
            bound: None,
            observer: U::Observer::start(quant.range, bits.into(), row),
            peak: u32::MAX,
            counts: Counts::default(),
            elements: 0,
            hooks,
        }
    }

    /// True when the rule must see the whole tensor in one tile, or by [`look`](Self::look).
    pub(crate) fn is_whole(&self) -> bool {
        U::uses(Part::WholeTensor) && self.quant.range.needs_whole_tensor()
    }

    /// True when strategies work on the tensor.
    pub(crate) fn has_hooks(&self) -> bool {
        self.hooks().is_some()
    }

    fn hooks(&self) -> Option<&Hooks> {
        self.hooks.as_ref().filter(|_| U::uses(Part::Strategies))
    }

    /// Fraction bits of what is stored.
    fn guard(&self) -> u8 {
        match self.hooks() {
            Some(hooks) if hooks.off_grid => 15u8.saturating_sub(self.quant.bits).min(GUARD),
            _ => 0,
        }
    }

    /// True when numbers need not be sums in memory on their way through: neither hooks nor the
    /// trials of a range rule want them there.
    pub(crate) fn is_direct(&self) -> bool {
        !self.has_hooks() && !self.sweeps()
    }

    fn sweeps(&self) -> bool {
        U::uses(Part::Sweep) && self.quant.range == Range::Sweep
    }

    fn unit(&self) -> i16 {
        let bound = match self.quant.range {
            // Also before the first tile, so that every tile's hooks see the same unit.
            Range::Fixed(bound) => bound,
            _ => self.bound.or(self.previous).unwrap_or(self.guess),
        };
        exponent_of(bound, self.quant.bits)
    }

    /// Pre hooks.
    pub(crate) fn before<S: Strategy>(&mut self, strategy: &mut S, sums: &mut [i32], first: u32) {
        self.peak = u32::MAX;
        let Some(Hooks { place, context, source, .. }) = self.hooks() else { return };
        let mut tile = Tile { values: sums, exponent: *source, first, unit: self.unit() };
        match place {
            Place::Weight => strategy.pre_weight(context, &mut tile),
            Place::WeightGrad => strategy.pre_weight_grad(context, &mut tile),
            Place::Activation => strategy.pre_activation(context, &mut tile),
            Place::ActivationGrad => strategy.pre_activation_grad(context, &mut tile),
        }
        self.exponent = tile.exponent;
    }

    /// Shows the range rule a part of the tensor.
    pub(crate) fn look<K: Kernel>(&mut self, kernel: &K, source: Source<'_>) {
        if !self.quant.range.observes() {
            return;
        }
        if self.observer.needs_only_peak() {
            let peak = kernel.peak_beyond(source, self.observer.peak());
            self.observer.note_peak(peak, source.len());
            // As far as kernels look: the next power of two.
            let bits = bits_for(peak).unwrap_or(0);
            self.peak = 1u32.checked_shl(bits.into()).unwrap_or(u32::MAX);
        } else {
            source.widened(|_, values| self.observer.note(values));
        }
    }

    /// Decides the bound. `whole` is the tensor itself, for rules that try codes on it.
    pub(crate) fn settle(&mut self, whole: &[i32]) -> i16 {
        if let Some(bound) = self.bound {
            return bound;
        }
        let mut seen = self.observer.bound(self.exponent);
        if self.sweeps()
            && let Some(bound) = seen
        {
            seen = Some(sweep(whole, self.exponent, bound, self.quant.format()));
        }
        self.resolve(seen)
    }

    fn resolve(&mut self, seen: Option<i16>) -> i16 {
        let bound = self.quant.range.resolve(seen, self.bound.or(self.previous), self.guess);
        self.bound = Some(bound);
        bound
    }

    /// Decides the bound from outside; `None` leaves it to the state.
    pub(crate) fn settle_at(&mut self, seen: Option<i16>) -> i16 {
        let fixed = matches!(self.quant.range, Range::Fixed(_)) && self.bound.is_none();
        match seen {
            Some(bound) if !fixed => {
                self.bound = seen;
                bound
            }
            _ => self.resolve(None),
        }
    }

    /// Decides the bound by the unit of the codes.
    pub(crate) fn settle_to(&mut self, exponent: i16) {
        self.bound = Some(bound_of(exponent, self.quant.bits));
    }

    /// The quantiser, once the bound is settled.
    pub(crate) fn quantizer(&self) -> Quantizer {
        let shift = i32::from(self.unit()) - i32::from(self.exponent);
        Quantizer { shift, format: self.quant.format(), key: self.key, peak: self.peak }
    }

    /// Counts what happened in a tile that the caller quantised.
    pub(crate) fn count(&mut self, counts: Counts, elements: usize) {
        self.counts += counts;
        self.elements += elements;
    }

    /// Exponent of what is stored.
    pub(crate) fn stored_exponent(&self) -> i16 {
        self.unit().saturating_sub(self.guard().into())
    }

    fn stored_bits(&self) -> u8 {
        if self.guard() > 0 { 16 } else { self.quant.bits }
    }

    /// Codes of a tile into `codes`, which begins where the tile does.
    pub(crate) fn emit<K: Kernel, S: Strategy>(
        &mut self,
        kernel: &K,
        strategy: &mut S,
        source: Source<'_>,
        first: u32,
        mut codes: MantissasMut<'_>,
        mask: Mask<'_>,
    ) {
        let quantizer = self.quantizer();
        debug_assert!(kernel.peak(source) <= quantizer.peak, "it was looked at, or nothing was");
        let counts = if self.has_hooks() {
            let mut counts = Counts::default();
            source.widened(|from, sums| {
                for (i, part) in sums.chunks(PIECE).enumerate() {
                    let mut piece = [0i32; PIECE];
                    let piece = piece.get_mut(..part.len()).unwrap_or_default();
                    let from = from + i * PIECE;
                    let at = first.wrapping_add(from as u32);
                    let codes_of = MantissasMut::I32(&mut *piece);
                    counts += kernel.quantize(&quantizer, part.into(), at, codes_of);
                    let exponent = self.after(strategy, piece, at);
                    self.store(piece, exponent, codes.part(from, part.len()));
                }
            });
            counts
        } else {
            kernel.quantize(&quantizer, source, first, codes)
        };
        if U::uses(Part::Clipping) && counts.saturated > 0 && !mask.bits.is_empty() {
            mask.clear_clipped(kernel, &quantizer, source, first);
        }
        self.count(counts, source.len());
    }

    /// Post hooks on codes that become values with guard bits. Returns their exponent.
    pub(crate) fn after<S: Strategy>(
        &self,
        strategy: &mut S,
        codes: &mut [i32],
        first: u32,
    ) -> i16 {
        let unit = self.unit();
        let Some(Hooks { place, context, .. }) = self.hooks() else { return unit };
        // Codes have at most 16 bits, so there is room for the guard and for what a hook adds.
        codes.iter_mut().for_each(|code| *code <<= GUARD);
        let exponent = unit.saturating_sub(GUARD.into());
        let mut tile = Tile { values: codes, exponent, first, unit };
        match place {
            Place::Weight => strategy.post_weight(context, &mut tile),
            Place::WeightGrad => strategy.post_weight_grad(context, &mut tile),
            Place::Activation => strategy.post_activation(context, &mut tile),
            Place::ActivationGrad => strategy.post_activation_grad(context, &mut tile),
        }
        tile.exponent
    }

    /// Cuts what [`after`](Self::after) left into runs of codes and runs of values between them,
    /// each with its exponent. A code goes on as it came: rounding rules that draw from the bits
    /// they drop must not tell a hook that did nothing from no hook.
    pub(crate) fn runs<'v>(
        &self,
        values: &'v mut [i32],
        exponent: i16,
    ) -> impl Iterator<Item = (&'v mut [i32], i16)> {
        let unit = self.unit();
        let guarded = exponent == unit.saturating_sub(GUARD.into());
        let is_code = move |value: &i32| guarded && value.trailing_zeros() >= GUARD.into();
        let mut rest = values;
        core::iter::from_fn(move || {
            let code = is_code(rest.first()?);
            let len = rest.iter().take_while(|value| is_code(value) == code).count();
            let (run, after) = core::mem::take(&mut rest).split_at_mut_checked(len)?;
            rest = after;
            if !code {
                return Some((run, exponent));
            }
            run.iter_mut().for_each(|value| *value >>= GUARD);
            Some((run, unit))
        })
    }

    /// Back to the grid, or to the finer one where values may lie between the codes.
    fn store(&self, values: &mut [i32], exponent: i16, mut codes: MantissasMut<'_>) {
        let format =
            Format { bits: self.stored_bits(), round: Round::RndConv, overflow: Overflow::Sat };
        let shift = i32::from(self.stored_exponent()) - i32::from(exponent);
        for value in values.iter_mut() {
            *value = requantize(i64::from(*value), shift, format, 0).value;
        }
        codes.store(values);
    }

    /// Ends the pass.
    pub(crate) fn finish(&mut self) -> Passed {
        let bound = self.settle(&[]);
        let exponent = self.stored_exponent();
        let limit = exponent.saturating_add(i16::from(self.stored_bits()) - 1);
        let seen = self.observer.bound(self.exponent);
        let Self { counts, elements, .. } = *self;
        Passed { bound, seen, counts, elements, exponent, limit }
    }
}

/// Copies codes, widened, as sums of the same exponent.
pub(crate) fn widen(codes: Mantissas<'_>, sums: &mut [i32]) {
    codes.widen_into(sums);
}

#[cfg(test)]
mod tests {
    use std::{vec, vec::Vec};

    use super::*;
    use crate::{
        kernel::Scalar,
        optim::Lr,
        strategy::{Amount, Configured, LayerSet, Noise, StrategyConfig, StrategyKind},
        uses::Everything,
    };

    fn noise(place: Place, post: Amount) -> StrategyConfig {
        let noise = Noise { pre: Amount::None, post, requantize: true };
        StrategyConfig { layers: LayerSet::ALL, kind: StrategyKind::Noise(place, noise) }
    }

    const QUANT: Quant = Quant::new(8).range(Range::Fixed(0));

    fn pass(place: Place, off_grid: bool) -> Pass<'static, Everything> {
        let key = Key::new(4);
        let context = Context { step: 0, lr: Lr::ZERO, layer: 0, bias: false, key };
        let hooks = Hooks { place, context, source: -7, off_grid };
        let sums = Sums { exponent: -7, bits: 7, slack: 0 };
        Pass::new(&QUANT, key, sums, 1, None, Some(hooks))
    }

    #[test]
    fn post_noise_leaves_the_mean_of_codes_alone() {
        let noise = [noise(Place::Activation, Amount::UniformSteps { low: -300, high: 300 })];
        let sums = [20i32; 8192];
        for off_grid in [false, true] {
            let mut codes = [0i16; 8192];
            let mut pass = pass(Place::Activation, off_grid);
            let mask = Mask { bits: &mut [], first: 0 };
            pass.settle(&[]);
            let strategy = &mut Configured(&noise);
            pass.emit(
                &Scalar,
                strategy,
                Source::I32(&sums),
                0,
                MantissasMut::I16(&mut codes),
                mask,
            );
            let unit = f64::from(pass.stored_exponent() + 7).exp2();
            let mean = codes.iter().map(|&code| f64::from(code) * unit).sum::<f64>() / 8192.0;
            // The noise has a standard deviation of 0.68 steps, its mean one of 0.0075.
            assert!((mean - 20.0).abs() < 0.04, "{mean}");
        }
    }

    #[test]
    fn a_weight_gradient_keeps_what_a_post_hook_leaves_between_the_codes() {
        let noise = [noise(Place::WeightGrad, Amount::UniformSteps { low: 0, high: 128 })];
        let mut codes = [20i32; 4096];
        let pass = pass(Place::WeightGrad, false);
        let exponent = pass.after(&mut Configured(&noise), &mut codes, 0);
        let unit = f64::from(exponent + 7).exp2();
        let mean = codes.iter().map(|&code| f64::from(code) * unit).sum::<f64>() / 4096.0;
        assert!((mean - 20.25).abs() < 0.02, "{mean}");
    }

    #[test]
    fn codes_that_a_post_hook_left_alone_go_on_as_they_came() {
        let pass = pass(Place::WeightGrad, false);
        let mut values = [1 << 7, -(3 << 7), 5, 6 << 7, 0];
        let runs = pass.runs(&mut values, pass.unit() - 7);
        let runs: Vec<_> = runs.map(|(run, exponent)| (run.to_vec(), exponent)).collect();
        let unit = pass.unit();
        assert_eq!(runs, [(vec![1, -3], unit), (vec![5], unit - 7), (vec![6, 0], unit)]);
        // A hook with a grid of its own.
        let mut values = [1 << 7, 5];
        let runs: Vec<_> = pass.runs(&mut values, -30).map(|(run, e)| (run.to_vec(), e)).collect();
        assert_eq!(runs, [(vec![1 << 7, 5], -30)]);
    }
}
