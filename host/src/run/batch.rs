//! Samples that are picked out of a data set, one after the other in memory.

use fixgrad::trainer::{SampleData, Samples, Targets};

use crate::{
    data::{Dataset, Mantissas, Targets as Answers},
    kernel,
};

/// Hands out batch after batch. The next one is gathered while one is worked on, on another thread
/// if there is one.
#[derive(Debug)]
pub struct Loader<'d> {
    now: Batch<'d>,
    next: Batch<'d>,
}

impl<'d> Loader<'d> {
    /// A loader of this data set.
    pub const fn new(data: &'d Dataset) -> Self {
        Self { now: Batch::new(data), next: Batch::new(data) }
    }

    /// Calls `work` with the samples of step 0, 1, ..., `steps - 1`, whose indices `pick` gives.
    ///
    /// # Errors
    /// The first one that `work` returns; the steps after it are left out.
    pub fn each<I, E>(
        &mut self,
        steps: u32,
        pick: impl Fn(u32) -> I + Sync,
        mut work: impl FnMut(u32, &Batch<'d>) -> Result<(), E> + Send,
    ) -> Result<(), E>
    where
        I: IntoIterator<Item = u32>,
        E: Send,
    {
        let Self { now, next } = self;
        if steps > 0 {
            now.fill(pick(0));
        }
        for step in 0..steps {
            let gather = || {
                if step + 1 < steps {
                    next.fill(pick(step + 1));
                }
            };
            kernel::both(|| work(step, now), gather).0?;
            std::mem::swap(now, next);
        }
        Ok(())
    }
}

/// Some samples and their targets. Its memory is used again for the next ones.
#[derive(Debug)]
pub struct Batch<'d> {
    data: &'d Dataset,
    bytes: Vec<u8>,
    words: Vec<i16>,
    classes: Vec<u16>,
    values: Vec<i16>,
}

impl<'d> Batch<'d> {
    /// A batch without samples.
    pub const fn new(data: &'d Dataset) -> Self {
        Self { data, bytes: Vec::new(), words: Vec::new(), classes: Vec::new(), values: Vec::new() }
    }

    /// Takes these samples in place of those that it held.
    pub fn fill(&mut self, indices: impl IntoIterator<Item = u32>) {
        let Self { data, bytes, words, classes, values } = self;
        let len = data.sample_len();
        bytes.clear();
        words.clear();
        classes.clear();
        values.clear();
        for index in indices {
            let index = index as usize;
            let row = index * len..(index + 1) * len;
            match &data.samples.mantissas {
                Mantissas::U8(all) => bytes.extend_from_slice(&all[row]),
                Mantissas::I16(all) => words.extend_from_slice(&all[row]),
            }
            match &data.targets {
                Answers::Classes { labels, .. } => classes.push(labels[index]),
                Answers::Values { mantissas, width, .. } => {
                    values.extend_from_slice(&mantissas[index * width..(index + 1) * width]);
                }
            }
        }
    }

    /// The samples, for a trainer.
    pub fn samples(&self) -> Samples<'_> {
        let data = match &self.data.samples.mantissas {
            Mantissas::U8(_) => SampleData::U8(&self.bytes),
            Mantissas::I16(_) => SampleData::I16(&self.words),
        };
        Samples { data, exponent: self.data.samples.exponent.into() }
    }

    /// Their targets.
    pub fn targets(&self) -> Targets<'_> {
        match &self.data.targets {
            Answers::Classes { .. } => Targets::Classes(&self.classes),
            Answers::Values { exponent, .. } => {
                Targets::Values { mantissas: &self.values, exponent: (*exponent).into() }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Samples as Stored, Split};

    #[test]
    fn samples_come_in_the_order_asked_for_with_their_targets() {
        let data = Dataset {
            name: "three pairs".into(),
            shape: [2, 1, 1],
            samples: Stored {
                mantissas: Mantissas::U8(vec![1, 2, 3, 4, 5, 6]),
                exponent: -8,
                rounding_error: 0.0,
            },
            targets: Answers::Values {
                mantissas: vec![10, 20, 30],
                exponent: -4,
                width: 1,
                rounding_error: 0.0,
            },
            split: Split::default(),
        };
        let mut batch = Batch::new(&data);
        for _ in 0..2 {
            batch.fill([2, 0]);
            let Samples { data: SampleData::U8(bytes), exponent: -8 } = batch.samples() else {
                panic!("{batch:?}");
            };
            assert_eq!(bytes, [5, 6, 1, 2]);
            assert!(matches!(
                batch.targets(),
                Targets::Values { mantissas: [30, 10], exponent: -4 }
            ));
        }
    }
}
