//! The kernel of this machine: the widest vector units that it has, on as many threads as asked.
//!
//! Work is cut by rows or elements. Sums are exact and random numbers belong to elements, so the
//! bits do not depend on where the cuts are.

mod convolve;
mod cut;
mod depthwise;
mod desktop;
mod meanwhile;

use convolve::{Sums, Windows};
use cut::{Cut, Rows, Slice, share};
pub use desktop::Desktop;
use fixgrad::{
    kernel::{ChannelWork, Depthwise, DepthwiseGrad, Kernel, WindowGrad},
    optim::{Descend, Descent},
    quant::{Counts, Quantizer},
    tensor::{MantissasMut, Matrix, Patches, Source, Taps},
};
pub use meanwhile::meanwhile;
use rayon_core::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

/// Multiply-adds that are worth a second thread: some ten microseconds of them.
const PRODUCTS: usize = 1 << 20;
/// Elements that are worth a second thread.
const ELEMENTS: usize = 1 << 14;

/// The best kernel of this machine on `threads` threads.
///
/// # Errors
/// When the operating system refuses the threads.
pub fn best(threads: usize) -> Result<Threaded<Desktop>, ThreadPoolBuildError> {
    Threaded::new(Desktop::detect(), threads)
}

/// Another kernel, on several threads.
#[derive(Debug)]
pub struct Threaded<K> {
    inner: K,
    /// None when one thread is enough.
    pool: Option<ThreadPool>,
}

impl<K: Kernel> Threaded<K> {
    /// `inner` on `threads` threads, at least one.
    ///
    /// # Errors
    /// When the operating system refuses the threads.
    pub fn new(inner: K, threads: usize) -> Result<Self, ThreadPoolBuildError> {
        let pool = match threads {
            0 | 1 => None,
            _ => Some(ThreadPoolBuilder::new().num_threads(threads).build()?),
        };
        Ok(Self { inner, pool })
    }

    /// The kernel that each thread runs.
    pub const fn inner(&self) -> &K {
        &self.inner
    }

    /// How many threads work.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.pool.as_ref().map_or(1, ThreadPool::current_num_threads)
    }

    /// Runs `work` on a thread of the pool while the others stand by awake: a training run belongs
    /// in here. A step is some tens of joins of some microseconds each, and waking a thread that
    /// sleeps costs more than any of them.
    pub fn enter<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        match &self.pool {
            Some(pool) => pool.install(|| meanwhile(&|| false, work)),
            None => work(),
        }
    }

    /// Runs `job`, of `size`, in as many parts as there are threads and `least` allows.
    fn share<J: Cut, R: Send>(
        &self,
        job: J,
        size: usize,
        least: usize,
        run: impl Fn(J) -> R + Sync,
        merge: impl Fn(R, R) -> R + Sync,
    ) -> R {
        match (size / least).min(self.threads()) {
            0 | 1 => run(job),
            parts => match &self.pool {
                Some(pool) => pool.install(|| share(job, parts, &run, &merge)),
                None => run(job),
            },
        }
    }
}

impl<K: Kernel> Kernel for Threaded<K> {
    fn gemm(&self, a: Matrix<'_>, b: Matrix<'_>, drop: u32, add: bool, out: &mut [i32]) {
        let size = a.rows.saturating_mul(a.cols).saturating_mul(b.cols);
        let rows = Rows { a, cols: b.cols, out };
        let run = |rows: Rows<'_>| self.inner.gemm(rows.a, b, drop, add, rows.out);
        self.share(rows, size, PRODUCTS, run, |(), ()| ());
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
        self.convolve_shared(x, weight, drop, first, out, &room);
    }

    fn convolve_grad(&self, sums: &WindowGrad<'_>, out: &mut [i32], room: MantissasMut<'_>) {
        self.convolve_grad_shared(sums, out, &room);
    }

    fn depthwise(&self, sums: &Depthwise<'_>, first: usize, out: &mut [i32]) {
        self.depthwise_shared(sums, first, out);
    }

    fn depthwise_grad(&self, sums: &DepthwiseGrad<'_>, out: &mut [i32]) {
        self.depthwise_grad_shared(sums, out);
    }

    fn peak(&self, source: Source<'_>) -> u32 {
        let run = |source: Source<'_>| self.inner.peak(source);
        self.share(source, source.len(), ELEMENTS, run, u32::max)
    }

