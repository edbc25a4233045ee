//! A line that drops, flips, inserts, doubles and swaps bytes, as a seed says.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind, Read, Write},
};

use crate::mutate::Mutator;

/// A stream with faults in both directions.
#[derive(Debug)]
pub struct Faulty<S> {
    inner: S,
    draw: Mutator,
    /// One byte in so many is hit.
    one_in: usize,
    arrived: VecDeque<u8>,
    /// A byte that the next one overtakes.
    held: Option<u8>,
}

impl<S> Faulty<S> {
    /// The faults that `seed` names, one in `one_in` bytes; none when that is zero.
    pub fn new(inner: S, seed: u64, one_in: usize) -> Self {
        let draw = Mutator::new(seed);
        Self { inner, draw, one_in, arrived: VecDeque::new(), held: None }
    }

    fn mangle(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for &byte in bytes {
            if self.one_in == 0 || self.draw.below(self.one_in) > 0 {
                out.push(byte);
                out.extend(self.held.take());
                continue;
            }
            match self.draw.below(6) {
                0 => {}
                1 => out.push(byte ^ (1 << self.draw.below(8))),
                2 => out.extend([self.draw.below(256) as u8, byte]),
                3 => out.extend([byte, byte]),
                4 => self.held = Some(byte),
                // All of it once more: a doubled frame.
                _ => {
                    out.push(byte);
                    out.extend_from_slice(bytes);
                }
            }
        }
        out
    }
}

impl<S: Read> Read for Faulty<S> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.arrived.is_empty() {
            let mut fresh = [0; 256];
            let len = self.inner.read(&mut fresh)?;
            if len == 0 {
                return Ok(0);
            }
            let fresh = self.mangle(&fresh[..len]);
            self.arrived.extend(fresh);
        }
        match self.arrived.read(bytes)? {
            0 => Err(ErrorKind::WouldBlock.into()),
            len => Ok(len),
        }
    }
}

impl<S: Write> Write for Faulty<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mangled = self.mangle(bytes);
        self.inner.write_all(&mangled)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
