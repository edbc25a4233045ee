//! The bound of the gates' gradients: as that of a velocity, it is what the steps of training before
//! have asked for. Words in the memory that a checkpoint holds.

use super::lstm_of;
use crate::{
    graph::{BOUND_WORDS, pick},
    kernel::Kernel,
    quant::{Range, RangeState},
    strategy::Strategy,
    tensor::MantissasMut,
    trainer::engine::{At, Engine},
    uses::Uses,
};

/// No bound is further from zero, whatever a checkpoint says.
const FURTHEST: i16 = 256;

/// What is remembered, and the bound that the step at hand has seen.
fn read(words: &[i32]) -> Option<(RangeState, i16)> {
    let &[bound, recent, previous, age, seen]: &[i32; BOUND_WORDS] = words.try_into().ok()?;
    let mut state = RangeState::NEW;
    let age = (age as i16).clamp(0, u8::MAX.into());
    state.restore([turned(bound), turned(recent), turned(previous), age]);
    Some((state, turned(seen)))
}

fn write(words: &mut [i32], state: &RangeState, seen: i16) {
    let [bound, recent, previous, age] = state.memory();
    let values = [back(bound), back(recent), back(previous), age.into(), back(seen)];
    words.iter_mut().zip(values).for_each(|(word, value)| *word = value);
}

/// A new memory is all zeros, where an unset bound is the smallest number.
fn turned(word: i32) -> i16 {
    match word as i16 ^ i16::MIN {
        i16::MIN => i16::MIN,
        bound => bound.clamp(-FURTHEST, FURTHEST),
    }
}

fn back(bound: i16) -> i32 {
    (bound ^ i16::MIN).into()
}

impl<'e, K: Kernel, S: Strategy, U: Uses> Engine<'e, K, S, U> {
    /// The bound of this step: that of a fixed rule, or what steps before have asked for, or else `guess`.
    pub(super) fn gates_bound(&mut self, at: At<'_>, range: Range, guess: i16) -> i16 {
        if let Range::Fixed(bound) = range {
            return bound;
        }
        let [words] = pick(self.memory, [&at.plan.channels]);
        let MantissasMut::I32(words) = words else { return guess };
        let Some((mut state, seen)) = read(words) else { return guess };
        let bound = Range::VELOCITY.resolve(None, state.bound(), guess);
        // Of all parts of a step.
        state.settle(bound);
        write(words, &state, seen);
        bound
    }

    /// Keeps the bound that a part of the step would have liked.
    pub(super) fn note_gates(&mut self, at: At<'_>, bound: i16) {
        let [words] = pick(self.memory, [&at.plan.channels]);
        if let MantissasMut::I32(words) = words
            && let Some((state, seen)) = read(words)
        {
            write(words, &state, seen.max(bound));
        }
    }

    /// At the end of a step.
    #[inline(never)]
    pub(in crate::trainer) fn finish_gates(&mut self) {
        for plan in self.plan {
            if lstm_of::<U>(&plan.way).is_none() {
                continue;
            }
            let [words] = pick(self.memory, [&plan.channels]);
            if let MantissasMut::I32(words) = words
                && let Some((mut state, seen)) = read(words)
                && seen > i16::MIN
            {
                state.note_seen(seen);
                state.finish_step(Range::VELOCITY.window());
                write(words, &state, i16::MIN);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_a_new_memory_and_all_else_survives_its_words() {
        let mut words = [0; BOUND_WORDS];
        let (mut state, seen) = read(&words).unwrap();
        assert_eq!((state, seen), (RangeState::NEW, i16::MIN));
        write(&mut words, &state, seen);
        assert_eq!(words, [0; BOUND_WORDS]);
        for bound in [-3, 5, 4] {
            state.note_seen(bound);
            state.finish_step(2);
        }
        write(&mut words, &state, -7);
        let (again, seen) = read(&words).unwrap();
        assert_eq!((again.memory(), seen), (state.memory(), -7));
        assert_eq!(again.bound(), Some(5));
    }

    #[test]
    fn forged_words_stay_near() {
        let (state, seen) = read(&[i32::MAX, i32::MIN + 7, 12_345, -9, 1]).unwrap();
        let [bound, recent, previous, age] = state.memory();
        assert!(
            [bound, recent, previous, seen]
                .iter()
                .all(|b| b.unsigned_abs() <= 256 || *b == i16::MIN)
        );
        assert_eq!(age, 0);
    }
}
