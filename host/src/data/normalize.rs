//! Samples that are centred, and perhaps scaled, channel by channel.
//!
//! Like [`fixed`], this is the edge of the integer world: doubles, with operations that are
//! correctly rounded on every machine. The result is integers with one exponent.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing::debug;

use super::{
    DataError, Dataset, Mantissas, Samples,
    fixed::{self, EXPONENTS, exponent_for, power_of_two},
};

/// What is made of samples when they are loaded. Mean and standard deviation are those of a
/// channel (of a feature, where a sample is no picture) over the training samples. Pixels become
/// signed bytes, and zero is the mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Normalize {
    /// Subtracts the mean.
    Mean,
    /// Subtracts the mean and divides by the standard deviation.
    MeanStd,
}

impl Normalize {
    pub(crate) fn apply(self, data: &mut Dataset) -> Result<(), DataError> {
        data.samples = match &data.samples.mantissas {
            Mantissas::U8(all) => self.bytes(data, all, f64::from),
            Mantissas::I8(all) => {
                self.bytes(data, bytemuck::cast_slice(all), |byte| byte.cast_signed().into())
            }
            Mantissas::I16(all) => self.words(data, all)?,
        };
        Ok(())
    }

    /// One byte in, one byte out: a table for each channel.
    fn bytes(self, data: &Dataset, all: &[u8], value: impl Fn(u8) -> f64) -> Samples {
        let channels = data.shape[0];
        let mut counts = vec![[0_u32; 256]; channels];
        for sample in train(data, all) {
            for pixel in sample.chunks_exact(channels) {
                for (counts, &byte) in counts.iter_mut().zip(pixel) {
                    counts[usize::from(byte)] += 1;
                }
            }
        }
        let line = |counts: &[u32; 256]| {
            let mut moments = Moments::default();
            for (byte, &count) in (0..=u8::MAX).zip(counts) {
                moments.add(value(byte) as i64, count.into());
            }
            moments.line(self, data.samples.exponent)
        };
        let lines: Vec<Line> = counts.iter().map(line).collect();
        // Every value that the training samples have, and how often.
        let seen: Vec<(f64, u32)> = lines
            .iter()
            .zip(&counts)
            .flat_map(|(line, counts)| {
                let values = (0..=u8::MAX).map(|byte| line.at(value(byte)));
                values.zip(counts.iter().copied()).filter(|&(_, count)| count > 0)
            })
            .collect();
        let exponent = best_exponent(&seen);
        debug!("normalised, in units of 2^{exponent}: {lines:?}");
        let table = |line: &Line| -> [i8; 256] {
            std::array::from_fn(|byte| code(line.at(value(byte as u8)), exponent))
        };
        let tables: Vec<[i8; 256]> = lines.iter().map(table).collect();
        let codes = all.chunks_exact(channels).flat_map(|pixel| {
            pixel.iter().zip(&tables).map(|(&byte, table)| table[usize::from(byte)])
        });
        let rounding_error = seen.iter().map(|&(x, _)| distance(x, exponent)).fold(0.0, f64::max);
        Samples {
            mantissas: Mantissas::I8(codes.collect()),
            exponent: exponent as i8,
            rounding_error,
        }
    }

    fn words(self, data: &Dataset, all: &[i16]) -> Result<Samples, DataError> {
        let mut moments = vec![Moments::default(); data.shape[0]];
        for sample in train(data, all) {
            for pixel in sample.chunks_exact(moments.len()) {
                for (moments, &value) in moments.iter_mut().zip(pixel) {
                    moments.add(value.into(), 1);
                }
            }
        }
        let lines: Vec<Line> =
            moments.iter().map(|moments| moments.line(self, data.samples.exponent)).collect();
        debug!("normalised: {lines:?}");
        let numbers: Vec<f64> =
            all.iter().zip(lines.iter().cycle()).map(|(&x, line)| line.at(x.into())).collect();
        let name = Path::new(&data.name);
        Ok(fixed::from_numbers(name, &numbers, data.sample_len(), 0)?.into_samples())
    }
}

fn train<'a, T>(data: &'a Dataset, all: &'a [T]) -> impl Iterator<Item = &'a [T]> {
    let len = data.sample_len();
    data.split.train.iter().map(move |&index| &all[index as usize * len..][..len])
}

/// Exact sums over a channel.
#[derive(Clone, Copy, Debug, Default)]
struct Moments {
    count: i128,
    sum: i128,
    squares: i128,
}

impl Moments {
    fn add(&mut self, value: i64, count: i64) {
        self.count += i128::from(count);
        self.sum += i128::from(value * count);
        self.squares += i128::from(value * value) * i128::from(count);
    }

    /// What a channel with these moments and this exponent is put through.
    fn line(&self, normalize: Normalize, exponent: i8) -> Line {
        let count = self.count as f64;
        let variance = (self.count * self.squares - self.sum * self.sum) as f64;
        let factor = match normalize {
            // A channel that is always the same has nothing to scale.
            Normalize::MeanStd if variance > 0.0 => count / variance.sqrt(),
            _ => power_of_two(exponent.into()),
        };
        Line { mean: self.sum as f64 / count, factor }
    }
}

/// `(mantissa - mean) * factor`.
#[derive(Clone, Copy, Debug)]
struct Line {
    mean: f64,
    factor: f64,
}

impl Line {
    fn at(self, mantissa: f64) -> f64 {
        (mantissa - self.mean) * self.factor
    }
}