    fn quantize(
        &self,
        quantizer: &Quantizer,
        source: Source<'_>,
        first: u32,
        codes: MantissasMut<'_>,
    ) -> Counts {
        let slice =
            Slice { source, len: source.len(), first, velocity: MantissasMut::I8(&mut []), codes };
        let run =
            |s: Slice<'_, Source<'_>>| self.inner.quantize(quantizer, s.source, s.first, s.codes);
        self.share(slice, source.len(), ELEMENTS, run, sum)
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
        let slice = Slice { source: grad, len: grad.len(), first, velocity, codes: master };
        let run = |s: Slice<'_, &[i32]>| {
            self.inner.descend(descend, s.source, s.first, pass, s.velocity, s.codes)
        };
        self.share(slice, grad.len(), ELEMENTS, run, sum)
    }

    fn channels(&self, work: ChannelWork<'_>) {
        // Their callers cut it.
        self.inner.channels(work);
    }

    fn threads(&self) -> usize {
        self.threads()
    }

    fn join(&self, left: &mut (dyn FnMut() + Send), right: &mut (dyn FnMut() + Send)) {
        match &self.pool {
            Some(pool) => {
                pool.install(|| rayon_core::join(left, right));
            }
            None => {
                left();
                right();
            }
        }
    }
}

fn sum<T: std::ops::AddAssign>(mut left: T, right: T) -> T {
    left += right;
    left
}

#[cfg(test)]
mod tests {
    use fixgrad::{
        kernel::Scalar,
        optim::{Momentum, Rule, Update},
        quant::{Format, Overflow, Round},
        rng::Key,
        tensor::Mantissas,
    };

    use super::*;

    fn kernels() -> impl Iterator<Item = Threaded<Desktop>> {
        (1..=3).map(|threads| best(threads).unwrap())
    }

    fn numbers(seed: u64, len: usize) -> Vec<i32> {
        (0..len as u32).map(|i| Key::new(seed).word(i).cast_signed()).collect()
    }

    #[test]
    fn products_do_not_depend_on_threads() {
        for (rows, depth, cols) in [(129, 131, 127), (1, 2000, 1100), (2, 1100, 1000), (0, 9, 9)] {
            let bytes = |seed, len| numbers(seed, len).iter().map(|&v| v as i8).collect::<Vec<_>>();
            let (a, b) = (bytes(1, rows * depth), bytes(2, depth * cols));
            let (a, b) = (Mantissas::I8(&a), Mantissas::I8(&b));
            let b = Matrix::new(b, depth, cols);
            let columns = Matrix::new(a, depth, rows).t();
            for (a, add) in [(Matrix::new(a, rows, depth), false), (columns, true)] {
                let mut expected = numbers(3, rows * cols);
                Scalar.gemm(a, b, 0, add, &mut expected);
                for kernel in kernels() {
                    let mut out = numbers(3, rows * cols);
                    kernel.gemm(a, b, 0, add, &mut out);
                    assert!(out == expected, "{} threads, {rows} rows", kernel.threads());
                }
            }
        }
    }

    #[test]
    fn convolutions_do_not_depend_on_threads() {
        let square = |size| fixgrad::tensor::Windows {
            from: [16; 2],
            count: [16; 2],
            size: [size; 2],
            stride: [1; 2],
            pad: [size / 2; 2],
            spread: [1; 2],
        };
        // Many windows and few channels, and the other way round.
        for (windows, samples, channels, units) in
            [(square(3), 11, 16, 17), (square(3), 2, 30, 160)]
        {
            let bytes = |seed, len| numbers(seed, len).iter().map(|&v| v as i8).collect::<Vec<_>>();
            let rows = samples * windows.per_picture();
            let (x, g) = (bytes(1, rows * channels), bytes(2, rows * units));
            let weights = bytes(3, units * 9 * channels);
            let x = Patches::new(Mantissas::I8(&x), windows, channels);
            let grad = Matrix::new(Mantissas::I8(&g), rows, units);
            let weight = Taps::new(Mantissas::I8(&weights), 9, channels, units);
            let run = |kernel: &dyn Kernel| {
                let mut room = vec![0i8; 4 * x.cols()];
                let mut out = vec![0; rows * units];
                kernel.convolve(&x, &weight, 0, 0, &mut out, MantissasMut::I8(&mut room));
                let mut grads = vec![0; units * (x.cols() - 2)];
                let room = MantissasMut::I8(&mut room);
                let cols = 1..x.cols() - 1;
                let sums = WindowGrad { grad, x, cols, drop: 0, add: false };
                kernel.convolve_grad(&sums, &mut grads, room);
                (out, grads)
            };
            let expected = run(&Scalar);
            for kernel in kernels() {
                assert!(run(&kernel) == expected, "{} threads", kernel.threads());
            }
        }
    }

