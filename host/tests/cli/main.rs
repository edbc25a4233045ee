//! The command line, as a user types it.

mod fold;
mod gradient_buffer;
mod link;
mod store;
mod support;
mod sweep;
mod train;
