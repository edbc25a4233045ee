//! Convolutions on several threads: cut by windows, or by channels of the output.

use fixgrad::{
    kernel::{Kernel, WindowGrad},
    tensor::{Mantissas, MantissasMut, Matrix, Patches, Taps},
};

use super::{Cut, PRODUCTS, Threaded};

/// Windows for each channel of the output from which the gradient by the weights is cut by windows:
/// then its sums, which every thread has for itself, are few beside the windows.
const LONG: usize = 4;

/// Windows of a convolution.
pub(super) struct Windows<'a> {
    pub(super) first: usize,
    pub(super) cols: usize,
    pub(super) out: &'a mut [i32],
}

impl Cut for Windows<'_> {
    fn cut(self, part: usize, parts: usize) -> (Self, Self) {
        let Self { first, cols, out } = self;
        let rows = out.len() / cols.max(1) * part / parts;
        let (left, right) = out.split_at_mut(rows * cols);
        (Self { first, cols, out: left }, Self { first: first + rows, cols, out: right })
    }
}

/// Gradients of a convolution, and the windows that they belong to.
struct Grads<'a> {
    grad: Matrix<'a>,
    x: Patches<'a>,
    cols: usize,
    out: Sums<'a>,
}

/// Where sums go.
pub(super) enum Sums<'a> {
    /// Rows of the gradient by the weights.
    Rows(&'a mut [i32]),
    /// The whole of it, from some windows.
    Part(&'a mut [i32]),
    /// As before, beside the place where it belongs.
    Beside(Vec<i32>),
}

impl Sums<'_> {
    pub(super) fn place(&mut self) -> &mut [i32] {
        match self {
            Self::Rows(out) | Self::Part(out) => out,
            Self::Beside(out) => out,
        }
    }

    /// Adds sums that lie beside these. The plan has proved that the whole fits.
    pub(super) fn merge(mut self, other: Self) -> Self {
        if let Self::Beside(other) = other {
            let sums = self.place().iter_mut();
            sums.zip(other).for_each(|(sum, part)| *sum = sum.wrapping_add(part));
        }
        self
    }
}

impl Cut for Grads<'_> {
    fn cut(self, part: usize, parts: usize) -> (Self, Self) {
        let Self { grad, x, cols, out } = self;
        if let Sums::Rows(out) = out {
            let units = grad.cols * part / parts;
            let (left, right) = out.split_at_mut((units * cols).min(out.len()));
            let halves = (grad.col_range(0, units), grad.col_range(units, grad.cols));
            return (
                Self { grad: halves.0, x, cols, out: Sums::Rows(left) },
                Self { grad: halves.1, x, cols, out: Sums::Rows(right) },
            );
        }
        let rows = grad.rows * part / parts;
        let beside = Sums::Beside(vec![0; grad.cols * cols]);
        let later = Patches { skip: x.skip + rows, ..x };
        (
            Self { grad: grad.row_range(0, rows), x, cols, out },
            Self { grad: grad.row_range(rows, grad.rows), x: later, cols, out: beside },
        )
    }
}

/// Room for windows like those of `room`.
fn own(room: Mantissas<'_>) -> (Vec<i8>, Vec<i16>) {
    match room {
        Mantissas::I8(room) => (vec![0; room.len()], Vec::new()),
        Mantissas::I16(room) => (Vec::new(), vec![0; room.len()]),
        Mantissas::I32(_) => (Vec::new(), Vec::new()),
    }
}

fn view((bytes, words): &mut (Vec<i8>, Vec<i16>)) -> MantissasMut<'_> {
    if words.is_empty() { MantissasMut::I8(bytes) } else { MantissasMut::I16(words) }
}

impl<K: Kernel> Threaded<K> {
    pub(super) fn convolve_shared(
        &self,
        x: &Patches<'_>,
        weight: &Taps<'_>,
        drop: u32,
        first: usize,
        out: &mut [i32],
        room: &MantissasMut<'_>,
    ) {
        let size = out.len().saturating_mul(x.cols());
        let room = room.as_ref();
        let windows = Windows { first, cols: weight.cols[0], out };
        let run = |windows: Windows<'_>| {
            let mut room = own(room);
            self.inner.convolve(x, weight, drop, windows.first, windows.out, view(&mut room));
        };
        self.share(windows, size, PRODUCTS, run, |(), ()| ());
    }

    pub(super) fn convolve_grad_shared<'a>(
        &self,
        sums: &WindowGrad<'a>,
        out: &'a mut [i32],
        room: &MantissasMut<'_>,
    ) {
        let WindowGrad { grad, x, ref cols, drop, add } = *sums;
        let size = grad.rows.saturating_mul(out.len());
        let room = room.as_ref();
        // What is jammed is jammed once, so sums must be whole.
        let by_windows = drop == 0 && !add && grad.rows >= LONG * grad.cols;
        let part = if by_windows { Sums::Part(out) } else { Sums::Rows(out) };
        let grads = Grads { grad, x, cols: cols.len(), out: part };
        let run = |grads: Grads<'a>| {
            let Grads { grad, x, out: mut place, .. } = grads;
            let mut room = own(room);
            let sums = WindowGrad { grad, x, cols: cols.clone(), drop, add };
            self.inner.convolve_grad(&sums, place.place(), view(&mut room));
            place
        };
        self.share(grads, size, PRODUCTS, run, Sums::merge);
    }
}
