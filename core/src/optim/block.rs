//! Gradients that do not pass.

/// Sets to zero the values whose bit in `pass`, counted from `first`, is clear.
#[inline(always)]
pub(crate) fn block(values: &mut [i32], first: u32, pass: &[u8]) {
    let bit = first % 8;
    let (head, rest) = values.split_at_mut(values.len().min(((8 - bit) % 8) as usize));
    let mut bytes = pass.get(first as usize / 8..).unwrap_or_default().iter().copied();
    let mut next = || bytes.next().unwrap_or(0xff);
    // All ones keeps, all zeros clears: no branch.
    let clear = |(v, bit): (&mut i32, u32), byte: u8| *v &= -i32::from((byte >> bit) & 1);
    if !head.is_empty() {
        let byte = next();
        head.iter_mut().zip(bit..8).for_each(|item| clear(item, byte));
    }
    let (eights, tail) = rest.as_chunks_mut::<8>();
    for eight in eights {
        let byte = next();
        eight.iter_mut().zip(0..8).for_each(|item| clear(item, byte));
    }
    if !tail.is_empty() {
        let byte = next();
        tail.iter_mut().zip(0..8).for_each(|item| clear(item, byte));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_blocked_by_the_bits_of_their_elements() {
        let pass = [0b1011_0010, 0b0110_1101, 0b1110_0011];
        for first in 0..32u32 {
            for len in 0..20 {
                let mut values = [7; 20];
                block(&mut values[..len], first, &pass);
                for (i, v) in values.into_iter().enumerate() {
                    let index = first as usize + i;
                    let clear = i < len && index < 24 && pass[index / 8] >> (index % 8) & 1 == 0;
                    assert_eq!(v, if clear { 0 } else { 7 }, "{first} {len} {i}");
                }
            }
        }
    }
}
