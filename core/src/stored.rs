//! Parameters of a network that was trained elsewhere, in bytes that are read where they lie, such as in
//! flash: those that do not move take no RAM, and those that move begin with what is here.
//!
//! [`LayerConfig::stored`](crate::config::LayerConfig::stored) says which layers read them,
//! [`Trainer::store`](crate::trainer::Trainer::store) writes them, and
//! [`Trainer::of_stored`](crate::trainer::Trainer::of_stored) trains with them.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | magic `FXCP` |
//! | 2 | format version, little-endian, as all that follows |
//! | 2 | layers `l` |
//! | 4 | hash of the graph |
//! | 4 | hash of how the parameters lie |
//! | 4 | bytes of the parameters `n` |
//! | 72 `l` | of each layer: the exponents of weights and biases, 16 bits each, and the bounds that training found, as in a checkpoint |
//! | `n` | of each layer: weights, biases, bounds of channels, each from a multiple of four bytes on |
//! | 4 | CRC-32 (ISO-HDLC) of all bytes before it |

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    config::blob::{BlobError, CRC32, Magic},
    graph::{Name, Region},
    tensor::{Mantissas, Width},
    trainer::LayerMemory,
};

/// Bytes before those of the layers.
const HEADER: usize = 20;
/// Bytes of a layer's exponents and bounds.
const LAYER: usize = 4 + LayerMemory::BYTES;

/// Stored parameters whose checksum is right. The trainer checks whether they are those of its network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored<'a> {
    pub(crate) graph: u32,
    pub(crate) layout: u32,
    pub(crate) layers: &'a [[u8; LAYER]],
    pub(crate) parameters: &'a [u8],
    /// The checksum, which stands for all of it.
    pub(crate) crc: u32,
}

/// Why a trainer cannot begin with stored parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum StoredError {
    /// There are none.
    Missing {
        /// A layer that reads them.
        layer: Name,
    },
    /// They are of another network.
    OtherGraph {
        /// Hash of the graph at hand.
        expected: u32,
        /// Hash of theirs.
        found: u32,
    },
    /// They were stored for other settings: widths, bounds of master copies, or what moves.
    OtherSettings,
    /// They do not start at a multiple of four bytes; [`Aligned`] does.
    Misaligned,
    /// Codes or exponents that the settings do not have.
    Values {
        /// The layer.
        layer: Name,
    },
}

impl fmt::Display for StoredError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { layer } => write!(
                f,
                "layer {layer} reads its parameters where they are stored, and none were given: \
                 `Trainer::of_stored` and `Trainer::with_stored` take them"
            ),
            Self::OtherGraph { expected, found } => write!(
                f,
                "the stored parameters are of graph {found:08x}, this one is {expected:08x}: store \
                 them again for this network"
            ),
            Self::OtherSettings => f.write_str(
                "the parameters were stored for other settings (widths, bounds of master copies, \
                 or what is updated): store them again with these",
            ),
            Self::Misaligned => f.write_str(
                "the stored parameters must start at a multiple of four bytes: wrap them in \
                 `stored::Aligned`",
            ),
            Self::Values { layer } => write!(
                f,
                "layer {layer}: its stored parameters have codes or exponents that its settings \
                 do not allow: store them again"
            ),
        }
    }
}

impl core::error::Error for StoredError {}

/// Bytes in a static, from where codes of any width can be read.
///
/// ```
/// use fixgrad::stored::{Aligned, Stored};
///
/// static BYTES: Aligned<[u8; 5]> = Aligned(*b"FXCP?");
/// assert_eq!(BYTES.0.as_ptr().addr() % 4, 0);
/// assert!(Stored::read(&BYTES.0).is_err());
/// ```
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
pub struct Aligned<T>(pub T);

impl<'a> Stored<'a> {
    /// What `parameters` bytes of parameters of `layers` layers take when they are stored.
    pub const fn bytes(layers: usize, parameters: usize) -> usize {
        HEADER + LAYER * layers + parameters + 4
    }

    /// Reads what [`Trainer::store`](crate::trainer::Trainer::store) wrote. Parameters stay where they
    /// are. The bytes are not trusted.
    pub fn read(bytes: &'a [u8]) -> Result<Self, BlobError> {
        let found = bytes.len();
        let truncated = |expected| BlobError::Truncated { expected, found };
        let (header, rest) = bytes.split_first_chunk::<HEADER>().ok_or(truncated(HEADER))?;
        let (words, _) = header.as_chunks::<4>();
        let Ok(&[magic, kind, graph, layout, len]) = <&[[u8; 4]; HEADER / 4]>::try_from(words)
        else {
            return Err(BlobError::BadContent);
        };
        if magic != Magic::STORED.0 {
            let found = Magic(magic);
            return Err(BlobError::WrongMagic { expected: Magic::STORED, found });
        }
        let [v0, v1, l0, l1] = kind;
        let (version, layers) = (u16::from_le_bytes([v0, v1]), u16::from_le_bytes([l0, l1]));
        let expected = Magic::STORED.version();
        if version != expected {
            return Err(BlobError::WrongVersion { expected, found: version });
        }
        // At most 2^32 and 72 times 2^16.
        let len = u64::from(u32::from_le_bytes(len));
        let expected = (HEADER + 4 + LAYER * usize::from(layers)) as u64 + len;
        let expected = usize::try_from(expected).unwrap_or(usize::MAX);
        if found < expected {
            return Err(truncated(expected));
        }
        if found > expected {
            return Err(BlobError::TooLong { expected, found });
        }
        let (body, crc) = bytes.split_last_chunk::<4>().ok_or(truncated(expected))?;
        let crc = u32::from_le_bytes(*crc);
        if CRC32.checksum(body) != crc {
            return Err(BlobError::BadChecksum);
        }
        let (layers, parameters) =
            rest.split_at_checked(LAYER * usize::from(layers)).ok_or(BlobError::BadContent)?;
        let parameters = parameters.get(..len as usize).ok_or(BlobError::BadContent)?;
        let (layers, _) = layers.as_chunks();
        let (graph, layout) = (u32::from_le_bytes(graph), u32::from_le_bytes(layout));
        Ok(Self { graph, layout, layers, parameters, crc })
    }

