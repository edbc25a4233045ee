//! The forward pass: for every layer, sums into tiles, tiles through the activation point.

use core::ops::Range;

use super::{
    engine::{Engine, Mode, Of},
    point::{Mask, Pass, Sums, widen},
    state::Tensor,
};
use crate::{
    graph::{Kind, LayerPlan, Region, pick},
    kernel::Kernel,
    layer::{dense, relu},
    quant::Point,
    strategy::Strategy,
    tensor::{Mantissas, MantissasMut, Matrix, Source},
    uses::{Part, Uses},
};

/// Samples as they come from a sensor or a file: `value = mantissa * 2^exponent`.
#[derive(Clone, Copy, Debug)]
pub struct Samples<'a> {
    /// Mantissas, one sample after the other.
    pub data: SampleData<'a>,
    /// Exponent of their unit.
    pub exponent: i16,
}

/// Storage of samples.
#[derive(Clone, Copy, Debug)]
pub enum SampleData<'a> {
    /// Pixels.
    U8(&'a [u8]),
    /// Signed bytes.
    I8(&'a [i8]),
    /// 16-bit sensor readings.
    I16(&'a [i16]),
}

impl<'a> Samples<'a> {
    /// How many mantissas there are.
    pub const fn len(&self) -> usize {
        match self.data {
            SampleData::U8(d) => d.len(),
            SampleData::I8(d) => d.len(),
            SampleData::I16(d) => d.len(),
        }
    }

    /// True when there are none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Mantissas `from..from + len`, or none.
    #[must_use]
    pub fn part(self, from: usize, len: usize) -> Samples<'a> {
        let range = from..from.saturating_add(len);
        let data = match self.data {
            SampleData::U8(d) => SampleData::U8(d.get(range).unwrap_or_default()),
            SampleData::I8(d) => SampleData::I8(d.get(range).unwrap_or_default()),
            SampleData::I16(d) => SampleData::I16(d.get(range).unwrap_or_default()),
        };
        Samples { data, ..self }
    }

    /// The samples as codes of 8 bits, where they are such.
    pub(crate) fn codes(self) -> Option<&'a [i8]> {
        match self.data {
            SampleData::I8(d) => Some(d),
            SampleData::U8(d) if d.is_ascii() => Some(bytemuck::cast_slice(d)),
            SampleData::U8(_) | SampleData::I16(_) => None,
        }
    }

    fn source(self) -> Source<'a> {
        match self.data {
            SampleData::U8(d) => Source::U8(d),
            SampleData::I8(d) => Source::I8(d),
            SampleData::I16(d) => Source::I16(d),
        }
    }

    const fn bits(&self) -> u8 {
        match self.data {
            SampleData::U8(_) => 8,
            SampleData::I8(_) => 7,
            SampleData::I16(_) => 15,
        }
    }
}

impl<'e, K: Kernel, S: Strategy, U: Uses> Engine<'e, K, S, U> {
    /// All layers over `count` samples, of which the first is sample `base` of the step.
    pub(crate) fn forward(&mut self, samples: Samples<'e>, count: usize, base: u32) {
        for (i, layer) in self.graph.layers().iter().enumerate() {
            let Some(config) = self.layers.get(i) else { return };
            match config.activation {
                Some(_) if layer.kind == Kind::Input && !U::uses(Part::InputPoint) => {}
                None if layer.kind == Kind::Input => self.read_in_place(i, samples),
                Some(point) => self.forward_point(i, point, samples, count, base),
                None => self.forward_in_place(i, count),
            }
        }
    }

    /// The samples are the codes of the first layer.
    fn read_in_place(&mut self, i: usize, samples: Samples<'e>) {
        self.samples = samples.codes().unwrap_or_default();
        if let Some(state) = self.states.get_mut(i) {
            state.output_exponent = samples.exponent;
        }
    }

    /// Layers without a point work on the codes of the layer below.
    fn forward_in_place(&mut self, i: usize, count: usize) {
        let (Some(plan), Some(layer)) = (self.plan.get(i), self.graph.layers().get(i)) else {
            return;
        };
        let Some(below) = self.plan.get(usize::from(plan.output)) else { return };
        if layer.kind == Kind::Relu {
            let [mut codes] = pick(self.memory, [below.activation]);
            relu::forward(codes.part(0, count * layer.shape.elements()));
        }
        let exponent = self.states.get(usize::from(layer.input)).map(|s| s.output_exponent);
        if let (Some(state), Some(exponent)) = (self.states.get_mut(i), exponent) {
            state.output_exponent = exponent;
        }
    }

