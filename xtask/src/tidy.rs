//! `cargo xtask tidy`: the rules of the house that no compiler checks.
//!
//! Every rule is a function from text to findings, so every rule is tested on strings.

mod house;
mod links;
mod rust;
mod text;

use std::fmt;
use std::fs;

use anyhow::{Context, Result, bail};
use xshell::{Shell, cmd};

/// A file that git knows, or would add.
struct File {
    /// From the project root, with `/`.
    path: String,
    text: Contents,
}

/// What is in a file.
enum Contents {
    Text(String),
    Binary,
}

impl File {
    /// The text, or nothing for a binary file.
    fn text(&self) -> &str {
        match &self.text {
            Contents::Text(text) => text,
            Contents::Binary => "",
        }
    }

    /// What follows the last dot of the name, or nothing.
    fn extension(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or(&self.path);
        name.rsplit_once('.').map_or("", |(_, extension)| extension)
    }
}

/// A broken rule, at a place.
#[derive(Debug, PartialEq)]
struct Finding {
    path: String,
    /// Counted from 1; 0 for the file as a whole.
    line: usize,
    message: String,
}

impl Finding {
    fn at(file: &File, line: usize, message: impl Into<String>) -> Finding {
        Finding { path: file.path.clone(), line, message: message.into() }
    }

    fn whole(path: &str, message: impl Into<String>) -> Finding {
        Finding { path: path.to_owned(), line: 0, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.message),
            line => write!(f, "{}:{line}: {}", self.path, self.message),
        }
    }
}

/// Prints every finding to stderr; fails when there is one.
pub(crate) fn run(shell: &Shell) -> Result<()> {
    let files = read_files(shell)?;
    let packages = house::packages(shell)?;

    let mut findings = Vec::new();
    for file in &files {
        findings.extend(text::check(file));
        findings.extend(rust::check(file));
    }
    findings.extend(links::check(&files));
    findings.extend(house::check(&files, &packages));

    for finding in &findings {
        eprintln!("{finding}");
    }
    match findings.len() {
        0 => Ok(()),
        1 => bail!("1 finding"),
        many => bail!("{many} findings"),
    }
}

fn read_files(shell: &Shell) -> Result<Vec<File>> {
    // Also files that are not added yet: they will be part of the next commit.
    let list = cmd!(shell, "git ls-files -z --cached --others --exclude-standard")
        .quiet()
        .read()
        .context("tidy reads the files that git knows, so it needs git and a checkout")?;
    let mut files = Vec::new();
    for path in list.split_terminator('\0') {
        // A deleted file is in the index until the deletion is committed; a submodule is a folder.
        if fs::metadata(path).is_ok_and(|metadata| metadata.is_file()) {
            let bytes = fs::read(path).with_context(|| format!("cannot read {path}"))?;
            let text = match String::from_utf8(bytes) {
                Ok(text) if !text.contains('\0') => Contents::Text(text),
                _ => Contents::Binary,
            };
            files.push(File { path: path.to_owned(), text });
        }
    }
    Ok(files)
}

/// Whether `word` stands alone in `line`: not as a part of a longer name.
fn has_word(line: &str, word: &str) -> bool {
    let in_name = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        !line[..at].ends_with(in_name) && !line[at + word.len()..].starts_with(in_name)
    })
}

#[cfg(test)]
fn file(path: &str, text: &str) -> File {
    File { path: path.to_owned(), text: Contents::Text(text.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_not_a_part_of_a_name() {
        assert!(has_word("an unsafe block", "unsafe"));
        assert!(has_word("unsafe{", "unsafe"));
        assert!(!has_word("forbid(unsafe_code)", "unsafe"));
        assert!(has_word("unsafe_code, unsafe", "unsafe"));
    }

    #[test]
    fn a_finding_is_a_place_an_editor_can_open() {
        let finding = Finding::at(&file("a.rs", ""), 3, "too long");
        assert_eq!(finding.to_string(), "a.rs:3: too long");
        assert_eq!(Finding::whole("LICENSE", "missing").to_string(), "LICENSE: missing");
    }

    #[test]
    fn the_extension_is_that_of_the_name() {
        assert_eq!(file("a.b/run", "").extension(), "");
        assert_eq!(file("core/src/lib.rs", "").extension(), "rs");
        assert_eq!(file(".gitignore", "").extension(), "gitignore");
    }
}
