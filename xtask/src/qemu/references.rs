//! What refers to what in a linked file.
//!
//! The firmware is linked with `--emit-relocs`: the linker leaves a note at every place where it
//! wrote the address of a function or a constant. So calls are found without a disassembler, on
//! every architecture alike, and also functions that are only named in a table. It says too much
//! rather than too little: a function whose address is taken counts as called.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use anyhow::{Context, Result, bail};
use object::read::elf::ElfFile32;
use object::{
    Object, ObjectSection, ObjectSymbol, Relocation, RelocationTarget, SectionFlags, SectionKind,
    SymbolKind,
};

/// A function or a constant.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Item {
    pub(super) name: String,
    pub(super) address: u64,
    pub(super) size: u64,
    /// Whether the chip's flash holds its bytes.
    pub(super) stored: bool,
}

/// All items, and their references to each other.
#[derive(Debug, Default)]
pub(super) struct References {
    /// By address.
    pub(super) items: Vec<Item>,
    to: BTreeMap<usize, BTreeSet<usize>>,
}

impl References {
    /// Reads a linked file of 32 bits.
    pub(super) fn read(bytes: &[u8]) -> Result<References> {
        let file: ElfFile32<'_> = ElfFile32::parse(bytes).context("no ELF file of 32 bits")?;
        // On Arm the lowest bit of a function's address says in which instruction set it is.
        let thumb = u64::from(file.architecture() == object::Architecture::Arm);
        let place =
            |kind, address: u64| if kind == SymbolKind::Text { address & !thumb } else { address };

        let mut items = Vec::new();
        for symbol in file.symbols().filter(|symbol| symbol.size() > 0 && symbol.is_definition()) {
            let name = rustc_demangle::demangle(symbol.name()?);
            let address = place(symbol.kind(), symbol.address());
            let section = symbol.section_index().map(|index| file.section_by_index(index));
            let stored = section.transpose()?.is_some_and(|section| {
                is_loaded(&section) && section.kind() != SectionKind::UninitializedData
            });
            items.push(Item { name: format!("{name:#}"), address, size: symbol.size(), stored });
        }
        items.sort_by(|a, b| (a.address, &a.name).cmp(&(b.address, &b.name)));
        let mut references = References { items, to: BTreeMap::new() };

        let mut links = Vec::new();
        let mut relocations = 0;
        for section in file.sections().filter(is_loaded) {
            let content = section.data()?;
            for (address, relocation) in section.relocations() {
                relocations += 1;
                let RelocationTarget::Symbol(index) = relocation.target() else { continue };
                let symbol = file.symbol_by_index(index)?;
                let target = if symbol.size() > 0 {
                    Some(place(symbol.kind(), symbol.address()))
                } else {
                    let at = address.wrapping_sub(section.address());
                    written(&relocation, symbol.address(), at, content).map(|to| to & !thumb)
                };
                links.extend(target.map(|target| (address, target)));
            }
        }
        // The linker calls a section with some texts in it one of texts.
        let constant = [SectionKind::ReadOnlyData, SectionKind::ReadOnlyString];
        for section in file.sections().filter(|section| constant.contains(&section.kind())) {
            let room = section.address()..section.address() + section.size();
            references.name_the_nameless(&links, room);
        }
        for (from, to) in links {
            if let (Some(from), Some(to)) = (references.at(from), references.at(to)) {
                references.to.entry(from).or_default().insert(to);
            }
        }
        if relocations == 0 {
            bail!("no relocations: the firmware must be linked with `--emit-relocs`");
        }
        Ok(references)
    }

    /// Makes items of constants without a symbol, such as texts and tables of jumps: each begins
    /// where something refers to and ends where the next one begins.
    fn name_the_nameless(&mut self, links: &[(u64, u64)], room: Range<u64>) {
        let targets = links.iter().map(|&(_, to)| to).filter(|to| room.contains(to));
        let starts: BTreeSet<u64> = targets.filter(|&to| self.at(to).is_none()).collect();
        let named = self.items.iter().map(|item| item.address);
        let ends: BTreeSet<u64> = starts.iter().copied().chain(named).chain([room.end]).collect();
        for address in starts {
            let end = ends.range(address + 1..).next().copied().unwrap_or(room.end);
            let name = format!("constant at {address:#x}");
            self.items.push(Item { name, address, size: end - address, stored: true });
        }
        self.items.sort_by(|a, b| (a.address, &a.name).cmp(&(b.address, &b.name)));
    }

