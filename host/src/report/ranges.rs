//! Where the values of every tensor lie, against what its fixed-point format can represent.

use super::page::Section;
use super::range_rows::{Axis, LABELS, bars, bin_edges, row_label, rows};
use super::svg::{Anchor, Svg};
use super::text::{escape, power_of_two, rate};
use super::view::{Tensor, View};
use crate::run::record::Point;

const GROUPS: [(&str, &[Point]); 4] = [
    ("Weights and biases", &[Point::Weight, Point::Bias]),
    ("Activations", &[Point::Activation]),
    ("Activation gradients", &[Point::ActivationGrad]),
    ("Weight and bias gradients", &[Point::WeightGrad, Point::BiasGrad]),
];

pub(crate) fn section(view: &View<'_>) -> Option<Section> {
    let mut body = key();
    let mut found = false;
    for (title, points) in GROUPS {
        let tensors = view.tensors_of(points);
        if !tensors.is_empty() {
            found = true;
            let figure = draw(title, &tensors);
            body.push_str(&format!("<h3>{}</h3>\n<figure>{figure}</figure>\n", escape(title)));
        }
    }
    found.then_some(Section {
        id: "ranges",
        title: "Ranges",
        lead: "Bars count the values of |x| by power of two, before quantisation, in one step \
               after the last epoch (height is the square root of the share, so that rare values \
               show): the grey band must cover the right edge of the bars, for what lies right of it \
               saturates.",
        body,
    })
}

/// What the colours mean.
fn key() -> String {
    let entries = [
        ("band", "representable, from step to bound"),
        ("inside", "inside"),
        ("over", "beyond the bound: saturates"),
        ("under", "below the step: may become zero"),
        ("whisker", "how far the step and the bound moved during training"),
    ];
    let items = entries
        .map(|(swatch, text)| format!("<li><span class=\"swatch {swatch}\"></span>{text}</li>\n"));
    format!("<ul class=\"key\">\n{}</ul>\n", items.concat())
}

fn draw(title: &str, tensors: &[&Tensor<'_>]) -> String {
    let axis = Axis::covering(tensors.iter().flat_map(|t| {
        let (stats, (low, high)) = (t.last(), t.exponents());
        let band = [low, high + stats.bound_exponent() - i64::from(stats.exponent)];
        band.into_iter().chain(stats.histogram.iter().flat_map(|&[bin, _]| bin_edges(bin)))
    }));
    rows(&format!("Ranges: {title}"), &axis, tensors, |svg, top, tensor| {
        row(svg, &axis, top, tensor);
    })
}

fn row(svg: &mut Svg, axis: &Axis, top: f64, tensor: &Tensor<'_>) {
    let stats = tensor.last();
    let (foot, bound, step) = (top + 34.0, stats.bound_exponent(), i64::from(stats.exponent));
    row_label(svg, top, stats);
    let title = format!(
        "{} {}: step {}, bound {}",
        stats.layer,
        stats.point.label(),
        power_of_two(step),
        power_of_two(bound)
    );
    let (left, right) = (axis.at(step), axis.at(bound));
    svg.rect([left, top + 4.0, (right - left).max(2.0), foot - top - 4.0], "band", &title);
    bars(svg, axis, (top + 6.0, foot), stats, |bin| {
        if bin > bound {
            ("bar-over", "beyond the bound")
        } else if bin <= step {
            ("bar-under", "below the step")
        } else {
            ("bar", "representable")
        }
    });
    let (low, high) = tensor.exponents();
    // One below the other: with few bits the two travels overlap.
    for (y, shift) in [(foot + 4.0, 0), (foot + 9.0, bound - step)] {
        let (from, to) = (axis.at(low + shift), axis.at(high + shift));
        svg.line((from, y), (to, y), "whisker");
        for end in [from, to] {
            svg.line((end, y - 2.0), (end, y + 2.0), "whisker");
        }
    }
    let text = format!("{} … {}", power_of_two(step), power_of_two(bound));
    svg.text((LABELS, top + 17.0), Anchor::Start, "strong", &text);
    let (class, text) = match (stats.histogram.is_empty(), stats.saturated) {
        (true, _) => ("", "all values zero".to_owned()),
        (false, 0) => ("", "none saturates".to_owned()),
        (false, _) => ("warn-text", format!("{} % saturates", rate(stats.saturated_share()))),
    };
    svg.text((LABELS, top + 33.0), Anchor::Start, class, &text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    #[test]
    fn no_tensor_no_figure() {
        assert!(section(&View::new(&[])).is_none());
    }

    #[test]
    fn values_beyond_the_bound_are_marked() {
        let mut stats = example::stats("fc1", Point::Weight, 4, -3, 0.0);
        // The band is 2^-3 to 2^0: bin 1 lies beyond it, bin -3 below.
        stats.histogram = vec![[-3, 5], [0, 9], [1, 2]];
        let records = [example::epoch(1, vec![stats])];
        let body = section(&View::new(&records)).unwrap().body;
        example::assert_markup(&body);
        for (class, title) in [
            ("bar-over", "2⁰ to 2¹: 2 values, beyond the bound"),
            ("bar", "2⁻¹ to 2⁰: 9 values, representable"),
            ("bar-under", "2⁻⁴ to 2⁻³: 5 values, below the step"),
        ] {
            assert!(body.contains(&format!("class=\"{class}\"><title>{title}<")), "{body}");
        }
    }

    #[test]
    fn absurd_exponents_make_no_absurd_picture() {
        let mut stats = example::stats("fc1", Point::Weight, 255, i16::MAX, 0.0);
        stats.exponent_min = i16::MIN;
        stats.histogram = vec![[i64::MIN, i64::MAX], [i64::MAX, -4], [0, i64::MAX]];
        stats.elements = 0;
        let records = [example::epoch(1, vec![stats])];
        let body = section(&View::new(&records)).unwrap().body;
        example::assert_markup(&body);
        assert!(body.len() < 20_000);
    }
}
