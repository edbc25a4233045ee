//! What is wrong with a configuration, shown at its place in the file.

use std::{fmt, ops::Range};

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong.
    pub message: String,
    /// Where: bytes of the file. `None` when it is about the file as a whole.
    pub span: Option<Range<usize>>,
    /// What would be right.
    pub help: String,
}

impl Diagnostic {
    pub(super) fn new(
        span: Option<Range<usize>>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self { message: message.into(), span, help: help.into() }
    }
}

/// All that is wrong with one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostics {
    file: String,
    text: String,
    items: Vec<Diagnostic>,
}

impl Diagnostics {
    pub(crate) fn new(file: &str, text: &str, items: Vec<Diagnostic>) -> Self {
        Self { file: file.to_owned(), text: text.to_owned(), items }
    }

    /// What is wrong, in the order in which it was found.
    pub fn items(&self) -> &[Diagnostic] {
        &self.items
    }

    /// The same with colours, for a terminal.
    pub fn styled(&self) -> String {
        self.render(&Renderer::styled())
    }

    fn render(&self, renderer: &Renderer) -> String {
        let parts: Vec<String> =
            self.items.iter().map(|item| self.render_one(item, renderer)).collect();
        parts.join("\n\n")
    }

    fn render_one(&self, item: &Diagnostic, renderer: &Renderer) -> String {
        let title = Level::ERROR.primary_title(item.message.as_str());
        let mut group = match &item.span {
            Some(span) => title.element(
                Snippet::source(self.text.as_str())
                    .path(self.file.as_str())
                    .annotation(AnnotationKind::Primary.span(visible(&self.text, span))),
            ),
            None => Group::with_title(title)
                .element(annotate_snippets::Origin::path(self.file.as_str())),
        };
        if !item.help.is_empty() {
            group = group.element(Level::HELP.message(item.help.as_str()));
        }
        renderer.render(&[group])
    }
}

/// The part of a span that a caret line can show: on one line, at least one character, on
/// character boundaries, without the blank end of a block.
fn visible(text: &str, span: &Range<usize>) -> Range<usize> {
    let mut start = span.start.min(text.len());
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    let mut end = span.end.clamp(start, text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
    if end <= start {
        // A mapping has no length of its own: its first word stands for it.
        let word = text[start..line_end].find([' ', ':', ',', '}', ']', '\r']);
        end = word.map_or(line_end, |len| start + len);
    }
    end = start + text[start..end.min(line_end)].trim_end().len();
    if end == start {
        end += text[start..].chars().next().map_or(0, char::len_utf8);
    }
    start..end
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(&Renderer::plain()))
    }
}

impl std::error::Error for Diagnostics {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_place_and_the_remedy_are_shown() {
        let text = "train:\n  lr: fast\n";
        let item = Diagnostic::new(Some(13..17), "`lr` is not a number", "write 0.5");
        let shown = Diagnostics::new("a.yaml", text, vec![item]).to_string();
        insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(shown);
        });
    }

    proptest! {
        #[test]
        fn any_span_over_any_text_is_shown(text in "\\PC{0,12}\n?\\PC{0,5}", a in 0usize..40, b in 0usize..40) {
            let item = Diagnostic::new(Some(a..b), "wrong", "right");
            let shown = Diagnostics::new("a.yaml", &text, vec![item]).to_string();
            prop_assert!(shown.contains("wrong"));
        }
    }
}
