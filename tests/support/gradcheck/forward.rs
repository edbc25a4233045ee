//! Parameters and outputs.

use std::cell::OnceCell;

use fixgrad::{graph::Kind, trainer::Tensor};

use super::{
    Quantised, Step,
    elementwise::Element,
    lstm::{Gates, Past},
    norm::Channel,
    update::CODE_31,
};
use crate::reference::{Expected, values};

/// What the forward pass of a layer left for the way back.
pub(super) struct Layer {
    pub(super) outputs: Vec<f64>,
    /// Where the outputs were clipped; empty without a point.
    pub(super) clipped: Vec<bool>,
    /// Weight and bias, where there are any.
    pub(super) params: Option<[Quantised; 2]>,
    /// The input that each output is, in a max pool: in all samples.
    pub(super) winners: Vec<usize>,
    /// What is known of every number, where the layer works number by number.
    pub(super) elements: Vec<Element>,
    /// What every channel is normalised by, where it is.
    pub(super) channels: Vec<Channel>,
    /// What goes back through time, where the layer does: from there on, the gradients of gates.
    pub(super) time: Option<(Past, OnceCell<Gates>)>,
}

impl Step<'_> {
    /// The outputs of a layer, once its sums and codes are found right.
    pub(super) fn forward(&self, i: usize, layers: &[Layer]) -> Layer {
        let [below, other] = self.inputs(i).map(|input| layers.get(input));
        let kind = self.case.graph.view().layers()[i].kind;
        let config = self.config(i);
        self.note_samples_in_place(i);
        let params = (self.facts(i).weights() > 0)
            .then(|| [Tensor::Weight, Tensor::Bias].map(|tensor| self.param(i, tensor)));
        let (mut winners, mut channels, mut normal) = (Vec::new(), Vec::new(), Vec::new());
        let mut time = None;
        let elements = below.and_then(|below| self.elements(i, &below.outputs));
        let expected: Vec<f64> = match (below, kind) {
            (None, _) => self.samples(),
            _ if elements.is_some() => elements.iter().flatten().map(|e| e.output.value).collect(),
            (Some(below), Kind::MaxPool2d(_)) => {
                winners = self.winners(i, &below.outputs);
                winners.iter().map(|&input| below.outputs[input]).collect()
            }
            (Some(below), Kind::AvgPool2d(_) | Kind::GlobalAvgPool(_)) => {
                self.means(i, &below.outputs)
            }
            (Some(below), Kind::Add(_) | Kind::Concat(_)) => {
                self.joined(i, [below, other.expect("two inputs")].map(|layer| &layer.outputs[..]))
            }
            (Some(below), Kind::Split(split)) => self.split(i, split, &below.outputs),
            (Some(below), Kind::BatchNorm(norm)) => {
                let params = params.as_ref().expect("a weight and a bias");
                channels = self.channels_of(i, norm, &below.outputs);
                normal = Self::normalised(&below.outputs, &channels, params);
                normal.iter().map(|expected| expected.value).collect()
            }
            (Some(below), Kind::Lstm(lstm)) => {
                let params = params.as_ref().expect("a weight and a bias");
                let (past, outputs) = self.through_time(i, lstm, &below.outputs, params);
                time = Some((past, OnceCell::new()));
                outputs
            }
            (Some(below), _) => match &params {
                Some(params) => self.products(i, &below.outputs, params),
                None => below.outputs.clone(),
            },
        };
        let Some(point) = config.activation else {
            let elements = elements.unwrap_or_default();
            let outputs = expected;
            return Layer {
                outputs,
                clipped: Vec::new(),
                params,
                winners,
                elements,
                channels,
                time,
            };
        };
        let drop = if time.is_some() { 0 } else { self.plans[i].forward.drop };
        let units = self.dropped(i, drop, "forward");
        let bounded = |value: f64| Expected { units, ..Expected::exactly(value) };
        let mut expected: Vec<_> = expected.into_iter().map(bounded).collect();
        for (expected, normal) in expected.iter_mut().zip(normal) {
            *expected = normal;
        }
        let elements = elements.unwrap_or_default();
        for (expected, element) in expected.iter_mut().zip(&elements) {
            expected.absolute += element.output.absolute;
        }
        if let (Kind::Add(_) | Kind::Concat(_), Some(below), Some(other)) = (kind, below, other) {
            self.allow_for_units(i, &mut expected, [below, other]);
        }
        let Quantised { codes, clipped } =
            self.quantised(i, Tensor::Activation, point.train, &expected);
        Layer { outputs: values(&codes), clipped, params, winners, elements, channels, time }
    }

    /// The samples of the step.
    fn samples(&self) -> Vec<f64> {
        let step = usize::from(self.case.config.train.batch) * self.case.features();
        let unit = f64::from(self.case.exponent).exp2();
        let samples = &self.case.samples[self.index * step..][..step];
        samples.iter().map(|&mantissa| f64::from(mantissa) * unit).collect()
    }

    /// Products with the weights, and the bias rounded to units of the sums.
    fn products(&self, i: usize, below: &[f64], [weight, bias]: &[Quantised; 2]) -> Vec<f64> {
        let (outputs, inputs) = self.shape(i);
        let weights = values(&weight.codes);
        let sums = self.recorded(i, Tensor::Activation, false);
        let unit = sums.first().map_or(1.0, |sum| sum.unit());
        // To nearest, halves up, ends at 2^30 - 1.
        let most = *CODE_31.end();
        let aligned = |value: f64| (value / unit + 0.5).floor().clamp(-most, most) * unit;
        let biases: Vec<f64> = bias.codes.iter().map(|b| aligned(b.value())).collect();
        let mut out = Vec::new();
        for x in below.chunks_exact(inputs) {
            let mut row = vec![0.0; outputs];
            for term in &self.terms[i] {
                row[term.output] += weights[term.weight] * x[term.input];
            }
            // One for each channel of a pixel, or for each unit.
            let biased = row.iter_mut().zip(biases.iter().cycle());
            biased.for_each(|(sum, bias)| *sum += bias);
            out.extend(row);
        }
        out
    }

    /// Codes of weights or biases.
    fn param(&self, i: usize, tensor: Tensor) -> Quantised {
        let config = self.config(i);
        let (point, master, which) = match tensor {
            Tensor::Bias => (config.bias, config.bias_master, 1),
            _ => (config.weight, config.master, 0),
        };
        let unit = f64::from(master.exponent()).exp2();
        let masters = self.before.masters[i][which].iter();
        let expected: Vec<_> = masters.map(|&m| Expected::exactly(m as f64 * unit)).collect();
        let found = self.quantised(i, tensor, point.train, &expected);
        if tensor == Tensor::Weight {
            let first = found.codes[0].exponent;
            let differ = found.codes.iter().any(|code| code.exponent != first);
            let kind = self.case.graph.view().layers()[i].kind.word();
            self.coverage.note_if(differ, format!("channels of {kind} with bounds of their own"));
            let symmetric = point.train.overflow == fixgrad::quant::Overflow::SatSym;
            self.coverage.note_if(point.train.bits == 2 && symmetric, "Weight ternary");
        }
        found
    }
}
