//! `default` < `by_kind` < `by_name`, key by key: the settings of one layer.

use fixgrad::{
    config::{LayerConfig, Master, Update},
    graph::{GraphView, Kind, Layer, Output},
    quant::{Overflow, Point, Quant, Round},
    tensor::Width,
};

use super::{
    at::At,
    fixed::{LayerKeys, MasterKeys},
    format::Format,
    model::Resolved,
    point::{Bits, Entry, GradEntry, PointEntry, PointKeys, QuantKeys},
    problems::Problems,
};

/// The keys of one level.
#[derive(Clone, Copy)]
pub(super) struct Level<'a> {
    pub(super) keys: &'a LayerKeys,
    /// True for `default`, which gives no point to layers that only pass numbers on.
    pub(super) general: bool,
}

/// The settings of a layer; `levels` in rising precedence.
pub(super) fn layer(
    (graph, i): (GraphView<'_>, usize),
    layer: &Resolved,
    levels: &[Level<'_>],
    problems: &mut Problems,
) -> LayerConfig {
    let base = LayerConfig::new(8);
    let output = graph.facts(i).map_or(Output::InPlace, |facts| facts.output);
    let mut merge = Merge { makes_numbers: output == Output::Sums, problems };
    let passing = base.passing();
    let activation = merge.point(base.activation, levels, |keys| [None, keys.activation.as_ref()]);
    // Codes in another place are not rounded again; their gradients are.
    merge.makes_numbers |= output == Output::Codes;
    let activation_grad = match layer.kind {
        Kind::Input(_) => None,
        _ => merge.grad(base.activation_grad, levels, |keys| [None, keys.activation_grad.as_ref()]),
    };
    if graph.layer_parameters(i).0 == 0 {
        return LayerConfig { activation, activation_grad, ..passing };
    }
    let weight = merge.point(Some(base.weight), levels, |keys| [None, keys.weight.as_ref()]);
    let bias =
        merge.point(Some(base.bias), levels, |keys| [keys.weight.as_ref(), keys.bias.as_ref()]);
    let weight_grad =
        merge.grad(Some(base.weight_grad), levels, |keys| [None, keys.weight_grad.as_ref()]);
    let bias_grad = merge.grad(Some(base.bias_grad), levels, |keys| {
        [keys.weight_grad.as_ref(), keys.bias_grad.as_ref()]
    });
    let master = Master { init: layer.init, ..base.master };
    let bias_master = Master { init: layer.bias_init, ..base.bias_master };
    LayerConfig {
        weight: weight.unwrap_or(base.weight),
        bias: bias.unwrap_or(base.bias),
        activation,
        weight_grad: weight_grad.unwrap_or(base.weight_grad),
        bias_grad: bias_grad.unwrap_or(base.bias_grad),
        activation_grad,
        per_channel: merge.per_channel(levels),
        master: merge.master(master, levels, |keys| [None, keys.master.as_ref()]),
        bias_master: merge
            .master(bias_master, levels, |keys| [keys.master.as_ref(), keys.bias_master.as_ref()]),
        update: merge.update(graph.layers().get(i), levels),
        stored: last(levels, |keys| keys.stored.as_ref()).is_some_and(|stored| stored.value),
    }
}

/// What the most special level says that says something.
fn last<'a, T>(
    levels: &'a [Level<'a>],
    said: impl Fn(&'a LayerKeys) -> Option<&'a At<T>>,
) -> Option<&'a At<T>> {
    levels.iter().filter_map(|level| said(level.keys)).next_back()
}

/// What a level says about a tensor: first what it takes over from another one, then its own.
type Said<'a, T> = [Option<&'a At<T>>; 2];

/// The entries of all levels. What is taken over comes before all of a tensor's own.
fn entries<'a, T: 'a>(
    levels: &'a [Level<'a>],
    said: impl Fn(&'a LayerKeys) -> Said<'a, T> + 'a,
) -> impl Iterator<Item = (&'a At<T>, bool)> {
    (0..2).flat_map(move |turn| {
        let pick: Vec<_> = levels
            .iter()
            .filter_map(|level| Some((said(level.keys)[turn]?, level.general)))
            .collect();
        pick
    })
}

struct Merge<'p> {
    makes_numbers: bool,
    problems: &'p mut Problems,
}

