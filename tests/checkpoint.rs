//! What a journal takes, what it refuses, and that no image of a flash makes it panic.

use std::{fmt::Write, fs, path::Path};

use fixgrad::{
    checkpoint::{CheckpointError, Journal, Loaded, RegionError, VERSION},
    config::{CRC32, Config, Master},
    graph::Graph,
    kernel::Scalar,
    optim::Lr,
    trainer::{SampleData, Samples, Targets, Trainer},
};
use fixgrad_tests::{
    flash::{Cut, Fault, Flash},
    mutate::Mutator,
    resume::{LAYERS, NET, Small, State, config, plan, states, step, trainer},
    run::Memory,
};

const PAGE: usize = 64;
type Chip = Flash<1, 4, PAGE>;
type Error = CheckpointError<Fault>;

/// A flash that holds the states after `1..=saves` steps.
fn saved(slots: u32, saves: u32) -> Chip {
    saved_with(&config(), slots, saves)
}

fn saved_with(config: &Config<LAYERS>, slots: u32, saves: u32) -> Chip {
    let region = Journal::<Chip>::region_bytes(&plan(config), slots);
    let mut flash = Chip::new(region as usize / PAGE);
    let mut journal = journal(&mut flash, config);
    let mut memory = Memory::for_trainer(config);
    let mut trainer = trainer(config, &mut memory);
    for _ in 0..saves {
        step(&mut trainer);
        journal.save(&trainer).expect("a save");
    }
    flash
}

fn journal<'f>(flash: &'f mut Chip, config: &Config<LAYERS>) -> Journal<&'f mut Chip> {
    let end = flash.bytes.len() as u32;
    Journal::new(flash, 0..end, &plan(config)).expect("room for the journal")
}

/// Loads into a trainer that has done two steps, and checks what an error promises.
fn load(flash: &mut Chip, config: &Config<LAYERS>) -> (Result<Option<Loaded>, Error>, State) {
    let mut memory = Memory::for_trainer(config);
    let mut trainer = trainer(config, &mut memory);
    step(&mut trainer);
    step(&mut trainer);
    let before = State::of(&trainer);
    let result = journal(flash, config).load(&mut trainer);
    let after = State::of(&trainer);
    match result {
        Ok(Some(loaded)) => assert_eq!(loaded.step, after.step),
        Err(CheckpointError::Unsteady) => assert_eq!(after.step, 0),
        _ => assert_eq!(after, before, "{result:?} leaves the trainer as it was"),
    }
    (result, after)
}

fn slot() -> usize {
    Journal::<Chip>::slot_bytes(&plan(&config())) as usize
}

/// Where a slot keeps its step and its first parameter, and where its commit mark begins.
const STEP: usize = 12;
const PARAMETERS: usize = 36 + LAYERS * 68;
fn commit() -> usize {
    PARAMETERS + plan(&config()).persistent.next_multiple_of(4)
}

/// Makes the checksums of a slot right again.
fn reseal(slot: &mut [u8]) {
    let sum = CRC32.checksum(&slot[..32]);
    slot[32..36].copy_from_slice(&sum.to_le_bytes());
    let (commit, end) = (commit(), PARAMETERS + plan(&config()).persistent);
    let sum = CRC32.checksum(&slot[..end]);
    slot[commit..commit + 4].copy_from_slice(&sum.to_le_bytes());
    slot[commit + 4..commit + 8].copy_from_slice(b"DONE");
}

#[test]
fn a_region_says_what_it_needs() {
    let (plan, slot) = (plan(&config()), slot() as u32);
    let new = |capacity: usize, region| {
        Journal::new(Chip::new(capacity / PAGE), region, &plan).map(|_| ()).unwrap_err()
    };
    let error = new(1 << 20, 0..slot);
    assert_eq!(error, RegionError::TooSmall { needed: 2 * slot, found: slot });
    assert_eq!(error.to_string(), "two slots of this network need 896 bytes, the region has 448");
    let error = new(1 << 20, 32..1 << 19);
    assert_eq!(error, RegionError::Misaligned { start: 32, end: 1 << 19, page: 64 });
    let error = new(1 << 10, 0..1 << 11);
    assert_eq!(error, RegionError::OutOfBounds { start: 0, end: 1 << 11, capacity: 1 << 10 });
    #[expect(clippy::reversed_empty_ranges, reason = "that is the fault")]
    let error = new(1 << 10, 512..0);
    assert_eq!(error, RegionError::OutOfBounds { start: 512, end: 0, capacity: 1 << 10 });
}

