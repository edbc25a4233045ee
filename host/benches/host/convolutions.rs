//! What convolutions take by themselves, plain and depthwise: forward, and the gradients by input and
//! weights.

use std::{hint::black_box, time::Instant};

use fixgrad::{
    kernel::{Depthwise, DepthwiseGrad, Kernel, WindowGrad},
    rng::Key,
    tensor::{Mantissas, MantissasMut, Matrix, Patches, Taps, Windows},
};
use fixgrad_host::kernel;
use serde_json::Value;

/// Pictures in a call.
const PICTURES: usize = 32;

/// A convolution of 3 x 3 pixels with as many windows as pixels.
struct Shape {
    name: &'static str,
    side: u16,
    channels: usize,
    /// None where every channel has weights of its own.
    units: Option<usize>,
}

const SHAPES: [Shape; 5] = [
    Shape { name: "conv 3x3, 16 to 32, 16x16", side: 16, channels: 16, units: Some(32) },
    Shape { name: "conv 3x3, 64 to 64, 16x16", side: 16, channels: 64, units: Some(64) },
    Shape { name: "depthwise 3x3, 16, 16x16", side: 16, channels: 16, units: None },
    Shape { name: "depthwise 3x3, 64, 16x16", side: 16, channels: 64, units: None },
    Shape { name: "depthwise 3x3, 256, 8x8", side: 8, channels: 256, units: None },
];

/// Prints the table; its rows that have `wanted` in their names.
pub(crate) fn rows(wanted: &str, rounds: u32) -> Vec<Value> {
    let mut rows = Vec::new();
    for shape in &SHAPES {
        for threads in [1, 2] {
            if !format!("{}/{threads}", shape.name).contains(wanted) {
                continue;
            }
            if rows.is_empty() {
                println!(
                    "\n{:<30} {:>7} {:>12} {:>12} {:>12}",
                    "ns/MAC", "threads", "forward", "input grad", "weight grad"
                );
            }
            let kernel = kernel::best(threads).expect("threads start");
            let [forward, input, weight] = kernel.enter(|| shape.measure(&kernel, rounds));
            println!(
                "{:<30} {threads:>7} {forward:>12.4} {input:>12.4} {weight:>12.4}",
                shape.name
            );
            rows.push(serde_json::json!({
                "convolution": shape.name, "threads": threads, "forward_ns_per_mac": forward,
                "input_grad_ns_per_mac": input, "weight_grad_ns_per_mac": weight,
            }));
        }
    }
    rows
}

impl Shape {
    /// Nanoseconds a multiply-add.
    fn measure(&self, kernel: &dyn Kernel, rounds: u32) -> [f64; 3] {
        let Self { side, channels, .. } = *self;
        let windows = Windows {
            from: [side; 2],
            count: [side; 2],
            size: [3; 2],
            stride: [1; 2],
            pad: [1; 2],
            spread: [1; 2],
        };
        let (units, deep) = self.units.map_or((channels, 1), |units| (units, channels));
        let rows = PICTURES * windows.per_picture();
        let (x, g) = (bytes(1, rows * channels), bytes(2, rows * units));
        let weights = bytes(3, units * 9 * deep);
        let [pictures, grads, weight] = [&x, &g, &weights].map(|of| Mantissas::I8(of));
        let x = Patches::new(pictures, windows, channels);
        let back = Patches::new(grads, windows.turned(), units);
        let grad = Matrix::new(grads, rows, units);
        let (mut out, mut below) = (vec![0; rows * units], vec![0; rows * channels]);
        let mut sums = vec![0; weights.len()];
        let mut room = vec![0i8; 4 * 9 * channels.max(units)];
        let macs = (rows * weights.len()) as f64;
        if self.units.is_none() {
            let forward = Depthwise { x, weight, multiplier: 1, back: false, drop: 0 };
            let input = Depthwise { x: back, back: true, ..forward };
            let weights =
                DepthwiseGrad { grad, unit: 0, x, multiplier: 1, taps: 0..9, drop: 0, add: false };
            return [
                time(rounds, || kernel.depthwise(black_box(&forward), 0, &mut out)),
                time(rounds, || kernel.depthwise(black_box(&input), 0, &mut below)),
                time(rounds, || kernel.depthwise_grad(black_box(&weights), &mut sums)),
            ]
            .map(|time| time / macs);
        }
        let taps = Taps::new(weight, 9, channels, units);
        let weights = WindowGrad { grad, x, cols: 0..x.cols(), drop: 0, add: false };
        let room = &mut room;
        [
            time(rounds, || {
                kernel.convolve(black_box(&x), &taps, 0, 0, &mut out, MantissasMut::I8(room));
            }),
            time(rounds, || {
                let room = MantissasMut::I8(room);
                kernel.convolve(black_box(&back), &taps.back(), 0, 0, &mut below, room);
            }),
            time(rounds, || {
                kernel.convolve_grad(black_box(&weights), &mut sums, MantissasMut::I8(room));
            }),
        ]
        .map(|time| time / macs)
    }
}

fn bytes(seed: u64, len: usize) -> Vec<i8> {
    (0..len as u32).map(|i| Key::new(seed).word(i) as i8).collect()
}

/// Nanoseconds of a call: the median of ten for each round.
fn time(rounds: u32, mut run: impl FnMut()) -> f64 {
    run();
    let mut times: Vec<f64> = (0..10 * rounds)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_nanos() as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
