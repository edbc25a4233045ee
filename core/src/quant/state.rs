//! What a point remembers between steps: its bound and its counters.

use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

use super::Counts;

/// The bound of one tensor and what happened to its values since the counters were last reset.
///
/// A new one is all zeros, so that a trainer can begin with many of them without a table in flash:
/// exponents are kept as their ranks among all that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RangeState {
    bound: u16,
    /// Largest bound of the window that is filling, and of the one before it.
    recent: u16,
    previous: u16,
    age: u8,
    /// Largest bound that the step at hand has shown so far.
    seen: u16,
    /// Smallest bound since the reset, all bits turned, and the largest.
    lowest: u16,
    highest: u16,
    /// Values quantised since the reset.
    pub elements: u32,
    /// Values outside the representable range.
    pub saturated: u32,
    /// Values that were not zero and became zero.
    pub underflowed: u32,
}

/// The rank of no exponent, which no bound has.
const UNSET: u16 = 0;

/// The place of an exponent among all that there are, from the smallest on.
const fn rank(exponent: i16) -> u16 {
    (exponent ^ i16::MIN).cast_unsigned()
}

/// The exponent with this rank.
const fn exponent(rank: u16) -> i16 {
    rank.cast_signed() ^ i16::MIN
}

impl RangeState {
    /// A state without a bound.
    pub const NEW: Self = Self {
        bound: UNSET,
        recent: UNSET,
        previous: UNSET,
        age: 0,
        seen: UNSET,
        lowest: UNSET,
        highest: UNSET,
        elements: 0,
        saturated: 0,
        underflowed: 0,
    };

    /// The exponent of the bound, once there is one.
    pub const fn bound(&self) -> Option<i16> {
        match self.bound {
            UNSET => None,
            bound => Some(exponent(bound)),
        }
    }

    /// The smallest and the largest bound since the counters were last reset, once there is one.
    pub const fn bounds(&self) -> Option<(i16, i16)> {
        match self.highest {
            UNSET => None,
            highest => Some((exponent(!self.lowest), exponent(highest))),
        }
    }

    /// The four numbers that decide later steps, for a checkpoint.
    pub const fn memory(&self) -> [i16; 4] {
        let Self { bound, recent, previous, age, .. } = *self;
        [exponent(bound), exponent(recent), exponent(previous), age as i16]
    }

    /// Takes back what [`memory`](Self::memory) gave.
    pub const fn restore(&mut self, memory: [i16; 4]) {
        let [bound, recent, previous, age] = memory;
        (self.bound, self.recent) = (rank(bound), rank(recent));
        (self.previous, self.age) = (rank(previous), age as u8);
    }

    /// Keeps the bound of the tensor at hand.
    pub(crate) fn settle(&mut self, bound: i16) {
        self.bound = rank(bound);
        self.lowest = self.lowest.max(!self.bound);
        self.highest = self.highest.max(self.bound);
    }

    /// What a part of the step's tensor showed.
    pub(crate) fn note_seen(&mut self, bound: i16) {
        self.seen = self.seen.max(rank(bound));
    }

    /// At the end of a step: what [`Range::Moving`] saw in it decides the next bound.
    /// `window` is that of the rule, zero for rules that do not look back.
    pub(crate) fn finish_step(&mut self, window: u8) {
        let seen = core::mem::replace(&mut self.seen, UNSET);
        if seen == UNSET || window == 0 {
            return;
        }
        self.recent = self.recent.max(seen);
        self.bound = self.recent.max(self.previous);
        self.age = self.age.saturating_add(1);
        if self.age >= window {
            self.previous = self.recent;
            self.recent = UNSET;
            self.age = 0;
        }
    }

    pub(crate) fn count(&mut self, counts: Counts, elements: usize) {
        self.elements = self.elements.saturating_add(elements as u32);
        self.saturated = self.saturated.saturating_add(counts.saturated);
        self.underflowed = self.underflowed.saturating_add(counts.underflowed);
    }

    /// Forgets the counters and keeps the bound.
    pub fn reset_counters(&mut self) {
        let memory = self.memory();
        *self = Self::NEW;
        self.restore(memory);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::quant::Range;

    const MOVING: Range = Range::Moving { window: 3, percentile: 10_000 };

    #[test]
    fn moving_follows_upwards_at_once_and_downwards_after_a_window() {
        let mut state = RangeState::NEW;
        assert_eq!(MOVING.resolve(None, state.bound(), 4), 4, "the guess serves first");
        let mut bounds = std::vec::Vec::new();
        for seen in [2, 2, 5, 1, 1, 1, 1, 1, 1, 1] {
            state.note_seen(seen);
            state.finish_step(MOVING.window());
            bounds.push(MOVING.resolve(None, state.bound(), 0));
        }
        assert_eq!(bounds, [2, 2, 5, 5, 5, 5, 1, 1, 1, 1]);
        state.finish_step(MOVING.window());
        assert_eq!(state.bound(), Some(1), "an all-zero tensor changes nothing");
    }

    #[test]
    fn bounds_are_those_since_the_reset() {
        let mut state = RangeState::NEW;
        assert_eq!(state.bounds(), None);
        for bound in [3, -5, 0] {
            state.settle(bound);
        }
        assert_eq!(state.bounds(), Some((-5, 3)));
        state.reset_counters();
        assert_eq!((state.bounds(), state.bound()), (None, Some(0)));
    }

    #[test]
    fn memory_restores_what_decides_later_steps() {
        let mut state = RangeState::NEW;
        for seen in [3, 7, 2, 2] {
            state.note_seen(seen);
            state.finish_step(MOVING.window());
        }
        let mut copy = RangeState::NEW;
        copy.restore(state.memory());
        for seen in [1, 1, 0, 0, -4, -4, -4] {
            state.note_seen(seen);
            state.finish_step(MOVING.window());
            copy.note_seen(seen);
            copy.finish_step(MOVING.window());
            assert_eq!(state.bound(), copy.bound());
        }
    }
}
