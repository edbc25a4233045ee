//! Tables of numbers: one sample a line, with a label column or target columns.

mod columns;

use std::path::Path;

use ::csv::{ReaderBuilder, StringRecord, Trim};

use self::columns::{Columns, Role};
use super::config::CsvConfig;
use super::file::{DataFile, MAX_BYTES, show_shape, stem};
use super::{DataError, Dataset, SearchPath, Split, fixed, labels, sample_shape};

pub(crate) fn load(config: &CsvConfig, places: &SearchPath) -> Result<Dataset, DataError> {
    let path = &places.file(&config.file)?;
    let text = read_text(path)?;
    let table = Table::read(path, &text, config)?;
    let width = table.columns.count(Role::Feature);
    let shape = config.shape.unwrap_or(sample_shape(&[width]));
    if shape.iter().try_fold(1_usize, |product, &dim| product.checked_mul(dim)) != Some(width) {
        let shape = show_shape(&shape);
        let message = format!("{shape} does not have the {width} elements of the feature columns");
        return Err(setting(path, "shape", message));
    }
    let features =
        fixed::from_numbers(path, &table.features, width, config.scale_exponent.unwrap_or(0))?;
    let targets = if config.targets.is_empty() {
        labels::from_words(path, &table.labels)?
    } else {
        let width = table.columns.count(Role::Target);
        fixed::from_numbers(path, &table.targets, width, 0)?.into_targets(width)
    };
    let total = table.features.len() / width;
    let mut samples = features.into_samples();
    samples.mantissas.channels_last(shape);
    Ok(Dataset {
        name: stem(path),
        shape,
        samples,
        targets,
        split: Split::shuffled(path, total, config.validation, config.test)?,
        augment: None,
    })
}

/// The cells of a file, by the use of their columns.
struct Table<'a> {
    path: &'a Path,
    text: &'a str,
    columns: Columns,
    features: Vec<f64>,
    targets: Vec<f64>,
    labels: Vec<String>,
}

impl<'a> Table<'a> {
    fn read(path: &'a Path, text: &'a str, config: &CsvConfig) -> Result<Self, DataError> {
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            // Lines of another length get an error of ours, which names the line as an editor does.
            .flexible(true)
            .trim(Trim::All)
            .delimiter(delimiter(path, config.delimiter)?)
            .from_reader(text.as_bytes());
        let mut record = StringRecord::new();
        let mut next = |record: &mut StringRecord| {
            reader.read_record(record).map_err(|error| csv_error(path, 1, error.to_string()))
        };
        let empty = |what: &str| DataError::Empty { path: path.to_owned(), what: what.into() };
        if !next(&mut record)? {
            return Err(empty("the file has no lines"));
        }
        let columns = Columns::new(path, config, &record)?;
        let (features, targets, labels) = (Vec::new(), Vec::new(), Vec::new());
        let mut table = Self { path, text, columns, features, targets, labels };
        if table.columns.names.is_none() {
            table.push(&record)?;
        }
        while next(&mut record)? {
            table.push(&record)?;
        }
        if table.features.is_empty() {
            return Err(empty("the file has a header line only"));
        }
        Ok(table)
    }

    fn push(&mut self, record: &StringRecord) -> Result<(), DataError> {
        if record.len() != self.columns.roles.len() {
            let (expected, found) = (self.columns.roles.len(), record.len());
            let message = format!("expected {expected} cells as in the first line, found {found}");
            return Err(self.error(record, None, message));
        }
        for (at, cell) in record.iter().enumerate() {
            match self.columns.roles[at] {
                Role::Feature => self.features.push(self.number(record, at, cell)?),
                Role::Target => self.targets.push(self.number(record, at, cell)?),
                Role::Label if cell.is_empty() => {
                    let message = "expected a class, found an empty cell".into();
                    return Err(self.error(record, Some(at), message));
                }
                Role::Label => self.labels.push(cell.to_owned()),
                Role::Ignored => {}
            }
        }
        Ok(())
    }

    fn number(&self, record: &StringRecord, at: usize, cell: &str) -> Result<f64, DataError> {
        match cell.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(number),
            Ok(_) => {
                let message = format!(
                    "expected a finite number, found `{cell}`; fill in or leave out missing values"
                );
                Err(self.error(record, Some(at), message))
            }
            Err(_) => {
                let first = record.position().is_none_or(|position| position.record() == 0);
                let remedy = if first && self.columns.names.is_none() {
                    "; if the first line names the columns, say `header: true`"
                } else {
                    "; correct it, or list the column under `ignore`"
                };
                let message = format!("expected a number, found `{cell}`{remedy}");
                Err(self.error(record, Some(at), message))
            }
        }
    }

    fn error(&self, record: &StringRecord, at: Option<usize>, message: String) -> DataError {
        let column = at.map_or(String::new(), |at| format!(", {}", self.columns.show(at)));
        let start = record.position().map_or(0, |position| position.byte() as usize);
        let line = line_at(self.text, start);
        DataError::Csv { path: self.path.to_owned(), line, column, message }
    }
}

