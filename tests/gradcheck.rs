//! The integer backward pass against 64-bit floats.
//!
//! A recorder writes down the sums and the codes of every point. From the codes, floats compute
//! what the sums must be: products and sums of integers below 2^53 are exact, so nothing but
//! equality will do, except where the plan drops bits of 16-bit products (one unit) and at the
//! loss, whose exponential comes from a table. Codes must be the rounded sums: to the nearest even
//! code, or to one of the two neighbours where rounding is stochastic.

use fixgrad::{
    config::{LayerConfig, LossKind},
    graph::{Kind, Region},
    kernel::Scalar,
    optim::{Lr, Schedule},
    quant::{Overflow, Quant, Round},
    strategy::Place,
    tensor::Width,
    trainer::Trainer,
};
use fixgrad_tests::{
    net::{ANYTHING, Case, LAYERS, Variety, Wanted, case},
    recorder::{Number, Recorder},
    reference::{Expected, assert_codes, assert_sums, block_clipped, softmax, values},
    run::Memory,
};
use proptest::prelude::*;

/// What the reference covers: data to the nearest even code, gradients also stochastically,
/// everything saturating. Binary codes and the other rules are checked in the core, exhaustively.
fn tame(case: &mut Case) {
    let tame = |quant: &mut Quant, stochastic: bool| {
        quant.bits = quant.bits.max(2);
        let keep = stochastic && quant.round == Round::Stochastic;
        quant.round = if keep { Round::Stochastic } else { Round::RndConv };
        if quant.overflow != Overflow::SatSym {
            quant.overflow = Overflow::Sat;
        }
    };
    for layer in &mut case.config.layers {
        for point in [Some(&mut layer.weight), Some(&mut layer.bias), layer.activation.as_mut()] {
            point.into_iter().for_each(|point| {
                tame(&mut point.train, false);
                tame(&mut point.infer, false);
            });
        }
        for grad in [
            Some(&mut layer.weight_grad),
            Some(&mut layer.bias_grad),
            layer.activation_grad.as_mut(),
        ] {
            grad.into_iter().for_each(|grad| tame(grad, true));
        }
    }
    let train = &mut case.config.train;
    (train.momentum, train.weight_decay, train.round) = (0, Lr::ZERO, Round::RndConv);
    train.schedule = Schedule::Constant;
    if train.loss == LossKind::SoftmaxCrossEntropy && matches!(case.targets, Wanted::Values(..)) {
        train.loss = LossKind::Mse;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..<_>::default() })]

    #[test]
    fn one_step_equals_its_float_reference(
        mut case in case(Variety { strategies: false, ..ANYTHING }),
    ) {
        tame(&mut case);
        Step::of(&case).check();
    }
}

/// One recorded step.
struct Step<'c> {
    case: &'c Case,
    seen: Recorder,
    /// Weights and biases of each layer before and after, in units of the master.
    masters: Vec<[[Vec<f64>; 2]; 2]>,
    /// Largest error of a sum in its units, per layer: forward, input gradient, weight gradient.
    slack: Vec<[f64; 3]>,
}

fn slack(drop: u8) -> f64 {
    if drop > 0 { 1.0 } else { 0.0 }
}

impl<'c> Step<'c> {
    fn of(case: &'c Case) -> Self {
        let seen = Recorder::default();
        let mut memory = Memory::for_plan(
            &Trainer::<LAYERS, Scalar, Recorder>::plan_for(&case.graph, &case.config, &seen, 0)
                .expect("a valid case"),
        );
        let memory = memory.as_mut_slice();
        let mut trainer = Trainer::new(&case.graph, &case.config, memory, Scalar, seen.clone())
            .expect("a valid case");
        let plan = *trainer.plan();
        let masters = |bytes: &[u8]| -> Vec<[Vec<f64>; 2]> {
            let read = |region: Region| mantissas(&bytes[region.offset as usize..], region);
            plan.layers().iter().map(|l| [read(l.weight.master), read(l.bias.master)]).collect()
        };
        let before = masters(trainer.persistent());
        let batch = usize::from(case.config.train.batch);
        trainer.step(case.samples(0, batch), case.targets(0, batch)).expect("a step");
        let after = masters(trainer.persistent());
        let slack = |l: &fixgrad::graph::LayerPlan| {
            [slack(l.forward.drop), slack(l.input_grad.drop), slack(l.weight_grad.drop)]
        };
        Self {
            case,
            seen,
            masters: before.into_iter().zip(after).map(|(b, a)| [b, a]).collect(),
            slack: plan.layers().iter().map(slack).collect(),
        }
    }