#[test]
fn nothing_is_found_where_nothing_was_saved() {
    for byte in [0xff, 0] {
        let mut flash = Chip::with_image(&vec![byte; 2 * slot()]);
        assert_eq!(load(&mut flash, &config()).0, Ok(None));
    }
}

#[test]
fn other_networks_storage_and_settings_are_told_apart() {
    let config = config();
    let mut flash = saved(2, 1);

    let mut slower = config.clone();
    slower.train.lr = Lr::ratio(1, 8);
    let error = load(&mut flash, &slower).0.unwrap_err();
    assert!(matches!(error, CheckpointError::WrongConfig { .. }), "{error}");
    let mut memory = Memory::for_trainer(&slower);
    let mut adopting = trainer(&slower, &mut memory);
    let adopted = journal(&mut flash, &slower).adopt(&mut adopting).expect("the same storage");
    assert_eq!(adopted.map(|loaded| loaded.step), Some(1));
    assert_eq!(State::of(&adopting), states(&config, 1)[1]);

    let mut wider = config.clone();
    let master = &mut wider.layers[1].master;
    *master = Master { bound: master.bound + 1, ..*master };
    let error = load(&mut flash, &wider).0.unwrap_err();
    assert!(matches!(error, CheckpointError::WrongStorage { .. }), "{error}");

    let graph: Graph<LAYERS> = Graph::input([2, 1, 1]).dense("one", 5).relu().dense("two", 2);
    let mut memory = Memory::for_trainer(&config);
    let mut other =
        Trainer::new(&graph, &config, memory.as_mut_slice(), Scalar, ()).expect("a trainer");
    let error = journal(&mut flash, &config).load(&mut other).unwrap_err();
    let (expected, found) = (graph.view().hash(), NET.view().hash());
    assert_eq!(error, CheckpointError::WrongGraph { expected, found });
}

#[test]
fn a_checkpoint_of_another_release_is_named() {
    let mut flash = saved(2, 1);
    flash.bytes[4] = 9;
    reseal(&mut flash.bytes[..slot()]);
    let error = load(&mut flash, &config()).0.unwrap_err();
    assert_eq!(error, CheckpointError::WrongVersion { expected: VERSION, found: 9 });
}

#[test]
fn a_trainer_within_a_step_or_of_other_sizes_is_refused() {
    let mut config = config();
    config.train.micro_batch = 2;
    let mut flash = saved_with(&config, 2, 0);
    let mut memory = Memory::for_trainer(&config);
    let mut halfway = trainer(&config, &mut memory);
    let samples = Samples { data: SampleData::I8(&[1, 2, 3, 4]), exponent: -6 };
    halfway.accumulate(samples, Targets::Classes(&[0, 1])).expect("half a batch");
    let error = journal(&mut flash, &config).save(&halfway).unwrap_err();
    assert_eq!(error, CheckpointError::WithinStep);

    let mut plain = config.clone();
    plain.train.momentum = 0;
    let mut memory = Memory::for_trainer(&plain);
    let mut smaller = trainer(&plain, &mut memory);
    let error = journal(&mut flash, &config).load(&mut smaller).unwrap_err();
    assert!(matches!(error, CheckpointError::OtherPlan { .. }), "{error}");
}

