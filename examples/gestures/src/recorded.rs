//! Real recordings: BasicMotions, 80 windows of a watch on the wrists of four people. Source, licence and
//! form are in `data/README.md`.

use fixgrad::rng::{Key, Permutation};

use crate::{
    learner::Activity,
    sensor::{WINDOW, Window},
};

/// Recordings to learn from, and as many for the test, as the data set divides them.
pub const LEARNED: usize = 40;
const AXES: usize = 3;
/// The activity, then 16-bit readings.
const RECORD: usize = 1 + 2 * AXES * WINDOW;

static RECORDS: [[u8; RECORD]; 2 * LEARNED] = unpack();

/// In a `const`: another length of the file stops the build.
const fn unpack() -> [[u8; RECORD]; 2 * LEARNED] {
    let bytes = include_bytes!("../data/motions.bin");
    let (records, rest) = bytes.as_chunks::<RECORD>();
    assert!(rest.is_empty() && records.len() == 2 * LEARNED, "data/motions.bin has another length");
    let mut copy = [[0; RECORD]; 2 * LEARNED];
    copy.copy_from_slice(records);
    copy
}

/// Ten seconds of somebody's wrist.
#[derive(Clone, Copy, Debug)]
pub struct Recording(&'static [u8; RECORD]);

impl Recording {
    /// What was done.
    pub fn activity(self) -> Activity {
        // The first byte is below four, as the test below says.
        Activity::ALL[usize::from(self.0[0]) % Activity::ALL.len()]
    }

    /// The bytes of one reading, as the part has them in its registers.
    pub fn reading(self, index: usize) -> Option<&'static [u8; 2 * AXES]> {
        let (readings, _) = self.0[1..].as_chunks();
        readings.get(index)
    }

    /// All readings.
    pub fn window(self) -> Window {
        let mut window = [[0; AXES]; WINDOW];
        let (numbers, _) = self.0[1..].as_chunks();
        for (place, &number) in window.as_flattened_mut().iter_mut().zip(numbers) {
            *place = i16::from_le_bytes(number);
        }
        window
    }
}

/// Those to learn from, in an order that `seed` decides.
pub fn to_learn(seed: u64) -> impl Iterator<Item = Recording> + Clone {
    let order = Permutation::new(Key::new(seed), LEARNED as u32);
    (0..LEARNED as u32).map(move |i| Recording(&RECORDS[order.at(i) as usize]))
}

/// Those for the test.
pub fn held_out() -> impl Iterator<Item = Recording> + Clone {
    RECORDS[LEARNED..].iter().map(Recording)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_activity_was_recorded_ten_times_for_either_use() {
        for records in [&RECORDS[..LEARNED], &RECORDS[LEARNED..]] {
            let mut counts = [0; 4];
            records.iter().for_each(|record| counts[usize::from(record[0])] += 1);
            assert_eq!(counts, [10; 4]);
        }
        let mut seen: std::vec::Vec<_> = to_learn(5).map(|recording| recording.0).collect();
        seen.sort();
        let mut all: std::vec::Vec<_> = RECORDS[..LEARNED].iter().collect();
        all.sort();
        assert_eq!(seen, all);
    }

    #[test]
    fn readings_are_those_of_a_part_with_twelve_bits() {
        for recording in to_learn(0).chain(held_out()) {
            assert!(recording.window().as_flattened().iter().all(|number| number % 16 == 0));
        }
    }
}
