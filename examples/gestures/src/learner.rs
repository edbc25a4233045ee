//! The network, what is remembered of earlier windows, and how a press of a button teaches.

use fixgrad::{
    kernel::Device,
    prelude::*,
    rng::Key,
    trainer::{SetupError, StepError},
    uses::{Fitted, Only, Part},
};

use crate::{
    features::{EXPONENT, FEATURES, features},
    sensor::{WINDOW, Window},
};

/// What the wearer can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// Standing.
    Standing,
    /// Walking.
    Walking,
    /// Running.
    Running,
    /// Playing badminton.
    Badminton,
}

impl Activity {
    /// All of them, in the order of the network's outputs.
    pub const ALL: [Self; 4] = [Self::Standing, Self::Walking, Self::Running, Self::Badminton];
}

const LAYERS: usize = 4;
const NET: Graph<LAYERS> =
    Graph::input([FEATURES as u16, 1, 1]).dense("fc1", 16).relu().dense("fc2", 4);
const BATCH: usize = 16;
/// Training steps that follow a press.
const STEPS: u32 = 16;
const TRAIN: Train = Train::new(BATCH as u16, Lr::ratio(1, 2));
const LAYER: LayerConfig = LayerConfig::tiny();
/// The parts of the trainer that these settings use; no others are linked. Features are read where
/// they are remembered.
type Uses = Fitted<BOUNDS, Only<{ TRAIN.parts(&LAYER) & !Part::InputPoint.bit() }>>;
const BOUNDS: usize = Task::<LAYERS>::in_place(NET, TRAIN, LAYER).bounds();

/// What is trained, and how.
pub type Teaching = Task<LAYERS, Uses>;

/// The settings, with the seed of all random numbers. Make it a `static`, and it is in flash.
pub const fn teaching(seed: u64) -> Teaching {
    Task::in_place(NET, Train { seed, ..TRAIN }, LAYER)
}

/// The trainer of a [`Learner`].
pub type LearnerTrainer<'a> = Trainer<'a, LAYERS, Device, (), &'a Teaching>;

/// A trainer at its first step.
// Not inlined, so that it is made where it stays: there would be two of them on the stack.
#[inline(never)]
pub fn trainer<'a>(
    teaching: &'a Teaching,
    memory: &'a mut [u8],
) -> Result<LearnerTrainer<'a>, SetupError> {
    Trainer::of(teaching, memory, Device::default(), ())
}

/// Windows that are remembered of each activity.
const KEPT: usize = 10;

/// What is remembered.
pub struct Kept {
    windows: [[[i8; FEATURES]; KEPT]; 4],
    /// Windows that were seen of each activity.
    seen: [u32; 4],
}

/// All memory besides the trainer and the stack, for a `static`.
pub struct Room {
    /// What the trainer works in.
    pub arena: Arena<{ teaching(0).ram() }>,
    /// What is remembered.
    pub kept: Kept,
    /// The window at hand.
    pub window: Window,
}

impl Room {
    /// Before the first window.
    pub const fn new() -> Self {
        let kept = Kept { windows: [[[0; FEATURES]; KEPT]; 4], seen: [0; 4] };
        Self { arena: Arena::new(), kept, window: [[0; 3]; WINDOW] }
    }
}

impl Default for Room {
    fn default() -> Self {
        Self::new()
    }
}

/// Learns from every press and never forgets an activity: each lesson mixes the new window with
/// remembered ones, as many of one activity as of another.
pub struct Learner<'a, 't> {
    trainer: &'t mut LearnerTrainer<'a>,
    kept: &'t mut Kept,
    lessons: Key,
}

impl<'a, 't> Learner<'a, 't> {
    /// A learner that goes on with what it is given.
    pub fn new(trainer: &'t mut LearnerTrainer<'a>, kept: &'t mut Kept) -> Self {
        Self { trainer, kept, lessons: Key::new(0) }
    }

    /// The wearer has pressed the button of what the window shows.
    pub fn press(&mut self, window: &Window, activity: Activity) -> Result<(), StepError> {
        let class = activity as usize;
        // The oldest makes room.
        let Kept { windows, seen } = &mut *self.kept;
        windows[class][seen[class] as usize % KEPT] = features(window);
        seen[class] = seen[class].saturating_add(1);
        for _ in 0..STEPS {
            let (batch, classes) = self.lesson();
            let data = SampleData::I8(batch.as_flattened());
            let samples = Samples { data, exponent: EXPONENT };
            self.trainer.step(samples, Targets::Classes(&classes))?;
        }
        Ok(())
    }

    /// What the window shows, as far as the learner knows.
    pub fn classify(&mut self, window: &Window) -> Result<Activity, StepError> {
        let codes = features(window);
        self.trainer.infer(Samples { data: SampleData::I8(&codes), exponent: EXPONENT })?;
        let class = usize::from(self.trainer.outputs(0).argmax());
        // The network has as many outputs as there are activities.
        Ok(Activity::ALL[class % Activity::ALL.len()])
    }

    /// One number for all that was learned: what two machines compare.
    pub fn digest(&self) -> u64 {
        self.trainer.digest()
    }

    /// Remembered windows of the activities seen so far, by turns.
    fn lesson(&self) -> ([[i8; FEATURES]; BATCH], [u16; BATCH]) {
        let (mut batch, mut classes) = ([[0; FEATURES]; BATCH], [0; BATCH]);
        let (Kept { windows, seen }, key) = (&*self.kept, self.lessons.child(self.trainer.steps()));
        let known = (0..Activity::ALL.len()).filter(|&class| seen[class] > 0).cycle();
        let places = batch.iter_mut().zip(&mut classes);
        for ((index, class), (features, label)) in (0..).zip(known).zip(places) {
            let count = seen[class].min(KEPT as u32);
            *features = windows[class][key.below(index, count) as usize];
            *label = class as u16;
        }
        (batch, classes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorded;

    #[test]
    fn one_window_of_each_activity_is_enough_to_tell_those_apart() {
        let (teaching, mut room) = (teaching(0), Room::new());
        let mut trainer = trainer(&teaching, room.arena.as_mut_slice()).unwrap();
        let mut learner = Learner::new(&mut trainer, &mut room.kept);
        let first = Activity::ALL.map(|activity| {
            let of_activity = |recording: &recorded::Recording| recording.activity() == activity;
            recorded::to_learn(0).find(of_activity).unwrap()
        });
        for recording in first {
            learner.press(&recording.window(), recording.activity()).unwrap();
        }
        for recording in first {
            assert_eq!(learner.classify(&recording.window()), Ok(recording.activity()));
        }
    }

    #[test]
    fn the_oldest_window_of_an_activity_makes_room_and_lessons_are_balanced() {
        let (teaching, mut room) = (teaching(0), Room::new());
        let mut trainer = trainer(&teaching, room.arena.as_mut_slice()).unwrap();
        let mut learner = Learner::new(&mut trainer, &mut room.kept);
        let still = [[0, 0, 8192]; WINDOW];
        let turned = [[0, 8192, 0]; WINDOW];
        learner.press(&turned, Activity::Standing).unwrap();
        for _ in 0..KEPT {
            learner.press(&still, Activity::Standing).unwrap();
        }
        assert_eq!(learner.kept.windows[0], [features(&still); KEPT]);
        learner.press(&turned, Activity::Running).unwrap();
        let (batch, classes) = learner.lesson();
        for (i, (row, class)) in batch.iter().zip(classes).enumerate() {
            let expected = [(features(&still), 0), (features(&turned), 2)][i % 2];
            assert_eq!((*row, class), expected);
        }
    }
}
