//! NumPy's array files.

use std::path::Path;

use npyz::{DType, Deserialize, NpyFile, NpyHeader, Order, TypeChar};

use super::config::NpyConfig;
use super::file::{DataFile, MAX_BYTES, product, show_shape, stem};
use super::{
    DataError, Dataset, Mantissas, Samples, SearchPath, Split, fixed, labels, sample_shape,
};

pub(crate) fn load(config: &NpyConfig, places: &SearchPath) -> Result<Dataset, DataError> {
    let samples_path = &places.file(&config.samples)?;
    let (targets_path, are_labels) = match (&config.labels, &config.targets) {
        (Some(labels), None) => (places.file(labels)?, true),
        (None, Some(targets)) => (places.file(targets)?, false),
        (labels, _) => {
            let found = if labels.is_some() { "both" } else { "neither" };
            return Err(DataError::Setting {
                path: samples_path.clone(),
                key: "labels",
                message: format!("expected either `labels` or `targets`, found {found}"),
            });
        }
    };
    let array = Array::read(samples_path)?;
    if array.shape.len() > 4 {
        let expected = "one dimension for the samples and up to three for each";
        return Err(array.rank_error(expected));
    }
    let answers = Array::read(&targets_path)?;
    let total = array.shape[0];
    if answers.shape[0] != total {
        return Err(DataError::CountsDiffer {
            path: targets_path.clone(),
            labels: answers.shape[0],
            samples_path: samples_path.clone(),
            samples: total,
        });
    }
    let targets = if are_labels {
        if answers.shape.len() != 1 {
            return Err(answers.rank_error("one dimension, as labels have (no one-hot rows)"));
        }
        labels::from_indices(&targets_path, &answers.labels()?, config.classes)?
    } else {
        if answers.shape.len() > 2 {
            return Err(answers.rank_error("one or two dimensions, as targets have"));
        }
        let width = answers.shape[1..].iter().product();
        let numbers = answers.numbers()?;
        fixed::from_numbers(&targets_path, &numbers, width, 0)?.into_targets(width)
    };
    Ok(Dataset {
        name: stem(samples_path),
        shape: sample_shape(&array.shape[1..]),
        samples: array.samples(config.scale_exponent)?,
        targets,
        split: Split::shuffled(samples_path, total, config.validation, config.test)?,
    })
}

/// An array whose header is understood and whose bytes are all there, and no more.
struct Array<'a> {
    path: &'a Path,
    header: NpyHeader,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

const MAGIC: &[u8] = b"\x93NUMPY";

/// NumPy itself refuses longer headers.
const MAX_HEADER: u64 = 10_000;

impl<'a> Array<'a> {
    fn read(path: &'a Path) -> Result<Self, DataError> {
        let mut file = DataFile::open(path)?;
        let owned = || path.to_owned();
        // Magic, version, and the length of the header in two bytes (four from version 2 on).
        let mut start = file.read_exactly(8, "the magic number and version")?;
        if !start.starts_with(MAGIC) {
            let found = format!("{:02x?}", &start[..MAGIC.len()]);
            let expected = "93 and NUMPY";
            return Err(DataError::Magic { path: owned(), format: "an .npy", expected, found });
        }
        let length = file.read_exactly(if start[6] == 1 { 2 } else { 4 }, "the header's length")?;
        let header_len = length.iter().rev().fold(0, |sum, &byte| (sum << 8) | u64::from(byte));
        if header_len > MAX_HEADER {
            let what = format!("a header of {header_len} bytes");
            return Err(DataError::TooLarge { path: owned(), what, limit: MAX_HEADER });
        }
        let text = file.read_exactly(header_len, "the header")?;
        let header_error = |reason: String| DataError::Header { path: owned(), reason };
        check_header(&text).map_err(header_error)?;
        start.extend(length);
        start.extend(text);
        let header =
            NpyHeader::from_reader(&start[..]).map_err(|error| header_error(error.to_string()))?;

        if header.order() == Order::Fortran && header.shape().len() > 1 {
            return Err(DataError::FortranOrder { path: owned() });
        }
        let dims = header.shape();
        if dims.is_empty() {
            let expected = "a first dimension that counts samples";
            return Err(DataError::Rank { path: owned(), expected, found: 0 });
        }
        let what = format!("elements of shape {}", show_shape(dims));
        if dims.contains(&0) {
            return Err(DataError::Empty { path: owned(), what });
        }
        let item = header.dtype().num_bytes().unwrap_or(0) as u64;
        let expected = product(dims).and_then(|n| n.checked_mul(item)).unwrap_or(u64::MAX);
        let bytes = file.read_to_end(expected, &what)?;
        let shape = dims.iter().map(|&dim| dim as usize).collect();
        Ok(Self { path, header, shape, bytes })
    }

