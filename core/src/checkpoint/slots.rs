//! The slots of a journal: where they are, what they hold, and how one is filled.
//!
//! Nothing here depends on the capacity of a trainer, so it is compiled once for a flash.

use core::ops::Range;

use embedded_storage::nor_flash::NorFlash;

use super::{
    Demand,
    error::{CheckpointError, RegionError},
    header::{self, Extent, Header, Parsed},
    identity::Identity,
    stream::{Reader, Writer, align_up, unit},
};
use crate::trainer::{LayerMemory, States};

/// The last word of a slot: the checksum, and behind it this.
const COMMIT: [u8; 4] = *b"DONE";
const COMMIT_BYTES: usize = 8;

/// A region of flash in parts of equal size.
#[derive(Debug)]
pub(super) struct Slots<F> {
    flash: F,
    start: u32,
    /// Bytes of one.
    bytes: u32,
    count: u32,
    extent: Extent,
}

/// A slot with a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) slot: u32,
    pub(super) header: Header,
}

impl Found {
    /// Larger is newer. In a forged journal, sequence numbers may be equal; slots are not.
    pub(super) fn rank(&self) -> (u32, u32) {
        (self.header.sequence, self.slot)
    }
}

/// What became of a slot that has a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The commit mark is missing: power failed during the save.
    Uncommitted,
    /// Committed, and then changed; or written by no journal.
    Damaged,
    /// As it was saved; its checksum.
    Whole(u32),
}

impl<F: NorFlash> Slots<F> {
    /// Bytes of a slot.
    pub(super) const fn bytes(extent: Extent) -> u32 {
        let commit = align_up(COMMIT_BYTES as u32, unit::<F>());
        align_up(Self::commit_at(extent).saturating_add(commit), F::ERASE_SIZE as u32)
    }

    /// Where the state begins in a slot.
    const fn state_at() -> u32 {
        align_up(header::BYTES as u32, unit::<F>())
    }

    /// Where the commit mark begins in a slot.
    const fn commit_at(extent: Extent) -> u32 {
        Self::state_at().saturating_add(align_up(extent.bytes(), unit::<F>()))
    }

    pub(super) fn new(flash: F, region: Range<u32>, extent: Extent) -> Result<Self, RegionError> {
        let (Range { start, end }, page) = (region, F::ERASE_SIZE as u32);
        let capacity = flash.capacity();
        if start > end || end as usize > capacity {
            return Err(RegionError::OutOfBounds { start, end, capacity });
        }
        if !start.is_multiple_of(page) || !end.is_multiple_of(page) {
            return Err(RegionError::Misaligned { start, end, page });
        }
        let (found, bytes) = (end - start, Self::bytes(extent));
        let count = found / bytes;
        if count < 2 {
            return Err(RegionError::TooSmall { needed: bytes.saturating_mul(2), found });
        }
        Ok(Self { flash, start, bytes, count, extent })
    }

    pub(super) const fn extent(&self) -> Extent {
        self.extent
    }

    pub(super) const fn offset(&self, slot: u32) -> u32 {
        self.start + slot * self.bytes
    }

    /// The next slot of the ring.
    pub(super) const fn after(&self, slot: u32) -> u32 {
        if slot + 1 < self.count { slot + 1 } else { 0 }
    }

    pub(super) fn release(self) -> F {
        self.flash
    }

    pub(super) fn clear(&mut self) -> Result<(), F::Error> {
        self.flash.erase(self.start, self.offset(self.count))
    }

    pub(super) const fn header(&self, sequence: u32, step: u32, identity: Identity) -> Header {
        Header { sequence, step, identity, extent: self.extent }
    }

    fn parse(&mut self, slot: u32) -> Result<Parsed, F::Error> {
        let mut bytes = [0; header::BYTES];
        let at = self.offset(slot);
        Reader::new(&mut self.flash, at, header::BYTES as u32, &[]).take(&mut bytes)?;
        Ok(Header::parse(&bytes))
    }

    /// The newest slot with a header among those older than `before`.
    pub(super) fn newest(&mut self, before: Option<(u32, u32)>) -> Result<Option<Found>, F::Error> {
        let mut newest: Option<Found> = None;
        for slot in 0..self.count {
            let Parsed::Header(header) = self.parse(slot)? else { continue };
            let found = Found { slot, header };
            let older = before.is_none_or(|before| found.rank() < before);
            if older && newest.is_none_or(|newest| newest.rank() < found.rank()) {
                newest = Some(found);
            }
        }
        Ok(newest)
    }

