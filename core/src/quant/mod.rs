//! From wide integers to narrow codes: rounding, overflow, ranges, and the settings of a point.

pub(crate) mod compact;
pub(crate) mod loops;
mod observe;
mod overflow;
mod quantizer;
mod range;
mod requantize;
pub(crate) mod round;
mod scaled;
mod settings;
mod short;
mod single;
mod state;

pub use observe::{Observe, PeakObserver};
pub use overflow::Overflow;
pub use quantizer::{Counts, Quantizer};
pub(crate) use range::bits_for;
pub(crate) use range::bound_of;
pub use range::{Observer, Range, ceil_log2, exponent_of, peak, sweep};
pub(crate) use requantize::requantize_word;
pub use requantize::{Code, Format, jam, requantize};
pub use round::Round;
pub(crate) use scaled::Scaled;
pub use settings::{Point, Quant};
pub use state::RangeState;
