//! The table between two marks of a Markdown page: rows are put in or replaced, all else stays.

use anyhow::Result;

use super::Run;
use crate::page;
use crate::project::grouped;

/// The name of the marks.
const TABLE: &str = "results";

const HEAD: &str = "\
| config | seeds | test accuracy, mean % | min % | max % | training, s | samples/s | RAM, bytes | flash, bytes | command |
|---|---|---|---|---|---|---|---|---|---|";

/// One configuration in the table.
pub(super) struct Row {
    name: String,
    text: String,
}

impl Row {
    /// The figures of `runs`, of which there is at least one.
    pub(super) fn new(name: String, command: String, runs: &[Run]) -> Row {
        let accuracy = || runs.iter().map(|run| 100.0 * run.test_accuracy);
        let largest = |of: fn(&Run) -> u64| runs.iter().map(of).max().unwrap_or(0);
        let text = format!(
            "| `{name}` | {} | {:.2} | {:.2} | {:.2} | {:.1} | {} | {} | {} | `{command}` |",
            runs.len(),
            mean(accuracy()),
            accuracy().fold(f64::INFINITY, f64::min),
            accuracy().fold(f64::NEG_INFINITY, f64::max),
            mean(runs.iter().map(|run| run.train_seconds)),
            grouped(mean(runs.iter().map(|run| run.samples_per_second)).round() as u64),
            grouped(largest(|run| run.ram_bytes)),
            grouped(largest(|run| run.flash_bytes)),
        );
        Row { name, text }
    }
}

/// A page with an empty table.
pub(super) fn new_page() -> String {
    let (begin, end) = page::marks(TABLE);
    format!(
        "# Results\n\nTest accuracy over several seeds; the test set is touched once, at the end of each run.\n\n\
         {begin}\n{end}\n"
    )
}

/// The page with the row in its table: instead of the row of the same name, or in alphabetical order.
pub(super) fn with_row(page: &str, row: &Row) -> Result<String> {
    let (_, table, _) = page::split(page, TABLE)?;
    let old = table.lines().filter(|line| line.starts_with("| `"));
    let mut rows: Vec<&str> = old.filter(|line| name_of(line) != row.name).collect();
    rows.push(&row.text);
    rows.sort_by_key(|line| name_of(line));
    page::with(page, TABLE, &format!("{HEAD}\n{}", rows.join("\n")))
}

fn name_of(line: &str) -> &str {
    line.split('`').nth(1).unwrap_or_default()
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (count, sum) = values.fold((0.0, 0.0), |(count, sum), value| (count + 1.0, sum + value));
    sum / count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, accuracies: &[f64]) -> Row {
        let run = |(seed, &test_accuracy): (usize, &f64)| Run {
            seed: seed as u64,
            test_accuracy,
            train_seconds: 1.0 + seed as f64,
            samples_per_second: 123_456.4,
            ram_bytes: 8_192,
            flash_bytes: 999,
        };
        let runs: Vec<Run> = accuracies.iter().enumerate().map(run).collect();
        Row::new(name.to_owned(), format!("cargo xtask results {name}"), &runs)
    }

    #[test]
    fn a_row_holds_mean_and_extremes() {
        assert_eq!(
            row("a", &[0.98, 0.97, 0.985]).text,
            "| `a` | 3 | 97.83 | 97.00 | 98.50 | 2.0 | 123,456 | 8,192 | 999 | `cargo xtask results a` |"
        );
    }

    #[test]
    fn rows_are_added_in_order_and_replaced() {
        let mut page = new_page().replace("# Results", "# Own heading") + "\nOwn words.\n";
        for (name, accuracy) in [("b", 0.5), ("c", 0.6), ("a", 0.7), ("b", 0.8)] {
            page = with_row(&page, &row(name, &[accuracy])).expect("a page");
        }
        let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
        assert_eq!(rows.iter().map(|row| name_of(row)).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert!(rows[1].contains("80.00"), "{page}");
        assert!(
            page.starts_with("# Own heading\n") && page.ends_with("\n\nOwn words.\n"),
            "{page}"
        );
        assert_eq!(page.matches("\n|---").count(), 1, "{page}");
    }

    #[test]
    fn a_page_without_marks_is_refused_with_the_remedy() {
        let error = with_row("# Results\n", &row("a", &[0.5])).expect_err("refused");
        assert!(error.to_string().contains("results:end"), "{error}");
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(
            [0, 12, 123, 1_234, 1_234_567].map(grouped),
            ["0", "12", "123", "1,234", "1,234,567"]
        );
    }
}