    fn check(&self) {
        let layers = self.case.graph.view().layers();
        let mut outputs: Vec<Vec<f64>> = Vec::new();
        for i in 0..layers.len() {
            outputs.push(self.forward(i, outputs.last()));
        }
        let trains = |i: usize| (0..=i).any(|k| matches!(layers[k].kind, Kind::Dense { .. }));
        let mut arriving = self.loss(outputs.last().expect("a layer"));
        for i in (1..layers.len()).rev().take_while(|&i| trains(i)) {
            let grad = self.backward(i, arriving);
            if matches!(layers[i].kind, Kind::Dense { .. }) {
                self.check_update(i, &grad, &outputs[i - 1]);
            }
            arriving = self.below(i, grad, &outputs);
        }
    }

    fn config(&self, layer: usize) -> &LayerConfig {
        &self.case.config.layers[layer]
    }

    fn shape(&self, layer: usize) -> (usize, usize) {
        let view = self.case.graph.view();
        (view.layers()[layer].shape.elements(), view.input_shape(layer).elements())
    }

    /// The output of a layer, once its sums and codes are found right.
    fn forward(&self, i: usize, below: Option<&Vec<f64>>) -> Vec<f64> {
        let (sums, codes) = self.point(i, Place::Activation, false);
        let expected: Vec<f64> = match (self.case.graph.view().layers()[i].kind, below) {
            (Kind::Dense { .. }, Some(below)) => self.dense(i, below, &sums),
            (Kind::Relu, Some(below)) => below.iter().map(|x| x.max(0.0)).collect(),
            (_, Some(below)) => below.clone(),
            (_, None) => sums.iter().map(|sum| sum.value()).collect(),
        };
        let Some(point) = self.config(i).activation else { return expected };
        let slack = |value: &f64| Expected { units: self.slack[i][0], ..Expected::exactly(*value) };
        let sums_expected: Vec<_> = expected.iter().map(slack).collect();
        assert_sums(&sums, &sums_expected, &format!("output of layer {i}"));
        assert_codes(&sums, &codes, point.train, &format!("output of layer {i}"));
        values(&codes)
    }

    /// `W x + b`, the bias rounded to units of the sums.
    fn dense(&self, i: usize, below: &[f64], sums: &[Number]) -> Vec<f64> {
        let (units, inputs) = self.shape(i);
        let weights = values(&self.param_codes(i, false));
        let biases = self.param_codes(i, true);
        let unit = sums.first().map_or(1.0, |sum| sum.unit());
        let biases: Vec<f64> = biases
            .iter()
            // To nearest, halves up, ends at 2^30 - 1.
            .map(|b| (b.value() / unit + 0.5).floor().clamp(-MOST, MOST) * unit)
            .collect();
        let mut out = Vec::new();
        for x in below.chunks_exact(inputs) {
            for u in 0..units {
                let row = &weights[u * inputs..(u + 1) * inputs];
                let sum: f64 = row.iter().zip(x).map(|(w, x)| w * x).sum();
                let bias = biases.get(u).copied().unwrap_or(0.0);
                out.push(sum + bias);
            }
        }
        out
    }

    /// Codes of weights or biases, once they are found right.
    fn param_codes(&self, i: usize, bias: bool) -> Vec<Number> {
        let (sums, codes) = self.point(i, Place::Weight, bias);
        let config = self.config(i);
        let (point, master) =
            if bias { (config.bias, config.bias_master) } else { (config.weight, config.master) };
        let unit = f64::from(master.exponent()).exp2();
        let masters = self.masters[i][0][usize::from(bias)].iter();
        let expected: Vec<_> = masters.map(|m| Expected::exactly(m * unit)).collect();
        assert_sums(&sums, &expected, &format!("parameters of layer {i}"));
        assert_codes(&sums, &codes, point.train, &format!("parameters of layer {i}"));
        codes
    }

    /// The gradient at the output of a layer, once it is found right.
    fn backward(&self, i: usize, arriving: Vec<Expected>) -> Vec<Expected> {
        let mut grad = match self.config(i).activation_grad {
            Some(quant) => {
                let what = format!("gradient of the output of layer {i}");
                let (sums, codes) = self.point(i, Place::ActivationGrad, false);
                assert_sums(&sums, &arriving, &what);
                assert_codes(&sums, &codes, quant, &what);
                codes.iter().map(|code| Expected::exactly(code.value())).collect()
            }
            None => arriving,
        };
        if let Some(point) = self.config(i).activation
            && point.clip
        {
            let (sums, codes) = self.point(i, Place::Activation, false);
            block_clipped(&mut grad, &sums, &codes, point.train);
        }
        grad
    }

