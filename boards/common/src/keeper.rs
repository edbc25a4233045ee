//! What a board keeps over a power cut: the network that a desktop sent, and checkpoints of it.
//!
//! The first page of the region holds the network, because a checkpoint means nothing without it;
//! the pages behind it are a [`Journal`]. A checkpoint is old or new, whenever the power fails. The
//! network is written anew only when the first checkpoint of another one has been saved: power that
//! fails within that one write leaves no network, and the board starts with its own; power that fails
//! before leaves the old one, and its newest checkpoint too, unless those of the new one are of another
//! length, so that they lie across.

use core::fmt;

use embedded_storage::nor_flash::{NorFlash, NorFlashError};
use fixgrad::{
    checkpoint::{CheckpointError, Journal, Loaded, RegionError, Saved},
    config::BlobError,
    kernel::Kernel,
    link::Network,
    strategy::Strategy,
    trainer::Trainer,
};

/// Bytes of the longest network that is kept, and of its length in front of it.
const LONGEST: usize = 1024;
const LENGTH: usize = 4;

/// Keeps networks and checkpoints in a whole flash.
///
/// Its functions are never inlined: their buffers would lie on the stack during training, too.
#[derive(Debug)]
pub struct Keeper<F> {
    flash: F,
}

/// Why something could not be kept or found.
#[derive(Debug)]
#[non_exhaustive]
pub enum KeepError<E> {
    /// The flash failed.
    Flash(E),
    /// The network is too long to be kept.
    Network(BlobError),
    /// The trainer is one of a task, which stands in the firmware and needs not be kept.
    NoConfig,
    /// There is no room for two checkpoints of this network.
    Region(RegionError),
    /// The flash does not hold what was written for the network: its first page is worn out.
    NotKept,
    /// There is no checkpoint to be had.
    Checkpoint(CheckpointError<E>),
}

impl<E: NorFlashError> fmt::Display for KeepError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flash(error) => write!(f, "the flash failed: {:?}", error.kind()),
            Self::Network(error) => write!(f, "the network is too long to be kept: {error}"),
            Self::NoConfig => f.write_str("a task stands in the firmware and is not kept"),
            Self::Region(error) => error.fmt(f),
            Self::NotKept => {
                f.write_str("the flash does not hold the network: its first page is worn out")
            }
            Self::Checkpoint(error) => error.fmt(f),
        }
    }
}

impl<E: NorFlashError> core::error::Error for KeepError<E> {}

impl<E> From<CheckpointError<E>> for KeepError<E> {
    fn from(error: CheckpointError<E>) -> Self {
        Self::Checkpoint(error)
    }
}

/// Some flashes take words only, so buffers start at one.
#[repr(align(8))]
struct Page([u8; LONGEST]);

impl Page {
    /// Writes the trainer's network into an empty page.
    fn fill<const N: usize, K: Kernel, S: Strategy, E>(
        &mut self,
        trainer: &Trainer<'_, N, K, S>,
    ) -> Result<(), KeepError<E>> {
        let Some(config) = trainer.config() else { return Err(KeepError::NoConfig) };
        let (length, rest) = self.0.split_at_mut(LENGTH);
        let bytes = Network::encode(trainer.graph(), config, rest);
        let used = bytes.map_err(KeepError::Network)?.len();
        length.copy_from_slice(&(used as u32).to_le_bytes());
        Ok(())
    }
}

impl<F: NorFlash> Keeper<F> {
    /// A keeper of all of this flash.
    pub const fn new(flash: F) -> Self {
        Self { flash }
    }

    /// The network that was kept, if there is one.
    #[inline(never)]
    pub fn network<const N: usize>(&mut self) -> Option<Network<N>> {
        let mut page = Page([0xff; LONGEST]);
        self.flash.read(0, &mut page.0).ok()?;
        let (length, rest) = page.0.split_first_chunk::<LENGTH>()?;
        let bytes = rest.get(..u32::from_le_bytes(*length) as usize)?;
        Network::decode(bytes, None).ok()
    }

    /// Replaces a network by the one that was kept; false where there is none.
    #[inline(never)]
    pub fn restore<const N: usize>(&mut self, network: &mut Network<N>) -> bool {
        let kept = self.network();
        let is_kept = kept.is_some();
        if let Some(kept) = kept {
            *network = kept;
        }
        is_kept
    }

    /// Puts the trainer into the state that was saved last for its network.
    #[inline(never)]
    pub fn load<const N: usize, K: Kernel, S: Strategy>(
        &mut self,
        trainer: &mut Trainer<'_, N, K, S>,
    ) -> Result<Option<Loaded>, KeepError<F::Error>> {
        Ok(self.journal(trainer)?.load(trainer)?)
    }

