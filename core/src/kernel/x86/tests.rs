//! Every level of this machine gives the bits of the scalar kernel.

use std::{vec, vec::Vec};

use proptest::prelude::*;

use super::*;
use crate::{
    optim::{Momentum, Update},
    quant::{Format, Overflow, Round},
    rng::Key,
};

/// Numbers from a key, all of a width's extremes, or one extreme throughout.
#[derive(Clone, Copy, Debug)]
enum Fill {
    Random(u64),
    Extremes(u64),
    Lowest,
    Highest,
}

fn any_fill() -> impl Strategy<Value = Fill> {
    prop_oneof![
        any::<u64>().prop_map(Fill::Random),
        any::<u64>().prop_map(Fill::Extremes),
        Just(Fill::Lowest),
        Just(Fill::Highest),
    ]
}

fn numbers(fill: Fill, bits: u32, len: usize) -> impl Iterator<Item = i32> {
    let (low, high) = (i32::MIN >> (32 - bits), i32::MAX >> (32 - bits));
    (0..len as u32).map(move |i| match fill {
        Fill::Random(seed) => Key::new(seed).word(i).cast_signed() >> (32 - bits),
        Fill::Extremes(seed) => [low, high, 0, -1][Key::new(seed).below(i, 4) as usize],
        Fill::Lowest => low,
        Fill::Highest => high,
    })
}

/// Owned mantissas of one width.
#[derive(Clone, Debug, PartialEq)]
struct Store {
    i8s: Vec<i8>,
    i16s: Vec<i16>,
    i32s: Vec<i32>,
    width: usize,
}

impl Store {
    fn new(width: usize, fill: Fill, len: usize) -> Self {
        let mut store = Self { i8s: vec![0; len], i16s: vec![0; len], i32s: vec![0; len], width };
        let bits = 8 << width;
        let values: Vec<i32> = numbers(fill, bits, len).collect();
        store.get_mut().store(&values);
        store
    }

    fn get(&self) -> Mantissas<'_> {
        match self.width {
            0 => Mantissas::I8(&self.i8s),
            1 => Mantissas::I16(&self.i16s),
            _ => Mantissas::I32(&self.i32s),
        }
    }

    fn get_mut(&mut self) -> MantissasMut<'_> {
        match self.width {
            0 => MantissasMut::I8(&mut self.i8s),
            1 => MantissasMut::I16(&mut self.i16s),
            _ => MantissasMut::I32(&mut self.i32s),
        }
    }
}

/// A matrix inside a larger one, as stored or transposed.
#[derive(Clone, Copy, Debug)]
struct Layout {
    transposed: bool,
    before: usize,
    after: usize,
}

fn any_layout() -> impl Strategy<Value = Layout> {
    (any::<bool>(), 0..3usize, 0..3usize).prop_map(|(transposed, before, after)| Layout {
        transposed,
        before,
        after,
    })
}

impl Layout {
    fn outer(self, rows: usize, cols: usize) -> (usize, usize) {
        let around = self.before + self.after;
        let (rows, cols) = (rows + around, cols + around);
        if self.transposed { (cols, rows) } else { (rows, cols) }
    }

    fn view(self, data: Mantissas<'_>, rows: usize, cols: usize) -> Matrix<'_> {
        let (outer_rows, outer_cols) = self.outer(rows, cols);
        let matrix = Matrix::new(data, outer_rows, outer_cols);
        let matrix = if self.transposed { matrix.t() } else { matrix };
        matrix.row_range(self.before, rows).col_range(self.before, cols)
    }
}

#[derive(Clone, Debug)]
struct Product {
    rows: usize,
    depth: usize,
    cols: usize,
    widths: (usize, usize),
    layouts: (Layout, Layout),
    fills: (Fill, Fill, Fill),
    drop: u32,
    add: bool,
}

impl Product {
    fn store(&self) -> (Store, Store) {
        let len = |(rows, cols): (usize, usize)| rows * cols;
        let (a, b) = self.layouts;
        (
            Store::new(self.widths.0, self.fills.0, len(a.outer(self.rows, self.depth))),
            Store::new(self.widths.1, self.fills.1, len(b.outer(self.depth, self.cols))),
        )
    }

