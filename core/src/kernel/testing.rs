//! Random products on which every kernel must equal [`Scalar`].

mod convolutions;
mod depthwise;

use std::{vec, vec::Vec};

use proptest::prelude::*;

pub(super) use convolutions::check_convolutions;
#[cfg(all(feature = "std", target_arch = "x86_64"))]
pub(super) use convolutions::check_deep_convolutions;
pub(super) use depthwise::check_depthwise;
#[cfg(all(feature = "std", target_arch = "x86_64"))]
pub(super) use depthwise::check_long_depthwise;

use super::{Kernel, Scalar};
use crate::{
    rng::Key,
    tensor::{Mantissas, MantissasMut, Matrix},
};

/// Numbers from a key, all of a width's extremes, or one extreme throughout.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fill {
    Random(u64),
    /// Of which many may share a sum of 16 bits.
    Small(u64),
    Extremes(u64),
    Lowest,
    Highest,
}

pub(super) fn any_fill() -> impl Strategy<Value = Fill> {
    prop_oneof![
        any::<u64>().prop_map(Fill::Random),
        any::<u64>().prop_map(Fill::Small),
        any::<u64>().prop_map(Fill::Extremes),
        Just(Fill::Lowest),
        Just(Fill::Highest),
    ]
}

pub(super) fn numbers(fill: Fill, bits: u32, len: usize) -> impl Iterator<Item = i32> {
    let (low, high) = (i32::MIN >> (32 - bits), i32::MAX >> (32 - bits));
    (0..len as u32).map(move |i| match fill {
        Fill::Random(seed) => Key::new(seed).word(i).cast_signed() >> (32 - bits),
        Fill::Small(seed) => Key::new(seed).word(i).cast_signed() >> (36 - bits).min(31),
        Fill::Extremes(seed) => [low, high, 0, -1][Key::new(seed).below(i, 4) as usize],
        Fill::Lowest => low,
        Fill::Highest => high,
    })
}

/// Owned mantissas of one width.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Store {
    pub(super) i8s: Vec<i8>,
    pub(super) i16s: Vec<i16>,
    pub(super) i32s: Vec<i32>,
    pub(super) width: usize,
}

impl Store {
    pub(super) fn new(width: usize, fill: Fill, len: usize) -> Self {
        let mut store = Self { i8s: vec![0; len], i16s: vec![0; len], i32s: vec![0; len], width };
        let bits = 8 << width;
        let values: Vec<i32> = numbers(fill, bits, len).collect();
        store.get_mut().store(&values);
        store
    }

    pub(super) fn get(&self) -> Mantissas<'_> {
        match self.width {
            0 => Mantissas::I8(&self.i8s),
            1 => Mantissas::I16(&self.i16s),
            _ => Mantissas::I32(&self.i32s),
        }
    }

    pub(super) fn get_mut(&mut self) -> MantissasMut<'_> {
        match self.width {
            0 => MantissasMut::I8(&mut self.i8s),
            1 => MantissasMut::I16(&mut self.i16s),
            _ => MantissasMut::I32(&mut self.i32s),
        }
    }
}

/// A matrix inside a larger one, as stored or transposed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) transposed: bool,
    pub(super) before: usize,
    pub(super) after: usize,
}

pub(super) fn any_layout() -> impl Strategy<Value = Layout> {
    (any::<bool>(), 0..3usize, 0..3usize).prop_map(|(transposed, before, after)| Layout {
        transposed,
        before,
        after,
    })
}

impl Layout {
    pub(super) fn outer(self, rows: usize, cols: usize) -> (usize, usize) {
        let around = self.before + self.after;
        let (rows, cols) = (rows + around, cols + around);
        if self.transposed { (cols, rows) } else { (rows, cols) }
    }