    /// Saves the state of the trainer, and its network where another one is kept.
    #[inline(never)]
    pub fn save<const N: usize, K: Kernel, S: Strategy>(
        &mut self,
        trainer: &Trainer<'_, N, K, S>,
    ) -> Result<Saved, KeepError<F::Error>> {
        // First of all it is found out whether there is room, and last of all the old network goes.
        Self::check_network(trainer)?;
        let mut journal = self.journal(trainer)?;
        let saved = match journal.save(trainer) {
            // The next slot, not the same bad page with every save.
            Err(CheckpointError::NotKept { .. }) => journal.save(trainer),
            saved => saved,
        }?;
        self.keep_network(trainer)?;
        Ok(saved)
    }

    fn journal<const N: usize, K: Kernel, S: Strategy>(
        &mut self,
        trainer: &Trainer<'_, N, K, S>,
    ) -> Result<Journal<&mut F>, KeepError<F::Error>> {
        let end = self.flash.capacity() as u32;
        let region = first_page::<F>()..end;
        Journal::new(&mut self.flash, region, trainer.plan()).map_err(KeepError::Region)
    }

    /// Whether the network can be kept. As keeping it, not inlined: the buffers of a save would come on top.
    #[inline(never)]
    fn check_network<const N: usize, K: Kernel, S: Strategy>(
        trainer: &Trainer<'_, N, K, S>,
    ) -> Result<(), KeepError<F::Error>> {
        Page([0xff; LONGEST]).fill(trainer)
    }

    #[inline(never)]
    fn keep_network<const N: usize, K: Kernel, S: Strategy>(
        &mut self,
        trainer: &Trainer<'_, N, K, S>,
    ) -> Result<(), KeepError<F::Error>> {
        let mut page = Page([0xff; LONGEST]);
        page.fill(trainer)?;
        if self.holds(&page)? {
            return Ok(());
        }
        self.flash.erase(0, first_page::<F>()).map_err(KeepError::Flash)?;
        self.flash.write(0, &page.0).map_err(KeepError::Flash)?;
        if self.holds(&page)? { Ok(()) } else { Err(KeepError::NotKept) }
    }

    /// Whether the flash has this page.
    fn holds(&mut self, page: &Page) -> Result<bool, KeepError<F::Error>> {
        let mut there = Page([0; LONGEST]);
        self.flash.read(0, &mut there.0).map_err(KeepError::Flash)?;
        Ok(there.0 == page.0)
    }
}

/// As many pages as hold a network.
const fn first_page<F: NorFlash>() -> u32 {
    LONGEST.next_multiple_of(F::ERASE_SIZE) as u32
}

#[cfg(test)]
mod tests {
    use core::ops::Range;

    use fixgrad::{kernel::Scalar, prelude::*};

    use super::*;
    use crate::{digits, nor::NorInRam};

    type Flash<'a> = NorInRam<'a, 8, 2048>;

    type DigitsByConfig<'a> = Trainer<'a, { digits::LAYERS }, Scalar, ()>;

