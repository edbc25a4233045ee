//! How many bits the accumulators need, as proven, and as seen.

use super::page::Section;
use super::range_rows::{Axis, LABELS, bars, row_label, rows};
use super::svg::{Anchor, Svg};
use super::text::power_of_two;
use super::view::View;
use crate::run::record::TensorStats;

pub(crate) fn section(view: &View<'_>) -> Option<Section> {
    let found: Vec<_> =
        view.tensors.iter().map(|t| t.last()).filter(|t| t.accumulator_bits > 0).collect();
    if found.is_empty() {
        return None;
    }
    let axis = Axis::covering(found.iter().flat_map(|stats| {
        let unit = i64::from(stats.accumulator_exponent);
        // A single unit lies in the bin below.
        [unit - 1, unit + register_bits(stats)]
    }));
    let figure = rows("Accumulators", &axis, &found, |svg, top, stats| {
        row(svg, &axis, top, stats);
    });
    Some(Section {
        id: "accumulators",
        title: "Accumulators",
        lead: "The upright line is the bound that the plan proves from shapes and widths, the \
               dashed outline what the register could still hold: bars cannot pass the line, \
               and the air between them and the line is what the proof leaves unused.",
        body: format!("<figure>{figure}</figure>\n"),
    })
}

/// Magnitude bits of the register that the bound fits in: i32 or i64.
fn register_bits(stats: &TensorStats) -> i64 {
    if stats.accumulator_bits <= 31 { 31 } else { 63 }
}

fn row(svg: &mut Svg, axis: &Axis, top: f64, stats: &TensorStats) {
    let unit = i64::from(stats.accumulator_exponent);
    let (bits, register) = (i64::from(stats.accumulator_bits), register_bits(stats));
    let (left, bound, end) = (axis.at(unit - 1), axis.at(unit + bits), axis.at(unit + register));
    let foot = top + 36.0;
    row_label(svg, top, stats);
    svg.rect([left, top + 4.0, end - left, foot - top - 4.0], "spare", "");
    let title = format!(
        "{} {}: accumulators stay below {} units of {}",
        stats.layer,
        stats.point.label(),
        power_of_two(bits),
        power_of_two(unit)
    );
    svg.rect([left, top + 4.0, bound - left, foot - top - 4.0], "proven", &title);
    bars(svg, axis, (top + 8.0, foot), stats, |bin| {
        if bin > unit + bits { ("bar-over", "beyond the bound") } else { ("bar", "accumulated") }
    });
    svg.line((bound, top + 2.0), (bound, foot + 2.0), "bound");
    let text = format!("{bits} of {register} bits");
    svg.text((LABELS, top + 17.0), Anchor::Start, "strong", &text);
    let spare = format!("i{}, {} spare", register + 1, (register - bits).max(0));
    svg.text((LABELS, top + 33.0), Anchor::Start, "", &spare);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;
    use crate::run::record::Point;

    #[test]
    fn tensors_without_an_accumulator_have_no_row() {
        let weights = example::stats("fc1", Point::Weight, 8, -7, 0.0);
        assert_eq!(weights.accumulator_bits, 0);
        assert!(section(&View::new(&[example::epoch(1, vec![weights])])).is_none());
    }

    #[test]
    fn the_register_follows_the_bound() {
        let mut stats = example::stats("fc1", Point::Activation, 8, -5, 0.0);
        stats.accumulator_bits = 40;
        let records = [example::epoch(1, vec![stats])];
        let body = section(&View::new(&records)).unwrap().body;
        example::assert_markup(&body);
        assert!(body.contains("40 of 63 bits") && body.contains("i64, 23 spare"), "{body}");
    }
}
