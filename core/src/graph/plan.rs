//! The memory plan: where every tensor lives, for how long, and how wide its sums are.
//!
//! The same `const fn` serves a `static` arena on a chip and the simulator. Parameters come
//! first, so that a checkpoint is one range of bytes. Activations live from their forward pass to
//! their last use in the backward pass; what is never alive at the same time shares memory.

use super::{
    builder::{Graph, GraphView},
    layer::{Kind, Name},
    message::Message,
};
use crate::{
    config::{LayerConfig, Train},
    quant::ceil_log2,
    tensor::Width,
};

/// A tensor's place in the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Region {
    /// First byte.
    pub offset: u32,
    /// Mantissas.
    pub len: u32,
    /// Storage of one.
    pub width: Width,
    /// First and last moment of its life. Layer `i` runs forward at `i`, the loss at the number
    /// of layers `n`, and layer `i` backward at `2n - i`.
    pub life: (u16, u16),
}

impl Region {
    /// No memory at all.
    pub const NONE: Self = Self { offset: 0, len: 0, width: Width::I8, life: (0, 0) };

    /// Bytes, without padding.
    pub const fn bytes(self) -> usize {
        self.len as usize * self.width.bytes()
    }

    pub(crate) const fn range(self) -> core::ops::Range<usize> {
        self.offset as usize..self.offset as usize + self.bytes()
    }

    const fn end(self) -> u32 {
        // Every region starts at a multiple of four, so that any width is aligned.
        self.offset + (self.bytes() as u32).next_multiple_of(4)
    }
}

/// A sum that cannot overflow: `terms` products of `a` and `b` bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Sum {
    /// Magnitudes stay at or below `2^bits` before anything is dropped.
    pub bits: u8,
    /// Low bits that are jammed so that the rest fits 32 bits; zero for 8-bit operands.
    pub drop: u8,
}

impl Sum {
    const NONE: Self = Self { bits: 0, drop: 0 };
    /// Sums keep two bits of headroom in 32: one for the sign, one for adding the bias.
    const LIMIT: u8 = 30;

    const fn of(a: u8, b: u8, terms: usize) -> Self {
        let log = match ceil_log2(terms as u32) {
            Some(log) => log,
            None => 0,
        };
        let bits = (a - 1) + (b - 1) + log;
        Self { bits, drop: bits.saturating_sub(Self::LIMIT) }
    }

    /// Bits of the value that is left.
    pub const fn kept(self) -> u8 {
        self.bits - self.drop
    }
}

/// Where a parameter tensor lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ParamPlan {
    /// Master copy.
    pub master: Region,
    /// Momentum.
    pub velocity: Region,
    /// What the multiplication sees; the master itself where no bit differs.
    pub codes: Region,
    /// One bit an element: may the gradient pass?
    pub pass: Region,
    /// Gradients summed over micro-batches.
    pub sum: Region,
}

/// Where the tensors of a layer live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct LayerPlan {
    /// Weights.
    pub weight: ParamPlan,
    /// Biases.
    pub bias: ParamPlan,
    /// How far each output channel's bound lies below the tensor's.
    pub channels: Region,
    /// The layer whose activation holds this layer's output: its own index, or a lower one's
    /// when the layer works in place.
    pub output: u8,
    /// Bits of one code of the output.
    pub output_bits: u8,
    /// Output.
    pub activation: Region,
    /// One bit an element: may the gradient pass?
    pub pass: Region,
    /// Gradient of the output.
    pub grad: Region,
    /// The same with every channel's bound moved to the tensor's.
    pub aligned_grad: Region,
    /// Output sums.
    pub forward: Sum,
    /// Sums of the gradient by the input.
    pub input_grad: Sum,
    /// Sums of the weight gradient.
    pub weight_grad: Sum,
    /// Largest spread of the channels' bounds.
    pub spread: u8,
}

impl ParamPlan {
    const NONE: Self = Self {
        master: Region::NONE,
        velocity: Region::NONE,
        codes: Region::NONE,
        pass: Region::NONE,
        sum: Region::NONE,
    };
}

impl LayerPlan {
    const NONE: Self = Self {
        weight: ParamPlan::NONE,
        bias: ParamPlan::NONE,
        channels: Region::NONE,
        output: 0,
        output_bits: 0,
        activation: Region::NONE,
        pass: Region::NONE,
        grad: Region::NONE,
        aligned_grad: Region::NONE,
        forward: Sum::NONE,
        input_grad: Sum::NONE,
        weight_grad: Sum::NONE,
        spread: 0,
    };

