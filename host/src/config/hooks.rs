//! From the `strategies:` section to ready-made strategies.

use fixgrad::{
    graph::GraphView,
    strategy::{Amount, GradientBuffer, LayerSet, Noise, StrategyConfig, StrategyKind},
};

use super::{
    at::At,
    number::{ends, uniform, uniform_steps},
    pattern,
    problems::Problems,
    strategies::{AmountKeys, AmountMapping, Patterns, StrategyKeys},
    training::note,
};

/// The strategy that these keys describe.
pub(super) fn build(
    at: &At<StrategyKeys>,
    graph: GraphView<'_>,
    problems: &mut Problems,
) -> Option<StrategyConfig> {
    match &at.value {
        StrategyKeys::Noise(keys) => {
            let layers = layers(&keys.layers, graph, problems);
            let pre = amount(&keys.pre, problems);
            let post = amount(&keys.post, problems);
            let noise = Noise { pre: pre?, post: post?, requantize: keys.requantize };
            Some(StrategyConfig { layers, kind: StrategyKind::Noise(keys.place, noise) })
        }
        StrategyKeys::GradientBuffer(keys) => {
            let layers = layers(&keys.layers, graph, problems);
            let bound = problems.whole("the exponent of a bound", &keys.bound, -64..=64);
            let bits = problems.whole("the width of the buffer", &keys.bits, 2..=30);
            let buffer = GradientBuffer { bound: bound?, bits: bits? };
            Some(StrategyConfig { layers, kind: StrategyKind::GradientBuffer(buffer) })
        }
    }
}

fn layers(patterns: &Patterns, graph: GraphView<'_>, problems: &mut Problems) -> LayerSet {
    if patterns.0.is_empty() {
        problems.error(None, "a strategy without layers", "leave `layers` out for every layer");
    }
    let mut set = LayerSet::default();
    for pattern in &patterns.0 {
        if pattern.value == "*" {
            return LayerSet::ALL;
        }
        pattern::check(pattern, graph, problems);
        let fitting =
            (0u8..).zip(graph.layers()).filter(|(_, layer)| pattern::fits(&pattern.value, layer));
        set = fitting.fold(set, |set, (index, _)| set.with(index));
    }
    set
}

fn amount(at: &At<AmountKeys>, problems: &mut Problems) -> Option<Amount> {
    let AmountKeys::Some(mapping) = &at.value else { return Some(Amount::None) };
    let (wanted, amount) = match mapping {
        AmountMapping::Uniform(ends) => (*ends, uniform(*ends)),
        AmountMapping::UniformSteps(ends) => (*ends, uniform_steps(*ends)),
    };
    let ordered = wanted.min <= wanted.max;
    let Some(amount) = amount.filter(|_| ordered) else {
        let (message, help) = if ordered {
            ("noise out of reach", "ends in steps lie in -127..127, others in -1e6..1e6")
        } else {
            ("noise from a larger to a smaller number", "write `min` below `max`")
        };
        problems.error(at.span(), message, help);
        return None;
    };
    if let Some(became) = ends(amount) {
        note("noise min", wanted.min, became.min, problems);
        note("noise max", wanted.max, became.max, problems);
    }
    Some(amount)
}
