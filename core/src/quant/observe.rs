//! What a point needs of an observer, and the small observer of bounds that one number decides.

use super::{Observer, Range, bits_for, peak};

/// Looks at a tensor, piece by piece and in any order, for a range rule.
pub trait Observe: Sized {
    /// True when it serves the rules that count more than the largest magnitude.
    const COUNTS: bool;
    /// An observer for one tensor whose magnitudes stay at or below `2^bits`; `row` is the number
    /// of elements of one sample.
    fn start(range: Range, bits: u32, row: usize) -> Self;
    /// True when one number, the largest magnitude, decides.
    fn needs_only_peak(&self) -> bool;
    /// The largest magnitude so far, as far as it decides the bound.
    fn peak(&self) -> u32;
    /// Takes in a largest magnitude found elsewhere, over `count` values.
    fn note_peak(&mut self, peak: u32, count: usize);
    /// Takes in some values of the tensor.
    fn note(&mut self, values: &[i32]);
    /// The bound of the tensor whose mantissas have the unit `2^exponent`; `None` when the values
    /// say nothing.
    fn bound(&self, exponent: i16) -> Option<i16>;
}

impl Observe for Observer {
    const COUNTS: bool = true;
    fn start(range: Range, bits: u32, row: usize) -> Self {
        Self::new(range, bits, row)
    }
    fn needs_only_peak(&self) -> bool {
        Self::needs_only_peak(self)
    }
    fn peak(&self) -> u32 {
        Self::peak(self)
    }
    fn note_peak(&mut self, peak: u32, count: usize) {
        Self::note_peak(self, peak, count);
    }
    fn note(&mut self, values: &[i32]) {
        Self::note(self, values);
    }
    fn bound(&self, exponent: i16) -> Option<i16> {
        Self::bound(self, exponent)
    }
}

/// As [`Observer`], for the rules that need only the largest magnitude: those of most boards, where
/// a histogram on the stack would be felt.
#[derive(Clone, Copy, Debug)]
pub struct PeakObserver {
    /// False for rules that do not look.
    looks: bool,
    peak: u32,
}

impl Observe for PeakObserver {
    const COUNTS: bool = false;
    fn start(range: Range, _: u32, _: usize) -> Self {
        Self { looks: range.observes(), peak: 0 }
    }
    fn needs_only_peak(&self) -> bool {
        true
    }
    fn peak(&self) -> u32 {
        self.peak
    }
    fn note_peak(&mut self, peak: u32, _: usize) {
        self.peak = self.peak.max(peak);
    }
    fn note(&mut self, values: &[i32]) {
        self.note_peak(peak(values), values.len());
    }
    fn bound(&self, exponent: i16) -> Option<i16> {
        let bound = bits_for(self.peak).filter(|_| self.looks)?;
        Some(exponent.saturating_add(bound.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound<O: Observe>(range: Range, values: &[i32]) -> Option<i16> {
        let mut observer = O::start(range, 32, 1);
        assert!(observer.needs_only_peak() || !range.observes());
        values.chunks(2).for_each(|part| observer.note(part));
        if range.observes() {
            observer.note_peak(3, 1);
        }
        observer.bound(-4)
    }

    #[test]
    fn the_small_observer_says_what_the_large_one_does() {
        let moving = Range::Moving { window: 1, percentile: 10_000 };
        for range in [Range::Fixed(1), Range::Keep, Range::Max, Range::Sweep, moving] {
            for values in [&[0, 5, -9][..], &[i32::MIN], &[]] {
                let expected = bound::<Observer>(range, values);
                assert_eq!(bound::<PeakObserver>(range, values), expected, "{range:?}");
            }
        }
    }
}
