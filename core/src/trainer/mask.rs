//! Clip masks: one bit an element, which says whether its gradient may pass.

use crate::{
    kernel::{Cut, Kernel, share, whole_rows},
    quant::Quantizer,
    tensor::Source,
};

/// The part of a clip mask that belongs to a tile.
pub(crate) struct Mask<'m> {
    /// The mask of the whole tensor; empty when every gradient passes.
    pub(crate) bits: &'m mut [u8],
    /// The bit of the tile's first element.
    pub(crate) first: u32,
}

impl Mask<'_> {
    /// Not inlined: its piece would lie on the stack under every kernel that quantises.
    #[inline(never)]
    pub(super) fn clear_clipped<K: Kernel>(
        self,
        kernel: &K,
        quantizer: &Quantizer,
        source: Source<'_>,
        first: u32,
    ) {
        let size = source.len();
        let clips = Clips { source, first, bits: self.bits, bit: self.first };
        share(kernel, clips, size, |Clips { source, first, bits, bit }| {
            source.widened(|from, sums| {
                let from = from as u32;
                let at = first.wrapping_add(from);
                quantizer.clear_clipped(sums, at, bits, bit.wrapping_add(from));
            });
        });
    }
}

/// Numbers, the first of which is element `first`, and a mask in which it has the bit `bit`.
struct Clips<'m> {
    source: Source<'m>,
    first: u32,
    bits: &'m mut [u8],
    bit: u32,
}

impl Cut for Clips<'_> {
    fn cut(self, part: usize, parts: usize) -> (Self, Self) {
        let Self { source, first, bits, bit } = self;
        // The second part begins with a byte of its own.
        let bytes = (bit as usize + whole_rows(source.len(), 1, part, parts)) / 8;
        let at = (8 * bytes).saturating_sub(bit as usize);
        let (left, right) = bits.split_at_mut_checked(bytes).unwrap_or_default();
        let rest = source.part(at, source.len().saturating_sub(at));
        (
            Self { source: source.part(0, at), first, bits: left, bit },
            Self { source: rest, first: first.wrapping_add(at as u32), bits: right, bit: 0 },
        )
    }
}
