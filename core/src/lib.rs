//! Trains small neural networks in pure integer arithmetic.
#![no_std]
#![deny(unsafe_code)]

#[cfg(any(test, feature = "std"))]
extern crate std;

pub mod config;
pub mod graph;
pub mod kernel;
pub mod optim;
pub mod quant;
pub mod rng;
pub mod strategy;
pub mod tensor;
