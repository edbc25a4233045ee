//! The byte form of a value that enters or leaves a device.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | magic: `FXC` and a letter for the kind of content |
//! | 2 | format version, little-endian |
//! | 4 | hash of the graph that the content was made for, little-endian |
//! | 4 | length of the content, little-endian |
//! | n | content in postcard's wire format |
//! | 4 | CRC-32 (ISO-HDLC) of all bytes before it, little-endian |

use core::fmt;

use serde::{Deserialize, Serialize};

/// The checksum of every blob, and of a graph's hash.
pub const CRC32: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);

/// Bytes around the content.
pub const OVERHEAD: usize = HEADER + 4;

const HEADER: usize = 14;

/// Says what the content is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Magic(pub [u8; 4]);

impl Magic {
    /// A graph and its configuration.
    pub const CONFIG: Self = Self(*b"FXCC");
    /// A configuration and what training made of it.
    pub const MODEL: Self = Self(*b"FXCM");
    /// Parameters that are read where they lie.
    pub const STORED: Self = Self(*b"FXCP");
    /// Layers that are trained no more.
    pub const FROZEN: Self = Self(*b"FXCF");

    /// Version of the format in this release. A reader refuses all others.
    pub const fn version(self) -> u16 {
        match &self.0 {
            b"FXCC" | b"FXCM" => 6,
            _ => 1,
        }
    }
}

/// Why bytes were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum BlobError {
    /// Fewer bytes than the header promises.
    Truncated {
        /// Bytes that were expected.
        expected: usize,
        /// Bytes that were found.
        found: usize,
    },
    /// More bytes than the header promises.
    TooLong {
        /// Bytes that were expected.
        expected: usize,
        /// Bytes that were found.
        found: usize,
    },
    /// The first four bytes are not those of this kind of content.
    WrongMagic {
        /// What was expected.
        expected: Magic,
        /// What was found.
        found: Magic,
    },
    /// Written by another release.
    WrongVersion {
        /// What this release reads.
        expected: u16,
        /// What was found.
        found: u16,
    },
    /// Damaged on the way.
    BadChecksum,
    /// Made for another graph.
    WrongGraph {
        /// Hash of the graph at hand.
        expected: u32,
        /// Hash in the blob.
        found: u32,
    },
    /// The checksum is right and the content makes no sense.
    BadContent,
    /// The buffer for writing is too small.
    BufferTooSmall,
}

impl fmt::Display for BlobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { expected, found } => {
                write!(f, "cut short: {expected} bytes expected, {found} found")
            }
            Self::TooLong { expected, found } => {
                write!(f, "too long: {expected} bytes expected, {found} found")
            }
            Self::WrongMagic { expected, found } => write!(
                f,
                "starts with \"{}\" and not with \"{}\": another kind of file",
                found.0.escape_ascii(),
                expected.0.escape_ascii()
            ),
            Self::WrongVersion { expected, found } => write!(
                f,
                "format version {found}; this release reads version {expected}: write it again \
                 with this release"
            ),
            Self::BadChecksum => f.write_str("the checksum is wrong: the bytes were damaged"),
            Self::WrongGraph { expected, found } => write!(
                f,
                "made for graph {found:08x}, this one is {expected:08x}: compile the \
                 configuration again for this network"
            ),
            Self::BadContent => f.write_str(
                "the checksum is right and the content is not: written by a faulty or newer tool",
            ),
            Self::BufferTooSmall => f.write_str("the buffer is too small for the content"),
        }
    }
}

impl core::error::Error for BlobError {}

