//! The command line, as a user types it.

mod gradient_buffer;
mod link;
mod support;
mod sweep;
mod train;
