//! The chip's own loops over pairs, called as quantisers and updates call them.

use super::{Fault, Wrong, case::Case};
use crate::{
    kernel::{ChipLoops, Scalar},
    optim::Descend,
    quant::{
        Counts, Round,
        compact::QuickCarry,
        loops::{Loop, Loops},
    },
};

/// Slices that each loop is given: four for all numbers of dropped bits and shifts of the rate.
pub(super) const CASES: u32 = 3_600;

/// Rules with a bias that such a loop can add.
const BIASES: [Round; 4] = [Round::Trn, Round::Rnd, Round::RndMinInf, Round::RndConv];

/// Compares the loops that this chip has its own way with [`Scalar`], element by element, up to the
/// largest values that they are given. A loop that this chip has and that does not run is a fault.
/// Gives the number of comparisons: none where a chip has no loops of its own.
// Not inlined: its numbers would lie on the stack under whatever comes later.
#[inline(never)]
pub fn loops() -> Result<u32, Fault> {
    check::<ChipLoops>()
}

fn check<L: Loops>() -> Result<u32, Fault> {
    let mut compared = 0;
    for number in 0..CASES {
        for which in Loop::ALL {
            let ran = ran_well::<L>(which, number);
            let fault = |wrong| Fault { part: which.name(), wrong, case: number };
            compared += u32::from(ran.map_err(fault)?);
        }
    }
    Ok(compared)
}

/// False where the chip does not have this loop.
fn ran_well<L: Loops>(which: Loop, number: u32) -> Result<bool, Wrong> {
    let round = match which {
        Loop::Biased => BIASES.get(number as usize / 30 % BIASES.len()).copied(),
        Loop::Codes | Loop::Descend => None,
    };
    let case = Case::of_pairs(number, round.unwrap_or(Round::Stochastic));
    let (bytes, counts) = case.outcome(|sums, bytes| run::<L>(which, &case, sums, bytes));
    match (counts, L::OWN.contains(&which)) {
        (None, false) => Ok(false),
        (None, true) => Err(Wrong::Missing),
        (Some(_), false) => Err(Wrong::Unlisted),
        (Some(counts), true) => {
            let right = match which {
                Loop::Codes | Loop::Biased => case.quantized(&Scalar),
                Loop::Descend => case.descended(&Scalar),
            };
            case.compare(&(bytes, counts), &right).and(Ok(true))
        }
    }
}

