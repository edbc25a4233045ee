//! Batch normalisation folded into the weights below it, for deployment.
//!
//! In inference a normalisation is one factor and one offset a channel. A convolution or a dense layer
//! below it that nobody else reads can have both in its weights and biases; then the layer is gone, and
//! with it the rounding of what lay between the two.

use anyhow::{Result, ensure};
use fixgrad::{
    config::{Init, LayerConfig, Master},
    graph::{BatchNorm, GraphView, Kind, LayerPlan, Plan, Region},
    quant::{Overflow, Point, Quant, Range},
    tensor::Width,
    trainer::Tensor,
};

use super::{
    Model,
    model::{mantissas, range},
};
use crate::config::{Compiled, MAX_LAYERS};

/// A layer of the folded network.
struct Row {
    /// Where it was, and where its normalisation was.
    from: usize,
    norm: Option<usize>,
    /// Weight and bias, where they are new.
    values: Option<[Vec<f64>; 2]>,
}

impl Model {
    /// The same network with as few normalisations as possible, and the names of those that are gone.
    /// It is for inference: momentum and strategies are left behind.
    pub fn fold(&self) -> Result<(Self, Vec<String>)> {
        let Compiled { graph, config, host } = &self.compiled;
        let (view, old) = (graph.view(), self.compiled.plan_in_ram()?);
        ensure!(self.parameters.len() == old.persistent, "the parameters are of another network");
        let layers = view.layers();
        let mut rows: Vec<Row> = Vec::new();
        // Where each layer's output is found in the folded network.
        let mut places = vec![0u8; layers.len()];
        let mut folded = Vec::new();
        let mut next = fixgrad::graph::Graph::<MAX_LAYERS>::input(layers[0].shape.0);
        for (i, layer) in layers.iter().enumerate() {
            if let Some(below) = folds_into(view, i) {
                let row = &mut rows[usize::from(places[below])];
                row.norm = Some(i);
                row.values = Some(values(self, &old, below, i));
                places[i] = places[below];
                folded.push(layer.name.to_string());
                continue;
            }
            places[i] = rows.len() as u8;
            rows.push(Row { from: i, norm: None, values: None });
            if i == 0 {
                continue;
            }
            let takes = (0..layers.len()).any(|norm| folds_into(view, norm) == Some(i));
            let kind = if takes { with_bias(layer.kind) } else { layer.kind };
            let inputs = layer.inputs().map(|input| places[input]);
            next.push_reading(layer.name.as_str(), kind, inputs)?;
        }
        let mut settings = config.clone();
        settings.strategies.clear();
        settings.layers.clear();
        for row in &rows {
            let mut layer = config.layers[row.from];
            if let (Some(norm), Some(values)) = (row.norm, &row.values) {
                layer = suited(layer, &config.layers[norm], values);
            }
            // As many as there were, at most.
            let _ = settings.layers.push(layer);
        }
        let mut compiled = Compiled { graph: next, config: settings, host: host.clone() };
        let new = match compiled.plan_in_ram() {
            Ok(plan) => plan,
            // There may be no bit for bounds of channels.
            Err(_) => {
                for (layer, row) in compiled.config.layers.iter_mut().zip(&rows) {
                    layer.per_channel = config.layers[row.from].per_channel;
                }
                compiled.plan_in_ram()?
            }
        };
        let mut parameters = vec![0; new.persistent];
        for ((row, to), settings) in rows.iter().zip(new.layers()).zip(&compiled.config.layers) {
            match &row.values {
                Some([weight, bias]) => {
                    write(&mut parameters, to.weight.master, settings.master, weight);
                    write(&mut parameters, to.bias.master, settings.bias_master, bias);
                }
                None => {
                    let from = &old.layers()[row.from];
                    let regions =
                        |plan: &LayerPlan| [plan.weight.master, plan.bias.master, plan.channels];
                    for (from, to) in regions(from).into_iter().zip(regions(to)) {
                        place(&mut parameters, to).copy_from_slice(&self.parameters[range(from)]);
                    }
                }
            }
        }
        let memories = rows.iter().map(|row| {
            let memory = self.layers[row.from];
            match row.norm {
                Some(norm) => [Tensor::Activation, Tensor::ActivationGrad]
                    .into_iter()
                    .fold(memory, |memory, tensor| memory.with(tensor, &self.layers[norm])),
                None => memory,
            }
        });
        let layers = memories.collect();
        Ok((Self { compiled, step: self.step, layers, parameters }, folded))
    }
}

