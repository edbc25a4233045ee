//! The desktop side of fixgrad.

pub mod report;
pub mod run;
