//! The parts of a plan: places in memory, and sums that cannot overflow.

use core::fmt;

use crate::{
    layer::{Input, Kind, Output},
    tensor::{Shape, Width},
    trainer::Tensor,
};

/// A tensor's place in the arena, or among [stored](crate::stored) parameters. Eight bytes: on a chip,
/// a plan is hundreds of them in flash.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Region {
    /// The first byte, which is a multiple of four, in its low bits the storage, and in its highest
    /// whether it lies among stored parameters.
    place: u32,
    /// Mantissas.
    pub len: u32,
}

impl Region {
    /// No memory at all.
    pub const NONE: Self = Self::new(0, 0, Width::I8);

    /// `len` mantissas from byte `offset` on, rounded down to a multiple of four.
    pub const fn new(offset: u32, len: u32, width: Width) -> Self {
        Self { place: offset & !3 | width as u32, len }
    }

    /// The same place among stored parameters, instead of in the arena.
    pub(super) const fn stored(self) -> Self {
        Self { place: self.place | Self::STORED, ..self }
    }

    const STORED: u32 = 1 << 31;

    /// True for a place among stored parameters. Nothing of the arena lies there.
    pub const fn is_stored(self) -> bool {
        self.place & Self::STORED != 0
    }

    /// First byte among stored parameters.
    pub const fn stored_offset(self) -> u32 {
        self.place & !(3 | Self::STORED)
    }

    /// Bytes that the region takes among stored parameters: every one starts at a multiple of four.
    pub(crate) const fn stored_footprint(self) -> usize {
        self.bytes().next_multiple_of(4)
    }

    /// First byte in the arena.
    pub const fn offset(self) -> u32 {
        self.place & !3
    }

    /// Storage of one mantissa.
    pub const fn width(self) -> Width {
        match self.place & 3 {
            0 => Width::I8,
            1 => Width::I16,
            _ => Width::I32,
        }
    }

    /// Bytes, without padding.
    pub const fn bytes(self) -> usize {
        self.len as usize * self.width().bytes()
    }

    /// Its first `len` mantissas, or as if there were as many.
    pub(crate) const fn first(self, len: usize) -> Self {
        Self { len: len as u32, ..self }
    }

    /// `len` of its mantissas of 32 bits, or as if there were as many, from number `first` on.
    #[inline(always)]
    pub(crate) const fn part(self, first: usize, len: usize) -> Self {
        let offset = self.offset().saturating_add((first as u32).saturating_mul(4));
        Self::new(offset, len as u32, Width::I32)
    }

    pub(crate) const fn range(self) -> core::ops::Range<usize> {
        self.offset() as usize..self.offset() as usize + self.bytes()
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { len, .. } = *self;
        if self.is_stored() {
            write!(f, "{len} {:?} stored at {}", self.width(), self.stored_offset())
        } else {
            write!(f, "{len} {:?} at {}", self.width(), self.offset())
        }
    }
}

/// Memory that all layers share, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Shared {
    /// Sums on their way to a point.
    pub scratch: Region,
    /// One row of sums: a bias on the grid of the output sums, or a bias gradient.
    pub row: Region,
    /// Windows of pictures on their way to a product.
    pub room: Region,
}

/// A sum that cannot overflow: `terms` products of `a` and `b` bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Sum {
    /// Magnitudes stay at or below `2^bits` before anything is dropped.
    pub bits: u8,
    /// Low bits that are jammed so that the rest fits 32 bits; zero for 65,536 products of 8-bit
    /// operands.
    pub drop: u8,
}

impl Sum {
    pub(super) const NONE: Self = Self { bits: 0, drop: 0 };
    /// Any that fits.
    pub(super) const WHOLE: Self = Self { bits: Self::LIMIT, drop: 0 };
    /// Sums keep two bits of headroom in 32: one for the sign, one for adding the bias.
    pub(super) const LIMIT: u8 = 30;

    /// Terms are counted in 64 bits: those of the pixels of a batch are more than memory holds.
    pub(super) const fn of(a: u8, b: u8, terms: u64) -> Self {
        let log = (u64::BITS - terms.saturating_sub(1).leading_zeros()) as u8;
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
    /// Its largest value before the first step.
    pub limit: u32,
    /// Momentum of what moves.
    pub velocity: Region,
    /// What the multiplication sees; the master itself where no bit differs.
    pub codes: Region,
    /// One bit an element: may the gradient pass?
    pub pass: Region,
    /// Gradients of what moves, summed over micro-batches.
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
    /// As training found it; a checkpoint holds it, because inference may keep it.
    /// Of a layer that normalises channels: their running means and variances. Of one that goes through
    /// time: what the bound of its gates' gradients follows.
    pub channels: Region,
    /// The same in the pass at hand. Of a layer that normalises channels: their statistics and factors.
    /// Of one that goes through time: sums of a step.
    pub channels_now: Region,
    /// The layer whose activation holds this layer's output: its own index, or a lower one's
    /// when the layer works in place.
    pub output: u8,
    /// Bits of one code of the output.
    pub output_bits: u8,
    /// What the backward pass finds of the output.
    pub left: Left,
    /// Output.
    pub activation: Region,
    /// One bit an element: may the gradient pass?
    pub pass: Region,
    /// What the layer keeps until its gradient comes back.
    pub memo: Region,
    /// Gradient of the output.
    pub grad: Region,
    /// The same with every channel's bound moved to the tensor's. Of a layer that goes through time: the
    /// gradients of its gates.
    pub aligned_grad: Region,
    /// Output sums.
    pub forward: Sum,
    /// Sums of the gradient by the input.
    pub input_grad: Sum,
    /// Sums of the weight gradient.
    pub weight_grad: Sum,
    /// Sums of the bias gradient.
    pub bias_grad: Sum,
    /// Largest spread of the channels' bounds.
    pub spread: u8,
    /// Tensors whose bounds the trainer remembers.
    pub bounds: Bounds,
    /// Sums on their way to a point while the layer runs forward: memory that nothing else needs
    /// then, or the plan's scratch where there is less of it.
    pub forward_tile: Region,
    /// The same while the layer runs backward.
    pub backward_tile: Region,
    /// What a step would otherwise work out again each time.
    pub way: Way,
}

/// What the backward pass finds of the output of a layer. One byte: a plan has one for every layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Left {
    /// The output, where anything asks for it.
    Output,
    /// Of a ReLU: only max pools read it, and their winners say where it blocks, so that nobody asks its
    /// output. Of a max pool: it reads such a ReLU.
    Winners,
    /// Nothing: it is made again.
    Nothing,
}

