//! The quantisers of nics_fix and of its PyTorch port against ours, on their own outputs.
//!
//! Every case of the files is either equal to the last bit (codes' values, bound, straight-through
//! mask) or belongs to one of the deliberate differences below; the counts add up to the files.
//! Where only the bound differs, the case is run again with upstream's bound, and then is equal.

use fixgrad::quant::{Format, Overflow, Range, Round};
use fixgrad_host::quantize::{Exact, Quantization, Quantized};
use fixgrad_tests::golden::{self, Case, File};

fn quantise(input: &[f64], bits: u8, range: Range) -> Quantized {
    let format = Format { bits, round: Round::RndConv, overflow: Overflow::Sat };
    let numbers: Vec<Exact> = input.iter().copied().map(Exact::from).collect();
    Quantization { format, range, seed: 0 }.apply(&numbers)
}

fn rule(case: &Case) -> Range {
    match (case.method.as_str(), case.range.as_deref()) {
        ("auto", None | Some("MAX")) => Range::Max,
        ("auto", Some("3SIGMA")) => Range::ThreeSigma,
        ("auto", Some("MAX_TENPERCENT")) => Range::Percentile(9_000),
        ("auto", Some("SWEEP")) => Range::Sweep,
        ("int", _) => Range::Fixed(case.int_scale.expect("a scale")),
        ("fixed", _) => Range::Fixed(case.init_scale_exp.expect("a scale")),
        other => panic!("{}: {other:?}", case.id),
    }
}

/// How a case compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Equal to the last bit.
    Equal,
    /// Equal but for codes at `2^N`, which upstream has and we, like hardware, do not.
    UpperClamp,
    /// Upstream took another bound; with that one, equal but for codes at `2^N`.
    Bound,
    /// Upstream gave no number.
    NoNumber,
}

fn verdict(file: &File, case: &Case) -> Verdict {
    if case.error.is_some() || case.bound().is_nan() {
        return Verdict::NoNumber;
    }
    let input = file.input(case);
    let found = quantise(&input, case.bits, rule(case));
    if f32::from(found.bound_exponent) != case.bound() {
        let theirs = Range::Fixed(case.bound() as i16);
        assert_values(case, &quantise(&input, case.bits, theirs));
        return Verdict::Bound;
    }
    if assert_values(case, &found) { Verdict::Equal } else { Verdict::UpperClamp }
}

/// Equal values and masks; false when codes at `2^N` became the code below.
fn assert_values(case: &Case, found: &Quantized) -> bool {
    let output = case.output();
    assert_eq!(found.values.len(), output.len(), "{}", case.id);
    let (unit, top) = (f64::from(found.exponent).exp2(), f64::from(case.bound()).exp2());
    let mut equal = true;
    for (&ours, &theirs) in found.values.iter().zip(&output) {
        // The only file with masks is the one whose clamp is ours.
        let clamped = case.ste_mask.is_none() && theirs == top && ours == top - unit;
        assert!(ours == theirs || clamped, "{}: {ours} and not {theirs}", case.id);
        equal &= ours == theirs;
    }
    if let Some(mask) = &case.ste_mask {
        assert_eq!(&found.mask, mask, "{}", case.id);
    }
    equal
}

/// How many cases of a method and rule got each verdict: equal, clamp, bound, no number.
fn count(file: &File, method: &str, range: Option<&str>) -> [usize; 4] {
    let mut counts = [0; 4];
    for case in file.cases.iter().filter(|c| c.method == method && c.range.as_deref() == range) {
        counts[verdict(file, case) as usize] += 1;
    }
    counts
}

fn with(file: &File, wanted: Verdict, tensor: &str) -> usize {
    let cases = file.cases.iter().filter(|case| case.tensor == tensor);
    cases.filter(|case| verdict(file, case) == wanted).count()
}

fn tf() -> File {
    golden::read("nics_fix_tf.json")
}

fn torch() -> File {
    golden::read("nfp_0.3.3.json")
}

#[test]
fn every_case_of_nics_fix_is_equal_or_a_listed_difference() {
    let file = tf();
    assert_eq!(count(&file, "int", None), [198, 0, 0, 0]);
    assert_eq!(count(&file, "auto", None), [54, 0, 12, 0]);
    assert_eq!(file.cases.len(), 198 + 54 + 12);
}

#[test]
fn every_case_of_the_pytorch_port_is_equal_or_a_listed_difference() {
    let file = torch();
    assert_eq!(count(&file, "fixed", None), [87, 78, 0, 0]);
    assert_eq!(count(&file, "auto", Some("MAX")), [41, 4, 10, 0]);
    assert_eq!(count(&file, "auto", Some("3SIGMA")), [28, 12, 10, 5]);
    assert_eq!(count(&file, "auto", Some("MAX_TENPERCENT")), [17, 23, 10, 5]);
    assert_eq!(count(&file, "auto", Some("SWEEP")), [29, 15, 11, 0]);
    assert_eq!(file.cases.len(), 165 + 4 * 55);
}

