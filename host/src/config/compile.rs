//! The compiler: from what is written to what a device takes.

use fixgrad::{
    config::{Config, LayerConfig},
    graph::{Graph, Kind, Plan},
    kernel::Scalar,
    quant::Range,
    trainer::{SetupError, Trainer},
};

use super::{
    at::At,
    diagnostics::Diagnostics,
    file::Experiment,
    fixed::{Fixed, LayerKeys},
    hooks,
    merge::{self, Level},
    model::Resolved,
    network::{self, MAX_LAYERS},
    pattern,
    problems::Problems,
    training::{self, Length},
};
use crate::data::{DataConfig, Dataset, Targets};

/// What the compiler must know of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DatasetFacts {
    /// Channels, height and width of a sample.
    pub shape: [usize; 3],
    /// Classes, or numbers of a target.
    pub outputs: usize,
    /// True when the targets are classes.
    pub classes: bool,
    /// Samples to train on.
    pub train_samples: usize,
}

impl From<&Dataset> for DatasetFacts {
    fn from(data: &Dataset) -> Self {
        Self {
            shape: data.shape,
            outputs: data.outputs(),
            classes: matches!(data.targets, Targets::Classes { .. }),
            train_samples: data.split.train.len(),
        }
    }
}

/// What the desktop needs to know and a device does not.
#[derive(Clone, Debug, PartialEq)]
pub struct HostPart {
    /// What the experiment is called.
    pub name: String,
    /// Where the samples come from.
    pub data: DataConfig,
    /// How long the run is.
    pub length: Length,
}

/// A configuration with nothing left open.
#[derive(Clone, Debug, PartialEq)]
pub struct Compiled {
    /// The network.
    pub graph: Graph<MAX_LAYERS>,
    /// Everything that decides a number.
    pub config: Config<MAX_LAYERS>,
    /// What only the desktop needs.
    pub host: HostPart,
}

impl Experiment {
    /// Compiles for this data. Returns notes beside the result: what decimal numbers became in
    /// fixed point, and what may surprise.
    pub fn compile(&self, facts: &DatasetFacts) -> Result<(Compiled, Vec<String>), Diagnostics> {
        let mut problems = Problems::default();
        let compiled = self.compile_into(facts, &mut problems);
        let notes = problems.finish(&self.file, &self.text)?;
        match compiled {
            Some(compiled) => Ok((compiled, notes)),
            None => Err(self.refusal("this configuration cannot be compiled")),
        }
    }

    /// What there would have to be known of data of this shape, for a plan without them.
    pub fn facts_of(&self, shape: [usize; 3]) -> Result<DatasetFacts, Diagnostics> {
        let mut problems = Problems::default();
        let network = network::build(&self.sections.model, shape, &mut problems);
        problems.finish(&self.file, &self.text)?;
        let layers = network.map(|(graph, _)| graph.view().layers().last().map(|l| l.shape));
        let outputs = layers.flatten().map_or(0, |shape| shape.elements());
        // One batch of any size is an epoch.
        Ok(DatasetFacts { shape, outputs, classes: true, train_samples: u16::MAX.into() })
    }

    fn compile_into(&self, facts: &DatasetFacts, problems: &mut Problems) -> Option<Compiled> {
        let sections = &self.sections;
        let train = training::build(&sections.train, facts, problems);
        let (graph, layers) = network::build(&sections.model, facts.shape, problems)?;
        self.check_outputs(&graph, facts, problems);
        let configs = settings(&sections.fixed, &graph, &layers, problems);
        let mut config = Config {
            train: train?.0,
            layers: configs.into_iter().collect(),
            strategies: Default::default(),
        };
        for strategy in &sections.strategies {
            let Some(built) = hooks::build(strategy, graph.view(), problems) else { continue };
            if config.strategies.push(built).is_err() {
                let most = config.strategies.capacity();
                let help = format!("a configuration has at most {most} of them");
                problems.error(strategy.span(), "one strategy too many", help);
            }
        }
        note_micro_batches(&graph, &config, problems);
        if problems.is_empty() {
            match plan(&graph, &config) {
                Ok(plan) => note_dropped_bits(&plan, &config, problems),
                Err(error) => problems.error(None, error.to_string(), ""),
            }
        }
        let host =
            HostPart { name: self.name(), data: sections.data.value.clone(), length: train?.1 };
        Some(Compiled { graph, config, host })
    }

