//! IDX, the format of MNIST and its relatives: two zero bytes, a type byte, the rank, the
//! dimensions as big-endian 32-bit numbers, then the elements.

use std::path::{Path, PathBuf};

use super::config::IdxConfig;
use super::file::{DataFile, first_of, product, show_shape};
use super::{
    DataError, Dataset, Mantissas, Samples, SearchPath, Split, Targets, labels, sample_shape,
};

/// An array of bytes from an IDX file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdxArray {
    /// The dimensions: one to four, none of them zero.
    pub shape: Vec<usize>,
    /// The elements, row-major.
    pub elements: Vec<u8>,
}

const MAX_RANK: usize = 4;

impl IdxArray {
    /// Reads a file, plain or gzip.
    pub fn read(path: &Path) -> Result<Self, DataError> {
        Self::decode(DataFile::open(path)?)
    }

    /// Reads bytes that are in memory; `name` stands for the path in errors.
    pub fn from_bytes(name: &Path, bytes: Vec<u8>) -> Result<Self, DataError> {
        Self::decode(DataFile::from_bytes(name, bytes)?)
    }

    fn decode(mut file: DataFile) -> Result<Self, DataError> {
        let path = file.path.clone();
        let magic = file.read_exactly(4, "the magic number")?;
        let (element_type, rank) = (magic[2], usize::from(magic[3]));
        if magic[..2] != [0, 0] {
            let found = format!("{magic:02x?}");
            let expected = "[00, 00, 08, rank]";
            return Err(DataError::Magic { path, format: "an IDX", expected, found });
        }
        if element_type != 0x08 {
            let (expected, found) = ("u8 (0x08)", type_name(element_type));
            return Err(DataError::ElementType { path, expected, found });
        }
        if !(1..=MAX_RANK).contains(&rank) {
            return Err(DataError::Rank { path, expected: "1 to 4 dimensions", found: rank });
        }
        let dims = file.read_exactly(4 * rank as u64, "the dimensions")?;
        let dims: Vec<u64> = dims
            .chunks_exact(4)
            .map(|dim| u64::from(u32::from_be_bytes([dim[0], dim[1], dim[2], dim[3]])))
            .collect();
        let what = format!("elements of shape {}", show_shape(&dims));
        if dims.contains(&0) {
            return Err(DataError::Empty { path, what });
        }
        let elements = file.read_to_end(product(&dims).unwrap_or(u64::MAX), &what)?;
        Ok(Self { shape: dims.iter().map(|&dim| dim as usize).collect(), elements })
    }
}

fn type_name(code: u8) -> String {
    match code {
        0x09 => "i8 (0x09)".into(),
        0x0b => "i16 (0x0b)".into(),
        0x0c => "i32 (0x0c)".into(),
        0x0d => "f32 (0x0d)".into(),
        0x0e => "f64 (0x0e)".into(),
        _ => format!("the unknown code 0x{code:02x}"),
    }
}

/// One half of the data set: samples with their labels.
struct Half {
    samples: IdxArray,
    samples_path: PathBuf,
    labels: Vec<i64>,
    labels_path: PathBuf,
}

impl Half {
    fn read(folder: &Path, prefix: &str) -> Result<Self, DataError> {
        let samples_path = find_samples(folder, prefix)?;
        let labels_path = first_of(folder, &names(&format!("{prefix}-labels"), 1))?;
        let samples = IdxArray::read(&samples_path)?;
        let labels = IdxArray::read(&labels_path)?;
        if labels.shape.len() != 1 {
            return Err(DataError::Rank {
                path: labels_path,
                expected: "one dimension, as labels have",
                found: labels.shape.len(),
            });
        }
        if labels.shape[0] != samples.shape[0] {
            return Err(DataError::CountsDiffer {
                path: labels_path,
                labels: labels.shape[0],
                samples_path,
                samples: samples.shape[0],
            });
        }
        let labels = labels.elements.into_iter().map(i64::from).collect();
        Ok(Self { samples, samples_path, labels, labels_path })
    }
}

