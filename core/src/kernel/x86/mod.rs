//! Desktop kernels for x86-64, chosen at run time by what the processor can do.
//!
//! Products of 8-bit matrices are packed and multiplied with intrinsics ([`gemm`]). Everything
//! else is the crate's own generic code compiled once more for wide registers, so it gives the
//! same bits by construction.

#![expect(unsafe_code, reason = "intrinsics, and calls of code compiled for a detected unit")]

mod avx2;
mod avx512;
mod convolve;
mod depthwise;
mod frame;
mod gemm;
mod lanes;
mod limbs;
#[cfg(test)]
mod tests;
mod wide;

use core::fmt;

use super::{ChannelWork, Depthwise, DepthwiseGrad, Kernel, Scalar, WindowGrad};
use crate::{
    optim::{Descend, Descent},
    quant::{Counts, Quantizer},
    tensor::{Mantissas, MantissasMut, Matrix, Patches, Source, Taps},
};
use gemm::Side;

/// The vector units of this processor. A value exists only where they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct X86(Level);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Avx2,
    Avx512,
}

impl X86 {
    /// The widest units that this machine has; `None` where [`Scalar`] must do.
    pub fn detect() -> Option<Self> {
        Self::levels().next()
    }

    /// Every level that this machine can run, the fastest first.
    pub fn levels() -> impl Iterator<Item = Self> {
        let avx2 = std::is_x86_feature_detected!("avx2");
        let avx512 = avx2
            && std::is_x86_feature_detected!("avx512f")
            && std::is_x86_feature_detected!("avx512bw")
            && std::is_x86_feature_detected!("avx512dq")
            && std::is_x86_feature_detected!("avx512vl")
            && std::is_x86_feature_detected!("avx512vnni");
        [(avx512, Level::Avx512), (avx2, Level::Avx2)]
            .into_iter()
            .filter_map(|(found, level)| found.then_some(Self(level)))
    }
}

impl fmt::Display for X86 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Level::Avx2 => "AVX2",
            Level::Avx512 => "AVX-512 VNNI",
        })
    }
}

/// Compiles the body of each kernel for one set of processor features.
macro_rules! entry_points {
    ($isa:ty, $features:literal) => {
        #[target_feature(enable = $features)]
        pub(super) fn gemm_i8(a: Side<'_>, b: Side<'_>, add: bool, out: &mut [i32]) {
            // SAFETY: this function has the features that `$isa` asks for.
            unsafe { crate::kernel::x86::gemm::gemm::<$isa>(a, b, add, out) }
        }

        #[target_feature(enable = $features)]
        pub(super) fn convolve(
            x: &Patches<'_>,
            weight: &Taps<'_>,
            first: usize,
            out: &mut [i32],
        ) -> bool {
            // SAFETY: this function has the features that `$isa` asks for.
            unsafe { crate::kernel::x86::convolve::convolve::<$isa>(x, weight, first, out) }
        }

        #[target_feature(enable = $features)]
        pub(super) fn convolve_grad(
            grad: &Matrix<'_>,
            x: &Patches<'_>,
            cols: core::ops::Range<usize>,
            out: &mut [i32],
        ) -> bool {
            // SAFETY: as above.
            unsafe { crate::kernel::x86::convolve::convolve_grad::<$isa>(grad, x, cols, out) }
        }

        #[target_feature(enable = $features)]
        pub(super) fn depthwise(sums: &Depthwise<'_>, first: usize, out: &mut [i32]) -> bool {
            crate::kernel::x86::depthwise::depthwise::<Bytes>(sums, first, out)
        }

        #[target_feature(enable = $features)]
        pub(super) fn depthwise_wide(sums: &Depthwise<'_>, first: usize, out: &mut [i32]) -> bool {
            type Lanes = crate::kernel::x86::lanes::Wide;
            crate::kernel::x86::depthwise::depthwise::<Lanes>(sums, first, out)
        }

        #[target_feature(enable = $features)]
        pub(super) fn depthwise_grad(sums: &DepthwiseGrad<'_>, out: &mut [i32]) -> bool {
            crate::kernel::x86::depthwise::depthwise_grad::<Bytes>(sums, out)
        }

        #[target_feature(enable = $features)]
        pub(super) fn depthwise_grad_wide(sums: &DepthwiseGrad<'_>, out: &mut [i32]) -> bool {
            type Lanes = crate::kernel::x86::lanes::Wide;
            crate::kernel::x86::depthwise::depthwise_grad::<Lanes>(sums, out)
        }

        #[target_feature(enable = $features)]
        pub(super) fn gemm_wide(
            a: Matrix<'_>,
            b: Matrix<'_>,
            drop: u32,
            add: bool,
            out: &mut [i32],
        ) {
            crate::kernel::x86::wide::gemm(a, b, drop, add, out);
        }

        #[target_feature(enable = $features)]
        pub(super) fn channels(work: crate::kernel::ChannelWork<'_>) {
            work.run();
        }

        #[target_feature(enable = $features)]
        pub(super) fn peak(source: Source<'_>) -> u32 {
            for_source!(source, values => crate::quant::peak(values))
        }

        #[target_feature(enable = $features)]
        pub(super) fn quantize(
            quantizer: &Quantizer,
            source: Source<'_>,
            first: u32,
            codes: MantissasMut<'_>,
        ) -> Counts {
            for_source!(source, source => {
                for_width!(MantissasMut, codes, codes => quantizer.run(source, first, codes))
            })
        }

        #[target_feature(enable = $features)]
        pub(super) fn descend(
            descend: &Descend,
            grad: &[i32],
            first: u32,
            pass: &[u8],
            velocity: MantissasMut<'_>,
            master: MantissasMut<'_>,
        ) -> Descent {
            descend.run(grad, first, pass, velocity, master)
        }
    };
}
use entry_points;