    /// Bytes of all of it.
    pub const fn size(&self) -> usize {
        Self::bytes(self.layers.len(), self.parameters.len())
    }

    /// Layers of the network.
    pub const fn layers(&self) -> usize {
        self.layers.len()
    }

    /// Exponents of the codes of weights and biases of a layer.
    pub(crate) fn exponents(&self, layer: usize) -> [i16; 2] {
        match self.layers.get(layer) {
            Some(&[w0, w1, b0, b1, ..]) => {
                [i16::from_le_bytes([w0, w1]), i16::from_le_bytes([b0, b1])]
            }
            None => [0; 2],
        }
    }

    /// The bounds that training found in a layer.
    pub(crate) fn memory(&self, layer: usize) -> Option<LayerMemory> {
        let (_, memory) = self.layers.get(layer)?.split_first_chunk::<4>()?;
        Some(LayerMemory::from_bytes(memory.first_chunk()?))
    }

    /// Codes that lie here; none where the bytes do not hold them, or not at a multiple of their width.
    pub(crate) fn codes(&self, region: Region) -> Mantissas<'a> {
        let from = region.stored_offset() as usize;
        let bytes = self.parameters.get(from..from + region.bytes()).unwrap_or_default();
        match region.width() {
            Width::I8 => Mantissas::I8(bytemuck::cast_slice(bytes)),
            Width::I16 => Mantissas::I16(bytemuck::try_cast_slice(bytes).unwrap_or_default()),
            Width::I32 => Mantissas::I32(bytemuck::try_cast_slice(bytes).unwrap_or_default()),
        }
    }

    /// Writes a header for so many layers and parameters, and the checksum of all. `fill` gets the
    /// places between: one a layer, and the parameters, all zero.
    pub(crate) fn write<E>(
        [graph, layout]: [u32; 2],
        [layers, parameters]: [usize; 2],
        buffer: &mut [u8],
        fill: impl FnOnce(&mut [[u8; LAYER]], &mut [u8]) -> Result<(), E>,
    ) -> Option<Result<&[u8], E>> {
        let bytes = buffer.get_mut(..Self::bytes(layers, parameters))?;
        bytes.fill(0);
        let (body, crc) = bytes.split_last_chunk_mut::<4>()?;
        let (header, rest) = body.split_first_chunk_mut::<HEADER>()?;
        let [v0, v1] = Magic::STORED.version().to_le_bytes();
        let [l0, l1] = (layers as u16).to_le_bytes();
        let numbers = [graph, layout, parameters as u32].map(u32::to_le_bytes);
        let fields = [Magic::STORED.0, [v0, v1, l0, l1]].into_iter().chain(numbers);
        let (words, _) = header.as_chunks_mut::<4>();
        words.iter_mut().zip(fields).for_each(|(place, field)| *place = field);
        let (layers, parameters) = rest.split_at_mut_checked(LAYER * layers)?;
        if let Err(error) = fill(layers.as_chunks_mut().0, parameters) {
            return Some(Err(error));
        }
        *crc = CRC32.checksum(body).to_le_bytes();
        Some(Ok(bytes))
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    fn written() -> Vec<u8> {
        let mut buffer = [0; 200];
        let written = Stored::write([1, 2], [2, 5], &mut buffer, |layers, parameters| {
            layers[1][..4].copy_from_slice(&[0xfe, 0xff, 3, 0]);
            parameters.copy_from_slice(&[1, 255, 3, 4, 5]);
            Ok::<(), ()>(())
        });
        written.unwrap().unwrap().to_vec()
    }

    #[test]
    fn bytes_are_those_of_the_document() {
        let bytes = written();
        assert_eq!(bytes.len(), Stored::bytes(2, 5));
        let header =
            [b"FXCP".as_slice(), &[1, 0, 2, 0], &[1, 0, 0, 0], &[2, 0, 0, 0], &[5, 0, 0, 0]];
        assert_eq!(bytes[..20], header.concat());
        assert_eq!(bytes[20 + 144..][..5], [1, 255, 3, 4, 5]);
        let stored = Stored::read(&bytes).unwrap();
        assert_eq!((stored.layers(), stored.size()), (2, bytes.len()));
        assert_eq!((stored.exponents(1), stored.exponents(2)), ([-2, 3], [0, 0]));
        let codes = stored.codes(Region::new(0, 3, Width::I8));
        assert_eq!([0, 1, 2].map(|i| codes.get(i)), [1, -1, 3]);
        assert!(stored.codes(Region::new(4, 2, Width::I8)).is_empty(), "beyond the end");
    }

    #[test]
    fn damaged_bytes_are_refused() {
        let bytes = written();
        for bit in 0..8 * bytes.len() {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(Stored::read(&damaged).is_err(), "bit {bit}");
        }
        for len in 0..bytes.len() {
            let cut = Stored::read(&bytes[..len]);
            assert!(matches!(cut, Err(BlobError::Truncated { .. })), "{len}");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert!(matches!(Stored::read(&longer), Err(BlobError::TooLong { .. })));
    }
}
