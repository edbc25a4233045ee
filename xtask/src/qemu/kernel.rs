//! What the board's kernel computes and costs, without the rest of a training step. The program of
//! `boards/kernel.rs` tells it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};

use super::{SILENCE, emulate};
use crate::board::Board;
use crate::firmware::Firmware;

/// Instructions for each multiply-add, by the name of the product.
pub(super) type Costs = BTreeMap<String, f64>;

/// A kernel whose products are counted: the fastest one of the chip.
pub(super) const DEVICE: &str = "device";
/// The one that takes the least flash.
pub(super) const SCALAR: &str = "scalar";

/// What must have been compared. The chips that are emulated have loops of their own, so a program
/// that compares none of them is wrong.
const COMPARED: [&str; 4] = ["products", "convolutions", "elements", "loops"];

/// Lets the board compare its kernel with the scalar one, and count; what the products of `kernel`
/// cost.
pub(super) fn check(board: &Board, programs: &Firmware, kernel: &str) -> Result<Costs> {
    let mut reader = Reader::default();
    let firmware = programs.program(&board.kernel());
    // It reads no task.
    let mut command = emulate::command(board, &firmware, "none")?;
    let each = board.qemu()?.instructions_per_count();
    emulate::lines(&mut command, SILENCE, |line| {
        reader.read(line, each)?;
        Ok(true)
    })
    .context("the kernel of the board fails its check")?;
    reader.finish(kernel)
}

#[derive(Default)]
struct Reader {
    costs: BTreeMap<String, Costs>,
    equal: BTreeSet<String>,
    ended: bool,
}

impl Reader {
    fn read(&mut self, line: &str, instructions_per_count: f64) -> Result<()> {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let number =
            |text: &str| text.parse::<f64>().with_context(|| format!("not a number in: {line}"));
        match fields[..] {
            ["equal", what, cases] => {
                if number(cases)? > 0.0 {
                    self.equal.insert(what.to_owned());
                }
            }
            ["product", kernel, name, macs, counts] => {
                let each = number(counts)? * instructions_per_count / number(macs)?.max(1.0);
                let costs = self.costs.entry(kernel.to_owned()).or_default();
                costs.insert(name.to_owned(), (each * 100.0).round() / 100.0);
            }
            ["end"] => self.ended = true,
            _ => bail!("the board says: {line}"),
        }
        Ok(())
    }

    fn finish(mut self, kernel: &str) -> Result<Costs> {
        if !self.ended {
            bail!("the check of the board's kernel stopped early");
        }
        if let Some(what) = COMPARED.iter().find(|&&what| !self.equal.contains(what)) {
            bail!("the board compared no {what} with those of the scalar kernel");
        }
        self.costs.remove(kernel).with_context(|| format!("no product of {kernel} was counted"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EQUAL: &str =
        "equal products 1000\nequal convolutions 900\nequal elements 6000\nequal loops 10800\n";

    fn read(lines: &[&str]) -> Result<Costs> {
        let mut reader = Reader::default();
        lines.concat().lines().try_for_each(|line| reader.read(line, 40.0))?;
        reader.finish(DEVICE)
    }

    #[test]
    fn costs_are_read_and_failures_are_passed_on() {
        let products = "product device forward 4096 205\nproduct scalar forward 4096 2050\n";
        let costs = read(&[EQUAL, products, "end\n"]).expect("a good report");
        assert_eq!(costs["forward"], 2.0);
        let error = read(&["failed gemm gives other numbers in case 7\n"]).expect_err("a fault");
        assert_eq!(error.to_string(), "the board says: failed gemm gives other numbers in case 7");
        assert!(read(&[EQUAL, products]).is_err());
        assert!(read(&[EQUAL, "end\n"]).is_err());
        assert!(read(&["product device forward 4096 x\n"]).is_err());
    }

    #[test]
    fn a_board_that_did_not_compare_its_loops_is_not_taken_for_a_good_one() {
        for loops in ["", "equal loops 0\n"] {
            let report = [
                "equal products 1000\nequal convolutions 900\nequal elements 6000\n",
                loops,
                "end\n",
            ];
            let error = read(&report).expect_err("nothing compared");
            assert!(error.to_string().contains("compared no loops"), "{error}");
        }
    }
}