fn delimiter(path: &Path, delimiter: char) -> Result<u8, DataError> {
    match u8::try_from(delimiter) {
        Ok(byte) if byte.is_ascii() && !b"\"\r\n".contains(&byte) => Ok(byte),
        _ => {
            let message = format!(
                "expected one ASCII character that is neither a quote nor a line end, \
                 found {delimiter:?}"
            );
            Err(setting(path, "delimiter", message))
        }
    }
}

fn setting(path: &Path, key: &'static str, message: String) -> DataError {
    DataError::Setting { path: path.to_owned(), key, message }
}

/// The whole file, without a byte order mark. The numbers in it take more memory than their text.
fn read_text(path: &Path) -> Result<String, DataError> {
    let bytes = DataFile::open(path)?.read_up_to(MAX_BYTES + 1)?;
    if bytes.len() as u64 > MAX_BYTES {
        let (path, what) = (path.to_owned(), "the text of the table".to_owned());
        return Err(DataError::TooLarge { path, what, limit: MAX_BYTES });
    }
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let before = &error.as_bytes()[..valid];
        let message = "expected UTF-8 text, found other bytes; save the file as UTF-8";
        let line = before.iter().filter(|&&byte| byte == b'\n').count() as u64 + 1;
        csv_error(path, line, message.into())
    })?;
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    Ok(text)
}

/// The number of the line that begins at or after byte `start`. The parser counts a record from
/// the end of the one before it, so blank lines and the second half of a CRLF are still ahead.
fn line_at(text: &str, start: usize) -> u64 {
    let blank = text.bytes().skip(start).take_while(|byte| b"\r\n".contains(byte)).count();
    let before = text.bytes().take(start + blank);
    before.filter(|&byte| byte == b'\n').count() as u64 + 1
}

