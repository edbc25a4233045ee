//! Every level of this machine gives the bits of the scalar kernel.

use std::{string::ToString, vec, vec::Vec};

use proptest::prelude::*;

use super::*;
use crate::kernel::testing::*;
use crate::{
    optim::{Momentum, Rule, Update},
    quant::{Format, Overflow, Round},
    rng::Key,
};

fn any_round() -> impl Strategy<Value = Round> {
    (0..Round::ALL.len()).prop_map(|i| Round::ALL[i])
}

fn any_format() -> impl Strategy<Value = Format> {
    (1u8..=31, any_round(), 0..Overflow::ALL.len()).prop_map(|(bits, round, i)| Format {
        bits,
        round,
        overflow: Overflow::ALL[i],
    })
}

proptest! {
    #[test]
    fn quantizing_equals_the_scalar_code(
        (format, shift) in (any_format(), -34i32..70),
        (width, fill, source_bits) in (0..3usize, any_fill(), 2u32..=32),
        (seed, first, len) in (any::<u64>(), any::<u32>(), 0..300usize),
    ) {
        let format = Format { bits: format.bits.min(8 << width), ..format };
        let quantizer = Quantizer { shift, format, key: Key::new(seed), peak: u32::MAX };
        let sums: Vec<i32> = numbers(fill, source_bits, len).collect();
        let pixels: Vec<u8> = sums.iter().map(|&v| v as u8).collect();
        let bytes: Vec<i8> = sums.iter().map(|&v| v as i8).collect();
        let words: Vec<i16> = sums.iter().map(|&v| v as i16).collect();
        let sources =
            [Source::U8(&pixels), Source::I8(&bytes), Source::I16(&words), Source::I32(&sums)];
        for source in sources {
            let mut wide = vec![0; len];
            source.copy_to(&mut wide);
            let wide = Source::I32(&wide);
            let mut expected = Store::new(width, Fill::Lowest, len);
            let counts = Scalar.quantize(&quantizer, wide, first, expected.get_mut());
            let mut codes = Store::new(width, Fill::Lowest, len);
            prop_assert_eq!(Scalar.quantize(&quantizer, source, first, codes.get_mut()), counts);
            prop_assert_eq!(&codes, &expected, "{:?}", source);
            prop_assert_eq!(Scalar.peak(source), Scalar.peak(wide));
            for level in X86::levels() {
                prop_assert_eq!(level.peak(source), Scalar.peak(source));
                let mut codes = Store::new(width, Fill::Lowest, len);
                let seen = level.quantize(&quantizer, source, first, codes.get_mut());
                prop_assert_eq!(seen, counts);
                prop_assert_eq!(&codes, &expected, "{} {:?}", level, source);
            }
        }
    }

    #[test]
    fn descending_equals_the_scalar_code(
        (format, shift) in (any_format(), -4i32..34),
        (lr, update_shift, round) in (0..1i32 << 15, -8i32..40, any_round()),
        (decay, decay_shift) in (prop_oneof![Just(0), 0..1i32 << 15], 0i32..40),
        (velocity_width, velocity, factor) in (0..3usize, any_fill(), 0..1i32 << 15),
        rule in prop_oneof![
            Just(Rule::Velocity),
            Just(Rule::Nesterov),
            (0..1i32 << 15).prop_map(|beta| Rule::Lion { beta }),
        ],
        exponents in prop_oneof![Just(None), [-20i16..20, -20i16..20, -20i16..20].prop_map(Some)],
        (width, weights, grads, grad_bits) in (0..3usize, any_fill(), any_fill(), 2u32..=32),
        (seed, first, len) in (any::<u64>(), 0..5000u32, 0..600usize),
        blocks in any::<bool>(),
    ) {
        let key = Key::new(seed);
        let momentum = exponents.map(|[old_exponent, grad_exponent, new_exponent]| Momentum {
            rule, factor, old_exponent, grad_exponent, new_exponent, round, key: key.child(2),
        });
        // As wide as the codes of a point.
        let format = Format { bits: format.bits.min(16), ..format };
        let descend = Descend {
            quantizer: Quantizer { shift, format, key, peak: u32::MAX },
            quantized: false,
            momentum,
            update: Update { lr, shift: update_shift, decay, decay_shift, round, key: key.child(1) },
        };
        let mask: Vec<u8> = (0..first + len as u32).map(|i| key.word(i) as u8).collect();
        let mask = if blocks { mask.as_slice() } else { &[] };
        let grad: Vec<i32> = numbers(grads, grad_bits, len).collect();
        let run = |kernel: &dyn Kernel| {
            let mut velocity = Store::new(velocity_width, velocity, len);
            let mut master = Store::new(width, weights, len);
            let (v, m) = (velocity.get_mut(), master.get_mut());
            let seen = kernel.descend(&descend, &grad, first, mask, v, m);
            (velocity, master, seen)
        };
        let expected = run(&Scalar);
        for level in X86::levels() {
            prop_assert_eq!(&run(&level), &expected, "{}", level);
        }
    }
}

/// Deeper and wider than what is packed at a time.
#[test]
fn large_products_equal_the_scalar_ones() {
    let layouts = [false, true].map(|transposed| Layout { transposed, before: 0, after: 1 });
    for (rows, depth, cols) in [(9, 2048, 70), (67, 2049, 69), (3, 7000, 18), (18, 40, 2600)] {
        for fills in [
            (Fill::Random(1), Fill::Random(2), Fill::Extremes(3)),
            (Fill::Lowest, Fill::Lowest, Fill::Highest),
            (Fill::Lowest, Fill::Highest, Fill::Lowest),
        ] {
            for (a, b, add) in [(0, 0, true), (0, 1, false), (1, 0, true), (1, 1, false)] {
                let layouts = (layouts[a], layouts[b]);
                let product =
                    Product { rows, depth, cols, widths: (0, 0), layouts, fills, drop: 0, add };
                for level in X86::levels() {
                    product.check(level, &level.to_string());
                }
            }
        }
    }
}

/// Some machine must run the tests of each level; `cargo xtask test` says what this one left out.
#[test]
fn levels_are_ordered_from_fast_to_slow() {
    let levels: Vec<X86> = X86::levels().collect();
    assert_eq!(X86::detect(), levels.first().copied());
}

#[test]
fn products_equal_the_scalar_ones() {
    for level in X86::levels() {
        check_products(level, &level.to_string());
        check_deep_convolutions(&level, &level.to_string());
    }
}

#[test]
fn depthwise_sums_are_those_of_groups() {
    for level in X86::levels() {
        check_depthwise(&level, &level.to_string());
        check_long_depthwise(&level, &level.to_string());
    }
}
