//! The desktop side of fixgrad.

pub mod data;
pub mod kernel;
pub mod report;
pub mod run;
