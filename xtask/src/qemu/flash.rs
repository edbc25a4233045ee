//! How much of a firmware is the trainer.
//!
//! Counted are the functions that begin a trainer, do a step and judge a network, everything that
//! they refer to, and so on: code, constants, the network and its plan, and what the compiler adds,
//! such as divisions and copies. Not counted are the samples, and what only the board needs: its
//! start, its line, its report. So a firmware can be asked what training adds to it, whatever else
//! is in it.

use std::collections::BTreeSet;

use anyhow::{Result, bail};

use super::audit::{is, is_panic, is_sample};
use super::references::{Item, References};

/// The trainer as `boards/common` uses it.
pub(super) const TRAINER: [&str; 3] = [
    "fixgrad_boards::training::trainer",
    "fixgrad_boards::training::train_step",
    "fixgrad_boards::training::test",
];

/// Bytes of flash of the functions with these names and of all that they need.
pub(super) fn needed_by(references: &References, names: &[&str]) -> Result<u64> {
    let mut bytes = 0;
    // Two names may be the same place.
    let mut end = 0;
    for item in items_of(references, names)? {
        let item = &references.items[item];
        let last = item.address + item.size;
        bytes += last.saturating_sub(item.address.max(end));
        end = end.max(last);
    }
    Ok(bytes)
}

/// The same one by one, the largest first: where bytes of flash go.
pub(crate) fn trainer_of(linked: &[u8]) -> Result<Vec<(String, u64)>> {
    let references = References::read(linked)?;
    let items = items_of(&references, &TRAINER)?.into_iter().map(|item| &references.items[item]);
    let mut sizes: Vec<_> = items.map(|item| (item.name.clone(), item.size)).collect();
    sizes.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    Ok(sizes)
}

fn items_of(references: &References, names: &[&str]) -> Result<BTreeSet<usize>> {
    let mut found = BTreeSet::new();
    for name in names {
        let [root] = references.find(|item| is(&item.name, name))[..] else {
            bail!("the firmware must have one function {name}, or its size is not known");
        };
        // A panic is the board's to handle.
        found.extend(references.reachable(root, |item| is_panic(&item.name)));
    }
    // Items are in the order of their addresses, and so is what is left.
    found.retain(|&item| {
        let Item { name, stored, .. } = &references.items[item];
        *stored && !is_panic(name) && !is_sample(name)
    });
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::references::example;
    use super::*;

    #[test]
    fn what_is_needed_counts_once_and_the_rest_not() {
        let (panic, pictures) = ("core::panicking::panic", "fixgrad_boards::digits::PICTURE_BYTES");
        let names = ["step", "start", "fixgrad::a", "__aeabi_memcpy", panic, pictures, "report"];
        let edges = [(0, 2), (1, 2), (2, 3), (2, 4), (0, 5), (4, 6)];
        let references = example(&names, &edges);
        assert_eq!(needed_by(&references, &["step", "start"]).expect("a size"), 40);
        assert_eq!(needed_by(&references, &["step"]).expect("a size"), 30);
        assert!(needed_by(&references, &["stop"]).is_err());
    }

    #[test]
    fn memory_that_is_not_written_to_the_chip_does_not_count() {
        let mut references = example(&["step", "ARENA"], &[(0, 1)]);
        references.items[1].stored = false;
        assert_eq!(needed_by(&references, &["step"]).expect("a size"), 10);
    }

    #[test]
    fn a_place_with_two_names_counts_once() {
        let mut references = example(&["step", "memset", "memclr"], &[(0, 1), (0, 2)]);
        references.items[2].address = references.items[1].address;
        assert_eq!(needed_by(&references, &["step"]).expect("a size"), 20);
    }
}