    const fn transients(&self) -> [Region; 4] {
        [self.activation, self.pass, self.grad, self.aligned_grad]
    }
}

/// What decides memory besides the layers' own settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Samples of one step.
    pub batch: u16,
    /// Samples in memory at once.
    pub micro_batch: u16,
    /// Storage of the momentum, if any.
    pub velocity: Option<Width>,
    /// 32-bit sums in memory at once where the range rule allows pieces. More is faster on a
    /// desktop and changes no result. At least one row of each layer always fits.
    pub tile: usize,
}

impl Sizes {
    /// The sizes of a run, with the smallest tiles.
    pub const fn of(train: &Train) -> Self {
        Self {
            batch: train.batch,
            micro_batch: train.micro_batch,
            velocity: if train.momentum > 0 { Some(train.velocity) } else { None },
            tile: 0,
        }
    }

    /// With larger tiles.
    #[must_use]
    pub const fn tile(self, tile: usize) -> Self {
        Self { tile, ..self }
    }
}

/// Which hooks of a layer need memory of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HookNeeds {
    /// A strategy works on the weights.
    pub weight: bool,
    /// A strategy leaves weights between the codes.
    pub weight_off_grid: bool,
    /// A strategy leaves activations between the codes.
    pub activation_off_grid: bool,
}

/// Why there is no plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PlanError {
    /// Not as many settings as layers, or none.
    LayerCount,
    /// A batch of zero samples.
    Batch,
    /// A layer that sums has no activation point.
    MissingPoint {
        /// The layer.
        layer: Name,
    },
    /// More bytes than 32 bits can count.
    TooLarge {
        /// The layer at which that happens.
        layer: Name,
    },
}

impl PlanError {
    /// The error in words, also inside a `const`.
    pub const fn message(&self) -> Message {
        let m = Message::new();
        match self {
            Self::LayerCount => m.text("the graph and the configuration differ in their layers"),
            Self::Batch => m.text("a batch and a micro-batch hold at least one sample"),
            Self::MissingPoint { layer } => m
                .text("layer ")
                .text(layer.as_str())
                .text(": it makes sums, so it needs an activation point and an activation ")
                .text("gradient point"),
            Self::TooLarge { layer } => {
                m.text("layer ").text(layer.as_str()).text(": the arena would exceed 4 GiB")
            }
        }
    }
}

impl core::fmt::Display for PlanError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.message().as_str())
    }
}

impl core::error::Error for PlanError {}

/// The memory plan of a graph of at most `N` layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan<const N: usize> {
    layers: [LayerPlan; N],
    len: u8,
    /// Sums on their way to a point.
    pub scratch: Region,
    /// One row of sums: a bias on the grid of the output sums, or a bias gradient.
    pub row: Region,
    /// Samples in memory at once.
    pub micro_batch: u16,
    /// Bytes of parameters, at the start of the arena.
    pub persistent: usize,
    ram: usize,
}

impl<const N: usize> Graph<N> {
    /// The plan of a network with the same settings in every layer, for a `const`.
    pub const fn plan(&self, train: &Train, layer: &LayerConfig) -> Plan<N> {
        let view = self.view();
        let mut settings = [layer.passing(); N];
        let mut i = 0;
        while i < view.layers().len() {
            if view.layers()[i].kind.accumulates() {
                settings[i] = *layer;
            }
            i += 1;
        }
        let (settings, _) = settings.split_at(view.layers().len());
        match Plan::new(view, settings, Sizes::of(train), &[]) {
            Ok(plan) => plan,
            Err(error) => panic!("{}", error.message().as_str()),
        }
    }
}