    fn forward_point(
        &mut self,
        i: usize,
        point: Point,
        samples: Samples<'_>,
        count: usize,
        base: u32,
    ) {
        let (Some(plan), Some(&layer)) = (self.plan.get(i), self.graph.layers().get(i)) else {
            return;
        };
        let numbers = layer.shape.elements();
        let Some(input) = self.input_of(i) else { return };
        let sums = match layer.kind {
            Kind::Input if !U::uses(Part::InputPoint) => return,
            Kind::Input => Sums { exponent: samples.exponent, bits: samples.bits(), slack: 0 },
            Kind::Dense { .. } => self.dense_sums(i, plan, &input),
            Kind::Relu | Kind::Flatten if !U::uses(Part::PassingPoints) => return,
            Kind::Relu | Kind::Flatten => {
                Sums { exponent: input.exponent, bits: input.bits, slack: 0 }
            }
        };
        let quant = if self.mode == Mode::Train { point.train } else { point.infer };
        let tensor = Tensor::Activation;
        let mut pass = self.pass(Of { layer: i, tensor, quant, sums, row: numbers });
        self.align_bias(i, plan, sums.exponent);
        if U::uses(Part::Clipping)
            && let [MantissasMut::I8(mask)] = pick(self.memory, [plan.pass])
        {
            mask.fill(-1);
        }
        if pass.is_direct() && self.forward_direct(i, &mut pass, &input, samples, count, base) {
            self.keep_activation(i, &mut pass);
            return;
        }
        let rows = tile_rows(plan.forward_tile.len as usize, numbers, count);
        for (at, rows) in pieces(count, rows) {
            let tile = Region { len: (rows * numbers) as u32, ..plan.forward_tile };
            self.forward_sums(i, &input, samples, tile, at..at + rows, count);
            let base = base.wrapping_mul(numbers as u32);
            self.emit_tile(&mut pass, tile, [plan.activation, plan.pass], at * numbers, base);
        }
        self.keep_activation(i, &mut pass);
    }