    fn trainer<'a>(
        config: &'a Config<{ digits::LAYERS }>,
        memory: &'a mut [u8],
    ) -> DigitsByConfig<'a> {
        Trainer::new(&digits::NET, config, memory, Scalar, ()).unwrap()
    }

    fn train(trainer: &mut DigitsByConfig<'_>, step: u32) {
        let batch = digits::batch(step);
        trainer.step(batch.samples, batch.targets).unwrap();
    }

    #[test]
    fn network_and_state_come_back() {
        let mut memory = [0; 64 << 10];
        let mut keeper = Keeper::new(Flash::new(&mut memory));
        assert!(keeper.network::<{ digits::LAYERS }>().is_none());

        let config = Config::uniform(digits::NET.view(), digits::LAYER, digits::TRAIN);
        let mut arena = Arena::<8_000>::new();
        let mut trainer = trainer(&config, arena.as_mut_slice());
        assert!(keeper.load(&mut trainer).unwrap().is_none());
        train(&mut trainer, 0);
        let digest = trainer.digest();
        keeper.save(&trainer).unwrap();
        train(&mut trainer, 1);
        assert_eq!(keeper.save(&trainer).unwrap().sequence, 1);
        let later = trainer.digest();
        assert_ne!(digest, later);

        let network = keeper.network::<{ digits::LAYERS }>().unwrap();
        assert_eq!(network, Network { graph: digits::NET, config: config.clone() });
        trainer.reset();
        assert_eq!(keeper.load(&mut trainer).unwrap().unwrap().step, 2);
        assert_eq!(trainer.digest(), later);
    }

    /// A flash that loses what is written to some bytes, and whose power fails when some are erased.
    struct Worn<'a> {
        flash: Flash<'a>,
        lost: Range<u32>,
        cut: Range<u32>,
    }

    impl embedded_storage::nor_flash::ErrorType for Worn<'_> {
        type Error = embedded_storage::nor_flash::NorFlashErrorKind;
    }

    impl embedded_storage::nor_flash::ReadNorFlash for Worn<'_> {
        const READ_SIZE: usize = Flash::READ_SIZE;
        fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
            self.flash.read(offset, bytes).map_err(|error| error.kind())
        }
        fn capacity(&self) -> usize {
            self.flash.capacity()
        }
    }

    impl NorFlash for Worn<'_> {
        const WRITE_SIZE: usize = Flash::WRITE_SIZE;
        const ERASE_SIZE: usize = Flash::ERASE_SIZE;
        fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
            if self.cut.contains(&from) {
                return Err(Self::Error::Other);
            }
            self.flash.erase(from, to).map_err(|error| error.kind())
        }
        fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
            if self.lost.contains(&offset) {
                return Ok(());
            }
            self.flash.write(offset, bytes).map_err(|error| error.kind())
        }
    }

    #[test]
    fn the_old_network_and_its_state_stay_until_the_new_state_is_saved() {
        let mut memory = [0; 64 << 10];
        let config = Config::uniform(digits::NET.view(), digits::LAYER, digits::TRAIN);
        let mut arena = Arena::<8_000>::new();
        let mut old = trainer(&config, arena.as_mut_slice());
        train(&mut old, 0);
        Keeper::new(Flash::new(&mut memory)).save(&old).unwrap();
        let digest = old.digest();

        let mut other = config.clone();
        other.train.seed += 1;
        let mut arena = Arena::<8_000>::new();
        let mut new = trainer(&other, arena.as_mut_slice());
        // Half a step is refused before anything is written.
        let batch = digits::batch(0);
        new.accumulate(batch.samples, batch.targets).unwrap();
        let mut keeper = Keeper::new(Flash::new(&mut memory));
        let refused = keeper.save(&new);
        assert!(matches!(refused, Err(KeepError::Checkpoint(CheckpointError::WithinStep))));
        assert_eq!(keeper.network::<{ digits::LAYERS }>().unwrap().config, config);
        // Power fails between the state and the network.
        new.update().unwrap();
        let cut = Worn { flash: Flash::new(&mut memory), lost: 0..0, cut: 0..1 };
        assert!(Keeper::new(cut).save(&new).is_err());
        let mut keeper = Keeper::new(Flash::new(&mut memory));
        assert_eq!(keeper.network::<{ digits::LAYERS }>().unwrap().config, config);
        old.reset();
        assert!(keeper.load(&mut old).unwrap().is_some());
        assert_eq!(old.digest(), digest);
        // With power that lasts, the new one is kept.
        keeper.save(&new).unwrap();
        assert_eq!(keeper.network::<{ digits::LAYERS }>().unwrap().config, other);
    }

    #[test]
    fn a_worn_slot_is_passed_over() {
        let mut memory = [0; 64 << 10];
        let config = Config::uniform(digits::NET.view(), digits::LAYER, digits::TRAIN);
        let mut arena = Arena::<8_000>::new();
        let mut trainer = trainer(&config, arena.as_mut_slice());
        let slot = Journal::<Flash<'_>>::slot_bytes(trainer.plan());
        let second = first_page::<Flash<'_>>() + slot;
        for step in 0..4 {
            train(&mut trainer, step);
            let flash = Flash::new(&mut memory);
            let lost = second..second + 1;
            // As a station does, which makes a journal for every commit.
            let saved = Keeper::new(Worn { flash, lost, cut: 0..0 }).save(&trainer).unwrap();
            assert_ne!(saved.offset, second);
        }
        let digest = trainer.digest();
        trainer.reset();
        Keeper::new(Flash::new(&mut memory)).load(&mut trainer).unwrap().unwrap();
        assert_eq!(trainer.digest(), digest);
    }

    #[test]
    fn what_does_not_fit_is_refused_and_what_was_kept_stays() {
        let mut memory = [0; 64 << 10];
        Keeper::new(Flash::new(&mut memory)).flash.erase(0, 64 << 10).unwrap();
        let config = Config::uniform(digits::NET.view(), digits::LAYER, digits::TRAIN);
        let mut arena = Arena::<8_000>::new();
        let trainer = trainer(&config, arena.as_mut_slice());
        let small = memory.get_mut(..8 << 10).unwrap();
        let mut keeper = Keeper::new(Flash::new(small));
        assert!(matches!(keeper.save(&trainer), Err(KeepError::Region(_))));
        assert!(memory.iter().all(|&byte| byte == 0xff));
    }
}
