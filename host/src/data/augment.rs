//! Training samples that look a little different in every epoch.
//!
//! What happens to a sample is a function of the seed, the epoch and its index in the data set:
//! neither threads nor the order of batches nor a resumed run nor a board on a line change it.

use fixgrad::rng::Key;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What happens to training samples, each time anew: first `crop`, then `flip`, then `cutout`.
/// Samples for validation and test stay as they are, and so do those in the flash of a board.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Augment {
    /// Mirrors every second sample, at random.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flip: Option<Flip>,
    /// Pads a sample with so many pixels of zero on each side, and takes a piece of the old size
    /// at random: a shift by up to so many pixels. A height or width of 1 is left alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub crop: Option<u16>,
    /// Overwrites a square of so many pixels a side with zeros. Its centre is anywhere in the
    /// sample, so that a part of it may lie outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub cutout: Option<u16>,
}

/// How samples are mirrored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Flip {
    /// Left becomes right.
    Horizontal,
}

impl Augment {
    /// What is wrong with it for samples of this shape, and the remedy.
    pub(crate) fn check(&self, [_, height, width]: [usize; 3]) -> Result<(), (String, String)> {
        let sides = [height, width].into_iter().filter(|&side| side > 1);
        let Some(smallest) = sides.min() else {
            return Err((
                "`augment` needs pictures or series, and a sample here is a row of features".into(),
                "remove `augment`, or give the data a shape with a height or a width".into(),
            ));
        };
        for (key, value) in [("crop", self.crop), ("cutout", self.cutout)] {
            if value.is_some_and(|value| !(1..smallest).contains(&value.into())) {
                let value = value.unwrap_or_default();
                return Err((
                    format!("`{key}` is {value} and a sample has {height}x{width} pixels"),
                    format!("expected a whole number from 1 to {}", smallest - 1),
                ));
            }
        }
        Ok(())
    }
}

/// The draws of one epoch.
#[derive(Clone, Copy, Debug)]
pub struct Draws {
    augment: Augment,
    height: u32,
    width: u32,
    key: Key,
}

/// The draws of a sample have one child each of the key of its epoch.
#[derive(Clone, Copy)]
enum Draw {
    Flip,
    CropRow,
    CropColumn,
    CutoutRow,
    CutoutColumn,
}

impl Draws {
    /// For samples of this shape; `key` names the epoch.
    pub fn new(augment: Augment, [_, height, width]: [usize; 3], key: Key) -> Self {
        Self { augment, height: height as u32, width: width as u32, key }
    }

    /// What happens to the sample with this index in the data set.
    pub fn of(&self, sample: u32) -> Change {
        let below = |draw: Draw, bound| self.key.child(draw as u32).below(sample, bound) as i32;
        let Augment { flip, crop, cutout } = self.augment;
        let shift = |draw, side| match crop {
            Some(most) if side > 1 => below(draw, 2 * u32::from(most) + 1) - i32::from(most),
            _ => 0,
        };
        Change {
            shift: [shift(Draw::CropRow, self.height), shift(Draw::CropColumn, self.width)],
            mirror: flip.is_some() && below(Draw::Flip, 2) == 1,
            hole: cutout.map(|side| Hole {
                centre: [
                    below(Draw::CutoutRow, self.height),
                    below(Draw::CutoutColumn, self.width),
                ],
                side: side.into(),
            }),
        }
    }
}

/// What happens to one sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Rows and columns by which the piece that is taken lies further down and to the right.
    shift: [i32; 2],
    mirror: bool,
    hole: Option<Hole>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hole {
    centre: [i32; 2],
    side: i32,
}