    #[test]
    fn depthwise_sums_do_not_depend_on_threads() {
        let windows = fixgrad::tensor::Windows {
            from: [16; 2],
            count: [16; 2],
            size: [3; 2],
            stride: [1; 2],
            pad: [1; 2],
            spread: [1; 2],
        };
        // Cut by windows, and by channels: bits are dropped.
        for (samples, channels, multiplier, drop) in [(21, 70, 2, 0), (20, 75, 1, 3)] {
            let bytes = |seed, len| numbers(seed, len).iter().map(|&v| v as i8).collect::<Vec<_>>();
            let (rows, units) = (samples * windows.per_picture(), channels * multiplier);
            let (x, g) = (bytes(1, rows * channels), bytes(2, rows * units));
            let weights = bytes(3, units * 9);
            let [weight, g] = [&weights, &g].map(|of| Mantissas::I8(of));
            let x = Patches::new(Mantissas::I8(&x), windows, channels);
            let back = Patches::new(g, windows.turned(), units);
            let grad = Matrix::new(g, rows, units);
            let run = |kernel: &dyn Kernel| {
                let mut out = vec![0; rows * units];
                let sums = Depthwise { x, weight, multiplier, back: false, drop };
                kernel.depthwise(&sums, 0, &mut out);
                let mut input = vec![0; rows * channels];
                let sums = Depthwise { x: back, back: true, ..sums };
                kernel.depthwise(&sums, 0, &mut input);
                let mut grads = vec![0; units * 8];
                let sums =
                    DepthwiseGrad { grad, unit: 0, x, multiplier, taps: 1..9, drop, add: false };
                kernel.depthwise_grad(&sums, &mut grads);
                (out, input, grads)
            };
            let expected = run(&Scalar);
            for kernel in kernels() {
                assert!(run(&kernel) == expected, "{} threads", kernel.threads());
            }
        }
    }

    #[test]
    fn elements_do_not_depend_on_threads() {
        const LEN: usize = 3 * ELEMENTS + 77;
        let source: Vec<i32> = numbers(4, LEN).iter().map(|v| v >> 9).collect();
        let key = Key::new(5);
        let (round, overflow) = (Round::Stochastic, Overflow::Sat);
        let quantizer = Quantizer {
            shift: 14,
            format: Format { bits: 8, round, overflow },
            key,
            peak: u32::MAX,
        };
        let (old_exponent, grad_exponent, new_exponent) = (-3, -4, -2);
        let key = key.child(1);
        let rule = Rule::Lion { beta: 29_000 };
        let momentum = Momentum {
            rule,
            factor: 30_000,
            old_exponent,
            grad_exponent,
            new_exponent,
            round,
            key,
        };
        let update = Update { lr: 999, shift: 12, decay: 9, decay_shift: 20, round, key };
        let pass: Vec<u8> = numbers(6, LEN).iter().map(|&v| v as u8).collect();
        let run = |kernel: &dyn Kernel, first: u32| {
            let (mut codes, mut velocity) = (vec![0i8; LEN], vec![100i16; LEN]);
            let mut master = vec![-70_000i32; LEN];
            let counts = kernel.quantize(
                &quantizer,
                Source::I32(&source),
                first,
                MantissasMut::I8(&mut codes),
            );
            let descend = Descend { quantizer, quantized: false, momentum: Some(momentum), update };
            let (v, m) = (MantissasMut::I16(&mut velocity), MantissasMut::I32(&mut master));
            let seen = kernel.descend(&descend, &source, first, &pass, v, m);
            (kernel.peak(Source::I32(&source)), counts, codes, seen, velocity, master)
        };
        for first in [0, 7] {
            let expected = run(&Scalar, first);
            for kernel in kernels() {
                assert!(run(&kernel, first) == expected, "{} threads", kernel.threads());
                assert!(kernel.enter(|| run(&kernel, first)) == expected, "inside the pool");
            }
        }
    }
}
