//! The inner loops, behind one small trait.
//!
//! [`Scalar`] is the definition. Every other implementation gives the same bits on every input;
//! tests compare them on random shapes and extreme values. A kernel decides how fast a number is
//! found, never which number.

// First, for its macro.
#[macro_use]
mod blocked;

#[cfg(any(test, all(target_arch = "arm", not(feature = "arm-dsp"))))]
mod arm_base;
#[cfg(any(test, all(feature = "arm-dsp", target_arch = "arm")))]
mod arm_dsp;
mod channels;
pub mod check;
mod convolve;
mod depthwise;
mod gather;
#[cfg(any(test, target_arch = "riscv32", all(target_arch = "arm", not(feature = "arm-dsp"))))]
mod neighbours;
#[cfg(any(test, target_arch = "riscv32", all(target_arch = "arm", not(feature = "arm-dsp"))))]
mod pairs;
mod proven;
#[cfg(any(test, target_arch = "riscv32"))]
mod riscv;
#[cfg(target_arch = "riscv32")]
mod riscv_loops;
mod scalar;
mod share;
mod strided;
#[cfg(test)]
mod testing;
#[cfg(all(target_arch = "arm", target_has_atomic = "8"))]
mod thumb;
#[cfg(all(target_arch = "arm", not(target_has_atomic = "8")))]
mod thumb_base;
#[cfg(all(feature = "std", target_arch = "x86_64"))]
#[expect(clippy::indexing_slicing, reason = "desktops only; shapes are checked at the entrance")]
mod x86;

use crate::{
    optim::{Descend, Descent},
    quant::{Counts, Quantizer},
    tensor::{MantissasMut, Matrix, Patches, Source, Taps, for_source},
};

#[cfg(any(test, all(target_arch = "arm", not(feature = "arm-dsp"))))]
pub use arm_base::ArmBase;
#[cfg(any(test, all(feature = "arm-dsp", target_arch = "arm")))]
pub use arm_dsp::ArmDsp;
pub use blocked::Blocked;
pub use channels::ChannelWork;
pub(crate) use channels::Work;
pub use convolve::WindowGrad;
pub use depthwise::{Depthwise, DepthwiseGrad};
#[cfg(any(test, target_arch = "riscv32"))]
pub use riscv::RiscV;
pub use scalar::Scalar;
pub(crate) use share::{Cut, Rows, is_alone, share, whole_rows};
#[cfg(all(feature = "std", target_arch = "x86_64"))]
pub use x86::X86;

/// The fastest kernel for the chip that this is compiled for.
///
/// The DSP extension of Arm chips is optional, so a board says that its chip has it, by the feature
/// `arm-dsp`.
#[cfg(all(feature = "arm-dsp", target_arch = "arm"))]
pub type Device = ArmDsp;
/// The fastest kernel for the chip that this is compiled for.
#[cfg(all(not(feature = "arm-dsp"), target_arch = "arm"))]
pub type Device = ArmBase;
/// The fastest kernel for the chip that this is compiled for.
#[cfg(target_arch = "riscv32")]
pub type Device = RiscV;
/// The fastest kernel for the chip that this is compiled for.
#[cfg(not(any(target_arch = "arm", target_arch = "riscv32")))]
pub type Device = Blocked;

/// The loops over pairs of this chip.
#[cfg(not(any(target_arch = "arm", target_arch = "riscv32")))]
use crate::quant::loops::Plain as ChipLoops;
/// The loops over pairs of this chip.
#[cfg(target_arch = "riscv32")]
use riscv_loops::RiscVLoops as ChipLoops;
/// The loops over pairs of this chip.
#[cfg(all(target_arch = "arm", target_has_atomic = "8"))]
use thumb::Thumb as ChipLoops;
/// The loops over pairs of this chip.
#[cfg(all(target_arch = "arm", not(target_has_atomic = "8")))]
use thumb_base::ThumbBase as ChipLoops;

/// The inner loops of a training step.
pub trait Kernel: Sync {
    /// `out[r][c] = sum over k of a(r, k) * b(k, c)`, row-major, each sum exact in 64 bits, then
    /// jammed right by `drop` bits ([`jam`](crate::quant::jam)). With `add`, it is added to what
    /// `out` holds. The caller has proved that results fit 32 bits, and that with 8-bit operands
    /// and `drop == 0` every partial sum does too ([`Plan`](crate::graph::Plan)).
    fn gemm(&self, a: Matrix<'_>, b: Matrix<'_>, drop: u32, add: bool, out: &mut [i32]);

    /// `out[r][c] = sum over t and k of x(first + r, t, k) * weight(t, k, c)`: windows of pictures
    /// times weights, each sum exact in 64 bits and then jammed, with the same promise as for
    /// [`gemm`](Self::gemm). `room` is for windows on their way.
    #[inline(always)]
    fn convolve(
        &self,
        x: &Patches<'_>,
        weight: &Taps<'_>,
        drop: u32,
        first: usize,
        out: &mut [i32],
        room: MantissasMut<'_>,
    ) {
        convolve::convolve(self, x, weight, drop, first, out, room);
    }

