//! The memory where samples and configurations arrive.

use super::{Batch, Refusal, Storage, Wanted};
use crate::{
    config::CRC32,
    trainer::{SampleData, Samples, Targets},
};

/// The memory where samples and configurations arrive. It is the firmware's; its size decides how
/// many samples can be sent at once.
#[derive(Debug)]
pub(super) struct Store<'a> {
    bytes: &'a mut [u8],
}

impl<'a> Store<'a> {
    /// Leaves out bytes in front of the first multiple of four.
    pub(super) fn new(bytes: &'a mut [u8]) -> Self {
        let (_, words, _) = bytemuck::pod_align_to_mut::<u8, u32>(bytes);
        Self { bytes: bytemuck::cast_slice_mut(words) }
    }

    pub(super) const fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn put(&mut self, at: u32, bytes: &[u8]) -> Result<(), Refusal> {
        let (from, found) = (at as usize, self.bytes.len());
        let end = from.saturating_add(bytes.len());
        let Some(place) = self.bytes.get_mut(from..end) else {
            return Err(outside(end, found));
        };
        place.copy_from_slice(bytes);
        Ok(())
    }

    /// The first bytes.
    pub(super) fn front(&self, len: u32) -> Result<&[u8], Refusal> {
        let len = len as usize;
        self.bytes.get(..len).ok_or(outside(len, self.bytes.len()))
    }

    /// The samples and targets that the batch describes, when they are those that it means.
    pub(super) fn batch(
        &self,
        batch: &Batch,
        (sample, outputs): (usize, usize),
    ) -> Result<(Samples<'_>, Targets<'_>), Refusal> {
        let layout = Layout::of(batch, sample, outputs);
        let bytes = self.bytes.get(..layout.end).ok_or(outside(layout.end, self.bytes.len()))?;
        if CRC32.checksum(bytes) != batch.crc {
            return Err(Refusal::OtherSamples);
        }
        let samples = bytes.get(..layout.samples).unwrap_or_default();
        let targets = bytes.get(layout.targets..).unwrap_or_default();
        let data = match batch.storage {
            Storage::U8 => SampleData::U8(samples),
            Storage::I8 => SampleData::I8(bytemuck::cast_slice(samples)),
            // The store starts at a multiple of four, and little-endian is what every supported
            // machine has.
            Storage::I16 => SampleData::I16(bytemuck::try_cast_slice(samples).unwrap_or_default()),
        };
        let targets = match batch.targets {
            Wanted::Classes => {
                Targets::Classes(bytemuck::try_cast_slice(targets).unwrap_or_default())
            }
            Wanted::Values { exponent } => {
                let mantissas = bytemuck::try_cast_slice(targets).unwrap_or_default();
                Targets::Values { mantissas, exponent }
            }
        };
        Ok((Samples { data, exponent: batch.exponent }, targets))
    }
}

/// Where samples and targets lie.
struct Layout {
    samples: usize,
    targets: usize,
    end: usize,
}

impl Layout {
    fn of(batch: &Batch, sample: usize, outputs: usize) -> Self {
        let count = usize::from(batch.count);
        let width = if batch.storage == Storage::I16 { 2 } else { 1 };
        let wanted = if batch.targets == Wanted::Classes { 1 } else { outputs };
        let samples = count.saturating_mul(sample).saturating_mul(width);
        let targets = samples.saturating_add(samples % 2);
        let end = targets.saturating_add(count.saturating_mul(wanted).saturating_mul(2));
        Self { samples, targets, end }
    }
}

fn outside(needed: usize, found: usize) -> Refusal {
    let narrow = |n| u32::try_from(n).unwrap_or(u32::MAX);
    Refusal::Outside { needed: narrow(needed), found: narrow(found) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(align(4))]
    struct Aligned([u8; 17]);

    fn batch(bytes: &[u8], storage: Storage, targets: Wanted) -> Batch {
        Batch { count: 1, storage, exponent: -3, targets, crc: CRC32.checksum(bytes) }
    }

    #[test]
    fn samples_and_targets_come_back() {
        let mut memory = Aligned([0; 17]);
        // From the odd byte on, the first word is at 4.
        let mut store = Store::new(&mut memory.0[1..]);
        assert_eq!(store.len(), 12);
        let bytes = [1, 2, 255, 9, 7, 0];
        store.put(0, &bytes[..2]).unwrap();
        store.put(2, &bytes[2..]).unwrap();
        let (samples, targets) =
            store.batch(&batch(&bytes, Storage::U8, Wanted::Classes), (3, 9)).unwrap();
        assert!(matches!(samples, Samples { data: SampleData::U8(&[1, 2, 255]), exponent: -3 }));
        assert!(matches!(targets, Targets::Classes(&[7])), "{targets:?}");
        let wanted = Wanted::Values { exponent: 5 };
        let (samples, targets) = store.batch(&batch(&bytes, Storage::I16, wanted), (1, 2)).unwrap();
        assert!(matches!(samples.data, SampleData::I16(&[513])));
        assert!(matches!(targets, Targets::Values { mantissas: &[2559, 7], exponent: 5 }));
    }

    #[test]
    fn other_bytes_and_bytes_outside_are_refused() {
        let mut memory = Aligned([0; 17]);
        let mut store = Store::new(&mut memory.0);
        assert_eq!(store.put(15, &[1, 2]), Err(Refusal::Outside { needed: 17, found: 16 }));
        let at = u32::MAX;
        assert!(matches!(store.put(at, &[1]), Err(Refusal::Outside { found: 16, .. })));
        assert!(store.front(17).is_err() && store.front(16).is_ok());
        let announced = batch(&[1, 0, 0, 0], Storage::U8, Wanted::Classes);
        assert_eq!(store.batch(&announced, (2, 2)).unwrap_err(), Refusal::OtherSamples);
        let error = store.batch(&announced, (usize::MAX, 2)).unwrap_err();
        assert_eq!(error, Refusal::Outside { needed: u32::MAX, found: 16 });
    }
}
