//! Weight gradients, their point, and the update, tile by tile.

use super::{
    engine::{At, Engine, UPDATE_STREAM, VELOCITY_STREAM},
    forward::pieces,
    gradients::Block,
    norm::norm_of,
    point::{PIECE, Pass, Sums, grid},
    recurrent::lstm_of,
    state::Tensor,
};
use crate::{
    config::Master,
    graph::{ParamPlan, Region, pick},
    kernel::Kernel,
    optim::{Descend, Lr, Momentum, Optimizer, Rule, Update, velocity_bits},
    quant::{Quant, Range, Round, bits_for, exponent_of},
    rng::Key,
    strategy::Strategy,
    tensor::MantissasMut,
    uses::{Part, Uses},
};

/// A parameter tensor in its update.
#[derive(Clone, Copy)]
pub(super) struct Param<'p> {
    layer: usize,
    which: Which,
    pub(super) plan: &'p ParamPlan,
    quant: &'p Quant,
    master: Master,
    pub(super) sums: Sums,
}

/// The two parameters of a layer, in the order of their pairs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Weight,
    Bias,
}

impl Which {
    pub(super) fn choose<T>(self, [weight, bias]: [T; 2]) -> T {
        match self {
            Self::Weight => weight,
            Self::Bias => bias,
        }
    }
}

impl Param<'_> {
    fn tensor(&self) -> Tensor {
        self.which.choose([Tensor::WeightGrad, Tensor::BiasGrad])
    }

    fn velocity(&self) -> Tensor {
        self.which.choose([Tensor::Velocity, Tensor::BiasVelocity])
    }
}

impl<'e, K: Kernel, S: Strategy, U: Uses> Engine<'e, K, S, U> {
    /// Weight and bias gradients of one layer: added up, or used at once.
    #[inline(always)]
    pub(crate) fn param_grads(&mut self, at: At<'e>, count: usize) {
        let plan = at.plan;
        let grad = self.exponents.get(at.i).map_or(0, |now| now.grad);
        let bias =
            if Self::drops_biases() { grid(grad, 0, plan.bias_grad.drop.into()) } else { grad };
        let weight = if norm_of::<U>(&plan.way).is_some() {
            grid(grad, 0, self.norm_grad_unit(at))
        } else if lstm_of::<U>(&plan.way).is_some() {
            self.lstm_grad_exponent(at)
        } else {
            grid(grad, self.input_exponent(plan), plan.weight_grad.drop.into())
        };
        if U::uses(Part::MicroBatches) && self.train.accumulates() {
            self.add_up(at, count, [weight, bias]);
            return;
        }
        for (which, exponent) in [(Which::Bias, bias), (Which::Weight, weight)] {
            if at.moving::<U>(which).1 > 0 {
                self.descend_by_tiles(at, which, exponent, count);
            }
        }
    }

    /// The gradient of a parameter, tile by tile from sums into the weights.
    // Not inlined, as its relatives: a frame is on the stack of a board only while it is needed.
    #[inline(never)]
    fn descend_by_tiles(&mut self, at: At<'e>, which: Which, exponent: i16, count: usize) {
        let (plan, way) = (at.plan, &at.plan.way);
        let param = self.param(at, which, exponent);
        let mut pass = self.grad_pass(&param);
        let mut velocity_peak = 0;
        let (first, moving) = at.moving::<U>(which);
        // A bias is one row, in one tile.
        let (units, inputs, rows, cols, room) = match which {
            Which::Weight => {
                let (rows, cols) = (way.weight_rows.into(), way.weight_cols as usize);
                (moving, way.depth as usize, rows, cols, plan.backward_tile)
            }
            Which::Bias => {
                let len = plan.bias.master.len as usize;
                (1, len, 1, len, self.shared.row)
            }
        };
        for (unit, rows) in pieces(units, rows) {
            for (col, cols) in pieces(inputs, cols) {
                let mut sums = room.first(rows * cols);
                let mut row = if cols < inputs { cols } else { rows * cols };
                let mut start = unit * inputs + col;
                match which {
                    Which::Weight => {
                        let unit = first + unit;
                        start += first * inputs;
                        self.tile_sums(at, count, &sums, &Block { unit, rows, col, cols });
                    }
                    Which::Bias => {
                        self.bias_sums(at, count, &sums);
                        if U::uses(Part::Partial) {
                            (sums, row, start) = (sums.part(first, moving), moving, first);
                        }
                    }
                }
                let tile = GradTile { sums, row, first: start, stride: inputs };
                self.tile(&param, &mut pass, &mut velocity_peak, &tile);
            }
        }
        self.finish_param(&param, &mut pass, velocity_peak);
    }