/// The layer that takes a normalisation in, if there is one.
fn folds_into(view: GraphView<'_>, i: usize) -> Option<usize> {
    let layer = view.layers()[i];
    let below = usize::from(layer.input);
    let weighted = matches!(view.layers()[below].kind, Kind::Conv2d(_) | Kind::Dense(_));
    let is_norm = matches!(layer.kind, Kind::BatchNorm(_));
    (is_norm && weighted && view.readers(below) == 1).then_some(below)
}

fn with_bias(kind: Kind) -> Kind {
    match kind {
        Kind::Conv2d(conv) => Kind::Conv2d(fixgrad::graph::Conv2d { bias: true, ..conv }),
        Kind::Dense(dense) => Kind::Dense(fixgrad::graph::Dense { bias: true, ..dense }),
        kind => kind,
    }
}

/// Weight and bias of a layer that does what it and its normalisation did.
fn values(model: &Model, plan: &Plan<MAX_LAYERS>, below: usize, norm: usize) -> [Vec<f64>; 2] {
    let read = |i: usize| {
        let (plan, config) = (&plan.layers()[i], &model.compiled.config.layers[i]);
        let of = |region, master: Master| {
            let unit = f64::from(master.exponent()).exp2();
            let values = mantissas(&model.parameters, region).into_iter();
            values.map(|mantissa| mantissa as f64 * unit).collect::<Vec<_>>()
        };
        [of(plan.weight.master, config.master), of(plan.bias.master, config.bias_master)]
    };
    let ([weight, bias], [scale, offset]) = (read(below), read(norm));
    let running = mantissas(&model.parameters, plan.layers()[norm].channels);
    let channels = scale.len();
    let row = |row: usize| &running[row * channels..][..channels];
    let wide = |at: usize| {
        let words = row(at).iter().zip(row(at + 1));
        words.map(|(low, high)| (high << 32 | low & 0xffff_ffff) as f64 / 4_294_967_296.0)
    };
    let Kind::BatchNorm(BatchNorm { eps, .. }) = model.compiled.graph.view().layers()[norm].kind
    else {
        return [weight, bias];
    };
    let eps = f64::from(-i16::from(eps)).exp2();
    let deviations = wide(2).map(|variance| (variance.max(0.0) + eps).sqrt());
    let factors: Vec<f64> = scale.iter().zip(deviations).map(|(scale, d)| scale / d).collect();
    let depth = weight.len() / channels.max(1);
    let weights = weight.iter().enumerate().map(|(i, w)| w * factors[i / depth.max(1)]).collect();
    let biases = wide(0).zip(&factors).zip(&offset).enumerate();
    let biases = biases.map(|(c, ((mean, factor), offset))| {
        offset + (bias.get(c).copied().unwrap_or(0.0) - mean) * factor
    });
    [weights, biases.collect()]
}

/// The settings of a layer that took a normalisation in: points of its own for the new weights, those of
/// the normalisation for what comes out. Every channel has a bound, since factors may lie far apart.
fn suited(layer: LayerConfig, norm: &LayerConfig, [weight, bias]: &[Vec<f64>; 2]) -> LayerConfig {
    let looking = |quant: Quant| quant.range(Range::Max);
    let of = |point: Point| Point {
        train: looking(point.train),
        infer: looking(point.infer).overflow(Overflow::SatSym),
        ..point
    };
    let master = |values: &[f64]| {
        let most = values.iter().fold(0.0f64, |most, value| most.max(value.abs()));
        // A step above, so that the largest itself is there.
        let bound = if most > 0.0 { (most.log2().floor() as i16 + 1).clamp(-64, 64) } else { 0 };
        Master { width: Width::I32, bound, init: Init::Zero }
    };
    LayerConfig {
        weight: of(layer.weight),
        bias: of(Point::new(Quant::new(16))),
        activation: norm.activation,
        activation_grad: norm.activation_grad,
        per_channel: true,
        master: master(weight),
        bias_master: master(bias),
        ..layer
    }
}

