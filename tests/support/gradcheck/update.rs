//! Gradients of parameters, velocities, and the parameters after the step.

use std::ops::{Range, RangeInclusive};

use fixgrad::{
    config::Master,
    optim::{Lr, Optimizer},
    quant::{Format, Overflow, Point, Quant},
    rng::Key,
    tensor::Width,
    trainer::Tensor,
};

use super::{Quantised, Step, forward::Layer};
use crate::{
    layers::moving,
    reference::{Expected, values},
    rounding::{self, jam, reach},
};

/// The codes of 31 bits, where steps end.
pub(super) const CODE_31: RangeInclusive<f64> = -1_073_741_824.0..=1_073_741_823.0;

/// The numbers of the streams in docs/numerics.md.
const UPDATE: u32 = 2 << 8;
const VELOCITY: u32 = 3 << 8;

/// One parameter tensor of a layer.
struct Param<'s> {
    layer: usize,
    /// 0 for the weight, 1 for the bias.
    which: usize,
    tensor: Tensor,
    quant: Quant,
    point: Point,
    master: Master,
    forward: &'s Quantised,
    /// The numbers that move.
    moving: Range<usize>,
}

/// Mantissas and the exponent of their unit.
struct Scaled {
    mantissas: Vec<i64>,
    exponent: i16,
}

/// Bits of a velocity; sums end at 2^30, so 32-bit storage holds 31.
fn velocity_bits(width: Width) -> i16 {
    i16::from(width.bits()).min(31)
}

/// `value * 2^left`, rounded down below and ending at 2^61 above.
fn scale(value: i64, left: i32) -> i64 {
    let exact = i128::from(value) << left.clamp(0, 61);
    let exact = exact >> left.min(0).unsigned_abs().min(63);
    exact.clamp(-(1 << 61), 1 << 61) as i64
}

