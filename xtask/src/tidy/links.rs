//! Every relative link in a Markdown file leads to a file of the project, and to a heading that exists.

use std::collections::{BTreeMap, BTreeSet};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::{File, Finding};

/// What a Markdown file offers and what it refers to.
struct Page {
    anchors: BTreeSet<String>,
    /// Line and destination.
    links: Vec<(usize, String)>,
}

/// Checks all Markdown files against all files.
pub(super) fn check(files: &[File]) -> Vec<Finding> {
    let paths: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
    let markdown = files.iter().filter(|file| file.extension() == "md");
    let pages: BTreeMap<&str, (&File, Page)> =
        markdown.map(|file| (file.path.as_str(), (file, read(file.text())))).collect();

    let mut findings = Vec::new();
    for (file, page) in pages.values() {
        for (line, destination) in &page.links {
            let problem = problem(&file.path, destination, &paths, &pages);
            findings.extend(problem.map(|message| Finding::at(file, *line, message)));
        }
    }
    findings
}

fn problem(
    from: &str,
    destination: &str,
    paths: &BTreeSet<&str>,
    pages: &BTreeMap<&str, (&File, Page)>,
) -> Option<String> {
    let has_scheme = destination.split(['/', '#', '?']).next().is_some_and(|s| s.contains(':'));
    if has_scheme || destination.is_empty() {
        return None;
    }
    let (path, anchor) = destination.split_once('#').unwrap_or((destination, ""));
    let Some(target) = (if path.is_empty() { Some(from.to_owned()) } else { resolve(from, path) })
    else {
        return Some(format!(
            "link to `{destination}` leaves the project: link to a file inside it"
        ));
    };
    if !exists(&target, paths) {
        return Some(format!("link to `{destination}`: the project has no `{target}`"));
    }
    // In other files an anchor is a line number, which the pages of a forge understand.
    let (_, page) = pages.get(target.as_str())?;
    (!anchor.is_empty() && !page.anchors.contains(anchor))
        .then(|| format!("link to `{destination}`: `{target}` has no heading `#{anchor}`"))
}

/// The path that a link means, from the project root; nothing when it leads outside.
fn resolve(from: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    (!path.starts_with('/')).then(|| parts.join("/"))
}

/// Whether the path is a file, or a folder with files.
fn exists(target: &str, paths: &BTreeSet<&str>) -> bool {
    let folder = format!("{target}/");
    target.is_empty()
        || paths.contains(target)
        || paths.range(folder.as_str()..).next().is_some_and(|path| path.starts_with(&folder))
}

fn read(text: &str) -> Page {
    let mut page = Page { anchors: BTreeSet::new(), links: Vec::new() };
    let mut heading: Option<String> = None;
    let options = Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES;
    for (event, range) in Parser::new_ext(text, options).into_offset_iter() {
        let line = 1 + text[..range.start].matches('\n').count();
        match event {
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => {
                if let Some(words) = heading.take() {
                    add_anchor(&mut page.anchors, &words);
                }
            }
            Event::Text(words) | Event::Code(words) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&words);
                }
            }
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                page.links.push((line, dest_url.into_string()));
            }
            Event::Html(html) | Event::InlineHtml(html) => {
                for name in ["id", "name"] {
                    page.anchors.extend(attributes(&html, name).map(str::to_owned));
                }
                for name in ["src", "href"] {
                    page.links.extend(attributes(&html, name).map(|to| (line, to.to_owned())));
                }
            }
            _ => {}
        }
    }
    page
}

/// Adds a heading under the name that a forge gives it: small letters, dashes for blanks, no
/// punctuation, a number when the name is taken.
fn add_anchor(anchors: &mut BTreeSet<String>, heading: &str) {
    let name: String = heading
        .trim()
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect();
    let numbered = (1..).map(|number| format!("{name}-{number}"));
    let free = std::iter::once(name.clone()).chain(numbered).find(|name| !anchors.contains(name));
    anchors.extend(free);
}

/// The values of one attribute in a piece of HTML.
fn attributes<'a>(html: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let start = format!(" {name}=\"");
    let starts: Vec<usize> =
        html.match_indices(&start).map(|(at, found)| at + found.len()).collect();
    starts.into_iter().filter_map(|at| html[at..].split_once('"')).map(|(value, _)| value)
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    fn messages(text: &str) -> Vec<String> {
        let files = [
            file("README.md", "# One\n## Two words, `code`!\n## One\n<a id=\"own\"></a>\n"),
            file("core/src/lib.rs", ""),
            file("docs/page.md", text),
        ];
        check(&files).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn good_links_pass() {
        let links = [
            "[a](../README.md)",
            "[a](../README.md#one)",
            "[a](../README.md#one-1)",
            "[a](../README.md#two-words-code)",
            "[a](../README.md#own)",
            "[a](#here)",
            "[a](../core/src/)",
            "[a](../core/src/lib.rs#L3)",
            "[a](..)",
            "[a](https://example.org/x#y)",
            "[a](mailto:a@example.org)",
            "`[a](nowhere.md)`",
            "<img alt=\"\" src=\"../core/src/lib.rs\">",
        ];
        for link in links {
            assert_eq!(messages(&format!("# Here\n\n{link}\n")), [""; 0], "{link}");
        }
    }

    #[test]
    fn bad_links_are_found_with_their_line() {
        let cases = [
            ("[a](gone.md)", "link to `gone.md`: the project has no `docs/gone.md`"),
            ("![a](gone.png)", "link to `gone.png`: the project has no `docs/gone.png`"),
            ("<img src=\"gone.png\">", "link to `gone.png`: the project has no `docs/gone.png`"),
            ("[a](#gone)", "link to `#gone`: `docs/page.md` has no heading `#gone`"),
            (
                "[a](../README.md#gone)",
                "link to `../README.md#gone`: `README.md` has no heading `#gone`",
            ),
            (
                "[a](../../a.md)",
                "link to `../../a.md` leaves the project: link to a file inside it",
            ),
            ("[a](/a.md)", "link to `/a.md` leaves the project: link to a file inside it"),
            ("[a][b]\n\n[b]: gone.md", "link to `gone.md`: the project has no `docs/gone.md`"),
        ];
        for (link, message) in cases {
            let found = messages(&format!("# Here\n\n{link}\n"));
            assert_eq!(found, [format!("docs/page.md:3: {message}")]);
        }
    }
}
