//! The command line, as a user types it.

mod support;
mod sweep;
mod train;