fn run<L: Loops>(which: Loop, case: &Case, sums: &[i32], bytes: &mut [i8]) -> Option<Counts> {
    let Descend { quantizer, update, .. } = case.descend;
    let quick = quantizer.quick(sums)?;
    let (sums, bytes) = (sums.as_chunks().0, bytes.as_chunks_mut().0);
    let (key, index) = (quantizer.key, case.first >> 1);
    match (which, quick.carry) {
        (Loop::Codes, QuickCarry::Random) => L::codes(key, index, quick.k, sums, bytes),
        (Loop::Biased, QuickCarry::Bias { always, odd }) => {
            L::biased([always, odd], quick.k, sums, bytes)
        }
        (Loop::Descend, QuickCarry::Random) => {
            let shifts = [quick.k, update.shift.unsigned_abs()];
            L::descend([key, update.key], index, shifts, update.lr, sums, bytes)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        optim::Update,
        quant::{Format, Overflow, Quantizer, compact::Quick, loops::Plain},
        rng::Key,
        tensor::MantissasMut,
    };

    #[test]
    fn without_loops_there_is_nothing_to_compare() {
        assert_eq!(check::<Plain>(), Ok(0));
    }

    /// What runs where there are no loops, with one fault in the loop of this number, counted from
    /// the constants below.
    struct Faulty<const FAULT: usize>;

    const NONE: usize = 0;
    /// The last number goes to the wrong border.
    const NUMBER: usize = 1;
    const SATURATED: usize = 4;
    const UNDERFLOWED: usize = 7;
    const MISSING: usize = 10;

    fn quantizer(key: Key, k: u32) -> Quantizer {
        let format = Format { bits: 8, round: Round::Stochastic, overflow: Overflow::Sat };
        Quantizer { shift: k.cast_signed(), format, key, peak: u32::MAX }
    }

    impl<const FAULT: usize> Faulty<FAULT> {
        fn spoil(which: Loop, mut counts: Counts, bytes: &mut [[i8; 2]]) -> Option<Counts> {
            let spoiled = |fault: usize| FAULT == fault + which as usize;
            if spoiled(NUMBER)
                && let Some([_, last]) = bytes.last_mut()
                && *last == i8::MAX
            {
                *last = i8::MIN;
            }
            counts.saturated += u32::from(spoiled(SATURATED) && counts.saturated > 9);
            counts.underflowed -= u32::from(spoiled(UNDERFLOWED) && counts.underflowed > 9);
            (!spoiled(MISSING)).then_some(counts)
        }
    }

    impl<const FAULT: usize> Loops for Faulty<FAULT> {
        const OWN: &'static [Loop] = &Loop::ALL;

        fn codes(
            key: Key,
            index: u32,
            k: u32,
            sums: &[[i32; 2]],
            codes: &mut [[i8; 2]],
        ) -> Option<Counts> {
            let (quantizer, sums) = (quantizer(key, k), sums.as_flattened());
            let quick = quantizer.quick(sums)?;
            let counts =
                quantizer.swiftly::<Plain>(quick, sums, index << 1, codes.as_flattened_mut());
            Self::spoil(Loop::Codes, counts, codes)
        }

        fn biased(
            [always, odd]: [i32; 2],
            k: u32,
            sums: &[[i32; 2]],
            codes: &mut [[i8; 2]],
        ) -> Option<Counts> {
            let (quantizer, sums) = (quantizer(Key::new(0), k), sums.as_flattened());
            let quick = Quick { carry: QuickCarry::Bias { always, odd }, ..quantizer.quick(sums)? };
            let counts = quantizer.swiftly::<Plain>(quick, sums, 0, codes.as_flattened_mut());
            Self::spoil(Loop::Biased, counts, codes)
        }

        fn descend(
            [key, other]: [Key; 2],
            index: u32,
            [k, shift]: [u32; 2],
            lr: i32,
            sums: &[[i32; 2]],
            weights: &mut [[i8; 2]],
        ) -> Option<Counts> {
            let round = Round::Stochastic;
            let shift = shift.cast_signed();
            let update = Update { lr, shift, decay: 0, decay_shift: 0, round, key: other };
            let descend =
                Descend { quantizer: quantizer(key, k), quantized: false, momentum: None, update };
            let none = MantissasMut::I8(&mut []);
            let master = MantissasMut::I8(weights.as_flattened_mut());
            let descent =
                descend.run_compact::<Plain>(sums.as_flattened(), index << 1, &[], none, master);
            Self::spoil(Loop::Descend, descent.counts, weights)
        }
    }

    #[test]
    fn right_loops_are_right() {
        assert_eq!(check::<Faulty<NONE>>(), Ok(3 * CASES));
    }

    #[test]
    fn every_fault_is_found_in_its_loop() {
        macro_rules! found {
            ($fault:expr, $wrong:ident) => {
                let names = [
                    check::<Faulty<{ $fault }>>(),
                    check::<Faulty<{ $fault + 1 }>>(),
                    check::<Faulty<{ $fault + 2 }>>(),
                ]
                .map(|found| found.map_err(|fault| (fault.part, fault.wrong)));
                let expected = Loop::ALL.map(|which| Err((which.name(), Wrong::$wrong)));
                assert_eq!(names, expected);
            };
        }
        found!(NUMBER, Numbers);
        found!(SATURATED, Counts);
        found!(UNDERFLOWED, Counts);
        found!(MISSING, Missing);
    }
}
