//! The page around the figures.

use super::text::{duration, escape, grouped, percent, significant};
use super::view::View;
use super::{accumulators, confusion, curves, memory_map, pictures, ranges, saturation, svg};
use crate::report::ReportInput;

/// A heading, a sentence on how to read what follows, and the figure.
#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    /// Plain text.
    pub(crate) lead: &'static str,
    /// Markup.
    pub(crate) body: String,
}

pub(crate) fn report(input: &ReportInput<'_>) -> String {
    let view = View::new(input.records);
    let sections: Vec<Section> = [
        curves::section(&view),
        ranges::section(&view),
        accumulators::section(&view),
        saturation::section(&view),
        confusion::section(&view),
        pictures::section(&view),
        memory_map::ram(input.memory, input.phases),
        memory_map::flash(input.flash),
        configuration(input.resolved_yaml),
    ]
    .into_iter()
    .flatten()
    .collect();
    let head = format!("{}{}{}{}", facts(&view), notice(&view), numbers(&view), nav(&sections));
    page(input.title, "fixgrad training report", &head, &sections)
}

/// A whole page. `title` and `kicker` are plain text, `head` is markup.
pub(crate) fn page(title: &str, kicker: &str, head: &str, sections: &[Section]) -> String {
    format!(
        include_str!("page.html"),
        title = escape(title),
        kicker = escape(kicker),
        style = format_args!("{}{}", svg::STYLE, include_str!("page.css")),
        head = head,
        sections = sections.iter().map(markup).collect::<String>(),
    )
}

fn markup(section: &Section) -> String {
    let Section { id, title, lead, body } = section;
    format!(
        "<section id=\"{id}\">\n<h2>{}</h2>\n<p class=\"lead\">{}</p>\n{body}</section>\n",
        escape(title),
        escape(lead)
    )
}

fn nav(sections: &[Section]) -> String {
    if sections.is_empty() {
        return String::new();
    }
    let links: String = sections
        .iter()
        .map(|s| format!("<a href=\"#{}\">{}</a>\n", s.id, escape(s.title)))
        .collect();
    format!("<nav>\n{links}</nav>\n")
}

fn facts(view: &View<'_>) -> String {
    let Some(start) = view.start else { return String::new() };
    let count = |n: usize| grouped(n as u64);
    format!(
        "<p class=\"facts\">{} on {} · {} parameters · {} training, {} validation and {} test \
         samples · batch {} · {} epochs</p>\n",
        escape(&start.config),
        escape(&start.dataset),
        count(start.parameters),
        count(start.train),
        count(start.validation),
        count(start.test),
        count(start.batch),
        start.epochs,
    )
}

/// What a reader must know before they trust the numbers.
fn notice(view: &View<'_>) -> String {
    if view.end.is_some() {
        return String::new();
    }
    let planned = view.start.map(|s| format!(" of {}", s.epochs)).unwrap_or_default();
    format!(
        "<p class=\"notice\">This run was interrupted after {}{planned} epochs. Continue it with \
         <code>fixgrad train --resume</code> and the run’s folder.</p>\n",
        view.epochs.len()
    )
}

fn numbers(view: &View<'_>) -> String {
    let mut tiles: Vec<(&str, String)> = Vec::new();
    // Quantities have no accuracy: there the loss comes first.
    let judged = |accuracy: f64, loss: f64| match (accuracy.is_finite(), loss.is_finite()) {
        (false, true) => ("loss", significant(loss)),
        _ => ("accuracy", unit(&percent(accuracy, 2), "%")),
    };
    if let Some(epoch) = view.epochs.last() {
        let (what, value) = judged(epoch.validation_accuracy, epoch.validation_loss);
        let name = if what == "loss" { "Validation loss" } else { "Validation accuracy" };
        tiles.push((name, value));
    }
    if let Some(end) = view.end {
        tiles.push(("Training time", escape(&duration(end.train_seconds))));
        tiles.push(("Samples/s", grouped(end.samples_per_second.round() as u64)));
    }
    if let Some(start) = view.start {
        tiles.push(("Seed", start.seed.to_string()));
        tiles.push(("RAM", unit(&grouped(start.ram_bytes as u64), "bytes")));
        tiles.push(("Flash", unit(&grouped(start.flash_bytes as u64), "bytes")));
    }
    if let Some(end) = view.end {
        let short: String = end.weights_sha256.chars().take(12).collect();
        let (short, whole) = (escape(&short), escape(&end.weights_sha256));
        let hash = format!("<span class=\"hash\" title=\"{whole}\">{short}</span>");
        tiles.push(("Weights SHA-256", hash));
    }
    if tiles.is_empty() && view.test.is_none() {
        return String::new();
    }
    let tiles: String = tiles
        .into_iter()
        .map(|(name, value)| format!("<div><dt>{name}</dt><dd>{value}</dd></div>\n"))
        .collect();
    let (what, test) =
        view.test.map_or_else(|| ("accuracy", "–".to_owned()), |t| judged(t.accuracy, t.loss));
    format!(
        "<div class=\"hero\">\n<dl class=\"first\"><dt>Test {what}</dt><dd>{test}</dd></dl>\n<dl \
         class=\"numbers\">\n{tiles}</dl>\n</div>\n"
    )
}

fn unit(number: &str, unit: &str) -> String {
    format!("{number} <small>{unit}</small>")
}

fn configuration(yaml: &str) -> Option<Section> {
    let yaml = yaml.trim_end();
    (!yaml.is_empty()).then(|| Section {
        id: "configuration",
        title: "Configuration",
        lead: "The configuration that was trained, with every default filled in: trained again \
               with the same seed, it gives the same weights, bit for bit.",
        body: format!(
            "<details><summary>Show the configuration</summary>\n<pre>{}</pre></details>\n",
            escape(yaml)
        ),
    })
}