    pub(super) fn view(self, data: Mantissas<'_>, rows: usize, cols: usize) -> Matrix<'_> {
        let (outer_rows, outer_cols) = self.outer(rows, cols);
        let matrix = Matrix::new(data, outer_rows, outer_cols);
        let matrix = if self.transposed { matrix.t() } else { matrix };
        matrix.row_range(self.before, rows).col_range(self.before, cols)
    }
}

#[derive(Clone, Debug)]
pub(super) struct Product {
    pub(super) rows: usize,
    pub(super) depth: usize,
    pub(super) cols: usize,
    pub(super) widths: (usize, usize),
    pub(super) layouts: (Layout, Layout),
    pub(super) fills: (Fill, Fill, Fill),
    pub(super) drop: u32,
    pub(super) add: bool,
}

impl Product {
    pub(super) fn store(&self) -> (Store, Store) {
        let len = |(rows, cols): (usize, usize)| rows * cols;
        let (a, b) = self.layouts;
        (
            Store::new(self.widths.0, self.fills.0, len(a.outer(self.rows, self.depth))),
            Store::new(self.widths.1, self.fills.1, len(b.outer(self.depth, self.cols))),
        )
    }

    pub(super) fn run(&self, kernel: impl Kernel, a: &Store, b: &Store) -> Vec<i32> {
        let mut out: Vec<i32> = numbers(self.fills.2, 32, self.rows * self.cols).collect();
        let a = self.layouts.0.view(a.get(), self.rows, self.depth);
        let b = self.layouts.1.view(b.get(), self.depth, self.cols);
        kernel.gemm(a, b, self.drop, self.add, &mut out);
        out
    }

    pub(super) fn check(&self, kernel: impl Kernel, name: &str) {
        let (a, b) = self.store();
        let expected = self.run(Scalar, &a, &b);
        assert!(self.run(kernel, &a, &b) == expected, "{name}: {self:?}");
    }

    /// Operands of different depths, and room for fewer or more rows than there are.
    pub(super) fn check_uneven(&self, kernel: impl Kernel, name: &str, rows: usize, depth: usize) {
        let (a, b) = self.store();
        let product = |kernel: &dyn Kernel| {
            let mut out = vec![7; rows * self.cols + rows / 2];
            let a = self.layouts.0.view(a.get(), self.rows, self.depth);
            let b = self.layouts.1.view(b.get(), self.depth, self.cols);
            kernel.gemm(a.col_range(0, depth), b, 0, self.add, &mut out);
            kernel.gemm(Matrix { cols: depth * 3, ..a }, b, 0, true, &mut out);
            kernel.gemm(a, b.row_range(0, depth), 0, false, &mut out);
            out
        };
        assert!(product(&kernel) == product(&Scalar), "{name}: {self:?}");
    }
}

pub(super) fn any_size(most: usize) -> impl Strategy<Value = usize> {
    prop_oneof![
        2 => 0..most,
        1 => prop::sample::select(vec![1usize, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65]),
    ]
}

pub(super) fn any_product(widths: usize) -> impl Strategy<Value = Product> {
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

/// What every kernel promises of its products.
pub(super) fn check_products(kernel: impl Kernel + Copy, name: &str) {
    use proptest::test_runner::TestRunner;
    let run = |widths: usize| {
        TestRunner::default()
            .run(&any_product(widths), |product| {
                product.check(kernel, name);
                Ok(())
            })
            .unwrap();
    };
    run(1);
    run(3);
    check_convolutions(&kernel, name);
    TestRunner::default()
        .run(&(any_product(1), 0..40usize, 0..40usize), |(product, rows, depth)| {
            product.check_uneven(kernel, name, rows, depth);
            Ok(())
        })
        .unwrap();
    // A matrix whose data ends early reads as if the rest were zero.
    let data = vec![3i8; 100];
    let short =
        Matrix { data: Mantissas::I8(&data), rows: 20, cols: 20, row_stride: 50, col_stride: 1 };
    for a in [short, Matrix { row_stride: 20, ..short }, Matrix { row_stride: 0, ..short }] {
        let product = |kernel: &dyn Kernel| {
            let mut out = vec![1; 400];
            kernel.gemm(a, a, 0, true, &mut out);
            out
        };
        assert!(product(&kernel) == product(&Scalar), "{name}: {a:?}");
    }
}
