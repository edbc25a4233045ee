//! Parameters and outputs.

use fixgrad::{graph::Kind, trainer::Tensor};

use super::{Quantised, Step, update::CODE_31};
use crate::reference::{Expected, values};

/// What the forward pass of a layer left for the way back.
pub(super) struct Layer {
    pub(super) outputs: Vec<f64>,
    /// Where the outputs were clipped; empty without a point.
    pub(super) clipped: Vec<bool>,
    /// Weight and bias of a dense layer.
    pub(super) params: Option<[Quantised; 2]>,
}

impl Step<'_> {
    /// The outputs of a layer, once its sums and codes are found right.
    pub(super) fn forward(&self, i: usize, below: Option<&Layer>) -> Layer {
        let kind = self.case.graph.view().layers()[i].kind;
        let config = self.config(i);
        let params = matches!(kind, Kind::Dense(_))
            .then(|| [Tensor::Weight, Tensor::Bias].map(|tensor| self.param(i, tensor)));
        let expected: Vec<f64> = match (&params, below) {
            (Some(params), Some(below)) => self.dense(i, &below.outputs, params),
            (_, Some(below)) if matches!(kind, Kind::Relu(_)) => {
                below.outputs.iter().map(|x| x.max(0.0)).collect()
            }
            (_, Some(below)) => below.outputs.clone(),
            (_, None) => self.samples(),
        };
        let Some(point) = config.activation else {
            return Layer { outputs: expected, clipped: Vec::new(), params };
        };
        let units = self.dropped(self.plans[i].forward.drop, "forward");
        let bounded = |value: f64| Expected { units, ..Expected::exactly(value) };
        let expected: Vec<_> = expected.into_iter().map(bounded).collect();
        let Quantised { codes, clipped } =
            self.quantised(i, Tensor::Activation, point.train, &expected);
        Layer { outputs: values(&codes), clipped, params }
    }

    /// The samples of the step.
    fn samples(&self) -> Vec<f64> {
        let step = usize::from(self.case.config.train.batch) * self.case.features();
        let unit = f64::from(self.case.exponent).exp2();
        let samples = &self.case.samples[self.index * step..][..step];
        samples.iter().map(|&mantissa| f64::from(mantissa) * unit).collect()
    }

    /// `W x + b`, the bias rounded to units of the sums.
    fn dense(&self, i: usize, below: &[f64], [weight, bias]: &[Quantised; 2]) -> Vec<f64> {
        let (units, inputs) = self.shape(i);
        let weights = values(&weight.codes);
        let sums = self.recorded(i, Tensor::Activation, false);
        let unit = sums.first().map_or(1.0, |sum| sum.unit());
        // To nearest, halves up, ends at 2^30 - 1.
        let most = *CODE_31.end();
        let aligned = |value: f64| (value / unit + 0.5).floor().clamp(-most, most) * unit;
        let biases: Vec<f64> = bias.codes.iter().map(|b| aligned(b.value())).collect();
        let mut out = Vec::new();
        for x in below.chunks_exact(inputs) {
            for u in 0..units {
                let row = &weights[u * inputs..(u + 1) * inputs];
                let sum: f64 = row.iter().zip(x).map(|(w, x)| w * x).sum();
                out.push(sum + biases.get(u).copied().unwrap_or(0.0));
            }
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
            self.coverage.note_if(differ, "channels with bounds of their own");
            let symmetric = point.train.overflow == fixgrad::quant::Overflow::SatSym;
            self.coverage.note_if(point.train.bits == 2 && symmetric, "Weight ternary");
        }
        found
    }
}
