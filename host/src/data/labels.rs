//! Turns what a file says about classes into indices with names.

use std::collections::HashMap;
use std::path::Path;

use super::{DataError, Targets};

/// More classes than this are a sign that a quantity was taken for a label.
pub(crate) const MAX_CLASSES: usize = 1024;

/// Labels that are indices already. The number of classes is `classes`, or else one more than the
/// largest label.
pub(crate) fn from_indices(
    path: &Path,
    indices: &[i64],
    classes: Option<usize>,
) -> Result<Targets, DataError> {
    let largest = indices.iter().copied().max().unwrap_or(0).max(0);
    let classes = classes.unwrap_or((largest as usize).saturating_add(1));
    if classes > MAX_CLASSES {
        let (path, limit) = (path.to_owned(), MAX_CLASSES);
        return Err(DataError::TooManyClasses { path, found: classes, limit });
    }
    let labels = check_range(path, indices.iter().copied(), classes)?;
    Ok(Targets::Classes { labels, names: (0..classes).map(|class| class.to_string()).collect() })
}

/// Narrows labels, all of which must be below `classes`, itself at most [`MAX_CLASSES`].
pub(crate) fn check_range(
    path: &Path,
    indices: impl Iterator<Item = i64>,
    classes: usize,
) -> Result<Vec<u16>, DataError> {
    let narrow = |(index, label): (usize, i64)| match u16::try_from(label) {
        Ok(narrow) if usize::from(narrow) < classes => Ok(narrow),
        _ => {
            let (path, largest) = (path.to_owned(), classes.saturating_sub(1));
            Err(DataError::LabelRange { path, index, label, largest })
        }
    };
    indices.enumerate().map(narrow).collect()
}

/// Labels that are words, or whole numbers that need not begin at zero. Classes are the different
/// labels in order: by value when all are whole numbers, else by letters.
pub(crate) fn from_words(path: &Path, words: &[String]) -> Result<Targets, DataError> {
    let mut names: Vec<&String> = words.iter().collect();
    names.sort_unstable();
    names.dedup();
    if names.len() > MAX_CLASSES {
        let (path, found, limit) = (path.to_owned(), names.len(), MAX_CLASSES);
        return Err(DataError::TooManyClasses { path, found, limit });
    }
    if names.iter().all(|name| name.parse::<i64>().is_ok()) {
        names.sort_by_key(|name| name.parse::<i64>().ok());
    }
    let class_of: HashMap<&String, u16> =
        names.iter().zip(0..).map(|(&name, class)| (name, class)).collect();
    let labels = words.iter().map(|word| class_of[word]).collect();
    Ok(Targets::Classes { labels, names: names.into_iter().cloned().collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(all: &[&str]) -> (Vec<u16>, Vec<String>) {
        let words: Vec<String> = all.iter().map(|&word| word.to_owned()).collect();
        match from_words(Path::new("x.csv"), &words).unwrap() {
            Targets::Classes { labels, names } => (labels, names),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn words_are_sorted_by_letters_and_numbers_by_value() {
        assert_eq!(words(&["dog", "cat", "dog"]).0, [1, 0, 1]);
        let (labels, names) = words(&["10", "-1", "2", "10"]);
        assert_eq!(labels, [2, 0, 1, 2]);
        assert_eq!(names, ["-1", "2", "10"]);
        assert_eq!(words(&["10", "2", "x"]).1, ["10", "2", "x"]);
    }

    #[test]
    fn indices_outside_the_classes_are_named() {
        let path = Path::new("labels");
        let error = from_indices(path, &[0, 1, 5], Some(3)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "labels: label 5 of sample 2 is out of range: expected 0..=2"
        );
        let error = from_indices(path, &[0, -1], None).unwrap_err();
        assert!(matches!(error, DataError::LabelRange { index: 1, label: -1, .. }), "{error}");
    }

    #[test]
    fn quantities_are_not_classes() {
        let path = Path::new("labels");
        let many: Vec<String> = (0..2000).map(|i| i.to_string()).collect();
        let error = from_words(path, &many).unwrap_err();
        assert!(matches!(error, DataError::TooManyClasses { found: 2000, .. }), "{error}");
        for label in [1024, i64::MAX] {
            let error = from_indices(path, &[label], None).unwrap_err();
            assert!(matches!(error, DataError::TooManyClasses { .. }), "{error}");
        }
    }
}
