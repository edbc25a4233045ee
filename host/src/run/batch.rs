//! Samples that are picked out of a data set, one after the other in memory.

use std::{
    hint, mem,
    sync::{Mutex, PoisonError},
};

use fixgrad::trainer::{SampleData, Samples, Targets};

use crate::{
    data::{Change, Dataset, Mantissas, Targets as Answers},
    kernel,
};

const CACHE_LINE: usize = 64;
/// Rows that are asked for before the first is copied: few enough to stay in the first cache.
const ROWS_AHEAD: usize = 16;

/// Hands out batch after batch. The next one is gathered while one is worked on, by threads of the
/// pool that have nothing else to do.
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

    /// Calls `work` with the samples of step 0, 1, ..., `steps - 1`, as `pick` picks them.
    ///
    /// # Errors
    /// The first one that `work` returns; the steps after it are left out.
    pub fn each<I, E>(
        &mut self,
        steps: u32,
        pick: impl Fn(u32) -> I + Send,
        mut work: impl FnMut(u32, &Batch<'d>) -> Result<(), E> + Send,
    ) -> Result<(), E>
    where
        I: IntoIterator<Item: Into<Pick>, IntoIter: Send>,
        E: Send,
    {
        let Self { now, next } = self;
        let next = &Mutex::new(Filling { batch: next, picks: None });
        let help = || next.try_lock().is_ok_and(|mut next| next.piece());
        kernel::meanwhile(&help, move || {
            for step in 0..steps {
                let mut next = next.lock().unwrap_or_else(PoisonError::into_inner);
                if step == 0 {
                    next.begin(pick(0));
                }
                while next.piece() {}
                mem::swap(now, next.batch);
                if step + 1 < steps {
                    next.begin(pick(step + 1));
                }
                drop(next);
                work(step, now)?;
            }
            Ok(())
        })
    }
}

/// A sample of a data set, and what happens to it on its way into a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pick {
    /// Its index in the data set.
    pub index: u32,
    /// What happens to it.
    pub change: Option<Change>,
}

impl From<u32> for Pick {
    /// The sample as it is.
    fn from(index: u32) -> Self {
        Self { index, change: None }
    }
}

/// A batch that is being gathered.
struct Filling<'b, 'd, I> {
    batch: &'b mut Batch<'d>,
    picks: Option<I>,
}

impl<I: Iterator<Item: Into<Pick>>> Filling<'_, '_, I> {
    /// Samples that are gathered in one go: a thread that is asked to help with a step is not busy
    /// here for long.
    const PIECE: usize = 8;

    fn begin(&mut self, picks: impl IntoIterator<IntoIter = I>) {
        self.batch.clear();
        self.picks = Some(picks.into_iter());
    }

    /// Gathers some more. False when there were none left.
    fn piece(&mut self) -> bool {
        let Some(picks) = &mut self.picks else { return false };
        let more = self.batch.extend(picks.by_ref().take(Self::PIECE));
        if !more {
            self.picks = None;
        }
        more
    }
}

/// Some samples and their targets. Its memory is used again for the next ones.
#[derive(Debug)]
pub struct Batch<'d> {
    data: &'d Dataset,
    picks: Vec<Pick>,
    bytes: Vec<u8>,
    codes: Vec<i8>,
    words: Vec<i16>,
    classes: Vec<u16>,
    values: Vec<i16>,
}

impl<'d> Batch<'d> {
    /// A batch without samples.
    pub const fn new(data: &'d Dataset) -> Self {
        Self {
            data,
            picks: Vec::new(),
            bytes: Vec::new(),
            codes: Vec::new(),
            words: Vec::new(),
            classes: Vec::new(),
            values: Vec::new(),
        }
    }

    /// Takes these samples in place of those that it held.
    pub fn fill(&mut self, picks: impl IntoIterator<Item: Into<Pick>>) {
        self.clear();
        self.extend(picks);
    }

