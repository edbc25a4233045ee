//! Trains small neural networks in pure integer arithmetic.
#![no_std]
