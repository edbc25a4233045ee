//! The folder of a run.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::files;

/// Where runs go unless something else is asked for.
const RUNS: &str = "runs";

/// The folder of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFolder {
    path: PathBuf,
}

/// Where a run came from: what a later command needs to find its data again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The configuration that was read.
    pub config: Option<PathBuf>,
    /// What `--data` said.
    pub data: Option<PathBuf>,
    /// The model that training began with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<PathBuf>,
}

impl Origin {
    /// This configuration, with what `--data` said.
    pub fn of(config: &Path, data: Option<&Path>) -> Self {
        Self { config: Some(anywhere(config)), data: data.map(anywhere), init: None }
    }
}

/// A path that means the same from everywhere.
pub(crate) fn anywhere(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

impl RunFolder {
    /// Makes a folder: `out`, or the next free number of `runs/NAME-SEED-NUMBER`.
    pub fn create(out: Option<&Path>, name: &str, seed: u64) -> Result<Self> {
        if let Some(out) = out {
            let folder = Self { path: out.to_owned() };
            if folder.metrics().exists() {
                bail!(
                    "{0} holds a run already: continue it with `fixgrad train --resume {0}`, or \
                     choose another folder",
                    out.display()
                );
            }
            fs::create_dir_all(out).with_context(|| cannot_make(out))?;
            return Ok(folder);
        }
        let runs = Path::new(RUNS);
        fs::create_dir_all(runs).with_context(|| cannot_make(runs))?;
        let plain = plain(name);
        for number in 1u32.. {
            let path = runs.join(format!("{plain}-{seed}-{number}"));
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Self { path }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error).with_context(|| cannot_make(&path)),
            }
        }
        bail!("{} is full", runs.display())
    }

    /// The folder of a run that was begun before.
    pub fn open(path: &Path) -> Result<Self> {
        let folder = Self { path: path.to_owned() };
        let missing = [folder.config(), folder.metrics()].into_iter().find(|file| !file.is_file());
        if let Some(missing) = missing {
            let missing = missing.file_name().unwrap_or_default().display();
            bail!(
                "{}: expected the folder of a run, as `fixgrad train` leaves it; there is no \
                 {missing} in it",
                path.display()
            );
        }
        Ok(folder)
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The resolved configuration.
    pub fn config(&self) -> PathBuf {
        self.path.join("config.yaml")
    }

    /// The log.
    pub fn metrics(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }

    /// What training made.
    pub fn model(&self) -> PathBuf {
        self.path.join("model.fxg")
    }

    /// The state after an epoch, often the last one.
    pub fn checkpoint(&self) -> PathBuf {
        self.path.join("checkpoint.fxg")
    }

    /// The page.
    pub fn report(&self) -> PathBuf {
        self.path.join("report.html")
    }

    fn origin_file(&self) -> PathBuf {
        self.path.join("origin.json")
    }

    /// Remembers where the run came from.
    pub fn keep_origin(&self, origin: &Origin) -> Result<()> {
        files::replace(&self.origin_file(), &serde_json::to_vec_pretty(origin)?)
    }

    /// Where the run came from; nothing is known when the folder does not say.
    pub fn origin(&self) -> Result<Origin> {
        let path = self.origin_file();
        if !path.exists() {
            return Ok(Origin::default());
        }
        let bytes = files::read(&path, 1 << 16)?;
        serde_json::from_slice(&bytes).with_context(|| {
            format!("{}: expected what `fixgrad train` wrote; remove it", path.display())
        })
    }
}

fn cannot_make(path: &Path) -> String {
    format!("the folder {} cannot be made", path.display())
}

/// A name that every file system takes.
pub(crate) fn plain(name: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let plain: String = name.chars().map(|c| if safe(c) { c } else { '_' }).collect();
    let plain = plain.trim_start_matches('.');
    if plain.is_empty() { "run".to_owned() } else { plain.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_names_of_folders() {
        assert_eq!(plain("digits_mlp-w8.2"), "digits_mlp-w8.2");
        assert_eq!(plain("../a b/ü"), "_a_b__");
        assert_eq!(plain(".."), "run");
    }

    #[test]
    fn a_folder_that_holds_a_run_is_not_overwritten() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let folder = RunFolder::create(Some(&path), "x", 0).unwrap();
        assert!(RunFolder::open(&path).unwrap_err().to_string().contains("no config.yaml in it"));
        fs::write(folder.metrics(), "").unwrap();
        let error = RunFolder::create(Some(&path), "x", 0).unwrap_err().to_string();
        assert!(error.contains("--resume"), "{error}");
    }

    #[test]
    fn the_origin_is_kept() {
        let parent = tempfile::tempdir().unwrap();
        let folder = RunFolder::create(Some(parent.path()), "x", 0).unwrap();
        assert_eq!(folder.origin().unwrap(), Origin::default());
        let origin = Origin { config: Some("c/x.yaml".into()), ..Origin::default() };
        folder.keep_origin(&origin).unwrap();
        assert_eq!(folder.origin().unwrap(), origin);
        fs::write(folder.origin_file(), "{").unwrap();
        assert!(folder.origin().unwrap_err().to_string().contains("origin.json"));
    }
}
