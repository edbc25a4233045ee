//! nics_fix's quantisers as our points.

use fixgrad::quant::{Overflow, Range, Round};

use super::source::{Mode, Op, Part, Quantiser};
use crate::config::{
    Bits, Entry, GradEntry, LayerKeys, MasterKeys, PointEntry, PointKeys, QuantKeys, RangeRule,
};

/// What a float becomes.
const FLOAT_BITS: i64 = 16;

/// Collects notes on what changed meaning.
pub(super) struct Notes(pub(super) Vec<String>);

impl Notes {
    pub(super) fn add(&mut self, note: String) {
        if !self.0.contains(&note) {
            self.0.push(note);
        }
    }

    /// The range rule of a mode; in inference the stored exponent is what `keep` means.
    fn range(&mut self, place: &str, mode: Mode, inference: bool) -> Range {
        match mode {
            Mode::None | Mode::Auto => Range::Max,
            Mode::Fixed if inference => Range::Keep,
            Mode::Fixed => {
                self.add(format!(
                    "{place}: `fixed` uses the exponent stored there, 0 in a new run. Here it is \
                     `keep`: the bound that the tensor has, from a checkpoint. To give the bound, \
                     write `range: fixed=N`"
                ));
                Range::Keep
            }
            Mode::Exponent(exponent) => match i16::try_from(exponent) {
                Ok(bound @ -64..=64) => Range::Fixed(bound),
                _ => {
                    self.add(format!(
                        "{place}: exponent {exponent} lies outside -64..=64 and became `max`"
                    ));
                    Range::Max
                }
            },
        }
    }

    fn bits(&mut self, place: &str, quantiser: &Quantiser, default: i64) -> i64 {
        let bits = quantiser.bit_width.as_ref().map_or(default, |bits| bits.value);
        if !(1..=16).contains(&bits) {
            self.add(format!("{place}: {bits} bits became 16, the widest point there is here"));
        }
        if (1..=16).contains(&bits) { bits } else { 16 }
    }
}

fn quant(bits: i64, range: Range) -> QuantKeys {
    QuantKeys {
        bits: Some(Bits::Number(bits).into()),
        range: Some(RangeRule(range).into()),
        round: Some(Round::RndConv.into()),
        overflow: Some(Overflow::Sat.into()),
    }
}

fn point(train: QuantKeys, infer: QuantKeys) -> PointEntry {
    let QuantKeys { bits, range, round, overflow } = train;
    Entry::Keys(PointKeys {
        bits,
        range,
        round,
        overflow,
        clip: Some(true.into()),
        per_channel: None,
        infer: Some(infer.into()),
    })
}

/// Settings for what is float there.
pub(super) fn floats() -> LayerKeys {
    let data = || Some(point(quant(FLOAT_BITS, Range::Max), quant(FLOAT_BITS, Range::Keep)).into());
    let grad = || Some(Entry::Keys(quant(FLOAT_BITS, Range::Max)).into());
    LayerKeys {
        weight: data(),
        activation: data(),
        weight_grad: grad(),
        activation_grad: grad(),
        master: Some(MasterKeys { bits: Some(32.into()), bound: Some(3.into()) }.into()),
        ..LayerKeys::default()
    }
}

fn data(place: &str, quantiser: &Quantiser, notes: &mut Notes) -> PointEntry {
    let bits = notes.bits(place, quantiser, 8);
    let train = match quantiser.training {
        Mode::None => {
            notes.add(format!("{place}: float in training; here {FLOAT_BITS} bits"));
            quant(FLOAT_BITS, Range::Max)
        }
        mode => quant(bits, notes.range(place, mode, false)),
    };
    let infer = match quantiser.not_training {
        Mode::None => {
            notes.add(format!("{place}: float in inference; here {FLOAT_BITS} bits"));
            quant(FLOAT_BITS, Range::Keep)
        }
        mode => quant(bits, notes.range(place, mode, true)),
    };
    point(train, infer)
}

fn gradient(place: &str, quantiser: &Quantiser, notes: &mut Notes) -> GradEntry {
    Entry::Keys(match quantiser.training {
        Mode::None => {
            notes.add(format!("{place}: float; here {FLOAT_BITS} bits"));
            quant(FLOAT_BITS, Range::Max)
        }
        mode => {
            if let Mode::Exponent(exponent) = mode {
                notes.add(format!(
                    "{place}: exponent {exponent} is meant for the gradient of the batch's mean; \
                     gradients here belong to the batch's sum. Add log2 of the batch size, \
                     rounded up, to the bound"
                ));
            }
            quant(notes.bits(place, quantiser, 32), notes.range(place, mode, false))
        }
    })
}

/// The settings of an operation. Nothing is left open, since here an entry by name merges with
/// the entry by kind and there it replaces it.
pub(super) fn layer(place: &str, op: &Op, has: Has, notes: &mut Notes) -> LayerKeys {
    let part = |part: &Option<Part>| part.clone().unwrap_or_default();
    let (weight, activation) = (part(&op.weight), part(&op.activation));
    let mut point = |what: &str, quantiser: Option<Quantiser>| {
        data(&format!("{place}.{what}"), &quantiser.unwrap_or_default(), notes).into()
    };
    let mut keys = LayerKeys {
        activation: Some(point("activation", activation.data_config)),
        ..Default::default()
    };
    if has.weights {
        keys.weight = Some(point("weight", weight.data_config));
    }
    let mut grad = |what: &str, quantiser: Option<Quantiser>| {
        gradient(&format!("{place}.{what} gradient"), &quantiser.unwrap_or_default(), notes).into()
    };
    if has.gradients {
        keys.activation_grad = Some(grad("activation", activation.gradient_config));
    }
    if has.weights {
        keys.weight_grad = Some(grad("weight", weight.gradient_config));
    }
    keys
}

/// What an operation has here.
#[derive(Clone, Copy)]
pub(super) struct Has {
    pub(super) weights: bool,
    /// False for the data alone.
    pub(super) gradients: bool,
}
