//! What may be different where a network is used.

use fixgrad_boards::digits::PIXELS;

const SIDE: usize = 8;
/// The largest pixel.
const WHITE: i8 = 16;

/// How pictures look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum World {
    /// As those that the network was trained on.
    Same,
    /// The sensor is built in the other way round.
    Mirrored,
    /// Dark ink on light paper.
    Inverted,
    /// Half the light, and a dark current.
    Dim,
}

impl World {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Same, Self::Mirrored, Self::Inverted, Self::Dim];

    /// What the sensor makes of a picture.
    pub fn look(self, picture: &[u8; PIXELS]) -> [i8; PIXELS] {
        let mut seen = picture.map(|pixel| (pixel as i8).min(WHITE));
        match self {
            Self::Same => {}
            Self::Mirrored => seen.chunks_exact_mut(SIDE).for_each(<[i8]>::reverse),
            Self::Inverted => seen = seen.map(|pixel| WHITE - pixel),
            Self::Dim => seen = seen.map(|pixel| pixel / 2 + WHITE / 4),
        }
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worlds_differ_as_they_say() {
        let mut picture = [0; PIXELS];
        (picture[0], picture[9]) = (16, 7);
        let seen = |world: World| world.look(&picture);
        assert_eq!((seen(World::Same)[0], seen(World::Same)[9]), (16, 7));
        assert_eq!((seen(World::Mirrored)[7], seen(World::Mirrored)[14]), (16, 7));
        assert_eq!((seen(World::Inverted)[0], seen(World::Inverted)[1]), (0, 16));
        assert_eq!((seen(World::Dim)[0], seen(World::Dim)[1]), (12, 4));
    }
}
