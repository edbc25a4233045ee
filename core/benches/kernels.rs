//! Speed of the desktop kernels: `cargo bench -p fixgrad --features std`.
//!
//! Products are given in multiply-adds per second and as a share of the processor's peak for
//! bytes; the other kernels in nanoseconds an element. Every figure is a median. Arguments are
//! names: only what contains one of them is measured.

use std::{hint::black_box, time::Instant};

use fixgrad::{
    kernel::{Kernel, Scalar},
    optim::{Descend, Momentum, Rule, Update},
    quant::{Format, Overflow, Quantizer, Round},
    rng::Key,
    tensor::{Mantissas, MantissasMut, Matrix, Source},
};

/// Elements of the tensors, as in the weights of a layer from 784 to 100.
const ELEMENTS: usize = 78_400;

fn main() {
    let names: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let bench = Bench { names, clock: clock() };
    println!("clock {:.2} GHz (dependent additions)", bench.clock);
    bench.all("scalar", 1.0, &Scalar);
    #[cfg(target_arch = "x86_64")]
    for level in fixgrad::kernel::X86::levels() {
        // Multiply-adds of bytes a cycle, on processors with two 256-bit units.
        let peak = if level.to_string() == "AVX2" { 32.0 } else { 64.0 };
        bench.all(&level.to_string(), peak, &level);
    }
}

struct Bench {
    names: Vec<String>,
    /// GHz.
    clock: f64,
}

impl Bench {
    fn all(&self, level: &str, peak: f64, kernel: &dyn Kernel) {
        for (name, [rows, depth, cols], transposed) in [
            ("forward", [128, 784, 100], (false, true)),
            ("weight gradient", [100, 128, 784], (true, false)),
            ("input gradient", [128, 100, 784], (false, false)),
            ("output layer", [128, 100, 10], (false, true)),
        ] {
            let (a, b): (Vec<i8>, Vec<i8>) = (random(rows * depth), random(depth * cols));
            let (a16, b16): (Vec<i16>, Vec<i16>) = (random(rows * depth), random(depth * cols));
            let mut out = vec![0; rows * cols];
            for (width, a, b) in [
                ("i8", Mantissas::I8(&a), Mantissas::I8(&b)),
                ("i16", Mantissas::I16(&a16), Mantissas::I16(&b16)),
            ] {
                let a = matrix(a, rows, depth, transposed.0);
                let b = matrix(b, depth, cols, transposed.1);
                let name = format!("{level}: {name} {width} [{rows} x {depth}] [{depth} x {cols}]");
                if let Some(time) =
                    self.time(&name, || kernel.gemm(black_box(a), b, 0, false, &mut out))
                {
                    let rate = (rows * depth * cols) as f64 / time;
                    let share = 100.0 * rate / self.clock / peak;
                    println!("{name:60} {rate:8.1} GMAC/s {share:5.0} % of {peak} a cycle");
                }
            }
        }

        let source: Vec<i32> = random::<i32>(ELEMENTS).iter().map(|v| v >> 12).collect();
        self.element(level, "peak", || {
            black_box(kernel.peak(Source::I32(black_box(&source))));
        });
        let (mut codes, mut master): (Vec<i8>, Vec<i16>) = (random(ELEMENTS), random(ELEMENTS));
        for round in [Round::RndConv, Round::Stochastic, Round::PseudoStochastic] {
            let format = Format { bits: 8, round, overflow: Overflow::Sat };
            let quantizer = Quantizer { shift: 12, format, key: Key::new(1), peak: u32::MAX };
            self.element(level, &format!("quantize to i8, {round:?}"), || {
                let codes = MantissasMut::I8(&mut codes);
                black_box(kernel.quantize(&quantizer, Source::I32(black_box(&source)), 0, codes));
            });
        }
        let mut velocity: Vec<i16> = random(ELEMENTS);
        let pass = vec![0x7f; ELEMENTS / 8];
        for (name, round, decay, momentum, pass) in [
            ("RndConv", Round::RndConv, 0, 0, [].as_slice()),
            ("Stochastic", Round::Stochastic, 0, 0, &[]),
            ("Stochastic, mask", Round::Stochastic, 0, 0, &pass),
            ("Stochastic, decay", Round::Stochastic, 99, 0, &[]),
            ("Stochastic, momentum", Round::Stochastic, 0, 29_491, &[]),
            ("Stochastic, Nesterov", Round::Stochastic, 0, 29_491, &[]),
            ("Stochastic, Lion", Round::Stochastic, 0, 32_440, &[]),
        ] {
            let rule = match name {
                "Stochastic, Nesterov" => Rule::Nesterov,
                "Stochastic, Lion" => Rule::Lion { beta: 29_491 },
                _ => Rule::Velocity,
            };
            let key = Key::new(1);
            let momentum = (momentum > 0).then_some(Momentum {
                rule,
                factor: momentum,
                old_exponent: -8,
                grad_exponent: -8,
                new_exponent: -8,
                round,
                key: key.child(2),
            });
            let format = Format { bits: 8, round, overflow: Overflow::Sat };
            let update = Update { lr: 3 << 10, shift: 20, decay, decay_shift: 20, round, key };
            let quantizer = Quantizer { shift: 12, format, key: key.child(1), peak: u32::MAX };
            let descend = Descend { quantizer, quantized: false, momentum, update };
            self.element(level, &format!("descend, {name}"), || {
                let (v, m) = (MantissasMut::I16(&mut velocity), MantissasMut::I16(&mut master));
                black_box(kernel.descend(&descend, black_box(&source), 0, pass, v, m));
            });
        }
    }

    fn element(&self, level: &str, name: &str, run: impl FnMut()) {
        let name = format!("{level}: {name}");
        if let Some(time) = self.time(&name, run) {
            println!("{name:60} {:8.3} ns an element", time / ELEMENTS as f64);
        }
    }

    /// Nanoseconds of one run, the median of many; `None` when it is not asked for.
    fn time(&self, name: &str, mut run: impl FnMut()) -> Option<f64> {
        if !self.names.is_empty() && !self.names.iter().any(|part| name.contains(part.as_str())) {
            return None;
        }
        run();
        let start = Instant::now();
        let mut times = Vec::new();
        while times.len() < 15 || (start.elapsed().as_millis() < 300 && times.len() < 100_000) {
            let start = Instant::now();
            run();
            times.push(start.elapsed().as_nanos() as f64);
        }
        Some(median(times))
    }
}

fn matrix(data: Mantissas<'_>, rows: usize, cols: usize, transposed: bool) -> Matrix<'_> {
    if transposed { Matrix::new(data, cols, rows).t() } else { Matrix::new(data, rows, cols) }
}

fn random<T: fixgrad::tensor::Mantissa>(len: usize) -> Vec<T> {
    let key = Key::new(5);
    (0..len as u32).map(|i| T::from_code(key.word(i).cast_signed())).collect()
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Cycles per nanosecond, from additions that wait for each other.
fn clock() -> f64 {
    const STEPS: u32 = 100_000;
    let rates = (0..200).map(|_| {
        let start = Instant::now();
        let mut sum = 1u64;
        for i in 0..STEPS / 4 {
            // Hidden from the optimiser, so that each waits for the one before.
            sum = sum.wrapping_mul(black_box(3) | u64::from(i));
        }
        black_box(sum);
        start.elapsed().as_nanos() as f64
    });
    f64::from(STEPS / 4) * 3.0 / median(rates.collect())
}
