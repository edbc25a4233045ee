//! What a point remembers between steps: its bound and its counters.

use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

use super::{Counts, Range};

/// The bound of one tensor and what happened to its values since the counters were last reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RangeState {
    bound: i16,
    /// Largest bound of the window that is filling, and of the one before it.
    recent: i16,
    previous: i16,
    age: u8,
    /// Largest bound that the step at hand has shown so far.
    seen: i16,
    /// Smallest and largest bound since the reset; the wrong way round until there is one.
    lowest: i16,
    highest: i16,
    /// Values quantised since the reset.
    pub elements: u32,
    /// Values outside the representable range.
    pub saturated: u32,
    /// Values that were not zero and became zero.
    pub underflowed: u32,
}

const UNSET: i16 = i16::MIN;

impl RangeState {
    /// A state without a bound.
    pub const NEW: Self = Self {
        bound: UNSET,
        recent: UNSET,
        previous: UNSET,
        age: 0,
        seen: UNSET,
        lowest: i16::MAX,
        highest: i16::MIN,
        elements: 0,
        saturated: 0,
        underflowed: 0,
    };

    /// The exponent of the bound, once there is one.
    pub const fn bound(&self) -> Option<i16> {
        match self.bound {
            UNSET => None,
            bound => Some(bound),
        }
    }

    /// The smallest and the largest bound since the counters were last reset, once there is one.
    pub const fn bounds(&self) -> Option<(i16, i16)> {
        if self.lowest > self.highest { None } else { Some((self.lowest, self.highest)) }
    }

    /// The four numbers that decide later steps, for a checkpoint.
    pub const fn memory(&self) -> [i16; 4] {
        [self.bound, self.recent, self.previous, self.age as i16]
    }

    /// Takes back what [`memory`](Self::memory) gave.
    pub const fn restore(&mut self, memory: [i16; 4]) {
        [self.bound, self.recent, self.previous, _] = memory;
        self.age = memory[3] as u8;
    }

    /// Keeps the bound of the tensor at hand.
    pub(crate) fn settle(&mut self, bound: i16) {
        self.bound = bound;
        self.lowest = self.lowest.min(bound);
        self.highest = self.highest.max(bound);
    }

    /// What a part of the step's tensor showed.
    pub(crate) fn note_seen(&mut self, bound: i16) {
        self.seen = self.seen.max(bound);
    }

    /// At the end of a step: what [`Range::Moving`] saw in it decides the next bound.
    pub(crate) fn finish_step(&mut self, range: Range) {
        let seen = core::mem::replace(&mut self.seen, UNSET);
        let Range::Moving { window, .. } = range else { return };
        if seen == UNSET {
            return;
        }
        self.recent = self.recent.max(seen);
        self.bound = self.recent.max(self.previous);
        self.age = self.age.saturating_add(1);
        if self.age >= window.max(1) {
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

    const MOVING: Range = Range::Moving { window: 3, percentile: 10_000 };

    #[test]
    fn moving_follows_upwards_at_once_and_downwards_after_a_window() {
        let mut state = RangeState::NEW;
        assert_eq!(MOVING.resolve(None, state.bound(), 4), 4, "the guess serves first");
        let mut bounds = std::vec::Vec::new();
        for seen in [2, 2, 5, 1, 1, 1, 1, 1, 1, 1] {
            state.note_seen(seen);
            state.finish_step(MOVING);
            bounds.push(MOVING.resolve(None, state.bound(), 0));
        }
        assert_eq!(bounds, [2, 2, 5, 5, 5, 5, 1, 1, 1, 1]);
        state.finish_step(MOVING);
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
            state.finish_step(MOVING);
        }
        let mut copy = RangeState::NEW;
        copy.restore(state.memory());
        for seen in [1, 1, 0, 0, -4, -4, -4] {
            state.note_seen(seen);
            state.finish_step(MOVING);
            copy.note_seen(seen);
            copy.finish_step(MOVING);
            assert_eq!(state.bound(), copy.bound());
        }
    }
}