/// Writes `content` for the graph with this hash; returns the part of `buffer` that was used.
pub fn write<'b, T: Serialize + ?Sized>(
    magic: Magic,
    graph: u32,
    content: &T,
    buffer: &'b mut [u8],
) -> Result<&'b [u8], BlobError> {
    let (header, rest) = buffer.split_at_mut_checked(HEADER).ok_or(BlobError::BufferTooSmall)?;
    let body = postcard::to_slice(content, rest).map_err(|_| BlobError::BufferTooSmall)?.len();
    let fields = [
        &magic.0[..],
        &magic.version().to_le_bytes(),
        &graph.to_le_bytes(),
        &(body as u32).to_le_bytes(),
    ];
    let bytes = fields.into_iter().flatten();
    header.iter_mut().zip(bytes).for_each(|(slot, &byte)| *slot = byte);
    let end = HEADER + body;
    let crc = CRC32.checksum(buffer.get(..end).ok_or(BlobError::BufferTooSmall)?);
    let tail = buffer.get_mut(end..end + 4).ok_or(BlobError::BufferTooSmall)?;
    tail.copy_from_slice(&crc.to_le_bytes());
    buffer.get(..end + 4).ok_or(BlobError::BufferTooSmall)
}

/// Reads what [`write()`] wrote. `graph` is the hash that the content must have been made for;
/// `None` takes any. Returns the content, which may borrow from the bytes, and the hash.
pub fn read<'b, T: Deserialize<'b>>(
    magic: Magic,
    graph: Option<u32>,
    bytes: &'b [u8],
) -> Result<(T, u32), BlobError> {
    let found = bytes.len();
    let short = BlobError::Truncated { expected: OVERHEAD, found };
    let (header, rest) = bytes.split_at_checked(HEADER).ok_or(short)?;
    let (&kind, header) = header.split_first_chunk::<4>().ok_or(short)?;
    let (&version, header) = header.split_first_chunk::<2>().ok_or(short)?;
    let (&hash, header) = header.split_first_chunk::<4>().ok_or(short)?;
    let (&body, _) = header.split_first_chunk::<4>().ok_or(short)?;
    if kind != magic.0 {
        return Err(BlobError::WrongMagic { expected: magic, found: Magic(kind) });
    }
    let version = u16::from_le_bytes(version);
    let expected = magic.version();
    if version != expected {
        return Err(BlobError::WrongVersion { expected, found: version });
    }
    let body = u32::from_le_bytes(body) as usize;
    let expected = OVERHEAD.saturating_add(body);
    if found < expected {
        return Err(BlobError::Truncated { expected, found });
    }
    if found > expected {
        return Err(BlobError::TooLong { expected, found });
    }
    let (content, crc) = rest.split_at_checked(body).ok_or(short)?;
    let sum = CRC32.checksum(bytes.get(..HEADER + body).ok_or(short)?);
    if crc != sum.to_le_bytes() {
        return Err(BlobError::BadChecksum);
    }
    let hash = u32::from_le_bytes(hash);
    if let Some(expected) = graph.filter(|&graph| graph != hash) {
        return Err(BlobError::WrongGraph { expected, found: hash });
    }
    match postcard::take_from_bytes(content) {
        Ok((value, [])) => Ok((value, hash)),
        _ => Err(BlobError::BadContent),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_every_damage_is_noticed() {
        let content: (u32, [i16; 3]) = (300, [1, -2, 3]);
        let mut buffer = [0; 64];
        let bytes = write(Magic::CONFIG, 7, &content, &mut buffer).unwrap().to_vec();
        type Content = (u32, [i16; 3]);
        assert_eq!(read::<Content>(Magic::CONFIG, Some(7), &bytes), Ok((content, 7)));
        assert_eq!(
            read::<Content>(Magic::CONFIG, Some(8), &bytes),
            Err(BlobError::WrongGraph { expected: 8, found: 7 })
        );
        for cut in 0..bytes.len() {
            let error = read::<Content>(Magic::CONFIG, None, &bytes[..cut]).unwrap_err();
            assert!(matches!(error, BlobError::Truncated { found, .. } if found == cut));
        }
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(read::<Content>(Magic::CONFIG, None, &damaged).is_err(), "bit {bit}");
        }
        let mut small = [0; 20];
        assert_eq!(write(Magic::CONFIG, 7, &content, &mut small), Err(BlobError::BufferTooSmall));
        assert_eq!(read::<u8>(Magic::CONFIG, None, &bytes), Err(BlobError::BadContent));
    }
}