    /// The version of the first slot that another release wrote.
    pub(super) fn other_version(&mut self) -> Result<Option<u16>, F::Error> {
        for slot in 0..self.count {
            if let Parsed::OtherVersion(version) = self.parse(slot)? {
                return Ok(Some(version));
            }
        }
        Ok(None)
    }

    /// Why a trainer does not take a state with this header.
    pub(super) fn refusal(
        &self,
        header: &Header,
        demand: Demand,
        wanted: &Identity,
    ) -> Option<CheckpointError<F::Error>> {
        let found = header.identity;
        if found.graph != wanted.graph {
            return Some(CheckpointError::WrongGraph {
                expected: wanted.graph,
                found: found.graph,
            });
        }
        if found.storage != wanted.storage || header.extent != self.extent {
            return Some(CheckpointError::WrongStorage {
                expected: wanted.storage,
                found: found.storage,
            });
        }
        (demand == Demand::SameConfig && found.config != wanted.config).then_some(
            CheckpointError::WrongConfig { expected: wanted.config, found: found.config },
        )
    }

    /// Reads the whole slot.
    pub(super) fn verdict(&mut self, found: &Found) -> Result<Verdict, F::Error> {
        let Found { slot, header } = found;
        let (at, extent) = (self.offset(*slot), header.extent);
        // A forged header, or that of a larger network, may lead out of the region.
        let end = self.offset(self.count);
        if Self::bytes(extent) > end - at {
            return Ok(Verdict::Damaged);
        }
        let mut commit = [0; COMMIT_BYTES];
        let commit_at = at + Self::commit_at(extent);
        Reader::new(&mut self.flash, commit_at, COMMIT_BYTES as u32, &[]).take(&mut commit)?;
        let [crc @ .., _, _, _, _] = commit;
        if !commit.ends_with(&COMMIT) {
            return Ok(Verdict::Uncommitted);
        }
        let mut reader = self.state(found);
        let mut record = [0; LayerMemory::BYTES];
        let mut plausible = true;
        for _ in 0..extent.layers {
            reader.take(&mut record)?;
            plausible &= LayerMemory::from_bytes(&record).is_plausible();
        }
        let sum = reader.finish()?;
        let whole = plausible && crc == sum.to_le_bytes();
        Ok(if whole { Verdict::Whole(sum) } else { Verdict::Damaged })
    }

    /// Copies a state that [`verdict`](Self::verdict) found whole; the steps done.
    pub(super) fn copy(
        &mut self,
        found: &Found,
        crc: u32,
        states: &mut States<'_>,
        parameters: &mut [u8],
    ) -> Result<u32, CheckpointError<F::Error>> {
        let unsteady = |_| CheckpointError::Unsteady;
        let mut reader = self.state(found);
        let mut record = [0; LayerMemory::BYTES];
        for layer in 0..states.len() {
            reader.take(&mut record).map_err(unsteady)?;
            states.restore(layer, &LayerMemory::from_bytes(&record));
        }
        reader.take(parameters).map_err(unsteady)?;
        if reader.finish().map_err(unsteady)? != crc {
            return Err(CheckpointError::Unsteady);
        }
        Ok(found.header.step)
    }

    /// Fills a slot, the commit mark last. False when it does not read back.
    pub(super) fn write(
        &mut self,
        found: &Found,
        layers: impl Iterator<Item = LayerMemory>,
        parameters: &[u8],
    ) -> Result<bool, F::Error> {
        let at = self.offset(found.slot);
        // Never trusted to be erased: power may have failed while it was.
        self.flash.erase(at, at + self.bytes)?;
        let mut writer = Writer::new(&mut self.flash, at);
        writer.push(&found.header.to_bytes())?;
        writer.flush()?;
        for memory in layers {
            writer.push(&memory.to_bytes())?;
        }
        writer.push(parameters)?;
        writer.flush()?;
        let crc = writer.checksum();
        // The checksum comes first: a mark that is there without it would look like damage.
        writer.push(&crc.to_le_bytes())?;
        writer.push(&COMMIT)?;
        writer.flush()?;
        Ok(self.parse(found.slot)? == Parsed::Header(found.header)
            && self.verdict(found)? == Verdict::Whole(crc))
    }

    /// A reader of layers and parameters, whose sum includes the header.
    fn state(&mut self, found: &Found) -> Reader<'_, F> {
        let at = self.offset(found.slot) + Self::state_at();
        Reader::new(&mut self.flash, at, found.header.extent.bytes(), &found.header.to_bytes())
    }
}
