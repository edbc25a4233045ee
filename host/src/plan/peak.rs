//! The moment of a step at which most of the memory is in use.

use crate::run::{Footprint, record::MemoryRegion};

/// The moment at which most bytes are in use.
#[derive(Clone, Debug, PartialEq)]
pub struct Peak<'f> {
    /// The phase of the step.
    pub phase: &'f str,
    /// Bytes in use.
    pub bytes: usize,
    /// What they are, the largest first.
    pub regions: Vec<&'f MemoryRegion>,
}

impl<'f> Peak<'f> {
    /// The first of the moments at which most is in use.
    pub fn of(footprint: &'f Footprint) -> Option<Self> {
        let place = |name: &str| footprint.phases.iter().position(|phase| phase == name);
        let lives = |region: &MemoryRegion| Some(place(&region.from)?..=place(&region.to)?);
        let at = |(moment, phase): (usize, &'f String)| {
            let alive = |region: &&MemoryRegion| lives(region).is_some_and(|l| l.contains(&moment));
            let mut regions: Vec<_> = footprint.memory.iter().filter(alive).collect();
            regions.sort_by_key(|region| std::cmp::Reverse(region.bytes));
            Self { phase, bytes: regions.iter().map(|region| region.bytes).sum(), regions }
        };
        let peaks = footprint.phases.iter().enumerate().map(at);
        peaks.reduce(|best, next| if next.bytes > best.bytes { next } else { best })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(name: &str, bytes: usize, from: &str, to: &str) -> MemoryRegion {
        MemoryRegion {
            name: name.to_owned(),
            layer: String::new(),
            offset: 0,
            bytes,
            from: from.to_owned(),
            to: to.to_owned(),
        }
    }

    #[test]
    fn the_peak_is_where_most_lives() {
        let footprint = Footprint {
            memory: vec![
                region("weights", 5, "a", "d"),
                region("early", 9, "a", "b"),
                region("small", 3, "b", "c"),
                region("late", 10, "c", "d"),
            ],
            phases: ["a", "b", "c", "d"].map(str::to_owned).into(),
            flash: Vec::new(),
            ram_bytes: 27,
            flash_bytes: 0,
        };
        let peak = Peak::of(&footprint).unwrap();
        assert_eq!((peak.phase, peak.bytes), ("c", 18));
        let names: Vec<_> = peak.regions.iter().map(|region| region.name.as_str()).collect();
        assert_eq!(names, ["late", "weights", "small"]);
    }
}
