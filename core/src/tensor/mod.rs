//! Dims, storage widths, and views of mantissas.

mod matrix;
mod storage;

pub(crate) use crate::for_width;
pub use matrix::Matrix;
pub use storage::{Mantissa, Mantissas, MantissasMut, Shape, Width};
