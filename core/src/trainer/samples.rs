//! Samples as they come to a network.

use crate::{
    tensor::Source,
    uses::{Part, Uses},
};

/// Samples as they come from a sensor or a file: `value = mantissa * 2^exponent`.
#[derive(Clone, Copy, Debug)]
pub struct Samples<'a> {
    /// Mantissas, one sample after the other.
    pub data: SampleData<'a>,
    /// Exponent of their unit.
    pub exponent: i16,
}

/// Storage of samples.
#[derive(Clone, Copy, Debug)]
pub enum SampleData<'a> {
    /// Pixels.
    U8(&'a [u8]),
    /// Signed bytes.
    I8(&'a [i8]),
    /// 16-bit sensor readings.
    I16(&'a [i16]),
}

impl<'a> Samples<'a> {
    /// How many mantissas there are.
    pub const fn len(&self) -> usize {
        match self.data {
            SampleData::U8(d) => d.len(),
            SampleData::I8(d) => d.len(),
            SampleData::I16(d) => d.len(),
        }
    }

    /// True when there are none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Mantissas `from..from + len`, or none.
    #[must_use]
    pub fn part(self, from: usize, len: usize) -> Samples<'a> {
        let range = from..from.saturating_add(len);
        let data = match self.data {
            SampleData::U8(d) => SampleData::U8(d.get(range).unwrap_or_default()),
            SampleData::I8(d) => SampleData::I8(d.get(range).unwrap_or_default()),
            SampleData::I16(d) => SampleData::I16(d.get(range).unwrap_or_default()),
        };
        Samples { data, ..self }
    }

    /// The samples as codes of 8 bits, where they are such.
    pub(crate) fn codes(self) -> Option<&'a [i8]> {
        match self.data {
            SampleData::I8(d) => Some(d),
            SampleData::U8(d) if d.is_ascii() => Some(bytemuck::cast_slice(d)),
            SampleData::U8(_) | SampleData::I16(_) => None,
        }
    }

    pub(super) fn source(self) -> Source<'a> {
        match self.data {
            SampleData::U8(d) => Source::U8(d),
            SampleData::I8(d) => Source::I8(d),
            SampleData::I16(d) => Source::I16(d),
        }
    }

    pub(super) const fn bits(&self) -> u8 {
        match self.data {
            SampleData::U8(_) => 8,
            SampleData::I8(_) => 7,
            SampleData::I16(_) => 15,
        }
    }
}

/// The samples, as the codes that they are where no point makes codes of them.
pub(crate) fn linked_samples<U: Uses>(samples: Samples<'_>) -> Samples<'_> {
    if U::uses(Part::InputPoint) {
        return samples;
    }
    Samples { data: SampleData::I8(samples.codes().unwrap_or_default()), ..samples }
}
