//! The `fixgrad` program in a folder of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

/// A short experiment on the built-in digits.
pub(crate) const CONFIG: &str = "\
model:
  layers:
    - dense: { name: fc1, units: 12 }
    - relu
    - dense: { name: fc2, units: 10 }
data: digits
train: { epochs: 3, batch: 32, lr: 0.5, momentum: 0.5, schedule: cosine }
";

/// The same on samples that are normalised and, to train on, augmented.
pub(crate) fn augmented() -> String {
    let data =
        "data: { digits: {}, normalize: mean, augment: { flip: horizontal, crop: 2, cutout: 3 } }";
    CONFIG.replace("data: digits", data)
}

/// A folder with `tiny.yaml` in it, where the program runs.
pub(crate) struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("tiny.yaml"), CONFIG).unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fixgrad"));
        command.current_dir(self.folder.path()).args(line.split_whitespace());
        command.env_remove("FIXGRAD_LOG").env_remove("FIXGRAD_DATA");
        command
    }

    pub(crate) fn output(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    /// What a command that succeeds prints on stdout.
    pub(crate) fn stdout(&self, line: &str) -> String {
        let output = self.output(line);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{line}\n{errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The last line on stdout as JSON.
    pub(crate) fn json(&self, line: &str) -> Value {
        let stdout = self.stdout(line);
        serde_json::from_str(stdout.lines().last().unwrap()).unwrap()
    }

    /// What a command that is refused prints on stderr.
    pub(crate) fn refusal(&self, line: &str) -> String {
        let output = self.output(line);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{line}\n{text}");
        assert_eq!(text.matches("error:").count(), 1, "told once: {text}");
        text
    }

    /// The log without what a clock decides.
    pub(crate) fn metrics(&self, folder: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.path(folder).join("metrics.jsonl")).unwrap();
        let mut records: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        for record in &mut records {
            let record = record.as_object_mut().unwrap();
            for key in ["seconds", "train_seconds", "samples_per_second"] {
                record.remove(key);
            }
        }
        records
    }
}

/// The names in a folder, sorted.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
