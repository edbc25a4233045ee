//! Loss and accuracy by epoch.

use super::page::Section;
use super::svg::{Anchor, Scale, Svg, Ticks, spread, whole_ticks};
use super::text::{duration, grouped, percent, significant, table_row};
use super::view::View;
use crate::run::record::Epoch;

const WIDTH: f64 = 430.0;
const HEIGHT: f64 = 270.0;
const LEFT: f64 = 44.0;
/// Leaves room for the labels at the ends of the lines.
const RIGHT: f64 = 306.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 236.0;

/// One curve figure: what to draw, and how to write it.
struct Curves {
    title: &'static str,
    train: fn(&Epoch) -> f64,
    validation: fn(&Epoch) -> f64,
    /// A number in a label at the end of a line.
    write: fn(f64) -> String,
    /// The axis' unit: what a tick value is multiplied by.
    unit: f64,
    /// The axis starts here; elsewhere it starts just below the data.
    floor: Option<f64>,
    /// The axis never climbs above this.
    ceiling: f64,
    test: Option<f64>,
}

pub(crate) fn section(view: &View<'_>) -> Option<Section> {
    if view.epochs.is_empty() {
        return None;
    }
    let loss = Curves {
        title: "Loss",
        train: |e| e.train_loss,
        validation: |e| e.validation_loss,
        write: significant,
        unit: 1.0,
        floor: Some(0.0),
        ceiling: f64::INFINITY,
        test: None,
    };
    let accuracy = Curves {
        title: "Accuracy, %",
        train: |e| e.train_accuracy,
        validation: |e| e.validation_accuracy,
        write: |share| percent(share, 2),
        unit: 100.0,
        floor: None,
        ceiling: 100.0,
        test: view.test.map(|t| t.accuracy),
    };
    let mut body = String::from("<div class=\"pair\">\n");
    // Quantities have no accuracy.
    let known = |e: &&Epoch| e.train_accuracy.is_finite() || e.validation_accuracy.is_finite();
    let accuracy = view.epochs.iter().any(known).then_some(accuracy);
    for curves in [loss].into_iter().chain(accuracy) {
        body.push_str("<figure>");
        body.push_str(&curves.draw(&view.epochs));
        body.push_str("</figure>\n");
    }
    body.push_str("</div>\n");
    body.push_str(&table(&view.epochs));
    Some(Section {
        id: "learning",
        title: "Learning",
        lead: "The solid line is the validation set, the dashed one the training set: where the \
               gap between them widens, the network overfits.",
        body,
    })
}