    /// `out[u][k] = sum over r of grad(r, u) * x(r, k)` for columns `k` of windows: the gradient by
    /// the weights of a convolution. `room` is for windows on their way.
    #[inline(always)]
    fn convolve_grad(&self, sums: &WindowGrad<'_>, out: &mut [i32], room: MantissasMut<'_>) {
        convolve::convolve_grad(self, sums, out, room);
    }

    /// Sums of windows from window `first` on in which every channel has weights of its own: on the way
    /// forward `out[r][u] = sum over t of x(first + r, t, u / multiplier) * weight(u, t)`, back those
    /// of a channel's outputs together. Each sum is exact in 64 bits and then jammed, with the same
    /// promise as for [`gemm`](Self::gemm).
    #[inline(always)]
    fn depthwise(&self, sums: &Depthwise<'_>, first: usize, out: &mut [i32]) {
        depthwise::plain(sums, first, out);
    }

    /// `out[u][t] = sum over r of grad(r, u) * x(r, t, (unit + u) / multiplier)`: the gradient by the
    /// weights of a depthwise convolution.
    #[inline(always)]
    fn depthwise_grad(&self, sums: &DepthwiseGrad<'_>, out: &mut [i32]) {
        depthwise::plain_grad(sums, out);
    }

    /// Whether [`convolve_grad`](Self::convolve_grad) that adds is faster than one that does not, and
    /// an addition.
    #[inline(always)]
    fn adds_convolutions(&self) -> bool {
        false
    }

    /// The largest magnitude of `values`.
    fn peak(&self, source: Source<'_>) -> u32 {
        for_source!(source, values => crate::quant::peak(values))
    }

    /// The larger one of `known` and the largest magnitude, as far as
    /// [`ceil_log2`](crate::quant::ceil_log2) can tell.
    #[inline(always)]
    fn peak_beyond(&self, source: Source<'_>, known: u32) -> u32 {
        self.peak(source).max(known)
    }

    /// [`Quantizer::run`] from and into whichever storage there is. By default one by one, which is
    /// the least code.
    #[inline(always)]
    fn quantize(
        &self,
        quantizer: &Quantizer,
        source: Source<'_>,
        first: u32,
        codes: MantissasMut<'_>,
    ) -> Counts {
        quantizer.run_single(source, first, codes)
    }

    /// [`Descend::run`]: moves master weights against their gradient. By default one by one.
    #[inline(always)]
    fn descend(
        &self,
        descend: &Descend,
        grad: &[i32],
        first: u32,
        pass: &[u8],
        velocity: MantissasMut<'_>,
        master: MantissasMut<'_>,
    ) -> Descent {
        descend.run_single(grad, first, pass, velocity, master)
    }

    /// Does work over the channels of pixels, in plain loops that a kernel may compile for its vectors.
    #[inline(always)]
    fn channels(&self, work: ChannelWork<'_>) {
        work.run();
    }

    /// How many threads there are for work that is no product.
    #[inline(always)]
    fn threads(&self) -> usize {
        1
    }

    /// Runs both, at the same time where there are threads.
    #[inline(always)]
    fn join(&self, left: &mut (dyn FnMut() + Send), right: &mut (dyn FnMut() + Send)) {
        left();
        right();
    }
}

impl<K: Kernel + ?Sized> Kernel for &K {
    fn gemm(&self, a: Matrix<'_>, b: Matrix<'_>, drop: u32, add: bool, out: &mut [i32]) {
        (**self).gemm(a, b, drop, add, out);
    }
    fn convolve(
        &self,
        x: &Patches<'_>,
        weight: &Taps<'_>,
        drop: u32,
        first: usize,
        out: &mut [i32],
        room: MantissasMut<'_>,
    ) {
        (**self).convolve(x, weight, drop, first, out, room);
    }
    fn convolve_grad(&self, sums: &WindowGrad<'_>, out: &mut [i32], room: MantissasMut<'_>) {
        (**self).convolve_grad(sums, out, room);
    }
    fn depthwise(&self, sums: &Depthwise<'_>, first: usize, out: &mut [i32]) {
        (**self).depthwise(sums, first, out);
    }
    fn depthwise_grad(&self, sums: &DepthwiseGrad<'_>, out: &mut [i32]) {
        (**self).depthwise_grad(sums, out);
    }
    fn adds_convolutions(&self) -> bool {
        (**self).adds_convolutions()
    }
    fn peak(&self, source: Source<'_>) -> u32 {
        (**self).peak(source)
    }
    fn peak_beyond(&self, source: Source<'_>, known: u32) -> u32 {
        (**self).peak_beyond(source, known)
    }
    fn quantize(
        &self,
        q: &Quantizer,
        source: Source<'_>,
        first: u32,
        codes: MantissasMut<'_>,
    ) -> Counts {
        (**self).quantize(q, source, first, codes)
    }
    fn descend(
        &self,
        descend: &Descend,
        grad: &[i32],
        first: u32,
        pass: &[u8],
        velocity: MantissasMut<'_>,
        master: MantissasMut<'_>,
    ) -> Descent {
        (**self).descend(descend, grad, first, pass, velocity, master)
    }
    fn channels(&self, work: ChannelWork<'_>) {
        (**self).channels(work);
    }
    fn threads(&self) -> usize {
        (**self).threads()
    }
    fn join(&self, left: &mut (dyn FnMut() + Send), right: &mut (dyn FnMut() + Send)) {
        (**self).join(left, right);
    }
}