/// The nearest signed byte.
fn code(value: f64, exponent: i32) -> i8 {
    (value * power_of_two(-exponent)).round_ties_even().clamp(-128.0, 127.0) as i8
}

fn distance(value: f64, exponent: i32) -> f64 {
    (value - f64::from(code(value, exponent)) * power_of_two(exponent)).abs()
}

/// The exponent whose signed bytes have the least squared error: a few values beyond the ends may
/// cost less than a coarser step for all.
fn best_exponent(seen: &[(f64, u32)]) -> i32 {
    let bound = seen.iter().fold(0.0, |bound: f64, (x, _)| bound.max(x.abs()));
    // Eight bits less than for mantissas of sixteen.
    let whole = exponent_for(bound) + 8;
    let error = |exponent: i32| -> f64 {
        seen.iter().map(|&(x, count)| distance(x, exponent).powi(2) * f64::from(count)).sum()
    };
    let candidates = (whole - 3..=whole).rev();
    let candidates = candidates.map(|e| e.clamp(*EXPONENTS.start(), *EXPONENTS.end()));
    candidates.min_by(|&a, &b| error(a).total_cmp(&error(b))).unwrap_or(whole)
}

#[cfg(test)]
mod tests {
    use super::super::{Split, Targets};
    use super::*;

    /// Two channels of two pixels; the last of the samples is not for training.
    fn data(mantissas: Mantissas, exponent: i8) -> Dataset {
        let samples = mantissas.len() as u32 / 4;
        Dataset {
            name: "pairs".into(),
            shape: [2, 1, 2],
            samples: Samples { mantissas, exponent, rounding_error: 0.0 },
            targets: Targets::Classes {
                labels: vec![0; samples as usize],
                names: vec!["0".into()],
            },
            split: Split { train: (0..samples - 1).collect(), ..Split::default() },
            augment: None,
        }
    }

    fn normalized(normalize: Normalize, mantissas: Mantissas, exponent: i8) -> Samples {
        let mut data = data(mantissas, exponent);
        normalize.apply(&mut data).unwrap();
        data.samples
    }

    #[test]
    fn each_channel_loses_its_own_mean() {
        let pixels = vec![10, 200, 20, 210, 30, 190, 40, 200, 25, 255, 0, 0];
        let samples = normalized(Normalize::Mean, Mantissas::U8(pixels), -8);
        // Means 25 and 200; steps of an eighth of a pixel are the finest that hold the rest.
        let expected = [-15, 0, -5, 10, 5, -10, 15, 0].map(|x| x * 8);
        let Mantissas::I8(codes) = samples.mantissas else { panic!("{samples:?}") };
        assert_eq!((&codes[..8], samples.exponent), (&expected[..], -11));
        // What training has not seen is cut to what a byte holds.
        assert_eq!(codes[8..], [0, 127, -128, -128]);
        assert_eq!(samples.rounding_error, 0.0);
    }

    #[test]
    fn a_standard_deviation_becomes_one() {
        let pixels = vec![0, 90, 20, 110, 0, 110, 20, 90, 0, 0, 0, 0];
        let samples = normalized(Normalize::MeanStd, Mantissas::U8(pixels), -8);
        let Mantissas::I8(codes) = samples.mantissas else { panic!("{samples:?}") };
        assert_eq!(codes[..8], [-64, -64, 64, 64, -64, 64, 64, -64]);
        assert_eq!(samples.exponent, -6);
    }

    #[test]
    fn words_and_signed_bytes_are_normalised_too() {
        let words = vec![-100, 7, 300, 7, -100, 7, 300, 7, 100, 8, 500, 6];
        let samples = normalized(Normalize::MeanStd, Mantissas::I16(words), -3);
        // 100 and 200 are mean and deviation of the first channel. The second one never changes in
        // training, so it keeps its unit of an eighth.
        let one = 1 << 13;
        let eighth = one >> 3;
        let expected = [-one, 0, one, 0, -one, 0, one, 0, 0, eighth, 2 * one, -eighth];
        assert_eq!(samples.mantissas, Mantissas::I16(expected.to_vec()));
        assert_eq!(samples.exponent, -13);
        let bytes = vec![-100, 7, 100, 7, -100, 7, 100, 7, 100, 8, 100, 6];
        let samples = normalized(Normalize::Mean, Mantissas::I8(bytes.clone()), 0);
        assert_eq!((samples.exponent, samples.rounding_error), (0, 0.0));
        let Mantissas::I8(codes) = samples.mantissas else { panic!() };
        assert_eq!(codes, [-100, 0, 100, 0, -100, 0, 100, 0, 100, 1, 100, -1]);
    }

    #[test]
    fn a_few_bright_pixels_are_cut_rather_than_all_made_coarse() {
        let mut pixels: Vec<u8> = (0..4000).map(|i| 60 + (i % 121) as u8).collect();
        let even = normalized(Normalize::Mean, Mantissas::U8(pixels.clone()), -8);
        pixels[0] = 255;
        let one = normalized(Normalize::Mean, Mantissas::U8(pixels), -8);
        assert_eq!((even.exponent, one.exponent), (-9, -8));
        assert!(one.rounding_error > even.rounding_error);
        // Ink on paper: an eighth of all pixels is too many to cut.
        let ink = (0..4000).map(|i| if i % 8 < 2 { 255 - (i % 9) as u8 } else { 0 }).collect();
        assert_eq!(normalized(Normalize::Mean, Mantissas::U8(ink), -8).exponent, -7);
    }
}
