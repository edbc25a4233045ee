//! What was lost at the quantisation points: saturation and underflow, worst first.

use super::page::Section;
use super::svg::{Scale, Svg};
use super::text::{escape, grouped, rate, table_row};
use super::view::{Tensor, View};
use crate::run::record::TensorStats;

const SPARK_WIDTH: f64 = 76.0;
const SPARK_HEIGHT: f64 = 20.0;

type Share = fn(&TensorStats) -> f64;

pub(crate) fn section(view: &View<'_>) -> Option<Section> {
    if view.tensors.is_empty() {
        return None;
    }
    let mut tensors: Vec<_> = view.tensors.iter().collect();
    tensors.sort_by(|a, b| loss(b).partial_cmp(&loss(a)).unwrap_or(std::cmp::Ordering::Equal));
    let shares: [Share; 2] = [TensorStats::saturated_share, TensorStats::underflowed_share];
    let tops = shares.map(|share| {
        let all = tensors.iter().flat_map(|t| t.epochs()).map(|stats| share(stats));
        all.fold(0.0, f64::max)
    });
    let mut body = String::from(
        "<div class=\"scroll\"><table>\n<thead><tr><th>Layer</th><th>Point</th>\
         <th class=\"n\">Bits</th><th class=\"n\">Values</th>\
         <th class=\"n\">Saturated&#160;%</th><th class=\"s\">over epochs</th>\
         <th class=\"n\">Underflowed&#160;%</th><th class=\"s\">over epochs</th></tr></thead>\n\
         <tbody>\n",
    );
    for tensor in &tensors {
        let stats = tensor.last();
        let cells = [
            escape(&stats.layer),
            stats.point.label().to_owned(),
            stats.bits.to_string(),
            grouped(stats.elements),
            loud(stats.saturated_share()),
            sparkline(tensor, shares[0], tops[0]),
            quiet_zero(stats.underflowed_share()),
            sparkline(tensor, shares[1], tops[1]),
        ];
        table_row(&mut body, &["strong", "", "n", "n", "n", "s", "n", "s"], &cells);
    }
    body.push_str("</tbody></table></div>\n");
    Some(Section {
        id: "saturation",
        title: "Saturation",
        lead: "Per cent of the last epoch’s values that were cut off at the bound (saturated), or \
               were not zero and became zero (underflowed): what saturates most comes first, and \
               the small lines of a column share one scale.",
        body,
    })
}

fn loss(tensor: &Tensor<'_>) -> (f64, f64) {
    (tensor.last().saturated_share(), tensor.last().underflowed_share())
}

/// From one per cent on, saturation is worth a look.
fn loud(share: f64) -> String {
    if share >= 0.01 { format!("<b>{}</b>", rate(share)) } else { quiet_zero(share) }
}

fn quiet_zero(share: f64) -> String {
    match rate(share) {
        text if share == 0.0 => format!("<span class=\"quiet\">{text}</span>"),
        text => escape(&text),
    }
}

fn sparkline(tensor: &Tensor<'_>, share: Share, top: f64) -> String {
    if top == 0.0 || tensor.epochs().iter().all(|stats| share(stats) == 0.0) {
        return String::new();
    }
    let y = Scale::new((0.0, top), (SPARK_HEIGHT - 3.0, 3.0));
    let x = Scale::new((0.0, (tensor.epochs().len() - 1) as f64), (2.0, SPARK_WIDTH - 4.0));
    let points: Vec<_> = tensor
        .epochs()
        .iter()
        .enumerate()
        .map(|(i, stats)| (x.at(i as f64), y.at(share(stats))))
        .collect();
    let mut svg = Svg::new(SPARK_WIDTH, SPARK_HEIGHT, "over epochs");
    svg.polyline(&points, "spark");
    if let Some(&end) = points.last() {
        svg.circle(end, 2.25, "spark-end", "");
    }
    svg.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;
    use crate::run::record::Point;

    #[test]
    fn no_tensor_no_table() {
        assert!(section(&View::new(&[])).is_none());
    }

    #[test]
    fn the_worst_comes_first() {
        let records = [example::epoch(
            1,
            vec![
                example::stats("quiet", Point::Weight, 8, -7, 0.0),
                example::stats("mild", Point::Weight, 8, -7, 0.002),
                example::stats("worst", Point::Activation, 8, -7, 0.2),
            ],
        )];
        let body = section(&View::new(&records)).unwrap().body;
        example::assert_markup(&body);
        let place = |name| body.find(name).unwrap();
        assert!(place("worst") < place("mild") && place("mild") < place("quiet"));
        assert!(body.contains("<b>20.00</b>"), "{body}");
    }
}
