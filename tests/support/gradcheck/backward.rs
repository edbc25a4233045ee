//! Gradients of outputs.

use fixgrad::{graph::Kind, trainer::Tensor};

use super::{Quantised, Step, forward::Layer};
use crate::{
    net::Wanted,
    reference::{Expected, values},
};

impl Step<'_> {
    /// The gradient by the outputs of the network, per sample.
    pub(super) fn loss(&self, outputs: &[f64]) -> Vec<Expected> {
        let units = self.shape(self.case.config.layers.len() - 1).0;
        let first = self.index * usize::from(self.case.config.train.batch);
        let loss = self.case.config.train.loss;
        let kind = match self.case.targets {
            Wanted::Classes(_) => "classes",
            Wanted::Values(..) => "values",
        };
        self.coverage.note(format!("{loss:?} of {kind}"));
        let smooth = self.case.config.train.label_smoothing > 0;
        self.coverage.note_if(smooth, format!("smooth {kind}"));
        let samples = outputs.chunks_exact(units).zip(first..);
        samples.flat_map(|(row, sample)| self.loss_grad(row, &self.wanted(sample, units))).collect()
    }

    pub(super) fn wanted(&self, sample: usize, units: usize) -> Vec<f64> {
        match &self.case.targets {
            Wanted::Classes(classes) => {
                let class = usize::from(classes[sample]);
                (0..units).map(|u| f64::from(u8::from(class == u))).collect()
            }
            Wanted::Values(values, exponent) => {
                let unit = f64::from(*exponent).exp2();
                let row = &values[sample * units..][..units];
                row.iter().map(|&value| f64::from(value) * unit).collect()
            }
        }
    }

    /// The gradient at the output of a layer, once it is found right.
    pub(super) fn backward(
        &self,
        i: usize,
        arriving: Vec<Expected>,
        layer: &Layer,
    ) -> Vec<Expected> {
        let mut grad = match self.config(i).activation_grad {
            Some(quant) => {
                let found = self.quantised(i, Tensor::ActivationGrad, quant, &arriving);
                found.codes.iter().map(|code| Expected::exactly(code.value())).collect()
            }
            None => arriving,
        };
        if self.config(i).activation.is_some_and(|point| point.clip) {
            self.block(&mut grad, &layer.clipped, "outputs");
        }
        grad
    }

    /// The straight-through gradient: none where the rounded value lay outside the codes.
    pub(super) fn block(&self, grad: &mut [Expected], clipped: &[bool], what: &str) {
        for (g, &clipped) in grad.iter_mut().zip(clipped) {
            self.coverage.note_if(clipped && g.value != 0.0, format!("blocked {what}"));
            *g = g.unless(clipped);
        }
    }

    /// The unit of the sums that a layer with weights sends down: of gradient times weight, coarser by
    /// the bits that are dropped and finer by what bounds of channels may differ.
    fn unit_of_products(&self, i: usize, weight: &Quantised) -> f64 {
        let grad = self.recorded(i, Tensor::ActivationGrad, true);
        let weight = weight.codes.iter().map(|code| code.exponent).max();
        let plan = &self.plans[i];
        let shift = i16::from(plan.input_grad.drop) - i16::from(plan.spread);
        let exponent = grad[0].exponent + weight.expect("weights") + shift;
        f64::from(exponent).exp2()
    }

    /// What a layer sends down.
    pub(super) fn downwards(&self, i: usize, grad: Vec<Expected>, layer: &Layer) -> Vec<Expected> {
        let (outputs, inputs) = self.shape(i);
        match (self.case.graph.view().layers()[i].kind, &layer.params) {
            (Kind::MaxPool2d(_), _) => self.to_winners(i, &grad, layer),
            (Kind::AvgPool2d(_) | Kind::GlobalAvgPool(_), _) => self.spread(i, &grad),
            (Kind::BatchNorm(norm), Some([weight, _])) => {
                self.through_norm(i, norm, &grad, layer, weight)
            }
            (Kind::Lstm(_), _) => self.below_time(i, layer),
            (_, Some([weight, _])) => {
                let weights = values(&weight.codes);
                let units = self.dropped(i, self.plans[i].input_grad.drop, "backward");
                // Those of several readers meet in another unit, which is at most this one.
                let absolute = units * self.unit_of_products(i, weight);
                let below = grad.chunks_exact(outputs).flat_map(|g| {
                    let mut row = vec![Expected { absolute, ..Expected::exactly(0.0) }; inputs];
                    for term in &self.terms[i] {
                        row[term.input].value += g[term.output].value * weights[term.weight];
                    }
                    row
                });
                below.collect()
            }
            (_, None) => self.through_elements(i, grad, layer),
        }
    }
}
