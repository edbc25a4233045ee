//! The report of a run: one HTML page that needs nothing beside itself.
//!
//! No script, no font, no picture is fetched: the page can be mailed, archived and printed. It
//! is a function of its input alone, so the same run gives the same page, byte for byte.

mod accumulators;
mod confusion;
mod curves;
#[cfg(test)]
pub(crate) mod example;
mod memory_map;
mod page;
mod pictures;
mod range_rows;
mod ranges;
mod saturation;
mod svg;
pub mod sweep_plot;
mod text;
mod view;

pub(crate) use text::{duration, grouped, percent, significant};

use crate::run::record::{FlashItem, MemoryRegion, Record};

/// What a report is made of.
#[derive(Clone, Copy, Debug)]
pub struct ReportInput<'a> {
    /// The run log. Of an unfinished run, what there is.
    pub records: &'a [Record],
    /// The configuration with every default filled in.
    pub resolved_yaml: &'a str,
    /// What lies in the arena.
    pub memory: &'a [MemoryRegion],
    /// The phases of a step in order, as `memory` names them. A phase that only a region names
    /// comes after these; an empty list orders the phases by the regions' `from`.
    pub phases: &'a [String],
    /// What lies in flash.
    pub flash: &'a [FlashItem],
    /// The page's heading.
    pub title: &'a str,
}

/// Renders the page. Figures for which there is no data are left out.
pub fn render(input: &ReportInput<'_>) -> String {
    page::report(input)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input<'a>(
        records: &'a [Record],
        memory: &'a [MemoryRegion],
        flash: &'a [FlashItem],
    ) -> ReportInput<'a> {
        ReportInput {
            records,
            resolved_yaml: example::YAML,
            memory,
            phases: &[],
            flash,
            title: "digits <mlp> & co",
        }
    }

    #[test]
    fn the_whole_page_is_well_formed_and_fetches_nothing() {
        let (records, memory) = (example::records(12), example::memory());
        let (flash, phases) = (example::flash(), example::phases());
        let html = render(&ReportInput { phases: &phases, ..input(&records, &memory, &flash) });
        example::assert_markup(&html);
        assert!(html.contains("<h1>digits &lt;mlp&gt; &amp; co</h1>"));
        let own = html.replace("http://www.w3.org/2000/svg", "");
        for foreign in ["http:", "https:", "//", "@import", "url(", "<script", "<link"] {
            let found = own.lines().find(|l| l.contains(foreign) && !l.contains(";base64,"));
            assert!(found.is_none(), "{foreign}: {found:?}");
        }
        example::keep("report.html", &html);
    }

    #[test]
    fn the_same_run_gives_the_same_page() {
        let (records, memory, flash) = (example::records(3), example::memory(), example::flash());
        let input = input(&records, &memory, &flash);
        assert_eq!(render(&input), render(&input));
    }

    #[test]
    fn an_empty_run_gives_a_page_without_figures() {
        let input = ReportInput { resolved_yaml: "", ..input(&[], &[], &[]) };
        let html = render(&input);
        example::assert_markup(&html);
        assert!(!html.contains("<section") && html.contains("interrupted after 0 epochs"));
    }

    #[test]
    fn an_interrupted_run_says_so() {
        let mut records = example::records(12);
        records.truncate(6);
        let html = render(&input(&records, &[], &[]));
        example::assert_markup(&html);
        assert!(html.contains("interrupted after 5 of 12 epochs"), "{html}");
        assert!(!render(&input(&example::records(2), &[], &[])).contains("interrupted"));
    }
}
