//! Samples and targets as the bytes that a device's store takes.

use fixgrad::{
    config::CRC32,
    link::{Batch, Storage, Wanted},
    trainer::{SampleData, Samples, Targets},
};

/// The bytes of `count` samples and their targets, and their description.
pub fn pack(samples: Samples<'_>, targets: Targets<'_>, count: u16) -> (Vec<u8>, Batch) {
    let (mut bytes, storage) = match samples.data {
        SampleData::U8(data) => (data.to_vec(), Storage::U8),
        SampleData::I8(data) => (data.iter().map(|m| m.cast_unsigned()).collect(), Storage::I8),
        SampleData::I16(data) => {
            (data.iter().flat_map(|m| m.to_le_bytes()).collect(), Storage::I16)
        }
    };
    // Targets start at an even byte.
    bytes.resize(bytes.len().next_multiple_of(2), 0);
    let wanted = match targets {
        Targets::Classes(classes) => {
            bytes.extend(classes.iter().flat_map(|class| class.to_le_bytes()));
            Wanted::Classes
        }
        Targets::Values { mantissas, exponent } => {
            bytes.extend(mantissas.iter().flat_map(|m| m.to_le_bytes()));
            Wanted::Values { exponent }
        }
    };
    let crc = CRC32.checksum(&bytes);
    let batch = Batch { count, storage, exponent: samples.exponent, targets: wanted, crc };
    (bytes, batch)
}

/// Samples `from..from + count` and their targets.
pub(super) fn part<'a>(
    (samples, targets): (Samples<'a>, Targets<'a>),
    (sample, outputs): (usize, usize),
    from: usize,
    count: usize,
) -> (Samples<'a>, Targets<'a>) {
    let targets = match targets {
        Targets::Classes(classes) => Targets::Classes(&classes[from..from + count]),
        Targets::Values { mantissas, exponent } => {
            let mantissas = &mantissas[from * outputs..(from + count) * outputs];
            Targets::Values { mantissas, exponent }
        }
    };
    (samples.part(from * sample, count * sample), targets)
}

/// Bytes of `count` samples and their targets.
pub(super) fn size(
    samples: Samples<'_>,
    targets: Targets<'_>,
    (sample, outputs): (usize, usize),
    count: usize,
) -> usize {
    let width = if matches!(samples.data, SampleData::I16(_)) { 2 } else { 1 };
    let wanted = if matches!(targets, Targets::Classes(_)) { 1 } else { outputs };
    (count * sample * width).next_multiple_of(2) + count * wanted * 2
}
