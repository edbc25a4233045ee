//! Vectors of numbers, one a channel, as depthwise convolutions use them.

use crate::tensor::Mantissa;

/// Numbers that are multiplied and added side by side.
pub(super) trait Lanes {
    /// Numbers of pictures and gradients.
    type Number: Mantissa;
    /// Weights and sums.
    type Sum: Copy + Default + Into<i64>;
    type Vector: Copy;
    const LANES: usize;

    /// A weight as [`add`](Self::add) takes it.
    fn weight(code: i32) -> Self::Sum;
    fn load(from: &[Self::Sum]) -> Self::Vector;
    fn store(sums: Self::Vector, to: &mut [Self::Sum]);
    fn widen(from: &[Self::Number]) -> Self::Vector;
    /// Widened numbers as weights.
    fn as_weights(numbers: Self::Vector) -> Self::Vector;
    /// Widened numbers times weights, added to sums.
    fn add(sums: Self::Vector, numbers: Self::Vector, weights: Self::Vector) -> Self::Vector;
}

/// Lanes of 64 bits, for codes of any width: plain code, which the compiler turns into that of the
/// unit at hand.
pub(super) struct Wide;

impl Lanes for Wide {
    type Number = i32;
    type Sum = i64;
    type Vector = [i64; 8];
    const LANES: usize = 8;

    #[inline(always)]
    fn weight(code: i32) -> i64 {
        code.into()
    }
    #[inline(always)]
    fn load(from: &[i64]) -> [i64; 8] {
        core::array::from_fn(|i| from[i])
    }
    #[inline(always)]
    fn store(sums: [i64; 8], to: &mut [i64]) {
        to[..8].copy_from_slice(&sums);
    }
    #[inline(always)]
    fn widen(from: &[i32]) -> [i64; 8] {
        core::array::from_fn(|i| from[i].into())
    }
    #[inline(always)]
    fn as_weights(numbers: [i64; 8]) -> [i64; 8] {
        numbers
    }
    #[inline(always)]
    fn add(sums: [i64; 8], numbers: [i64; 8], weights: [i64; 8]) -> [i64; 8] {
        core::array::from_fn(|i| sums[i].wrapping_add(numbers[i].wrapping_mul(weights[i])))
    }
}
