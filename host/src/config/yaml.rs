//! From text to types, and the parser's errors in our words.

use std::ops::Range;

use serde::de::DeserializeOwned;
use serde_saphyr::{Error, Location};

use super::{
    at::bytes,
    diagnostics::{Diagnostic, Diagnostics},
    suggest::remedy,
};

/// Larger files are no configurations.
pub(super) const LARGEST: usize = 1 << 20;

/// Reads a file's text. `file` is what errors call it.
pub(crate) fn parse<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, Diagnostics> {
    let fail = |item| Diagnostics::new(file, text, vec![item]);
    if text.len() > LARGEST {
        let message = format!("{} bytes are too many for a configuration", text.len());
        return Err(Diagnostics::new(
            file,
            "",
            vec![Diagnostic::new(None, message, format!("at most {LARGEST} are read"))],
        ));
    }
    // As YAML 1.2 has it: a column may be called `y`, and `no` is a word.
    let options = serde_saphyr::options! { with_snippet: false, strict_booleans: true };
    serde_saphyr::from_str_with_options(text, options)
        .map_err(|error| fail(translate(&error, text)))
}

fn translate(error: &Error, text: &str) -> Diagnostic {
    let error = error.without_snippet();
    let place = error.location().and_then(|at| bytes(&at).or_else(|| byte_of(text, &at)));
    let item = |message: String, help: String| Diagnostic::new(place.clone(), message, help);
    match error {
        Error::SerdeUnknownField { field, expected, .. } => {
            item(format!("unknown key `{field}`"), remedy(field, expected))
        }
        Error::SerdeUnknownVariant { variant, expected, .. } => {
            item(format!("`{variant}` is not known here"), remedy(variant, expected))
        }
        Error::SerdeMissingField { field, .. } => {
            item(format!("`{field}` is missing"), format!("add `{field}:` to this mapping"))
        }
        Error::InvalidScalar { ty, .. } => {
            item(format!("expected {}", plain_type(ty)), String::new())
        }
        Error::InvalidBooleanStrict { .. } => {
            item("expected `true` or `false`".into(), String::new())
        }
        Error::SerdeInvalidType { unexpected, expected, .. }
        | Error::SerdeInvalidValue { unexpected, expected, .. } => {
            item(format!("expected {expected}, found {unexpected}"), String::new())
        }
        Error::DuplicateMappingKey { key, .. } => {
            let key = key.as_deref().unwrap_or("a key");
            item(format!("`{key}` is given twice"), "remove one of the two".into())
        }
        Error::Unexpected { expected: "mapping start", .. } => {
            item("expected a mapping, `key: value`".into(), String::new())
        }
        Error::Unexpected { expected: "mapping end", .. }
        | Error::ExpectedMappingEndAfterEnumVariantValue { .. } => item(
            "only one key is allowed here".into(),
            "start the next entry of the list with `- ` on a line of its own".into(),
        ),
        Error::Unexpected { expected, .. } => item(format!("expected {expected}"), String::new()),
        Error::Eof { .. } => item("the file is empty".into(), SECTIONS.into()),
        Error::Message { msg, .. } => match msg.split_once(HELP) {
            Some((message, help)) => item(message.into(), help.into()),
            None => item(msg.clone(), String::new()),
        },
        other => item(strip_place(&other.to_string(), error.location()), String::new()),
    }
}

/// Stands between message and remedy in the errors of our own types: the remedy is a line of its
/// own.
pub(crate) const HELP: &str = "\n";

const SECTIONS: &str =
    "a configuration has the sections `model`, `data`, `train`, `fixed` and `strategies`";

fn plain_type(ty: &str) -> &str {
    match ty {
        "floating point" | "f32" | "f64" => "a number, such as 0.5",
        "bool" | "boolean" => "`true` or `false`",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "usize" => "a whole number, 0 or more",
        "i64" => "a whole number",
        other => other,
    }
}

/// The byte at a line and column, both counted from 1.
fn byte_of(text: &str, location: &Location) -> Option<Range<usize>> {
    let row = usize::try_from(location.line()).ok()?.checked_sub(1)?;
    let column = usize::try_from(location.column()).ok()?.checked_sub(1)?;
    let line: usize = text.split_inclusive('\n').take(row).map(str::len).sum();
    let inside: usize = text[line..].chars().take(column).map(char::len_utf8).sum();
    Some(line + inside..line + inside)
}

/// The parser's own words end with the place, which we show in another way.
fn strip_place(message: &str, location: Option<Location>) -> String {
    let Some(location) = location else { return message.to_owned() };
    let place = format!("line {} column {}", location.line(), location.column());
    message.replace(&format!(" at {place}"), "").replace(&format!("{place}: "), "")
}
