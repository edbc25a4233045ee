//! The desktop side of fixgrad.

pub mod config;
pub mod data;
pub mod files;
pub mod report;
pub mod run;
