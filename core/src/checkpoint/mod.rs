//! The state of training in NOR flash, whatever moment the power fails.
//!
//! A [`Journal`] is a ring of two or more slots in a region of flash. A save goes to the slot
//! after the newest one and is committed by its last word, so the state of the save before is
//! there until the new one is, and pages wear evenly. The bytes are described in
//! `docs/checkpoint.md`.
//!
//! ```
//! use embedded_storage::nor_flash::NorFlash;
//! use fixgrad::prelude::*;
//!
//! const NET: Graph<4> = Graph::input([1, 8, 8]).dense("fc1", 32).relu().dense("fc2", 10);
//! const TRAIN: Train = Train::new(32, Lr::ratio(1, 2));
//! const PLAN: Plan<4> = NET.plan(&TRAIN, &LayerConfig::tiny());
//!
//! fn run<F>(flash: F, batches: &[&[u8]], classes: &[&[u16]]) -> Result<(), Box<dyn std::error::Error>>
//! where
//!     F: NorFlash<Error: 'static>,
//! {
//!     let config = Config::uniform(NET.view(), LayerConfig::tiny(), TRAIN);
//!     let mut arena = Arena::<{ PLAN.ram() }>::for_plan(&PLAN);
//!     let mut trainer = Trainer::new(&NET, &config, arena.as_mut_slice(), Scalar, ())?;
//!
//!     // The size of the region is known at compile time.
//!     let start = 0x4000;
//!     let end = start + const { Journal::<F>::region_bytes(&PLAN, 4) };
//!     let mut journal = Journal::new(flash, start..end, &PLAN)?;
//!     journal.load(&mut trainer)?;
//!     while let Some(batch) = batches.get(trainer.steps() as usize) {
//!         let samples = Samples { data: SampleData::U8(batch), exponent: -8 };
//!         let targets = Targets::Classes(classes[trainer.steps() as usize]);
//!         trainer.step(samples, targets)?;
//!         if trainer.steps() % 100 == 0 {
//!             journal.save(&trainer)?;
//!         }
//!     }
//!     Ok(())
//! }
//! ```
//!
//! # What is guaranteed
//!
//! Tests are in the package `fixgrad-tests`; on which flash, see [`Journal`].
//!
//! - **Old or new.** Power that fails at any byte of a save or of an erase leaves the state of
//!   this save or of the one before: `every_cut_leaves_the_old_or_the_new_state`.
//! - **Same bits.** A run that was cut and resumed ends like one that never was: the same test.
//!   The state is all that decides later steps, except what a [`Strategy`] of your own remembers.
//! - **All or nothing.** Checksum and content are checked before the first byte of the trainer
//!   changes: `damaged_images_give_an_older_state_or_an_error`.
//! - **No panic**, whatever the flash holds: `forged_images_never_panic`.
//! - **Even wear.** Every slot takes its turn: `slots_wear_evenly`.
//! - **256 bytes of buffer** on the stack, and no copy of the state.

mod error;
mod header;
mod identity;
mod slots;
mod stream;

use core::ops::Range;

use embedded_storage::nor_flash::NorFlash;

pub use error::{CheckpointError, RegionError};
use header::Extent;
pub use header::VERSION;
use identity::Identity;
use slots::{Found, Slots, Verdict};

use crate::{
    graph::Plan,
    kernel::Kernel,
    strategy::Strategy,
    trainer::{Planned, Trainer},
};

/// What was loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Loaded {
    /// Steps of training that were done.
    pub step: u32,
    /// Counts saves.
    pub sequence: u32,
    /// First byte of the slot.
    pub offset: u32,
    /// Newer checkpoints that had been committed and were passed over because they are damaged.
    /// More than zero is a reason to suspect the flash, unless its words are longer than 4 bytes: then
    /// power that failed within the last word of a save can leave such, too.
    pub damaged: u32,
}

/// What was saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Saved {
    /// Counts saves.
    pub sequence: u32,
    /// First byte of the slot.
    pub offset: u32,
}

/// Which checkpoints a trainer takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Demand {
    /// Those that lead to the same bits.
    SameConfig,
    /// Those whose parameters mean the same.
    SameStorage,
}

/// What a load takes.
struct Choice {
    found: Found,
    crc: u32,
    /// Damaged checkpoints that are newer.
    damaged: u32,
}

