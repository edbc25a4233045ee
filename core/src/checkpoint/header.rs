//! The first bytes of a slot: what it holds and for whom.

use super::identity::Identity;
use crate::{config::blob::CRC32, trainer::LayerMemory};

/// Version of the format. A reader refuses all others.
pub const VERSION: u16 = 1;

/// Bytes of a header, in every version.
pub(super) const BYTES: usize = 36;

const MAGIC: [u8; 4] = *b"FXCJ";

/// The checksum, in one place in flash.
pub(super) const CRC: &crc::Crc<u32> = &CRC32;

/// Sums up bytes. One copy of the loop is enough for a journal.
#[inline(never)]
pub(super) fn sum(digest: &mut crc::Digest<'static, u32>, bytes: &[u8]) {
    digest.update(bytes);
}

/// How much a slot holds besides header and commit mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) layers: u16,
    /// Bytes of master weights, momentum and bounds of channels.
    pub(super) parameters: u32,
}

impl Extent {
    /// Bytes of both; far too many rather than wrapped when a forged header asks for that.
    pub(super) const fn bytes(self) -> u32 {
        (self.layers as u32 * LayerMemory::BYTES as u32).saturating_add(self.parameters)
    }
}

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Counts saves. The largest is the newest.
    pub(super) sequence: u32,
    /// Steps of training that are done.
    pub(super) step: u32,
    pub(super) identity: Identity,
    pub(super) extent: Extent,
}

/// What the first bytes of a slot may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    /// A header of this version.
    Header(Header),
    /// An undamaged header of another version.
    OtherVersion(u16),
    /// Erased, torn, damaged, or no header at all.
    Nothing,
}

impl Header {
    pub(super) fn to_bytes(self) -> [u8; BYTES] {
        let Self { sequence, step, identity, extent } = self;
        let [v0, v1] = VERSION.to_le_bytes();
        let [l0, l1] = extent.layers.to_le_bytes();
        let Identity { graph, storage, config } = identity;
        let numbers = [sequence, step, graph, storage, config, extent.parameters];
        let mut digest = CRC.digest();
        let mut bytes = [0; BYTES];
        let mut places = bytes.as_chunks_mut().0.iter_mut();
        let fields = [MAGIC, [v0, v1, l0, l1]].into_iter();
        for (field, place) in fields.chain(numbers.map(u32::to_le_bytes)).zip(&mut places) {
            sum(&mut digest, &field);
            *place = field;
        }
        places.for_each(|place| *place = digest.clone().finalize().to_le_bytes());
        bytes
    }

    pub(super) fn parse(bytes: &[u8; BYTES]) -> Parsed {
        let (words, _) = bytes.as_chunks::<4>();
        let Ok(&[magic, kind, sequence, step, graph, storage, config, parameters, crc]) =
            <&[[u8; 4]; BYTES / 4]>::try_from(words)
        else {
            return Parsed::Nothing;
        };
        let [body @ .., _, _, _, _] = bytes;
        let mut digest = CRC.digest();
        sum(&mut digest, body);
        if magic != MAGIC || u32::from_le_bytes(crc) != digest.finalize() {
            return Parsed::Nothing;
        }
        let [v0, v1, l0, l1] = kind;
        let version = u16::from_le_bytes([v0, v1]);
        if version != VERSION {
            return Parsed::OtherVersion(version);
        }
        let number = u32::from_le_bytes;
        Parsed::Header(Self {
            sequence: number(sequence),
            step: number(step),
            identity: Identity {
                graph: number(graph),
                storage: number(storage),
                config: number(config),
            },
            extent: Extent { layers: u16::from_le_bytes([l0, l1]), parameters: number(parameters) },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header = Header {
        sequence: 0x0403_0201,
        step: 5,
        identity: Identity { graph: 6, storage: 7, config: 8 },
        extent: Extent { layers: 9, parameters: 10 },
    };

    #[test]
    fn what_is_written_is_read_and_every_flipped_bit_is_noticed() {
        let bytes = HEADER.to_bytes();
        assert_eq!(bytes[..8], *b"FXCJ\x01\x00\x09\x00");
        assert_eq!(bytes[8..12], [1, 2, 3, 4]);
        assert_eq!(Header::parse(&bytes), Parsed::Header(HEADER));
        for bit in 0..BYTES * 8 {
            let mut damaged = bytes;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::parse(&damaged), Parsed::Nothing, "bit {bit}");
        }
    }

    #[test]
    fn another_version_is_told_from_damage() {
        let mut bytes = HEADER.to_bytes();
        bytes[4] = 2;
        assert_eq!(Header::parse(&bytes), Parsed::Nothing);
        let crc = CRC.checksum(&bytes[..BYTES - 4]);
        bytes[BYTES - 4..].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(Header::parse(&bytes), Parsed::OtherVersion(2));
    }

    #[test]
    fn forged_lengths_do_not_wrap() {
        assert_eq!(Extent { layers: u16::MAX, parameters: u32::MAX }.bytes(), u32::MAX);
    }
}