    /// Numbers that are only passed on need not become sums on their way to the point. False where
    /// the layer makes new ones.
    fn forward_direct(
        &mut self,
        i: usize,
        pass: &mut Pass<U>,
        input: &Input,
        samples: Samples<'_>,
        count: usize,
        base: u32,
    ) -> bool {
        let (Some(plan), Some(layer)) = (self.plan.get(i), self.graph.layers().get(i)) else {
            return false;
        };
        let is_input = layer.kind == Kind::Input && U::uses(Part::InputPoint);
        let is_flatten = layer.kind == Kind::Flatten && U::uses(Part::PassingPoints);
        if !is_input && !is_flatten {
            return false;
        }
        let below = if is_input { Region::NONE } else { input.region };
        let [codes, mask, x] = pick(self.memory, [plan.activation, plan.pass, below]);
        let MantissasMut::I8(mask) = mask else { return false };
        let source = match (is_input, input.in_place) {
            (true, _) => samples.source(),
            (_, true) => Source::I8(self.samples),
            _ => Source::from(x),
        };
        let numbers = layer.shape.elements();
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
    fn forward_sums(
        &mut self,
        i: usize,
        input: &Input,
        samples: Samples<'_>,
        tile: Region,
        Range { start: at, end }: Range<usize>,
        count: usize,
    ) {
        let (Some(plan), Some(layer)) = (self.plan.get(i), self.graph.layers().get(i)) else {
            return;
        };
        let (numbers, rows) = (layer.shape.elements(), end - at);
        let below = if layer.kind == Kind::Input { Region::NONE } else { input.region };
        let regions = [tile, self.row, plan.weight.codes, plan.channels_now, below];
        let [sums, row, weight, channels, x] = pick(self.memory, regions);
        let (MantissasMut::I32(sums), MantissasMut::I32(row)) = (sums, row) else { return };
        let x = if input.in_place { Mantissas::I8(self.samples) } else { x.as_ref() };
        match layer.kind {
            Kind::Input if U::uses(Part::InputPoint) => {
                samples.source().part(at * numbers, sums.len()).copy_to(sums);
            }
            Kind::Dense { .. } => {
                let bias = row.get(..plan.bias.master.len as usize).unwrap_or_default();
                let weight = Matrix::new(weight.as_ref(), numbers, input.numbers);
                let channels = match channels.as_ref() {
                    Mantissas::I8(below) if U::uses(Part::Channels) && !below.is_empty() => {
                        Some(dense::Channels { below, spread: plan.spread })
                    }
                    _ => None,
                };
                let x = Matrix::new(x, count, input.numbers).row_range(at, rows);
                let drop = plan.forward.drop;
                dense::forward::<K, U>(self.kernel, x, weight, drop, channels, bias, sums);
            }
            Kind::Relu if U::uses(Part::PassingPoints) => {
                widen(x.part(at * numbers, sums.len()), sums);
                relu::forward_sums(sums);
            }
            Kind::Flatten if U::uses(Part::PassingPoints) => {
                widen(x.part(at * numbers, sums.len()), sums);
            }
            Kind::Input | Kind::Relu | Kind::Flatten => {}
        }
    }

    /// The sums of a tile through their point into codes and mask. Its first element is element
    /// `at` of what is in memory, which begins with element `base` of the step.
    #[inline(never)]
    pub(crate) fn emit_tile(
        &mut self,
        pass: &mut Pass<U>,
        tile: Region,
        [codes, mask]: [Region; 2],
        at: usize,
        base: u32,
    ) {
        let [sums, mut codes, mask] = pick(self.memory, [tile, codes, mask]);
        let (MantissasMut::I32(sums), MantissasMut::I8(mask)) = (sums, mask) else { return };
        let first = base.wrapping_add(at as u32);
        pass.before(self.strategy, sums, first);
        pass.look(self.kernel, (&*sums).into());
        pass.settle(sums);
        let codes = codes.part(at, sums.len());
        let mask = Mask { bits: bytemuck::cast_slice_mut(mask), first: at as u32 };
        pass.emit(self.kernel, self.strategy, (&*sums).into(), first, codes, mask);
    }

    fn keep_activation(&mut self, i: usize, pass: &mut Pass<U>) {
        let passed = pass.finish();
        self.keep(i, Tensor::Activation, passed.state);
        if let Some(state) = self.states.get_mut(i) {
            state.output_exponent = passed.exponent;
            state.output_clipped = passed.clipped;
        }
    }

    /// The output sums of a dense layer: products first, then the bias.
    fn dense_sums(&self, i: usize, plan: &LayerPlan, input: &Input) -> Sums {
        let (weight, bias) = self.state(i).map_or((0, 0), |s| (s.weight_exponent, s.bias_limit));
        let spread = if plan.channels.len > 0 { plan.spread } else { 0 };
        let up = i16::from(plan.forward.drop) - i16::from(spread);
        let exponent = input.exponent.saturating_add(weight).saturating_add(up);
        let products = plan.forward.kept().saturating_add(spread);
        let bits = if plan.bias.master.len > 0 {
            // A bias saturates at 2^30 on the grid of the sums.
            let bias = bias.saturating_sub(exponent).clamp(0, 30) as u8;
            products.max(bias).saturating_add(1)
        } else {
            products
        };
        let likely = products.saturating_sub(Sums::slack_of(input.numbers));
        Sums { exponent, bits, slack: bits.saturating_sub(likely) }
    }

    fn align_bias(&mut self, i: usize, plan: &LayerPlan, exponent: i16) {
        let len = plan.bias.master.len as usize;
        if len == 0 {
            return;
        }
        let left = i32::from(self.state(i).map_or(0, |s| s.bias_exponent)) - i32::from(exponent);
        let [row, bias] = pick(self.memory, [self.row, plan.bias.codes]);
        if let MantissasMut::I32(row) = row {
            dense::align_bias(bias.as_ref(), left, row.get_mut(..len).unwrap_or_default());
        }
    }

    /// Where the input of a layer lies now.
    pub(crate) fn input_of(&self, i: usize) -> Option<Input> {
        let layer = self.graph.layers().get(i)?;
        let from = usize::from(layer.input);
        let below = self.plan.get(from)?;
        let holder = self.plan.get(usize::from(below.output))?;
        Some(Input {
            in_place: holder.activation.len == 0,
            region: holder.activation,
            numbers: self.graph.input_shape(i).elements(),
            exponent: self.state(from)?.output_exponent,
            bits: below.output_bits.saturating_sub(1),
        })
    }
}

/// The input of a layer.
pub(crate) struct Input {
    /// The samples, where the caller has them.
    pub(crate) in_place: bool,
    pub(crate) region: Region,
    /// Elements of one sample.
    pub(crate) numbers: usize,
    pub(crate) exponent: i16,
    pub(crate) bits: u8,
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

/// How many rows of `numbers` sums fit into a region for `room` sums: in fours where there are as
/// many, because kernels take four at a time.
pub(crate) fn tile_rows(room: usize, numbers: usize, count: usize) -> usize {
    match room / numbers.max(1) {
        rows if rows >= count => count.max(1),
        rows @ 4.. => rows / 4 * 4,
        rows => rows.max(1),
    }
}
