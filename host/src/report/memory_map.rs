//! What lies where in RAM during a step, and what flash holds.

use super::page::Section;
use super::svg::{Anchor, Scale, Svg, Ticks};
use super::text::{escape, grouped, percent, shorten, table_row};
use crate::run::record::{FlashItem, MemoryRegion};

const WIDTH: f64 = 880.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 868.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = 396.0;
/// What phase names need below the map, level or slanted.
const LEVEL: f64 = 26.0;
const SLANTED: f64 = 88.0;
/// Width of a character in a label, about.
const CHARACTER: f64 = 6.4;

pub(crate) fn ram(regions: &[MemoryRegion], phases: &[String]) -> Option<Section> {
    if regions.is_empty() {
        return None;
    }
    let phases = Phases::new(regions, phases);
    Some(Section {
        id: "ram",
        title: "RAM map",
        lead: "Left to right are the phases of one training step, upwards the bytes of the \
               arena: blue regions share their place with others of another time, grey ones \
               last for the whole step, and the dashed line is the peak that the plan reserves.",
        body: format!("<figure>{}</figure>\n{}", draw(regions, &phases), ram_table(regions)),
    })
}

/// The phases of a step, in order, without repetition.
struct Phases<'a>(Vec<&'a str>);

impl<'a> Phases<'a> {
    /// A phase that only a region names comes after the known ones.
    fn new(regions: &'a [MemoryRegion], known: &'a [String]) -> Self {
        let starts = regions.iter().map(|r| &r.from);
        let ends = regions.iter().map(|r| &r.to);
        let mut phases: Vec<&str> = Vec::new();
        for phase in known.iter().chain(starts).chain(ends) {
            if !phases.contains(&phase.as_str()) {
                phases.push(phase);
            }
        }
        Self(phases)
    }

    fn position(&self, phase: &str) -> usize {
        self.0.iter().position(|p| *p == phase).unwrap_or(0)
    }

    /// First and last phase of a region.
    fn span(&self, region: &MemoryRegion) -> (usize, usize) {
        let (from, to) = (self.position(&region.from), self.position(&region.to));
        (from, to.max(from))
    }
}

fn draw(regions: &[MemoryRegion], phases: &Phases<'_>) -> String {
    let end = |r: &MemoryRegion| r.offset as f64 + r.bytes as f64;
    let peak = regions.iter().map(end).fold(0.0, f64::max);
    let ticks = Ticks::covering(0.0, peak, 6);
    let x = Scale::new((0.0, phases.0.len() as f64), (LEFT, RIGHT));
    let y = Scale::new((0.0, ticks.last()), (BOTTOM, TOP));
    let column = x.at(1.0) - x.at(0.0);
    let longest = phases.0.iter().map(|p| p.chars().count()).max().unwrap_or(0);
    let level = longest as f64 * CHARACTER + 8.0 <= column;
    let height = BOTTOM + if level { LEVEL } else { SLANTED };
    let mut svg = Svg::new(WIDTH, height, "RAM by phase of the step");
    svg.text((0.0, 12.0), Anchor::Start, "", "bytes");
    for &bytes in &ticks.values {
        svg.line((LEFT, y.at(bytes)), (RIGHT, y.at(bytes)), "grid");
        let label = grouped(bytes as u64);
        svg.text((LEFT - 8.0, y.at(bytes) + 4.0), Anchor::End, "", &label);
    }
    // Slanted labels need about a line's height each; leave out what would overlap.
    let every = (16.0 / column).ceil().max(1.0) as usize;
    for (i, phase) in phases.0.iter().enumerate().step_by(every) {
        let middle = x.at(i as f64 + 0.5);
        if level {
            svg.text((middle, BOTTOM + 18.0), Anchor::Middle, "", phase);
        } else {
            svg.slanted_text((middle + 4.0, BOTTOM + 16.0), "", &shorten(phase, 20));
        }
    }
    for region in regions {
        let (from, to) = phases.span(region);
        let (left, right) = (x.at(from as f64), x.at(to as f64 + 1.0));
        let (top, foot) = (y.at(end(region)), y.at(region.offset as f64));
        let lasting = from == 0 && to + 1 == phases.0.len();
        let name = full_name(region);
        let title = format!(
            "{name}: {} bytes at {}, from {} to {}",
            grouped(region.bytes as u64),
            grouped(region.offset as u64),
            region.from,
            region.to
        );
        let class = if lasting { "lasting" } else { "passing" };
        svg.rect([left, top, right - left, foot - top], class, &title);
        let room = ((right - left - 12.0) / CHARACTER) as usize;
        if foot - top >= 14.0 && room >= 5 {
            let at = ((left + right) / 2.0, (top + foot) / 2.0 + 4.0);
            svg.text(at, Anchor::Middle, "strong label", &shorten(&name, room));
        }
    }
    svg.line((LEFT, y.at(peak)), (RIGHT, y.at(peak)), "peak");
    let label = format!("peak {} bytes", grouped(peak as u64));
    svg.text((RIGHT, y.at(peak) - 6.0), Anchor::End, "warn-text", &label);
    svg.finish()
}

