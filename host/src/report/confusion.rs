//! Which class was taken for which.

use super::page::Section;
use super::svg::{Anchor, Scale, Svg};
use super::text::{grouped, percent};
use super::view::View;

const LEFT: f64 = 56.0;
const TOP: f64 = 44.0;
/// Side of the matrix.
const SIDE: f64 = 470.0;
const RECALL: f64 = LEFT + SIDE + 20.0;
const RECALL_WIDTH: f64 = 90.0;
const WIDTH: f64 = 700.0;
/// With more classes than this, counts do not fit into cells; the hover texts still tell them.
const MOST_WITH_COUNTS: usize = 20;
/// Mistakes are few beside what is right: a cell is full when this share of a class is wrong.
const FULL_MISTAKE: f64 = 0.1;
/// From this opacity on, a count needs the colour that stands out from the cell's.
const FULL_ENOUGH: f64 = 0.65;

pub(crate) fn section(view: &View<'_>) -> Option<Section> {
    let confusion = &view.test?.confusion;
    if confusion.is_empty() {
        return None;
    }
    Some(Section {
        id: "confusion",
        title: "Confusion",
        lead: "A row is a true class, a column what the network chose: blue on the diagonal is \
               right, orange beside it is wrong and full at 10 % of the class; recall is the \
               share of a row that lies on the diagonal.",
        body: format!("<figure>{}</figure>\n", draw(confusion)),
    })
}

fn draw(confusion: &[Vec<u32>]) -> String {
    let classes = confusion.iter().map(Vec::len).max().unwrap_or(0).max(confusion.len());
    let cell = SIDE / classes as f64;
    let with_counts = classes <= MOST_WITH_COUNTS;
    let mut svg = Svg::new(WIDTH, TOP + SIDE + 8.0, "Confusion matrix of the test set");
    svg.text((LEFT + SIDE / 2.0, 12.0), Anchor::Middle, "", "predicted");
    svg.text((0.0, TOP - 12.0), Anchor::Start, "", "true");
    svg.text((RECALL, TOP - 12.0), Anchor::Start, "", "recall, %");
    svg.rect([LEFT, TOP, SIDE, SIDE], "frame", "");
    let every = classes.div_ceil(MOST_WITH_COUNTS);
    for class in 0..classes {
        let middle = (class as f64 + 0.5) * cell;
        if class % every == 0 {
            let name = class.to_string();
            svg.text((LEFT + middle, TOP - 12.0), Anchor::Middle, "strong", &name);
            svg.text((LEFT - 14.0, TOP + middle + 4.0), Anchor::End, "strong", &name);
        }
    }
    for (truth, row) in confusion.iter().enumerate() {
        let total: u64 = row.iter().map(|&n| u64::from(n)).sum();
        let y = TOP + truth as f64 * cell;
        for (predicted, &count) in row.iter().enumerate().filter(|&(_, &count)| count > 0) {
            let x = LEFT + predicted as f64 * cell;
            let share = f64::from(count) / total as f64;
            let right = truth == predicted;
            let (class, opacity) = match right {
                true => ("right", 0.1 + 0.9 * share.powi(3)),
                false => ("wrong", 0.18 + 0.82 * (share / FULL_MISTAKE).min(1.0)),
            };
            let title = format!(
                "true {truth}, predicted {predicted}: {count} of {total}, {} %",
                percent(share, 1)
            );
            let gap = if with_counts { 1.0 } else { 0.0 };
            let area = [x + gap, y + gap, cell - 2.0 * gap, cell - 2.0 * gap];
            svg.tinted_rect(area, class, opacity, &title);
            if with_counts {
                let class = match (opacity > FULL_ENOUGH, right) {
                    (false, _) => "strong",
                    (true, true) => "on-right",
                    (true, false) => "on-wrong",
                };
                let at = (x + cell / 2.0, y + cell / 2.0 + 4.0);
                svg.text(at, Anchor::Middle, class, &grouped(count.into()));
            }
        }
        let right = row.get(truth).copied().unwrap_or(0);
        let recall = f64::from(right) / total as f64;
        recall_bar(&mut svg, y + cell / 2.0, cell, recall, truth % every == 0);
    }
    svg.finish()
}

/// A class without a sample has no recall, and no bar.
fn recall_bar(svg: &mut Svg, middle: f64, cell: f64, recall: f64, with_text: bool) {
    let x = Scale::new((0.0, 1.0), (RECALL, RECALL + RECALL_WIDTH));
    let height = (cell * 0.3).min(8.0);
    let top = middle - height / 2.0;
    svg.rect([RECALL, top, RECALL_WIDTH, height], "band", "");
    if recall.is_finite() {
        svg.rect([RECALL, top, x.at(recall) - RECALL, height], "right", "");
    }
    if with_text {
        let at = (RECALL + RECALL_WIDTH + 46.0, middle + 4.0);
        svg.text(at, Anchor::End, "strong", &percent(recall, 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    #[test]
    fn a_ragged_matrix_and_an_empty_class_still_draw() {
        let svg = draw(&[vec![3], vec![], vec![0, 1, 2, u32::MAX]]);
        example::assert_markup(&svg);
        assert!(svg.contains("true 2, predicted 3"), "{svg}");
        assert!(svg.contains(">–<"), "the empty class has no recall");
    }

    #[test]
    fn an_empty_matrix_is_no_figure() {
        assert!(section(&View::new(&[])).is_none());
        example::assert_markup(&draw(&[vec![]]));
    }

    #[test]
    fn many_classes_show_colours_without_counts() {
        let svg = draw(&vec![vec![1; 100]; 100]);
        example::assert_markup(&svg);
        assert!(!svg.contains("on-right"));
    }
}
