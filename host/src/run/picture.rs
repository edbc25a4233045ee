//! A sample for the eye.

use crate::data::{Dataset, Mantissas};

/// A picture of a sample, in grey or in colours.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Picture {
    pub(super) width: usize,
    pub(super) height: usize,
    /// Row-major, one number a pixel or three.
    pub(super) pixels: Vec<u8>,
}

/// The sample as a picture, when it is one.
pub(super) fn picture(data: &Dataset, index: u32) -> Option<Picture> {
    let [1 | 3, height @ (2..), width @ (2..)] = data.shape else { return None };
    let mut sample = vec![0; data.sample_len()];
    data.copy_sample(index, &mut sample);
    let (dark, bright) = match &data.samples.mantissas {
        // Value 1 is full: pixels of 16 steps shall be seen too.
        Mantissas::U8(_) => (0.0, f64::from(-data.samples.exponent).exp2()),
        // Around zero, only the sample itself says what is dark and what is bright.
        Mantissas::I8(_) | Mantissas::I16(_) => {
            let ends = (sample.iter().min()?, sample.iter().max()?);
            (f64::from(*ends.0), f64::from(*ends.1))
        }
    };
    let scale = if bright > dark { 256.0 / (bright - dark) } else { 0.0 };
    let shade = |&mantissa: &i16| ((f64::from(mantissa) - dark) * scale).min(255.0) as u8;
    Some(Picture { width, height, pixels: sample.iter().map(shade).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Samples, Split, Targets};

    fn drawn(shape: [usize; 3], mantissas: Mantissas, exponent: i8) -> Option<Vec<u8>> {
        let data = Dataset {
            name: "one".into(),
            shape,
            samples: Samples { mantissas, exponent, rounding_error: 0.0 },
            targets: Targets::Classes { labels: vec![0], names: vec!["0".into()] },
            split: Split::default(),
            augment: None,
        };
        picture(&data, 0).map(|picture| picture.pixels)
    }

    #[test]
    fn pixels_keep_their_shade() {
        let shades = drawn([1, 2, 2], Mantissas::U8(vec![0, 1, 128, 255]), -8);
        assert_eq!(shades.unwrap(), [0, 1, 128, 255]);
        let shades = drawn([1, 2, 2], Mantissas::U8(vec![0, 4, 8, 16]), -4);
        assert_eq!(shades.unwrap(), [0, 64, 128, 255]);
        let colours: Vec<u8> = (0..12).collect();
        assert_eq!(drawn([3, 2, 2], Mantissas::U8(colours.clone()), -8), Some(colours));
    }

    #[test]
    fn centred_pixels_are_spread() {
        let shades = drawn([1, 2, 2], Mantissas::I8(vec![-64, 0, 32, 64]), -7);
        assert_eq!(shades.unwrap(), [0, 128, 192, 255]);
        assert_eq!(drawn([1, 2, 2], Mantissas::I8(vec![5; 4]), 0), Some(vec![0; 4]));
    }

    #[test]
    fn features_and_series_are_no_pictures() {
        for shape in [[4, 1, 1], [1, 1, 4], [2, 2, 1]] {
            assert_eq!(drawn(shape, Mantissas::U8(vec![0; 4]), -8), None);
        }
    }
}
