//! The records of a run, sorted by what the figures ask for.

use crate::run::record::{End, Epoch, Point, Record, Start, TensorStats, Test};

/// A run as the figures see it. A run that was interrupted has no test and no end.
#[derive(Debug, Default)]
pub(crate) struct View<'a> {
    pub(crate) start: Option<&'a Start>,
    pub(crate) epochs: Vec<&'a Epoch>,
    pub(crate) test: Option<&'a Test>,
    pub(crate) end: Option<&'a End>,
    pub(crate) tensors: Vec<Tensor<'a>>,
}

/// One tensor and point through all epochs.
#[derive(Debug)]
pub(crate) struct Tensor<'a> {
    /// At least one.
    epochs: Vec<&'a TensorStats>,
}

impl<'a> Tensor<'a> {
    /// The newest counters.
    pub(crate) fn last(&self) -> &'a TensorStats {
        self.epochs[self.epochs.len() - 1]
    }

    pub(crate) fn epochs(&self) -> &[&'a TensorStats] {
        &self.epochs
    }

    /// Smallest and largest exponent over the whole training.
    pub(crate) fn exponents(&self) -> (i64, i64) {
        let low = self.epochs.iter().map(|t| t.exponent_min.min(t.exponent)).min();
        let high = self.epochs.iter().map(|t| t.exponent_max.max(t.exponent)).max();
        (low.unwrap_or(0).into(), high.unwrap_or(0).into())
    }
}

impl<'a> View<'a> {
    pub(crate) fn new(records: &'a [Record]) -> Self {
        let mut view = Self::default();
        for record in records {
            match record {
                Record::Start(start) => view.start = Some(start),
                Record::Epoch(epoch) => {
                    view.epochs.push(epoch);
                    for stats in &epoch.tensors {
                        view.add(stats);
                    }
                }
                Record::Test(test) => view.test = Some(test),
                Record::End(end) => view.end = Some(end),
            }
        }
        view
    }

    fn add(&mut self, stats: &'a TensorStats) {
        let same = |t: &&mut Tensor<'_>| {
            let known = t.last();
            known.point == stats.point && known.layer == stats.layer
        };
        match self.tensors.iter_mut().find(same) {
            Some(tensor) => tensor.epochs.push(stats),
            None => self.tensors.push(Tensor { epochs: vec![stats] }),
        }
    }

    /// The tensors of some points, in the order of the net.
    pub(crate) fn tensors_of(&self, points: &[Point]) -> Vec<&Tensor<'a>> {
        self.tensors.iter().filter(|t| points.contains(&t.last().point)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    #[test]
    fn tensors_are_followed_through_the_epochs() {
        let records = example::records(3);
        let view = View::new(&records);
        assert_eq!(view.epochs.len(), 3);
        assert!(view.tensors.iter().all(|t| t.epochs().len() == 3));
        let weights = view.tensors_of(&[Point::Weight]);
        assert_eq!(weights.len(), 2);
        let (low, high) = weights[0].exponents();
        assert!(low <= high);
        assert!(view.test.is_some() && view.end.is_some());
    }
}