impl Change {
    /// Appends the changed sample to `out`.
    pub fn append<T: Copy + Default>(&self, sample: &[T], shape: [usize; 3], out: &mut Vec<T>) {
        let [channels, height, width] = shape;
        let begin = out.len();
        out.resize(begin + sample.len(), T::default());
        let out = &mut out[begin..];
        // Rows and columns of the result that have something in the sample.
        let [down, right] = self.shift;
        let seen = |shift: i32, side: usize| {
            let last = side as i32 - shift;
            let clipped = |at: i32| at.clamp(0, side as i32) as usize;
            clipped(-shift)..clipped(last)
        };
        let (rows, columns) = (seen(down, height), seen(right, width));
        let moved = |at: usize, by: i32| (at as i32 + by) as usize;
        let run = columns.len() * channels;
        for row in rows.filter(|_| run > 0) {
            let from = (moved(row, down) * width + moved(columns.start, right)) * channels;
            let from = &sample[from..from + run];
            let row = &mut out[row * width * channels..(row + 1) * width * channels];
            if self.mirror {
                let start = (width - columns.end) * channels;
                mirror(from, channels, &mut row[start..start + run]);
            } else {
                row[columns.start * channels..columns.end * channels].copy_from_slice(from);
            }
        }
        if let Some(Hole { centre, side }) = self.hole {
            let clipped = |centre: i32, end: usize| {
                let first = centre - side / 2;
                let clipped = |at: i32| at.clamp(0, end as i32) as usize;
                clipped(first)..clipped(first + side)
            };
            let columns = clipped(centre[1], width);
            for row in clipped(centre[0], height) {
                let row = row * width;
                out[(row + columns.start) * channels..(row + columns.end) * channels]
                    .fill(T::default());
            }
        }
    }
}

