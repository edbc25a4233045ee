//! A day with the watch, from the first press to the last question. What a chip does with its own
//! bus and buttons is this, without an end.

use core::fmt;

use embedded_hal::{delay::DelayNs, i2c::I2c};
use fixgrad::trainer::{SetupError, StepError};

use crate::{
    learner::{Activity, Learner, Room, Teaching, trainer},
    sensor::{Sensor, SensorError},
};

/// Why a session ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionError<E> {
    /// The learner could not start.
    Setup(SetupError),
    /// There was no window.
    Sensor(SensorError<E>),
    /// The trainer refused a window.
    Step(StepError),
}

impl<E> From<SensorError<E>> for SessionError<E> {
    fn from(error: SensorError<E>) -> Self {
        Self::Sensor(error)
    }
}

impl<E: fmt::Debug> fmt::Display for SessionError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setup(error) => error.fmt(f),
            Self::Sensor(error) => error.fmt(f),
            Self::Step(error) => error.fmt(f),
        }
    }
}

impl<E: fmt::Debug> core::error::Error for SessionError<E> {}

/// What a session came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Questions that were answered right.
    pub correct: u32,
    /// One number for all that was learned.
    pub digest: u64,
}

/// What [`replay`] comes to with seed 0 and all windows to learn from, on every machine.
pub const KNOWN: Outcome = Outcome { correct: 38, digest: 0xa417_1b9c_a158_d228 };

/// Records a window for each of `presses`, which are the buttons, and learns from it; then records one for
/// each of `questions`, and counts how often the learner says the same.
// Not inlined, so that what it needs of the stack is not under everything else of a firmware.
#[inline(never)]
pub fn session<B: I2c>(
    bus: B,
    mut delay: impl DelayNs,
    (teaching, room): (&Teaching, &mut Room),
    presses: impl Iterator<Item = Activity>,
    questions: impl Iterator<Item = Activity>,
) -> Result<Outcome, SessionError<B::Error>> {
    let mut sensor = Sensor::new(bus)?;
    let Room { arena, kept, window } = room;
    let mut trainer = trainer(teaching, arena.as_mut_slice());
    // Borrowed, so that it is not moved.
    let trainer = trainer.as_mut().map_err(|error| SessionError::Setup(*error))?;
    let mut learner = Learner::new(trainer, kept);
    for activity in presses {
        sensor.record(&mut delay, window)?;
        learner.press(window, activity).map_err(SessionError::Step)?;
    }
    let mut correct = 0;
    for activity in questions {
        sensor.record(&mut delay, window)?;
        let answer = learner.classify(window).map_err(SessionError::Step)?;
        correct += u32::from(answer == activity);
    }
    Ok(Outcome { correct, digest: learner.digest() })
}

/// The same with recordings instead of a wearer: `windows` of those to learn from, then the others.
pub fn replay(
    teaching: &Teaching,
    room: &mut Room,
    seed: u64,
    windows: usize,
) -> Result<Outcome, SessionError<embedded_hal::i2c::ErrorKind>> {
    use crate::{NoWait, Played, recorded};
    let (learned, asked) = (recorded::to_learn(seed).take(windows), recorded::held_out());
    let bus = Played::new(learned.clone().chain(asked.clone()));
    let activity = recorded::Recording::activity;
    session(bus, NoWait, (teaching, room), learned.map(activity), asked.map(activity))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{recorded, teaching};

    #[test]
    fn five_sessions_end_with_known_answers_and_known_weights() {
        let outcomes = [0, 1, 2, 3, 4].map(|seed| {
            let (teaching, mut room) = (teaching(seed), Room::new());
            replay(&teaching, &mut room, seed, recorded::LEARNED).unwrap()
        });
        let expected = [
            KNOWN,
            Outcome { correct: 38, digest: 0xe1e3_b59b_5619_0300 },
            Outcome { correct: 39, digest: 0x1e1d_394e_e3e8_a8fd },
            Outcome { correct: 39, digest: 0x8574_e837_42d3_523c },
            Outcome { correct: 38, digest: 0x2fe1_4931_37d4_879b },
        ];
        assert_eq!(outcomes, expected);
    }
}
