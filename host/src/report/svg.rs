//! A small SVG writer: shapes, scales and ticks. Colours come from the style sheet's classes,
//! so that one picture serves light, dark and paper.

use std::fmt::Write;

use super::text::escape;

/// The rules of all charts; part of the page, or of the picture when it stands alone.
pub(crate) const STYLE: &str = include_str!("chart.css");

/// Air around a picture that stands alone.
const MARGIN: f64 = 24.0;

/// Which side of its place a text lies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// A picture under construction.
#[derive(Debug)]
pub(crate) struct Svg {
    width: f64,
    height: f64,
    label: String,
    body: String,
}

impl Svg {
    /// `label` is what a screen reader says.
    pub(crate) fn new(width: f64, height: f64, label: &str) -> Self {
        Self { width, height, label: label.to_owned(), body: String::new() }
    }

    /// A rectangle; `title` appears when the pointer rests on it.
    pub(crate) fn rect(&mut self, area: [f64; 4], class: &str, title: &str) {
        let [x, y, w, h] = area.map(coordinate);
        self.shape(&format!("rect x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\""), class, title);
    }

    /// A rectangle whose fill is `opacity` strong.
    pub(crate) fn tinted_rect(&mut self, area: [f64; 4], class: &str, opacity: f64, title: &str) {
        let [x, y, w, h] = area.map(coordinate);
        let opacity = coordinate(opacity);
        self.shape(
            &format!(
                "rect x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" fill-opacity=\"{opacity}\""
            ),
            class,
            title,
        );
    }

    pub(crate) fn line(&mut self, from: (f64, f64), to: (f64, f64), class: &str) {
        let [x1, y1, x2, y2] = [from.0, from.1, to.0, to.1].map(coordinate);
        self.shape(&format!("line x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\""), class, "");
    }

    /// A closed shape through `points`.
    pub(crate) fn polygon(&mut self, points: &[(f64, f64)], class: &str, title: &str) {
        self.shape(&format!("polygon points=\"{}\"", path_points(points)), class, title);
    }

    /// An open line through those of `points` that are numbers.
    pub(crate) fn polyline(&mut self, points: &[(f64, f64)], class: &str) {
        self.shape(&format!("polyline points=\"{}\"", path_points(points)), class, "");
    }

    pub(crate) fn circle(&mut self, at: (f64, f64), radius: f64, class: &str, title: &str) {
        let [x, y, r] = [at.0, at.1, radius].map(coordinate);
        self.shape(&format!("circle cx=\"{x}\" cy=\"{y}\" r=\"{r}\""), class, title);
    }

    pub(crate) fn text(&mut self, at: (f64, f64), anchor: Anchor, class: &str, text: &str) {
        self.text_with(at, anchor, class, text, "");
    }

    /// Text that climbs to the upper right end at `at`.
    pub(crate) fn slanted_text(&mut self, at: (f64, f64), class: &str, text: &str) {
        let [x, y] = [at.0, at.1].map(coordinate);
        let rotate = format!(" transform=\"rotate(-40 {x} {y})\"");
        self.text_with(at, Anchor::End, class, text, &rotate);
    }

    fn text_with(&mut self, at: (f64, f64), anchor: Anchor, class: &str, text: &str, more: &str) {
        let [x, y] = [at.0, at.1].map(coordinate);
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let (text, class) = (escape(text), class_attribute(class));
        self.push(format_args!(
            "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\"{class}{more}>{text}</text>\n"
        ));
    }

    fn shape(&mut self, element: &str, class: &str, title: &str) {
        if title.is_empty() {
            self.push(format_args!("<{element} class=\"{class}\"/>\n"));
        } else {
            let (name, title) = (element.split(' ').next().unwrap_or_default(), escape(title));
            self.push(format_args!(
                "<{element} class=\"{class}\"><title>{title}</title></{name}>\n"
            ));
        }
    }

    fn push(&mut self, markup: std::fmt::Arguments<'_>) {
        self.body.write_fmt(markup).expect("writing to a string");
    }

    /// The picture, for a page that holds the style sheet.
    pub(crate) fn finish(self) -> String {
        self.finish_with(0.0, "")
    }