impl Left {
    /// Whether winners stand for the output.
    pub(crate) const fn is_gated(self) -> bool {
        matches!(self, Self::Winners)
    }

    /// Whether the output is made again.
    pub const fn is_recomputed(self) -> bool {
        matches!(self, Self::Nothing)
    }
}

/// A layer's bounds among those of all layers: one for each of some neighbours in
/// [`Tensor::ALL`](crate::trainer::Tensor::ALL). Only momentum has a velocity, and layers without
/// parameters have at most an output and its gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Bounds {
    /// The first.
    pub first: u16,
    /// The tensor that it is of.
    pub from: u8,
    /// How many.
    pub len: u8,
    /// How many steps the rule of each looks back; zero where it does not.
    pub windows: [u8; Tensor::ALL.len()],
}

impl Bounds {
    const NONE: Self = Self { first: 0, from: 0, len: 0, windows: [0; Tensor::ALL.len()] };

    /// The first behind these.
    pub(crate) const fn end(self) -> usize {
        self.first as usize + self.len as usize
    }
}

/// What a layer does, where its numbers come from and where its gradient goes, and how many of them
/// are taken at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Way {
    /// What the layer does.
    pub kind: Kind,
    /// Shape of one input.
    pub from: Shape,
    /// Rows of one output: its pixels. And numbers in a row: its channels.
    pub rows: u32,
    /// See [`rows`](Self::rows).
    pub channels: u16,
    /// Numbers in one output.
    pub outputs: u32,
    /// Numbers in a row of the weight.
    pub depth: u32,
    /// What the numbers of the output are.
    pub output: Output,
    /// The layer whose output this one reads, and the one whose activation holds it.
    pub input: u8,
    /// The second layer whose output this one reads; [`input`](Self::input) where there is none.
    pub other: u8,
    /// See [`input`](Self::input).
    pub holder: u8,
    /// Bits of one code of the input.
    pub input_bits: u8,
    /// The layer whose point takes the gradient of this layer's output: its own index, or the next
    /// lower one with a point; [`NOWHERE`](Self::NOWHERE) where none does.
    pub target: u8,
    /// Rows of a tile of output sums.
    pub forward_rows: u32,
    /// Rows of a tile of sums of the output's gradient.
    pub grad_rows: u32,
    /// Rows and columns of a tile of the weight gradient.
    pub weight_rows: u16,
    /// See [`weight_rows`](Self::weight_rows).
    pub weight_cols: u32,
}

impl ParamPlan {
    pub(super) const NONE: Self = Self {
        master: Region::NONE,
        limit: 0,
        velocity: Region::NONE,
        codes: Region::NONE,
        pass: Region::NONE,
        sum: Region::NONE,
    };
}

impl LayerPlan {
    pub(crate) const NONE: Self = Self {
        weight: ParamPlan::NONE,
        bias: ParamPlan::NONE,
        channels: Region::NONE,
        channels_now: Region::NONE,
        output: 0,
        output_bits: 0,
        left: Left::Output,
        activation: Region::NONE,
        pass: Region::NONE,
        memo: Region::NONE,
        grad: Region::NONE,
        aligned_grad: Region::NONE,
        forward: Sum::NONE,
        input_grad: Sum::NONE,
        weight_grad: Sum::NONE,
        bias_grad: Sum::NONE,
        spread: 0,
        bounds: Bounds::NONE,
        forward_tile: Region::NONE,
        backward_tile: Region::NONE,
        way: Way::NONE,
    };

    /// What is stored of a layer's parameters, in order.
    pub fn stored_regions(&self) -> [Region; 3] {
        [self.weight.master, self.bias.master, self.channels]
    }

    pub(super) const fn transients(&self) -> [Region; 5] {
        [self.activation, self.pass, self.grad, self.aligned_grad, self.memo]
    }
}

impl Way {
    /// Stands for no layer.
    pub const NOWHERE: u8 = u8::MAX;

    pub(super) const NONE: Self = Self {
        kind: Kind::Input(Input),
        from: Shape([0; 3]),
        rows: 0,
        channels: 0,
        outputs: 0,
        depth: 0,
        output: Output::InPlace,
        input: 0,
        other: 0,
        holder: 0,
        input_bits: 0,
        target: Self::NOWHERE,
        forward_rows: 0,
        grad_rows: 0,
        weight_rows: 0,
        weight_cols: 0,
    };
}
