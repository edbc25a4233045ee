//! The configuration of a training run, as a device takes it.
//!
//! [`Config`] is plain data, `const`-constructible, and has a postcard form (see [`blob`]) that
//! names the graph it was made for.

pub mod blob;
mod init;
mod layer;
mod parts;
mod train;
mod update;
mod validate;

pub use blob::{BlobError, CRC32};
pub use init::Init;
pub use layer::{LayerConfig, Master};
pub use train::{Config, ConfigError, LossKind, Train};
pub use update::Update;
pub(crate) use validate::{is_near, validate};