    fn rank_error(&self, expected: &'static str) -> DataError {
        DataError::Rank { path: self.path.to_owned(), expected, found: self.shape.len() }
    }

    /// Kind and size in bytes of the elements.
    fn element(&self) -> Option<(TypeChar, u64)> {
        match self.header.dtype() {
            DType::Plain(ty) => Some((ty.type_char(), ty.size_field())),
            _ => None,
        }
    }

    fn type_error(&self, expected: &'static str) -> DataError {
        let found = self.header.dtype().descr();
        DataError::ElementType { path: self.path.to_owned(), expected, found }
    }

    fn elements<T: Deserialize, U>(&self, convert: impl Fn(T) -> U) -> Result<Vec<U>, DataError> {
        let file = NpyFile::with_header(self.header.clone(), &self.bytes[..]);
        let elements: Vec<T> = file.into_vec().map_err(|error| DataError::Header {
            path: self.path.to_owned(),
            reason: error.to_string(),
        })?;
        Ok(elements.into_iter().map(convert).collect())
    }

    /// Integers stay as they are; floats become mantissas.
    fn samples(&self, scale: Option<i8>) -> Result<Samples, DataError> {
        let exact = |mantissas, scale| {
            let exponent = fixed::scaled(self.path, 0, scale)?;
            Ok(Samples { mantissas, exponent, rounding_error: 0.0 })
        };
        match self.element() {
            Some((TypeChar::Uint, 1)) => {
                exact(Mantissas::U8(self.elements(|x: u8| x)?), scale.unwrap_or(-8))
            }
            Some((TypeChar::Int, 1)) => {
                exact(Mantissas::I16(self.elements(|x: i8| x.into())?), scale.unwrap_or(0))
            }
            Some((TypeChar::Int, 2)) => {
                exact(Mantissas::I16(self.elements(|x: i16| x)?), scale.unwrap_or(0))
            }
            _ => {
                let width = self.shape[1..].iter().product();
                let numbers = self.numbers()?;
                let scale = scale.unwrap_or(0);
                Ok(fixed::from_numbers(self.path, &numbers, width, scale)?.into_samples())
            }
        }
    }

    fn numbers(&self) -> Result<Vec<f64>, DataError> {
        match self.element() {
            Some((TypeChar::Uint, 1)) => self.elements(|x: u8| x.into()),
            Some((TypeChar::Int, 1)) => self.elements(|x: i8| x.into()),
            Some((TypeChar::Int, 2)) => self.elements(|x: i16| x.into()),
            Some((TypeChar::Float, 4)) => self.elements(|x: f32| x.into()),
            Some((TypeChar::Float, 8)) => self.elements(|x: f64| x),
            _ => Err(self.type_error("u8, i8, i16, f32 or f64")),
        }
    }