impl<const N: usize> Plan<N> {
    /// Lays out the arena. `hooks` may be shorter than the layers; the rest needs nothing.
    pub const fn new(
        graph: GraphView<'_>,
        settings: &[LayerConfig],
        sizes: Sizes,
        hooks: &[HookNeeds],
    ) -> Result<Self, PlanError> {
        let layers = graph.layers();
        let count = layers.len();
        if count == 0 || count > N || count != settings.len() {
            return Err(PlanError::LayerCount);
        }
        if sizes.batch == 0 || sizes.micro_batch == 0 {
            return Err(PlanError::Batch);
        }
        let mut plan = Self {
            layers: [LayerPlan::NONE; N],
            len: count as u8,
            scratch: Region::NONE,
            row: Region::NONE,
            micro_batch: sizes.micro_batch,
            persistent: 0,
            ram: 0,
        };
        let mut cursor = Cursor { at: 0, overflow: false };
        let mut i = 0;
        while i < count {
            plan.place_masters(&mut cursor, graph, i, &settings[i], sizes);
            i += 1;
        }
        plan.persistent = cursor.at as usize;
        let mut tile = if sizes.tile < MIN_TILE { MIN_TILE } else { sizes.tile };
        let (mut whole, mut row) = (0, 0);
        let mut i = 0;
        while i < count {
            let layer = layers[i];
            let hook = if i < hooks.len() { hooks[i] } else { NO_HOOKS };
            let config = &settings[i];
            if layer.kind.accumulates() && config.activation.is_none() {
                return Err(PlanError::MissingPoint { layer: layer.name });
            }
            plan.place_params(&mut cursor, graph, i, config, sizes, hook);
            plan.find_sums(graph, i, config, sizes, hook);
            let demand = Demand::of(graph, i, config, sizes, hook);
            whole = max(whole, demand.whole);
            tile = max(tile, demand.row);
            row = max(row, demand.biases);
            if cursor.overflow {
                return Err(PlanError::TooLarge { layer: layer.name });
            }
            i += 1;
        }
        let life = (0, 2 * count as u16);
        plan.row = cursor.take(row, Width::I32, life);
        // Tiles larger than the largest tensor would only waste memory.
        let largest = largest_tensor(graph, sizes);
        let tile = if tile > largest { largest } else { tile };
        plan.scratch = cursor.take(max(whole, max(tile, MIN_TILE)), Width::I32, life);
        let base = cursor.at;
        let mut i = 0;
        while i < count {
            plan.place_transients(base, graph, i, &settings[i], hooks);
            i += 1;
        }
        if cursor.overflow || plan.end(base) < base {
            return Err(PlanError::TooLarge { layer: layers[count - 1].name });
        }
        plan.ram = plan.end(base) as usize;
        Ok(plan)
    }

    /// Bytes of the arena.
    pub const fn ram(&self) -> usize {
        self.ram
    }

    /// One entry a layer.
    pub const fn layers(&self) -> &[LayerPlan] {
        self.layers.split_at(self.len as usize).0
    }

    const fn place_masters(
        &mut self,
        cursor: &mut Cursor,
        graph: GraphView<'_>,
        i: usize,
        config: &LayerConfig,
        sizes: Sizes,
    ) {
        let (weights, biases) = graph.layer_parameters(i);
        let layer = &mut self.layers[i];
        layer.weight.master = cursor.forever(weights, config.master.width);
        layer.bias.master = cursor.forever(biases, config.bias_master.width);
        if let Some(width) = sizes.velocity {
            layer.weight.velocity = cursor.forever(weights, width);
            layer.bias.velocity = cursor.forever(biases, width);
        }
        // The spread of the channels decides inference too, so it belongs to a checkpoint.
        if config.per_channel && weights > 0 {
            let channels = graph.layers()[i].shape.0[0] as usize;
            layer.channels = cursor.forever(channels, Width::I8);
        }
    }

    const fn place_params(
        &mut self,
        cursor: &mut Cursor,
        graph: GraphView<'_>,
        i: usize,
        config: &LayerConfig,
        sizes: Sizes,
        hook: HookNeeds,
    ) {
        let (weights, biases) = graph.layer_parameters(i);
        let layer = &mut self.layers[i];
        let off = hook.weight_off_grid;
        let weight_width = storage(config.weight.bits(), off);
        let bias_width = storage(config.bias.bits(), off);
        let accumulate = sizes.micro_batch < sizes.batch;
        layer.weight.codes = layer.weight.master;
        layer.bias.codes = layer.bias.master;
        if !config.weight_is_master() || hook.weight {
            layer.weight.codes = cursor.forever(weights, weight_width);
            layer.weight.pass = cursor.mask(weights, config.weight.clip);
        }
        if !config.bias_is_master() || hook.weight {
            layer.bias.codes = cursor.forever(biases, bias_width);
            layer.bias.pass = cursor.mask(biases, config.bias.clip);
        }
        if accumulate {
            layer.weight.sum = cursor.forever(weights, Width::I32);
            layer.bias.sum = cursor.forever(biases, Width::I32);
        }
    }

