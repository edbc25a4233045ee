//! `fixgrad stream`, `verify`, `pull`, `push` and `monitor`, with `fixgrad board` at the other end.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Stdio},
};

use crate::support::{Desk, augmented};

/// A stand-in for a board, stopped when the test ends.
struct Board {
    process: Child,
    address: String,
}

impl Board {
    fn start(desk: &Desk, options: &str) -> Self {
        let mut command = desk.command(&format!("board tiny.yaml {options}"));
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut address = String::new();
        let stdout = process.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut address).unwrap();
        Self { process, address: address.trim().to_owned() }
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_board_trains_like_the_desktop_and_its_state_comes_and_goes() {
    let desk = Desk::new();
    std::fs::write(desk.path("tiny.yaml"), augmented()).unwrap();
    let board = Board::start(&desk, "--frame 300 --store 2500");
    let link = format!("--link {}", board.address);
    let ours = desk.json(&format!("stream tiny.yaml {link} --out a --json"));
    let theirs = desk.json("train tiny.yaml --out b --json");
    for key in ["weights_sha256", "test_accuracy", "test_loss", "validation_accuracy", "epochs"] {
        assert_eq!(ours[key], theirs[key], "{key}");
    }
    for file in ["config.yaml", "metrics.jsonl", "model.fxg", "checkpoint.fxg", "report.html"] {
        assert!(desk.path("a").join(file).is_file(), "{file}");
    }
    // The counters of the board are in the log as those of the desktop are.
    let tensors = |run: &str| {
        let log = std::fs::read_to_string(desk.path(run).join("metrics.jsonl")).unwrap();
        let epochs: Vec<serde_json::Value> = log
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["tensors"].clone())
            .collect();
        epochs
    };
    assert_eq!(tensors("a"), tensors("b"));

    desk.stdout(&format!("pull tiny.yaml {link} pulled.fxg"));
    let read = |name: &str| std::fs::read(desk.path(name)).unwrap();
    assert_eq!(read("pulled.fxg"), read("a/model.fxg"));

    let verdict = desk.json(&format!("verify tiny.yaml {link} --steps 20 --json"));
    assert_eq!((&verdict["equal_to_host"], &verdict["steps"]), (&true.into(), &20.into()));
    // Pixels and classes of a batch, twice when a line is slow, and not much more.
    assert!(verdict["link_bytes_per_step"].as_u64() > Some(16 * 66), "{verdict}");
    let refused = desk.output(&format!("verify tiny.yaml {link} --steps 1 --commit"));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("keeps no checkpoints"));

    desk.stdout(&format!("push pulled.fxg {link}"));
    desk.stdout(&format!("pull tiny.yaml {link} again.fxg"));
    assert_eq!(read("again.fxg"), read("pulled.fxg"));
    let refused = desk.output(&format!("push pulled.fxg {link} --commit"));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("keeps no checkpoints"));

    let look = desk.json(&format!("monitor {link} --looks 2 --start --json"));
    assert_eq!(look["running"], true);
    assert!(look["step"].as_u64() > ours["epochs"].as_u64(), "{look}");
    let busy = desk.output(&format!("push pulled.fxg {link}"));
    assert!(String::from_utf8_lossy(&busy.stderr).contains("trains alone: pause it first"));
    let look = desk.json(&format!("monitor {link} --looks 1 --pause --json"));
    assert_eq!(look["running"], false);
}

#[test]
fn what_cannot_be_reached_is_a_sentence() {
    let desk = Desk::new();
    for (address, words) in [
        ("tcp:127.0.0.1:1", "nobody listens there"),
        ("serial:/nowhere/tty", "the port cannot be opened"),
        ("rtt", "probe-rs"),
        ("usb", "expected serial:PORT"),
    ] {
        let output = desk.output(&format!("monitor --link {address}"));
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && errors.contains(words), "{address}: {errors}");
    }
}
