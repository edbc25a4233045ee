//! Accuracy against a swept setting, such as the bits.

use super::page::{Section, page};
use super::svg::{Anchor, Scale, Svg, Ticks, spread};
use super::text::{escape, percent, shorten, table_row};

const WIDTH: f64 = 880.0;
const HEIGHT: f64 = 440.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 660.0;
const TOP: f64 = 48.0;
const BOTTOM: f64 = 384.0;
/// Points of different lines at the same x stand this far apart, so that none hides another.
const DODGE: f64 = 7.0;
const COLOURS: usize = 6;
const LEAD: &str = "A point is the mean over the seeds, its whisker reaches from the worst to \
                    the best: lines whose whiskers overlap are not told apart by this sweep.";

/// One line of the plot.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// What the line is called.
    pub label: String,
    /// `(x, mean, min, max)`; accuracies are fractions, 0 to 1.
    pub points: Vec<(f64, f64, f64, f64)>,
}

/// The plot as an SVG file of its own.
pub fn accuracy_plot(title: &str, x_label: &str, series: &[Series]) -> String {
    draw(title, x_label, series).finish_standalone()
}

/// The plot and its numbers as a self-contained HTML page.
pub fn accuracy_page(title: &str, x_label: &str, series: &[Series]) -> String {
    let figure = draw("", x_label, series).finish();
    let section = Section {
        id: "accuracy",
        title: "Accuracy",
        lead: LEAD,
        body: format!("<figure>{figure}</figure>\n{}", table(x_label, series)),
    };
    page(title, "fixgrad sweep", "", &[section])
}

fn finite(&(x, mean, min, max): &(f64, f64, f64, f64)) -> bool {
    [x, mean, min, max].into_iter().all(f64::is_finite)
}

fn draw(title: &str, x_label: &str, series: &[Series]) -> Svg {
    let label = format!("{title} Accuracy against {x_label}");
    let mut svg = Svg::new(WIDTH, HEIGHT, label.trim());
    svg.text((0.0, 14.0), Anchor::Start, "title", title);
    svg.text((0.0, TOP - 16.0), Anchor::Start, "", "accuracy, %");
    let points = || series.iter().flat_map(|s| &s.points).filter(|p| finite(p));
    let mut xs: Vec<f64> = points().map(|p| p.0).collect();
    xs.sort_by(f64::total_cmp);
    xs.dedup();
    let low = points().map(|p| p.1.min(p.2) * 100.0).fold(f64::INFINITY, f64::min);
    let high = points().map(|p| p.1.max(p.3) * 100.0).fold(f64::NEG_INFINITY, f64::max);
    let mut ticks = Ticks::covering(low, high, 6);
    ticks.values.retain(|&v| v <= 100.0);
    let y = Scale::new((ticks.first(), ticks.last()), (BOTTOM, TOP));
    let ends = (xs.first().copied().unwrap_or(0.0), xs.last().copied().unwrap_or(1.0));
    let x = Scale::new(ends, (LEFT + 30.0, RIGHT - 20.0));

    for &value in &ticks.values {
        svg.line((LEFT, y.at(value)), (RIGHT, y.at(value)), "grid");
        let label = format!("{value:.*}", ticks.decimals);
        svg.text((LEFT - 8.0, y.at(value) + 4.0), Anchor::End, "", &label);
    }
    // Each swept value gets its tick, unless there are too many to read.
    let every = xs.len().div_ceil(16).max(1);
    for &value in xs.iter().step_by(every) {
        svg.text((x.at(value), BOTTOM + 20.0), Anchor::Middle, "", &value.to_string());
    }
    svg.text(((LEFT + RIGHT) / 2.0, BOTTOM + 44.0), Anchor::Middle, "", x_label);

    let mut labels = Vec::new();
    for (i, line) in series.iter().enumerate() {
        let shift = (i as f64 - (series.len() as f64 - 1.0) / 2.0) * DODGE;
        if let Some(end) = draw_series(&mut svg, i, line, |value| x.at(value) + shift, y) {
            labels.push((end, i, &line.label));
        }
    }
    let mut places: Vec<f64> = labels.iter().map(|l| l.0).collect();
    spread(&mut places, 17.0);
    for ((_, i, label), place) in labels.into_iter().zip(places) {
        marker(&mut svg, i, (RIGHT + 14.0, place), "");
        let class = format!("series s{}", i % COLOURS);
        svg.text((RIGHT + 26.0, place + 4.0), Anchor::Start, &class, &shorten(label, 26));
    }
    svg
}