    fn check_outputs(
        &self,
        graph: &Graph<MAX_LAYERS>,
        facts: &DatasetFacts,
        problems: &mut Problems,
    ) {
        let Some(last) = graph.view().layers().last() else { return };
        if last.shape.elements() != facts.outputs {
            let what = if facts.classes { "classes" } else { "numbers in a target" };
            problems.error(
                self.sections.model.layers.last().and_then(At::span),
                format!("the network has {} outputs", last.shape.elements()),
                format!("the data has {} {what}: give the last layer as many units", facts.outputs),
            );
        }
    }

    fn refusal(&self, message: &str) -> Diagnostics {
        let item = super::diagnostics::Diagnostic::new(None, message, "");
        Diagnostics::new(&self.file, &self.text, vec![item])
    }
}

fn settings(
    fixed: &Fixed,
    graph: &Graph<MAX_LAYERS>,
    layers: &[Resolved],
    problems: &mut Problems,
) -> Vec<LayerConfig> {
    let graph = graph.view();
    for (kind, keys) in fixed.by_kind.iter().flat_map(|kinds| kinds.iter()) {
        let rows = graph.layers().iter().enumerate();
        let mut meant = rows.filter(|(_, layer)| layer.kind.word() == kind).peekable();
        if meant.peek().is_none() {
            problems.note(format!("`by_kind: {kind}:` has no effect: no layer is of this kind"));
        } else if meant.all(|(i, _)| graph.layer_parameters(i).0 == 0) {
            only_activations(&keys.value, &format!("{kind} layers have"), problems);
        }
    }
    for (pattern, keys) in &fixed.by_name.0 {
        let known = pattern::check(pattern, graph, problems);
        let rows = graph.layers().iter().enumerate();
        let mut meant = rows.filter(|(_, layer)| pattern::fits(&pattern.value, layer));
        if known && meant.all(|(i, _)| graph.layer_parameters(i).0 == 0) {
            only_activations(keys, &format!("`{}` has", pattern.value), problems);
        }
    }
    let mut configs = Vec::new();
    for (i, (row, layer)) in graph.layers().iter().zip(layers).enumerate() {
        let default = fixed.default.iter().map(|keys| Level { keys, general: true });
        let by_kind = fixed.by_kind.iter().flat_map(|kinds| kinds.iter());
        let by_kind = by_kind.filter(|(kind, _)| *kind == row.kind.word());
        let by_kind = by_kind.map(|(_, keys)| Level { keys: &keys.value, general: false });
        let by_name = fixed.by_name.0.iter();
        let by_name = by_name.filter(|(pattern, _)| pattern::fits(&pattern.value, row));
        let by_name = by_name.map(|(_, keys)| Level { keys, general: false });
        let levels: Vec<Level<'_>> = default.chain(by_kind).chain(by_name).collect();
        configs.push(merge::layer((graph, i), layer, &levels, problems));
    }
    configs
}

/// Reports settings of weights where there are none.
fn only_activations(keys: &LayerKeys, who: &str, problems: &mut Problems) {
    let spans = [
        keys.weight.as_ref().and_then(At::span),
        keys.bias.as_ref().and_then(At::span),
        keys.weight_grad.as_ref().and_then(At::span),
        keys.bias_grad.as_ref().and_then(At::span),
        keys.master.as_ref().and_then(At::span),
        keys.bias_master.as_ref().and_then(At::span),
        keys.update.as_ref().and_then(At::span),
        keys.stored.as_ref().and_then(At::span),
    ];
    for span in spans.into_iter().flatten() {
        problems.error(
            Some(span),
            format!("{who} no weights"),
            "only `activation` and `activation_grad` can be set here",
        );
    }
}

