//! Sums over the pixels of every channel: what a mean, a variance and their gradients are made of.
//!
//! They are exact in 64 bits, so that neither the order of pixels nor threads can matter.

use core::ops::Range;

use crate::{
    kernel::{ChannelWork, Kernel, Work},
    tensor::{Mantissa, Mantissas},
    uses::{Part, Uses},
};

/// Channels that are added up at a time.
pub(crate) const BLOCK: usize = 32;
/// Numbers that are worth a second thread.
const WORTH: usize = 1 << 15;

/// Sums of some channels: of `u`, and of `u * v`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChannelSums {
    pub(crate) plain: [i64; BLOCK],
    pub(crate) products: [i64; BLOCK],
}

impl ChannelSums {
    pub(crate) const ZERO: Self = Self { plain: [0; BLOCK], products: [0; BLOCK] };

    fn add(&mut self, other: &Self) {
        self.plain.iter_mut().zip(other.plain).for_each(|(a, b)| *a = a.wrapping_add(b));
        self.products.iter_mut().zip(other.products).for_each(|(a, b)| *a = a.wrapping_add(b));
    }
}

/// Two tensors of one shape, and at most [`BLOCK`] of their channels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Columns<'a> {
    pub(crate) u: Mantissas<'a>,
    pub(crate) v: Mantissas<'a>,
    pub(crate) channels: usize,
    pub(crate) first: usize,
    pub(crate) width: usize,
}

impl Columns<'_> {
    /// Sums over `rows`, by as many threads as are worth it.
    pub(crate) fn sums<K: Kernel, U: Uses>(&self, kernel: &K, rows: Range<usize>) -> ChannelSums {
        self.shared::<K, U>(kernel, rows, kernel.threads())
    }

    fn shared<K: Kernel, U: Uses>(
        &self,
        kernel: &K,
        rows: Range<usize>,
        threads: usize,
    ) -> ChannelSums {
        let mut sums = ChannelSums::ZERO;
        if threads < 2 || rows.len() * self.width < 2 * WORTH {
            let work = |columns: &Columns<'_>| {
                kernel.channels(ChannelWork(Work::Sums(columns, rows, &mut sums)));
            };
            match (self.u, self.v) {
                // Said again, so that the compiler sees no others where none are linked.
                (Mantissas::I8(u), Mantissas::I8(v)) => {
                    work(&Columns { u: Mantissas::I8(u), v: Mantissas::I8(v), ..*self });
                }
                _ if U::uses(Part::WideCodes) => work(self),
                _ => {}
            }
            return sums;
        }
        let mut others = ChannelSums::ZERO;
        let middle = rows.start + rows.len() / 2;
        let half = threads / 2;
        kernel.join(
            &mut || sums = self.shared::<K, U>(kernel, rows.start..middle, half),
            &mut || others = self.shared::<K, U>(kernel, middle..rows.end, threads - half),
        );
        sums.add(&others);
        sums
    }

    /// Adds the sums of some rows.
    #[inline(always)]
    pub(crate) fn add_up(&self, rows: Range<usize>, sums: &mut ChannelSums) {
        match (self.u, self.v) {
            (Mantissas::I8(u), Mantissas::I8(v)) => self.walk(u, v, rows, sums),
            (Mantissas::I8(u), Mantissas::I16(v)) => self.walk(u, v, rows, sums),
            (Mantissas::I16(u), Mantissas::I8(v)) => self.walk(u, v, rows, sums),
            (Mantissas::I16(u), Mantissas::I16(v)) => self.walk(u, v, rows, sums),
            _ => {}
        }
    }

    #[inline(always)]
    fn walk<A: Mantissa, B: Mantissa>(
        &self,
        u: &[A],
        v: &[B],
        rows: Range<usize>,
        sums: &mut ChannelSums,
    ) {
        // As many rows as 32 bits have room for.
        let bits = u32::from(A::WIDTH.bits()) + u32::from(B::WIDTH.bits()) - 2;
        let most = 1 << 30u32.saturating_sub(bits);
        let mut from = rows.start;
        while from < rows.end {
            let to = rows.end.min(from + most);
            let (mut plain, mut products) = ([0i32; BLOCK], [0i32; BLOCK]);
            for at in (from..to).map(|row| row * self.channels + self.first) {
                let (u, v) = (u.get(at..).unwrap_or_default(), v.get(at..).unwrap_or_default());
                match (self.width, u.first_chunk::<BLOCK>(), v.first_chunk::<BLOCK>()) {
                    // Said again, so that the compiler knows the length.
                    (BLOCK, Some(u), Some(v)) => add_row(u, v, &mut plain, &mut products),
                    _ => {
                        let u = u.get(..self.width).unwrap_or_default();
                        add_row(u, v, &mut plain, &mut products);
                    }
                }
            }
            let add = |sums: &mut [i64; BLOCK], more: [i32; BLOCK]| {
                let sums = sums.iter_mut().zip(more);
                sums.for_each(|(sum, more)| *sum = sum.wrapping_add(more.into()));
            };
            add(&mut sums.plain, plain);
            add(&mut sums.products, products);
            from = to;
        }
    }
}