    /// The picture with its style sheet, on paper with a margin, for a file of its own.
    pub(crate) fn finish_standalone(self) -> String {
        let head = format!(
            "<style>{STYLE}</style>\n<rect x=\"-{MARGIN}\" y=\"-{MARGIN}\" width=\"100%\" \
             height=\"100%\" class=\"paper\"/>\n"
        );
        self.finish_with(MARGIN, &head)
    }

    fn finish_with(self, margin: f64, head: &str) -> String {
        let Self { width, height, label, body } = self;
        let size = [-margin, width + 2.0 * margin, height + 2.0 * margin];
        let ([start, w, h], label) = (size.map(coordinate), escape(&label));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"chart\" \
             viewBox=\"{start} {start} {w} {h}\" width=\"{w}\" height=\"{h}\" role=\"img\" \
             aria-label=\"{label}\">\n{head}{body}</svg>\n"
        )
    }
}

fn class_attribute(class: &str) -> String {
    if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") }
}

fn path_points(points: &[(f64, f64)]) -> String {
    let mut out = String::new();
    for (x, y) in points.iter().filter(|(x, y)| x.is_finite() && y.is_finite()) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(&coordinate(*x));
        out.push(',');
        out.push_str(&coordinate(*y));
    }
    out
}

/// Two decimals at most; zero for what is no number, because one bad number makes a whole
/// picture disappear.
fn coordinate(value: f64) -> String {
    if !value.is_finite() {
        return "0".to_owned();
    }
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// A linear map from data to picture coordinates.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    from: (f64, f64),
    to: (f64, f64),
}

impl Scale {
    pub(crate) fn new(from: (f64, f64), to: (f64, f64)) -> Self {
        Self { from, to }
    }

    /// The place of `value`. Everything lies in the middle when the data has no extent.
    pub(crate) fn at(&self, value: f64) -> f64 {
        let extent = self.from.1 - self.from.0;
        let share = if extent == 0.0 { 0.5 } else { (value - self.from.0) / extent };
        self.to.0 + share * (self.to.1 - self.to.0)
    }

    /// The place of `value`, or of the end that it lies beyond.
    pub(crate) fn clamped(&self, value: f64) -> f64 {
        self.at(value.clamp(self.from.0, self.from.1))
    }
}

/// An axis: round values, evenly apart, that cover the data.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ticks {
    pub(crate) values: Vec<f64>,
    /// Decimals that tell neighbouring values apart.
    pub(crate) decimals: usize,
}

impl Ticks {
    /// About `count` steps of 1, 2 or 5 times a power of ten, from below `low` to above `high`.
    pub(crate) fn covering(low: f64, high: f64, count: usize) -> Self {
        let (low, high) = match (low.is_finite(), high.is_finite()) {
            (true, true) if low < high && (high - low).is_finite() => (low, high),
            (true, _) => (low, low + low.abs().max(1.0)),
            _ => (0.0, 1.0),
        };
        let rough = (high - low) / count.max(1) as f64;
        let power = rough.log10().floor();
        let unit = 10f64.powf(power);
        let step = match rough / unit {
            r if r <= 1.0 => unit,
            r if r <= 2.0 => 2.0 * unit,
            r if r <= 5.0 => 5.0 * unit,
            _ => 10.0 * unit,
        };
        // A hair of tolerance, so that 0.3 is not just above three steps of 0.1.
        let first = (low / step + 1e-9).floor();
        let steps = ((high / step - 1e-9).ceil() - first).clamp(1.0, 100.0) as usize;
        let values = (0..=steps).map(|i| (first + i as f64) * step).collect();
        let decimals = (-step.log10().floor()).clamp(0.0, 9.0) as usize;
        Self { values, decimals }
    }

    pub(crate) fn first(&self) -> f64 {
        self.values.first().copied().unwrap_or(0.0)
    }

    pub(crate) fn last(&self) -> f64 {
        self.values.last().copied().unwrap_or(1.0)
    }
}

/// Whole numbers from `low` to `high`, thinned out so that at most `count` remain.
pub(crate) fn whole_ticks(low: i64, high: i64, count: i64) -> Vec<i64> {
    let extent = high.saturating_sub(low).max(0);
    let least = extent / count.max(2) + i64::from(extent % count.max(2) != 0);
    let stride = [1, 2, 4, 5, 10, 20, 50, 100, 200, 500, 1000];
    let stride = stride.into_iter().find(|&s| s >= least).unwrap_or(least);
    (low.div_euclid(stride)..=high.div_euclid(stride))
        .map(|i| i * stride)
        .filter(|v| (low..=high).contains(v))
        .collect()
}

