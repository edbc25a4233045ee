//! The header of an `.npy` file: a Python dictionary of three keys, as `numpy.save` writes it
//! (NumPy Enhancement Proposal 1, "Format specification: version 1.0").

use super::super::file::MAX_BYTES;

/// What the header says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Byte order, kind and size of an element, such as `<i2`.
    pub(super) descr: String,
    pub(super) fortran_order: bool,
    pub(super) shape: Vec<u64>,
}

impl Header {
    /// The error says in words what is wrong.
    pub(super) fn parse(text: &[u8]) -> Result<Self, String> {
        if let Some(byte) = text.iter().find(|byte| !byte.is_ascii() || **byte == 0) {
            return Err(format!("unexpected byte 0x{byte:02x}"));
        }
        let text = str::from_utf8(text).map_err(|error| error.to_string())?;
        let descr = value(text, "descr")?;
        let fortran_order = match value(text, "fortran_order")? {
            order if order.starts_with("True") => true,
            order if order.starts_with("False") => false,
            order => return Err(found("True or False as its fortran_order", order)),
        };
        let shape = value(text, "shape")?;
        Ok(Self {
            // A record has a list of fields here: shown in the error of whoever wants numbers.
            descr: quoted(descr).unwrap_or_else(|| start(descr)).to_owned(),
            fortran_order,
            shape: dimensions(shape).ok_or_else(|| found("a tuple as its shape", shape))??,
        })
    }
}

/// What follows a key, to the end of the text.
fn value<'a>(text: &'a str, key: &str) -> Result<&'a str, String> {
    let (_, value) =
        text.split_once(&format!("'{key}':")).ok_or_else(|| format!("it does not name '{key}'"))?;
    Ok(value.trim_start())
}

fn quoted(value: &str) -> Option<&str> {
    value.strip_prefix('\'')?.split_once('\'').map(|(inside, _)| inside)
}

/// The dimensions of a tuple; None when it is none. Their product, which a header cannot be
/// trusted with, stays below [`MAX_BYTES`].
fn dimensions(value: &str) -> Option<Result<Vec<u64>, String>> {
    let (inside, _) = value.strip_prefix('(')?.split_once(')')?;
    // `(3,)` is how Python writes a tuple of one.
    let inside = inside.trim().strip_suffix(',').unwrap_or(inside).trim();
    let mut product = 1_u64;
    let mut dimension = |word: &str| {
        let number = word.trim().parse::<u64>().ok()?;
        product = product.checked_mul(number.max(1)).filter(|&product| product <= MAX_BYTES)?;
        Some(number)
    };
    let words = inside.split(',').filter(|_| !inside.is_empty());
    let numbers = words.map(|word| {
        dimension(word).ok_or("its dimensions are too large, or not decimal numbers".to_owned())
    });
    Some(numbers.collect())
}

fn found(expected: &str, found: &str) -> String {
    format!("expected {expected}, found `{}`", start(found))
}

/// Enough to recognise it by. The text is ASCII.
fn start(value: &str) -> &str {
    &value[..value.len().min(20)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_numpy_writes() {
        let text = b"{'descr': '<f8', 'fortran_order': False, 'shape': (3, 28, 28), }    \n";
        let expected = Header { descr: "<f8".into(), fortran_order: false, shape: vec![3, 28, 28] };
        assert_eq!(Header::parse(text), Ok(expected));
        let text = b"{'descr': '|u1', 'fortran_order': True, 'shape': (7,), }\n";
        let expected = Header { descr: "|u1".into(), fortran_order: true, shape: vec![7] };
        assert_eq!(Header::parse(text), Ok(expected));
        let text = b"{'descr': '>i2', 'fortran_order': False, 'shape': (), }\n";
        assert!(Header::parse(text).unwrap().shape.is_empty());
    }

    #[test]
    fn a_record_is_shown_by_its_first_fields() {
        let text =
            b"{'descr': [('x', '<f4'), ('y', '<f4')], 'fortran_order': False, 'shape': (2,), }";
        assert_eq!(Header::parse(text).unwrap().descr, "[('x', '<f4'), ('y',");
    }

    #[test]
    fn what_is_wrong_is_said() {
        let error = |text: &str| Header::parse(text.as_bytes()).unwrap_err();
        assert_eq!(error("{}"), "it does not name 'descr'");
        assert_eq!(error("{'descr': '<f8'}"), "it does not name 'fortran_order'");
        let order = "{'descr': '<f8', 'fortran_order': 1, 'shape': (2,), }";
        assert!(error(order).starts_with("expected True or False as its fortran_order, found `1,"));
        let list = "{'descr': '<f8', 'fortran_order': False, 'shape': [2], }";
        assert_eq!(error(list), "expected a tuple as its shape, found `[2], }`");
        let large = "its dimensions are too large, or not decimal numbers";
        for shape in ["(2, 4294967296)", "(1+1,)", "(-1,)", "(2,,)", "(0x10,)", "(65536, 65536)"] {
            let text = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}");
            assert_eq!(error(&text), large, "{shape}");
        }
        assert_eq!(error("{'descr\u{e9}': 1}"), "unexpected byte 0xc3");
    }
}
