//! What README shows is what happens: its commands run, and the numbers of its first run are those
//! of this machine, since the bits are the same on every machine.

use std::{fs, path::Path, process::Command};

/// The `console` blocks: every command with the lines that it prints.
fn commands(readme: &str) -> Vec<(String, Vec<String>)> {
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    let mut inside = false;
    for line in readme.lines() {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if inside && let Some(command) = line.strip_prefix("$ ") {
            found.push((command.into(), Vec::new()));
        } else if inside && let Some((_, shown)) = found.last_mut() {
            shown.push(line.into());
        }
    }
    found
}

fn copy_configs(root: &Path, to: &Path) {
    let folder = to.join("configs");
    fs::create_dir(&folder).unwrap();
    for entry in fs::read_dir(root.join("configs")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
    }
}

#[test]
fn every_command_of_the_readme_does_what_it_shows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let place = tempfile::tempdir().unwrap();
    copy_configs(root, place.path());
    let commands = commands(&readme);
    let mut ran = 0;
    for (command, shown) in &commands {
        let words: Vec<&str> = match command.as_str() {
            // The verb runs this very command; building it again would take minutes.
            "cargo xtask sim" => vec!["train", "configs/digits_mlp_w8.yaml"],
            // This test is a part of it.
            "cargo xtask test --setup" => continue,
            other => other
                .strip_prefix("fixgrad ")
                .unwrap_or_else(|| panic!("{other}"))
                .split(' ')
                .collect(),
        };
        let output = Command::new(env!("CARGO_BIN_EXE_fixgrad"))
            .args(&words)
            .current_dir(place.path())
            .env_remove("FIXGRAD_LOG")
            .output()
            .unwrap();
        let printed = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}\n{printed}");
        let timeless = |line: &&String| {
            !line.is_empty() && !line.contains("samples/s") && !line.contains("report ")
        };
        for line in shown.iter().filter(timeless) {
            assert!(
                printed.contains(line.as_str()),
                "{command} no longer prints\n{line}\nbut\n{printed}"
            );
        }
        ran += 1;
    }
    assert!(ran >= 4, "README shows only {ran} commands that can be run");
}
