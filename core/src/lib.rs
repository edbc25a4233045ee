//! Trains small neural networks in pure integer arithmetic, on the microcontroller itself.
//!
//! The same code, compiled for a desktop, is the simulator: a run there and a run on the chip give
//! the same integers, bit for bit. Forward pass, loss, backward pass and update work on mantissas
//! with power-of-two units; no float, no heap and no operating system takes part.
//!
//! ```
//! use fixgrad::prelude::*;
//!
//! // The network is a constant: a shape that does not fit is a build error, and so is too small
//! // an arena.
//! const NET: Graph<4> = Graph::input([2, 1, 1]).dense("fc1", 8).relu().dense("fc2", 2);
//! const TRAIN: Train = Train::new(4, Lr::ratio(1, 2));
//! const PLAN: Plan<4> = NET.plan(&TRAIN, &LayerConfig::new(8));
//!
//! let config = Config::uniform(NET.view(), LayerConfig::new(8), TRAIN);
//! let mut arena = Arena::<{ PLAN.ram() }>::for_plan(&PLAN);
//! let mut trainer = Trainer::new(&NET, &config, arena.as_mut_slice(), Scalar, ())?;
//!
//! let samples = Samples { data: SampleData::I8(&[0, 0, 0, 64, 64, 0, 64, 64]), exponent: -6 };
//! for _ in 0..200 {
//!     trainer.step(samples, Targets::Classes(&[0, 1, 1, 0]))?;
//! }
//! assert_eq!(trainer.evaluate(samples, Targets::Classes(&[0, 1, 1, 0]))?.correct, 4);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Layers, ground floor first
//!
//! A module uses those above it in this list, and the settings of [`config`].
//!
//! | module | what |
//! |---|---|
//! | [`rng`] | random numbers and permutations that are functions of a key and an index |
//! | [`tensor`] | shapes, storage widths, views of mantissas |
//! | [`quant`] | rounding, overflow, ranges: from wide integers to narrow codes |
//! | [`uses`] | which parts of the trainer are linked |
//! | [`optim`] | learning rates, momentum, the update of master weights |
//! | [`kernel`] | the inner loops behind one trait, with [`Scalar`](kernel::Scalar) as their definition |
//! | [`graph`] | the network as a table of layers, its memory plan, the arena |
//! | [`strategy`] | hooks around the four points where numbers are quantised |
//! | [`loss`] | from outputs and targets to gradients |
//! | [`frozen`] | trained layers that only answer, with parameters in flash |
//! | [`trainer`] | one step, and the record of it |
//! | [`checkpoint`] | the state of training in flash, whatever moment the power fails |
//! | [`stored`] | parameters of a network that was trained elsewhere, read where they lie |
//! | [`link`] | messages between a board and the desktop |
//!
//! [`config`] holds the settings of a run and their byte form.
//!
//! # What is guaranteed
//!
//! - **Same bits everywhere.** Kernels, threads, tiles, and the order of samples decide how fast a
//!   number is found, never which. Random numbers are functions of seed, step, tensor and element.
//! - **No float, no heap, no panic in a step.** Bad input gives a typed error and changes nothing.
//!   Functions that are meant for a `const`, such as [`Graph::dense`](graph::Graph::dense), stop
//!   the build instead.
//! - **Sums cannot overflow.** The plan proves it from shapes and widths, or drops low bits in a
//!   defined way.
//! - **RAM is a constant.** The caller owns all memory; the crate has no statics.
//! - **Unsafe code** is forbidden outside [`kernel`], where vector units and a chip's own instructions
//!   need it.
//!
//! The arithmetic is written down rule by rule in `docs/numerics.md`.
//!
//! # Features
//!
//! None is on by default.
//!
//! | feature | what |
//! |---|---|
//! | `std` | vector kernels for x86-64, chosen at run time |
//! | `arm-dsp` | products with the DSP instructions of Cortex-M4, M7, M33 and M55; the build for an Arm chip that lacks them stops |
//! | `float` | conversions between floats and mantissas at the edges |
//! | `defmt` | `defmt::Format` for what a device may want to log |
//!
//! # Minimum supported Rust version
//!
//! Rust 1.95, the version that every check runs with. It rises only with a minor version.
#![no_std]
#![deny(unsafe_code)]
// A step must not panic, whatever it is given. Tables and builders that work in a `const` say in
// their place why an index is right.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, clippy::expect_used)
)]

#[cfg(any(test, feature = "std"))]
extern crate std;

#[forbid(unsafe_code)]
pub mod checkpoint;
#[forbid(unsafe_code)]
pub mod config;
#[cfg(feature = "float")]
#[forbid(unsafe_code)]
pub mod float;
#[forbid(unsafe_code)]
pub mod frozen;
#[forbid(unsafe_code)]
pub mod graph;
pub mod kernel;
#[forbid(unsafe_code)]
pub(crate) mod layer;
#[forbid(unsafe_code)]
pub mod link;
#[forbid(unsafe_code)]
pub mod loss;
#[expect(
    clippy::indexing_slicing,
    reason = "a `const` has no `get`; every index is below a length"
)]
#[forbid(unsafe_code)]
mod message;
#[forbid(unsafe_code)]
pub mod optim;
#[forbid(unsafe_code)]
pub mod quant;
#[forbid(unsafe_code)]
pub mod rng;
#[forbid(unsafe_code)]
pub mod stored;

pub mod strategy;
#[forbid(unsafe_code)]
mod tables;
#[forbid(unsafe_code)]
pub mod tensor;
#[forbid(unsafe_code)]
pub mod trainer;
#[forbid(unsafe_code)]
pub mod uses;

/// What a program that trains needs, in one line.
pub mod prelude {
    pub use crate::{
        checkpoint::Journal,
        config::{Config, LayerConfig, LossKind, Train, Update},
        graph::{
            Arena, AvgPool2d, BatchNorm, Conv2d, DepthwiseConv2d, Dropout, Graph, Kind, Lstm,
            MaxPool2d, Padding, Plan,
        },
        kernel::{Kernel, Scalar},
        optim::{Lr, Optimizer, Schedule},
        quant::{Overflow, Point, Quant, Range, Round},
        strategy::{Context, Place, Strategy, Tile},
        trainer::{SampleData, Samples, StepRecord, Targets, Task, Trainer},
    };
}

/// README's program is compiled and run like every other example.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