impl Compiled {
    /// The memory plan with the smallest tiles, as a device has it without strategies of its own.
    pub fn plan(&self) -> Result<Plan<MAX_LAYERS>, SetupError> {
        plan(&self.graph, &self.config)
    }

    /// The memory plan of the simulator, by which models and checkpoints lie: all parameters are in RAM.
    pub fn plan_in_ram(&self) -> Result<Plan<MAX_LAYERS>, SetupError> {
        plan(&self.graph, &in_ram(&self.config))
    }
}

/// The same settings with all parameters in RAM, which is how the simulator trains: numbers are the
/// same, and its models and checkpoints hold all of them.
pub(crate) fn in_ram(config: &Config<MAX_LAYERS>) -> Config<MAX_LAYERS> {
    let mut config = config.clone();
    config.layers.iter_mut().for_each(|layer| layer.stored = false);
    config
}

fn plan(
    graph: &Graph<MAX_LAYERS>,
    config: &Config<MAX_LAYERS>,
) -> Result<Plan<MAX_LAYERS>, SetupError> {
    Trainer::<MAX_LAYERS, Scalar, ()>::plan_for(graph, config, &(), 0)
}

/// A sum of micro-batches that each dropped bits is not the sum of the batch with bits dropped.
fn note_dropped_bits(
    plan: &Plan<MAX_LAYERS>,
    config: &Config<MAX_LAYERS>,
    problems: &mut Problems,
) {
    let any = |is: fn(&Kind) -> bool| plan.layers().iter().any(|plan| is(&plan.way.kind));
    if config.train.accumulates() && any(|kind| matches!(kind, Kind::BatchNorm(_))) {
        problems.note(
            "results depend on micro_batch: batch_norm normalises by the samples in memory".into(),
        );
    } else if config.train.accumulates() && any(|kind| matches!(kind, Kind::Lstm(_))) {
        problems.note(
            "results may depend on micro_batch: where the units of an lstm's inputs and outputs lie far \
             apart, sums of its weight gradients drop low bits"
                .into(),
        );
    } else if config.train.has_short_sums() {
        problems.note(
            "results depend on micro_batch: gradients of each micro-batch are rounded to sums of 16 bits"
                .into(),
        );
    } else if config.train.accumulates() && !plan.exact_micro_batches() {
        problems.note(
            "results depend on micro_batch: sums of weight gradients are so wide that each \
             micro-batch drops low bits. Fewer bits of activations or activation gradients avoid \
             that"
                .into(),
        );
    }
}

/// Rules that look at all of a tensor see one micro-batch of it at a time.
fn note_micro_batches(
    graph: &Graph<MAX_LAYERS>,
    config: &Config<MAX_LAYERS>,
    problems: &mut Problems,
) {
    if !config.train.accumulates() {
        return;
    }
    let whole = |range: Range| range.needs_whole_tensor();
    let names: Vec<&str> = graph
        .view()
        .layers()
        .iter()
        .zip(&config.layers)
        .filter(|(_, layer)| {
            layer.activation.is_some_and(|point| whole(point.train.range))
                || layer.activation_grad.is_some_and(|quant| whole(quant.range))
        })
        .map(|(row, _)| row.name.as_str())
        .collect();
    if !names.is_empty() {
        problems.note(format!(
            "results depend on micro_batch: the activations or activation gradients of {} have \
             range rules that look at a whole tensor, and see {} samples of {} at a time. `fixed` \
             and `moving` do not depend on it",
            names.join(", "),
            config.train.micro_batch,
            config.train.batch
        ));
    }
}