fn place(bytes: &mut [u8], region: Region) -> &mut [u8] {
    &mut bytes[range(region)]
}

/// Stores values in the 32 bits of their master copy.
fn write(bytes: &mut [u8], region: Region, master: Master, values: &[f64]) {
    let unit = f64::from(master.exponent()).exp2();
    for (place, value) in place(bytes, region).as_chunks_mut().0.iter_mut().zip(values) {
        *place = ((value / unit).round() as i32).to_le_bytes();
    }
}

#[cfg(test)]
mod tests {
    use fixgrad::kernel::Scalar;

    use super::*;
    use crate::{
        config::Experiment,
        data::SearchPath,
        run::{Job, Overrides, Session, Workspace},
    };

    fn model(weights: u8, sums: u8) -> (Job, Model) {
        let yaml = format!(
            "\
model:
  layers:
    - conv2d: {{ name: conv1, channels: 8, kernel: 3, bias: false }}
    - batch_norm: {{ name: bn1 }}
    - relu
    - conv2d: {{ name: conv2, channels: 8, kernel: 3 }}
    - batch_norm: {{ name: bn2 }}
    - relu: {{ name: relu2 }}
    - batch_norm: {{ name: bn3 }}
    - flatten
    - dense: {{ name: fc, units: 10 }}
data: digits
train: {{ epochs: 2, batch: 32, lr: 0.1, momentum: 0.5 }}
fixed:
  default:
    activation: {{ bits: 8 }}
    activation_grad: {{ bits: 8 }}
    master: {{ bits: 16, bound: 2 }}
    weight: {{ bits: {weights} }}
    bias: {{ bits: 16 }}
  by_kind:
    conv2d: {{ activation: {{ bits: {sums} }} }}
"
        );
        let experiment = Experiment::parse("folded.yaml", &yaml).unwrap();
        let places = SearchPath::new(None, None, None);
        let job = Job::new(experiment, &places, Overrides::default()).unwrap();
        let mut workspace = Workspace::new(&job.compiled).unwrap();
        let mut session = Session::new(&job.compiled, &job.data, Scalar, &mut workspace).unwrap();
        session.epoch(|_| ()).unwrap();
        session.epoch(|_| ()).unwrap();
        let model = session.model();
        (job, model)
    }

    /// All outputs of the first samples of the test set, as numbers.
    fn outputs(job: &Job, model: &Model) -> Vec<f64> {
        let mut workspace = Workspace::new(&model.compiled).unwrap();
        let mut session = Session::new(&model.compiled, &job.data, Scalar, &mut workspace).unwrap();
        session.restore(model).unwrap();
        session.batch.fill(job.data.split.test.iter().copied().take(32));
        session.trainer.infer(session.batch.samples()).unwrap();
        let mut all = Vec::new();
        for i in 0..32 {
            let outputs = session.trainer.outputs(i);
            let unit = f64::from(outputs.exponent).exp2();
            all.extend((0..10).map(|k| f64::from(outputs.codes.get(k)) * unit));
        }
        all
    }

    /// The mean error as a part of the mean magnitude.
    fn error(a: &[f64], b: &[f64]) -> f64 {
        let size: f64 = a.iter().map(|a| a.abs()).sum();
        a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f64>() / size
    }

    #[test]
    fn a_folded_network_says_what_the_whole_one_said() {
        // With wide codes, what is left is the rounding of outputs.
        for (weights, sums, allowed) in [(16, 16, 0.01), (8, 8, 0.06)] {
            let (job, model) = model(weights, sums);
            let (small, folded) = model.fold().unwrap();
            assert_eq!(folded, ["bn1", "bn2"]);
            // What no weights lie below stays.
            let kinds = small.compiled.graph.view().layers().iter();
            assert_eq!(kinds.filter(|l| matches!(l.kind, Kind::BatchNorm(_))).count(), 1);
            let (whole, less) = (outputs(&job, &model), outputs(&job, &small));
            let error = error(&whole, &less);
            assert!(error < allowed, "{weights} bits: {error}");
            assert!(whole.iter().any(|&value| value != whole[0]));
            // It is a model like any other.
            assert_eq!(Model::decode(&small.encode().unwrap()).unwrap(), small);
            assert_eq!(small.fold().unwrap(), (small.clone(), Vec::new()));
        }
    }
}