/// Calls an entry point of the level at hand.
macro_rules! at_level {
    ($self:ident, $name:ident($($argument:expr),*)) => {
        match $self.0 {
            // SAFETY: `X86::levels` is the only source of this value, and saw the features.
            $crate::kernel::x86::Level::Avx2 => unsafe {
                $crate::kernel::x86::avx2::$name($($argument),*)
            },
            // SAFETY: as above.
            $crate::kernel::x86::Level::Avx512 => unsafe {
                $crate::kernel::x86::avx512::$name($($argument),*)
            },
        }
    };
}
use at_level;

impl Kernel for X86 {
    fn gemm(&self, a: Matrix<'_>, b: Matrix<'_>, drop: u32, add: bool, out: &mut [i32]) {
        if !a.is_whole() || !b.is_whole() || a.cols != b.rows {
            return Scalar.gemm(a, b, drop, add, out);
        }
        match (a.data, b.data) {
            (Mantissas::I8(x), Mantissas::I8(y)) if drop == 0 => {
                let (x, y) = (Side::rows_of(&a, x), Side::rows_of(&b.t(), y));
                at_level!(self, gemm_i8(x, y, add, out))
            }
            _ => at_level!(self, gemm_wide(a, b, drop, add, out)),
        }
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
        let done = match (x.data, weight.data) {
            (Mantissas::I8(_), Mantissas::I8(_)) if drop == 0 => {
                at_level!(self, convolve(x, weight, first, out))
            }
            _ => self.convolve_limbs(x, weight, drop, first, out),
        };
        if !done {
            super::convolve::convolve(self, x, weight, drop, first, out, room);
        }
    }

    fn convolve_grad(&self, sums: &WindowGrad<'_>, out: &mut [i32], room: MantissasMut<'_>) {
        let WindowGrad { grad, x, cols, drop, add } = sums;
        let done = match (grad.data, x.data) {
            (Mantissas::I8(_), Mantissas::I8(_)) if *drop == 0 => {
                !add && at_level!(self, convolve_grad(grad, x, cols.clone(), out))
            }
            _ => self.convolve_grad_limbs(sums, out),
        };
        if !done {
            super::convolve::convolve_grad(self, sums, out, room);
        }
    }

    fn depthwise(&self, sums: &Depthwise<'_>, first: usize, out: &mut [i32]) {
        let done = match (sums.x.data, sums.weight) {
            (Mantissas::I8(_), Mantissas::I8(_)) if sums.drop == 0 => {
                at_level!(self, depthwise(sums, first, out))
            }
            _ => at_level!(self, depthwise_wide(sums, first, out)),
        };
        if !done {
            super::depthwise::plain(sums, first, out);
        }
    }

    fn depthwise_grad(&self, sums: &DepthwiseGrad<'_>, out: &mut [i32]) {
        let done = match (sums.x.data, sums.grad.data) {
            (Mantissas::I8(_), Mantissas::I8(_)) => at_level!(self, depthwise_grad(sums, out)),
            _ => at_level!(self, depthwise_grad_wide(sums, out)),
        };
        if !done {
            super::depthwise::plain_grad(sums, out);
        }
    }

    fn channels(&self, work: ChannelWork<'_>) {
        at_level!(self, channels(work));
    }

    fn peak(&self, source: Source<'_>) -> u32 {
        at_level!(self, peak(source))
    }

    fn quantize(
        &self,
        quantizer: &Quantizer,
        source: Source<'_>,
        first: u32,
        codes: MantissasMut<'_>,
    ) -> Counts {
        at_level!(self, quantize(quantizer, source, first, codes))
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
        at_level!(self, descend(descend, grad, first, pass, velocity, master))
    }
}