/// Writes the pixels of `from` in reverse order.
fn mirror<T: Copy>(from: &[T], channels: usize, to: &mut [T]) {
    match channels {
        1 => to.iter_mut().rev().zip(from).for_each(|(to, &from)| *to = from),
        // Pixels of a length that the compiler knows are moved without a call for each.
        3 => {
            let (to, from) = (to.as_chunks_mut::<3>().0, from.as_chunks::<3>().0);
            to.iter_mut().rev().zip(from).for_each(|(to, &from)| *to = from);
        }
        _ => {
            let (to, from) = (to.chunks_exact_mut(channels), from.chunks_exact(channels));
            to.rev().zip(from).for_each(|(to, from)| to.copy_from_slice(from));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn changed(change: Change, shape: [usize; 3], sample: &[u8]) -> Vec<u8> {
        let mut out = vec![7];
        change.append(sample, shape, &mut out);
        assert_eq!(out.remove(0), 7, "what was there stays");
        out
    }

    #[test]
    fn a_piece_of_the_padded_picture_is_taken() {
        let picture = [1, 2, 3, 4, 5, 6];
        for (shift, expected) in [
            ([0, 0], [1, 2, 3, 4, 5, 6]),
            ([1, 0], [4, 5, 6, 0, 0, 0]),
            ([0, 1], [2, 3, 0, 5, 6, 0]),
            ([-1, -2], [0, 0, 0, 0, 0, 1]),
            ([0, 3], [0; 6]),
        ] {
            let change = Change { shift, ..Change::default() };
            assert_eq!(changed(change, [1, 2, 3], &picture), expected, "{shift:?}");
        }
        let change = Change { shift: [0, 1], ..Change::default() };
        assert_eq!(changed(change, [2, 1, 3], &picture), [3, 4, 5, 6, 0, 0]);
    }

    #[test]
    fn a_mirror_turns_pixels_and_not_channels() {
        let change = Change { mirror: true, ..Change::default() };
        assert_eq!(changed(change, [1, 2, 3], &[1, 2, 3, 4, 5, 6]), [3, 2, 1, 6, 5, 4]);
        assert_eq!(changed(change, [2, 1, 3], &[1, 2, 3, 4, 5, 6]), [5, 6, 3, 4, 1, 2]);
        assert_eq!(changed(change, [3, 1, 2], &[1, 2, 3, 4, 5, 6]), [4, 5, 6, 1, 2, 3]);
        let change = Change { shift: [0, 1], ..change };
        assert_eq!(changed(change, [1, 2, 3], &[1, 2, 3, 4, 5, 6]), [0, 3, 2, 0, 6, 5]);
    }

    #[test]
    fn a_hole_is_cut_at_the_border() {
        let hole = |centre, side| {
            let change = Change { hole: Some(Hole { centre, side }), ..Change::default() };
            changed(change, [1, 3, 3], &[1, 2, 3, 4, 5, 6, 7, 8, 9])
        };
        assert_eq!(hole([0, 0], 2), [0, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(hole([2, 2], 2), [1, 2, 3, 4, 0, 0, 7, 0, 0]);
        assert_eq!(hole([1, 1], 1), [1, 2, 3, 4, 0, 6, 7, 8, 9]);
    }

    proptest! {
        /// Against the definition: pad, take a piece, mirror, cut.
        #[test]
        fn any_change_equals_its_definition(
            (shape, sample) in (1_usize..5, 1_usize..7, 1_usize..7).prop_flat_map(|(c, h, w)| {
                (Just([c, h, w]), prop::collection::vec(1_u8.., c * h * w))
            }),
            shift in [-8..8, -8..8], mirror: bool, side in 0..5, centre in [0..7, 0..7],
        ) {
            let change = Change { shift, mirror, hole: Some(Hole { centre, side }) };
            let [channels, height, width] = shape.map(|side| side as i32);
            let mut expected = Vec::new();
            for (row, column) in (0..height).flat_map(|row| (0..width).map(move |c| (row, c))) {
                let across = if mirror { width - 1 - column } else { column };
                let (y, x) = (row + shift[0], across + shift[1]);
                let from = [centre[0] - side / 2, centre[1] - side / 2];
                let cut = (from[0]..from[0] + side).contains(&row)
                    && (from[1]..from[1] + side).contains(&column);
                let inside = (0..height).contains(&y) && (0..width).contains(&x) && !cut;
                for channel in 0..channels {
                    let at = ((y * width + x) * channels + channel) as usize;
                    expected.push(if inside { sample[at] } else { 0 });
                }
            }
            prop_assert_eq!(changed(change, shape, &sample), expected);
        }
    }

    #[test]
    fn draws_reach_every_shift_and_depend_on_sample_and_key() {
        let augment = Augment { flip: Some(Flip::Horizontal), crop: Some(2), cutout: Some(3) };
        let draws = Draws::new(augment, [3, 8, 8], Key::new(1));
        let all: Vec<Change> = (0..2000).map(|sample| draws.of(sample)).collect();
        for side in [0, 1] {
            for shift in -2..=2 {
                let count = all.iter().filter(|change| change.shift[side] == shift).count();
                assert!((300..500).contains(&count), "{shift}: {count}");
            }
        }
        let mirrored = all.iter().filter(|change| change.mirror).count();
        assert!((900..1100).contains(&mirrored), "{mirrored}");
        let other = Draws::new(augment, [3, 8, 8], Key::new(2));
        let same = (0..2000).filter(|&sample| other.of(sample) == all[sample as usize]).count();
        assert!(same < 10, "{same}");
        // The stream is pinned: runs that are published depend on it.
        assert_eq!(
            draws.of(5),
            Change { shift: [-2, 0], mirror: true, hole: Some(Hole { centre: [5, 7], side: 3 }) }
        );
    }

    #[test]
    fn a_series_is_shifted_in_time_alone() {
        let augment = Augment { crop: Some(4), ..Augment::default() };
        let draws = Draws::new(augment, [6, 1, 20], Key::new(0));
        assert!((0..100).all(|sample| draws.of(sample).shift[0] == 0));
        assert!((0..100).any(|sample| draws.of(sample).shift[1] != 0));
        assert!(augment.check([6, 1, 20]).is_ok());
    }
}