    fn run(&self, kernel: impl Kernel, a: &Store, b: &Store) -> Vec<i32> {
        let mut out: Vec<i32> = numbers(self.fills.2, 32, self.rows * self.cols).collect();
        let a = self.layouts.0.view(a.get(), self.rows, self.depth);
        let b = self.layouts.1.view(b.get(), self.depth, self.cols);
        kernel.gemm(a, b, self.drop, self.add, &mut out);
        out
    }

    fn check(&self) {
        let (a, b) = self.store();
        let expected = self.run(Scalar, &a, &b);
        for level in X86::levels() {
            assert!(self.run(level, &a, &b) == expected, "{level}: {self:?}");
        }
    }
}

fn any_size(most: usize) -> impl Strategy<Value = usize> {
    prop_oneof![
        2 => 0..most,
        1 => prop::sample::select(vec![1usize, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65]),
    ]
}

fn any_product(widths: usize) -> impl Strategy<Value = Product> {
    (
        (any_size(200), any_size(200), any_size(200)),
        (0..widths, 0..widths),
        (any_layout(), any_layout()),
        (any_fill(), any_fill(), any_fill()),
        prop_oneof![Just(0u32), 0..40u32],
        any::<bool>(),
    )
        .prop_map(move |((rows, depth, cols), widths_, layouts, fills, drop, add)| Product {
            rows,
            depth,
            cols,
            widths: widths_,
            layouts,
            fills,
            drop: if widths == 1 { 0 } else { drop },
            add,
        })
}

fn any_round() -> impl Strategy<Value = Round> {
    (0..Round::ALL.len()).prop_map(|i| Round::ALL[i])
}

fn any_format() -> impl Strategy<Value = Format> {
    (1u8..=31, any_round(), 0..Overflow::ALL.len()).prop_map(|(bits, round, i)| Format {
        bits,
        round,
        overflow: Overflow::ALL[i],
    })
}

proptest! {
    #[test]
    fn products_of_bytes_equal_the_scalar_ones(product in any_product(1)) {
        product.check();
    }

    #[test]
    fn products_of_all_widths_equal_the_scalar_ones(product in any_product(3)) {
        product.check();
    }

    #[test]
    fn quantizing_equals_the_scalar_code(
        (format, shift) in (any_format(), -34i32..70),
        (width, fill, source_bits) in (0..3usize, any_fill(), 2u32..=32),
        (seed, first, len) in (any::<u64>(), any::<u32>(), 0..300usize),
    ) {
        let format = Format { bits: format.bits.min(8 << width), ..format };
        let quantizer = Quantizer { shift, format, key: Key::new(seed) };
        let sums: Vec<i32> = numbers(fill, source_bits, len).collect();
        let pixels: Vec<u8> = sums.iter().map(|&v| v as u8).collect();
        let bytes: Vec<i8> = sums.iter().map(|&v| v as i8).collect();
        let words: Vec<i16> = sums.iter().map(|&v| v as i16).collect();
        let sources =
            [Source::U8(&pixels), Source::I8(&bytes), Source::I16(&words), Source::I32(&sums)];
        for source in sources {
            let mut wide = vec![0; len];
            source.copy_to(&mut wide);
            let wide = Source::I32(&wide);
            let mut expected = Store::new(width, Fill::Lowest, len);
            let counts = Scalar.quantize(&quantizer, wide, first, expected.get_mut());
            let mut codes = Store::new(width, Fill::Lowest, len);
            prop_assert_eq!(Scalar.quantize(&quantizer, source, first, codes.get_mut()), counts);
            prop_assert_eq!(&codes, &expected, "{:?}", source);
            prop_assert_eq!(Scalar.peak(source), Scalar.peak(wide));
            for level in X86::levels() {
                prop_assert_eq!(level.peak(source), Scalar.peak(source));
                let mut codes = Store::new(width, Fill::Lowest, len);
                let seen = level.quantize(&quantizer, source, first, codes.get_mut());
                prop_assert_eq!(seen, counts);
                prop_assert_eq!(&codes, &expected, "{} {:?}", level, source);
            }
        }
    }

    #[test]
    fn descending_equals_the_scalar_code(
        (format, shift) in (any_format(), -4i32..34),
        (lr, update_shift, round) in (0..1i32 << 15, -8i32..40, any_round()),
        (decay, decay_shift) in (prop_oneof![Just(0), 0..1i32 << 15], 0i32..40),
        (velocity_width, velocity, factor) in (0..3usize, any_fill(), 0..1i32 << 15),
        exponents in prop_oneof![Just(None), [-20i16..20, -20i16..20, -20i16..20].prop_map(Some)],
        (width, weights, grads, grad_bits) in (0..3usize, any_fill(), any_fill(), 2u32..=32),
        (seed, first, len) in (any::<u64>(), 0..5000u32, 0..600usize),
        blocks in any::<bool>(),
    ) {
        let key = Key::new(seed);
        let momentum = exponents.map(|[old_exponent, grad_exponent, new_exponent]| Momentum {
            factor, old_exponent, grad_exponent, new_exponent, round, key: key.child(2),
        });
        let descend = Descend {
            quantizer: Some(Quantizer { shift, format, key }),
            momentum,
            update: Update { lr, shift: update_shift, decay, decay_shift, round, key: key.child(1) },
        };
        let mask: Vec<u8> = (0..first + len as u32).map(|i| key.word(i) as u8).collect();
        let mask = if blocks { mask.as_slice() } else { &[] };
        let grad: Vec<i32> = numbers(grads, grad_bits, len).collect();
        let run = |kernel: &dyn Kernel| {
            let mut velocity = Store::new(velocity_width, velocity, len);
            let mut master = Store::new(width, weights, len);
            let (v, m) = (velocity.get_mut(), master.get_mut());
            let seen = kernel.descend(&descend, &grad, first, mask, v, m);
            (velocity, master, seen)
        };
        let expected = run(&Scalar);
        for level in X86::levels() {
            prop_assert_eq!(&run(&level), &expected, "{}", level);
        }
    }

    #[test]
    fn short_outputs_and_uneven_depths_equal_the_scalar_ones(
        product in any_product(1), rows in 0..40usize, depth in 0..40usize,
    ) {
        let (a, b) = product.store();
        let view = |kernel: &dyn Kernel| {
            let mut out = vec![7; rows * product.cols + rows / 2];
            let a = product.layouts.0.view(a.get(), product.rows, product.depth);
            let b = product.layouts.1.view(b.get(), product.depth, product.cols);
            kernel.gemm(a.col_range(0, depth), b, 0, product.add, &mut out);
            kernel.gemm(Matrix { cols: depth * 3, ..a }, b, 0, true, &mut out);
            out
        };
        let expected = view(&Scalar);
        for level in X86::levels() {
            prop_assert!(view(&level) == expected, "{}", level);
        }
    }
}

/// Deeper and wider than what is packed at a time.
#[test]
fn large_products_equal_the_scalar_ones() {
    let layouts = [false, true].map(|transposed| Layout { transposed, before: 0, after: 1 });
    for (rows, depth, cols) in [(9, 2048, 70), (67, 2049, 69), (3, 7000, 18), (18, 40, 2600)] {
        for fills in [
            (Fill::Random(1), Fill::Random(2), Fill::Extremes(3)),
            (Fill::Lowest, Fill::Lowest, Fill::Highest),
            (Fill::Lowest, Fill::Highest, Fill::Lowest),
        ] {
            for (a, b, add) in [(0, 0, true), (0, 1, false), (1, 0, true), (1, 1, false)] {
                let layouts = (layouts[a], layouts[b]);
                let product =
                    Product { rows, depth, cols, widths: (0, 0), layouts, fills, drop: 0, add };
                product.check();
            }
        }
    }
}

/// Some machine must run the tests of each level; this one says what it left out.
#[test]
fn levels_are_ordered_from_fast_to_slow() {
    let levels: Vec<X86> = X86::levels().collect();
    assert_eq!(X86::detect(), levels.first().copied());
    if levels.len() < 2 {
        std::eprintln!("skipped: this machine runs only {levels:?} of AVX-512 VNNI and AVX2");
    }
}

/// A matrix whose data ends early reads as if the rest were zero.
#[test]
fn matrices_that_lack_data_are_left_to_the_scalar_kernel() {
    let data = vec![3i8; 100];
    let short =
        Matrix { data: Mantissas::I8(&data), rows: 20, cols: 20, row_stride: 50, col_stride: 1 };
    let short = [short, Matrix { row_stride: 20, ..short }, Matrix { row_stride: 0, ..short }];
    for a in short {
        let mut expected = vec![1; 400];
        Scalar.gemm(a, a, 0, true, &mut expected);
        for level in X86::levels() {
            let mut out = vec![1; 400];
            level.gemm(a, a, 0, true, &mut out);
            assert_eq!(out, expected);
        }
    }
}
