//! The forward pass: for every layer, sums into tiles, tiles through the activation point.

use core::ops::Range;

use super::{
    engine::{At, Engine, Mode},
    mask::Mask,
    norm::{norm_factors, norm_of},
    point::{Pass, Sums, grid},
    recurrent::lstm_of,
    samples::{SampleData, Samples},
    state::Tensor,
    stored::{in_arena, or_stored},
};
use crate::{
    graph::{Kind, LayerPlan, Region, nothing, pick},
    kernel::{Kernel, Rows, is_alone, share},
    layer::{self, Average, CURVE_EXPONENT, Forward, Operator, Output, Tag, operate},
    quant::Point,
    strategy::Strategy,
    tensor::{Mantissas, MantissasMut, Source, Width},
    uses::{Part, Uses},
};

impl<'e, K: Kernel, S: Strategy, U: Uses> Engine<'e, K, S, U> {
    /// All layers over `count` samples, of which the first is sample `base` of the step.
    // Not inlined, so that its frame is not under the backward pass.
    #[inline(never)]
    pub(crate) fn forward(&mut self, samples: Samples<'e>, count: usize, base: u32) {
        for i in 0..self.plan.len() {
            let Some(at) = self.at(i) else { return };
            let is_input = matches!(at.plan.way.kind, Kind::Input(_));
            match &at.config.activation {
                Some(_) if is_input && !U::uses(Part::InputPoint) => {}
                Some(point) => self.forward_point(at, point, samples, count, base),
                None if is_input => self.read_in_place(samples),
                None if U::links_windows() && usize::from(at.plan.output) == i => {
                    self.forward_codes(at, samples, count);
                }
                None => self.forward_in_place(at, count),
            }
        }
    }

    /// The samples are the codes of the first layer.
    fn read_in_place(&mut self, samples: Samples<'e>) {
        self.samples = match samples.data {
            SampleData::I8(codes) => codes,
            _ if U::uses(Part::InputPoint) => samples.codes().unwrap_or_default(),
            _ => &[],
        };
        self.put_exponent(0, samples.exponent);
    }

    /// Layers without a point work on the codes of the layer below.
    pub(super) fn forward_in_place(&mut self, at: At<'e>, count: usize) {
        let exponent = self.input_exponent(at.plan);
        if let Some(holder) = self.plan.get(usize::from(at.plan.output)) {
            let [codes] = pick(self.memory, [&holder.activation]);
            let mut codes = U::codes_mut(codes);
            let codes = codes.part(0, count * at.outputs());
            let (kernel, len) = (self.kernel, codes.as_ref().len());
            operate!(at.plan.way.kind, U, layer => {
                share(kernel, codes, len, |codes| layer.apply(codes, exponent));
            });
        }
        self.put_exponent(at.i, exponent);
    }

    /// Codes of the input, in a place of the layer's own.
    #[inline(always)]
    fn forward_codes(&mut self, at: At<'e>, samples: Samples<'_>, count: usize) {
        let way = &at.plan.way;
        let (rows, channels) = (count * way.rows as usize, usize::from(way.channels));
        for (from, rows) in pieces(rows, way.forward_rows as usize) {
            let tile = at.plan.forward_tile.first(rows * channels);
            self.forward_sums(at, samples, &tile, from..from + rows, count);
            let [sums, mut codes] = pick(self.memory, [&tile, &at.plan.activation]);
            if let MantissasMut::I32(sums) = sums {
                codes.part(from * channels, sums.len()).store(sums);
            }
        }
        self.put_exponent(at.i, self.input_exponent(at.plan));
    }