fn csv_error(path: &Path, line: u64, message: String) -> DataError {
    DataError::Csv { path: path.to_owned(), line, column: String::new(), message }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::config::Column;
    use super::super::file::tests::{folder, gzip};
    use super::super::{Mantissas, Part, Targets};
    use super::*;

    pub(super) fn config() -> CsvConfig {
        CsvConfig {
            file: "x.csv".into(),
            label: None,
            targets: vec![],
            ignore: vec![],
            header: None,
            delimiter: ',',
            shape: None,
            scale_exponent: None,
            validation: Part::Count(0),
            test: Part::Count(0),
        }
    }

    pub(super) fn load_bytes(bytes: &[u8], config: &CsvConfig) -> Result<Dataset, DataError> {
        let folder = folder(&[("x.csv", bytes)]);
        load(config, &SearchPath::new(Some(folder.path()), None, None))
    }

    /// The error's text without the path.
    pub(super) fn error(text: &str, config: &CsvConfig) -> String {
        let error = load_bytes(text.as_bytes(), config).unwrap_err().to_string();
        error.split_once("x.csv: ").unwrap().1.to_owned()
    }

    pub(super) fn name(name: &str) -> Column {
        Column::Name(name.into())
    }

    fn values(set: &Dataset) -> Vec<f64> {
        let Mantissas::I16(mantissas) = &set.samples.mantissas else { panic!("expected i16") };
        let step = f64::from(set.samples.exponent).exp2();
        mantissas.iter().map(|&m| f64::from(m) * step).collect()
    }

    pub(super) const PETS: &str = "weight,kind,tail\n4.5,cat,30\n20,dog,-35\n";

    #[test]
    fn a_label_column_by_name_by_index_or_last() {
        let by_name = CsvConfig { label: Some(name("kind")), ..config() };
        let by_index = CsvConfig { label: Some(Column::Index(1)), ..config() };
        for config in [by_name, by_index] {
            let set = load_bytes(PETS.as_bytes(), &config).unwrap();
            assert_eq!((set.name.as_str(), set.shape, set.len()), ("x", [2, 1, 1], 2));
            assert_eq!(values(&set), [4.5, 30.0, 20.0, -35.0]);
            let names = vec!["cat".into(), "dog".into()];
            assert_eq!(set.targets, Targets::Classes { labels: vec![0, 1], names });
        }
        let set = load_bytes(b"1;2;b\n3;4;a\n", &CsvConfig { delimiter: ';', ..config() }).unwrap();
        assert_eq!(values(&set), [1.0, 2.0, 3.0, 4.0]);
        let names = vec!["a".into(), "b".into()];
        assert_eq!(set.targets, Targets::Classes { labels: vec![1, 0], names });
    }

    #[test]
    fn target_columns_and_ignored_columns() {
        let config = CsvConfig {
            targets: vec![name("tail"), name("weight")],
            ignore: vec![name("kind")],
            ..config()
        };
        let text = "kind,weight,age,tail\ncat,4.5,3,30\ndog,20,7,-35\n";
        let set = load_bytes(text.as_bytes(), &config).unwrap();
        assert_eq!(values(&set), [3.0, 7.0]);
        let Targets::Values { mantissas, exponent, width, rounding_error } = set.targets else {
            panic!("expected values")
        };
        // In the order of the file, not of the configuration.
        assert_eq!(mantissas, [4608, 30720, 20480, -35840].map(|m: i32| (m / 2) as i16));
        assert_eq!((exponent, width, rounding_error), (-9, 2, 0.0));
    }

    #[test]
    fn gzip_a_byte_order_mark_and_a_scale_are_understood() {
        let text = format!("\u{feff}{PETS}");
        let config = CsvConfig {
            label: Some(name("kind")),
            targets: vec![],
            scale_exponent: Some(-1),
            shape: Some([1, 1, 2]),
            ..config()
        };
        let set = load_bytes(&gzip(text.as_bytes()), &config).unwrap();
        assert_eq!(values(&set), [2.25, 15.0, 10.0, -17.5]);
        assert_eq!(set.shape, [1, 1, 2]);
        let ignore = CsvConfig { ignore: vec![name("weight")], ..config };
        assert!(load_bytes(text.as_bytes(), &ignore).is_err(), "the shape no longer fits");
        let ignore = CsvConfig { shape: None, ..ignore };
        assert_eq!(values(&load_bytes(text.as_bytes(), &ignore).unwrap()), [15.0, -17.5]);
    }

    #[test]
    fn columns_of_several_channels_are_planes() {
        let config = CsvConfig { shape: Some([2, 1, 2]), ..config() };
        let set = load_bytes(b"1,2,10,20,a\n3,4,30,40,b\n", &config).unwrap();
        assert_eq!(values(&set), [1.0, 10.0, 2.0, 20.0, 3.0, 30.0, 4.0, 40.0]);
    }

    #[test]
    fn errors_name_line_and_column() {
        let by_name = CsvConfig { label: Some(name("kind")), ..config() };
        assert_eq!(
            error("weight,kind,tail\n4.5,cat,30\n\n20,dog,long\n", &by_name),
            "line 4, column `tail`: expected a number, found `long`; correct it, or list the \
             column under `ignore`"
        );
        let after_blank_lines = error("\r\n1,2,a\r\n\r\n3,4,b\r\n5,x,c", &config());
        assert!(after_blank_lines.starts_with("line 5, column 1 "), "{after_blank_lines}");
        assert_eq!(
            error("1,x,a\n", &config()),
            "line 1, column 1 (counting from 0): expected a number, found `x`; if the first line \
             names the columns, say `header: true`"
        );
        assert_eq!(
            error("1,2,a\n3,b\n", &config()),
            "line 2: expected 3 cells as in the first line, found 2"
        );
        assert_eq!(
            error("1,nan,a\n", &config()),
            "line 1, column 1 (counting from 0): expected a finite number, found `nan`; fill in \
             or leave out missing values"
        );
        assert_eq!(
            error("1,2,\n", &config()),
            "line 1, column 2 (counting from 0): expected a class, found an empty cell"
        );
        assert_eq!(
            error("1,1e99,a\n", &config()),
            "element 1 of sample 0 is 1e99: expected a finite number below 2^78 in magnitude"
        );
    }

    #[test]
    fn empty_and_damaged_files_are_errors() {
        assert_eq!(error("", &config()), "there is nothing to train on: the file has no lines");
        assert_eq!(
            error("a,b\n", &config()),
            "there is nothing to train on: the file has a header line only"
        );
        let latin1 = load_bytes(b"1,2,a\n3,4,\xe9\n", &config()).unwrap_err();
        assert!(matches!(latin1, DataError::Csv { line: 2, .. }), "{latin1}");
        let packed = gzip(PETS.repeat(50).as_bytes());
        for end in 2..packed.len() {
            let error = load_bytes(&packed[..end], &config()).unwrap_err();
            assert!(matches!(error, DataError::Gzip { .. }), "{error}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            rows in prop::collection::vec((prop::collection::vec(-32767_i16..=32767, 3), 0_u8..4), 1..20)
        ) {
            let text: String = rows
                .iter()
                .map(|(row, label)| format!("{},{},{},class {label}\n", row[0], row[1], row[2]))
                .collect();
            let set = load_bytes(text.as_bytes(), &config()).unwrap();
            let expected: Vec<f64> = rows.iter().flat_map(|(row, _)| row).map(|&x| x.into()).collect();
            prop_assert_eq!(values(&set), expected);
            let Targets::Classes { labels, names } = set.targets else { panic!("expected classes") };
            for ((_, label), class) in rows.iter().zip(labels) {
                prop_assert_eq!(&names[usize::from(class)], &format!("class {label}"));
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in "([0-9a\",;. -]|\n){0,60}") {
            let _ = load_bytes(text.as_bytes(), &config());
        }
    }
}