    const fn find_sums(
        &mut self,
        graph: GraphView<'_>,
        i: usize,
        config: &LayerConfig,
        sizes: Sizes,
        hook: HookNeeds,
    ) {
        let layer = graph.layers()[i];
        let from = self.layers[layer.input as usize];
        let input_bits = from.output_bits;
        let plan = &mut self.layers[i];
        match config.activation {
            Some(point) => {
                plan.output = i as u8;
                plan.output_bits =
                    if hook.activation_off_grid { OFF_GRID_BITS } else { point.bits() };
            }
            None => {
                plan.output = from.output;
                plan.output_bits = input_bits;
            }
        }
        let (Kind::Dense { units, .. }, Some(grad)) = (layer.kind, config.activation_grad) else {
            return;
        };
        let inputs = graph.layers()[layer.input as usize].shape.elements();
        let weight_bits = if hook.weight_off_grid { OFF_GRID_BITS } else { config.weight.bits() };
        plan.forward = Sum::of(input_bits, weight_bits, inputs);
        plan.weight_grad = Sum::of(input_bits, grad.bits, sizes.batch as usize);
        if config.per_channel {
            let room = Sum::LIMIT - min(plan.forward.bits, Sum::LIMIT);
            plan.spread = min(MAX_SPREAD, min(room, 16 - grad.bits));
        }
        plan.input_grad = Sum::of(weight_bits, grad.bits + plan.spread, units as usize);
    }

    const fn place_transients(
        &mut self,
        base: u32,
        graph: GraphView<'_>,
        i: usize,
        config: &LayerConfig,
        hooks: &[HookNeeds],
    ) {
        let n = graph.layers().len() as u16;
        let here = i as u16;
        let numbers = self.micro_batch as usize * graph.layers()[i].shape.elements();
        let off = i < hooks.len() && hooks[i].activation_off_grid;
        if let Some(point) = config.activation {
            let last_use = if here + 1 == n { n } else { 2 * n - here - 1 };
            let width = storage(point.bits(), off);
            let life = (here, max_u16(last_use, n));
            self.layers[i].activation = self.fit(base, numbers, width, life);
            if point.clip && trains(graph, i) {
                let life = (here, 2 * n - here);
                self.layers[i].pass = self.fit(base, numbers.div_ceil(8), Width::I8, life);
            }
        }
        if let (Some(grad), true) = (config.activation_grad, trains(graph, i)) {
            let mut above = i + 1;
            while above < n as usize && graph.layer_parameters(above).0 == 0 {
                above += 1;
            }
            let life = (2 * n - above as u16, 2 * n - here);
            let width = Width::for_bits(grad.bits);
            self.layers[i].grad = self.fit(base, numbers, width, life);
            if self.layers[i].spread > 0 {
                let life = (2 * n - here, 2 * n - here);
                self.layers[i].aligned_grad = self.fit(base, numbers, Width::I16, life);
            }
        }
    }

    /// The lowest place that no living tensor occupies.
    const fn fit(&self, base: u32, len: usize, width: Width, life: (u16, u16)) -> Region {
        let mut region = Region { offset: base, len: len as u32, width, life };
        let mut i = 0;
        while i < self.len as usize {
            let others = self.layers[i].transients();
            let mut k = 0;
            while k < others.len() {
                let other = others[k];
                let together = other.life.0 <= life.1 && life.0 <= other.life.1;
                let overlap = other.offset < region.end() && region.offset < other.end();
                if other.len > 0 && together && overlap {
                    region.offset = other.end();
                    // Earlier neighbours may now be in the way: look again from the start.
                    i = 0;
                    k = 0;
                    continue;
                }
                k += 1;
            }
            i += 1;
        }
        region
    }

    const fn end(&self, base: u32) -> u32 {
        let (mut end, mut i) = (base, 0);
        while i < self.len as usize {
            let regions = self.layers[i].transients();
            let mut k = 0;
            while k < regions.len() {
                if regions[k].len > 0 && regions[k].end() > end {
                    end = regions[k].end();
                }
                k += 1;
            }
            i += 1;
        }
        end
    }
}

