//! Which numbers meet in a layer, from the definition of the layer: loops over outputs and over what
//! each of them reads. The core has no such list.

use fixgrad::{
    graph::{AvgPool2d, Conv2d, Dense, GraphView, Kind, MaxPool2d, Padding},
    tensor::Shape,
};

/// One product, or one number under a window, of one sample.
#[derive(Clone, Copy)]
pub(super) struct Term {
    pub(super) output: usize,
    pub(super) input: usize,
    /// Place in the weight; a tap of the window where there is none.
    pub(super) weight: usize,
}

/// All terms of a layer, those of one output in the order of the window.
pub(super) fn of(view: GraphView<'_>, i: usize) -> Vec<Term> {
    let (from, to) = (view.input_shape(i), view.layers()[i].shape);
    match view.layers()[i].kind {
        Kind::Dense(Dense { units, .. }) => {
            let inputs = from.elements();
            let row = |u: usize| (0..inputs).map(move |k| (u, k));
            (0..units.into())
                .flat_map(row)
                .map(|(output, input)| Term { output, input, weight: output * inputs + input })
                .collect()
        }
        Kind::Conv2d(conv) => convolution(conv, from, to),
        Kind::MaxPool2d(MaxPool2d { kernel, stride, padding }) => {
            pool(Window { kernel: kernel.map(usize::from), stride, padding }, from, to)
        }
        Kind::AvgPool2d(AvgPool2d { kernel, stride, padding }) => {
            pool(Window { kernel: kernel.map(usize::from), stride, padding }, from, to)
        }
        Kind::GlobalAvgPool(_) => {
            let [_, height, width] = from.0.map(usize::from);
            let whole = Window { kernel: [height, width], stride: [1; 2], padding: Padding::Valid };
            pool(whole, from, to)
        }
        _ => Vec::new(),
    }
}

struct Window {
    kernel: [usize; 2],
    stride: [u8; 2],
    padding: Padding,
}

/// A tap of a window that has a pixel under it.
struct Tap {
    /// Pixel of the output.
    window: usize,
    tap: usize,
    /// Pixel of the input.
    pixel: usize,
}

impl Window {
    /// Windows along an axis of `len` pixels, and the zeros before the first of them.
    fn along(&self, axis: usize, len: usize) -> (usize, usize) {
        let (kernel, stride) = (self.kernel[axis], usize::from(self.stride[axis]));
        match self.padding {
            Padding::Valid => ((len - kernel) / stride + 1, 0),
            Padding::Explicit(pad) => {
                let pad = usize::from(pad[axis]);
                ((len + 2 * pad - kernel) / stride + 1, pad)
            }
            Padding::Same => {
                let count = len.div_ceil(stride);
                (count, ((count - 1) * stride + kernel).saturating_sub(len) / 2)
            }
        }
    }

    fn taps(&self, from: Shape, to: Shape) -> Vec<Tap> {
        let [_, height, width] = from.0.map(usize::from);
        let [(rows, above), (cols, before)] = [self.along(0, height), self.along(1, width)];
        assert_eq!([rows, cols], [1, 2].map(|axis| usize::from(to.0[axis])), "windows");
        let [down, right] = self.stride.map(usize::from);
        let mut taps = Vec::new();
        for (y, x) in (0..rows).flat_map(|y| (0..cols).map(move |x| (y, x))) {
            for ky in 0..self.kernel[0] {
                for kx in 0..self.kernel[1] {
                    let row = (y * down + ky).checked_sub(above).filter(|&row| row < height);
                    let col = (x * right + kx).checked_sub(before).filter(|&col| col < width);
                    let Some((row, col)) = row.zip(col) else { continue };
                    taps.push(Tap {
                        window: y * cols + x,
                        tap: ky * self.kernel[1] + kx,
                        pixel: row * width + col,
                    });
                }
            }
        }
        taps
    }
}

fn convolution(conv: Conv2d, from: Shape, to: Shape) -> Vec<Term> {
    let Conv2d { kernel, stride, padding, groups, .. } = conv;
    let (channels, units) = (usize::from(from.0[0]), usize::from(conv.channels));
    let groups = usize::from(groups);
    let (each_in, each_out) = (channels / groups, units / groups);
    let window = Window { kernel: kernel.map(usize::from), stride, padding };
    let size = window.kernel[0] * window.kernel[1];
    let mut terms = Vec::new();
    for Tap { window, tap, pixel } in window.taps(from, to) {
        for unit in 0..units {
            let group = unit / each_out;
            terms.extend((0..each_in).map(|channel| Term {
                output: window * units + unit,
                input: pixel * channels + group * each_in + channel,
                weight: (unit * size + tap) * each_in + channel,
            }));
        }
    }
    terms
}

/// Channel by channel.
fn pool(window: Window, from: Shape, to: Shape) -> Vec<Term> {
    let channels = usize::from(from.0[0]);
    let of_tap = |Tap { window, tap, pixel }: Tap| {
        (0..channels).map(move |channel| Term {
            output: window * channels + channel,
            input: pixel * channels + channel,
            weight: tap,
        })
    };
    window.taps(from, to).into_iter().flat_map(of_tap).collect()
}
