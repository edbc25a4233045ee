//! The results of all boards.

use std::fmt::Write;

use anyhow::Result;
use serde::Serialize;

use super::audit::Audit;
use super::kernel::Costs;
use super::report::Measured;
use crate::board::Board;

/// The results of one board. The names are those of the JSON.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) board: String,
    /// Which of its programs.
    pub(crate) program: String,
    target: String,
    pub(crate) config: String,
    steps: usize,
    /// Whether weights, momentum and exponents were those of this machine after every step.
    pub(crate) equal_to_host: bool,
    pub(crate) instructions_per_step: u64,
    /// Of the whole step, for each needed multiply-add.
    pub(crate) instructions_per_mac: f64,
    /// Of the matrix products alone, tile by tile, for each multiply-add.
    #[serde(skip_serializing_if = "Option::is_none")]
    product_instructions_per_mac: Option<Costs>,
    /// The memory plan.
    pub(crate) ram_bytes: u64,
    /// Of the whole run, without the memory plan.
    pub(crate) stack_high_water: u64,
    /// Code and constants, without the pictures.
    pub(crate) flash_bytes: u64,
    /// Of these, the trainer's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) trainer_flash_bytes: Option<u64>,
    /// The pictures and their labels.
    data_bytes: u64,
    /// Before the first step, of a network that was trained before.
    #[serde(skip_serializing_if = "Option::is_none")]
    test_accuracy_before: Option<f64>,
    test_accuracy: f64,
    /// The file of the weights at the end, for samples that came over a line.
    #[serde(skip_serializing_if = "Option::is_none")]
    weights_sha256: Option<String>,
    /// Bytes on that line, in both directions.
    #[serde(skip_serializing_if = "Option::is_none")]
    link_bytes_per_step: Option<u64>,
}

impl Row {
    pub(super) fn new(
        board: &Board,
        run: &Measured,
        audit: &Audit,
        costs: Option<Costs>,
        equal_to_host: bool,
    ) -> Result<Row> {
        let instructions = run.counts as f64 * board.qemu()?.instructions_per_count();
        let per_step = instructions / run.steps.max(1) as f64;
        Ok(Row {
            board: board.name.clone(),
            program: board.name.clone(),
            target: board.about.target.clone(),
            config: run.config.clone(),
            steps: run.steps,
            equal_to_host,
            instructions_per_step: per_step.round() as u64,
            instructions_per_mac: rounded(per_step / run.macs.max(1) as f64, 100.0),
            product_instructions_per_mac: costs,
            ram_bytes: run.ram,
            stack_high_water: run.stack.unwrap_or_default(),
            flash_bytes: audit.flash - audit.data,
            trainer_flash_bytes: audit.trainer,
            data_bytes: audit.data,
            test_accuracy_before: run.before.map(|share| rounded(share, 1e4)),
            test_accuracy: rounded(run.accuracy, 1e4),
            weights_sha256: None,
            link_bytes_per_step: None,
        })
    }

    /// Some results.
    #[cfg(test)]
    pub(crate) fn example(board: &str, config: &str) -> Row {
        Row {
            board: board.to_owned(),
            program: board.to_owned(),
            target: String::new(),
            config: config.to_owned(),
            steps: 2,
            equal_to_host: true,
            instructions_per_step: 2_020,
            instructions_per_mac: 2.02,
            product_instructions_per_mac: None,
            ram_bytes: 7_252,
            stack_high_water: 800,
            flash_bytes: 8_000,
            trainer_flash_bytes: Some(5_000),
            data_bytes: 2_000,
            test_accuracy_before: None,
            test_accuracy: 0.75,
            weights_sha256: None,
            link_bytes_per_step: None,
        }
    }

    /// The same for another program of the board.
    pub(super) fn of_program(self, program: &str) -> Row {
        Row { program: program.to_owned(), ..self }
    }

    /// The same for a run whose samples came over a line.
    pub(super) fn over_the_line(self, weights_sha256: String, bytes_per_step: u64) -> Row {
        Row {
            program: format!("{}-link", self.board),
            weights_sha256: Some(weights_sha256),
            link_bytes_per_step: Some(bytes_per_step),
            ..self
        }
    }