    pub(super) fn param(&self, at: At<'e>, which: Which, exponent: i16) -> Param<'e> {
        let At { i: layer, plan, config } = at;
        let (plan, quant, master, bits) = match which {
            Which::Weight => {
                let bits =
                    if norm_of::<U>(&plan.way).is_some() { 30 } else { plan.weight_grad.kept() };
                (&plan.weight, &config.weight_grad, config.master, bits)
            }
            Which::Bias => {
                let drop = if Self::drops_biases() { plan.bias_grad.drop } else { 0 };
                (&plan.bias, &config.bias_grad, config.bias_master, plan.bias_grad.bits - drop)
            }
        };
        let terms = usize::from(self.train.batch).saturating_mul(at.grad_rows::<U>());
        let mut sums = Sums { exponent, bits, slack: Sums::slack_of(terms) };
        if lstm_of::<U>(&at.plan.way).is_some() && which == Which::Weight {
            sums = Self::lstm_grad_sums(at, exponent, terms);
        }
        Param { layer, which, plan, quant, master, sums }
    }

    /// The elements of a parameter that move: the first, and how many.
    #[inline(always)]
    fn moving(&self, param: &Param<'_>) -> (usize, usize) {
        match self.at(param.layer) {
            Some(at) if U::uses(Part::Partial) => {
                let (first, count) = at.moving::<U>(param.which);
                let each = param.which.choose([at.plan.way.depth as usize, 1]);
                (first * each, count * each)
            }
            _ => (0, param.plan.master.len as usize),
        }
    }

    pub(super) fn grad_pass(&self, param: &Param<'e>) -> Pass<'e, U> {
        let (_, row) = self.moving(param);
        self.pass(param.layer, param.tensor(), param.quant, param.sums, row)
    }

    /// All gradient sums of a parameter through the point and into the weights.
    #[inline(never)]
    pub(super) fn descend_at_once(&mut self, param: &Param<'e>, sums: &Region) {
        let mut pass = self.grad_pass(param);
        let mut velocity_peak = 0;
        let ((first, _), len) = (self.moving(param), sums.len as usize);
        let tile = GradTile { sums: *sums, row: len, first, stride: len };
        self.tile(param, &mut pass, &mut velocity_peak, &tile);
        self.finish_param(param, &mut pass, velocity_peak);
    }

    /// As [`descend_at_once`](Self::descend_at_once), of sums that are widened piece by piece on their way.
    #[inline(never)]
    pub(super) fn descend_in_pieces(&mut self, param: &Param<'e>) {
        let mut pass = self.grad_pass(param);
        let mut velocity_peak = 0;
        let ((moving, _), sums) = (self.moving(param), &param.plan.sum);
        // Two neighbours share a random number.
        let room = self.shared.scratch.len as usize / 2 * 2;
        for (from, len) in pieces(sums.len as usize, room) {
            let tile = self.shared.scratch.first(len);
            if let [MantissasMut::I32(wide), sums] = pick(self.memory, [&tile, sums]) {
                sums.as_ref().part(from, len).widen_into(wide);
            }
            let tile = GradTile { sums: tile, row: len, first: moving + from, stride: len };
            self.tile(param, &mut pass, &mut velocity_peak, &tile);
        }
        self.finish_param(param, &mut pass, velocity_peak);
    }

    /// One tile of gradient sums through the point and into the weights.
    #[inline(never)]
    fn tile(
        &mut self,
        param: &Param<'e>,
        pass: &mut Pass<'e, U>,
        velocity_peak: &mut u32,
        tile: &GradTile,
    ) {
        if let [MantissasMut::I32(sums)] = pick(self.memory, [&tile.sums]) {
            if U::uses(Part::Strategies) {
                for (first, sums) in tile.starts().zip(sums.chunks_mut(tile.row.max(1))) {
                    pass.before(self.strategy, sums, first as u32);
                }
            }
            pass.look(self.kernel, (&*sums).into());
            pass.settle(sums);
        }
        let momentum = self.momentum(param, pass.stored_exponent());
        let template = self.update(param);
        let blocks = U::uses(Part::Clipping)
            && self
                .exponents
                .get(param.layer)
                .is_some_and(|now| param.which.choose(now.params_clipped));
        let (plan, below) = (param.plan, self.moving(param).0);
        let velocity = if U::uses(Part::Momentum) { &plan.velocity } else { &Region::NONE };
        let mask = if blocks { &plan.pass } else { &Region::NONE };
        let regions = [&tile.sums, &plan.master, velocity, mask];
        let [sums, mut master, mut velocity, mask] = pick(self.memory, regions);
        let (MantissasMut::I32(sums), MantissasMut::I8(mask)) = (sums, mask) else { return };
        let mask: &[u8] = if blocks { bytemuck::cast_slice(mask) } else { &[] };
        let quantizer = pass.quantizer();
        debug_assert!(self.kernel.peak((&*sums).into()) <= quantizer.peak, "it was looked at");
        let descend = |quantized: bool, exponent: i16| Descend {
            quantizer,
            quantized,
            momentum: momentum.map(|m| Momentum {
                grad_exponent: exponent,
                rule: linked_rule::<U>(m.rule),
                ..m
            }),
            update: template.at(momentum.map_or(exponent, |m| m.step_exponent())),
        };
        let whole = descend(false, pass.stored_exponent());
        for (from, sums) in tile.starts().zip(sums.chunks(tile.row.max(1))) {
            let (first, len) = (from as u32, sums.len());
            let mut master = master.part(from, len);
            let mut velocity = velocity.part(from.saturating_sub(below), len);
            if !pass.has_hooks() {
                let seen = self.kernel.descend(&whole, sums, first, mask, velocity, master);
                pass.count(seen.counts, len);
                *velocity_peak = seen.velocity_peak.max(*velocity_peak);
                continue;
            }
            for (i, part) in sums.chunks(PIECE).enumerate() {
                let mut codes = [0i32; PIECE];
                let codes = codes.get_mut(..part.len()).unwrap_or_default();
                let (from, len) = (i * PIECE, part.len());
                let at = first.wrapping_add(from as u32);
                let sums = part.into();
                let out = MantissasMut::I32(&mut *codes);
                pass.count(self.kernel.quantize(&quantizer, sums, at, out), len);
                let exponent = pass.after(self.strategy, codes, at);
                let mut from = from;
                for (run, exponent) in pass.runs(codes, exponent) {
                    let (at, len) = (first.wrapping_add(from as u32), run.len());
                    let (velocity, master) = (velocity.part(from, len), master.part(from, len));
                    let descend = descend(true, exponent);
                    let seen = self.kernel.descend(&descend, run, at, mask, velocity, master);
                    *velocity_peak = seen.velocity_peak.max(*velocity_peak);
                    from += len;
                }
            }
        }
    }

    /// Momentum in this step, if there is any. The bound is the one that the last steps asked
    /// for; the first step leaves two bits for growth.
    fn momentum(&mut self, param: &Param<'_>, grad_exponent: i16) -> Option<Momentum> {
        if !U::uses(Part::Momentum) || !self.train.has_velocity() {
            return None;
        }
        let (optimizer, momentum) = (self.train.optimizer, self.train.momentum);
        let rule = linked_rule::<U>(optimizer.rule());
        let bits = velocity_bits(param.plan.velocity.width());
        let key = self.key(param.layer, param.velocity(), VELOCITY_STREAM);
        let old_exponent = param.which.choose(self.exponents.get(param.layer)?.velocities);
        // A mean grows beyond no gradient.
        let growth = if matches!(rule, Rule::Lion { .. }) { 0 } else { 2 };
        let guess = grad_exponent.saturating_add(i16::from(param.quant.bits) + growth - 1);
        let range = self.range_mut(param.layer, param.velocity())?;
        let bound = Range::VELOCITY.resolve(None, range.bound(), guess);
        range.settle(bound);
        Some(Momentum {
            rule,
            factor: optimizer.factor(momentum).into(),
            old_exponent,
            grad_exponent,
            new_exponent: exponent_of(bound, bits),
            round: self.train.round,
            key,
        })
    }

    fn update(&self, param: &Param<'_>) -> Template {
        // As in most recipes, biases do not decay.
        let decay = match param.which {
            Which::Weight if U::uses(Part::WeightDecay) => self.lr.times(self.train.weight_decay),
            _ => Lr::ZERO,
        };
        let key = self.key(param.layer, param.tensor(), UPDATE_STREAM);
        // The sign of a sum is that of the mean.
        let signs =
            U::uses(Part::StepRules) && matches!(self.train.optimizer, Optimizer::Lion { .. });
        Template {
            lr: if signs { self.lr } else { self.sum_lr },
            decay,
            exponent: param.master.exponent(),
            round: self.train.round,
            key,
        }
    }

    #[inline(always)]
    fn finish_param(&mut self, param: &Param<'e>, pass: &mut Pass<'e, U>, velocity_peak: u32) {
        let passed = pass.finish();
        self.keep(param.layer, param.tensor(), &passed);
        let velocity = self.momentum(param, passed.exponent);
        let (Some(momentum), Some(now)) = (velocity, self.exponents.get_mut(param.layer)) else {
            return;
        };
        *param.which.choose(now.velocities.each_mut()) = momentum.new_exponent;
        if let Some(log) = bits_for(velocity_peak)
            && let Some(range) = self.range_mut(param.layer, param.velocity())
        {
            range.note_seen(momentum.new_exponent.saturating_add(log.into()));
        }
    }
}

/// The rule of the steps, as a constant where only one is linked.
fn linked_rule<U: Uses>(rule: Rule) -> Rule {
    if U::uses(Part::StepRules) { rule } else { Rule::Velocity }
}

/// Gradient sums of some elements of a parameter: rows of `row` elements, of which the first begins
/// at element `first` and each at `stride` behind the one before.
#[derive(Clone, Copy)]
struct GradTile {
    sums: Region,
    row: usize,
    first: usize,
    stride: usize,
}

impl GradTile {
    /// Where the rows begin in the parameter.
    fn starts(self) -> impl Iterator<Item = usize> {
        (self.first..).step_by(self.stride.max(1))
    }
}

/// The update of a parameter before the gradient's unit is known.
#[derive(Clone, Copy)]
struct Template {
    lr: Lr,
    decay: Lr,
    exponent: i16,
    round: Round,
    key: Key,
}

impl Template {
    fn at(self, grad_exponent: i16) -> Update {
        let step = i32::from(self.lr.exponent) + i32::from(grad_exponent);
        Update {
            lr: self.lr.mantissa.into(),
            shift: i32::from(self.exponent) - step,
            decay: self.decay.mantissa.into(),
            decay_shift: -i32::from(self.decay.exponent),
            round: self.round,
            key: self.key,
        }
    }
}
