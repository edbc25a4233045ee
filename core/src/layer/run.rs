//! What layers do in a step: each answers some of these questions, over views of its tensors.

use core::ops::Range;

use super::Average;
use crate::{
    kernel::Kernel,
    tensor::{Mantissas, MantissasMut, Shape},
    uses::Uses,
};

/// What a layer does in a step. Rows are pixels of all samples in memory, or samples where there are
/// no pixels.
pub(crate) trait Operator: Copy {
    /// Sums of some rows of the output, without the bias.
    #[inline(always)]
    fn forward<K: Kernel, U: Uses>(self, _: Forward<'_, K>) {}

    /// Sums of some numbers of the gradient by the input.
    #[inline(always)]
    fn input_grad<K: Kernel, U: Uses>(self, _: InputGrad<'_, K>) {}

    /// Sums of a block of the gradient by the weight.
    #[inline(always)]
    fn weight_grad<K: Kernel, U: Uses>(self, _: WeightGrad<'_, K>) {}

    /// Whether weight gradients are best added to what is there.
    #[inline(always)]
    fn adds<K: Kernel>(self, _: &K) -> bool {
        false
    }

    /// Changes codes in their place.
    #[inline(always)]
    fn apply(self, _: MantissasMut<'_>) {}

    /// As [`apply`](Self::apply), for sums.
    #[inline(always)]
    fn apply_sums(self, _: &mut [i32]) {}

    /// Lets a gradient through where the output allows it.
    #[inline(always)]
    fn pass_back(self, _grad: &mut [i32], _output: Mantissas<'_>) {}
}

/// A layer on its way forward.
pub(crate) struct Forward<'r, K> {
    pub(crate) kernel: &'r K,
    /// Shape of one input, and numbers in a row of the weight.
    pub(crate) from: Shape,
    pub(crate) depth: usize,
    pub(crate) samples: usize,
    pub(crate) x: Mantissas<'r>,
    pub(crate) weight: Mantissas<'r>,
    pub(crate) drop: u8,
    /// The rows of the output that are wanted.
    pub(crate) rows: Range<usize>,
    pub(crate) sums: &'r mut [i32],
    pub(crate) average: Average,
    /// What the layer keeps for the way back, of all rows.
    pub(crate) memo: &'r mut [i8],
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
    /// Gradient of the output.
    pub(crate) grad: Mantissas<'r>,
    pub(crate) weight: Mantissas<'r>,
    pub(crate) drop: u8,
    /// The number of the input that the first sum is for. Layers that see an input as a vector are
    /// asked for whole ones, others for whole pixels.
    pub(crate) first: usize,
    pub(crate) sums: &'r mut [i32],
    pub(crate) average: Average,
    pub(crate) memo: &'r [i8],
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
