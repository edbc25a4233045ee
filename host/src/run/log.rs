//! Reading and writing the run log: one JSON record a line.
//!
//! Lines are appended as things happen: a run that is cut off leaves a log that is readable up
//! to the cut.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::record::Record;

/// Why a run log could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file could not be opened or read.
    #[error("cannot read the run log {}: {source}", path.display())]
    Io {
        /// The log.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line is no record.
    #[error(
        "{}, line {line}: expected one JSON record, found: {reason}. \
         Remove the line, or train again",
        path.display()
    )]
    Damaged {
        /// The log.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What the JSON reader said.
        reason: String,
    },
    /// The last line was cut off while it was written.
    #[error(
        "{}, line {line}: the last line is cut off, so the run was interrupted. \
         Continue it with `fixgrad train --resume` and the run's folder",
        path.display()
    )]
    Torn {
        /// The log.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
}

/// What to do with a last line that was cut off while it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TornTail {
    /// It is an error: the log should be that of a finished run.
    Refuse,
    /// Leave the line out: the run was interrupted, and that is expected.
    Drop,
}

/// Reads a whole run log.
pub fn read_log(path: &Path, torn: TornTail) -> Result<Vec<Record>, LogError> {
    let bytes =
        std::fs::read(path).map_err(|source| LogError::Io { path: path.to_owned(), source })?;
    parse_log(path, &bytes, torn)
}

fn parse_log(path: &Path, bytes: &[u8], torn: TornTail) -> Result<Vec<Record>, LogError> {
    let mut records = Vec::new();
    for (i, line) in bytes.split_inclusive(|&b| b == b'\n').enumerate() {
        let line_number = i + 1;
        if line.trim_ascii().is_empty() {
            continue;
        }
        match serde_json::from_slice(line) {
            Ok(record) => records.push(record),
            // Only the last line can lack its line end, and `LogWriter` always writes one.
            Err(_) if !line.ends_with(b"\n") => match torn {
                TornTail::Drop => break,
                TornTail::Refuse => {
                    return Err(LogError::Torn { path: path.to_owned(), line: line_number });
                }
            },
            Err(error) => {
                return Err(LogError::Damaged {
                    path: path.to_owned(),
                    line: line_number,
                    reason: reason(&error),
                });
            }
        }
    }
    Ok(records)
}

/// serde_json counts lines within the one line that it was given; that number would mislead.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((what, _)) => format!("{what} at column {}", error.column()),
        None => text,
    }
}

/// Appends records to a run log, each complete on disk before the next one is begun.
#[derive(Debug)]
pub struct LogWriter {
    file: File,
}

impl LogWriter {
    /// Begins a log that holds `kept`: nothing for a new run, the records up to the checkpoint
    /// for one that continues. Replaces an older log of that name only when all is written.
    pub fn create(path: &Path, kept: &[Record]) -> io::Result<Self> {
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let mut temporary = crate::files::temporary_in(folder)?;
        for record in kept {
            temporary.write_all(&line(record)?)?;
        }
        let file = temporary.persist(path)?;
        Ok(Self { file })
    }

    /// Appends one line.
    pub fn push(&mut self, record: &Record) -> io::Result<()> {
        // One write, so that a cut leaves at most one torn line, the last.
        self.file.write_all(&line(record)?)
    }
}

fn line(record: &Record) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(record)?;
    line.push(b'\n');
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::record::{End, Test};

    fn end() -> Record {
        Record::End(End {
            train_seconds: 1.5,
            samples_per_second: 1e5,
            weights_sha256: "ab12".to_owned(),
        })
    }

    fn test_record() -> Record {
        Record::Test(Test { accuracy: 0.5, loss: 0.25, confusion: vec![vec![1]], wrong: vec![] })
    }

    fn parse(text: &str, torn: TornTail) -> Result<Vec<Record>, LogError> {
        parse_log(Path::new("metrics.jsonl"), text.as_bytes(), torn)
    }

    #[test]
    fn a_log_is_written_continued_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let mut log = LogWriter::create(&path, &[]).unwrap();
        log.push(&test_record()).unwrap();
        log.push(&end()).unwrap();
        drop(log);
        let records = read_log(&path, TornTail::Refuse).unwrap();
        assert_eq!(records, [test_record(), end()]);

        let mut log = LogWriter::create(&path, &records[..1]).unwrap();
        log.push(&end()).unwrap();
        drop(log);
        assert_eq!(read_log(&path, TornTail::Refuse).unwrap(), records);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file left");
    }

    #[test]
    fn a_damaged_line_is_named() {
        let good = String::from_utf8(line(&end()).unwrap()).unwrap();
        let error = parse(&format!("{good}{{\"kind\":\n{good}"), TornTail::Drop).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("metrics.jsonl, line 2: expected one JSON record"), "{text}");
        assert!(!text.contains("line 1"), "{text}");
        let error = parse("{\"kind\":\"lunch\"}\n", TornTail::Drop).unwrap_err();
        assert!(error.to_string().contains("unknown variant `lunch`"), "{error}");
    }

    #[test]
    fn a_torn_last_line_is_left_out_only_when_asked() {
        let good = String::from_utf8(line(&end()).unwrap()).unwrap();
        let torn = format!("{good}{}", &good[..20]);
        assert_eq!(parse(&torn, TornTail::Drop).unwrap(), [end()]);
        let error = parse(&torn, TornTail::Refuse).unwrap_err();
        assert!(matches!(error, LogError::Torn { line: 2, .. }));
        assert!(error.to_string().contains("--resume"));
    }
}
