//! The JSON Schema of configuration files, for editors.

use super::file::Sections;

/// The schema, made from the types that read the file.
pub fn schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(Sections);
    schema.insert("title".to_owned(), "fixgrad configuration".into());
    schema.to_value()
}

/// The schema as the text of a file.
pub fn schema_text() -> String {
    format!("{:#}\n", schema())
}