pub(crate) fn load(config: &IdxConfig, places: &SearchPath) -> Result<Dataset, DataError> {
    let expected = "a folder with train-images-idx3-ubyte, train-labels-idx1-ubyte, \
                    t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, each plain or .gz";
    let folder = places.find(&config.dir, expected, |path| find_samples(path, "train").is_ok())?;
    let train = Half::read(&folder, "train")?;
    let test = Half::read(&folder, "t10k")?;
    let (shape, test_shape) = (&train.samples.shape[1..], &test.samples.shape[1..]);
    if shape != test_shape {
        return Err(DataError::ShapesDiffer {
            path: test.samples_path,
            expected: show_shape(shape),
            found: show_shape(test_shape),
        });
    }
    let shape = sample_shape(shape);
    let split = Split::own_test_set(
        &train.samples_path,
        train.labels.len(),
        test.labels.len(),
        config.validation,
    )?;
    let mut targets = labels::from_indices(&train.labels_path, &train.labels, config.classes)?;
    let classes = targets.outputs();
    if let Targets::Classes { labels, .. } = &mut targets {
        let test_labels = test.labels.iter().copied();
        labels.extend(labels::check_range(&test.labels_path, test_labels, classes)?);
    }
    let mut pixels = train.samples.elements;
    pixels.extend(test.samples.elements);
    let mut mantissas = Mantissas::U8(pixels);
    mantissas.channels_last(shape);
    let name = config.dir.file_name().unwrap_or(folder.as_os_str());
    Ok(Dataset {
        name: name.to_string_lossy().into_owned(),
        shape,
        samples: Samples { mantissas, exponent: -8, rounding_error: 0.0 },
        targets,
        split,
        augment: None,
    })
}

fn find_samples(folder: &Path, prefix: &str) -> Result<PathBuf, DataError> {
    // Pictures in grey have rank 3; that spelling comes first, also in the error.
    let stem = format!("{prefix}-images");
    let all: Vec<String> = [3, 4, 2, 1].into_iter().flat_map(|rank| names(&stem, rank)).collect();
    first_of(folder, &all).map_err(|_| DataError::MissingFile {
        path: folder.to_owned(),
        expected: names(&stem, 3).join(" or "),
    })
}