#[inline(always)]
fn add_row<A: Mantissa, B: Mantissa>(
    u: &[A],
    v: &[B],
    plain: &mut [i32; BLOCK],
    products: &mut [i32; BLOCK],
) {
    for (((&u, &v), plain), product) in u.iter().zip(v).zip(plain).zip(products) {
        let (u, v) = (u.widen(), v.widen());
        *plain = plain.wrapping_add(u);
        *product = product.wrapping_add(u.wrapping_mul(v));
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::{
        kernel::Scalar,
        tensor::{MantissasMut, Matrix},
        uses::Everything,
    };

    /// Runs the right half first.
    struct Threads;

    impl Kernel for Threads {
        fn gemm(&self, a: Matrix<'_>, b: Matrix<'_>, drop: u32, add: bool, out: &mut [i32]) {
            Scalar.gemm(a, b, drop, add, out);
        }
        fn threads(&self) -> usize {
            3
        }
        fn join(&self, left: &mut (dyn FnMut() + Send), right: &mut (dyn FnMut() + Send)) {
            right();
            left();
        }
    }

    fn codes(count: usize, most: i32, seed: i32) -> Vec<i32> {
        let code = |i: i32| (i.wrapping_mul(7919).wrapping_add(seed) % (2 * most)) - most;
        (0..count as i32).map(|i| code(i).clamp(-most, most - 1)).collect()
    }

    #[test]
    fn sums_are_exact_in_every_storage_whoever_adds() {
        for (channels, first, width) in [(1, 0, 1), (40, 0, 32), (40, 32, 8), (3, 1, 2)] {
            let rows = 2 * WORTH / width + 5;
            for (a, b) in [(8, 8), (8, 16), (16, 8), (16, 16)] {
                let all = [(a, 1), (b, 2)]
                    .map(|(bits, seed)| codes(rows * channels, 1 << (bits - 1), seed));
                let mut bytes = all
                    .clone()
                    .map(|codes| (std::vec![0i8; codes.len()], std::vec![0i16; codes.len()]));
                for ((bytes, words), codes) in bytes.iter_mut().zip(&all) {
                    MantissasMut::I8(bytes).store(codes);
                    MantissasMut::I16(words).store(codes);
                }
                let view = |i: usize, bits| match bits {
                    8 => Mantissas::I8(&bytes[i].0),
                    _ => Mantissas::I16(&bytes[i].1),
                };
                let columns = Columns { u: view(0, a), v: view(1, b), channels, first, width };
                let found = columns.sums::<_, Everything>(&Threads, 0..rows);
                assert_eq!(found, columns.sums::<_, Everything>(&Scalar, 0..rows));
                for c in 0..width {
                    let column = |i: usize| all[i].iter().skip(first + c).step_by(channels);
                    let plain: i64 = column(0).map(|&u| i64::from(u)).sum();
                    let products: i64 =
                        column(0).zip(column(1)).map(|(&u, &v)| i64::from(u) * i64::from(v)).sum();
                    assert_eq!((found.plain[c], found.products[c]), (plain, products));
                }
            }
        }
    }

    #[test]
    fn the_largest_codes_do_not_overflow() {
        let rows = (1 << 16) + 7;
        let bytes = std::vec![i8::MIN; rows];
        let words = std::vec![i16::MIN; rows];
        for (codes, square) in
            [(Mantissas::I8(&bytes), 1i64 << 14), (Mantissas::I16(&words), 1 << 30)]
        {
            let columns = Columns { u: codes, v: codes, channels: 1, first: 0, width: 1 };
            let found = columns.sums::<_, Everything>(&Scalar, 0..rows);
            assert_eq!(found.products[0], square * rows as i64);
        }
    }
}
