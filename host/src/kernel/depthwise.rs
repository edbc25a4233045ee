//! Depthwise convolutions on several threads: cut by windows, or by channels of the output.

use fixgrad::{
    kernel::{Depthwise, DepthwiseGrad, Kernel},
    tensor::{Matrix, Patches},
};

use super::{Cut, PRODUCTS, Sums, Threaded, Windows};

/// Multiply-adds that are worth a second thread: they take longer than those of products.
const WORTH: usize = PRODUCTS / 4;
/// Windows from which the gradient by the weights is cut by windows: then its sums, which every thread
/// has for itself, are few beside them.
const LONG: usize = 64;

/// Gradients of a depthwise convolution, and the windows that they belong to.
struct Grads<'a> {
    grad: Matrix<'a>,
    unit: usize,
    x: Patches<'a>,
    taps: usize,
    out: Sums<'a>,
}

impl Cut for Grads<'_> {
    fn cut(self, part: usize, parts: usize) -> (Self, Self) {
        let Self { grad, unit, x, taps, out } = self;
        if let Sums::Rows(out) = out {
            let units = grad.cols * part / parts;
            let (left, right) = out.split_at_mut((units * taps).min(out.len()));
            let halves = (grad.col_range(0, units), grad.col_range(units, grad.cols));
            return (
                Self { grad: halves.0, unit, x, taps, out: Sums::Rows(left) },
                Self { grad: halves.1, unit: unit + units, x, taps, out: Sums::Rows(right) },
            );
        }
        let rows = grad.rows * part / parts;
        let beside = Sums::Beside(vec![0; grad.cols * taps]);
        let later = Patches { skip: x.skip + rows, ..x };
        (
            Self { grad: grad.row_range(0, rows), unit, x, taps, out },
            Self { grad: grad.row_range(rows, grad.rows), unit, x: later, taps, out: beside },
        )
    }
}

impl<K: Kernel> Threaded<K> {
    pub(super) fn depthwise_shared(&self, sums: &Depthwise<'_>, first: usize, out: &mut [i32]) {
        let products = sums.x.windows.taps() * if sums.back { sums.multiplier } else { 1 };
        let size = out.len().saturating_mul(products);
        let windows = Windows { first, cols: sums.width().max(1), out };
        let run = |windows: Windows<'_>| self.inner.depthwise(sums, windows.first, windows.out);
        self.share(windows, size, WORTH, run, |(), ()| ());
    }

    pub(super) fn depthwise_grad_shared<'a>(&self, sums: &DepthwiseGrad<'a>, out: &'a mut [i32]) {
        let DepthwiseGrad { grad, unit, x, ref taps, drop, add, multiplier } = *sums;
        let size = grad.rows.saturating_mul(out.len());
        // What is jammed is jammed once, so sums must be whole.
        let by_windows = drop == 0 && !add && grad.rows >= LONG;
        let part = if by_windows { Sums::Part(out) } else { Sums::Rows(out) };
        let grads = Grads { grad, unit, x, taps: taps.len(), out: part };
        let run = |grads: Grads<'a>| {
            let Grads { grad, unit, x, out: mut place, .. } = grads;
            let taps = taps.clone();
            let sums = DepthwiseGrad { grad, unit, x, taps, drop, add, multiplier };
            self.inner.depthwise_grad(&sums, place.place());
            place
        };
        self.share(grads, size, WORTH, run, Sums::merge);
    }
}
