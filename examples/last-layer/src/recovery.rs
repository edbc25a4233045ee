//! The story: how many pictures are recognised in another world, before and after the last layer was
//! trained there.

use fixgrad::rng::{Key, Permutation};
use fixgrad_boards::digits;

use crate::{
    tuner::{Head, LastLayer, MODEL, Room, TuneError, trainer},
    world::World,
};

/// How often every picture is seen.
pub const EPOCHS: u32 = 10;

/// Pictures recognised of those that are never learned from, and what was learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// Before.
    pub before: u32,
    /// After.
    pub after: u32,
    /// Of all of them.
    pub pictures: u32,
    /// One number for all that was learned.
    pub digest: u64,
}

/// What [`recovery`] comes to in a mirrored world with seed 0, on every machine.
pub const KNOWN: Recovery =
    Recovery { before: 168, after: 337, pictures: 389, digest: 0x1075_83b3_d4d7_e06c };

/// Trains the last layer in a world. The order of the pictures is by `seed`.
#[inline(never)]
pub fn recovery(
    head: &Head,
    room: &mut Room,
    world: World,
    seed: u64,
) -> Result<Recovery, TuneError> {
    let mut trainer = trainer(head, room.arena.as_mut_slice());
    // Borrowed, so that it is not moved.
    let trainer = trainer.as_mut().map_err(|error| TuneError::Setup(*error))?;
    let mut network = LastLayer::new(MODEL, trainer, &mut room.waiting)?;
    let before = recognised(&mut network, world)?;
    for epoch in 0..EPOCHS {
        let order = Permutation::new(Key::new(seed).child(epoch), digits::LEARNED as u32);
        for i in 0..digits::LEARNED as u32 {
            if let Some((picture, label)) = digits::picture(order.at(i) as usize) {
                network.learn(&world.look(picture), label)?;
            }
        }
    }
    let after = recognised(&mut network, world)?;
    let pictures = (digits::PICTURES - digits::LEARNED) as u32;
    Ok(Recovery { before, after, pictures, digest: network.digest() })
}

fn recognised(network: &mut LastLayer<'_, '_>, world: World) -> Result<u32, TuneError> {
    let mut correct = 0;
    let pictures = (digits::LEARNED..digits::PICTURES).filter_map(digits::picture);
    for (picture, label) in pictures {
        correct += u32::from(network.classify(&world.look(picture))? == label);
    }
    Ok(correct)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Room, head};

    fn in_world(world: World, seed: u64) -> Recovery {
        let (head, mut room) = (head(seed), Room::new());
        recovery(&head, &mut room, world, seed).unwrap()
    }

    #[test]
    fn every_world_is_recovered_to_known_weights() {
        let found = World::ALL.map(|world| in_world(world, 0));
        let recovery = |before, after, digest| Recovery { before, after, digest, ..KNOWN };
        let expected = [
            recovery(377, 377, 0x6769_f696_f8ef_9680),
            KNOWN,
            recovery(0, 371, 0x6fab_4b40_95ea_6a09),
            recovery(367, 376, 0x9e80_6fde_024c_bd0b),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_mirrored_world_is_recovered_whatever_the_order() {
        let found =
            [1, 2, 3, 4].map(|seed| in_world(World::Mirrored, seed)).map(|r| (r.after, r.digest));
        let expected = [
            (342, 0x56b3_2325_9893_0d21),
            (342, 0x73c4_32a6_27c6_c9f2),
            (338, 0x9b81_9767_fbd7_2631),
            (338, 0x39b9_a48f_f2c9_7fff),
        ];
        assert_eq!(found, expected);
    }
}
