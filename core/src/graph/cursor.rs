//! Hands out places in the arena. Sizes are counted in 64 bits, so that what 31 bits cannot count, as
//! a [`Region`] does, is noticed on every machine.

use super::region::Region;
use crate::tensor::Width;

/// The arena would have more bytes than 31 bits can count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLarge;

/// Where the next tensor goes that shares its place with no other.
pub(super) struct Cursor {
    at: u32,
    overflowed: bool,
}

impl Cursor {
    pub(super) const fn new() -> Self {
        Self { at: 0, overflowed: false }
    }

    /// Bytes handed out so far.
    pub(super) const fn at(&self) -> u32 {
        self.at
    }

    /// True once something found no place.
    pub(super) const fn overflowed(&self) -> bool {
        self.overflowed
    }

    pub(super) const fn take(&mut self, len: usize, width: Width) -> Region {
        match Region::sized(len, width).at(self.at as u64) {
            // Nothing, but of the kind that its users expect.
            _ if len == 0 => Region::new(0, 0, width),
            Ok(region) => {
                self.at = region.end() as u32;
                region
            }
            Err(TooLarge) => {
                self.overflowed = true;
                Region::NONE
            }
        }
    }

    pub(super) const fn mask(&mut self, elements: usize, wanted: bool) -> Region {
        if wanted { self.take(elements.div_ceil(8), Width::I8) } else { Region::NONE }
    }
}

impl Region {
    /// A region without a place yet. What 31 bits cannot count finds no place either.
    pub(super) const fn sized(len: usize, width: Width) -> Self {
        let len = if len > u32::MAX as usize { u32::MAX } else { len as u32 };
        Self::new(0, len, width)
    }

    /// The same at this place.
    pub(super) const fn at(self, offset: u64) -> Result<Self, TooLarge> {
        if offset + self.footprint() > i32::MAX as u64 {
            return Err(TooLarge);
        }
        Ok(Self::new(offset as u32, self.len, self.width()))
    }

    /// Bytes with padding: every region starts at a multiple of four, so that any width is
    /// aligned.
    pub(super) const fn footprint(self) -> u64 {
        (self.len as u64 * self.width().bytes() as u64).next_multiple_of(4)
    }

    pub(super) const fn end(self) -> u64 {
        self.offset() as u64 + self.footprint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_aligned_and_end_before_four_gibibytes() {
        let mut cursor = Cursor::new();
        assert_eq!(cursor.take(3, Width::I8).offset(), 0);
        assert_eq!(cursor.take(3, Width::I16).offset(), 4);
        assert_eq!((cursor.at(), cursor.overflowed()), (12, false));
        cursor.take(1 << 30, Width::I32);
        assert_eq!((cursor.at(), cursor.overflowed()), (12, true));
    }
}
