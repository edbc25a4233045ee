//! What the figures of ranges have in common: rows of histograms over one log2 axis.

use super::svg::{Anchor, Scale, Svg, whole_ticks};
use super::text::{power_of_two, shorten};
use crate::run::record::TensorStats;

const WIDTH: f64 = 880.0;
const LEFT: f64 = 190.0;
const RIGHT: f64 = 690.0;
/// Where the words right of a row begin.
pub(crate) const LABELS: f64 = RIGHT + 20.0;
const ROW: f64 = 50.0;
const TOP: f64 = 8.0;
/// The axis shows at most this many powers of two below its right end.
const WIDEST: i64 = 80;

/// A figure of one row for each of `items`; `row` draws one, given its upper edge.
pub(crate) fn rows<T>(
    label: &str,
    axis: &Axis,
    items: &[T],
    mut row: impl FnMut(&mut Svg, f64, &T),
) -> String {
    let foot = TOP + ROW * items.len() as f64;
    let mut svg = Svg::new(WIDTH, foot + 26.0, label);
    axis.draw(&mut svg, TOP, foot);
    for (i, item) in items.iter().enumerate() {
        row(&mut svg, TOP + ROW * i as f64, item);
    }
    svg.finish()
}

/// Layer above, point and width below.
pub(crate) fn row_label(svg: &mut Svg, top: f64, stats: &TensorStats) {
    svg.text((0.0, top + 17.0), Anchor::Start, "strong", &shorten(&stats.layer, 20));
    let bits = format!("{}, {} bit", stats.point.label(), stats.bits);
    svg.text((0.0, top + 33.0), Anchor::Start, "", &bits);
}

/// The histogram between `top` and `foot`; `classify` gives a bin's class and what it means.
pub(crate) fn bars(
    svg: &mut Svg,
    axis: &Axis,
    (top, foot): (f64, f64),
    stats: &TensorStats,
    classify: impl Fn(i64) -> (&'static str, &'static str),
) {
    let most = stats.histogram.iter().map(|&[_, count]| count).max().unwrap_or(0);
    for &[bin, count] in stats.histogram.iter().filter(|&&[_, count]| count > 0) {
        let (class, meaning) = classify(bin);
        let [left, right] = bin_edges(bin).map(|e| axis.at(e));
        if right <= left {
            continue;
        }
        let height = ((count as f64 / most as f64).sqrt() * (foot - top)).max(1.5);
        let [low, high] = bin_edges(bin).map(power_of_two);
        let values = if count == 1 { "value" } else { "values" };
        let title = format!("{low} to {high}: {count} {values}, {meaning}");
        let area = [left + 0.5, foot - height, (right - left - 1.0).max(0.5), height];
        svg.rect(area, class, &title);
    }
}

/// Exponents of the values that a bin lies between.
pub(crate) fn bin_edges(bin: i64) -> [i64; 2] {
    [bin.saturating_sub(1), bin]
}

/// The log2 axis that the rows of a figure share.
#[derive(Debug)]
pub(crate) struct Axis {
    low: i64,
    high: i64,
    scale: Scale,
}

impl Axis {
    /// Covers all `exponents`, with half a power of air at both ends.
    pub(crate) fn covering(exponents: impl IntoIterator<Item = i64>) -> Self {
        let (mut low, mut high) = (i64::MAX, i64::MIN);
        for e in exponents {
            // No float or fixed-point format reaches further; a damaged log might.
            let e = e.clamp(-4096, 4096);
            (low, high) = (low.min(e), high.max(e));
        }
        if low > high {
            (low, high) = (-1, 0);
        }
        let low = low.max(high - WIDEST);
        let ends = (low as f64 - 0.5, high as f64 + 0.5);
        Self { low, high, scale: Scale::new(ends, (LEFT, RIGHT)) }
    }

    pub(crate) fn at(&self, exponent: i64) -> f64 {
        self.scale.clamped(exponent as f64)
    }

    fn draw(&self, svg: &mut Svg, top: f64, foot: f64) {
        for exponent in whole_ticks(self.low, self.high, 14) {
            let x = self.at(exponent);
            svg.line((x, top), (x, foot), "grid");
            svg.text((x, foot + 18.0), Anchor::Middle, "", &power_of_two(exponent));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_covers_its_exponents_and_no_more_than_the_widest() {
        let axis = Axis::covering([-9, 3]);
        assert!(axis.at(-9) > LEFT && axis.at(3) < RIGHT && axis.at(-9) < axis.at(3));
        let axis = Axis::covering([i64::MIN, 0]);
        assert_eq!((axis.low, axis.high), (-WIDEST, 0));
        assert_eq!(axis.at(-4000), LEFT);
    }
}