fn full_name(region: &MemoryRegion) -> String {
    match region.layer.as_str() {
        "" => region.name.clone(),
        layer => format!("{layer} {}", region.name),
    }
}

fn ram_table(regions: &[MemoryRegion]) -> String {
    let mut sorted: Vec<_> = regions.iter().collect();
    sorted.sort_by(|a, b| b.bytes.cmp(&a.bytes).then(a.offset.cmp(&b.offset)));
    let mut out = String::from(
        "<details><summary>All regions as a table</summary>\n<div class=\"scroll\"><table>\n\
         <thead><tr><th>Region</th><th class=\"n\">Bytes</th><th class=\"n\">Offset</th>\
         <th>From</th><th>To</th></tr></thead>\n<tbody>\n",
    );
    for region in sorted {
        let cells = [
            escape(&full_name(region)),
            grouped(region.bytes as u64),
            grouped(region.offset as u64),
            escape(&region.from),
            escape(&region.to),
        ];
        table_row(&mut out, &["strong", "n", "n", "", ""], &cells);
    }
    out.push_str("</tbody></table></div></details>\n");
    out
}

pub(crate) fn flash(items: &[FlashItem]) -> Option<Section> {
    let total = items.iter().fold(0u64, |sum, i| sum.saturating_add(i.bytes as u64));
    if items.is_empty() {
        return None;
    }
    let mut sorted: Vec<_> = items.iter().collect();
    sorted.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.name.cmp(&b.name)));
    let mut body = String::from(
        "<table class=\"flash\">\n<thead><tr><th>Item</th><th class=\"n\">Bytes</th>\
         <th class=\"n\">%</th><th class=\"meter\"></th></tr></thead>\n<tbody>\n",
    );
    for item in sorted {
        let share = item.bytes as f64 / total.max(1) as f64;
        let cells = [
            escape(&item.name),
            grouped(item.bytes as u64),
            percent(share, 1),
            format!("<span style=\"width:{}%\"></span>", percent(share, 2)),
        ];
        table_row(&mut body, &["strong", "n", "n", "meter"], &cells);
    }
    body.push_str("</tbody>\n<tfoot>");
    let cells = ["Total".to_owned(), grouped(total), String::new(), String::new()];
    table_row(&mut body, &["strong", "n strong", "n", "meter"], &cells);
    body.push_str("</tfoot></table>\n");
    Some(Section {
        id: "flash",
        title: "Flash",
        lead: "What the network keeps in flash, largest first: code is not counted, for it does \
               not grow with the network.",
        body,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    fn region(from: &str, to: &str) -> MemoryRegion {
        let (from, to) = (from.to_owned(), to.to_owned());
        MemoryRegion { name: "a<b".into(), layer: "fc1".into(), offset: 4, bytes: 8, from, to }
    }

    #[test]
    fn nothing_to_show_is_no_figure() {
        assert!(ram(&[], &[]).is_none());
        assert!(flash(&[]).is_none());
    }

    #[test]
    fn phases_keep_their_order_and_unknown_ones_come_last() {
        let regions = [region("update", "update"), region("loss", "lunch")];
        let known = ["forward", "loss", "update"].map(str::to_owned);
        let phases = Phases::new(&regions, &known);
        assert_eq!(phases.0, ["forward", "loss", "update", "lunch"]);
        assert_eq!(phases.span(&regions[0]), (2, 2));
        assert_eq!(phases.span(&regions[1]), (1, 3));
        // A region that ends before it begins is drawn where it begins.
        assert_eq!(phases.span(&region("update", "loss")), (2, 2));
    }

    #[test]
    fn odd_regions_still_draw() {
        let mut huge = region("x", "y");
        (huge.offset, huge.bytes) = (usize::MAX, usize::MAX);
        let mut empty = region("x", "x");
        (empty.offset, empty.bytes) = (0, 0);
        for regions in [vec![empty], vec![huge]] {
            example::assert_markup(&ram(&regions, &[]).unwrap().body);
        }
    }

    #[test]
    fn flash_of_no_bytes_has_no_nan() {
        let body = flash(&[FlashItem { name: "tables".into(), bytes: 0 }]).unwrap().body;
        example::assert_markup(&body);
    }
}
