//! Rules for Rust files: short, finished, and `unsafe` in one room only.

use super::{File, Finding, has_word};

/// Above this a file holds more than one idea.
const MAX_LINES: usize = 400;
const UNFINISHED: [&str; 2] = [concat!("db", "g!"), concat!("to", "do!")];
/// The only place of the core where `unsafe` may be: vector instructions need it.
const KERNELS: [&str; 2] = ["core/src/kernel/", "core/src/kernel.rs"];

/// Checks one file; anything but Rust passes.
pub(super) fn check(file: &File) -> Vec<Finding> {
    if file.extension() != "rs" {
        return Vec::new();
    }
    let mut findings = Vec::new();

    let lines = lines_before_tests(file.text());
    if lines > MAX_LINES {
        findings.push(Finding::at(
            file,
            MAX_LINES + 1,
            format!(
                "{lines} lines before the tests, at most {MAX_LINES} are allowed: split the file"
            ),
        ));
    }

    let guarded = file.path.starts_with("core/")
        && !KERNELS.iter().any(|kernel| file.path.starts_with(kernel));
    for (index, line) in file.text().lines().enumerate() {
        let code = line.split("//").next().unwrap_or(line);
        if guarded && has_word(code, "unsafe") {
            findings.push(Finding::at(
                file,
                index + 1,
                "`unsafe` outside core/src/kernel/: put it behind the kernel trait",
            ));
        }
        for call in UNFINISHED.iter().filter(|call| has_word(code, call)) {
            findings.push(Finding::at(
                file,
                index + 1,
                format!("`{call}` is left over: remove it"),
            ));
        }
    }
    findings
}

/// Lines of the file without the module of tests at its end.
fn lines_before_tests(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let tests = lines.windows(2).position(|pair| {
        pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod ") && pair[1].ends_with('{')
    });
    tests.unwrap_or(lines.len())
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    fn findings(path: &str, text: &str) -> usize {
        check(&file(path, text)).len()
    }

    #[test]
    fn long_files_are_found_and_their_tests_do_not_count() {
        let long = "//\n".repeat(MAX_LINES);
        assert_eq!(findings("host/src/a.rs", &long), 0);
        let tests = format!("{long}#[cfg(test)]\nmod tests {{\n{long}}}\n");
        assert_eq!(findings("host/src/a.rs", &tests), 0);
        assert_eq!(findings("host/src/a.rs", &format!("//\n{long}")), 1);
        assert_eq!(findings("host/src/a.txt", &format!("//\n{long}")), 0);
    }

    #[test]
    fn unsafe_code_of_the_core_stays_among_the_kernels() {
        let text = "fn f() { unsafe { g() } }\n";
        assert_eq!(findings("core/src/lib.rs", text), 1);
        assert_eq!(findings("core/src/kernel/x86.rs", text), 0);
        assert_eq!(
            findings("core/src/lib.rs", "#![forbid(unsafe_code)] // unsafe is elsewhere\n"),
            0
        );
        assert_eq!(findings("boards/a/src/main.rs", text), 0);
    }

    #[test]
    fn left_overs_are_found_in_code_only() {
        let text = format!("{}(x);\n// {}(x);\n", UNFINISHED[0], UNFINISHED[1]);
        assert_eq!(findings("host/src/a.rs", &text), 1);
    }
}
