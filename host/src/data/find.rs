//! Where data is looked for.

use std::env;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::DataError;

/// The environment variable that names the folder with the data sets.
pub const DATA_VARIABLE: &str = "FIXGRAD_DATA";

/// The places where a relative path from a configuration is looked up, in this order: `--data`,
/// `FIXGRAD_DATA`, the folder of the configuration file, `./data`.
///
/// The first two are said on purpose and may also name the folder of the data set itself: with
/// `dir: mnist`, both `--data sets` and `--data sets/mnist` find `sets/mnist`.
#[derive(Clone, Debug)]
pub struct SearchPath {
    places: Vec<Place>,
}

#[derive(Clone, Debug)]
struct Place {
    label: &'static str,
    folder: Option<PathBuf>,
    may_be_the_data: bool,
}

impl SearchPath {
    /// The places for a command with this `--data` flag and this configuration file.
    pub fn from_env(data_flag: Option<&Path>, config_file: Option<&Path>) -> Self {
        Self::new(data_flag, env::var_os(DATA_VARIABLE), config_file)
    }

    /// As [`SearchPath::from_env`], with the value of the environment variable given.
    pub fn new(
        data_flag: Option<&Path>,
        variable: Option<OsString>,
        config_file: Option<&Path>,
    ) -> Self {
        let variable = variable.filter(|value| !value.is_empty()).map(PathBuf::from);
        let place = |label, folder, may_be_the_data| Place { label, folder, may_be_the_data };
        Self {
            places: vec![
                place("--data", data_flag.map(Path::to_owned), true),
                place(DATA_VARIABLE, variable, true),
                place("the configuration's folder", config_file.and_then(folder_of), false),
                place("the working folder", Some(PathBuf::from("data")), false),
            ],
        }
    }

    /// The first place that has the file `wanted`.
    pub(crate) fn file(&self, wanted: &Path) -> Result<PathBuf, DataError> {
        self.find(wanted, "a file of that name", |path| {
            let itself = path.file_name() == wanted.file_name();
            itself && path.is_file()
        })
    }

    /// The first place at which `wanted` is something that `accept` takes; `expected` says in an
    /// error what that is.
    pub(crate) fn find(
        &self,
        wanted: &Path,
        expected: &str,
        accept: impl Fn(&Path) -> bool,
    ) -> Result<PathBuf, DataError> {
        let mut places = String::new();
        let mut look = |label: &str, candidate: PathBuf| {
            let accepted = accept(&candidate);
            // Writing to a `String` cannot fail.
            let _ = writeln!(places, "  {label}: {}", candidate.display());
            accepted.then_some(candidate)
        };
        if wanted.is_absolute() {
            if let Some(found) = look("absolute path", wanted.to_owned()) {
                return Ok(found);
            }
        } else {
            for Place { label, folder, may_be_the_data } in &self.places {
                let Some(folder) = folder else { continue };
                if let Some(found) = look(label, folder.join(wanted)) {
                    return Ok(found);
                }
                if *may_be_the_data && let Some(found) = look(label, folder.clone()) {
                    return Ok(found);
                }
            }
        }
        Err(DataError::NotFound { path: wanted.to_owned(), places, expected: expected.to_owned() })
    }
}

/// `parent` of a bare file name is the empty path, which joins to the same as the working folder.
fn folder_of(file: &Path) -> Option<PathBuf> {
    file.parent().map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::super::file::tests::folder;
    use super::*;

    fn has_marker(path: &Path) -> bool {
        path.join("marker").is_file()
    }

    #[test]
    fn the_flag_wins_over_the_variable_and_that_over_the_config() {
        let (a, b, c) = (
            folder(&[("x.csv", b"")]),
            folder(&[("x.csv", b"")]),
            folder(&[("x.csv", b""), ("net.yaml", b"")]),
        );
        let variable = || Some(b.path().as_os_str().to_owned());
        let config = c.path().join("net.yaml");
        let wanted = Path::new("x.csv");
        let found = |search: SearchPath| search.file(wanted).unwrap();
        assert_eq!(
            found(SearchPath::new(Some(a.path()), variable(), Some(&config))),
            a.path().join("x.csv")
        );
        assert_eq!(found(SearchPath::new(None, variable(), Some(&config))), b.path().join("x.csv"));
        assert_eq!(found(SearchPath::new(None, None, Some(&config))), c.path().join("x.csv"));
        assert_eq!(
            found(SearchPath::new(None, Some(OsString::new()), Some(&config))),
            c.path().join("x.csv")
        );
    }

    #[test]
    fn the_flag_may_name_the_folder_or_file_itself() {
        let sets = folder(&[]);
        let mnist = sets.path().join("mnist");
        std::fs::create_dir(&mnist).unwrap();
        std::fs::write(mnist.join("marker"), "").unwrap();
        for flag in [sets.path(), &mnist] {
            let search = SearchPath::new(Some(flag), None, None);
            assert_eq!(search.find(Path::new("mnist"), "a marker", has_marker).unwrap(), mnist);
        }
        let search = SearchPath::new(Some(&mnist.join("marker")), None, None);
        assert_eq!(search.file(Path::new("marker")).unwrap(), mnist.join("marker"));
        assert!(search.file(Path::new("other")).is_err());
    }

    #[test]
    fn an_absolute_path_is_taken_as_it_is() {
        let set = folder(&[("x.csv", b"")]);
        let search = SearchPath::new(None, None, None);
        assert_eq!(search.file(&set.path().join("x.csv")).unwrap(), set.path().join("x.csv"));
        let error = search.file(&set.path().join("y.csv")).unwrap_err().to_string();
        assert!(error.contains("absolute path: "), "{error}");
    }

    #[test]
    fn the_error_lists_the_places() {
        let search = SearchPath::new(
            Some(Path::new("sets")),
            Some("elsewhere".into()),
            Some(Path::new("configs/net.yaml")),
        );
        let error = search.find(Path::new("no-such"), "a marker", has_marker).unwrap_err();
        assert_eq!(
            error.to_string().replace('\\', "/"),
            "data `no-such` was not found. Looked in:\n  \
               --data: sets/no-such\n  \
               --data: sets\n  \
               FIXGRAD_DATA: elsewhere/no-such\n  \
               FIXGRAD_DATA: elsewhere\n  \
               the configuration's folder: configs/no-such\n  \
               the working folder: data/no-such\n\
             expected a marker; say where it is with --data DIR or the environment variable \
             FIXGRAD_DATA"
        );
    }
}