impl Curves {
    fn draw(&self, epochs: &[&Epoch]) -> String {
        let mut svg = Svg::new(WIDTH, HEIGHT, &format!("{} by epoch", self.title));
        let values = |of: fn(&Epoch) -> f64| epochs.iter().map(move |e| of(e) * self.unit);
        let all = || {
            let test = self.test.map(|t| t * self.unit);
            values(self.train).chain(values(self.validation)).chain(test).filter(|v| v.is_finite())
        };
        let low = self.floor.unwrap_or_else(|| all().fold(f64::INFINITY, f64::min));
        let high = all().fold(f64::NEG_INFINITY, f64::max);
        let mut ticks = Ticks::covering(low, high, 4);
        ticks.values.retain(|&v| v <= self.ceiling);
        let y = Scale::new((ticks.first(), ticks.last()), (BOTTOM, TOP));
        let last = epochs.iter().map(|e| e.epoch).max().unwrap_or(1);
        let first = epochs.iter().map(|e| e.epoch).min().unwrap_or(1);
        let x = Scale::new((first.into(), last.into()), (LEFT + 10.0, RIGHT));

        svg.text((0.0, 14.0), Anchor::Start, "title", self.title);
        for &value in &ticks.values {
            let at = y.at(value);
            svg.line((LEFT, at), (RIGHT, at), "grid");
            let label = format!("{value:.*}", ticks.decimals);
            svg.text((LEFT - 8.0, at + 4.0), Anchor::End, "", &label);
        }
        for epoch in whole_ticks(first.into(), last.into(), 8) {
            let at = (x.at(epoch as f64), BOTTOM + 18.0);
            svg.text(at, Anchor::Middle, "", &epoch.to_string());
        }
        svg.text(((LEFT + RIGHT) / 2.0, HEIGHT - 2.0), Anchor::Middle, "", "epoch");

        let mut ends = Vec::new();
        for (name, class, text_class, of) in [
            ("train", "train", "", self.train),
            ("validation", "validation", "accent-text", self.validation),
        ] {
            let points: Vec<_> = epochs
                .iter()
                .map(|e| (x.at(e.epoch.into()), y.at(of(e) * self.unit)))
                .filter(|(_, y)| y.is_finite())
                .collect();
            svg.polyline(&points, class);
            if let (Some(&point), Some(epoch)) = (points.last(), epochs.last()) {
                svg.circle(point, 3.0, &format!("{class}-dot"), "");
                ends.push((point.1, format!("{name} {}", (self.write)(of(epoch))), text_class));
            }
        }
        for epoch in epochs {
            let value = (self.validation)(epoch) * self.unit;
            let title = format!(
                "epoch {}: train {}, validation {}",
                epoch.epoch,
                (self.write)((self.train)(epoch)),
                (self.write)((self.validation)(epoch)),
            );
            if value.is_finite() {
                svg.circle((x.at(epoch.epoch.into()), y.at(value)), 8.0, "touch", &title);
            }
        }
        if let Some(test) = self.test.filter(|t| t.is_finite()) {
            let at = y.at(test * self.unit);
            let title = format!("test {}", (self.write)(test));
            let diamond = [(0.0, -4.5), (4.5, 0.0), (0.0, 4.5), (-4.5, 0.0)];
            svg.polygon(&diamond.map(|(dx, dy)| (RIGHT + dx, at + dy)), "test-mark", &title);
            ends.push((at, title, "strong"));
        }
        let mut places: Vec<f64> = ends.iter().map(|e| e.0).collect();
        spread(&mut places, 15.0);
        for ((_, label, class), place) in ends.iter().zip(places) {
            svg.text((RIGHT + 10.0, place + 4.0), Anchor::Start, class, label);
        }
        svg.finish()
    }
}

fn table(epochs: &[&Epoch]) -> String {
    let mut out = String::from(
        "<details><summary>All epochs as a table</summary>\n<div class=\"scroll\"><table>\n\
         <thead><tr><th class=\"n\">Epoch</th><th class=\"n\">Step</th>\
         <th class=\"n\">Learning rate</th><th class=\"n\">Train loss</th>\
         <th class=\"n\">Validation loss</th><th class=\"n\">Train %</th>\
         <th class=\"n\">Validation %</th><th class=\"n\">Time</th>\
         <th class=\"n\">Samples/s</th></tr></thead>\n<tbody>\n",
    );
    for e in epochs {
        let cells = [
            e.epoch.to_string(),
            grouped(e.step),
            significant(e.lr),
            significant(e.train_loss),
            significant(e.validation_loss),
            percent(e.train_accuracy, 2),
            percent(e.validation_accuracy, 2),
            duration(e.seconds),
            // A float that is negative or no number becomes zero.
            grouped(e.samples_per_second.round() as u64),
        ];
        table_row(&mut out, &["n"; 9], &cells);
    }
    out.push_str("</tbody></table></div></details>\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    #[test]
    fn quantities_have_a_loss_and_no_accuracy() {
        let mut records = example::records(3);
        for record in &mut records {
            if let crate::run::record::Record::Epoch(epoch) = record {
                (epoch.train_accuracy, epoch.validation_accuracy) = (f64::NAN, f64::NAN);
            }
        }
        let body = section(&View::new(&records)).unwrap().body;
        example::assert_markup(&body);
        assert!(body.contains("Loss") && !body.contains("Accuracy, %"), "{body}");
    }
    use crate::run::record::Record;

    #[test]
    fn no_epoch_no_figure() {
        assert!(section(&View::new(&[])).is_none());
    }

    #[test]
    fn one_epoch_and_a_loss_that_is_no_number_still_draw() {
        let mut records = example::records(1);
        for record in &mut records {
            if let Record::Epoch(epoch) = record {
                epoch.train_loss = f64::NAN;
                epoch.validation_loss = f64::INFINITY;
            }
        }
        let body = section(&View::new(&records)).unwrap().body;
        example::assert_markup(&body);
        assert!(body.contains("All epochs"));
    }

    #[test]
    fn accuracy_ends_at_a_hundred_per_cent() {
        let body = section(&View::new(&example::records(12))).unwrap().body;
        assert!(!body.contains(">105<") && !body.contains(">110<"), "{body}");
    }
}
