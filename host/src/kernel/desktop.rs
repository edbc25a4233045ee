//! The widest vector units of this processor.

use fixgrad::{
    kernel::{Blocked, ChannelWork, Depthwise, DepthwiseGrad, Kernel, WindowGrad},
    optim::{Descend, Descent},
    quant::{Counts, Quantizer},
    tensor::{MantissasMut, Matrix, Patches, Source, Taps},
};

/// The fastest kernel of this processor.
#[derive(Clone, Copy, Debug)]
pub enum Desktop {
    /// Plain code.
    Portable(Blocked),
    /// Vector units of x86-64.
    #[cfg(target_arch = "x86_64")]
    X86(fixgrad::kernel::X86),
}

impl Desktop {
    /// What this processor can run.
    #[must_use]
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(x86) = fixgrad::kernel::X86::detect() {
            return Self::X86(x86);
        }
        Self::Portable(Blocked)
    }

    fn kernel(&self) -> &(dyn Kernel + Sync) {
        match self {
            Self::Portable(kernel) => kernel,
            #[cfg(target_arch = "x86_64")]
            Self::X86(kernel) => kernel,
        }
    }
}

impl std::fmt::Display for Desktop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Portable(_) => f.write_str("portable"),
            #[cfg(target_arch = "x86_64")]
            Self::X86(kernel) => kernel.fmt(f),
        }
    }
}

impl Kernel for Desktop {
    fn gemm(&self, a: Matrix<'_>, b: Matrix<'_>, drop: u32, add: bool, out: &mut [i32]) {
        self.kernel().gemm(a, b, drop, add, out);
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
        self.kernel().convolve(x, weight, drop, first, out, room);
    }
    fn convolve_grad(&self, sums: &WindowGrad<'_>, out: &mut [i32], room: MantissasMut<'_>) {
        self.kernel().convolve_grad(sums, out, room);
    }
    fn depthwise(&self, sums: &Depthwise<'_>, first: usize, out: &mut [i32]) {
        self.kernel().depthwise(sums, first, out);
    }
    fn depthwise_grad(&self, sums: &DepthwiseGrad<'_>, out: &mut [i32]) {
        self.kernel().depthwise_grad(sums, out);
    }
    fn channels(&self, work: ChannelWork<'_>) {
        self.kernel().channels(work);
    }

    fn peak(&self, source: Source<'_>) -> u32 {
        self.kernel().peak(source)
    }
    fn quantize(
        &self,
        quantizer: &Quantizer,
        source: Source<'_>,
        first: u32,
        codes: MantissasMut<'_>,
    ) -> Counts {
        self.kernel().quantize(quantizer, source, first, codes)
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
        self.kernel().descend(descend, grad, first, pass, velocity, master)
    }
}
