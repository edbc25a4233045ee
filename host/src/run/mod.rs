//! A training run and what it leaves behind.
//!
//! A run lives in a folder ([`RunFolder`]). [`train`] works through its epochs: a [`Session`]
//! moves the weights, the log gets a record, and now and then a checkpoint keeps the state. A run
//! that was cut off anywhere continues from its checkpoint and ends with the same weights.

pub mod batch;
mod fold;
mod folder;
mod footprint;
mod job;
mod judge;
pub mod log;
mod model;
mod picture;
mod probe;
mod progress;
pub mod record;
mod session;
mod stats;
mod stepper;
mod store;
mod summary;
mod train;

pub use batch::Batch;
pub use folder::{Origin, RunFolder};
pub(crate) use folder::{anywhere, plain};
pub use footprint::{Firmware, Footprint};
pub use job::{Job, Overrides};
pub use judge::judge;
pub(crate) use judge::means;
pub(crate) use model::mantissas;
pub use model::{Model, ModelError};
pub use progress::Progress;
pub(crate) use session::Order;
pub use session::{EpochOutcome, Session, Workspace};
pub use stepper::Stepper;
pub use summary::Summary;
pub use train::{resume, resume_with, train, train_with};