    #[inline(always)]
    fn forward_point(
        &mut self,
        at: At<'e>,
        point: &'e Point,
        samples: Samples<'_>,
        count: usize,
        base: u32,
    ) {
        let (plan, numbers) = (at.plan, at.outputs());
        let passed_on = |bits| Sums { exponent: self.input_exponent(plan), bits, slack: 0 };
        let sums = match plan.way.kind {
            Kind::Input(_) if U::uses(Part::InputPoint) => {
                Sums { exponent: samples.exponent, bits: samples.bits(), slack: 0 }
            }
            _ if let Some(norm) = norm_of::<U>(&plan.way) => {
                self.norm_statistics(at, norm, count);
                self.norm_unit(at)
            }
            _ if lstm_of::<U>(&plan.way).is_some() => Self::LSTM_SUMS,
            _ if plan.weight.master.len > 0 => self.product_sums(at),
            _ if U::links_joins() && plan.way.joins() => self.join_unit(plan).sums(),
            _ if U::links_windows() && plan.way.output == Output::Sums => self.mean_sums(at),
            _ if U::uses(Part::PassingPoints) => passed_on(plan.way.input_bits.saturating_sub(1)),
            _ => return,
        };
        let quant = if self.mode == Mode::Train { &point.train } else { &point.infer };
        let mut pass = self.pass(at.i, Tensor::Activation, quant, sums, numbers);
        if plan.bias.master.len > 0 {
            let recurrent = lstm_of::<U>(&plan.way).is_some();
            let exponent = if recurrent { self.gate_exponent(at) } else { sums.exponent };
            self.align_bias(at, exponent);
        }
        if norm_of::<U>(&plan.way).is_some() {
            self.norm_offsets(at);
        }
        if U::uses(Part::Clipping)
            && let [MantissasMut::I8(mask)] = pick(self.memory, [&plan.pass])
        {
            mask.fill(-1);
        }
        if !self.forward_direct(at, &mut pass, samples, count, base) {
            let base = base.wrapping_mul(numbers as u32);
            let (rows, row) = (count * plan.way.rows as usize, usize::from(plan.way.channels));
            for (from, rows) in pieces(rows, plan.way.forward_rows as usize) {
                let tile = plan.forward_tile.first(rows * row);
                self.forward_sums(at, samples, &tile, from..from + rows, count);
                let codes = [&plan.activation, &plan.pass];
                self.emit_tile(&mut pass, &tile, codes, from * row, base);
            }
        }
        let passed = pass.finish();
        self.keep(at.i, Tensor::Activation, &passed);
        self.put_exponent(at.i, passed.exponent);
        if U::uses(Part::Clipping)
            && let Some(now) = self.exponents.get_mut(at.i)
        {
            now.output_clipped = passed.clipped();
        }
    }

    /// Numbers that are only passed on need not become sums on their way to the point. False where
    /// the layer makes new ones, or where hooks or trials want sums.
    #[inline(always)]
    fn forward_direct(
        &mut self,
        at: At<'e>,
        pass: &mut Pass<'e, U>,
        samples: Samples<'_>,
        count: usize,
        base: u32,
    ) -> bool {
        let plan = at.plan;
        let is_input = matches!(plan.way.kind, Kind::Input(_)) && U::uses(Part::InputPoint);
        let is_flatten = matches!(plan.way.kind, Kind::Flatten(_)) && U::uses(Part::PassingPoints);
        if !(is_input || is_flatten) || !pass.is_direct() {
            return false;
        }
        let input = self.input_region(plan);
        let below = if is_input { &Region::NONE } else { input };
        let [codes, mask, x] = pick(self.memory, [&plan.activation, &plan.pass, below]);
        let MantissasMut::I8(mask) = mask else { return false };
        let source = match (is_input, input.len) {
            (true, _) => samples.source(),
            (_, 0) => Source::I8(self.samples),
            _ => Source::from(x),
        };
        let numbers = at.outputs();
        let source = source.part(0, count * numbers);
        let first = base.wrapping_mul(numbers as u32);
        pass.look(self.kernel, source);
        pass.settle(&[]);
        let mask = Mask { bits: bytemuck::cast_slice_mut(mask), first: 0 };
        pass.emit(self.kernel, self.strategy, source, first, codes, mask);
        true
    }

