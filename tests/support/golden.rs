//! Golden vectors: what nics_fix and its PyTorch port give for fixed inputs.

use std::{collections::BTreeMap, fs, path::Path};

use serde::{Deserialize, Deserializer, de::Error};

/// A file of quantiser calls.
#[derive(Debug, Deserialize)]
pub struct File {
    tensors: BTreeMap<String, Tensor>,
    /// The calls.
    pub cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
struct Tensor {
    hex: Vec<Float>,
}

/// One call of a quantiser.
#[derive(Debug, Deserialize)]
pub struct Case {
    /// Its name in the file.
    pub id: String,
    /// The input.
    pub tensor: String,
    /// `auto`, `int` or `fixed`.
    pub method: String,
    /// Range rule of `auto` in the PyTorch port.
    pub range: Option<String>,
    /// Width.
    pub bits: u8,
    /// The bound's exponent that was given (nics_fix).
    pub int_scale: Option<i16>,
    /// The bound's exponent that was given (PyTorch port).
    pub init_scale_exp: Option<i16>,
    /// The bound's exponent that was used (nics_fix).
    pub scale_exp: Option<f32>,
    /// The bound's exponent that was used (PyTorch port).
    #[serde(default)]
    pub scale_hex: Vec<Float>,
    /// The output.
    #[serde(default)]
    pub out_hex: Vec<Float>,
    /// The straight-through mask.
    pub ste_mask: Option<Vec<u8>>,
    /// What was raised in place of an output.
    pub error: Option<String>,
}

/// A binary32 number from its eight hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Float(pub f32);

impl<'de> Deserialize<'de> for Float {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let digits = String::deserialize(deserializer)?;
        let bits = u32::from_str_radix(&digits, 16).map_err(D::Error::custom)?;
        Ok(Self(f32::from_bits(bits)))
    }
}

/// Reads a file of `tests/golden/`.
pub fn read<T: for<'de> Deserialize<'de>>(name: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

impl File {
    /// The input of a case.
    pub fn input(&self, case: &Case) -> Vec<f64> {
        self.tensors[&case.tensor].hex.iter().map(|x| x.0.into()).collect()
    }
}

impl Case {
    /// The bound's exponent that was used; not a number where upstream's was none.
    pub fn bound(&self) -> f32 {
        self.scale_exp.or(self.scale_hex.first().map(|x| x.0)).unwrap_or(f32::NAN)
    }

    /// The output.
    pub fn output(&self) -> Vec<f64> {
        self.out_hex.iter().map(|x| x.0.into()).collect()
    }
}