/// Moves label places apart, in order, until neighbours are at least `gap` from each other.
pub(crate) fn spread(places: &mut [f64], gap: f64) {
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.sort_by(|&a, &b| places[a].total_cmp(&places[b]));
    for _ in 0..places.len() {
        for pair in order.windows(2) {
            let overlap = gap - (places[pair[1]] - places[pair[0]]);
            if overlap > 0.0 {
                places[pair[0]] -= overlap / 2.0;
                places[pair[1]] += overlap / 2.0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinates_are_short_and_always_numbers() {
        assert_eq!(coordinate(12.0), "12");
        assert_eq!(coordinate(0.126), "0.13");
        assert_eq!(coordinate(-0.001), "0");
        assert_eq!(coordinate(f64::NAN), "0");
        assert_eq!(coordinate(f64::NEG_INFINITY), "0");
        assert_eq!(path_points(&[(1.0, f64::NAN), (2.0, 3.5)]), "2,3.5");
    }

    #[test]
    fn ticks_are_round_and_cover_the_data() {
        assert_eq!(Ticks::covering(0.0, 2.3, 4).values, [0.0, 1.0, 2.0, 3.0]);
        let ticks = Ticks::covering(0.91, 0.987, 4);
        assert_eq!(ticks.decimals, 2);
        assert!(ticks.first() <= 0.91 && ticks.last() >= 0.987, "{ticks:?}");
        assert_eq!(Ticks::covering(0.0, 0.3, 3).values.len(), 4);
    }

    #[test]
    fn ticks_of_odd_data_are_still_an_axis() {
        for (low, high) in [
            (0.0, 0.0),
            (5.0, 1.0),
            (f64::NAN, f64::NAN),
            (1.0, f64::INFINITY),
            (-1e300, 1e300),
            (1e16, 1e16),
        ] {
            let ticks = Ticks::covering(low, high, 5);
            assert!((2..=101).contains(&ticks.values.len()), "{low} {high}: {ticks:?}");
            assert!(ticks.values.iter().all(|v| v.is_finite()));
        }
    }

    #[test]
    fn whole_ticks_are_thinned_out() {
        assert_eq!(whole_ticks(1, 4, 8), [1, 2, 3, 4]);
        assert_eq!(whole_ticks(-13, 3, 8), [-12, -10, -8, -6, -4, -2, 0, 2]);
        assert_eq!(whole_ticks(3, 3, 8), [3]);
        assert!(whole_ticks(-100_000, 100_000, 10).len() <= 11);
    }

    #[test]
    fn a_scale_without_extent_points_to_the_middle() {
        assert_eq!(Scale::new((2.0, 2.0), (0.0, 10.0)).at(2.0), 5.0);
        assert_eq!(Scale::new((0.0, 4.0), (0.0, 100.0)).clamped(9.0), 100.0);
    }

    #[test]
    fn labels_are_moved_apart() {
        let mut places = [10.0, 11.0, 50.0];
        spread(&mut places, 14.0);
        assert!(places[1] - places[0] >= 13.99);
        assert_eq!(places[2], 50.0);
    }

    #[test]
    fn a_picture_is_well_formed_whatever_its_texts_are() {
        let mut svg = Svg::new(10.0, 10.0, "a \"b\" <c>");
        svg.rect([0.0, 0.0, f64::NAN, 1.0], "band", "<script>");
        svg.text((1.0, 2.0), Anchor::End, "label", "&\u{1}");
        svg.slanted_text((1.0, 2.0), "label", "x");
        svg.polyline(&[(0.0, 0.0), (1.0, 1.0)], "train");
        let text = svg.finish_standalone();
        let document = roxmltree::Document::parse(&text).unwrap();
        let title = document.descendants().find(|n| n.has_tag_name("title"));
        assert!(document.root_element().has_attribute("viewBox"));
        assert!(!text.contains("NaN") && title.is_none_or(|t| t.text() == Some("<script>")));
    }
}
