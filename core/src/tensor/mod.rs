//! Dims, storage widths, and views of mantissas.

mod matrix;
mod patches;
mod source;
mod storage;
mod taps;
mod windows;

pub(crate) use crate::{for_source, for_width};
pub use matrix::Matrix;
pub use patches::Patches;
pub use source::Source;
pub use storage::{Mantissa, Mantissas, MantissasMut, Shape, Width};
pub use taps::Taps;
pub(crate) use windows::Under;
pub use windows::Windows;