/// The spellings in use: MNIST's own, and the one that some unpackers make of it.
fn names(stem: &str, rank: usize) -> [String; 4] {
    [
        format!("{stem}-idx{rank}-ubyte"),
        format!("{stem}-idx{rank}-ubyte.gz"),
        format!("{stem}.idx{rank}-ubyte"),
        format!("{stem}.idx{rank}-ubyte.gz"),
    ]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Part;
    use super::super::file::tests::{folder, gzip};
    use super::*;

    fn encode(shape: &[u32], elements: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, shape.len() as u8];
        bytes.extend(shape.iter().flat_map(|dim| dim.to_be_bytes()));
        bytes.extend(elements);
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<IdxArray, DataError> {
        IdxArray::from_bytes(Path::new("x-idx"), bytes.to_vec())
    }

    const NAMES: [&str; 4] = [
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte.gz",
        "t10k-images.idx3-ubyte",
        "t10k-labels.idx1-ubyte.gz",
    ];

    /// Four training pictures and one to test with, where `change` replaces one of the files.
    fn load_with(
        change: Option<(usize, Vec<u8>)>,
        classes: Option<usize>,
    ) -> Result<Dataset, DataError> {
        let pixels: Vec<u8> = (0..24).collect();
        let mut files = [
            encode(&[4, 2, 3], &pixels),
            gzip(&encode(&[4], &[0, 2, 1, 0])),
            encode(&[1, 2, 3], &[255; 6]),
            gzip(&encode(&[1], &[2])),
        ];
        if let Some((at, bytes)) = change {
            files[at] = bytes;
        }
        let files: Vec<(&str, &[u8])> =
            NAMES.into_iter().zip(files.iter().map(Vec::as_slice)).collect();
        let folder = folder(&files);
        let config = IdxConfig { dir: "mnist".into(), validation: Part::Count(1), classes };
        load(&config, &SearchPath::new(Some(folder.path()), None, None))
    }

    #[test]
    fn four_files_are_one_data_set() {
        let set = load_with(None, None).unwrap();
        assert_eq!((set.name.as_str(), set.shape, set.outputs()), ("mnist", [1, 2, 3], 3));
        assert_eq!(set.split.train, [0, 1, 2]);
        assert_eq!(set.split.validation, [3]);
        assert_eq!(set.split.test, [4]);
        let mut sample = [0; 6];
        set.copy_sample(1, &mut sample);
        assert_eq!(sample, [6, 7, 8, 9, 10, 11]);
        set.copy_sample(4, &mut sample);
        assert_eq!(sample, [255; 6]);
        assert_eq!(load_with(None, Some(10)).unwrap().outputs(), 10);
    }

    #[test]
    fn four_dimensions_are_planes() {
        let pictures: Vec<u8> = (0..8).collect();
        let (train, test) = (encode(&[2, 2, 1, 2], &pictures), encode(&[1, 2, 1, 2], &[8; 4]));
        let labels = (encode(&[2], &[0, 1]), encode(&[1], &[1]));
        let files = [&train, &labels.0, &test, &labels.1];
        let names = NAMES.map(|name| name.replace("idx3", "idx4").replace(".gz", ""));
        let files: Vec<(&str, &[u8])> =
            names.iter().map(String::as_str).zip(files.map(Vec::as_slice)).collect();
        let folder = folder(&files);
        let config = IdxConfig { dir: "x".into(), validation: Part::Count(0), classes: None };
        let set = load(&config, &SearchPath::new(Some(folder.path()), None, None)).unwrap();
        assert_eq!(set.shape, [2, 1, 2]);
        let mut sample = [0; 4];
        set.copy_sample(1, &mut sample);
        assert_eq!(sample, [4, 6, 5, 7]);
    }

    #[test]
    fn files_that_do_not_belong_together_are_told() {
        let error = |at, bytes| load_with(Some((at, bytes)), None).unwrap_err();
        let counts = error(1, encode(&[3], &[0, 2, 1]));
        assert!(matches!(counts, DataError::CountsDiffer { labels: 3, samples: 4, .. }));
        let shapes = error(2, encode(&[1, 3, 2], &[0; 6])).to_string();
        assert!(shapes.ends_with("samples of 2x3 as in the training files, found 3x2"), "{shapes}");
        let label = error(3, encode(&[1], &[3]));
        assert!(matches!(label, DataError::LabelRange { label: 3, largest: 2, .. }), "{label}");
        let label = load_with(None, Some(2)).unwrap_err();
        assert!(matches!(label, DataError::LabelRange { index: 1, label: 2, .. }), "{label}");
        let rank = error(1, encode(&[4, 1], &[0; 4]));
        assert!(matches!(rank, DataError::Rank { found: 2, .. }), "{rank}");
    }

    #[test]
    fn absent_files_are_named() {
        let search = |folder: &Path| SearchPath::new(Some(folder), None, None);
        let config = IdxConfig { dir: "mnist".into(), validation: Part::Count(1), classes: None };
        let empty = folder(&[]);
        let error = load(&config, &search(empty.path())).unwrap_err();
        assert!(matches!(error, DataError::NotFound { .. }), "{error}");
        let half = folder(&[(NAMES[0], &encode(&[1, 1, 1], &[0]))]);
        let error = load(&config, &search(half.path())).unwrap_err().to_string();
        assert!(error.contains("train-labels-idx1-ubyte or train-labels-idx1-ubyte.gz"), "{error}");
    }

    #[test]
    fn each_wrong_header_has_its_error() {
        let check = |bytes: &[u8], message: &str| {
            assert_eq!(decode(bytes).unwrap_err().to_string(), format!("x-idx: {message}"));
        };
        check(
            b"\x89PNG",
            "not an IDX file: expected it to begin with [00, 00, 08, rank], \
             found [89, 50, 4e, 47]",
        );
        check(
            &[0, 0, 0x0d, 1],
            "expected elements of type u8 (0x08), found f32 (0x0d); convert the file",
        );
        check(&[0, 0, 8, 0], "expected 1 to 4 dimensions, found 0 dimension(s)");
        check(&[0, 0, 8, 5], "expected 1 to 4 dimensions, found 5 dimension(s)");
        check(&encode(&[0, 28], &[]), "there is nothing to train on: elements of shape 0x28");
        check(
            &encode(&[u32::MAX; 4], &[]),
            &format!(
                "elements of shape 4294967295x4294967295x4294967295x4294967295 of {} bytes is \
                 more than the limit of 1073741824; if the header is right, split the file or \
                 keep fewer samples",
                u64::MAX
            ),
        );
        check(
            &encode(&[2, 2], &[1, 2, 3, 4, 5]),
            "expected the file to end after 4 bytes for elements of shape 2x2, but more follow; \
             the shape in the header does not belong to this data",
        );
    }

    #[test]
    fn a_cut_at_every_byte_is_an_error() {
        let whole = encode(&[2, 2, 3], &[9; 12]);
        assert!(decode(&whole).is_ok());
        for end in 0..whole.len() {
            let error = decode(&whole[..end]).unwrap_err();
            assert!(matches!(error, DataError::Truncated { .. }), "cut at {end}: {error}");
        }
        let packed = gzip(&whole);
        for end in 0..packed.len() {
            assert!(decode(&packed[..end]).is_err(), "cut at {end}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            shape in prop::collection::vec(1_u32..6, 1..=4),
            fill in any::<u8>(),
            packed in any::<bool>(),
        ) {
            let elements: Vec<u8> =
                (0..shape.iter().product()).map(|i| fill.wrapping_add(i as u8)).collect();
            let bytes = encode(&shape, &elements);
            let array = decode(&if packed { gzip(&bytes) } else { bytes }).unwrap();
            prop_assert_eq!(array.shape, shape.iter().map(|&d| d as usize).collect::<Vec<_>>());
            prop_assert_eq!(array.elements, elements);
        }

        #[test]
        fn no_bytes_make_it_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..64), like in any::<bool>()) {
            if like && bytes.len() >= 4 {
                bytes[..3].copy_from_slice(&[0, 0, 8]);
                bytes[3] %= 6;
            }
            if let Ok(array) = decode(&bytes) {
                prop_assert_eq!(array.elements.len(), array.shape.iter().product::<usize>());
            }
        }
    }
}