#[test]
fn a_damaged_checkpoint_gives_way_to_the_one_before_and_is_reported() {
    let mut flash = saved(3, 3);
    let newest = 2 * slot();
    flash.bytes[newest + PARAMETERS] ^= 1;
    let (result, state) = load(&mut flash, &config());
    let offset = slot() as u32;
    assert_eq!(result, Ok(Some(Loaded { step: 2, sequence: 1, offset, damaged: 1 })));
    assert_eq!(state, states(&config(), 2)[2]);
    flash.bytes.iter_mut().skip(PARAMETERS).step_by(slot()).for_each(|byte| *byte ^= 4);
    assert_eq!(load(&mut flash, &config()).0, Err(CheckpointError::Damaged { slots: 3 }));
}

#[test]
fn a_save_keeps_what_a_cut_must_fall_back_to() {
    // The newest slot is damaged, or made under other settings: the older one must survive.
    let config = config();
    let mut slower = config.clone();
    slower.train.lr = Lr::ratio(1, 8);
    let mut damaged = saved(2, 2);
    damaged.bytes[slot() + PARAMETERS] ^= 1;
    let mut foreign = saved(2, 1);
    let mut memory = Memory::for_trainer(&slower);
    let other = trainer(&slower, &mut memory);
    journal(&mut foreign, &slower).save(&other).expect("a save");
    for mut flash in [damaged, foreign] {
        for loads in [true, false] {
            let mut memory = Memory::for_trainer(&config);
            let mut trainer = trainer(&config, &mut memory);
            let mut cut = flash.clone().cut_after(PAGE, Cut::Late);
            let mut journal = journal(&mut cut, &config);
            if loads {
                journal.load(&mut trainer).expect("the older one");
            }
            assert_eq!(journal.save(&trainer), Err(CheckpointError::Flash(Fault::Power)));
            let (result, _) = load(&mut cut.reboot(), &config);
            assert_eq!(result.map(|loaded| loaded.map(|loaded| loaded.step)), Ok(Some(1)));
        }
        assert!(load(&mut flash, &config).0.is_ok());
    }
}

#[test]
fn pages_that_do_not_keep_their_bits_are_noticed_and_passed_over() {
    let config = config();
    let bad = slot();
    for place in [STEP, PARAMETERS + 1, commit()] {
        let mut flash = saved(3, 1);
        flash.stuck = Some((bad + place, 0xff));
        let mut journal = journal(&mut flash, &config);
        let mut memory = Memory::for_trainer(&config);
        let mut trainer = trainer(&config, &mut memory);
        journal.load(&mut trainer).expect("the first save");
        for saves in [1, 0] {
            let error = journal.save(&trainer).unwrap_err();
            assert_eq!(error, CheckpointError::NotKept { offset: bad as u32 }, "byte {place}");
            for _ in 0..2 * saves {
                step(&mut trainer);
                let saved = journal.save(&trainer).expect("a save beside the bad page");
                assert_ne!(saved.offset, bad as u32);
            }
        }
        journal.load(&mut trainer).expect("the last save");
        assert_eq!(trainer.steps(), 3);
    }
}

#[test]
fn a_flash_that_fails_while_it_is_read_never_leaves_half_a_state() {
    let config = config();
    let wanted = states(&config, 3);
    let mut seen = [0; 3];
    for reads in 0..100 {
        let mut flash = saved(2, 3);
        flash.reads = Some(reads);
        let (result, state) = load(&mut flash, &config);
        let place = match result {
            Ok(loaded) => {
                assert_eq!((loaded.map(|loaded| loaded.step), &state), (Some(3), &wanted[3]));
                0
            }
            Err(CheckpointError::Flash(Fault::Read)) => 1,
            Err(CheckpointError::Unsteady) => {
                assert_eq!(state, wanted[0]);
                2
            }
            Err(error) => panic!("{error}"),
        };
        seen[place] += 1;
    }
    assert!(seen.iter().all(|&times| times > 0), "{seen:?}");
}

#[test]
fn a_forged_last_sequence_number_is_cleared_away() {
    let config = config();
    let mut flash = saved(2, 1);
    flash.bytes[8..12].fill(0xff);
    reseal(&mut flash.bytes[..slot()]);
    let mut journal = journal(&mut flash, &config);
    let mut memory = Memory::for_trainer(&config);
    let mut trainer = trainer(&config, &mut memory);
    assert_eq!(journal.save(&trainer), Err(CheckpointError::SequenceSpent));
    journal.clear().expect("an erase");
    assert_eq!(journal.load(&mut trainer), Ok(None));
    assert_eq!(journal.save(&trainer).map(|saved| saved.sequence), Ok(0));
}

