//! Opens data files, plain or gzip, and reads them without trusting what they say about their size.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use super::DataError;

/// More than this in one file is a damaged header, not a data set for a microcontroller.
pub(crate) const MAX_BYTES: u64 = 1 << 30;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// A data file, unpacked while it is read.
pub(crate) struct DataFile {
    pub(crate) path: PathBuf,
    gzip: bool,
    reader: Box<dyn Read>,
}

impl DataFile {
    /// Whether a file is gzip is told by its first bytes, so a name may lie: no format read here
    /// begins with the same two.
    pub(crate) fn open(path: &Path) -> Result<Self, DataError> {
        let read_error = |source| DataError::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(read_error)?;
        Self::from_reader(path, BufReader::new(file)).map_err(read_error)
    }

    /// As [`DataFile::open`], for bytes that are in memory. `name` stands for the path.
    pub(crate) fn from_bytes(
        name: &Path,
        bytes: impl AsRef<[u8]> + 'static,
    ) -> Result<Self, DataError> {
        Self::from_reader(name, Cursor::new(bytes))
            .map_err(|source| DataError::Read { path: name.to_owned(), source })
    }

    fn from_reader(path: &Path, mut reader: impl BufRead + 'static) -> io::Result<Self> {
        let gzip = reader.fill_buf()?.starts_with(&GZIP_MAGIC);
        let reader: Box<dyn Read> =
            if gzip { Box::new(MultiGzDecoder::new(reader)) } else { Box::new(reader) };
        Ok(Self { path: path.to_owned(), gzip, reader })
    }

    /// At most `limit` bytes; fewer when the file ends. Memory grows with what is really there.
    pub(crate) fn read_up_to(&mut self, limit: u64) -> Result<Vec<u8>, DataError> {
        let mut bytes = Vec::new();
        match self.reader.by_ref().take(limit).read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(source) if self.gzip => Err(DataError::Gzip { path: self.path.clone(), source }),
            Err(source) => Err(DataError::Read { path: self.path.clone(), source }),
        }
    }

    /// Exactly `expected` bytes; `what` says in an error what they are.
    pub(crate) fn read_exactly(&mut self, expected: u64, what: &str) -> Result<Vec<u8>, DataError> {
        let path = || self.path.clone();
        if expected > MAX_BYTES {
            let what = format!("{what} of {expected} bytes");
            return Err(DataError::TooLarge { path: path(), what, limit: MAX_BYTES });
        }
        let bytes = self.read_up_to(expected)?;
        let found = bytes.len() as u64;
        if found < expected {
            let (path, what) = (self.path.clone(), what.to_owned());
            return Err(DataError::Truncated { path, what, expected, found });
        }
        Ok(bytes)
    }

    /// Exactly `expected` bytes, and then the file must end. Reading to the end also makes the
    /// gzip decoder compare its checksum.
    pub(crate) fn read_to_end(mut self, expected: u64, what: &str) -> Result<Vec<u8>, DataError> {
        let bytes = self.read_exactly(expected, what)?;
        if self.read_up_to(1)?.is_empty() {
            return Ok(bytes);
        }
        Err(DataError::Trailing { path: self.path, what: what.to_owned(), expected })
    }
}

/// The first of `names` that is a file in `folder`.
pub(crate) fn first_of(folder: &Path, names: &[String]) -> Result<PathBuf, DataError> {
    let mut candidates = names.iter().map(|name| folder.join(name));
    candidates.find(|path| path.is_file()).ok_or_else(|| DataError::MissingFile {
        path: folder.to_owned(),
        expected: names.join(" or "),
    })
}

/// The file's name up to its first dot, as the name of a data set.
pub(crate) fn stem(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    name.split('.').next().unwrap_or(&name).to_owned()
}

/// The product of the dimensions, or `None` when it does not fit.
pub(crate) fn product(dims: &[u64]) -> Option<u64> {
    dims.iter().try_fold(1_u64, |product, &dim| product.checked_mul(dim))
}

/// `28x28`, for messages.
pub(crate) fn show_shape<T: ToString>(dims: &[T]) -> String {
    dims.iter().map(T::to_string).collect::<Vec<_>>().join("x")
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    /// `bytes` as a gzip file; for the tests of every format.
    pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// A folder that holds these files and goes away with the value.
    pub(crate) fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            std::fs::write(folder.path().join(name), bytes).unwrap();
        }
        folder
    }

    fn open(bytes: &[u8]) -> DataFile {
        DataFile::open(&folder(&[("file", bytes)]).path().join("file")).unwrap()
    }

    #[test]
    fn gzip_is_unpacked_whatever_the_name() {
        assert_eq!(open(b"hello").read_to_end(5, "text").unwrap(), b"hello");
        assert_eq!(open(&gzip(b"hello")).read_to_end(5, "text").unwrap(), b"hello");
        assert_eq!(open(b"").read_to_end(0, "text").unwrap(), b"");
        assert_eq!(open(b"\x1f").read_to_end(1, "text").unwrap(), b"\x1f");
    }

    #[test]
    fn too_short_and_too_long_are_told_apart() {
        let short = open(b"hell").read_to_end(5, "text").unwrap_err();
        assert!(matches!(short, DataError::Truncated { expected: 5, found: 4, .. }), "{short}");
        let long = open(b"hello!").read_to_end(5, "text").unwrap_err();
        assert!(matches!(long, DataError::Trailing { expected: 5, .. }), "{long}");
    }

    #[test]
    fn every_cut_and_every_flip_of_a_gzip_body_is_damage() {
        let packed = gzip(&[7; 300]);
        for end in 2..packed.len() {
            let error = open(&packed[..end]).read_to_end(300, "text").unwrap_err();
            assert!(matches!(error, DataError::Gzip { .. }), "cut at {end}: {error}");
        }
        let mut flipped = packed;
        let checksum = flipped.len() - 8;
        flipped[checksum] ^= 1;
        let error = open(&flipped).read_to_end(300, "text").unwrap_err();
        assert!(matches!(error, DataError::Gzip { .. }), "{error}");
    }

    #[test]
    fn an_absurd_size_is_refused_before_anything_is_read() {
        let error = open(b"").read_exactly(u64::MAX, "pixels").unwrap_err();
        assert!(matches!(error, DataError::TooLarge { .. }), "{error}");
    }

    #[test]
    fn a_missing_file_is_a_read_error() {
        let error = DataFile::open(Path::new("no/such/file")).err().unwrap();
        assert!(matches!(error, DataError::Read { .. }), "{error}");
    }
}
