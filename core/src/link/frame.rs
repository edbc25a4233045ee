//! Frames: how a message looks on a line that loses, flips, doubles and invents bytes.
//!
//! A frame is `COBS(sequence number, message, CRC-32)` between two zero bytes. COBS leaves no zero
//! inside, so a reader that lost its place finds it again at the next zero.

use postcard::ser_flavors::{Cobs, Slice, crc::CrcModifier};
use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

use crate::config::CRC32;

/// The smallest buffer that every message but a part of something long fits into.
pub const MIN_FRAME: usize = 192;

/// Bytes of a frame around the bytes that a message carries: zeros, COBS, checksum, sequence
/// number, and the other fields of the message, each at its longest.
const OVERHEAD: usize = 26;

/// Bytes that a message can carry when a frame has `frame` bytes.
pub const fn chunk(frame: usize) -> usize {
    frame.saturating_sub(OVERHEAD + frame / 254)
}

/// What was received, and what was wrong with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Schema)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Line {
    /// Frames with the right checksum.
    pub good: u32,
    /// Frames with a wrong checksum, or that are no COBS.
    pub damaged: u32,
    /// Frames longer than the buffer.
    pub oversized: u32,
    /// Requests that came again and were answered again.
    pub repeated: u32,
    /// Requests that were overtaken by a newer one, and ignored.
    pub stale: u32,
}

/// Writes a frame; returns the part of `buffer` that was used, or nothing when it is too small.
pub fn encode<'b, T: Serialize>(sequence: u16, body: &T, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
    // What came before the frame, noise included, ends at a zero of its own.
    let (first, rest) = buffer.split_first_mut()?;
    *first = 0;
    let flavor = Cobs::try_new(Slice::new(rest)).ok()?;
    let flavor = CrcModifier::new(flavor, CRC32.digest());
    let len = postcard::serialize_with_flavor(&(sequence, body), flavor).ok()?.len();
    buffer.get(..1 + len)
}

/// Reads the message of a frame that a [`Receiver`] found, and its sequence number.
pub fn decode<'p, T: Deserialize<'p>>(payload: &'p [u8]) -> Option<(u16, T)> {
    match postcard::take_from_bytes(payload) {
        Ok((message, [])) => Some(message),
        _ => None,
    }
}

/// Finds frames in a stream of bytes, in a buffer that the caller keeps.
#[derive(Clone, Copy, Debug, Default)]
pub struct Receiver {
    filled: usize,
    skipping: bool,
    /// What happened so far.
    pub line: Line,
}

impl Receiver {
    /// Takes the next byte. When it ends a good frame, the payload is at the front of `buffer`,
    /// and this is its length; it stays there until the next call.
    pub fn push(&mut self, byte: u8, buffer: &mut [u8]) -> Option<usize> {
        if byte != 0 {
            match buffer.get_mut(self.filled) {
                Some(slot) => *slot = byte,
                None => self.skipping = true,
            }
            self.filled = self.filled.saturating_add(1);
            return None;
        }
        let filled = core::mem::take(&mut self.filled);
        if core::mem::take(&mut self.skipping) {
            self.line.oversized = self.line.oversized.saturating_add(1);
            return None;
        }
        // Two zeros in a row: the end of one frame and the start of the next.
        let frame = buffer.get_mut(..filled).filter(|frame| !frame.is_empty())?;
        let payload = unpack(frame);
        let count = if payload.is_some() { &mut self.line.good } else { &mut self.line.damaged };
        *count = count.saturating_add(1);
        payload
    }
}

/// Takes COBS and checksum off, in place.
fn unpack(frame: &mut [u8]) -> Option<usize> {
    let len = cobs::decode_in_place(frame).ok()?;
    let (payload, crc) = frame.get(..len)?.split_last_chunk::<4>()?;
    (CRC32.checksum(payload).to_le_bytes() == *crc).then_some(payload.len())
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn receive(bytes: &[u8], size: usize) -> (Vec<Vec<u8>>, Line) {
        let (mut receiver, mut buffer) = (Receiver::default(), std::vec![0xa5; size]);
        let mut found = Vec::new();
        for &byte in bytes {
            let len = receiver.push(byte, &mut buffer);
            found.extend(len.map(|len| buffer[..len].to_vec()));
        }
        (found, receiver.line)
    }

    fn frame(sequence: u16, body: &[u8]) -> Vec<u8> {
        let mut buffer = [0; 1400];
        encode(sequence, &body, &mut buffer).unwrap().to_vec()
    }

    #[test]
    fn a_part_that_was_promised_fits() {
        for size in MIN_FRAME..1300 {
            let bytes = std::vec![1; chunk(size)];
            let body = (u8::MAX, u32::MAX, u32::MAX, bytes.as_slice());
            let mut buffer = std::vec![0; size];
            assert!(encode(u16::MAX, &body, &mut buffer).is_some(), "{size}");
        }
    }

    #[test]
    fn a_small_buffer_is_an_answer_and_no_panic() {
        let whole = frame(1, &[0; 20]).len();
        for size in 0..whole {
            assert_eq!(encode(1, &&[0u8; 20][..], &mut std::vec![0; size]), None);
        }
    }

    #[test]
    fn frames_that_are_too_long_are_counted_and_the_next_one_is_found() {
        let bytes = [frame(1, &[7; 100]), frame(2, &[8; 30])].concat();
        let (found, line) = receive(&bytes, 64);
        assert_eq!(found.len(), 1);
        assert_eq!(decode::<&[u8]>(&found[0]), Some((2, &[8; 30][..])));
        assert_eq!(line, Line { good: 1, oversized: 1, ..Line::default() });
    }

    proptest! {
        #[test]
        fn what_is_sent_is_received(sequence: u16, body: Vec<u8>, noise in prop::collection::vec(1..=255u8, 0..9)) {
            let bytes = [noise.clone(), frame(sequence, &body)].concat();
            let (found, line) = receive(&bytes, 1400);
            prop_assert_eq!(found.len(), 1);
            prop_assert_eq!(decode::<&[u8]>(&found[0]), Some((sequence, &body[..])));
            prop_assert_eq!(line.good, 1);
            prop_assert_eq!(line.damaged, u32::from(!noise.is_empty()));
        }

        #[test]
        fn a_flipped_bit_is_noticed_and_the_next_frame_is_found(
            body in prop::collection::vec(any::<u8>(), 0..300), at: prop::sample::Index, bit in 0..8,
        ) {
            let mut bytes = frame(1, &body);
            let at = at.index(bytes.len());
            bytes[at] ^= 1u8 << bit;
            bytes.extend(frame(2, &[9]));
            let (found, _) = receive(&bytes, 1400);
            let messages: Vec<_> = found.iter().filter_map(|f| decode::<&[u8]>(f)).collect();
            prop_assert_eq!(messages, [(2, &[9][..])]);
        }

        #[test]
        fn any_bytes_are_taken(bytes: Vec<u8>, size in 0usize..80) {
            let (found, line) = receive(&bytes, size);
            prop_assert_eq!(found.len(), line.good as usize);
        }
    }
}