    /// What does not fit into the part that the board stands for, or into the stack's budget.
    pub(super) fn beyond(&self, board: &Board) -> Vec<String> {
        let about = &board.about;
        let program = &self.program;
        let budget = about.budget.get(program);
        let stack = budget.map_or(0, |budget| budget.stack);
        let trainer = budget.and_then(|budget| budget.trainer).unwrap_or(u64::MAX);
        let part = &about.part;
        [
            (self.ram_bytes + self.stack_high_water, about.ram, format!("of RAM; {part} has")),
            (self.flash_bytes + self.data_bytes, about.flash, format!("of flash; {part} has")),
            (self.stack_high_water, stack, format!("of stack; the budget of {program} is")),
            (
                self.trainer_flash_bytes.unwrap_or_default(),
                trainer,
                format!("of flash for the trainer; the budget of {program} is"),
            ),
        ]
        .into_iter()
        .filter(|(used, allowed, _)| used > allowed)
        .map(|(used, allowed, what)| format!("{used} bytes {what} {allowed}"))
        .collect()
    }
}

fn rounded(number: f64, parts: f64) -> f64 {
    (number * parts).round() / parts
}

/// The rows for people.
pub(super) fn show(rows: &[Row]) -> String {
    let mut text = format!(
        "{:<16} {:<5} {:>5} {:>12} {:>7} {:>8} {:>8} {:>9} {:>8} {:>7} {:>7} {:>10}\n",
        "program",
        "equal",
        "steps",
        "instr./step",
        "/MAC",
        "RAM plan",
        "stack",
        "flash",
        "trainer",
        "before",
        "test",
        "link/step"
    );
    for row in rows {
        let equal = if row.equal_to_host { "yes" } else { "NO" };
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{:<16} {equal:<5} {:>5} {:>12} {:>7.2} {:>8} {:>8} {:>9} {:>8} {:>7} {:>6.1}% {:>10}",
            row.program,
            row.steps,
            row.instructions_per_step,
            row.instructions_per_mac,
            row.ram_bytes,
            row.stack_high_water,
            row.flash_bytes,
            row.trainer_flash_bytes.map_or("-".to_owned(), |bytes| bytes.to_string()),
            row.test_accuracy_before
                .map_or("-".to_owned(), |share| format!("{:.1}%", share * 100.0)),
            row.test_accuracy * 100.0,
            row.link_bytes_per_step.map_or("-".to_owned(), |bytes| bytes.to_string())
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::report;
    use super::*;
    use crate::board::{About, Budget, Qemu};

    fn board(ram: u64) -> Board {
        let qemu = Qemu { machine: "m".into(), counter_hz: 25_000_000 };
        let about = About {
            target: "t".into(),
            part: "a part".into(),
            ram,
            flash: 9_000,
            kept: None,
            streams: None,
            core: "c".into(),
            budget: [(
                "b".to_owned(),
                Budget { flash: 0, ram: 0, stack: 799, trainer: Some(2_999) },
            )]
            .into(),
            qemu: Some(qemu),
            device: None,
        };
        Board { name: "b".into(), folder: "b".into(), about }
    }

    #[test]
    fn counts_become_instructions_and_too_much_memory_is_found() {
        let audit = Audit { flash: 10_000, data: 2_000, trainer: Some(3_000), findings: vec![] };
        let row = Row::new(
            &board(8_052),
            &report::example().measured(),
            &audit,
            Some(Costs::new()),
            true,
        )
        .expect("a row");
        assert_eq!((row.instructions_per_step, row.instructions_per_mac), (2_020, 2.02));
        assert_eq!((row.flash_bytes, row.test_accuracy), (8_000, 0.75));
        assert_eq!(
            row.beyond(&board(8_051)),
            [
                "8052 bytes of RAM; a part has 8051",
                "10000 bytes of flash; a part has 9000",
                "800 bytes of stack; the budget of b is 799",
                "3000 bytes of flash for the trainer; the budget of b is 2999"
            ]
        );
        assert_eq!(row.beyond(&board(8_052)).len(), 3);
        assert!(show(&[row]).contains("yes       2         2020    2.02"));
    }
}
