//! What layers do in a step: each answers some of these questions, over views of its tensors.

use core::ops::Range;

use super::Average;
use crate::{
    kernel::{Cut, Kernel, whole_rows},
    rng::Key,
    tensor::{Mantissas, MantissasMut, Shape},
    uses::Uses,
};

/// What a layer does in a step. Rows are pixels of all samples in memory, or samples where there are
/// no pixels.
pub(crate) trait Operator: Copy + Sync {
    /// Sums of some rows of the output, without the bias: by default the numbers of the input, changed
    /// as they would be in their place.
    #[inline(always)]
    fn forward<K: Kernel, U: Uses>(self, run: Forward<'_, K>) {
        if U::links_copies() {
            let Forward { x, exponent, rows, sums, .. } = run;
            let first = rows.start * (sums.len() / rows.len().max(1));
            x.part(first, sums.len()).widen_into(sums);
            self.apply_sums(sums, exponent);
        }
    }

    /// Sums of some numbers of the gradient by the input: by default those of the output. What
    /// [`pass_back`](Self::pass_back) does is done later.
    #[inline(always)]
    fn input_grad<K: Kernel, U: Uses>(self, run: InputGrad<'_, K>) {
        if U::links_copies() {
            run.grad.part(run.first, run.sums.len()).widen_into(run.sums);
        }
    }

    /// Sums of a block of the gradient by the weight.
    #[inline(always)]
    fn weight_grad<K: Kernel, U: Uses>(self, _: WeightGrad<'_, K>) {}

    /// Whether weight gradients are best added to what is there.
    #[inline(always)]
    fn adds<K: Kernel>(self, _: &K) -> bool {
        false
    }

    /// Changes codes in their place. They are in units of `2^exponent`.
    #[inline(always)]
    fn apply(self, _codes: MantissasMut<'_>, _exponent: i16) {}

    /// As [`apply`](Self::apply), for sums.
    #[inline(always)]
    fn apply_sums(self, _sums: &mut [i32], _exponent: i16) {}

    /// Lets a gradient through where the output, in units of `2^exponent`, allows it.
    #[inline(always)]
    fn pass_back(self, _grad: &mut [i32], _output: Mantissas<'_>, _exponent: i16) {}
}

/// Random numbers for the output of a layer, one for each number.
#[derive(Clone, Copy)]
pub(crate) struct Draws {
    pub(crate) key: Key,
    /// That of the first number in memory.
    pub(crate) first: u32,
}

/// A layer on its way forward.
pub(crate) struct Forward<'r, K> {
    pub(crate) kernel: &'r K,
    /// Shape of one input, and numbers in a row of the weight.
    pub(crate) from: Shape,
    pub(crate) depth: usize,
    pub(crate) samples: usize,
    /// Codes of the input, in units of `2^exponent`.
    pub(crate) x: Mantissas<'r>,
    pub(crate) exponent: i16,
    /// The second input, and how far the numbers of both go to the left, where there are two.
    pub(crate) other: Mantissas<'r>,
    pub(crate) left: [i32; 2],
    /// Codes of the weight, or what stands for them in this step.
    pub(crate) weight: Mantissas<'r>,
    pub(crate) drop: u8,
    /// The rows of the output that are wanted.
    pub(crate) rows: Range<usize>,
    pub(crate) sums: &'r mut [i32],
    pub(crate) average: Average,
    /// True where no gradient passes a window without a number above zero: see
    /// [`Left::Winners`](crate::graph::Left::Winners).
    pub(crate) gated: bool,
    /// What the layer keeps for the way back, of these rows.
    pub(crate) memo: &'r mut [i8],
    /// Random numbers, in training.
    pub(crate) draws: Option<Draws>,
    /// Room for windows.
    pub(crate) room: MantissasMut<'r>,
}

/// A layer on its way back.
pub(crate) struct InputGrad<'r, K> {
    pub(crate) kernel: &'r K,
    /// Shape of one input, and numbers in a row of the weight.
    pub(crate) from: Shape,
    pub(crate) depth: usize,
    pub(crate) samples: usize,
    /// Channels of the output.
    pub(crate) channels: usize,
    /// True for the gradient by the second input, where there are two. `from` is the first one's.
    pub(crate) second: bool,
    /// Numbers of a pixel of the input whose gradient it is.
    pub(crate) pixel: usize,
    /// Gradient of the output.
    pub(crate) grad: Mantissas<'r>,
    /// Codes of the input, for layers that ask for them.
    pub(crate) x: Mantissas<'r>,
    /// Codes of the weight, or what stands for them in this step.
    pub(crate) weight: Mantissas<'r>,
    pub(crate) drop: u8,
    /// The number of the input that the first sum is for. Layers that see an input as a vector are
    /// asked for whole ones, others for whole pixels.
    pub(crate) first: usize,
    pub(crate) sums: &'r mut [i32],
    pub(crate) average: Average,
    pub(crate) memo: &'r [i8],
    /// As they were on the way forward.
    pub(crate) draws: Draws,
    pub(crate) room: MantissasMut<'r>,
}

/// The gradient of a weight.
pub(crate) struct WeightGrad<'r, K> {
    pub(crate) kernel: &'r K,
    /// Shape of one input, and numbers in a row of the weight.
    pub(crate) from: Shape,
    pub(crate) depth: usize,
    pub(crate) samples: usize,
    /// Gradient of the output.
    pub(crate) grad: Mantissas<'r>,
    pub(crate) x: Mantissas<'r>,
    pub(crate) drop: u8,
    /// Rows and columns of the weight that are wanted.
    pub(crate) units: Range<usize>,
    pub(crate) cols: Range<usize>,
    /// True when sums are added to what is there, for layers that can do it.
    pub(crate) add: bool,
    pub(crate) sums: &'r mut [i32],
    pub(crate) room: MantissasMut<'r>,
}

// Layers with weights leave threads to their products; these are for those that share no room.
impl<K: Kernel> Cut for Forward<'_, K> {
    fn cut(self, part: usize, parts: usize) -> (Self, Self) {
        let (rows, count) = (self.rows, self.sums.len());
        let row = count / rows.len().max(1);
        let at = whole_rows(count, row, part, parts);
        let (left, right) = self.sums.split_at_mut_checked(at).unwrap_or_default();
        let kept = self.memo.len() / count.max(1) * at;
        let (kept, more) = self.memo.split_at_mut_checked(kept).unwrap_or_default();
        let middle = rows.start + at / row.max(1);
        let (room, none) = self.room.split(usize::MAX);
        (
            Self { rows: rows.start..middle, sums: left, memo: kept, room, ..self },
            Self { rows: middle..rows.end, sums: right, memo: more, room: none, ..self },
        )
    }
}

impl<K: Kernel> Cut for InputGrad<'_, K> {
    fn cut(self, part: usize, parts: usize) -> (Self, Self) {
        let at = whole_rows(self.sums.len(), self.pixel, part, parts);
        let (left, right) = self.sums.split_at_mut_checked(at).unwrap_or_default();
        let (room, none) = self.room.split(usize::MAX);
        let first = self.first + at;
        (Self { sums: left, room, ..self }, Self { first, sums: right, room: none, ..self })
    }
}
