//! A network that was trained elsewhere lies in flash. Where it is used the pictures look otherwise, so
//! the chip trains its last layer again; the layers below stay in flash and take no RAM.
//!
//! [`LastLayer`] is what a program of one's own needs; `tuner.rs` is the file to read first. The
//! pictures are the digits of [`fixgrad_boards`], [`World`] is how they look, and [`recovery()`] is the whole
//! story.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod recovery;
mod tuner;
mod world;

pub use recovery::{EPOCHS, KNOWN, Recovery, recovery};
pub use tuner::{
    Head, HeadTrainer, LastLayer, MODEL, Room, TRAIN, TuneError, Waiting, head, trainer,
};
pub use world::World;
