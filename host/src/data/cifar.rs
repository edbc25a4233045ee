//! CIFAR-10 in its binary form: five files of training records and one of test records. A record is
//! a label, then a plane of 32x32 pixels for each of red, green and blue.

use std::path::{Path, PathBuf};

use super::config::CifarConfig;
use super::file::{DataFile, MAX_BYTES};
use super::records::Records;
use super::{DataError, Dataset, Mantissas, Samples, SearchPath, Split, Targets};

const SHAPE: [usize; 3] = [3, 32, 32];
const NAMES: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];
const TRAIN: [&str; 5] = [
    "data_batch_1.bin",
    "data_batch_2.bin",
    "data_batch_3.bin",
    "data_batch_4.bin",
    "data_batch_5.bin",
];
const TEST: &str = "test_batch.bin";

pub(crate) fn load(config: &CifarConfig, places: &SearchPath) -> Result<Dataset, DataError> {
    let expected = "a folder with data_batch_1.bin to data_batch_5.bin and test_batch.bin";
    let folder = places.find(&config.dir, expected, |path| find_file(path, TRAIN[0]).is_ok())?;
    let mut records = Records::default();
    for name in TRAIN {
        read(&mut records, &find_file(&folder, name)?)?;
    }
    let train = records.labels.len();
    read(&mut records, &find_file(&folder, TEST)?)?;
    let test = records.labels.len() - train;
    let mut mantissas = Mantissas::U8(records.pixels);
    mantissas.channels_last(SHAPE);
    Ok(Dataset {
        name: "cifar10".into(),
        shape: SHAPE,
        samples: Samples { mantissas, exponent: -8, rounding_error: 0.0 },
        targets: Targets::Classes {
            labels: records.labels,
            names: NAMES.map(str::to_owned).to_vec(),
        },
        split: Split::own_test_set(&folder, train, test, config.validation)?,
        augment: None,
    })
}

fn find_file(folder: &Path, name: &str) -> Result<PathBuf, DataError> {
    let names = [name.to_owned(), format!("{name}.gz")];
    super::file::first_of(folder, &names)
}

fn read(records: &mut Records, path: &Path) -> Result<(), DataError> {
    let bytes = DataFile::open(path)?.read_up_to(MAX_BYTES)?;
    if bytes.is_empty() {
        return Err(DataError::Empty { path: path.to_owned(), what: "the file is empty".into() });
    }
    records.append(path, &bytes, SHAPE.iter().product(), NAMES.len())
}

#[cfg(test)]
mod tests {
    use super::super::Part;
    use super::super::file::tests::{folder, gzip};
    use super::*;

    fn batch(labels: &[u8]) -> Vec<u8> {
        labels.iter().flat_map(|&label| [vec![label], vec![label * 25; 3072]].concat()).collect()
    }

    fn load_from(folder: &Path, validation: u32) -> Result<Dataset, DataError> {
        let config = CifarConfig { dir: "cifar10".into(), validation: Part::Count(validation) };
        load(&config, &SearchPath::new(Some(folder), None, None))
    }

    fn six(last: &[u8]) -> tempfile::TempDir {
        let (two, packed) = (batch(&[0, 9]), gzip(&batch(&[3])));
        folder(&[
            (TRAIN[0], &two),
            (TRAIN[1], &two),
            (TRAIN[2], &two),
            (TRAIN[3], &two),
            ("data_batch_5.bin.gz", &packed),
            (TEST, last),
        ])
    }

    #[test]
    fn six_files_are_one_data_set() {
        let set = load_from(six(&batch(&[7])).path(), 2).unwrap();
        assert_eq!((set.len(), set.sample_len(), set.outputs()), (10, 3072, 10));
        assert_eq!(set.split.train, [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(set.split.validation, [7, 8]);
        assert_eq!(set.split.test, [9]);
        let mut last = [0; 3072];
        set.copy_sample(9, &mut last);
        assert_eq!(last, [175; 3072]);
    }

    #[test]
    fn planes_become_pixels() {
        let planes = [[1; 1024], [2; 1024], [3; 1024]].concat();
        let mut record = [vec![5], planes].concat();
        (record[1 + 33], record[1 + 1024 + 33], record[1 + 2048 + 33]) = (10, 20, 30);
        let set = load_from(six(&record).path(), 2).unwrap();
        let mut sample = [0; 3072];
        set.copy_sample(9, &mut sample);
        // Row 1, column 1.
        assert_eq!(sample[32 * 3..35 * 3], [1, 2, 3, 10, 20, 30, 1, 2, 3]);
    }

    #[test]
    fn wrong_files_are_errors() {
        let error = |last: &[u8]| load_from(six(last).path(), 2).unwrap_err();
        assert!(matches!(error(&batch(&[7])[1..]), DataError::Truncated { .. }));
        assert!(matches!(error(&batch(&[10])), DataError::LabelRange { label: 10, .. }));
        assert!(matches!(error(b""), DataError::Empty { .. }));
        let no_test = six(b"");
        std::fs::remove_file(no_test.path().join(TEST)).unwrap();
        let error = load_from(no_test.path(), 2).unwrap_err();
        assert!(matches!(error, DataError::MissingFile { .. }), "{error}");
        let error = load_from(folder(&[]).path(), 2).unwrap_err();
        assert!(matches!(error, DataError::NotFound { .. }), "{error}");
    }
}
