//! Products by blocks for the pieces of convolutions, whose sums are proven to fit.

use core::marker::PhantomData;

use super::{
    Kernel,
    blocked::{Blocks, in_blocks, products},
    scalar,
};
use crate::tensor::{Mantissas, Matrix};

/// The kernel of blocks `B` for the pieces of a convolution: of these the caller has proved that all
/// sums fit 32 bits, so that additions need not saturate, and blocks can add by themselves.
pub(super) struct Proven<B>(PhantomData<fn() -> B>);

impl<B> Proven<B> {
    #[inline(always)]
    pub(super) const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<B: Blocks> Kernel for Proven<B> {
    #[inline(always)]
    fn gemm(&self, a: Matrix<'_>, b: Matrix<'_>, drop: u32, add: bool, out: &mut [i32]) {
        match (a.data, b.data) {
            (Mantissas::I8(x), Mantissas::I8(y)) if drop == 0 => {
                proven_bytes::<B>(&a, x, &b, y, add, out);
            }
            _ => scalar::wide(&a, &b, drop, add, out),
        }
    }
}

#[inline(never)]
fn proven_bytes<B: Blocks>(
    a: &Matrix<'_>,
    x: &[i8],
    b: &Matrix<'_>,
    y: &[i8],
    add: bool,
    out: &mut [i32],
) {
    if !in_blocks::<B>(a, b) {
        return scalar::bytes(a, x, b, y, add, out);
    }
    let rows = a.rows.min(out.len() / b.cols.max(1));
    let out = out.get_mut(..rows * b.cols).unwrap_or_default();
    if !add {
        out.fill(0);
    }
    products::<B>(a, x, b, y, out);
}
