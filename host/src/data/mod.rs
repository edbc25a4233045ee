//! Data sets: what a network is trained and judged on, as integers.
//!
//! Pictures and features enter as mantissas with one power-of-two exponent, so that the first
//! layer sees the same integers on the desktop and on the chip. Everything that is read here is
//! untrusted: a wrong file gives a [`DataError`] that says what was expected and what was found.

mod augment;
mod cifar;
mod config;
mod csv;
mod digits;
mod error;
mod file;
mod find;
mod fixed;
mod idx;
mod labels;
mod layout;
mod normalize;
mod npy;
mod records;
mod section;
mod split;

pub use augment::{Augment, Change, Draws, Flip};
pub use config::{Channels, CifarConfig, Column, CsvConfig, IdxConfig, NpyConfig};
pub use error::DataError;
pub use find::{DATA_VARIABLE, SearchPath};
pub use idx::IdxArray;
pub use normalize::Normalize;
pub use section::{DataConfig, Source};
pub use split::{Part, Split};

/// Samples, what they should give, and which of them may be used for what.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// A short name for tables and reports.
    pub name: String,
    /// Channels, height and width of a sample; a vector of `n` features is `[n, 1, 1]`. In memory
    /// a sample lies pixel after pixel, the channels of a pixel side by side.
    pub shape: [usize; 3],
    /// The samples, one after the other.
    pub samples: Samples,
    /// What the network should answer.
    pub targets: Targets,
    /// Training, validation and test set.
    pub split: Split,
    /// What happens to training samples, anew in every epoch.
    pub augment: Option<Augment>,
}

/// The elements of all samples: `value = mantissa * 2^exponent`.
#[derive(Clone, Debug, PartialEq)]
pub struct Samples {
    /// Row-major, one sample after the other.
    pub mantissas: Mantissas,
    /// The power of two that a step of one is worth.
    pub exponent: i8,
    /// Largest distance between a number in the file and the mantissa that stands for it.
    pub rounding_error: f64,
}

/// Mantissas in the width that the file has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mantissas {
    /// Pixels.
    U8(Vec<u8>),
    /// Pixels around zero.
    I8(Vec<i8>),
    /// Everything else.
    I16(Vec<i16>),
}

/// What the network should answer for each sample.
#[derive(Clone, Debug, PartialEq)]
pub enum Targets {
    /// One class a sample, for a cross-entropy loss.
    Classes {
        /// The class of each sample, an index into `names`.
        labels: Vec<u16>,
        /// A name for each class.
        names: Vec<String>,
    },
    /// `width` numbers a sample, for a mean squared error loss: `value = mantissa * 2^exponent`.
    Values {
        /// Row-major, one sample after the other.
        mantissas: Vec<i16>,
        /// The power of two that a step of one is worth.
        exponent: i8,
        /// Numbers a sample.
        width: usize,
        /// Largest distance between a number in the file and the mantissa that stands for it.
        rounding_error: f64,
    },
}

impl Dataset {
    /// Number of samples, over all three parts of the split.
    pub fn len(&self) -> usize {
        self.samples.mantissas.len() / self.sample_len()
    }

    /// Whether there is no sample. A loaded data set always has one.
    pub fn is_empty(&self) -> bool {
        self.samples.mantissas.is_empty()
    }

    /// Elements of one sample.
    pub fn sample_len(&self) -> usize {
        self.shape.iter().product()
    }

    /// How many outputs a network for this data needs.
    pub fn outputs(&self) -> usize {
        self.targets.outputs()
    }

    /// Writes the mantissas of sample `index` to the front of `out`, which must have room for
    /// [`Dataset::sample_len`].
    pub fn copy_sample(&self, index: u32, out: &mut [i16]) {
        let len = self.sample_len();
        let start = index as usize * len;
        let out = &mut out[..len];
        match &self.samples.mantissas {
            Mantissas::U8(all) => widen(&all[start..start + len], out),
            Mantissas::I8(all) => widen(&all[start..start + len], out),
            Mantissas::I16(all) => out.copy_from_slice(&all[start..start + len]),
        }
    }
}

fn widen<T: Copy + Into<i16>>(from: &[T], to: &mut [i16]) {
    to.iter_mut().zip(from).for_each(|(to, &from)| *to = from.into());
}

impl Mantissas {
    /// Number of mantissas.
    pub fn len(&self) -> usize {
        match self {
            Mantissas::U8(all) => all.len(),
            Mantissas::I8(all) => all.len(),
            Mantissas::I16(all) => all.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Targets {
    /// How many outputs a network needs to give them.
    pub fn outputs(&self) -> usize {
        match self {
            Targets::Classes { names, .. } => names.len(),
            Targets::Values { width, .. } => *width,
        }
    }
}

/// Channels, height and width of a sample whose array has these dimensions.
fn sample_shape(dims: &[usize]) -> [usize; 3] {
    match *dims {
        [] => [1, 1, 1],
        [features] => [features, 1, 1],
        [height, width] => [1, height, width],
        [ref channels @ .., height, width] => [channels.iter().product(), height, width],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_copied_out_whatever_their_width() {
        for mantissas in [
            Mantissas::U8(vec![1, 2, 3, 4, 5, 100]),
            Mantissas::I8(vec![1, 2, 3, 4, 5, 100]),
            Mantissas::I16(vec![1, 2, 3, 4, 5, 100]),
        ] {
            let set = Dataset {
                name: "three pairs".into(),
                shape: [2, 1, 1],
                samples: Samples { mantissas, exponent: 0, rounding_error: 0.0 },
                targets: Targets::Classes { labels: vec![0, 0, 0], names: vec!["0".into()] },
                split: Split::default(),
                augment: None,
            };
            assert_eq!((set.len(), set.sample_len(), set.outputs()), (3, 2, 1));
            let mut out = [7; 3];
            set.copy_sample(2, &mut out);
            assert_eq!(out, [5, 100, 7]);
        }
    }
}
