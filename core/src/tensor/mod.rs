//! Dims, storage widths, and views of mantissas.

mod matrix;
mod source;
mod storage;
mod windows;

pub(crate) use crate::{for_source, for_width};
pub use matrix::Matrix;
pub use source::Source;
pub use storage::{Mantissa, Mantissas, MantissasMut, Shape, Width};
pub(crate) use windows::Under;
pub use windows::{Patches, Taps, Windows};
