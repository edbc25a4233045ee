//! The desktop side of fixgrad.

pub mod data;
