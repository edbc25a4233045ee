//! The one piece of memory that training works in. The caller owns it.

use super::{plan::Plan, region::Region};
use crate::{
    message::Message,
    tensor::{MantissasMut, Width},
};

/// `BYTES` bytes, aligned for every storage width.
///
/// ```
/// use fixgrad::{config::{LayerConfig, Train}, graph::{Arena, Graph, Plan}, optim::Lr};
///
/// const NET: Graph<4> = Graph::input([1, 8, 8]).dense("fc1", 32).relu().dense("fc2", 10);
/// const TRAIN: Train = Train::new(32, Lr::ratio(1, 2));
/// const PLAN: Plan<4> = NET.plan(&TRAIN, &LayerConfig::tiny());
/// static ARENA: Arena<{ PLAN.ram() }> = Arena::for_plan(&PLAN);
/// ```
///
/// Too small an arena is a build error that says how much is needed:
///
/// ```compile_fail
/// # use fixgrad::{config::{LayerConfig, Train}, graph::{Arena, Graph, Plan}, optim::Lr};
/// # const NET: Graph<4> = Graph::input([1, 8, 8]).dense("fc1", 32).relu().dense("fc2", 10);
/// # const TRAIN: Train = Train::new(32, Lr::ratio(1, 2));
/// # const PLAN: Plan<4> = NET.plan(&TRAIN, &LayerConfig::tiny());
/// static ARENA: Arena<1000> = Arena::for_plan(&PLAN);
/// ```
#[derive(Debug)]
#[repr(C, align(8))]
pub struct Arena<const BYTES: usize> {
    bytes: [u8; BYTES],
}

impl<const BYTES: usize> Arena<BYTES> {
    /// An arena, whatever it will be used for; the trainer checks its size when it starts.
    pub const fn new() -> Self {
        Self { bytes: [0; BYTES] }
    }

    /// An arena for a plan that is known at compile time.
    pub const fn for_plan<const N: usize>(plan: &Plan<N>) -> Self {
        if plan.ram() > BYTES {
            panic!("{}", too_small(plan.ram(), BYTES).as_str());
        }
        Self::new()
    }

    /// The memory, for a trainer.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl<const BYTES: usize> Default for Arena<BYTES> {
    fn default() -> Self {
        Self::new()
    }
}

/// The sentence for an arena that is too small.
pub const fn too_small(needed: usize, found: usize) -> Message {
    Message::new()
        .text("the plan needs ")
        .number(needed)
        .text(" bytes, the arena has ")
        .number(found)
        .text(": give it `PLAN.ram()`, or take a smaller micro-batch or fewer bits")
}

/// The regions of a plan as slices. What a plan keeps at the same time lies in the memory and side by
/// side, or the plan is wrong: then a debug build panics, and in others all are empty.
pub(crate) fn pick<'m, const K: usize>(
    memory: &'m mut [u8],
    regions: [&Region; K],
) -> [MantissasMut<'m>; K] {
    // Repeated, not mapped, which would move the array.
    let mut parts = [const { nothing() }; K];
    let whole = cut(memory, &regions, &mut parts);
    debug_assert!(whole, "regions that overlap, or a memory that is too small: {regions:?}");
    parts
}

/// No mantissas.
pub(crate) const fn nothing<'m>() -> MantissasMut<'m> {
    MantissasMut::I8(&mut [])
}

/// Whether each region got its bytes. Compiled once for all numbers of regions.
#[inline(never)]
fn cut<'m>(memory: &'m mut [u8], regions: &[&Region], parts: &mut [MantissasMut<'m>]) -> bool {
    let (mut rest, mut at) = (memory, 0);
    let mut left = 0;
    for (part, region) in parts.iter_mut().zip(regions) {
        if region.len > 0 {
            left += 1;
        } else {
            *part = typed(&mut [], region.width());
        }
    }
    // From the front to the back: of those that begin here or later, the first.
    while left > 0 {
        let (mut first, mut place) = (usize::MAX, 0);
        for (region, i) in regions.iter().zip(0..) {
            let offset = region.offset() as usize;
            if offset < first && offset >= at && region.len > 0 {
                (first, place) = (offset, i);
            }
        }
        let (Some(region), Some(part)) = (regions.get(place), parts.get_mut(place)) else { break };
        let Some((_, here)) = rest.split_at_mut_checked(first - at) else { break };
        let len = region.bytes();
        let Some((bytes, behind)) = here.split_at_mut_checked(len) else { break };
        *part = typed(bytes, region.width());
        (rest, at, left) = (behind, first + len, left - 1);
    }
    if left > 0 {
        parts.iter_mut().for_each(|part| *part = nothing());
    }
    left == 0
}

fn typed(bytes: &mut [u8], width: Width) -> MantissasMut<'_> {
    match width {
        Width::I8 => MantissasMut::I8(bytemuck::cast_slice_mut(bytes)),
        Width::I16 => MantissasMut::I16(bytemuck::try_cast_slice_mut(bytes).unwrap_or_default()),
        Width::I32 => MantissasMut::I32(bytemuck::try_cast_slice_mut(bytes).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_come_back_in_their_widths() {
        let mut arena = Arena::<32>::new();
        let region = Region::new;
        let regions =
            [region(16, 3, Width::I32), region(0, 5, Width::I8), region(8, 2, Width::I16)];
        let [wide, narrow, none] = pick(arena.as_mut_slice(), regions.each_ref());
        assert!(matches!(wide, MantissasMut::I32(w) if w.len() == 3));
        assert!(matches!(narrow, MantissasMut::I8(w) if w.len() == 5));
        assert!(matches!(none, MantissasMut::I16(w) if w.len() == 2));
    }

    #[test]
    fn overlapping_or_outlying_regions_are_empty() {
        let mut arena = Arena::<16>::new();
        let region = |offset, len| Region::new(offset, len, Width::I8);
        for regions in [[region(0, 8), region(4, 8)], [region(0, 8), region(12, 8)]] {
            let mut parts = [nothing(), nothing()];
            assert!(!cut(arena.as_mut_slice(), &regions.each_ref(), &mut parts));
            assert!(parts.iter().all(|part| part.as_ref().is_empty()));
        }
    }
}