    /// The sums of some samples into a tile. Not inlined, nor is what follows: on a
    /// board, neither's frame shall lie under the other.
    #[inline(never)]
    pub(super) fn forward_sums(
        &mut self,
        at: At<'e>,
        samples: Samples<'_>,
        tile: &Region,
        rows: Range<usize>,
        count: usize,
    ) {
        let (plan, way) = (at.plan, &at.plan.way);
        if let Some(lstm) = lstm_of::<U>(way) {
            return self.lstm_forward(at, lstm, tile, rows);
        }
        let (row_len, is_input) = (usize::from(way.channels), matches!(way.kind, Kind::Input(_)));
        let input = self.input_region(plan);
        let below = if is_input { &Region::NONE } else { input };
        let channels = if U::uses(Part::Channels) { &plan.channels_now } else { &Region::NONE };
        let windows = U::links_windows();
        let norm = norm_of::<U>(way).is_some();
        let factors = norm_factors(&plan.channels_now, row_len, 1);
        let weight = if norm { &factors } else { in_arena::<U>(&plan.weight.codes) };
        let channels = if norm { &Region::NONE } else { in_arena::<U>(channels) };
        let joins = U::links_joins() && way.joins();
        let other = if joins { self.other_region(plan) } else { &Region::NONE };
        let left = if joins { self.join_shifts(plan) } else { [0; 2] };
        let exponent = self.input_exponent(plan);
        let draws = (U::links(Tag::Dropout) && self.mode == Mode::Train).then(|| self.draws(at));
        let [sums, row, weight, channels, x, memo, room, other_codes] = if windows {
            let room = self.room_for(input);
            let row = &self.shared.row;
            pick(self.memory, [tile, row, weight, channels, below, &plan.memo, &room, other])
        } else {
            let regions = [tile, &self.shared.row, weight, channels, below];
            let [sums, row, weight, channels, x] = pick(self.memory, regions);
            [sums, row, weight, channels, x, nothing(), nothing(), nothing()]
        };
        let (MantissasMut::I32(sums), MantissasMut::I32(row)) = (sums, row) else { return };
        let MantissasMut::I8(memo) = memo else { return };
        let first = rows.start * row_len;
        let memo = if memo.is_empty() {
            memo
        } else {
            memo.get_mut(first..first + sums.len()).unwrap_or_default()
        };
        let x = if input.len == 0 { Mantissas::I8(self.samples) } else { U::codes(x.as_ref()) };
        let stored = self.stored;
        let other = match other_codes.as_ref() {
            _ if joins && other.len == 0 => Mantissas::I8(self.samples),
            codes => U::codes(codes),
        };
        match way.kind {
            Kind::Input(_) if U::uses(Part::InputPoint) => {
                samples.source().part(rows.start * row_len, sums.len()).copy_to(sums);
            }
            kind => {
                // Products share their work themselves.
                let size = if plan.weight.master.len > 0 && !norm { 0 } else { sums.len() };
                let kernel = self.kernel;
                let run = Forward {
                    kernel,
                    from: way.from,
                    depth: way.depth as usize,
                    samples: count,
                    x,
                    exponent,
                    other,
                    left,
                    weight: match or_stored::<U>(stored, &plan.weight.codes, weight.as_ref()) {
                        factors if norm => factors,
                        codes => U::codes(codes),
                    },
                    drop: plan.forward.drop,
                    rows,
                    sums: &mut *sums,
                    average: if windows { at.average::<U>(true, self.mode) } else { Average::NONE },
                    gated: plan.left.is_gated(),
                    memo,
                    draws,
                    room,
                };
                if is_alone(kernel) {
                    operate!(kind, U, layer => layer.forward::<K, U>(run));
                } else {
                    operate!(kind, U, layer => {
                        share(kernel, run, size, |run| layer.forward::<K, U>(run));
                    });
                }
            }
        }
        if plan.weight.master.len == 0 {
            return;
        }
        let channels = match or_stored::<U>(stored, &plan.channels_now, channels.as_ref()) {
            Mantissas::I8(below) if U::uses(Part::Channels) && !below.is_empty() => {
                Some(layer::Channels { below, spread: plan.spread })
            }
            _ => None,
        };
        let bias = row.get(..plan.bias.master.len as usize).unwrap_or_default();
        let size = sums.len();
        share(self.kernel, Rows { row: row_len, sums }, size, |Rows { row, sums }| {
            if U::uses(Part::Channels)
                && let Some(channels) = channels
            {
                sums.chunks_exact_mut(row.max(1)).for_each(|row| channels.align(row));
            }
            layer::add_bias(bias, sums);
        });
    }

