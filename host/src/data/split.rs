//! Which samples train, which choose, and which judge.
//!
//! The split depends on the data alone, never on the seed of a run, so that accuracies of
//! different runs are about the same pictures and the test set stays untouched until the end.

use std::path::Path;

use fixgrad::rng::{Key, Permutation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::DataError;

/// Indices of the samples, in three parts that share none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// What the weights are fitted to.
    pub train: Vec<u32>,
    /// What settings and the best epoch are chosen by.
    pub validation: Vec<u32>,
    /// What is looked at once, at the end.
    pub test: Vec<u32>,
}

/// A part of a data set: a whole number is a count of samples, a fraction below 1 is a share.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a count of samples (6000) or a share of them (0.1)")]
pub enum Part {
    /// So many samples.
    Count(u32),
    /// This share of the samples, rounded to the nearest count; at least 0, below 1.
    Share(#[schemars(range(min = 0.0, max = 1.0))] f64),
}

impl Part {
    pub(crate) fn count(
        self,
        total: usize,
        key: &'static str,
        path: &Path,
    ) -> Result<usize, DataError> {
        match self {
            Part::Count(count) => Ok(count as usize),
            Part::Share(share) if (0.0..1.0).contains(&share) => {
                Ok((share * total as f64).round() as usize)
            }
            Part::Share(share) => Err(DataError::Setting {
                path: path.to_owned(),
                key,
                message: format!(
                    "expected a whole count of samples, or a share from 0 to below 1, found {share}"
                ),
            }),
        }
    }
}

impl Split {
    /// For files that bring their own test set: samples `0..train` are theirs to train on, and
    /// `test` more follow. The last of the training samples become the validation set, as the
    /// makers of the files already mixed them.
    pub(crate) fn own_test_set(
        path: &Path,
        train: usize,
        test: usize,
        validation: Part,
    ) -> Result<Self, DataError> {
        let validation = validation.count(train, "validation", path)?;
        check(path, train, validation, 0)?;
        let all: Vec<u32> = (0..(train + test) as u32).collect();
        let (train_part, rest) = all.split_at(train - validation);
        let (validation_part, test_part) = rest.split_at(validation);
        Ok(Self {
            train: train_part.to_vec(),
            validation: validation_part.to_vec(),
            test: test_part.to_vec(),
        })
    }

    /// For a single file: mixes the samples, then takes the test set from the front, the
    /// validation set after it, and leaves the rest to train on. The order does not depend on how
    /// large the parts are, so a larger `validation` leaves the test set as it was.
    pub(crate) fn shuffled(
        path: &Path,
        total: usize,
        validation: Part,
        test: Part,
    ) -> Result<Self, DataError> {
        let validation = validation.count(total, "validation", path)?;
        let test = test.count(total, "test", path)?;
        check(path, total, validation, test)?;
        let order = split_order(total as u32);
        let (test_part, rest) = order.split_at(test);
        let (validation_part, train_part) = rest.split_at(validation);
        Ok(Self {
            train: train_part.to_vec(),
            validation: validation_part.to_vec(),
            test: test_part.to_vec(),
        })
    }
}

fn check(path: &Path, total: usize, validation: usize, test: usize) -> Result<(), DataError> {
    if validation.saturating_add(test) < total {
        return Ok(());
    }
    Err(DataError::Split { path: path.to_owned(), total, validation, test })
}

/// Names the shuffle of every data set that is a single file. Published accuracies depend on it.
const SHUFFLE: Key = Key::new(0);

fn split_order(len: u32) -> Vec<u32> {
    let permutation = Permutation::new(SHUFFLE, len);
    (0..len).map(|index| permutation.at(index)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn data() -> &'static Path {
        Path::new("data")
    }

    proptest! {
        #[test]
        fn every_sample_is_in_exactly_one_part(total in 1_usize..500, a in 0_u32..300, b in 0_u32..300) {
            for split in [
                Split::shuffled(data(), total, Part::Count(a), Part::Count(b)),
                Split::own_test_set(data(), total, b as usize, Part::Count(a)),
            ] {
                let Ok(split) = split else { continue };
                prop_assert!(!split.train.is_empty());
                prop_assert_eq!(split.validation.len(), a as usize);
                prop_assert_eq!(split.test.len(), b as usize);
                let mut all = [split.train, split.validation, split.test].concat();
                all.sort_unstable();
                let count = all.len() as u32;
                prop_assert_eq!(all, (0..count).collect::<Vec<_>>());
            }
        }

        #[test]
        fn the_test_set_does_not_depend_on_the_validation_set(total in 100_usize..300, a in 0_u32..50) {
            let without = Split::shuffled(data(), total, Part::Count(0), Part::Count(20)).unwrap();
            let with = Split::shuffled(data(), total, Part::Count(a), Part::Count(20)).unwrap();
            prop_assert_eq!(without.test, with.test);
        }
    }

    #[test]
    fn own_test_set_keeps_the_order_of_the_files() {
        let split = Split::own_test_set(data(), 5, 2, Part::Share(0.4)).unwrap();
        assert_eq!(split.train, [0, 1, 2]);
        assert_eq!(split.validation, [3, 4]);
        assert_eq!(split.test, [5, 6]);
    }

    #[test]
    fn nothing_left_to_train_on_is_an_error() {
        for (validation, test) in [(5, 5), (10, 0), (0, 10), (u32::MAX, u32::MAX)] {
            let error = Split::shuffled(data(), 10, Part::Count(validation), Part::Count(test));
            assert!(matches!(error, Err(DataError::Split { total: 10, .. })));
        }
        let error = Split::own_test_set(data(), 10, 3, Part::Count(10)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "data: cannot set aside 10 samples for validation and 0 for test of 10: at least one \
             must be left to train on; lower `validation` or `test`"
        );
    }

    #[test]
    fn a_share_must_be_below_one() {
        assert_eq!(Part::Share(0.1).count(1797, "test", data()).unwrap(), 180);
        for share in [-0.1, 1.0, 1.5, f64::NAN] {
            let error = Part::Share(share).count(10, "test", data()).unwrap_err();
            assert!(matches!(error, DataError::Setting { key: "test", .. }), "{error}");
        }
    }
}
