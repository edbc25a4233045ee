//! Which column of a table is used for what, and what it is called.

use std::path::Path;

use ::csv::StringRecord;

use super::super::DataError;
use super::super::config::{Column, CsvConfig};
use super::setting;

/// What a column is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Feature,
    Label,
    Target,
    Ignored,
}

/// The columns of a table.
pub(super) struct Columns {
    pub(super) roles: Vec<Role>,
    /// The header line, when there is one.
    pub(super) names: Option<StringRecord>,
}

impl Columns {
    /// Gives every column of the first line its role, and tells whether that line is a header.
    pub(super) fn new(
        path: &Path,
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
        Ok(Self { roles, names })
    }

    /// How many columns have this role.
    pub(super) fn count(&self, role: Role) -> usize {
        self.roles.iter().filter(|&&other| other == role).count()
    }

    /// The column at this index, for an error.
    pub(super) fn show(&self, at: usize) -> String {
        match self.names.as_ref().and_then(|names| names.get(at)) {
            Some(name) if !name.is_empty() => format!("column `{name}`"),
            _ => format!("column {at} (counting from 0)"),
        }
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

#[cfg(test)]
mod tests {
    use super::super::tests::{PETS, config, error, load_bytes, name};
    use super::*;

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
}
