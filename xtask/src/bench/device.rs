//! `cargo xtask bench device`: what training costs on every emulated board, beside what was
//! measured of others. The table goes to the terminal and into `docs/benchmarks.md`.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use fixgrad_host::files;

use crate::board::{self, Board};
use crate::page;
use crate::project::{Project, grouped};
use crate::qemu::{self, Row};

const PAGE: &str = "docs/benchmarks.md";
/// The name of the marks around the table.
const TABLE: &str = "device";

/// Trains on all emulated boards and prints the table; nothing is written that is not right.
pub(super) fn run(project: &Project, data: Option<&Path>) -> Result<ExitCode> {
    let boards = board::emulated(&project.root)?;
    let data = data.map(|data| project.locate(data));
    let (rows, findings) = qemu::measure(project, &boards, data.as_deref())?;
    let table = table(&boards, &rows);
    println!("{table}");
    if !findings.is_empty() {
        findings.iter().for_each(|finding| eprintln!("error: {finding}"));
        eprintln!("error: {PAGE} stays as it is");
        return Ok(ExitCode::FAILURE);
    }
    let text = fs::read_to_string(PAGE).with_context(|| format!("cannot read {PAGE}"))?;
    let text = page::with(&text, TABLE, &table).context(PAGE)?;
    files::replace(Path::new(PAGE), text.as_bytes())?;
    eprintln!("bench: {PAGE} is up to date");
    Ok(ExitCode::SUCCESS)
}

/// What was measured of another system: on which cores, for which network.
struct Peer {
    cores: &'static [&'static str],
    network: &'static str,
    /// Instructions a needed multiply-add, sample by sample and with the batch in one pass.
    each: (f64, Option<f64>),
    /// Bytes that it asks for, without the stack.
    ram: u64,
}

/// AIfES 2.2.0, float32, the same network and batch of 32, SGD; how, the page says.
const AIFES: [Peer; 7] = [
    Peer {
        cores: &["Cortex-M4F", "Cortex-M7F"],
        network: DIGITS,
        each: (19.8, Some(11.5)),
        ram: 28_144,
    },
    Peer { cores: &["Cortex-M3"], network: DIGITS, each: (135.0, Some(116.0)), ram: 28_144 },
    Peer { cores: &["Cortex-M0"], network: DIGITS, each: (292.0, Some(255.0)), ram: 28_144 },
    Peer { cores: &["rv32imac"], network: DIGITS, each: (279.0, Some(247.0)), ram: 28_144 },
    Peer {
        cores: &["Cortex-M4F", "Cortex-M7F"],
        network: CNN,
        each: (44.0, Some(43.1)),
        ram: 27_928,
    },
    Peer { cores: &["Cortex-M0"], network: CNN, each: (242.0, None), ram: 27_928 },
    Peer { cores: &["Cortex-M4F"], network: MNIST, each: (19.3, Some(11.1)), ram: 953_776 },
];

const DIGITS: &str = "64-32-10";
const CNN: &str = "small CNN";
const LENET: &str = "LeNet";
const DSCNN: &str = "DS-CNN-S";
const TUNED: &str = "DS-CNN, tuned";
const MNIST: &str = "784-100-10";

/// The network of a run.
fn network(row: &Row) -> &'static str {
    match row.config.as_str() {
        "digits-cnn" => CNN,
        "digits28-lenet" | "mnist_lenet_board" => LENET,
        "digits49x10-dscnn" => DSCNN,
        "digits-tune" => TUNED,
        config if config.starts_with("digits") => DIGITS,
        _ => MNIST,
    }
}

fn table(boards: &[Board], rows: &[Row]) -> String {
    let mut text = "\
| program | core | network | instructions a step | a needed MAC | AIfES, a needed MAC | RAM: plan + stack | AIfES, RAM without stack | flash | the trainer's |
|---|---|---|---|---|---|---|---|---|---|
"
    .to_owned();
    for row in rows {
        let board = boards.iter().find(|board| board.name == row.board);
        let core = board.map_or("", |board| board.about.core.as_str());
        let network = network(row);
        let peer = AIFES.iter().find(|peer| peer.network == network && peer.cores.contains(&core));
        let (each, ram) = peer.map_or(("-".to_owned(), "-".to_owned()), |peer| {
            let batch = peer.each.1.map_or(String::new(), |each| format!(" ({each})"));
            (format!("{}{batch}", peer.each.0), grouped(peer.ram))
        });
        let trainer = row.trainer_flash_bytes.map_or("-".to_owned(), grouped);
        let total = grouped(row.ram_bytes + row.stack_high_water);
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| `{}` | {core} | {network} | {} | **{:.2}** | {each} | {} + {} = **{total}** | {ram} | {} | {trainer} |",
            row.program,
            grouped(row.instructions_per_step),
            row.instructions_per_mac,
            grouped(row.ram_bytes),
            grouped(row.stack_high_water),
            grouped(row.flash_bytes),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_stands_beside_the_peer_of_its_core() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the root");
        let boards = board::emulated(root).expect("boards");
        let rows = ["qemu-m4", "qemu-m33"].map(|board| Row::example(board, "digits-tiny"));
        let text = table(&boards, &rows);
        let lines: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                "| `qemu-m4` | Cortex-M4F | 64-32-10 | 2,020 | **2.02** | 19.8 (11.5) | \
                 7,252 + 800 = **8,052** | 28,144 | 8,000 | 5,000 |",
                "| `qemu-m33` | Cortex-M33 | 64-32-10 | 2,020 | **2.02** | - | \
                 7,252 + 800 = **8,052** | - | 8,000 | 5,000 |",
            ]
        );
    }

    #[test]
    fn every_peer_has_a_board() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the root");
        let boards = board::emulated(root).expect("boards");
        for core in AIFES.iter().flat_map(|peer| peer.cores) {
            assert!(boards.iter().any(|board| board.about.core == *core), "{core}");
        }
    }

    #[test]
    fn the_page_has_a_place_for_the_table() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the root");
        let text = fs::read_to_string(root.join(PAGE)).expect("the page");
        assert!(page::split(&text, TABLE).is_ok());
    }
}
