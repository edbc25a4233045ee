//! What is kept of a window: five numbers an axis. The only floats of the program are here.

use micromath::F32Ext;

use crate::sensor::{UNIT, WINDOW, Window};

/// Numbers of a window.
pub const FEATURES: usize = 15;
/// The exponent of their unit: codes from -4 to nearly 4, and nothing that is measured is beyond.
pub(crate) const EXPONENT: i16 = -5;

/// Of each axis, in g: the mean, the standard deviation, half the distance between the smallest and the
/// largest reading, the mean square in g^2, and in how many of the steps the motion turned through
/// its mean, as a share.
pub fn features(window: &Window) -> [i8; FEATURES] {
    let mut codes = [0; FEATURES];
    let (places, _) = codes.as_chunks_mut::<5>();
    for (axis, place) in places.iter_mut().enumerate() {
        *place = of_axis(&window.map(|reading| reading[axis])).map(code);
    }
    codes
}

fn of_axis(readings: &[i16; WINDOW]) -> [f32; 5] {
    const COUNT: f32 = WINDOW as f32;
    let unit = F32Ext::powi(2.0, UNIT.into());
    let values = readings.map(|reading| f32::from(reading) * unit);
    let mean = values.iter().sum::<f32>() / COUNT;
    let square = values.iter().map(|value| value * value).sum::<f32>() / COUNT;
    let (low, high) = values
        .iter()
        .fold((f32::MAX, f32::MIN), |(low, high), &value| (low.min(value), high.max(value)));
    let variance = values.iter().map(|value| (value - mean) * (value - mean)).sum::<f32>() / COUNT;
    let turns = values.windows(2).filter(|pair| (pair[0] < mean) != (pair[1] < mean)).count();
    // Named, since a desktop's own `sqrt` has other bits.
    [mean, F32Ext::sqrt(variance), (high - low) / 2.0, square, turns as f32 / COUNT]
}

/// The nearest code; what lies beyond the ends saturates, as this cast does.
fn code(value: f32) -> i8 {
    F32Ext::round(value * F32Ext::powi(2.0, -i32::from(EXPONENT))) as i8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_at_rest_is_its_weight() {
        // One g on the last axis, the least of motions on the first.
        let mut window = [[0, 0, 8192]; WINDOW];
        window[50][0] = 16;
        assert_eq!(features(&window), [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 32, 0, 0, 32, 0]);
    }

    #[test]
    fn a_square_wave_has_its_height_as_deviation_and_turns_every_time() {
        let mut window = [[0; 3]; WINDOW];
        for (i, reading) in window.iter_mut().enumerate() {
            reading[1] = if i % 2 == 0 { 4096 } else { -4096 };
        }
        // Half a g; the root is an approximation.
        let [mean, deviation, half, square, turns] = features(&window)[5..10] else {
            unreachable!()
        };
        assert_eq!((mean, half, square, turns), (0, 16, 8, 32));
        assert!((15..=17).contains(&deviation), "{deviation}");
    }

    #[test]
    fn the_loudest_window_saturates() {
        let mut window = [[i16::MIN; 3]; WINDOW];
        window[0] = [i16::MAX; 3];
        let codes = features(&window);
        // A mean of -3.92 g; a mean square of 16 g^2 is beyond the largest code.
        assert_eq!((codes[0], codes[3]), (-125, 127));
    }
}