impl Merge<'_> {
    fn point<'a>(
        &mut self,
        base: Option<Point>,
        levels: &'a [Level<'a>],
        said: impl Fn(&'a LayerKeys) -> Said<'a, PointEntry> + 'a,
    ) -> Option<Point> {
        let base = base?;
        let (mut train, mut clip, mut present) = (base.train, base.clip, self.makes_numbers);
        let mut infer = Vec::new();
        for (entry, general) in entries(levels, said) {
            present = self.present(present, matches!(entry.value, Entry::None), general, entry);
            match &entry.value {
                Entry::None => {}
                Entry::Format(format) => self.format(&mut train, format),
                Entry::Keys(keys) => {
                    self.quant(&mut train, &keys.quant());
                    clip = keys.clip.as_ref().map_or(clip, |clip| clip.value);
                    infer.extend(keys.infer.as_ref());
                }
            }
        }
        let mut frozen = train.frozen();
        for keys in infer {
            self.quant(&mut frozen, &keys.value);
            if let Some(round) = &keys.value.round
                && matches!(round.value, Round::Stochastic | Round::PseudoStochastic)
            {
                self.problems.error(
                    round.span(),
                    "inference takes no random numbers",
                    "choose a rule that always gives the same result, such as `rnd_conv`",
                );
            }
        }
        present.then_some(Point { train, infer: frozen, clip })
    }

    fn grad<'a>(
        &mut self,
        base: Option<Quant>,
        levels: &'a [Level<'a>],
        said: impl Fn(&'a LayerKeys) -> Said<'a, GradEntry> + 'a,
    ) -> Option<Quant> {
        let (mut quant, mut present) = (base?, self.makes_numbers);
        for (entry, general) in entries(levels, said) {
            present = self.present(present, matches!(entry.value, Entry::None), general, entry);
            match &entry.value {
                Entry::None => {}
                Entry::Format(format) => self.format(&mut quant, format),
                Entry::Keys(keys) => self.quant(&mut quant, keys),
            }
        }
        present.then_some(quant)
    }

    /// Whether the point is there after this entry.
    fn present<T>(&mut self, before: bool, none: bool, general: bool, entry: &At<T>) -> bool {
        if none && self.makes_numbers {
            self.problems.error(
                entry.span(),
                "this point cannot be left out",
                "products are summed in 32 bits and must become codes again; `none` is for layers \
                 that only pass numbers on. For more precision write `{ bits: 16 }`",
            );
        }
        match (none, general) {
            (true, _) => false,
            (false, true) => before,
            (false, false) => true,
        }
    }

    fn format(&mut self, quant: &mut Quant, format: &Format) {
        quant.bits = format.bits;
        quant.range = fixgrad::quant::Range::Fixed(format.bound);
        quant.round = format.round.unwrap_or(quant.round);
        quant.overflow = format.overflow.unwrap_or(quant.overflow);
        if format.ap && (format.round.is_none() || format.overflow.is_none()) {
            self.problems.note(format!(
                "{format}: rules that are not written stay as they were. In HLS they would be TRN \
                 and WRAP: write ap_fixed<{},{},TRN,WRAP> for those",
                format.bits,
                format.bound + 1
            ));
        }
    }

    fn quant(&mut self, quant: &mut Quant, keys: &QuantKeys) {
        if let Some(bits) = &keys.bits {
            quant.bits = match bits.value {
                Bits::Binary => 1,
                Bits::Ternary => 2,
                Bits::Number(number @ 1..=16) => number as u8,
                Bits::Number(number) => {
                    self.problems.error(
                        bits.span(),
                        format!("{number} bits"),
                        "a point has 1 to 16 bits, `binary` (1) or `ternary` (2)",
                    );
                    quant.bits
                }
            };
            if bits.value == Bits::Ternary {
                quant.overflow = Overflow::SatSym;
            }
        }
        quant.range = keys.range.as_ref().map_or(quant.range, |range| range.value.0);
        quant.round = keys.round.as_ref().map_or(quant.round, |round| round.value);
        quant.overflow = keys.overflow.as_ref().map_or(quant.overflow, |rule| rule.value);
    }

    fn per_channel(&mut self, levels: &[Level<'_>]) -> bool {
        let mut per_channel = false;
        for level in levels {
            let LayerKeys { weight, bias, activation, .. } = level.keys;
            per_channel = keyed(weight).unwrap_or(per_channel);
            for other in [bias, activation] {
                if let Some(At {
                    value: Entry::Keys(PointKeys { per_channel: Some(at), .. }),
                    ..
                }) = other
                {
                    self.problems.error(
                        at.span(),
                        "only weights have a bound per channel",
                        "move `per_channel` to `weight`, or remove it",
                    );
                }
            }
        }
        per_channel
    }

    fn update(&mut self, layer: Option<&Layer>, levels: &[Level<'_>]) -> Update {
        let said = last(levels, |keys| keys.update.as_ref());
        let (Some(rule), Some(layer)) = (said, layer) else { return Update::All };
        let [channels, ..] = layer.shape.0;
        if let Update::Channels { first, count } = rule.value.0
            && u32::from(first) + u32::from(count) > channels.into()
        {
            self.problems.error(
                rule.span(),
                format!("layer `{}` has {channels} output channels", layer.name),
                format!("`channels=0..{channels}` are all of them"),
            );
        }
        rule.value.0
    }

    fn master<'a>(
        &mut self,
        mut master: Master,
        levels: &'a [Level<'a>],
        said: impl Fn(&'a LayerKeys) -> Said<'a, MasterKeys> + 'a,
    ) -> Master {
        for (keys, _) in entries(levels, said) {
            if let Some(bits) = &keys.value.bits {
                master.width = storage(bits, self.problems).unwrap_or(master.width);
            }
            if let Some(bound) = &keys.value.bound {
                let checked = self.problems.whole("the exponent of a bound", bound, -64..=64);
                master.bound = checked.unwrap_or(master.bound);
            }
        }
        master
    }
}

fn keyed(entry: &Option<At<PointEntry>>) -> Option<bool> {
    match entry {
        Some(At { value: Entry::Keys(keys), .. }) => Some(keys.per_channel.as_ref()?.value),
        _ => None,
    }
}

/// The storage of so many bits.
pub(super) fn storage(bits: &At<i64>, problems: &mut Problems) -> Option<Width> {
    match bits.value {
        8 => Some(Width::I8),
        16 => Some(Width::I16),
        32 => Some(Width::I32),
        other => {
            problems.error(
                bits.span(),
                format!("storage of {other} bits"),
                "storage has 8, 16 or 32 bits",
            );
            None
        }
    }
}
