//! What a run tells: lines of words and numbers, written without `core::fmt`, which would be a
//! large part of the firmware.

use embedded_io::Write;

/// Writes one line: a word, then fields.
pub(crate) struct Line<'a, W: Write> {
    out: &'a mut W,
}

impl<'a, W: Write> Line<'a, W> {
    pub(crate) fn new(out: &'a mut W, word: &str) -> Result<Self, W::Error> {
        out.write_all(word.as_bytes())?;
        Ok(Self { out })
    }

    pub(crate) fn text(self, text: &str) -> Result<Self, W::Error> {
        self.out.write_all(b" ")?;
        self.out.write_all(text.as_bytes())?;
        Ok(self)
    }

    pub(crate) fn number(self, number: u32) -> Result<Self, W::Error> {
        self.text(itoa::Buffer::new().format(number))
    }

    /// As sixteen digits.
    pub(crate) fn hex(self, number: u64) -> Result<Self, W::Error> {
        let digits = number.to_be_bytes().map(|byte| [byte >> 4, byte & 15].map(hex_digit));
        self.out.write_all(b" ")?;
        self.out.write_all(digits.as_flattened())?;
        Ok(self)
    }

    pub(crate) fn end(self) -> Result<(), W::Error> {
        self.out.write_all(b"\n")?;
        self.out.flush()
    }
}

const fn hex_digit(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_words_and_numbers() {
        let mut out = std::vec::Vec::new();
        let line = Line::new(&mut out, "step").and_then(|line| line.number(7));
        let line = line.and_then(|line| line.hex(0x0123_4567_89ab_cdef));
        line.and_then(|line| line.text("well")).and_then(Line::end).unwrap();
        assert_eq!(out, b"step 7 0123456789abcdef well\n");
    }
}