/// Smallest number of sums worth a call of a kernel.
const MIN_TILE: usize = 64;
/// Channel bounds may lie this far below the tensor's.
const MAX_SPREAD: u8 = 7;
/// Bits of codes that lie between the grid's.
const OFF_GRID_BITS: u8 = 16;
const NO_HOOKS: HookNeeds =
    HookNeeds { weight: false, weight_off_grid: false, activation_off_grid: false };

const fn storage(bits: u8, off_grid: bool) -> Width {
    if off_grid { Width::I16 } else { Width::for_bits(bits) }
}

/// True when a gradient reaches the output of layer `i`: it or a layer below has parameters.
pub(crate) const fn trains(graph: GraphView<'_>, i: usize) -> bool {
    let mut k = 0;
    while k <= i {
        if graph.layer_parameters(k).0 > 0 {
            return true;
        }
        k += 1;
    }
    false
}

/// 32-bit sums that a layer needs in memory at once.
struct Demand {
    /// Because a range rule looks at the whole tensor.
    whole: usize,
    /// Because work goes row by row.
    row: usize,
    biases: usize,
}

impl Demand {
    const fn of(
        graph: GraphView<'_>,
        i: usize,
        config: &LayerConfig,
        sizes: Sizes,
        hook: HookNeeds,
    ) -> Self {
        let layer = graph.layers()[i];
        let outputs = layer.shape.elements();
        let (weights, biases) = graph.layer_parameters(i);
        let samples = sizes.micro_batch as usize;
        let mut whole = 0;
        if let Some(point) = config.activation
            && (point.train.range.needs_whole_tensor() || point.infer.range.needs_whole_tensor())
        {
            whole = samples * outputs;
        }
        if let Some(grad) = config.activation_grad
            && grad.range.needs_whole_tensor()
            && trains(graph, i)
        {
            whole = max(whole, samples * outputs);
        }
        let accumulate = sizes.micro_batch < sizes.batch;
        if config.weight_grad.range.needs_whole_tensor() && !accumulate {
            whole = max(whole, weights);
        }
        let sweeps = matches!(config.weight.train.range, crate::quant::Range::Sweep)
            || matches!(config.weight.infer.range, crate::quant::Range::Sweep);
        if (sweeps || hook.weight && config.weight.train.range.needs_whole_tensor())
            && !config.per_channel
        {
            whole = max(whole, weights);
        }
        let inputs = graph.layers()[layer.input as usize].shape.elements();
        let mut row =
            if layer.kind.accumulates() || config.activation.is_some() { outputs } else { 0 };
        // Gradients by the input, and weights with a bound for every channel, go row by row.
        if weights > 0 && (trains(graph, layer.input as usize) || config.per_channel) {
            row = max(row, inputs);
        }
        Self { whole, row, biases }
    }
}

const fn largest_tensor(graph: GraphView<'_>, sizes: Sizes) -> usize {
    let (mut largest, mut i) = (0, 0);
    while i < graph.layers().len() {
        let (weights, _) = graph.layer_parameters(i);
        let samples = sizes.micro_batch as usize * graph.layers()[i].shape.elements();
        largest = max(largest, max(weights, samples));
        i += 1;
    }
    largest
}

struct Cursor {
    at: u32,
    overflow: bool,
}

impl Cursor {
    const fn take(&mut self, len: usize, width: Width, life: (u16, u16)) -> Region {
        if len == 0 {
            return Region::NONE;
        }
        let bytes = len as u64 * width.bytes() as u64;
        if self.at as u64 + bytes + 4 > u32::MAX as u64 {
            self.overflow = true;
            return Region::NONE;
        }
        let region = Region { offset: self.at, len: len as u32, width, life };
        self.at = region.end();
        region
    }

    const fn forever(&mut self, len: usize, width: Width) -> Region {
        self.take(len, width, (0, u16::MAX))
    }

    const fn mask(&mut self, elements: usize, wanted: bool) -> Region {
        if wanted { self.forever(elements.div_ceil(8), Width::I8) } else { Region::NONE }
    }
}

const fn max(a: usize, b: usize) -> usize {
    if a > b { a } else { b }
}

const fn max_u16(a: u16, b: u16) -> u16 {
    if a > b { a } else { b }
}

const fn min(a: u8, b: u8) -> u8 {
    if a < b { a } else { b }
}
