//! What the linked firmware must not hold, and how large it is.
//!
//! Nothing is asked of the source or of the compiler: the file that runs on the chip is read. No
//! float and no heap are questions about names, since a chip without a floating-point unit computes
//! with floats by calling functions that have fixed names; the boards without such a unit answer
//! for the others. No panic is a question about paths: from the training step, following every
//! reference, none leads to the panic handler. The rest of the firmware may panic, at a start that
//! is refused, for example.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::flash;
use super::forbidden::{is_allocator, is_soft_float};
use super::references::References;

/// One training step and nothing else, in `boards/common`.
pub(super) const IN_FLASH: &str = "fixgrad_boards::training::train_step";
/// The same for samples that came over a line, in `core`.
pub(super) const LINK: &str = "fixgrad::link::answer::work";
/// What the step of any trainer consists of. No function of a program that needs no host holds that
/// and nothing else.
const ANY: [&str; 2] =
    ["fixgrad::trainer::Trainer<_,K,S,P>::pass", "fixgrad::trainer::Trainer<_,K,S,P>::update"];
/// The samples in flash: the size of the firmware does not depend on how many there are.
const SAMPLES: [&str; 5] = [
    "fixgrad_boards::digits::PICTURE_BYTES",
    "fixgrad_boards::digits::LABELS",
    "fixgrad_boards::lenet::PICTURE_BYTES",
    "fixgrad_boards::dscnn::PICTURE_BYTES",
    "fixgrad_boards::tune::PICTURE_BYTES",
];

/// What is known of a linked file.
#[derive(Debug, Default)]
pub(super) struct Audit {
    /// Bytes of code and constants, the samples included.
    pub(super) flash: u64,
    /// Bytes of samples.
    pub(super) data: u64,
    /// Bytes of the trainer, where it is one of samples in flash.
    pub(super) trainer: Option<u64>,
    /// What is wrong.
    pub(super) findings: Vec<String>,
}

/// Reads a linked file whose training step is called `step`.
pub(super) fn audit(path: &Path, step: &str) -> Result<Audit> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let references = References::read(&bytes)
        .with_context(|| format!("{} cannot be checked", path.display()))?;
    let trainer = (step == IN_FLASH).then(|| flash::needed_by(&references, &flash::TRAINER));
    Ok(Audit {
        flash: loaded(&bytes)?,
        data: references
            .items
            .iter()
            .filter(|item| is_sample(&item.name))
            .map(|item| item.size)
            .sum(),
        trainer: trainer.transpose()?,
        findings: findings(&references, &[step]),
    })
}

/// What is wrong with a program that trains by itself.
pub(super) fn stand_alone(path: &Path) -> Result<Vec<String>> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let references = References::read(&bytes)
        .with_context(|| format!("{} cannot be checked", path.display()))?;
    Ok(findings(&references, &ANY))
}

/// Bytes that must be written to the chip.
fn loaded(bytes: &[u8]) -> Result<u64> {
    use object::Endianness;
    use object::elf::{FileHeader32, PT_LOAD};
    use object::read::elf::{FileHeader, ProgramHeader};
    let header = FileHeader32::<Endianness>::parse(bytes)?;
    let endian = header.endian()?;
    let segments = header.program_headers(endian, bytes)?.iter();
    let written = segments.filter(|segment| segment.p_type(endian) == PT_LOAD);
    Ok(written.map(|segment| u64::from(segment.p_filesz(endian))).sum())
}

fn findings(references: &References, steps: &[&str]) -> Vec<String> {
    let mut findings = Vec::new();
    for item in &references.items {
        if is_soft_float(&item.name) {
            findings.push(format!("computes with floats: holds {}", item.name));
        }
        if is_allocator(&item.name) {
            findings.push(format!("has a heap: holds {}", item.name));
        }
    }
    findings.extend(steps.iter().flat_map(|step| panics(references, step)));
    findings
}

/// Every place from which the training step can get into a panic.
fn panics(references: &References, name: &str) -> Vec<String> {
    let steps = references.find(|item| is(&item.name, name));
    let [step] = steps[..] else {
        return vec![format!("cannot be checked for panics: {} functions {name}", steps.len())];
    };
    // What the handler itself calls is not the step's doing.
    let reachable = references.reachable(step, |item| is_panic(&item.name));
    let name = |item: usize| references.items[item].name.as_str();
    let mut guilty: Vec<usize> =
        reachable.iter().copied().filter(|&item| is_panic(name(item))).collect();
    let mut seen: BTreeSet<usize> = guilty.iter().copied().collect();
    let mut places = BTreeSet::new();
    while let Some(item) = guilty.pop() {
        for caller in references.referring(item).filter(|caller| reachable.contains(caller)) {
            // The core library panics on behalf of its callers: those are named.
            if !name(caller).starts_with("core::") {
                places.insert(name(caller));
            } else if seen.insert(caller) {
                guilty.push(caller);
            }
        }
    }
    places.into_iter().map(|name| format!("a training step can panic in {name}")).collect()
}

/// Some compilers write the types that a function is made for behind its name.
pub(super) fn is(symbol: &str, name: &str) -> bool {
    symbol.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with("::<"))
}

/// Whether samples in flash are called so.
pub(super) fn is_sample(name: &str) -> bool {
    SAMPLES.contains(&name)
}

/// The handler, and what the compiler calls on the way to it.
pub(super) fn is_panic(name: &str) -> bool {
    name.starts_with("core::panicking::") || name.ends_with("rust_begin_unwind")
}

#[cfg(test)]
mod tests {
    use super::super::references::example;
    use super::*;

    #[test]
    fn only_panics_on_a_path_from_the_step_count() {
        let (panic, slice) = ("core::panicking::panic_fmt", "core::slice::index::fail");
        let names = [IN_FLASH, "fixgrad::a", "fixgrad::b", panic, "main", slice, "out::write"];
        let common = [(0, 1), (4, 2), (4, 3), (2, 5), (5, 3), (3, 6), (6, 5)];
        assert_eq!(findings(&example(&names, &common), &[IN_FLASH]), [""; 0]);
        let through_b = [&common[..], &[(1, 2)]].concat();
        let findings = findings(&example(&names, &through_b), &[IN_FLASH]);
        assert_eq!(findings, ["a training step can panic in fixgrad::b"]);
    }

    #[test]
    fn a_function_may_be_named_with_its_types() {
        assert!(is("a::work", "a::work") && is("a::work::<5, b::C>", "a::work"));
        assert!(!is("a::work::inner", "a::work") && !is("a::worker", "a::work"));
    }

    #[test]
    fn a_firmware_without_the_step_is_not_taken_for_a_good_one() {
        let findings = findings(&example(&["main"], &[]), &[IN_FLASH]);
        assert!(findings[0].starts_with("cannot be checked for panics: 0 functions"));
    }

    #[test]
    fn floats_and_heaps_are_found_anywhere() {
        let findings = findings(&example(&[IN_FLASH, "__addsf3", "malloc"], &[]), &[IN_FLASH]);
        assert_eq!(findings, ["computes with floats: holds __addsf3", "has a heap: holds malloc"]);
    }
}
