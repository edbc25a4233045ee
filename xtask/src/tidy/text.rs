//! Rules for every text: no trailing blanks, no left-over markers, no path of somebody's machine.

use super::{File, Finding, has_word};

// Joined by the compiler, so that this file obeys its own rules.
const MARKERS: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
const MACHINE_FOLDERS: [&str; 5] = [
    concat!("/ho", "me/"),
    concat!("/Us", "ers/"),
    concat!("/ro", "ot/"),
    concat!("/wo", "rk/"),
    concat!("/tm", "p/"),
];

/// Texts that people write. Golden files and data are as their makers left them.
const WRITTEN: [&str; 9] = ["rs", "toml", "md", "yaml", "yml", "sh", "x", "", "gitignore"];

/// Checks one file.
pub(super) fn check(file: &File) -> Vec<Finding> {
    let written = WRITTEN.contains(&file.extension()) && !file.path.starts_with("tests/golden/");
    let mut findings = Vec::new();
    for (index, line) in file.text().split('\n').enumerate() {
        let mut find = |message: String| findings.push(Finding::at(file, index + 1, message));
        if let Some(folder) = machine_folder(line) {
            find(format!(
                "`{folder}` is a folder of one machine: write a path from the project root"
            ));
        }
        if !written {
            continue;
        }
        if line.ends_with(char::is_whitespace) {
            find("blank at the end of the line: remove it".to_owned());
        }
        for marker in MARKERS.iter().filter(|marker| has_word(line, marker)) {
            find(format!("`{marker}`: do it now, or drop the remark"));
        }
    }
    findings
}

/// The first absolute path in a line that only exists on somebody's machine.
fn machine_folder(line: &str) -> Option<&'static str> {
    MACHINE_FOLDERS.into_iter().find(|folder| {
        // After a letter, a dot or a tilde the slash is inside a relative path or an address.
        let inside = |c: char| c.is_alphanumeric() || "._-~}$*>".contains(c);
        line.match_indices(folder).any(|(at, _)| !line[..at].ends_with(inside))
    })
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    fn messages(path: &str, text: &str) -> Vec<String> {
        check(&file(path, text)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn clean_text_passes() {
        assert_eq!(messages("a.rs", "fn main() {}\n"), [""; 0]);
        assert_eq!(messages("a.md", "method, todos, XXXXXX\n"), [""; 0]);
    }

    #[test]
    fn blanks_at_the_end_are_found_in_written_texts_only() {
        for line in ["a \n", "a\t\n", "a\r\n"] {
            assert_eq!(
                messages("a.toml", line),
                ["a.toml:1: blank at the end of the line: remove it"]
            );
        }
        assert_eq!(messages("a.csv", "1, \n"), [""; 0]);
        assert_eq!(messages("tests/golden/README.md", "a \n"), [""; 0]);
    }

    #[test]
    fn markers_are_found_with_their_line() {
        let text = format!("fine\n// {}: later\n", MARKERS[0]);
        assert_eq!(messages("a.rs", &text).len(), 1);
        assert!(messages("a.rs", &text)[0].starts_with("a.rs:2: "));
    }

    #[test]
    fn machine_folders_are_found_but_relative_paths_are_not() {
        for folder in MACHINE_FOLDERS {
            for before in ["", "see ", "\"", "(", "file://", "data="] {
                assert_eq!(machine_folder(&format!("{before}{folder}x")), Some(folder));
            }
            for before in ["..", "host", "https://example.org", "~", "$DIR"] {
                assert_eq!(machine_folder(&format!("{before}{folder}x")), None, "{before}");
            }
        }
        assert_eq!(messages("data.csv", &format!("{}x\n", MACHINE_FOLDERS[0])).len(), 1);
    }
}
