//! Shapes, and how the integers of a tensor lie in memory.

use core::fmt;

use serde::{Deserialize, Serialize};

/// The shape of one sample: channels, height, width. A vector of `n` features is `[n, 1, 1]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Shape(pub [u16; 3]);

impl Shape {
    /// A vector of `features` numbers.
    pub const fn vector(features: u16) -> Self {
        Self([features, 1, 1])
    }

    /// Numbers in one sample.
    pub const fn elements(self) -> usize {
        let [channels, height, width] = self.0;
        (channels as usize).saturating_mul(height as usize).saturating_mul(width as usize)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [n, 1, 1] => write!(f, "[{n}]"),
            [c, h, w] => write!(f, "[{c}, {h}, {w}]"),
        }
    }
}

/// Storage width of the mantissas of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[serde(rename_all = "snake_case")]
pub enum Width {
    /// One byte: 1 to 8 bits.
    I8,
    /// Two bytes: 9 to 16 bits.
    I16,
    /// Four bytes: master weights and momentum only.
    I32,
}

impl Width {
    /// The narrowest storage for codes of `bits` bits.
    pub const fn for_bits(bits: u8) -> Self {
        match bits {
            0..=8 => Self::I8,
            9..=16 => Self::I16,
            _ => Self::I32,
        }
    }

    /// Bytes of one mantissa.
    pub const fn bytes(self) -> usize {
        1 << self as u32
    }

    /// Bits of one mantissa.
    pub const fn bits(self) -> u8 {
        8 * self.bytes() as u8
    }
}

/// A storage type for mantissas.
pub trait Mantissa: Copy + bytemuck::Pod {
    /// Its width.
    const WIDTH: Width;
    /// The value as a 32-bit integer.
    fn widen(self) -> i32;
    /// Stores a code that fits; higher bits are dropped.
    fn from_code(code: i32) -> Self;
}

macro_rules! mantissa {
    ($type:ty, $width:ident) => {
        impl Mantissa for $type {
            const WIDTH: Width = Width::$width;
            #[inline(always)]
            fn widen(self) -> i32 {
                i32::from(self)
            }
            #[inline(always)]
            fn from_code(code: i32) -> Self {
                code as Self
            }
        }
    };
}
mantissa!(i8, I8);
mantissa!(i16, I16);
mantissa!(i32, I32);

/// The mantissa nearest to a value.
pub(crate) fn nearest<T: Mantissa>(value: i32) -> T {
    let limit = i32::MAX >> (32 - T::WIDTH.bits());
    T::from_code(value.max(-limit - 1).min(limit))
}

/// Mantissas of one tensor, or of a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mantissas<'a> {
    /// One byte each.
    I8(&'a [i8]),
    /// Two bytes each.
    I16(&'a [i16]),
    /// Four bytes each.
    I32(&'a [i32]),
}

/// As [`Mantissas`], writable.
#[derive(Debug, PartialEq, Eq)]
pub enum MantissasMut<'a> {
    /// One byte each.
    I8(&'a mut [i8]),
    /// Two bytes each.
    I16(&'a mut [i16]),
    /// Four bytes each.
    I32(&'a mut [i32]),
}

/// Runs the same code over whichever width is inside.
#[macro_export]
#[doc(hidden)]
macro_rules! for_width {
    ($kind:ident, $value:expr, $name:ident => $body:expr) => {
        match $value {
            $crate::tensor::$kind::I8($name) => $body,
            $crate::tensor::$kind::I16($name) => $body,
            $crate::tensor::$kind::I32($name) => $body,
        }
    };
}

impl<'a> Mantissas<'a> {
    /// How many there are.
    pub const fn len(&self) -> usize {
        for_width!(Mantissas, self, m => m.len())
    }

    /// True when there are none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Their storage.
    pub const fn width(&self) -> Width {
        match self {
            Self::I8(_) => Width::I8,
            Self::I16(_) => Width::I16,
            Self::I32(_) => Width::I32,
        }
    }

    /// The mantissa at `index`, widened; zero outside.
    pub fn get(&self, index: usize) -> i32 {
        for_width!(Mantissas, self, m => m.get(index).map_or(0, |m| m.widen()))
    }

    /// A part of them; empty when it does not lie inside.
    #[must_use]
    pub fn part(&self, from: usize, len: usize) -> Mantissas<'a> {
        let to = from.saturating_add(len);
        match self {
            Self::I8(m) => Mantissas::I8(m.get(from..to).unwrap_or_default()),
            Self::I16(m) => Mantissas::I16(m.get(from..to).unwrap_or_default()),
            Self::I32(m) => Mantissas::I32(m.get(from..to).unwrap_or_default()),
        }
    }

    /// Copies them, widened.
    pub fn widen_into(&self, out: &mut [i32]) {
        for_width!(Mantissas, self, m => out.iter_mut().zip(m.iter()).for_each(|(o, m)| *o = m.widen()));
    }
}

impl MantissasMut<'_> {
    /// Read-only view.
    pub fn as_ref(&self) -> Mantissas<'_> {
        match self {
            Self::I8(m) => Mantissas::I8(m),
            Self::I16(m) => Mantissas::I16(m),
            Self::I32(m) => Mantissas::I32(m),
        }
    }

    /// All of them, for a while.
    pub(crate) fn reborrow(&mut self) -> MantissasMut<'_> {
        match self {
            Self::I8(m) => MantissasMut::I8(m),
            Self::I16(m) => MantissasMut::I16(m),
            Self::I32(m) => MantissasMut::I32(m),
        }
    }

    /// A writable part; empty when it does not lie inside.
    pub fn part(&mut self, from: usize, len: usize) -> MantissasMut<'_> {
        let to = from.saturating_add(len);
        match self {
            Self::I8(m) => MantissasMut::I8(m.get_mut(from..to).unwrap_or_default()),
            Self::I16(m) => MantissasMut::I16(m.get_mut(from..to).unwrap_or_default()),
            Self::I32(m) => MantissasMut::I32(m.get_mut(from..to).unwrap_or_default()),
        }
    }

    /// The first `at`, or all that there are, and the rest.
    #[must_use]
    pub fn split(self, at: usize) -> (Self, Self) {
        macro_rules! halves {
            ($($width:ident)*) => {
                match self {
                    $(Self::$width(m) => {
                        let (left, right) = m.split_at_mut(at.min(m.len()));
                        (Self::$width(left), Self::$width(right))
                    })*
                }
            };
        }
        halves!(I8 I16 I32)
    }

    /// Stores a value as the nearest one that there is room for; nothing when the index does not lie
    /// inside.
    pub fn set(&mut self, index: usize, value: i32) {
        for_width!(MantissasMut, self, m => {
            if let Some(m) = m.get_mut(index) {
                *m = nearest(value);
            }
        });
    }

    /// Stores codes that fit.
    pub fn store(&mut self, codes: &[i32]) {
        for_width!(MantissasMut, self, m => {
            m.iter_mut().zip(codes).for_each(|(m, &code)| *m = Mantissa::from_code(code));
        });
    }
}
