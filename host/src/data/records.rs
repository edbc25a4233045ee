//! Fixed-length records: one label byte, then the pixels of the picture.

use std::path::Path;

use super::{DataError, labels};

/// Pixels and labels of a run of records.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Records {
    pub(crate) pixels: Vec<u8>,
    pub(crate) labels: Vec<u16>,
}

impl Records {
    /// Appends the records in `bytes`; a part of a record at the end is an error.
    pub(crate) fn append(
        &mut self,
        path: &Path,
        bytes: &[u8],
        pixels: usize,
        classes: usize,
    ) -> Result<(), DataError> {
        let records = bytes.chunks_exact(1 + pixels);
        let rest = records.remainder().len();
        if rest != 0 {
            return Err(DataError::Truncated {
                path: path.to_owned(),
                what: format!("record {} (a label and {pixels} pixels)", records.len()),
                expected: 1 + pixels as u64,
                found: rest as u64,
            });
        }
        let found = records.clone().map(|record| record[0].into());
        self.labels.extend(labels::check_range(path, found, classes)?);
        self.pixels.extend(records.flat_map(|record| &record[1..]));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_pixels_are_parted() {
        let mut records = Records::default();
        records.append(Path::new("a"), &[1, 10, 11, 0, 12, 13], 2, 2).unwrap();
        records.append(Path::new("b"), &[1, 14, 15], 2, 2).unwrap();
        assert_eq!(records.labels, [1, 0, 1]);
        assert_eq!(records.pixels, [10, 11, 12, 13, 14, 15]);
    }

    #[test]
    fn part_of_a_record_and_a_wrong_label_are_errors() {
        let mut records = Records::default();
        let error = records.append(Path::new("a"), &[1, 10, 11, 0], 2, 2).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a: truncated: expected 3 bytes for record 1 (a label and 2 pixels), found 1; \
             fetch or write the file again"
        );
        let error = records.append(Path::new("a"), &[2, 10, 11], 2, 2).unwrap_err();
        assert!(matches!(error, DataError::LabelRange { label: 2, largest: 1, .. }), "{error}");
    }
}
