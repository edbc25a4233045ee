//! One row of the layer table.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::{layer::Kind, tensor::Shape};

/// A layer's name: up to 15 ASCII letters, digits, `_`, `-`, `.` and `/`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Name {
    bytes: [u8; Self::CAPACITY],
    len: u8,
}

impl Name {
    /// Longest name, in bytes.
    pub const CAPACITY: usize = 15;

    /// The name, if it is one.
    pub const fn new(name: &str) -> Option<Self> {
        let from = name.as_bytes();
        if from.is_empty() || from.len() > Self::CAPACITY {
            return None;
        }
        let mut bytes = [0; Self::CAPACITY];
        let mut i = 0;
        while i < from.len() {
            if !matches!(from[i], b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' | b'.' | b'/')
            {
                return None;
            }
            bytes[i] = from[i];
            i += 1;
        }
        Some(Self { bytes, len: from.len() as u8 })
    }

    /// `prefix`, cut to 12 bytes, and a number: the name of a layer that was given none.
    pub const fn numbered(prefix: &str, number: u8) -> Self {
        let from = prefix.as_bytes();
        let mut name = Self { bytes: [0; Self::CAPACITY], len: 0 };
        while (name.len as usize) < from.len() && (name.len as usize) < Self::CAPACITY - 3 {
            name.bytes[name.len as usize] = from[name.len as usize];
            name.len += 1;
        }
        let mut unit = 100;
        while unit > 0 {
            if number >= unit || unit == 1 {
                name.bytes[name.len as usize] = b'0' + number / unit % 10;
                name.len += 1;
            }
            unit /= 10;
        }
        name
    }

    /// The name as text.
    pub const fn as_str(&self) -> &str {
        let (text, _) = self.bytes.split_at(self.len as usize);
        match core::str::from_utf8(text) {
            Ok(text) => text,
            Err(_) => "",
        }
    }

    pub(super) const fn equals(&self, other: &Self) -> bool {
        let mut i = 0;
        while i < Self::CAPACITY {
            if self.bytes[i] != other.bytes[i] {
                return false;
            }
            i += 1;
        }
        true
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Name {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{=str}", self.as_str());
    }
}

impl Serialize for Name {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Name;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a layer name of 1 to 15 letters, digits, '_', '-', '.' or '/'")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Name, E> {
                Name::new(text)
                    .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

/// One row of the layer table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Layer {
    /// Unique in the graph.
    pub name: Name,
    /// What it does.
    pub kind: Kind,
    /// The layer whose output it reads; its own index for the first.
    pub input: u8,
    /// The second layer whose output it reads; [`input`](Self::input) again where there is none.
    pub other: u8,
    /// Shape of one output.
    pub shape: Shape,
}

impl Layer {
    /// The layers whose outputs it reads, twice the same where it is one.
    pub const fn inputs(&self) -> [usize; 2] {
        [self.input as usize, self.other as usize]
    }
}