/// Draws one line and returns the height at which it ends.
fn draw_series(
    svg: &mut Svg,
    i: usize,
    series: &Series,
    x: impl Fn(f64) -> f64,
    y: Scale,
) -> Option<f64> {
    let mut points: Vec<_> = series.points.iter().filter(|p| finite(p)).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    let class = format!("series s{}", i % COLOURS);
    let place = |p: &(f64, f64, f64, f64)| (x(p.0), y.at(p.1 * 100.0));
    let line: Vec<_> = points.iter().map(|p| place(p)).collect();
    svg.polyline(&line, &class);
    for point in &points {
        let (value, mean, min, max) = **point;
        let at = x(value);
        svg.line((at, y.at(min * 100.0)), (at, y.at(max * 100.0)), &class);
        for end in [min, max].map(|v| y.at(v * 100.0)) {
            svg.line((at - 3.0, end), (at + 3.0, end), &class);
        }
        let title = format!(
            "{}, {value}: {} % ({} to {})",
            series.label,
            percent(mean, 2),
            percent(min, 2),
            percent(max, 2)
        );
        marker(svg, i, place(point), &title);
    }
    line.last().map(|p| p.1)
}

/// Shape and colour both tell the lines apart.
fn marker(svg: &mut Svg, i: usize, (x, y): (f64, f64), title: &str) {
    let class = format!("s{}", i % COLOURS);
    let corners: &[(f64, f64)] = match i % 4 {
        0 => return svg.circle((x, y), 4.0, &class, title),
        1 => &[(-3.5, -3.5), (3.5, -3.5), (3.5, 3.5), (-3.5, 3.5)],
        2 => &[(0.0, -5.0), (5.0, 0.0), (0.0, 5.0), (-5.0, 0.0)],
        _ => &[(0.0, -4.5), (4.5, 3.5), (-4.5, 3.5)],
    };
    let corners: Vec<_> = corners.iter().map(|(dx, dy)| (x + dx, y + dy)).collect();
    svg.polygon(&corners, &class, title);
}

fn table(x_label: &str, series: &[Series]) -> String {
    let mut out = format!(
        "<details><summary>All points as a table</summary>\n<div class=\"scroll\"><table>\n\
         <thead><tr><th>Line</th><th class=\"n\">{}</th><th class=\"n\">Mean&#160;%</th>\
         <th class=\"n\">Worst&#160;%</th><th class=\"n\">Best&#160;%</th></tr></thead>\n<tbody>\n",
        escape(x_label)
    );
    for line in series {
        for &(x, mean, min, max) in &line.points {
            let x = if x.is_finite() { x.to_string() } else { "–".to_owned() };
            let [mean, min, max] = [mean, min, max].map(|v| percent(v, 2));
            let cells = [escape(&line.label), x, mean, min, max];
            table_row(&mut out, &["strong", "n", "n", "n", "n"], &cells);
        }
    }
    out.push_str("</tbody></table></div></details>\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    fn series() -> Vec<Series> {
        let line = |label: &str, at: f64| Series {
            label: label.to_owned(),
            points: (2..=8)
                .map(|bits| {
                    let mean = at - 0.2 * 0.4f64.powi(bits - 2);
                    (f64::from(bits), mean, mean - 0.01 / f64::from(bits), mean + 0.004)
                })
                .collect(),
        };
        vec![line("stochastic", 0.979), line("rnd_conv", 0.974), line("trn <floor>", 0.95)]
    }

    #[test]
    fn plot_and_page_are_well_formed() {
        let plot = accuracy_plot("MNIST & bits", "bits", &series());
        example::assert_markup(&plot);
        assert!(plot.contains("trn &lt;floor&gt;, 2: 75.00 %"), "{plot}");
        let page = accuracy_page("MNIST & bits", "bits", &series());
        example::assert_markup(&page);
        example::keep("sweep.svg", &plot);
        example::keep("sweep.html", &page);
    }

    #[test]
    fn odd_series_still_draw() {
        let odd = |points: Vec<(f64, f64, f64, f64)>| Series { label: "x".into(), points };
        for series in [
            vec![],
            vec![odd(vec![])],
            vec![odd(vec![(4.0, 1.0, 1.0, 1.0)])],
            vec![odd(vec![(f64::NAN, 0.5, 0.5, 0.5), (2.0, f64::INFINITY, 0.1, 0.2)])],
        ] {
            example::assert_markup(&accuracy_plot("", "bits", &series));
            example::assert_markup(&accuracy_page("", "bits", &series));
        }
    }
}
