//! `fixgrad quantize`: one quantiser applied to numbers.

use std::io;

use anyhow::{Context, Result};
use fixgrad::quant::{Format, Overflow, Range, Round};

use crate::quantize::{Quantization, WIDEST, parse_range, parse_rule, read};

/// Quantise the decimal numbers that come in, one a line.
///
/// An example: fixgrad quantize --bits 8 --range max --json < values.txt
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Width of a code with its sign; 1 is binary.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=i64::from(WIDEST)))]
    bits: u8,
    /// How the bound is found: max, three_sigma, percentile=P, sweep, or fixed=N for 2^N. Zeros
    /// alone get the bound 1.
    #[arg(long, value_parser = parse_range, default_value = "max")]
    range: Range,
    /// trn, trn_zero, rnd, rnd_zero, rnd_inf, rnd_min_inf, rnd_conv, stochastic or
    /// pseudo_stochastic.
    #[arg(long, value_parser = parse_rule::<Round>, default_value = "rnd_conv")]
    round: Round,
    /// sat, sat_sym, sat_zero or wrap.
    #[arg(long, value_parser = parse_rule::<Overflow>, default_value = "sat")]
    overflow: Overflow,
    /// Names the random numbers of stochastic rounding.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

/// Reads the numbers and prints what became of them.
pub fn run(args: &Args) -> Result<()> {
    let text = io::read_to_string(io::stdin()).context("cannot read the numbers")?;
    let format = Format { bits: args.bits, round: args.round, overflow: args.overflow };
    let quantization = Quantization { format, range: args.range, seed: args.seed };
    let found = quantization.apply(&read(&text)?);
    if args.json {
        println!("{}", serde_json::to_string(&found)?);
        return Ok(());
    }
    println!("bound 2^{}, unit 2^{}", found.bound_exponent, found.exponent);
    println!("{:>12} {:>24} {:>7}", "mantissa", "value", "passes");
    for ((mantissa, value), mask) in found.mantissas.iter().zip(&found.values).zip(&found.mask) {
        println!("{mantissa:>12} {value:>24} {mask:>7}");
    }
    Ok(())
}
