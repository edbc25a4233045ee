//! What the board's kernel computes and costs, without the rest of a training step. `products` in
//! `boards/common` writes it.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::{SILENCE, emulate};
use crate::board::Board;

/// Instructions for each multiply-add, by the name of the product.
pub(super) type Costs = BTreeMap<String, f64>;

/// Lets the board compare its kernel with the scalar one, and count.
pub(super) fn check(board: &Board, firmware: &Path) -> Result<Costs> {
    let mut reader = Reader::default();
    let mut command = emulate::command(board, firmware, "products")?;
    let each = board.qemu()?.instructions_per_count();
    emulate::lines(&mut command, SILENCE, |line| {
        reader.read(line, each)?;
        Ok(true)
    })
    .context("the kernel of the board fails its check")?;
    reader.finish()
}

#[derive(Default)]
struct Reader {
    costs: Costs,
    equal: bool,
    ended: bool,
}

impl Reader {
    fn read(&mut self, line: &str, instructions_per_count: f64) -> Result<()> {
        let fields: Vec<&str> = line.split_whitespace().collect();
        match fields[..] {
            ["equal", _] => self.equal = true,
            ["product", name, macs, counts] => {
                let number = |text: &str| {
                    text.parse::<f64>().with_context(|| format!("not a number in: {line}"))
                };
                let each = number(counts)? * instructions_per_count / number(macs)?.max(1.0);
                self.costs.insert(name.to_owned(), (each * 100.0).round() / 100.0);
            }
            ["end"] => self.ended = true,
            _ => bail!("the board says: {line}"),
        }
        Ok(())
    }

    fn finish(self) -> Result<Costs> {
        if !self.equal || !self.ended {
            bail!("the check of the board's kernel stopped early");
        }
        Ok(self.costs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Costs> {
        let mut reader = Reader::default();
        text.lines().try_for_each(|line| reader.read(line, 40.0))?;
        reader.finish()
    }

    #[test]
    fn costs_are_read_and_failures_are_passed_on() {
        let costs = read("equal 1000\nproduct forward 4096 205\nend\n").expect("a good report");
        assert_eq!(costs["forward"], 2.0);
        let error = read("failed a product differs, case 7\n").expect_err("a difference");
        assert_eq!(error.to_string(), "the board says: failed a product differs, case 7");
        assert!(read("equal 1000\n").is_err());
        assert!(read("product forward 4096 x\n").is_err());
    }
}