    fn clear(&mut self) {
        let Self { data: _, picks, bytes, codes, words, classes, values } = self;
        picks.clear();
        bytes.clear();
        codes.clear();
        words.clear();
        classes.clear();
        values.clear();
    }

    /// Takes more samples. False when there were none.
    fn extend(&mut self, more: impl IntoIterator<Item: Into<Pick>>) -> bool {
        let Self { data, picks, bytes, codes, words, classes, values } = self;
        picks.clear();
        picks.extend(more.into_iter().map(Into::into));
        for pick in &*picks {
            let index = pick.index as usize;
            match &data.targets {
                Answers::Classes { labels, .. } => classes.push(labels[index]),
                Answers::Values { mantissas, width, .. } => {
                    values.extend_from_slice(&mantissas[index * width..(index + 1) * width]);
                }
            }
        }
        match &data.samples.mantissas {
            Mantissas::U8(all) => gather(all, data.shape, picks, bytes),
            Mantissas::I8(all) => gather(all, data.shape, picks, codes),
            Mantissas::I16(all) => gather(all, data.shape, picks, words),
        }
        !picks.is_empty()
    }

    /// The samples, for a trainer.
    pub fn samples(&self) -> Samples<'_> {
        let data = match &self.data.samples.mantissas {
            Mantissas::U8(_) => SampleData::U8(&self.bytes),
            Mantissas::I8(_) => SampleData::I8(&self.codes),
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

/// Appends samples of `all` that are far from each other.
///
/// A copy of such a sample waits for memory, and the next copy begins after it. So the cache lines
/// of all are asked for first: these loads wait together.
fn gather<T: Copy + Default + std::ops::BitXor<Output = T>>(
    all: &[T],
    shape: [usize; 3],
    picks: &[Pick],
    out: &mut Vec<T>,
) {
    let (line, len) = (CACHE_LINE / size_of::<T>(), shape.iter().product::<usize>());
    let sample = |pick: &Pick| &all[pick.index as usize * len..][..len];
    for picks in picks.chunks(ROWS_AHEAD) {
        let lines = picks.iter().flat_map(|pick| sample(pick).chunks(line));
        hint::black_box(lines.fold(T::default(), |seen, line| seen ^ line[0]));
        for pick in picks {
            match &pick.change {
                Some(change) => change.append(sample(pick), shape, out),
                None => out.extend_from_slice(sample(pick)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Samples as Stored, Split};

    #[test]
    fn batches_come_in_order_however_many_threads_gather_them() {
        let numbers = 0..1000i16;
        let data = Dataset {
            name: "numbers".into(),
            shape: [1, 1, 1],
            samples: Stored {
                mantissas: Mantissas::I16(numbers.clone().collect()),
                exponent: 0,
                rounding_error: 0.0,
            },
            targets: Answers::Classes {
                labels: numbers.map(|v| v as u16).collect(),
                names: Vec::new(),
            },
            split: Split::default(),
            augment: None,
        };
        let pick = |step| step * 30..(step + 1) * 30;
        for threads in 1..4 {
            let mut loader = Loader::new(&data);
            for last in [0, 1, 33] {
                let mut seen = Vec::new();
                let work = |step, batch: &Batch<'_>| {
                    assert_eq!(
                        batch.words.iter().map(|&v| v as u16).collect::<Vec<_>>(),
                        batch.classes
                    );
                    seen.extend(batch.classes.iter().map(|&class| u32::from(class)));
                    if step + 1 == last { Err(step) } else { Ok(()) }
                };
                let kernel = kernel::best(threads).unwrap();
                let end = kernel.enter(|| loader.each(33, pick, work));
                assert_eq!(end, if last == 0 { Ok(()) } else { Err(last - 1) });
                let steps = if last == 0 { 33 } else { last };
                assert_eq!(seen, (0..30 * steps).collect::<Vec<_>>(), "{threads} threads");
            }
        }
    }

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
            augment: None,
        };
        let mut batch = Batch::new(&data);
        for _ in 0..2 {
            batch.fill([2_u32, 0]);
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
