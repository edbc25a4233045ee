//! The part of a Markdown page that a program writes, between two marks.

use anyhow::{Context, Result};

/// A page in three parts: up to the first mark, what is between the two, and the rest. The marks
/// belong to the outer parts.
pub(crate) fn split<'a>(page: &'a str, name: &str) -> Result<(&'a str, &'a str, &'a str)> {
    let (begin, end) = marks(name);
    let missing = || format!("the page needs the two lines `{begin}` and `{end}` around its table");
    let start = page.find(&begin).with_context(missing)? + begin.len();
    let len = page[start..].find(&end).with_context(missing)?;
    Ok((&page[..start], &page[start..start + len], &page[start + len..]))
}

/// The page with this between the marks.
pub(crate) fn with(page: &str, name: &str, text: &str) -> Result<String> {
    let (before, _, after) = split(page, name)?;
    Ok(format!("{before}\n\n{}\n\n{after}", text.trim()))
}

/// The two marks.
pub(crate) fn marks(name: &str) -> (String, String) {
    (format!("<!-- {name}:begin -->"), format!("<!-- {name}:end -->"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_outside_of_the_marks_stays() {
        let page = "# A\n<!-- t:begin -->\nold\n<!-- t:end -->\nB\n";
        let new = with(page, "t", "| new |\n").expect("a page");
        assert_eq!(new, "# A\n<!-- t:begin -->\n\n| new |\n\n<!-- t:end -->\nB\n");
        assert_eq!(with(&new, "t", "| new |").expect("a page"), new);
        let error = with("# A\n", "t", "").expect_err("no marks").to_string();
        assert!(error.contains("`<!-- t:begin -->`"), "{error}");
        assert!(split("<!-- t:end -->\n<!-- t:begin -->\n", "t").is_err());
    }
}