impl Step<'_> {
    /// The unit of each velocity: of the bound that the steps before asked for, in the first step
    /// of one with two bits more than the gradient.
    pub(super) fn find_velocity_units(&mut self, bounds: &[[Option<i16>; 2]]) {
        let width = self.case.config.train.velocity;
        for (i, bounds) in bounds.iter().enumerate() {
            let config = self.config(i);
            let quants = [config.weight_grad, config.bias_grad];
            for (which, tensor) in [Tensor::WeightGrad, Tensor::BiasGrad].into_iter().enumerate() {
                // The numbers before those that move stay away.
                let Some(code) = self.recorded(i, tensor, true).last().copied() else { continue };
                // Lion's is a mean, which does not grow.
                let lion = matches!(self.case.config.train.optimizer, Optimizer::Lion { .. });
                let growth = if lion { -1 } else { 1 };
                let guess = code.exponent + i16::from(quants[which].bits) + growth;
                let bound = bounds[which].unwrap_or(guess);
                self.new_units[i][which] = bound - (velocity_bits(width) - 1);
            }
        }
    }

    /// Gradients of weights and biases, their codes, and the masters after the update.
    pub(super) fn update(&self, i: usize, grad: &[Expected], input: &[f64], layer: &Layer) {
        let (outputs, inputs) = self.shape(i);
        let config = self.config(i);
        let units = self.dropped(i, self.plans[i].weight_grad.drop, "weight gradient");
        let zero = Expected::exactly(0.0);
        let mut weights = vec![Expected { units, ..zero }; self.before.masters[i][0].len()];
        let units = self.dropped(i, self.plans[i].bias_grad.drop, "bias gradient");
        let mut biases = vec![Expected { units, ..zero }; self.before.masters[i][1].len()];
        for (g, x) in grad.chunks_exact(outputs).zip(input.chunks_exact(inputs)) {
            // One for each channel of a pixel, or for each unit.
            for pixel in g.chunks_exact(biases.len().max(1)) {
                biases.iter_mut().zip(pixel).for_each(|(sum, g)| sum.value += g.value);
            }
            for term in &self.terms[i] {
                weights[term.weight].value += g[term.output].value * x[term.input];
            }
        }
        if !layer.channels.is_empty() {
            weights = self.norm_weight_grad(grad, layer);
        }
        if let Some((past, gates)) = &layer.time {
            [weights, biases] = self.time_grads(i, past, gates.get().expect("gradients of gates"));
        }
        let [weight, bias] = layer.params.as_ref().expect("a layer with parameters");
        let [moving, moving_biases] = moving(config, &self.facts(i));
        let weight = Param {
            layer: i,
            which: 0,
            tensor: Tensor::WeightGrad,
            quant: config.weight_grad,
            point: config.weight,
            master: config.master,
            forward: weight,
            moving,
        };
        let bias = Param {
            which: 1,
            tensor: Tensor::BiasGrad,
            quant: config.bias_grad,
            point: config.bias,
            master: config.bias_master,
            forward: bias,
            moving: moving_biases,
            ..weight
        };
        for (param, expected) in [(&weight, &weights), (&bias, &biases)] {
            self.assert_still(param);
            if !param.moving.is_empty() {
                self.param_update(param, &expected[param.moving.clone()]);
            }
        }
    }

    /// What does not move is left alone, and has no gradient and no velocity.
    fn assert_still(&self, param: &Param<'_>) {
        let Param { layer, which, ref moving, .. } = *param;
        let (before, after) =
            (&self.before.masters[layer][which], &self.after.masters[layer][which]);
        for (i, (before, after)) in before.iter().zip(after).enumerate() {
            let moves = moving.contains(&i);
            assert!(moves || before == after, "step {}, element {i} of {layer}", self.index);
        }
        let (seen, velocities) =
            (self.recorded(layer, param.tensor, false), &self.after.velocities[layer][which]);
        assert_eq!(seen.len(), if moving.is_empty() { 0 } else { moving.end }, "layer {layer}");
        assert!(velocities.is_empty() || velocities.len() == moving.len(), "layer {layer}");
        self.coverage.note_if(before.len() > moving.len(), "parameters that stay");
        self.coverage.note_if(moving.start > 0, "some channels that move");
    }

    fn param_update(&self, param: &Param<'_>, expected: &[Expected]) {
        let first = param.moving.start;
        let found = self.quantised_from(first, param.layer, param.tensor, param.quant, expected);
        let mut grads: Vec<Expected> =
            values(&found.codes).into_iter().map(Expected::exactly).collect();
        if param.point.clip {
            self.block(&mut grads, &param.forward.clipped[param.moving.clone()], "parameters");
        }
        let exponent = found.codes[0].exponent;
        let unit = f64::from(exponent).exp2();
        let grads = Scaled {
            mantissas: grads.iter().map(|grad| (grad.value / unit) as i64).collect(),
            exponent,
        };
        let train = &self.case.config.train;
        let steps = match train.optimizer {
            Optimizer::Sgd if train.momentum == 0 => grads,
            Optimizer::Sgd => self.velocity(param, &grads),
            Optimizer::Nesterov => self.look_ahead(param, &grads, &self.velocity(param, &grads)),
            Optimizer::Lion { betas: [beta, _] } => {
                let direction = self.direction(param, beta, &grads);
                self.velocity(param, &grads);
                direction
            }
        };
        self.assert_moved(param, &steps);
    }

    /// What old velocity and gradient weigh in the new velocity, in units of 2^-15.
    fn factors(&self) -> [u16; 2] {
        match self.case.config.train.optimizer {
            Optimizer::Sgd | Optimizer::Nesterov => [self.case.config.train.momentum, 1 << 15],
            Optimizer::Lion { betas: [_, beta] } => [beta, (1 << 15) - beta],
        }
    }

    /// Nesterov's step from the new velocity on: `g + momentum * v`, near that in floats and with the
    /// very bits of the written rule.
    fn look_ahead(&self, param: &Param<'_>, grads: &Scaled, velocity: &Scaled) -> Scaled {
        let train = &self.case.config.train;
        let up = i32::from(grads.exponent) - i32::from(velocity.exponent);
        let tensor = [Tensor::Velocity, Tensor::BiasVelocity][param.which];
        let key = self.key(param.layer, tensor, VELOCITY).child(1);
        let format = Format { bits: 31, round: train.round, overflow: Overflow::SatSym };
        let (below, over) = reach(train.round);
        let most = *CODE_31.end();
        let moved = grads.mantissas.iter().zip(&velocity.mantissas);
        let steps = (param.moving.start as u32..).zip(moved);
        let steps = steps.map(|(i, (&grad, &v))| {
            let exact = f64::from(train.momentum) / 32_768.0 * v as f64
                + grad as f64 * f64::from(up).exp2();
            let sum = i64::from(train.momentum) * v + scale(grad, up + 15);
            let step = rounding::code(sum, 15, format, key.half(i)).code;
            // The gradient loses less than 2^-15 of a unit, downwards.
            let ends =
                [exact - below - (-15f64).exp2(), exact + over].map(|e| e.clamp(-most, most));
            assert!((ends[0]..=ends[1]).contains(&step), "element {i}: {step} and not {exact}");
            step as i64
        });
        self.coverage.note(format!("Nesterov {:?} {:?}", train.velocity, train.round));
        Scaled { mantissas: steps.collect(), exponent: velocity.exponent }
    }

    /// Lion's step: the sign of `beta * v + (1 - beta) * g` with the old velocity.
    fn direction(&self, param: &Param<'_>, beta: u16, grads: &Scaled) -> Scaled {
        let old = f64::from(self.old_units[param.layer][param.which]).exp2();
        let unit = f64::from(grads.exponent).exp2();
        let before = &self.before.velocities[param.layer][param.which];
        let signs = before.iter().zip(&grads.mantissas).map(|(&v, &g)| {
            // Both are exact.
            let v = f64::from(beta) * v as f64 * old;
            let g = f64::from((1 << 15) - beta) * g as f64 * unit;
            self.coverage.note_if(v * g < 0.0, "Lion weighs velocity against gradient");
            i64::from(v > -g) - i64::from(v < -g)
        });
        let mantissas = signs.collect();
        let train = &self.case.config.train;
        self.coverage.note(format!("Lion {:?} {:?}", train.velocity, train.round));
        Scaled { mantissas, exponent: 0 }
    }

    /// The new velocity, once it is found right: near `momentum * v + g` in floats, by Lion
    /// `beta * v + (1 - beta) * g`, and with the very bits of the written rule.
    fn velocity(&self, param: &Param<'_>, grads: &Scaled) -> Scaled {
        let Param { layer, which, .. } = *param;
        let train = &self.case.config.train;
        let (old_exponent, exponent) = (self.old_units[layer][which], self.new_units[layer][which]);
        let above = |other: i16| i32::from(other) - i32::from(exponent);
        let [momentum, share] = self.factors();
        let factor = f64::from(momentum) / 32_768.0 * f64::from(above(old_exponent)).exp2();
        let grad_unit = f64::from(share) / 32_768.0 * f64::from(above(grads.exponent)).exp2();
        let bits = velocity_bits(train.velocity) as u8;
        let format = Format { bits, round: train.round, overflow: Overflow::SatSym };
        let key = self.key(layer, [Tensor::Velocity, Tensor::BiasVelocity][which], VELOCITY);
        // Symmetric, whatever the storage.
        let most = f64::from(bits - 1).exp2() - 1.0;
        // Each of the two terms loses less than 2^-15 of a unit, downwards.
        let (below, over) = reach(train.round);
        let below = below + (-14f64).exp2();
        let (before, after) =
            (&self.before.velocities[layer][which], &self.after.velocities[layer][which]);
        for (i, (&grad, (&old, &new))) in
            (param.moving.start as u32..).zip(grads.mantissas.iter().zip(before.iter().zip(after)))
        {
            let what = format!("step {}, velocity {i} of layer {layer}", self.index);
            let exact = factor * old as f64 + grad_unit * grad as f64;
            let allowed = (exact - below).clamp(-most, most)..=(exact + over).clamp(-most, most);
            assert!(allowed.contains(&(new as f64)), "{what}: {new} and not {exact}");
            let sum = scale(i64::from(momentum) * old, above(old_exponent))
                + scale(i64::from(share) * grad, above(grads.exponent));
            let written = rounding::code(sum, 15, format, key.half(i)).code;
            assert_eq!(new as f64, written, "{what}");
        }
        self.coverage.note(format!("velocity {:?} {:?}", train.velocity, train.round));
        self.coverage.note_if(before.iter().any(|&old| old != 0), "a velocity from before");
        Scaled { mantissas: after.clone(), exponent }
    }

    fn assert_moved(&self, param: &Param<'_>, steps: &Scaled) {
        let Param { layer, which, tensor, master, .. } = *param;
        let train = &self.case.config.train;
        // A sign is that of the mean too.
        let rate = match train.optimizer {
            Optimizer::Lion { .. } => self.lr,
            _ => self.lr.times(Lr::ratio(1, train.batch.into())),
        };
        let decay = if which == 0 { self.lr.times(train.weight_decay) } else { Lr::ZERO };
        let key = self.key(layer, tensor, UPDATE);
        let most = f64::from(master.width.bits() - 1).exp2();
        let saturated = |weight: f64| weight.clamp(-most, most - 1.0);
        let shift = i32::from(master.exponent()) - i32::from(rate.exponent + steps.exponent);
        // Where the weight has 32 bits, its product with the decay sheds 16.
        let shed = if master.width == Width::I32 { 16 } else { 0 };
        let (before, after) =
            (&self.before.masters[layer][which], &self.after.masters[layer][which]);
        let masters = before.iter().zip(after).skip(param.moving.start);
        for (i, (step, (&before, &after))) in
            (param.moving.start as u32..).zip(steps.mantissas.iter().zip(masters))
        {
            let step = self.rounded(i64::from(rate.mantissa) * step, shift, key, i);
            let moved = saturated(before as f64 - step);
            let product = jam(i64::from(decay.mantissa) * moved as i64, shed);
            let pull = self.rounded(product, -i32::from(decay.exponent) - shed, key.child(1), i);
            let expected = saturated(moved - pull);
            assert_eq!(
                after as f64, expected,
                "step {}, update of element {i}, layer {layer}, {tensor:?}",
                self.index
            );
            self.coverage.note_if(pull != 0.0, format!("decay of {:?}", master.width));
        }
        self.coverage.note(format!("update {:?}", train.round));
    }

    /// A term of the update in units of the master.
    fn rounded(&self, value: i64, shift: i32, key: Key, element: u32) -> f64 {
        let round = self.case.config.train.round;
        let format = Format { bits: 31, round, overflow: Overflow::Sat };
        let step = rounding::code(value, shift, format, key.half(element)).code;
        debug_assert!(CODE_31.contains(&step));
        step
    }
}
