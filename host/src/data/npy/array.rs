//! One array from an `.npy` file.

use std::path::Path;

use super::super::file::{DataFile, product, show_shape};
use super::super::{DataError, Mantissas, Samples, fixed};
use super::header::Header;

/// An array whose header is understood and whose bytes are all there, and no more.
pub(super) struct Array<'a> {
    path: &'a Path,
    header: Header,
    pub(super) shape: Vec<usize>,
    bytes: Vec<u8>,
}

const MAGIC: &[u8] = b"\x93NUMPY";

/// NumPy itself refuses longer headers.
const MAX_HEADER: u64 = 10_000;

impl<'a> Array<'a> {
    pub(super) fn read(path: &'a Path) -> Result<Self, DataError> {
        let mut file = DataFile::open(path)?;
        let owned = || path.to_owned();
        // Magic, version, and the length of the header in two bytes (four from version 2 on).
        let start = file.read_exactly(8, "the magic number and version")?;
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
        let header = Header::parse(&file.read_exactly(header_len, "the header")?)
            .map_err(|reason| DataError::Header { path: owned(), reason })?;

        if header.fortran_order && header.shape.len() > 1 {
            return Err(DataError::FortranOrder { path: owned() });
        }
        let dims = &header.shape[..];
        if dims.is_empty() {
            let expected = "a first dimension that counts samples";
            return Err(DataError::Rank { path: owned(), expected, found: 0 });
        }
        let what = format!("elements of shape {}", show_shape(dims));
        if dims.contains(&0) {
            return Err(DataError::Empty { path: owned(), what });
        }
        let item = element(&header.descr).map_or(0, |(_, size)| size);
        let expected = product(dims).and_then(|n| n.checked_mul(item)).unwrap_or(u64::MAX);
        let bytes = file.read_to_end(expected, &what)?;
        let shape = dims.iter().map(|&dim| dim as usize).collect();
        Ok(Self { path, header, shape, bytes })
    }

    pub(super) fn rank_error(&self, expected: &'static str) -> DataError {
        DataError::Rank { path: self.path.to_owned(), expected, found: self.shape.len() }
    }

    fn type_error(&self, expected: &'static str) -> DataError {
        let found = format!("'{}'", self.header.descr);
        DataError::ElementType { path: self.path.to_owned(), expected, found }
    }

    /// The elements; `convert` gets the bytes of one in little-endian order.
    fn elements<const SIZE: usize, U>(&self, convert: impl Fn([u8; SIZE]) -> U) -> Vec<U> {
        let swapped = self.header.descr.starts_with('>');
        let in_order = |&bytes: &[u8; SIZE]| {
            let mut bytes = bytes;
            if swapped {
                bytes.reverse();
            }
            convert(bytes)
        };
        self.bytes.as_chunks().0.iter().map(in_order).collect()
    }

    /// Integers stay as they are; floats become mantissas.
    pub(super) fn samples(&self, scale: Option<i8>) -> Result<Samples, DataError> {
        let exact = |mantissas, scale| {
            let exponent = fixed::scaled(self.path, 0, scale)?;
            Ok(Samples { mantissas, exponent, rounding_error: 0.0 })
        };
        let unit = scale.unwrap_or(0);
        match element(&self.header.descr) {
            Some(('u', 1)) => {
                let mantissas = self.elements(u8::from_le_bytes);
                exact(Mantissas::U8(mantissas), scale.unwrap_or(-8))
            }
            Some(('i', 1)) => exact(Mantissas::I8(self.elements(i8::from_le_bytes)), unit),
            Some(('i', 2)) => exact(Mantissas::I16(self.elements(i16::from_le_bytes)), unit),
            _ => {
                let width = self.shape[1..].iter().product();
                let numbers = self.numbers()?;
                Ok(fixed::from_numbers(self.path, &numbers, width, unit)?.into_samples())
            }
        }
    }

    pub(super) fn numbers(&self) -> Result<Vec<f64>, DataError> {
        Ok(match element(&self.header.descr) {
            Some(('u', 1)) => self.elements(|x| u8::from_le_bytes(x).into()),
            Some(('i', 1)) => self.elements(|x| i8::from_le_bytes(x).into()),
            Some(('i', 2)) => self.elements(|x| i16::from_le_bytes(x).into()),
            Some(('f', 4)) => self.elements(|x| f32::from_le_bytes(x).into()),
            Some(('f', 8)) => self.elements(f64::from_le_bytes),
            _ => return Err(self.type_error("u8, i8, i16, f32 or f64")),
        })
    }

    pub(super) fn labels(&self) -> Result<Vec<i64>, DataError> {
        // Beyond i64 it is out of any range of classes, and stays so.
        let capped = |x| i64::try_from(u64::from_le_bytes(x)).unwrap_or(i64::MAX);
        Ok(match element(&self.header.descr) {
            Some(('u', 1)) => self.elements(|x| u8::from_le_bytes(x).into()),
            Some(('u', 2)) => self.elements(|x| u16::from_le_bytes(x).into()),
            Some(('u', 4)) => self.elements(|x| u32::from_le_bytes(x).into()),
            Some(('u', 8)) => self.elements(capped),
            Some(('i', 1)) => self.elements(|x| i8::from_le_bytes(x).into()),
            Some(('i', 2)) => self.elements(|x| i16::from_le_bytes(x).into()),
            Some(('i', 4)) => self.elements(|x| i32::from_le_bytes(x).into()),
            Some(('i', 8)) => self.elements(i64::from_le_bytes),
            _ => return Err(self.type_error("an integer, as class indices are")),
        })
    }
}

/// Kind and size in bytes of the elements; None for what is no number.
fn element(descr: &str) -> Option<(char, u64)> {
    let mut chars = descr.strip_prefix(['<', '>', '|'])?.chars();
    let kind = chars.next()?;
    Some((kind, chars.as_str().parse().ok()?))
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::super::super::Dataset;
    use super::super::tests::{encode, labelled};
    use super::*;

    /// A file with this header, whatever it says.
    pub(in super::super) fn raw(header: &str, elements: &[u8]) -> Vec<u8> {
        let mut bytes = [MAGIC, &[1, 0], &(header.len() as u16).to_le_bytes()].concat();
        bytes.extend(header.bytes().chain(elements.iter().copied()));
        bytes
    }

    /// The error's text without the folder.
    fn text(error: Result<Dataset, DataError>) -> String {
        let error = error.unwrap_err().to_string();
        error[error.find(".npy: ").unwrap() - 1..].to_owned()
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
            header("'<f8'", "False", "(2, 268435456)"),
            0,
            "elements of shape 2x268435456 of 4294967296 bytes is more than the limit of \
             1073741824; if the header is right, split the file or keep fewer samples",
        );
        check(
            header("'|u1'", "False", "(2,)"),
            3,
            "expected the file to end after 2 bytes for elements of shape 2, but more follow; \
             the shape in the header does not belong to this data",
        );
        check("{}".into(), 0, "the header cannot be read: it does not name 'descr'");
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