#[test]
fn damaged_images_give_an_older_state_or_an_error() {
    let config = config();
    let states = states(&config, 5);
    let good = saved(3, 5);
    let mut outcomes = [0; 6];
    for seed in 0..20_000 {
        let mut image = Mutator::new(seed).damage(&good.bytes);
        image.resize(good.bytes.len(), 0xff);
        let (result, state) = load(&mut Chip::with_image(&image), &config);
        let place = match result {
            Ok(Some(loaded)) => {
                assert_eq!(state, states[loaded.step as usize], "seed {seed}");
                loaded.step as usize
            }
            Ok(None) | Err(CheckpointError::Damaged { .. }) => 0,
            Err(error) => panic!("seed {seed}: {error}"),
        };
        outcomes[place] += 1;
    }
    assert!(outcomes[3..].iter().all(|&times| times > 100), "{outcomes:?}");
}

/// Loads and, when that works, trains and saves.
fn use_it(image: &[u8], config: &Config<LAYERS>) -> bool {
    let mut flash = Chip::with_image(image);
    let mut journal = journal(&mut flash, config);
    let mut memory = Memory::for_trainer(config);
    let mut trainer: Small<'_> = trainer(config, &mut memory);
    let found = matches!(journal.load(&mut trainer), Ok(Some(_)));
    let samples = Samples { data: SampleData::I8(&[1, 2]), exponent: -6 };
    trainer.step(samples, Targets::Classes(&[1])).expect("a step");
    match journal.save(&trainer) {
        Ok(_) => {
            let after = State::of(&trainer);
            let loaded = journal.load(&mut trainer).expect("what was saved");
            assert!(loaded.is_some());
            assert_eq!(State::of(&trainer), after);
        }
        Err(CheckpointError::SequenceSpent | CheckpointError::Bounds) => {}
        Err(error) => panic!("{error}"),
    }
    found
}

#[test]
fn forged_images_never_panic() {
    let config = config();
    let good = saved(3, 4).bytes;
    let (mut found, rounds) = (0, 10_000);
    for seed in 0..rounds {
        let mut mutator = Mutator::new(seed);
        let mut image = mutator.damage(&good);
        image.resize(good.len(), 0xff);
        // Damage in the few bytes of a header is rare enough to be helped along.
        let at = mutator.below(3) * slot() + mutator.below(STEP + 24);
        image[at] ^= mutator.below(256) as u8;
        if mutator.below(4) > 0 {
            image.chunks_exact_mut(slot()).for_each(reseal);
        }
        found += u64::from(use_it(&image, &config));
    }
    assert!(found > rounds / 2 && found < rounds, "{found}");
    for seed in 0..200 {
        let mut mutator = Mutator::new(seed);
        let noise: Vec<u8> = (0..good.len()).map(|_| mutator.below(256) as u8).collect();
        assert!(!use_it(&noise, &config));
    }
}

#[test]
fn golden_image_is_written_and_read() {
    let config = config();
    let mut flash = saved(2, 1);
    let text = hex(&flash.bytes[..slot()]);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/checkpoint.hex");
    if std::env::var_os("FIXGRAD_BLESS").is_some() {
        fs::write(&path, &text).expect("a golden file");
    }
    let golden = fs::read_to_string(&path).expect("a golden file");
    assert_eq!(text, golden, "the format changed: raise its version, then `cargo xtask bless`");
    assert!(load(&mut flash, &config).0.is_ok());
}

/// Sixteen bytes a line, as `xxd` and `hexdump -C` begin theirs.
fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (line, bytes) in bytes.chunks(16).enumerate() {
        let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(text, "{:04x}  {}", line * 16, digits.join(" ")).expect("text");
    }
    text
}