    /// The item that an address lies in.
    fn at(&self, address: u64) -> Option<usize> {
        let after = self.items.partition_point(|item| item.address <= address);
        let index = after.checked_sub(1)?;
        let item = &self.items[index];
        (address < item.address + item.size).then_some(index)
    }

    /// The items that `is` holds for.
    pub(super) fn find(&self, is: impl Fn(&Item) -> bool) -> Vec<usize> {
        (0..self.items.len()).filter(|&index| is(&self.items[index])).collect()
    }

    /// The items that can be reached from `from`, itself included, without going on from those
    /// that `ends` holds for.
    pub(super) fn reachable(&self, from: usize, ends: impl Fn(&Item) -> bool) -> BTreeSet<usize> {
        let mut reached = BTreeSet::from([from]);
        let mut open = vec![from];
        while let Some(item) = open.pop() {
            if ends(&self.items[item]) {
                continue;
            }
            let next = self.to.get(&item).into_iter().flatten();
            open.extend(next.copied().filter(|&next| reached.insert(next)));
        }
        reached
    }

    /// The items that refer to `to`.
    pub(super) fn referring(&self, to: usize) -> impl Iterator<Item = usize> {
        self.to.iter().filter(move |(_, set)| set.contains(&to)).map(|(&from, _)| from)
    }
}

/// Whether a section is on the chip; the others are for debuggers.
fn is_loaded<'data>(section: &impl ObjectSection<'data>) -> bool {
    let alloc = u64::from(object::elf::SHF_ALLOC);
    matches!(section.flags(), SectionFlags::Elf { sh_flags } if sh_flags & alloc != 0)
}

/// The address that a reference to a nameless place means.
fn written(relocation: &Relocation, symbol: u64, at: u64, content: &[u8]) -> Option<u64> {
    if !relocation.has_implicit_addend() {
        return Some(symbol.wrapping_add_signed(relocation.addend()));
    }
    // The linker has written the whole address where a word is asked for.
    let word = content.get(usize::try_from(at).ok()?..)?.first_chunk()?;
    (relocation.size() == 32).then(|| u32::from_le_bytes(*word).into())
}

#[cfg(test)]
pub(super) fn example(names: &[&str], edges: &[(usize, usize)]) -> References {
    let item = |(index, name): (usize, &&str)| Item {
        name: (*name).to_owned(),
        address: 16 * index as u64,
        size: 10,
        stored: true,
    };
    let mut references =
        References { items: names.iter().enumerate().map(item).collect(), to: BTreeMap::new() };
    for &(from, to) in edges {
        references.to.entry(from).or_default().insert(to);
    }
    references
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_belongs_to_the_item_around_it() {
        let references = example(&["a", "b"], &[]);
        assert_eq!(references.at(0), Some(0));
        assert_eq!(references.at(9), Some(0));
        assert_eq!(references.at(10), None);
        assert_eq!(references.at(17), Some(1));
        assert_eq!(references.at(100), None);
    }

    #[test]
    fn what_is_reached_through_others_is_found() {
        let references = example(&["a", "b", "c", "d"], &[(0, 1), (1, 2), (2, 0), (3, 2)]);
        assert_eq!(references.reachable(0, |_| false), BTreeSet::from([0, 1, 2]));
        assert_eq!(references.reachable(0, |item| item.name == "b"), BTreeSet::from([0, 1]));
        assert_eq!(references.referring(2).collect::<Vec<_>>(), [1, 3]);
    }

    #[test]
    fn constants_without_a_name_end_where_the_next_one_begins() {
        let mut references = example(&["a", "b"], &[]);
        references
            .name_the_nameless(&[(0, 12), (0, 33), (0, 17), (5, 40), (5, 12), (5, 50)], 0..45);
        let found = references.items.iter().map(|item| (item.address, item.size));
        assert_eq!(found.collect::<Vec<_>>(), [(0, 10), (12, 4), (16, 10), (33, 7), (40, 5)]);
    }

    #[test]
    fn a_file_that_is_no_firmware_is_refused() {
        assert!(References::read(b"#!/bin/sh").is_err());
    }
}
