//! Text made in a `const`: a build error can then name the layer and both shapes.

use core::fmt;

use crate::tensor::Shape;

const CAPACITY: usize = 240;

/// A short sentence, cut at its capacity.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Message {
    bytes: [u8; CAPACITY],
    len: usize,
}

impl Message {
    /// An empty sentence.
    pub const fn new() -> Self {
        Self { bytes: [0; CAPACITY], len: 0 }
    }

    /// Appends text.
    #[must_use]
    pub const fn text(mut self, text: &str) -> Self {
        let text = text.as_bytes();
        let mut i = 0;
        while i < text.len() && self.len < CAPACITY {
            // Cutting inside a character would make the text invalid; all our text is ASCII.
            self.bytes[self.len] = if text[i].is_ascii() { text[i] } else { b'?' };
            self.len += 1;
            i += 1;
        }
        self
    }

    /// Appends a number with commas between thousands.
    #[must_use]
    pub const fn number(self, number: usize) -> Self {
        let (head, rest) = (number / 1000, number % 1000);
        if head == 0 {
            return self.digits(rest, 1);
        }
        self.number(head).text(",").digits(rest, 100)
    }

    /// Appends a number that may lie below zero.
    #[must_use]
    pub const fn signed(self, number: i32) -> Self {
        let sign = if number < 0 { "-" } else { "" };
        self.text(sign).number(number.unsigned_abs() as usize)
    }

    const fn digits(mut self, number: usize, mut unit: usize) -> Self {
        while number / unit >= 10 {
            unit *= 10;
        }
        while unit > 0 {
            let digit = [b'0' + (number / unit % 10) as u8];
            if self.len < CAPACITY {
                self.bytes[self.len] = digit[0];
                self.len += 1;
            }
            unit /= 10;
        }
        self
    }

    /// Appends a shape as `[c, h, w]`, or `[n]` for a vector.
    #[must_use]
    pub const fn shape(self, shape: Shape) -> Self {
        let [c, h, w] = shape.0;
        let open = self.text("[").number(c as usize);
        if h == 1 && w == 1 {
            return open.text("]");
        }
        open.text(", ").number(h as usize).text(", ").number(w as usize).text("]")
    }

    /// The sentence.
    pub const fn as_str(&self) -> &str {
        let (text, _) = self.bytes.split_at(self.len);
        match core::str::from_utf8(text) {
            Ok(text) => text,
            Err(_) => "",
        }
    }
}

impl Default for Message {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_shapes_read_like_prose() {
        let m = Message::new().number(0).text(" ").number(41_216).text(" ").number(1_000_007);
        assert_eq!(m.as_str(), "0 41,216 1,000,007");
        let m = Message::new().shape(Shape([1, 28, 28])).shape(Shape::vector(10));
        assert_eq!(m.as_str(), "[1, 28, 28][10]");
        let long = (0..100).fold(Message::new(), |m, _| m.text("0123456789"));
        assert_eq!(long.as_str().len(), CAPACITY);
    }
}
