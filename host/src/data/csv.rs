//! Tables of numbers: one sample a line, with a label column or target columns.

use std::path::Path;

use ::csv::{ReaderBuilder, StringRecord, Trim};

use super::config::{Column, CsvConfig};
use super::file::{DataFile, MAX_BYTES, show_shape, stem};
use super::{DataError, Dataset, SearchPath, Split, fixed, labels, sample_shape};

pub(crate) fn load(config: &CsvConfig, places: &SearchPath) -> Result<Dataset, DataError> {
    let path = &places.file(&config.file)?;
    let text = read_text(path)?;
    let table = Table::read(path, &text, config)?;
    let width = table.count(Role::Feature);
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
        let width = table.count(Role::Target);
        fixed::from_numbers(path, &table.targets, width, 0)?.into_targets(width)
    };
    let total = table.features.len() / width;
    Ok(Dataset {
        name: stem(path),
        shape,
        samples: features.into_samples(),
        targets,
        split: Split::shuffled(path, total, config.validation, config.test)?,
    })
}

/// What a column is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Feature,
    Label,
    Target,
    Ignored,
}

struct Table<'a> {
    path: &'a Path,
    text: &'a str,
    names: Option<StringRecord>,
    roles: Vec<Role>,
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
        let mut table = Self::with_columns(path, text, config, &record)?;
        if table.names.is_none() {
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

    /// Gives every column of the first line its role, and tells whether that line is a header.
    fn with_columns(
        path: &'a Path,
        text: &'a str,
        config: &CsvConfig,
        first: &StringRecord,
    ) -> Result<Self, DataError> {
        let mut roles = vec![Role::Feature; first.len()];
        let last = Column::Index(first.len() - 1);
        let label = match (&config.label, config.targets.is_empty()) {
            (Some(_), false) => {
                let message = "expected either `label` or `targets`, found both";
                return Err(setting(path, "targets", message.into()));
            }
            (None, false) => None,
            (Some(label), true) => Some(label),
            (None, true) => Some(&last),
        };
        let named = label.map(|column| ("label", column, Role::Label)).into_iter();
        let named = named
            .chain(config.targets.iter().map(|column| ("targets", column, Role::Target)))
            .chain(config.ignore.iter().map(|column| ("ignore", column, Role::Ignored)));
        let mut by_name = false;
        for (key, column, role) in named {
            by_name |= matches!(column, Column::Name(_));
            let at = find_column(path, key, column, first)?;
            if roles[at] != Role::Feature {
                let message = format!("column {} has a use already", show_column(column));
                return Err(setting(path, key, message));
            }
            roles[at] = role;
        }
        if !roles.contains(&Role::Feature) {
            let message = "no column is left as a feature".into();
            return Err(setting(path, "file", message));
        }
        let header = match config.header {
            Some(false) if by_name => {
                let message = "columns are given by name, so the first line must name them; \
                               remove `header: false` or give indices";
                return Err(setting(path, "header", message.into()));
            }
            Some(header) => header,
            None => by_name || is_header(first, &roles),
        };
        let names = header.then(|| first.clone());
        let (features, targets, labels) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { path, text, names, roles, features, targets, labels })
    }

    fn count(&self, role: Role) -> usize {
        self.roles.iter().filter(|&&other| other == role).count()
    }

    fn push(&mut self, record: &StringRecord) -> Result<(), DataError> {
        if record.len() != self.roles.len() {
            let (expected, found) = (self.roles.len(), record.len());
            let message = format!("expected {expected} cells as in the first line, found {found}");
            return Err(self.error(record, None, message));
        }
        for (at, cell) in record.iter().enumerate() {
            match self.roles[at] {
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
                let remedy = if first && self.names.is_none() {
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
        let column = at.map_or(String::new(), |at| {
            match self.names.as_ref().and_then(|names| names.get(at)) {
                Some(name) if !name.is_empty() => format!(", column `{name}`"),
                _ => format!(", column {at} (counting from 0)"),
            }
        });
        let start = record.position().map_or(0, |position| position.byte() as usize);
        let line = line_at(self.text, start);
        DataError::Csv { path: self.path.to_owned(), line, column, message }
    }
}

/// A line is taken for a header when none of its feature and target cells is a number. With some
/// numbers in it, it is a sample with a fault, and reading it says which cell.
fn is_header(first: &StringRecord, roles: &[Role]) -> bool {
    let mut cells = first
        .iter()
        .zip(roles)
        .filter(|(_, role)| matches!(role, Role::Feature | Role::Target))
        .map(|(cell, _)| cell);
    cells.all(|cell| cell.parse::<f64>().is_err())
}

fn find_column(
    path: &Path,
    key: &'static str,
    column: &Column,
    first: &StringRecord,
) -> Result<usize, DataError> {
    match column {
        Column::Index(at) if *at < first.len() => Ok(*at),
        Column::Index(at) => {
            let message =
                format!("expected a column index from 0 to {}, found {at}", first.len() - 1);
            Err(setting(path, key, message))
        }
        Column::Name(name) => first.iter().position(|cell| cell == name).ok_or_else(|| {
            let names = first.iter().collect::<Vec<_>>().join(", ");
            setting(path, key, format!("no column `{name}`; the first line has: {names}"))
        }),
    }
}

fn show_column(column: &Column) -> String {
    match column {
        Column::Index(at) => format!("{at} (counting from 0)"),
        Column::Name(name) => format!("`{name}`"),
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

    use super::super::file::tests::{folder, gzip};
    use super::super::{Mantissas, Part, Targets};
    use super::*;

    fn config() -> CsvConfig {
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

    fn load_bytes(bytes: &[u8], config: &CsvConfig) -> Result<Dataset, DataError> {
        let folder = folder(&[("x.csv", bytes)]);
        load(config, &SearchPath::new(Some(folder.path()), None, None))
    }

    /// The error's text without the path.
    fn error(text: &str, config: &CsvConfig) -> String {
        let error = load_bytes(text.as_bytes(), config).unwrap_err().to_string();
        error.split_once("x.csv: ").unwrap().1.to_owned()
    }

    fn name(name: &str) -> Column {
        Column::Name(name.into())
    }

    fn values(set: &Dataset) -> Vec<f64> {
        let Mantissas::I16(mantissas) = &set.samples.mantissas else { panic!("expected i16") };
        let step = f64::from(set.samples.exponent).exp2();
        mantissas.iter().map(|&m| f64::from(m) * step).collect()
    }

    const PETS: &str = "weight,kind,tail\n4.5,cat,30\n20,dog,-35\n";

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
    fn a_header_is_recognised_or_declared() {
        let years = "2023,2024,class\n1,2,a\n";
        assert_eq!(load_bytes(years.as_bytes(), &config()).unwrap().len(), 2);
        let declared = CsvConfig { header: Some(true), ..config() };
        assert_eq!(load_bytes(years.as_bytes(), &declared).unwrap().len(), 1);
        let recognised = load_bytes(b"x,y,class\n1,2,a\n", &config()).unwrap();
        assert_eq!(recognised.len(), 1);
        let denied = CsvConfig { header: Some(false), ..config() };
        assert!(error("x,y,class\n1,2,a\n", &denied).starts_with("line 1, column 0"));
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
    fn settings_that_do_not_fit_the_file_are_errors() {
        let check = |config: CsvConfig, message: &str| assert_eq!(error(PETS, &config), message);
        let label = Some(name("kind"));
        check(
            CsvConfig { label: Some(name("kin")), ..config() },
            "data.label: no column `kin`; the first line has: weight, kind, tail",
        );
        check(
            CsvConfig { label: Some(Column::Index(3)), ..config() },
            "data.label: expected a column index from 0 to 2, found 3",
        );
        check(
            CsvConfig { label: label.clone(), targets: vec![name("tail")], ..config() },
            "data.targets: expected either `label` or `targets`, found both",
        );
        check(
            CsvConfig { label: label.clone(), ignore: vec![Column::Index(1)], ..config() },
            "data.ignore: column 1 (counting from 0) has a use already",
        );
        check(
            CsvConfig { label: label.clone(), header: Some(false), ..config() },
            "data.header: columns are given by name, so the first line must name them; remove \
             `header: false` or give indices",
        );
        check(
            CsvConfig { label: label.clone(), shape: Some([1, 28, 28]), ..config() },
            "data.shape: 1x28x28 does not have the 2 elements of the feature columns",
        );
        check(
            CsvConfig { label: label.clone(), delimiter: '\n', ..config() },
            "data.delimiter: expected one ASCII character that is neither a quote nor a line \
             end, found '\\n'",
        );
        check(
            CsvConfig { label, scale_exponent: Some(-128), ..config() },
            "data.scale_exponent: -128 brings the exponent of the data from -9 to -137, expected \
             it to end within -64 to 63",
        );
        check(
            CsvConfig { ignore: vec![name("weight"), name("kind")], ..config() },
            "data.file: no column is left as a feature",
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