    fn labels(&self) -> Result<Vec<i64>, DataError> {
        match self.element() {
            Some((TypeChar::Uint, 1)) => self.elements(|x: u8| x.into()),
            Some((TypeChar::Uint, 2)) => self.elements(|x: u16| x.into()),
            Some((TypeChar::Uint, 4)) => self.elements(|x: u32| x.into()),
            // Beyond i64 it is out of any range of classes, and stays so.
            Some((TypeChar::Uint, 8)) => {
                self.elements(|x: u64| i64::try_from(x).unwrap_or(i64::MAX))
            }
            Some((TypeChar::Int, 1)) => self.elements(|x: i8| x.into()),
            Some((TypeChar::Int, 2)) => self.elements(|x: i16| x.into()),
            Some((TypeChar::Int, 4)) => self.elements(|x: i32| x.into()),
            Some((TypeChar::Int, 8)) => self.elements(|x: i64| x),
            _ => Err(self.type_error("an integer, as class indices are")),
        }
    }
}

/// The header is a Python literal. Its parser recurses, evaluates sums, and multiplies the
/// dimensions unchecked, so text that NumPy does not write is refused before it gets there.
fn check_header(text: &[u8]) -> Result<(), String> {
    let mut depth = 0_u32;
    let mut product = 1_u64;
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    for word in text.chunk_by(|&a, &b| is_word(a) && is_word(b)) {
        match word[0] {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b'0'..=b'9' => {
                let number = str::from_utf8(word).ok().and_then(|word| word.parse::<u64>().ok());
                product = number
                    .and_then(|number| product.checked_mul(number.max(1)))
                    .filter(|&product| product <= MAX_BYTES)
                    .ok_or("its dimensions are too large, or not decimal numbers")?;
            }
            b'+' | b'-' | b'.' | b'\\' => {
                return Err(format!("unexpected character `{}`", char::from(word[0])));
            }
            byte if !byte.is_ascii() || byte == 0 => {
                return Err(format!("unexpected byte 0x{byte:02x}"));
            }
            _ => {}
        }
        if depth > 4 {
            return Err("its brackets are nested too deeply".into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use npyz::WriterBuilder as _;
    use proptest::prelude::*;

    use super::super::file::tests::{folder, gzip};
    use super::super::{Part, Targets};
    use super::*;

    fn encode<T: npyz::AutoSerialize + Clone>(shape: &[u64], elements: &[T]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let options = npyz::WriteOptions::new().default_dtype().shape(shape);
        let mut writer = options.writer(&mut bytes).begin_nd().unwrap();
        writer.extend(elements.iter().cloned()).unwrap();
        writer.finish().unwrap();
        bytes
    }

    fn raw(header: &str, elements: &[u8]) -> Vec<u8> {
        let mut bytes = [MAGIC, &[1, 0], &(header.len() as u16).to_le_bytes()].concat();
        bytes.extend(header.bytes().chain(elements.iter().copied()));
        bytes
    }

    fn config(are_labels: bool) -> NpyConfig {
        NpyConfig {
            samples: "x.npy".into(),
            labels: are_labels.then(|| "y.npy".into()),
            targets: (!are_labels).then(|| "y.npy".into()),
            classes: None,
            scale_exponent: None,
            validation: Part::Count(0),
            test: Part::Count(1),
        }
    }

    fn load_with(config: &NpyConfig, x: &[u8], y: &[u8]) -> Result<Dataset, DataError> {
        let folder = folder(&[("x.npy", x), ("y.npy", y)]);
        load(config, &SearchPath::new(Some(folder.path()), None, None))
    }

    fn labelled(x: &[u8]) -> Result<Dataset, DataError> {
        load_with(&config(true), x, &encode(&[2], &[0_i64, 1]))
    }

    /// The error's text without the folder.
    fn text(error: Result<Dataset, DataError>) -> String {
        let error = error.unwrap_err().to_string();
        error[error.find(".npy: ").unwrap() - 1..].to_owned()
    }

    #[test]
    fn samples_of_every_type() {
        let exact = |x: Vec<u8>| {
            let samples = labelled(&x).unwrap().samples;
            assert_eq!(samples.rounding_error, 0.0);
            (samples.mantissas, samples.exponent)
        };
        assert_eq!(exact(encode(&[2], &[3_u8, 255])), (Mantissas::U8(vec![3, 255]), -8));
        assert_eq!(exact(encode(&[2], &[3_i8, -128])), (Mantissas::I16(vec![3, -128]), 0));
        assert_eq!(exact(encode(&[2], &[3_i16, -129])), (Mantissas::I16(vec![3, -129]), 0));
        let halves = Mantissas::I16(vec![8192, -16384]);
        assert_eq!(exact(encode(&[2], &[0.5_f32, -1.0])), (halves.clone(), -14));
        assert_eq!(exact(gzip(&encode(&[2], &[0.5_f64, -1.0]))), (halves, -14));
        let big_endian = "{'descr': '>i2', 'fortran_order': False, 'shape': (2,), }";
        let big_endian = raw(big_endian, &[0, 3, 1, 0]);
        assert_eq!(exact(big_endian), (Mantissas::I16(vec![3, 256]), 0));
    }

    #[test]
    fn labels_of_every_integer_type() {
        let x = encode(&[2], &[0_u8, 1]);
        for y in [
            encode(&[2], &[0_u8, 2]),
            encode(&[2], &[0_u16, 2]),
            encode(&[2], &[0_u32, 2]),
            encode(&[2], &[0_u64, 2]),
            encode(&[2], &[0_i8, 2]),
            encode(&[2], &[0_i16, 2]),
            encode(&[2], &[0_i32, 2]),
            encode(&[2], &[0_i64, 2]),
        ] {
            let set = load_with(&config(true), &x, &y).unwrap();
            let names = vec!["0".into(), "1".into(), "2".into()];
            assert_eq!(set.targets, Targets::Classes { labels: vec![0, 2], names });
        }
        let scaled = NpyConfig { scale_exponent: Some(-4), classes: Some(10), ..config(true) };
        let set = load_with(&scaled, &x, &encode(&[2], &[0_u8, 2])).unwrap();
        assert_eq!((set.samples.exponent, set.outputs()), (-4, 10));
    }

    #[test]
    fn targets_are_numbers() {
        let x = encode(&[2, 1, 2], &[0_u8, 1, 2, 3]);
        let set = load_with(&config(false), &x, &encode(&[2, 2], &[0.5, 1.0, -1.0, 0.0])).unwrap();
        assert_eq!(set.shape, [1, 1, 2]);
        let mantissas = vec![8192, 16384, -16384, 0];
        let expected = Targets::Values { mantissas, exponent: -14, width: 2, rounding_error: 0.0 };
        assert_eq!(set.targets, expected);
    }

    #[test]
    fn what_is_not_such_an_array_is_an_error() {
        let header = |descr: &str, order: &str, shape: &str| {
            format!("{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}")
        };
        let check = |header: String, elements: usize, message: &str| {
            assert_eq!(
                text(labelled(&raw(&header, &vec![0; elements]))),
                format!("x.npy: {message}")
            );
        };
        check(
            header("'|u1'", "True", "(2, 2)"),
            4,
            "the array is in Fortran order, expected C order (one sample after the other); save \
             it with numpy.save(FILE, numpy.ascontiguousarray(ARRAY))",
        );
        check(
            header("'<i8'", "False", "(2,)"),
            16,
            "expected elements of type u8, i8, i16, f32 or f64, found '<i8'; convert the file",
        );
        check(
            header("'|O'", "False", "(2,)"),
            0,
            "expected elements of type u8, i8, i16, f32 or f64, found '|O'; convert the file",
        );
        check(
            header("'|u1'", "False", "()"),
            1,
            "expected a first dimension that counts samples, found 0 dimension(s)",
        );
        check(
            header("'|u1'", "False", "(2, 1, 1, 1, 1)"),
            2,
            "expected one dimension for the samples and up to three for each, found 5 dimension(s)",
        );
        check(
            header("'|u1'", "False", "(2, 0)"),
            0,
            "there is nothing to train on: elements of shape 2x0",
        );
        check(
            header("'|u1'", "False", "(2, 4294967296)"),
            0,
            "the header cannot be read: its dimensions are too large, or not decimal numbers",
        );
        check(
            header("'<f8'", "False", "(2, 1073741824)"),
            0,
            "elements of shape 2x1073741824 of 17179869184 bytes is more than the limit of \
             2147483648; if the header is right, split the file or keep fewer samples",
        );
        check("[".repeat(5000), 0, "the header cannot be read: its brackets are nested too deeply");
        check(
            header("'|u1'", "False", "(1+1,)"),
            2,
            "the header cannot be read: unexpected character `+`",
        );
        check(
            header("'|u1'", "False", "(2,)"),
            3,
            "expected the file to end after 2 bytes for elements of shape 2, but more follow; \
             the shape in the header does not belong to this data",
        );
        check("{}".into(), 0, "the header cannot be read: dict is missing key 'fortran_order'");
        check(
            "x".repeat(20_000),
            0,
            "a header of 20000 bytes is more than the limit of 10000; if the header is right, \
             split the file or keep fewer samples",
        );
        let not_npy = labelled(b"PK\x03\x04 an .npz archive").unwrap_err();
        assert!(matches!(not_npy, DataError::Magic { .. }), "{not_npy}");
        let nan = labelled(&encode(&[2, 2], &[0.0, 1.0, 2.0, f64::NAN])).unwrap_err();
        assert!(matches!(nan, DataError::Unrepresentable { sample: 1, element: 1, .. }), "{nan}");
    }

    #[test]
    fn files_that_do_not_belong_together_are_told() {
        let x = encode(&[2], &[0_u8, 1]);
        let error = |y: Vec<u8>, are_labels| load_with(&config(are_labels), &x, &y).unwrap_err();
        let counts = error(encode(&[3], &[0_u8, 0, 0]), true);
        assert!(matches!(counts, DataError::CountsDiffer { labels: 3, samples: 2, .. }));
        let one_hot = error(encode(&[2, 2], &[0_u8, 1, 1, 0]), true);
        assert!(matches!(one_hot, DataError::Rank { found: 2, .. }), "{one_hot}");
        let floats = error(encode(&[2], &[0.0, 1.0]), true);
        assert!(matches!(floats, DataError::ElementType { .. }), "{floats}");
        let cube = error(encode(&[2, 1, 1], &[0.0, 1.0]), false);
        assert!(matches!(cube, DataError::Rank { found: 3, .. }), "{cube}");
        let both = NpyConfig { targets: Some("y.npy".into()), ..config(true) };
        let both = load_with(&both, &x, &x).unwrap_err().to_string();
        assert!(both.ends_with("expected either `labels` or `targets`, found both"), "{both}");
        let neither = NpyConfig { labels: None, ..config(true) };
        let neither = load_with(&neither, &x, &x).unwrap_err().to_string();
        assert!(neither.ends_with("found neither"), "{neither}");
    }

    #[test]
    fn a_cut_at_every_byte_is_an_error() {
        let whole = encode(&[2, 2], &[1_i16, 2, 3, 4]);
        assert!(labelled(&whole).is_ok());
        for end in 0..whole.len() {
            let error = labelled(&whole[..end]).unwrap_err();
            assert!(matches!(error, DataError::Truncated { .. }), "cut at {end}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_change_of_a_header_makes_it_panic(at in 0_usize..90, byte in any::<u8>()) {
            let mut bytes = encode(&[2, 2], &[1_i16, 2, 3, 4]);
            bytes[at] = byte;
            let _ = labelled(&bytes);
        }

        #[test]
        fn no_header_makes_it_panic(header in "[-+0-9a-f'(){}\\[\\],:<> ]{0,40}") {
            let _ = labelled(&raw(&header, &[0; 8]));
        }
    }
}