/// A ring of checkpoints in a region of flash.
///
/// The flash must keep the contract of [`NorFlash`]: when power fails, the words that are being
/// written or the pages that are being erased may hold anything, and all others what they held.
/// No word is written twice between two erases, so flash with error correction will do, if its driver
/// reads a word that power failed in as any bytes: where reading it is an error, as on some chips
/// (STM32L5, G4, H5: an NMI), `load` and `save` end with that error.
/// Its `READ_SIZE` and `WRITE_SIZE` must divide 256; another flash does not build.
#[derive(Debug)]
pub struct Journal<F> {
    slots: Slots<F>,
    /// The slot that was loaded or saved last: what a cut must fall back to.
    current: Option<u32>,
    /// The slot of the last save, also when it failed: the next one goes on from here, so that it
    /// does not meet the same bad page.
    tried: Option<u32>,
}

impl<F: NorFlash> Journal<F> {
    /// Bytes of one checkpoint of a network with this plan, in whole pages.
    pub const fn slot_bytes<const N: usize>(plan: &Plan<N>) -> u32 {
        Slots::<F>::bytes(extent(plan))
    }

    /// Bytes of a region for so many checkpoints. Two is the least; more make the flash live
    /// longer.
    pub const fn region_bytes<const N: usize>(plan: &Plan<N>, slots: u32) -> u32 {
        Self::slot_bytes(plan).saturating_mul(slots)
    }

    /// A journal of a network with this plan. Reads and writes nothing.
    ///
    /// As many slots as fit are used. Keep the region of a device in the field: with other ends or
    /// slots of another size, older checkpoints may not be found.
    pub fn new<const N: usize>(
        flash: F,
        region: Range<u32>,
        plan: &Plan<N>,
    ) -> Result<Self, RegionError> {
        Ok(Self { slots: Slots::new(flash, region, extent(plan))?, current: None, tried: None })
    }

    /// Puts the trainer into the newest state that was saved for it, and says which; nothing where
    /// none was saved. After an error the trainer is as it was; only after
    /// [`Unsteady`](CheckpointError::Unsteady) it is reset.
    pub fn load<const N: usize, K: Kernel, S: Strategy, P: Planned<N>>(
        &mut self,
        trainer: &mut Trainer<'_, N, K, S, P>,
    ) -> Result<Option<Loaded>, CheckpointError<F::Error>> {
        self.load_as(Demand::SameConfig, trainer)
    }

    /// As [`load`](Self::load), and takes a state that was saved under other settings, as a new
    /// firmware with another learning rate may want to. The settings of master weights, momentum
    /// and channels must be the same, because they give the bytes their meaning.
    pub fn adopt<const N: usize, K: Kernel, S: Strategy, P: Planned<N>>(
        &mut self,
        trainer: &mut Trainer<'_, N, K, S, P>,
    ) -> Result<Option<Loaded>, CheckpointError<F::Error>> {
        self.load_as(Demand::SameStorage, trainer)
    }

    /// Saves the state of the trainer and reads it back. After an error, the state of the save
    /// before is still there.
    pub fn save<const N: usize, K: Kernel, S: Strategy, P: Planned<N>>(
        &mut self,
        trainer: &Trainer<'_, N, K, S, P>,
    ) -> Result<Saved, CheckpointError<F::Error>> {
        self.check(extent(trainer.plan()))?;
        if !trainer.is_between_steps() {
            return Err(CheckpointError::WithinStep);
        }
        // Possible after a forged state was loaded.
        if !trainer.states().all(|state| state.memory().is_plausible()) {
            return Err(CheckpointError::Bounds);
        }
        let identity = identity(trainer);
        let keep = self.slot_to_keep(&identity).map_err(CheckpointError::Flash)?;
        let newest = self.slots.newest(None).map_err(CheckpointError::Flash)?;
        let sequence = newest.map_or(Some(0), |newest| newest.header.sequence.checked_add(1));
        let sequence = sequence.ok_or(CheckpointError::SequenceSpent)?;
        let last = self.tried.or(newest.map(|newest| newest.slot));
        let mut slot = last.map_or(0, |last| self.slots.after(last));
        if keep == Some(slot) {
            slot = self.slots.after(slot);
        }
        self.tried = Some(slot);
        let found = Found { slot, header: self.slots.header(sequence, trainer.steps(), identity) };
        let memories = trainer.states().map(|state| state.memory());
        let kept = self.slots.write(&found, memories, trainer.persistent());
        let offset = self.slots.offset(slot);
        if !kept.map_err(CheckpointError::Flash)? {
            return Err(CheckpointError::NotKept { offset });
        }
        self.current = Some(slot);
        Ok(Saved { sequence, offset })
    }

