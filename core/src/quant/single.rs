//! [`requantize`](super::requantize) over slices, one number after the other: the least code.

use super::{Code, Counts, Quantizer, requantize_word};
use crate::tensor::{Mantissa, MantissasMut, Source, for_source, for_width};

impl Quantizer {
    /// As [`run`](Self::run), from and into whichever storage there is.
    // Inlined, so that whoever knows the storage links one loop.
    #[inline(always)]
    pub(crate) fn run_single(
        &self,
        source: Source<'_>,
        first: u32,
        codes: MantissasMut<'_>,
    ) -> Counts {
        for_source!(source, source => for_width!(MantissasMut, codes, codes => {
            self.singly(source, first, codes)
        }))
    }

    #[inline(never)]
    fn singly<S, T>(&self, source: &[S], first: u32, codes: &mut [T]) -> Counts
    where
        S: Copy + Into<i32>,
        T: Mantissa,
    {
        let mut counts = Counts::default();
        for ((&value, code), element) in source.iter().zip(codes).zip(first..) {
            *code = T::from_code(self.one(value.into(), element, &mut counts));
        }
        counts
    }

    /// The code of one element, which is counted.
    #[inline(never)]
    pub(crate) fn one(&self, v: i32, element: u32, counts: &mut Counts) -> i32 {
        let Code { value, clipped } =
            requantize_word(v, self.shift, self.format, self.key.half(element));
        counts.note(clipped, !clipped & (v != 0) & (value == 0));
        value
    }
}
