//! nics_fix's strategies as ours.

use fixgrad::strategy::Place;

use super::{
    quantisers::Notes,
    source::{Noise, NoiseKind, Op, Part, Quantiser},
};
use crate::config::{
    AmountKeys, AmountMapping, At, BufferKeys, Ends, NoiseKeys, Patterns, StrategyKeys,
};

/// The strategies that one entry describes.
pub(super) fn convert(
    pattern: &str,
    name: &str,
    op: &Op,
    notes: &mut Notes,
) -> Vec<At<StrategyKeys>> {
    let layers = || Patterns(vec![pattern.to_owned().into()]);
    match name {
        "noise_strategy" => noise(&layers, op, notes),
        "weightgradsaver_strategy" => vec![buffer(layers(), pattern, op, notes)],
        "none_strategy" => Vec::new(),
        other => {
            notes.add(format!(
                "{pattern}: strategy `{other}` is not known and was left out: write it as a \
                 `Strategy` in Rust"
            ));
            Vec::new()
        }
    }
}

fn noise(layers: &dyn Fn() -> Patterns, op: &Op, notes: &mut Notes) -> Vec<At<StrategyKeys>> {
    let of = |part: &Option<Part>, gradient: bool| {
        part.as_ref().and_then(|part| {
            if gradient { part.gradient_config.clone() } else { part.data_config.clone() }
        })
    };
    let places = [
        (Place::Weight, of(&op.weight, false)),
        (Place::WeightGrad, of(&op.weight, true)),
        (Place::Activation, of(&op.activation, false)),
        (Place::ActivationGrad, of(&op.activation, true)),
    ];
    let mut strategies = Vec::new();
    for (place, quantiser) in places {
        let Some(Quantiser { pre, post, .. }) = quantiser else { continue };
        let (pre, post) = (amount(pre), amount(post));
        if pre == AmountKeys::None && post == AmountKeys::None {
            continue;
        }
        for amount in [&pre, &post] {
            if matches!(amount, AmountKeys::Some(AmountMapping::UniformSteps(_))) {
                notes.add("`uniform_ratio` is called `uniform_steps` here".to_owned());
            }
            if matches!(amount, AmountKeys::Some(AmountMapping::Uniform(_)))
                && matches!(place, Place::WeightGrad | Place::ActivationGrad)
            {
                notes.add(
                    "`uniform` noise on gradients is meant for the gradient of the batch's mean; \
                     here gradients belong to the batch's sum: multiply `min` and `max` by the \
                     batch size"
                        .to_owned(),
                );
            }
        }
        notes.add("noise after a point stays off the grid, as there: `requantize: false`".into());
        let keys = NoiseKeys {
            layers: layers(),
            place,
            pre: pre.into(),
            post: post.into(),
            requantize: false,
        };
        strategies.push(StrategyKeys::Noise(keys).into());
    }
    strategies
}

fn amount(noise: Option<Noise>) -> AmountKeys {
    let Some(noise) = noise else { return AmountKeys::None };
    let ends = Ends { min: noise.min.unwrap_or(-0.5), max: noise.max.unwrap_or(0.5) };
    match noise.kind {
        NoiseKind::None => AmountKeys::None,
        NoiseKind::Uniform => AmountKeys::Some(AmountMapping::Uniform(ends)),
        NoiseKind::UniformRatio => AmountKeys::Some(AmountMapping::UniformSteps(ends)),
    }
}

fn buffer(layers: Patterns, pattern: &str, op: &Op, notes: &mut Notes) -> At<StrategyKeys> {
    let bound = op.scale.as_ref().map_or(0, |scale| scale.value);
    let wanted = op.bit_width.as_ref().map_or(24, |bits| bits.value);
    let bits = wanted.clamp(2, 30);
    notes.add(format!(
        "{pattern}: `weightgradsaver_strategy` is called `gradient_buffer` here. Its exponent \
         {bound} is meant for the gradient of the batch's mean; add log2 of the batch size, \
         rounded up"
    ));
    if bits != wanted {
        notes.add(format!("{pattern}: a buffer of {wanted} bits became {bits}"));
    }
    let keys = BufferKeys { layers, bound: bound.into(), bits: bits.into() };
    StrategyKeys::GradientBuffer(keys).into()
}
