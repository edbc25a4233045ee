//! What can be wrong with a data set, said so that a person can put it right.

use std::io;
use std::path::PathBuf;

/// Why a data set could not be loaded. Every variant names the file (or folder) it is about.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// Nothing under that name in any of the places that are searched.
    #[error(
        "data `{path}` was not found. Looked in:\n{places}expected {expected}; \
         say where it is with --data DIR or the environment variable FIXGRAD_DATA"
    )]
    NotFound {
        /// The path as the configuration gives it.
        path: PathBuf,
        /// The places, one a line.
        places: String,
        /// What would have been accepted.
        expected: String,
    },
    /// A folder was found, but one of the files that belong in it is absent.
    #[error("{path}: the folder has no file {expected}; add it, or point at another folder")]
    MissingFile {
        /// The folder.
        path: PathBuf,
        /// The accepted names.
        expected: String,
    },
    /// The operating system could not open or read the file.
    #[error("{path}: cannot be read: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The gzip wrapping is damaged or ends early.
    #[error("{path}: the gzip stream is damaged or incomplete ({source}); fetch the file again")]
    Gzip {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        source: io::Error,
    },
    /// The file does not begin as its format demands.
    #[error("{path}: not {format} file: expected it to begin with {expected}, found {found}")]
    Magic {
        /// The file.
        path: PathBuf,
        /// The format, with its article.
        format: &'static str,
        /// The bytes that were expected.
        expected: &'static str,
        /// The bytes that were found.
        found: String,
    },
    /// The elements have a type that is not accepted here.
    #[error("{path}: expected elements of type {expected}, found {found}; convert the file")]
    ElementType {
        /// The file.
        path: PathBuf,
        /// The accepted types.
        expected: &'static str,
        /// The type in the file.
        found: String,
    },
    /// The array has a number of dimensions that is not accepted here.
    #[error("{path}: expected {expected}, found {found} dimension(s)")]
    Rank {
        /// The file.
        path: PathBuf,
        /// The accepted ranks, and what they mean.
        expected: &'static str,
        /// The rank in the file.
        found: usize,
    },
    /// The header of the file cannot be understood.
    #[error("{path}: the header cannot be read: {reason}")]
    Header {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file ends before its data does.
    #[error(
        "{path}: truncated: expected {expected} bytes for {what}, found {found}; \
         fetch or write the file again"
    )]
    Truncated {
        /// The file.
        path: PathBuf,
        /// What the bytes are.
        what: String,
        /// Bytes that should follow.
        expected: u64,
        /// Bytes that do.
        found: u64,
    },
    /// The file goes on after its data.
    #[error(
        "{path}: expected the file to end after {expected} bytes for {what}, but more follow; \
         the shape in the header does not belong to this data"
    )]
    Trailing {
        /// The file.
        path: PathBuf,
        /// What the bytes are.
        what: String,
        /// Bytes that should follow.
        expected: u64,
    },
    /// The file claims, or has, more data than can be meant.
    #[error(
        "{path}: {what} is more than the limit of {limit}; \
         if the header is right, split the file or keep fewer samples"
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// What was claimed or found.
        what: String,
        /// The limit.
        limit: u64,
    },
    /// There is no sample, or a sample without elements.
    #[error("{path}: there is nothing to train on: {what}")]
    Empty {
        /// The file.
        path: PathBuf,
        /// What is empty.
        what: String,
    },
    /// Two files that belong together have different numbers of samples.
    #[error(
        "{path}: expected one label for each of the {samples} samples of {samples_path}, \
         found {labels}; the two files do not belong together"
    )]
    CountsDiffer {
        /// The file with the labels or targets.
        path: PathBuf,
        /// How many it has.
        labels: usize,
        /// The file with the samples.
        samples_path: PathBuf,
        /// How many it has.
        samples: usize,
    },
    /// The samples of the test files have another shape than those of the training files.
    #[error("{path}: expected samples of {expected} as in the training files, found {found}")]
    ShapesDiffer {
        /// The test file.
        path: PathBuf,
        /// Shape of a training sample.
        expected: String,
        /// Shape of a test sample.
        found: String,
    },
    /// A label outside the classes.
    #[error("{path}: label {label} of sample {index} is out of range: expected 0..={largest}")]
    LabelRange {
        /// The file.
        path: PathBuf,
        /// Which sample, from 0.
        index: usize,
        /// Its label.
        label: i64,
        /// The largest label allowed.
        largest: usize,
    },
    /// So many different labels that they are hardly classes.
    #[error(
        "{path}: found {found} different labels, expected at most {limit}; \
         if they are quantities, name them under `targets` and use a mean squared error loss"
    )]
    TooManyClasses {
        /// The file.
        path: PathBuf,
        /// Different labels.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// An array stored column by column.
    #[error(
        "{path}: the array is in Fortran order, expected C order (one sample after the other); \
         save it with numpy.save(FILE, numpy.ascontiguousarray(ARRAY))"
    )]
    FortranOrder {
        /// The file.
        path: PathBuf,
    },
    /// A cell or line of a CSV file is wrong.
    #[error("{path}: line {line}{column}: {message}")]
    Csv {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// `, column N ("name")`, or nothing when the whole line is meant.
        column: String,
        /// What was expected, what was found, what to do.
        message: String,
    },
    /// A number that cannot become a mantissa: not finite, or too large.
    #[error(
        "{path}: element {element} of sample {sample} is {value:e}: \
         expected a finite number below 2^{largest} in magnitude"
    )]
    Unrepresentable {
        /// The file.
        path: PathBuf,
        /// Which sample, from 0.
        sample: usize,
        /// Which element of it, from 0.
        element: usize,
        /// The value.
        value: f64,
        /// Magnitudes from two to this power on cannot be held.
        largest: i32,
    },
    /// The parts of the split do not fit the number of samples.
    #[error(
        "{path}: cannot set aside {validation} samples for validation and {test} for test \
         of {total}: at least one must be left to train on; lower `validation` or `test`"
    )]
    Split {
        /// The data.
        path: PathBuf,
        /// Samples there are to divide.
        total: usize,
        /// Samples asked for.
        validation: usize,
        /// Samples asked for.
        test: usize,
    },
    /// The `data:` section contradicts itself or the file.
    #[error("{path}: data.{key}: {message}")]
    Setting {
        /// The data that the section is about.
        path: PathBuf,
        /// The key of the section.
        key: &'static str,
        /// What was expected, what was found, what to do.
        message: String,
    },
}