    /// The gradient by the outputs of the network, per sample.
    fn loss(&self, outputs: &[f64]) -> Vec<Expected> {
        let units = self.shape(self.case.config.layers.len() - 1).0;
        let samples = outputs.chunks_exact(units).enumerate();
        samples
            .flat_map(|(s, row)| {
                let wanted: Vec<f64> = match &self.case.targets {
                    Wanted::Classes(classes) => (0..units)
                        .map(|u| f64::from(u8::from(usize::from(classes[s]) == u)))
                        .collect(),
                    Wanted::Values(values, exponent) => values[s * units..(s + 1) * units]
                        .iter()
                        .map(|&v| f64::from(v) * f64::from(*exponent).exp2())
                        .collect(),
                };
                match self.case.config.train.loss {
                    LossKind::Mse => row
                        .iter()
                        .zip(wanted)
                        // The coarser of the two numbers may lose what lies below the unit.
                        .map(|(y, t)| Expected { value: y - t, units: 1.0, absolute: 0.0 })
                        .collect::<Vec<_>>(),
                    LossKind::SoftmaxCrossEntropy => softmax(row, &wanted),
                }
            })
            .collect()
    }

    /// What a layer sends down.
    fn below(&self, i: usize, grad: Vec<Expected>, outputs: &[Vec<f64>]) -> Vec<Expected> {
        let (units, inputs) = self.shape(i);
        match self.case.graph.view().layers()[i].kind {
            Kind::Relu => grad
                .into_iter()
                .zip(&outputs[i])
                .map(|(g, &y)| if y > 0.0 { g } else { Expected::exactly(0.0) })
                .collect(),
            Kind::Dense { .. } => {
                let weights = values(&self.point(i, Place::Weight, false).1);
                let mut below = Vec::new();
                for g in grad.chunks_exact(units) {
                    for k in 0..inputs {
                        let products =
                            g.iter().enumerate().map(|(u, g)| g.value * weights[u * inputs + k]);
                        let value = products.sum();
                        below.push(Expected { value, units: self.slack[i][1], absolute: 0.0 });
                    }
                }
                below
            }
            Kind::Input | Kind::Flatten => grad,
        }
    }

    /// Gradients of weights and biases, their codes, and the masters after the update.
    fn check_update(&self, i: usize, grad: &[Expected], input: &[f64]) {
        let (units, inputs) = self.shape(i);
        let config = self.config(i);
        let mut weights =
            vec![Expected { units: self.slack[i][2], ..Expected::exactly(0.0) }; units * inputs];
        let mut biases = vec![Expected::exactly(0.0); units];
        for (g, x) in grad.chunks_exact(units).zip(input.chunks_exact(inputs)) {
            for (u, g) in g.iter().enumerate() {
                biases[u].value += g.value;
                let row = &mut weights[u * inputs..(u + 1) * inputs];
                row.iter_mut().zip(x).for_each(|(sum, x)| sum.value += g.value * x);
            }
        }
        let points = [
            (false, weights, config.weight_grad, config.weight, config.master),
            (true, biases, config.bias_grad, config.bias, config.bias_master),
        ];
        for (bias, expected, quant, point, master) in points {
            let [before, after] = &self.masters[i].each_ref().map(|m| &m[usize::from(bias)]);
            if before.is_empty() {
                continue;
            }
            let what = format!("gradient of the parameters of layer {i}, bias {bias}");
            let (sums, codes) = self.point(i, Place::WeightGrad, bias);
            assert_sums(&sums, &expected, &what);
            assert_codes(&sums, &codes, quant, &what);
            let mut grads: Vec<_> = codes.iter().map(|c| Expected::exactly(c.value())).collect();
            if point.clip {
                let (sums, codes) = self.point(i, Place::Weight, bias);
                block_clipped(&mut grads, &sums, &codes, point.train);
            }
            let train = self.case.config.train;
            let lr = train.lr.times(Lr::ratio(1, train.batch.into()));
            let rate = f64::from(lr.mantissa) * f64::from(lr.exponent).exp2();
            let unit = f64::from(master.exponent()).exp2();
            let most = f64::from(master.width.bits() - 1).exp2();
            for (k, (grad, (before, after))) in
                grads.iter().zip(before.iter().zip(*after)).enumerate()
            {
                let step = (rate * grad.value / unit).round_ties_even().clamp(-MOST - 1.0, MOST);
                let moved = (before - step).clamp(-most, most - 1.0);
                assert_eq!(*after, moved, "update of element {k}, layer {i}, bias {bias}");
            }
        }
    }

    /// Sums and codes of one tensor.
    fn point(&self, i: usize, place: Place, bias: bool) -> (Vec<Number>, Vec<Number>) {
        (self.seen.tensor(i, place, bias, false), self.seen.tensor(i, place, bias, true))
    }
}

/// The largest code of 31 bits.
const MOST: f64 = (1 << 30) as f64 - 1.0;

fn mantissas(bytes: &[u8], region: Region) -> Vec<f64> {
    let bytes = &bytes[..region.bytes()];
    match region.width {
        Width::I8 => bytes.iter().map(|&b| f64::from(b as i8)).collect(),
        Width::I16 => {
            bytes.as_chunks().0.iter().map(|&b| f64::from(i16::from_le_bytes(b))).collect()
        }
        Width::I32 => {
            bytes.as_chunks().0.iter().map(|&b| f64::from(i32::from_le_bytes(b))).collect()
        }
    }
}