    /// Erases the whole region. A power cut may leave some of the checkpoints.
    pub fn clear(&mut self) -> Result<(), CheckpointError<F::Error>> {
        (self.current, self.tried) = (None, None);
        self.slots.clear().map_err(CheckpointError::Flash)
    }

    /// Gives the flash back.
    pub fn release(self) -> F {
        self.slots.release()
    }

    fn load_as<const N: usize, K: Kernel, S: Strategy, P: Planned<N>>(
        &mut self,
        demand: Demand,
        trainer: &mut Trainer<'_, N, K, S, P>,
    ) -> Result<Option<Loaded>, CheckpointError<F::Error>> {
        self.check(extent(trainer.plan()))?;
        let Some(Choice { found, crc, damaged }) = self.find(demand, &identity(trainer))? else {
            return Ok(None);
        };
        trainer.refill(|states, parameters| self.slots.copy(&found, crc, states, parameters))?;
        self.current = Some(found.slot);
        let Found { slot, header } = found;
        let offset = self.slots.offset(slot);
        Ok(Some(Loaded { step: header.step, sequence: header.sequence, offset, damaged }))
    }

    /// The newest whole checkpoint that is wanted.
    fn find(
        &mut self,
        demand: Demand,
        wanted: &Identity,
    ) -> Result<Option<Choice>, CheckpointError<F::Error>> {
        let (mut refusal, mut damaged, mut before) = (None, 0, None);
        while let Some(found) = self.slots.newest(before).map_err(CheckpointError::Flash)? {
            before = Some(found.rank());
            match self.slots.verdict(&found).map_err(CheckpointError::Flash)? {
                Verdict::Uncommitted => {}
                Verdict::Damaged => damaged += 1,
                Verdict::Whole(crc) => match self.slots.refusal(&found.header, demand, wanted) {
                    None => return Ok(Some(Choice { found, crc, damaged })),
                    other => refusal = refusal.or(other),
                },
            }
        }
        let other = self.slots.other_version().map_err(CheckpointError::Flash)?;
        let other = other.map(|found| CheckpointError::WrongVersion { expected: VERSION, found });
        let damage = (damaged > 0).then_some(CheckpointError::Damaged { slots: damaged });
        refusal.or(other).or(damage).map_or(Ok(None), Err)
    }

    /// The slot that a save must not touch: what was loaded or saved last, else the newest that
    /// would be loaded, else the newest.
    fn slot_to_keep(&mut self, mine: &Identity) -> Result<Option<u32>, F::Error> {
        let (mut own, mut any, mut before) = (None, None, None);
        while let Some(found) = self.slots.newest(before)? {
            before = Some(found.rank());
            if !matches!(self.slots.verdict(&found)?, Verdict::Whole(_)) {
                continue;
            }
            let slot = Some(found.slot);
            if self.slots.refusal(&found.header, Demand::SameConfig, mine).is_none() {
                own = own.or(slot);
            }
            if self.current.or(own) == slot {
                return Ok(slot);
            }
            any = any.or(slot);
        }
        Ok(own.or(any))
    }

    fn check(&self, found: Extent) -> Result<(), CheckpointError<F::Error>> {
        let expected = self.slots.extent();
        if expected == found {
            return Ok(());
        }
        Err(CheckpointError::OtherPlan { expected: expected.bytes(), found: found.bytes() })
    }
}

const fn extent<const N: usize>(plan: &Plan<N>) -> Extent {
    // A plan has at most 255 layers, and its offsets are 32 bits wide.
    Extent { layers: plan.layers().len() as u16, parameters: plan.persistent as u32 }
}

fn identity<const N: usize, K: Kernel, S: Strategy, P: Planned<N>>(
    trainer: &Trainer<'_, N, K, S, P>,
) -> Identity {
    let (graph, train, layers, strategies) = trainer.purpose();
    let mut identity = Identity::of(graph, trainer.plan().layers(), train, layers, strategies);
    if let Some(crc) = trainer.stored_crc() {
        identity.storage ^= crc;
    }
    identity
}
