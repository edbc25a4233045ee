//! Trains small neural networks in pure integer arithmetic.
#![no_std]
#![deny(unsafe_code)]

#[cfg(any(test, feature = "std"))]
extern crate std;

pub mod config;
pub mod graph;
pub mod kernel;
pub(crate) mod layer;
pub mod loss;
pub mod optim;
pub mod quant;
pub mod rng;
pub mod strategy;
pub mod tensor;
pub mod trainer;

/// What a program that trains needs, in one line.
pub mod prelude {
    pub use crate::{
        config::{Config, LayerConfig, LossKind, Train},
        graph::{Arena, Graph, Plan},
        kernel::{Kernel, Scalar},
        optim::{Lr, Schedule},
        quant::{Overflow, Point, Quant, Range, Round},
        strategy::{Context, Place, Strategy, Tile},
        trainer::{SampleData, Samples, StepRecord, Targets, Trainer},
    };
}