    /// The sums of a tile through their point into codes and mask. Its first element is element
    /// `at` of what is in memory, which begins with element `base` of the step.
    #[inline(never)]
    pub(crate) fn emit_tile(
        &mut self,
        pass: &mut Pass<'e, U>,
        tile: &Region,
        [codes, mask]: [&Region; 2],
        at: usize,
        base: u32,
    ) {
        let mask = if U::uses(Part::Clipping) { mask } else { &Region::NONE };
        let [sums, codes, mask] = pick(self.memory, [tile, codes, mask]);
        let mut codes = U::codes_mut(codes);
        let (MantissasMut::I32(sums), MantissasMut::I8(mask)) = (sums, mask) else { return };
        let first = base.wrapping_add(at as u32);
        pass.before(self.strategy, sums, first);
        pass.look(self.kernel, (&*sums).into());
        pass.settle(sums);
        let codes = codes.part(at, sums.len());
        let mask = Mask { bits: bytemuck::cast_slice_mut(mask), first: at as u32 };
        pass.emit(self.kernel, self.strategy, (&*sums).into(), first, codes, mask);
    }

    /// Room for windows of codes like those of a region.
    pub(crate) fn room_for(&self, codes: &Region) -> Region {
        let width = if codes.len > 0 { codes.width() } else { Width::I8 };
        Region::new(self.shared.room.offset(), self.shared.room.len / width.bytes() as u32, width)
    }

    /// What is known of sums of codes times a factor, and of curves.
    fn mean_sums(&self, at: At<'e>) -> Sums {
        let exponent = if U::links_curves() && at.plan.way.kind.bit() & Kind::CURVES != 0 {
            CURVE_EXPONENT
        } else {
            let shift = at.average::<U>(true, self.mode).shift;
            grid(self.input_exponent(at.plan), 0, -i16::from(shift))
        };
        Sums { exponent, bits: at.plan.forward.bits, slack: 0 }
    }

    /// What is known of the output sums of a layer with weights: products first, then the bias.
    fn product_sums(&self, at: At<'e>) -> Sums {
        let plan = at.plan;
        let (weight, bias) =
            self.exponents.get(at.i).map_or((0, 0), |now| (now.weight, now.bias_limit));
        let spread = if U::uses(Part::Channels) { plan.spread } else { 0 };
        let up = i16::from(plan.forward.drop) - i16::from(spread);
        let exponent = grid(self.input_exponent(plan), weight, up);
        let products = plan.forward.kept().saturating_add(spread);
        let bits = if plan.bias.master.len > 0 {
            // A bias saturates at 2^30 on the grid of the sums.
            let bias = (i32::from(bias) - i32::from(exponent)).clamp(0, 30) as u8;
            products.max(bias).saturating_add(1)
        } else {
            products
        };
        let likely = products.saturating_sub(Sums::slack_of(at.plan.way.depth as usize));
        Sums { exponent, bits, slack: bits.saturating_sub(likely) }
    }

    pub(super) fn align_bias(&mut self, at: At<'e>, exponent: i16) {
        let bias = &at.plan.bias;
        let from = self.exponents.get(at.i).map_or(0, |now| now.bias);
        let left = i32::from(from) - i32::from(exponent);
        let [row, codes] = pick(self.memory, [&self.shared.row, in_arena::<U>(&bias.codes)]);
        if let MantissasMut::I32(row) = row {
            let row = row.get_mut(..bias.master.len as usize).unwrap_or_default();
            let codes = or_stored::<U>(self.stored, &bias.codes, codes.as_ref());
            layer::align_bias(codes, left, row);
        }
    }

    /// Where the input of a layer lies now; no region where the caller has it, in
    /// [`samples`](Engine::samples).
    pub(crate) fn input_region(&self, plan: &LayerPlan) -> &'e Region {
        self.plan.get(usize::from(plan.way.holder)).map_or(&Region::NONE, |at| &at.activation)
    }

    /// Exponent of the codes of a layer's input.
    pub(crate) fn input_exponent(&self, plan: &LayerPlan) -> i16 {
        self.exponents.get(usize::from(plan.way.input)).map_or(0, |now| now.output)
    }

    fn put_exponent(&mut self, i: usize, exponent: i16) {
        if let Some(now) = self.exponents.get_mut(i) {
            now.output = exponent;
        }
    }
}

/// `count` things in pieces of `size`: the first of each piece, and how many it has.
pub(crate) fn pieces(count: usize, size: usize) -> impl Iterator<Item = (usize, usize)> {
    let size = size.max(1);
    let mut next = 0;
    core::iter::from_fn(move || {
        let (from, left) = (next, count.saturating_sub(next));
        let len = size.min(left);
        next = from.saturating_add(len);
        (len > 0).then_some((from, len))
    })
}
