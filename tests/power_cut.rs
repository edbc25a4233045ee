//! Power fails at every byte of every save, and a run ends as if it never had.

use fixgrad::{
    checkpoint::{CheckpointError, Journal},
    config::Config,
    graph::Plan,
};
use fixgrad_tests::{
    flash::{Cut, Fault, Flash},
    resume::{LAYERS, State, config, plan, states, step, trainer},
    run::Memory,
};
use proptest::{collection::vec, prelude::*};

/// Steps of a run; each is saved.
const STEPS: u32 = 3;

const CUTS: [Cut; 4] = [Cut::Clean, Cut::Garbage(1), Cut::Late, Cut::Early];

/// Every cut leaves other garbage.
fn reseed(cut: Cut, seed: u64) -> Cut {
    if matches!(cut, Cut::Garbage(_)) { Cut::Garbage(seed) } else { cut }
}

/// A network, its settings, and what an undisturbed run leaves after every step.
struct Run {
    config: Config<LAYERS>,
    plan: Plan<LAYERS>,
    states: Vec<State>,
}

/// How far a device came before its power failed, if it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Life {
    /// The step whose state it found.
    found: Option<u32>,
    /// The last step that it saved and knows of.
    saved: Option<u32>,
    ended: bool,
}

impl Run {
    fn new(steps: u32) -> Self {
        let config = config();
        Self { plan: plan(&config), states: states(&config, steps), config }
    }

    /// Switches a device on: it loads, then trains and saves until the run or its power ends.
    /// What it finds is a state of the undisturbed run, whole.
    fn live<const R: usize, const W: usize, const P: usize>(
        &self,
        flash: &mut Flash<R, W, P>,
    ) -> Life {
        let end = flash.bytes.len() as u32;
        let mut journal = Journal::new(flash, 0..end, &self.plan).expect("room for the journal");
        let mut memory = Memory::for_trainer(&self.config);
        let mut trainer = trainer(&self.config, &mut memory);
        let loaded = journal.load(&mut trainer).expect("a load needs no power to spare");
        let found = loaded.map(|loaded| loaded.step);
        assert_eq!(loaded.map_or(0, |loaded| loaded.damaged), 0, "a cut is no damage");
        assert_eq!(State::of(&trainer), self.states[found.unwrap_or(0) as usize]);
        let mut saved = found;
        while (trainer.steps() as usize) < self.states.len() - 1 {
            step(&mut trainer);
            match journal.save(&trainer) {
                Ok(_) => saved = Some(trainer.steps()),
                Err(CheckpointError::Flash(Fault::Power)) => {
                    return Life { found, saved, ended: false };
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(Some(&State::of(&trainer)), self.states.last());
        Life { found, saved, ended: true }
    }

    fn erased<const R: usize, const W: usize, const P: usize>(&self, slots: u32) -> Flash<R, W, P> {
        let bytes = Journal::<Flash<R, W, P>>::region_bytes(&self.plan, slots);
        Flash::new(bytes as usize / P)
    }

    /// Cuts at every byte that an undisturbed run writes or erases.
    fn cut_everywhere<const R: usize, const W: usize, const P: usize>(&self, slots: u32) {
        let mut undisturbed = self.erased::<R, W, P>(slots);
        assert!(self.live(&mut undisturbed).ended);
        let (mut old, mut new) = (0, 0);
        for fuel in 0..undisturbed.worked {
            // The last two leave the same at every byte of a write or an erase, and none is
            // shorter than eight.
            let kinds = if fuel.is_multiple_of(5) { 4 } else { 2 };
            for cut in CUTS.into_iter().take(kinds).map(|cut| reseed(cut, fuel as u64)) {
                let mut flash = self.erased::<R, W, P>(slots).cut_after(fuel, cut);
                let first = self.live(&mut flash);
                assert!(!first.ended, "{fuel} bytes are too few");
                let mut flash = flash.reboot();
                let second = self.live(&mut flash);
                let attempt = first.saved.unwrap_or(0) + 1;
                let is_old = second.found == first.saved;
                assert!(is_old || second.found == Some(attempt), "{fuel} {cut:?}: {second:?}");
                assert!(second.ended, "{fuel} {cut:?}");
                if is_old { old += 1 } else { new += 1 }
            }
        }
        assert!(old > 100 && new >= STEPS, "both were seen: {old} {new}");
    }
}

#[test]
fn every_cut_leaves_the_old_or_the_new_state() {
    let run = Run::new(STEPS);
    run.cut_everywhere::<1, 1, 64>(2);
    run.cut_everywhere::<4, 4, 512>(3);
    run.cut_everywhere::<1, 8, 256>(2);
    run.cut_everywhere::<32, 32, 96>(2);
    run.cut_everywhere::<1, 256, 256>(2);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..<_>::default() })]

    #[test]
    fn many_cuts_in_a_row_never_lose_a_saved_step(
        slots in 2..5u32,
        cuts in vec((0..2_000usize, any::<u64>(), 0..CUTS.len()), 0..40),
    ) {
        let run = Run::new(12);
        let mut flash = run.erased::<1, 4, 128>(slots);
        let mut saved = None;
        for (fuel, seed, kind) in cuts {
            flash = flash.cut_after(fuel, reseed(CUTS[kind], seed));
            let life = run.live(&mut flash);
            prop_assert!(life.saved >= saved, "{life:?} after {saved:?}");
            saved = life.saved;
            flash = flash.reboot();
        }
        prop_assert!(run.live(&mut flash).ended);
    }
}

#[test]
fn slots_wear_evenly() {
    let run = Run::new(30);
    for slots in [2, 3, 5] {
        let mut flash = run.erased::<1, 4, 64>(slots);
        assert!(run.live(&mut flash).ended);
        assert!(flash.erases.iter().all(|&erases| erases == 30 / slots), "{:?}", flash.erases);
    }
}
