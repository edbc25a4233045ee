//! Rules for the project as a whole: licences, change log, Rust version, configurations.

use anyhow::{Context, Result};
use serde::Deserialize;
use xshell::{Shell, cmd};

use super::{File, Finding};

/// What cargo says about a package of the workspace.
#[derive(Deserialize)]
pub(super) struct Package {
    name: String,
    rust_version: Option<String>,
}

/// The packages of the workspace.
pub(super) fn packages(shell: &Shell) -> Result<Vec<Package>> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
    }
    let json = cmd!(shell, "cargo metadata --no-deps --format-version 1").quiet().read()?;
    let metadata: Metadata =
        serde_json::from_str(&json).context("`cargo metadata` printed what is not its format")?;
    Ok(metadata.packages)
}

/// Checks the project.
pub(super) fn check(files: &[File], packages: &[Package]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for license in ["LICENSE-MIT", "LICENSE-APACHE"] {
        if find(files, license).is_none() {
            findings.push(Finding::whole(license, "missing: the packages declare this licence"));
        }
    }
    findings.extend(change_log(find(files, "CHANGELOG.md")));
    let pages = ["README.md", "core/src/lib.rs"].into_iter().filter_map(|path| find(files, path));
    findings.extend(rust_version(packages, pages));
    findings.extend(files.iter().filter_map(configuration));
    findings
}

fn find<'a>(files: &'a [File], path: &str) -> Option<&'a File> {
    files.iter().find(|file| file.path == path)
}

fn change_log(file: Option<&File>) -> Option<Finding> {
    let Some(file) = file else {
        return Some(Finding::whole("CHANGELOG.md", "missing: say in it what users will notice"));
    };
    let has_section = file.text().lines().any(|line| line.starts_with("## [Unreleased]"));
    (!has_section).then(|| {
        Finding::whole(&file.path, "no section `## [Unreleased]`: add it above the newest version")
    })
}

/// All packages need the same Rust, and the pages that users read first say which.
fn rust_version<'a>(
    packages: &[Package],
    pages: impl IntoIterator<Item = &'a File>,
) -> Vec<Finding> {
    let Some(first) = packages.iter().find_map(|package| package.rust_version.as_deref()) else {
        return vec![Finding::whole("Cargo.toml", "no package declares its `rust-version`")];
    };
    let odd = packages.iter().filter(|package| package.rust_version.as_deref() != Some(first));
    let mut findings: Vec<Finding> = odd
        .map(|package| {
            let found = package.rust_version.as_deref().unwrap_or("nothing");
            let message = format!(
                "package `{}` declares `rust-version` {found}, others {first}: declare the same",
                package.name
            );
            Finding::whole("Cargo.toml", message)
        })
        .collect();
    let silent = pages.into_iter().filter(|page| !states_rust_version(page.text(), first));
    findings.extend(silent.map(|page| {
        let message = format!(
            "does not say `Rust {first}`, the `rust-version` of the packages: state it where it says what is needed"
        );
        Finding::whole(&page.path, message)
    }));
    findings
}

fn states_rust_version(text: &str, version: &str) -> bool {
    let stated = format!("Rust {version}");
    text.match_indices(&stated)
        .any(|(at, _)| !text[at + stated.len()..].starts_with(|next: char| next.is_ascii_digit()))
}

/// An experiment opens with a sentence on what it is for.
fn configuration(file: &File) -> Option<Finding> {
    let is_config = file.path.starts_with("configs/") && matches!(file.extension(), "yaml" | "yml");
    (is_config && !file.text().starts_with('#')).then(|| {
        Finding::at(file, 1, "no comment on the first line: say what the experiment shows")
    })
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    fn package(name: &str, rust_version: Option<&str>) -> Package {
        Package { name: name.to_owned(), rust_version: rust_version.map(str::to_owned) }
    }

    fn complete() -> Vec<File> {
        vec![
            file("LICENSE-MIT", "x"),
            file("LICENSE-APACHE", "x"),
            file("CHANGELOG.md", "# Changelog\n\n## [Unreleased]\n"),
            file("README.md", "Needs Rust 1.89 or later."),
            file("core/src/lib.rs", "//! Rust 1.89."),
            file("configs/a.yaml", "# Shows something.\nmodel: x\n"),
            file("configs/README.md", "text"),
        ]
    }

    #[test]
    fn a_complete_house_passes() {
        let packages = [package("a", Some("1.89")), package("b", Some("1.89"))];
        assert_eq!(check(&complete(), &packages), []);
    }

    #[test]
    fn each_missing_file_is_named() {
        let packages = [package("a", Some("1.89"))];
        for path in ["LICENSE-MIT", "LICENSE-APACHE", "CHANGELOG.md"] {
            let mut files = complete();
            files.retain(|file| file.path != path);
            let findings = check(&files, &packages);
            assert_eq!(findings.len(), 1);
            assert!(findings[0].to_string().starts_with(&format!("{path}: missing")));
        }
    }

    #[test]
    fn a_change_log_has_a_place_for_the_next_change() {
        assert!(change_log(Some(&file("CHANGELOG.md", "## [0.1.0]\n"))).is_some());
    }

    #[test]
    fn one_rust_version_everywhere() {
        let readme = file("README.md", "Needs Rust 1.89.");
        let mixed = [package("a", Some("1.89")), package("b", Some("1.88")), package("c", None)];
        assert_eq!(rust_version(&mixed, Some(&readme)).len(), 2);
        assert_eq!(rust_version(&mixed[..1], Some(&readme)), []);
        assert_eq!(rust_version(&mixed[..1], None), []);
        assert_eq!(rust_version(&mixed[1..2], Some(&readme)).len(), 1);
        assert!(!states_rust_version("Rust 1.890", "1.89"));
        let mut files = complete();
        files.retain(|file| file.path != "core/src/lib.rs");
        files.push(file("core/src/lib.rs", "//! Rust 1.88."));
        let findings = check(&files, &mixed[..1]);
        assert_eq!(findings.len(), 1);
        assert!(findings[0].to_string().starts_with("core/src/lib.rs: does not say"));
    }

    #[test]
    fn a_configuration_says_what_it_shows() {
        let finding = configuration(&file("configs/a.yaml", "model: x\n")).expect("a finding");
        assert!(finding.to_string().starts_with("configs/a.yaml:1: no comment"));
    }
}
