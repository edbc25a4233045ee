//! The built-in data set: 1,797 handwritten digits of 8x8 pixels. `host/data/README.md` says where
//! they come from and under which licence.

use std::path::Path;

use super::file::{DataFile, MAX_BYTES};
use super::records::Records;
use super::{DataError, Dataset, Mantissas, Part, Samples, Split, Targets};

static PACKED: &[u8] = include_bytes!("../../data/digits.bin.gz");

const SIDE: usize = 8;
const CLASSES: usize = 10;

/// Leaves 1,280 to train on: forty batches of 32.
const VALIDATION: Part = Part::Count(127);
const TEST: Part = Part::Count(390);

pub(crate) fn load() -> Result<Dataset, DataError> {
    let path = Path::new("built-in digits");
    let bytes = DataFile::from_bytes(path, PACKED)?.read_up_to(MAX_BYTES)?;
    let mut records = Records::default();
    records.append(path, &bytes, SIDE * SIDE, CLASSES)?;
    Ok(Dataset {
        name: "digits".into(),
        shape: [1, SIDE, SIDE],
        split: Split::shuffled(path, records.labels.len(), VALIDATION, TEST)?,
        // Pixels are 0..=16, so sixteenths bring them to 0..=1.
        samples: Samples {
            mantissas: Mantissas::U8(records.pixels),
            exponent: -4,
            rounding_error: 0.0,
        },
        targets: Targets::Classes {
            labels: records.labels,
            names: (0..CLASSES).map(|class| class.to_string()).collect(),
        },
        augment: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_digits_are_there() {
        let set = load().unwrap();
        assert_eq!((set.len(), set.shape, set.outputs()), (1797, [1, 8, 8], 10));
        let Split { train, validation, test } = &set.split;
        assert_eq!((train.len(), validation.len(), test.len()), (1280, 127, 390));
        let (Mantissas::U8(pixels), Targets::Classes { labels, .. }) =
            (&set.samples.mantissas, &set.targets)
        else {
            panic!("expected pixels and classes")
        };
        assert_eq!(pixels.iter().max(), Some(&16));
        let mut counts = [0; 10];
        for &label in labels {
            counts[usize::from(label)] += 1;
        }
        // The counts that the source states for its test part.
        assert_eq!(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
    }

    #[test]
    fn the_test_set_is_always_the_same() {
        // Every published accuracy is about these pictures: a change here is a new data set.
        let test = load().unwrap().split.test;
        assert_eq!(test[..8], [203, 650, 200, 49, 209, 352, 284, 61]);
    }

    /// Other programs can use the same pictures: `docs/peers/digits_split.txt` names the part of
    /// each, in the order of the file. Set `FIXGRAD_BLESS=1` to write it anew.
    #[test]
    fn the_published_split_is_this_one() {
        let set = load().unwrap();
        let mut parts = vec![""; set.len()];
        let Split { train, validation, test } = &set.split;
        for (part, name) in [(train, "train"), (validation, "validation"), (test, "test")] {
            for &index in part {
                parts[index as usize] = name;
            }
        }
        let text = parts.join("\n") + "\n";
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/peers/digits_split.txt");
        if std::env::var_os("FIXGRAD_BLESS").is_some_and(|value| value == "1") {
            std::fs::write(path, &text).unwrap();
        }
        let found = std::fs::read_to_string(path).unwrap();
        assert_eq!(found, text, "run this test with FIXGRAD_BLESS=1 to write the file anew");
    }
}