#[test]
fn difference_an_all_zero_tensor_has_no_bound_of_its_own() {
    // Upstream: 2^-16, from an epsilon of 1e-5. Ours: in a network the bound it had before, alone
    // the bound 1. The codes are zeros either way.
    for (file, cases) in [(tf(), 6), (torch(), 20)] {
        assert_eq!(with(&file, Verdict::Bound, "zeros_10"), cases);
        for case in file.cases.iter().filter(|c| c.tensor == "zeros_10" && c.method == "auto") {
            assert_eq!(case.bound(), -16.0);
            let found = quantise(&file.input(case), case.bits, rule(case));
            assert_eq!(found.bound_exponent, 0);
            assert!(found.mantissas.iter().all(|&code| code == 0));
        }
    }
}

#[test]
fn difference_no_epsilon_lifts_tiny_tensors() {
    // The largest magnitude is 1.39e-6. nics_fix adds 1e-5 to it, the port takes at least 1e-5:
    // both bound it by 2^-16 and waste three bits. Ours: 2^-19, the smallest that holds it.
    for (file, cases) in [(tf(), 6), (torch(), 20)] {
        assert_eq!(with(&file, Verdict::Bound, "tiny_12"), cases);
        let maxima = |c: &&Case| c.tensor == "tiny_12" && rule(c) == Range::Max;
        for case in file.cases.iter().filter(maxima) {
            let found = quantise(&file.input(case), case.bits, Range::Max);
            assert_eq!((case.bound(), found.bound_exponent), (-16.0, -19));
        }
    }
}

#[test]
fn difference_a_power_of_two_is_its_own_bound() {
    // nics_fix: ceil(log2(max + 1e-5)) in binary32, so 2^e takes the bound 2^(e+1) up to e = 5 and
    // half of the codes are never used; from e = 6 on the sum rounds back to 2^e. The port's
    // binary32 log2 lands above 2^-15 and 2^-13 too. Ours reads the bits of the number.
    for e in -16..=8i16 {
        let power = f64::from(e).exp2();
        let nics_fix = (power as f32 + 1e-5).log2().ceil();
        assert_eq!(nics_fix, f32::from(if e < 6 { e + 1 } else { e }), "2^{e}");
        assert_eq!(quantise(&[power, -0.3 * power], 8, Range::Max).bound_exponent, e);
    }
    // One step of binary32 above a power needs the next bound, where a log2 may not see it.
    for e in -27..=27i16 {
        let above = f32::from_bits(((f32::from(e)).exp2()).to_bits() + 1);
        assert_eq!(quantise(&[above.into()], 8, Range::Max).bound_exponent, e + 1);
    }
}

#[test]
fn difference_the_top_code_is_one_step_below_the_bound() {
    // The port clamps to 2^N itself: at b bits 2^b + 1 levels, of which hardware has 2^b.
    let file = torch();
    let clamped = file.cases.iter().filter(|case| verdict(&file, case) == Verdict::UpperClamp);
    assert_eq!(clamped.count(), 78 + 4 + 12 + 23 + 15);
    let found = quantise(&[1.0, -1.0], 4, Range::Fixed(0));
    assert_eq!(found.values, [0.875, -1.0]);
    assert_eq!(found.mask, [0, 1], "what does not fit passes no gradient");
}

#[test]
fn difference_three_sigma_of_one_number_is_the_number() {
    // The port divides by n - 1 = 0: the bound and all codes are not numbers.
    let file = torch();
    let single = |c: &&Case| c.tensor == "single_1" && c.range.as_deref() == Some("3SIGMA");
    let cases: Vec<&Case> = file.cases.iter().filter(single).collect();
    assert_eq!(cases.len(), 5);
    for case in cases {
        assert!(case.bound().is_nan() && case.output().iter().all(|x| x.is_nan()));
        let input = file.input(case);
        let found = quantise(&input, case.bits, Range::ThreeSigma);
        assert_eq!(found, quantise(&input, case.bits, Range::Max));
    }
}

#[test]
fn difference_a_percentile_of_fewer_than_ten_numbers_is_the_largest() {
    // The port asks for the floor(n / 10)-th largest magnitude: below ten, for the 0th, and raises.
    let file = torch();
    let errors: Vec<&Case> = file.cases.iter().filter(|case| case.error.is_some()).collect();
    assert_eq!(errors.len(), 5);
    for case in errors {
        assert_eq!((case.tensor.as_str(), rule(case)), ("single_1", Range::Percentile(9_000)));
        let input = file.input(case);
        let found = quantise(&input, case.bits, rule(case));
        assert_eq!(found, quantise(&input, case.bits, Range::Max));
    }
}

#[test]
fn difference_sweep_counts_the_errors_of_its_own_clamp() {
    // With a code at 2^N, two bits bound this tensor best by 2^1; without it, by 2^2.
    let file = torch();
    assert_eq!(with(&file, Verdict::Bound, "student_t2_50"), 1);
    let sweeps = |c: &&Case| c.tensor == "student_t2_50" && rule(c) == Range::Sweep && c.bits == 2;
    let case = file.cases.iter().find(sweeps).expect("the case");
    let input = file.input(case);
    assert_eq!((case.bound(), quantise(&input, 2, Range::Sweep).bound_exponent), (1.0, 2));
    let error = |values: &[f64]| values.iter().zip(&input).map(|(q, x)| (q - x).abs()).sum::<f64>();
    let [one, two] = [1, 2].map(|bound| quantise(&input, 2, Range::Fixed(bound)).values);
    assert!(error(&case.output()) < error(&two) && error(&two) < error(&one));
}
