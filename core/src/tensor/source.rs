//! Whole numbers of any storage, as quantisers and range rules read them.

use super::{Mantissas, MantissasMut};

/// Whole numbers to be quantised: sums, mantissas, or samples as they come.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// Pixels.
    U8(&'a [u8]),
    /// One byte each.
    I8(&'a [i8]),
    /// Two bytes each.
    I16(&'a [i16]),
    /// Sums.
    I32(&'a [i32]),
}

/// Runs the same code over whichever storage is inside.
#[macro_export]
#[doc(hidden)]
macro_rules! for_source {
    ($value:expr, $name:ident => $body:expr) => {
        match $value {
            $crate::tensor::Source::U8($name) => $body,
            $crate::tensor::Source::I8($name) => $body,
            $crate::tensor::Source::I16($name) => $body,
            $crate::tensor::Source::I32($name) => $body,
        }
    };
}

/// Numbers that are widened at a time.
const PIECE: usize = 64;

impl<'a> Source<'a> {
    /// How many there are.
    pub const fn len(&self) -> usize {
        for_source!(self, s => s.len())
    }

    /// True when there are none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first `at` numbers and the rest; all of them and none when there are fewer.
    #[must_use]
    pub fn split_at(self, at: usize) -> (Self, Self) {
        macro_rules! halves {
            ($($width:ident)*) => {
                match self {
                    $(Self::$width(s) => {
                        let (left, right) = s.split_at(at.min(s.len()));
                        (Self::$width(left), Self::$width(right))
                    })*
                }
            };
        }
        halves!(U8 I8 I16 I32)
    }

    /// Numbers `from..from + len`; none when they do not lie inside.
    #[must_use]
    pub fn part(self, from: usize, len: usize) -> Self {
        match from.checked_add(len) {
            Some(to) if to <= self.len() => self.split_at(to).0.split_at(from).1,
            _ => Self::I32(&[]),
        }
    }

    /// Copies them, widened.
    pub fn copy_to(self, sums: &mut [i32]) {
        fn widen<S: Copy + Into<i32>>(numbers: &[S], sums: &mut [i32]) {
            sums.iter_mut().zip(numbers).for_each(|(sum, &number)| *sum = number.into());
        }
        for_source!(self, s => widen(s, sums));
    }

    /// Shows them as 32-bit numbers, in pieces, with the index of the first of each. Sums are one
    /// piece, since they need no copy.
    pub fn widened(self, mut see: impl FnMut(usize, &[i32])) {
        if let Self::I32(sums) = self {
            return see(0, sums);
        }
        let mut piece = [0i32; PIECE];
        let mut from = 0;
        while from < self.len() {
            let len = PIECE.min(self.len() - from);
            let wide = piece.get_mut(..len).unwrap_or_default();
            self.part(from, len).copy_to(wide);
            see(from, wide);
            from += len;
        }
    }
}

impl<'a> From<&'a [i32]> for Source<'a> {
    fn from(sums: &'a [i32]) -> Self {
        Self::I32(sums)
    }
}

impl<'a> From<Mantissas<'a>> for Source<'a> {
    fn from(mantissas: Mantissas<'a>) -> Self {
        match mantissas {
            Mantissas::I8(m) => Self::I8(m),
            Mantissas::I16(m) => Self::I16(m),
            Mantissas::I32(m) => Self::I32(m),
        }
    }
}

impl<'a> From<MantissasMut<'a>> for Source<'a> {
    fn from(mantissas: MantissasMut<'a>) -> Self {
        match mantissas {
            MantissasMut::I8(m) => Self::I8(m),
            MantissasMut::I16(m) => Self::I16(m),
            MantissasMut::I32(m) => Self::I32(m),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_storage_is_widened_whole_and_in_order() {
        let bytes: std::vec::Vec<u8> = (0..300u16).map(|i| i as u8).collect();
        let signed: std::vec::Vec<i8> = bytes.iter().map(|&b| b.cast_signed()).collect();
        let words: std::vec::Vec<i16> = (0..300).map(|i| i * 100 - 15_000).collect();
        let sums: std::vec::Vec<i32> = (0..300).map(|i| i * 1_000_000).collect();
        let expected = [
            bytes.iter().map(|&v| v.into()).collect::<std::vec::Vec<i32>>(),
            signed.iter().map(|&v| v.into()).collect(),
            words.iter().map(|&v| v.into()).collect(),
            sums.clone(),
        ];
        let sources =
            [Source::U8(&bytes), Source::I8(&signed), Source::I16(&words), Source::I32(&sums)];
        for (source, expected) in sources.into_iter().zip(expected) {
            for (from, len) in [(0, 300), (7, 200), (299, 1), (300, 0)] {
                let mut seen = std::vec![];
                source.part(from, len).widened(|at, piece| {
                    assert_eq!(at, seen.len());
                    seen.extend_from_slice(piece);
                });
                assert_eq!(seen, expected[from..from + len]);
            }
            assert!(source.part(200, 101).is_empty() && source.part(1, usize::MAX).is_empty());
        }
    }
}
