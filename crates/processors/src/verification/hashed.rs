//! Hashers for keys that are hashes already, and for places in memory.

use std::hash::Hasher;

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Takes a 64-bit hash as it is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// Mixes a place in memory: its low bits are those of its alignment, its high ones are the same for all.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Placed(u64);

impl Hasher for Placed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    fn write_usize(&mut self, place: usize) {
        // The golden ratio of 64 bits: a product of it has its mixed bits on top, the table takes the low ones too.
        let mixed = (place as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ mixed >> 32;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn neighbouring_places_are_spread_over_a_table() {
        let hash = |place: usize| {
            let mut hasher = Placed::default();
            hasher.write_usize(place);
            hasher.finish()
        };
        let hashes: Vec<u64> = (0..4_096).map(|n| hash(0x7f00_0000_0000 + n * 112)).collect();
        for bits in [|hash: u64| hash & 0xfff, |hash: u64| hash >> 57] {
            let distinct: HashSet<u64> = hashes.iter().map(|hash| bits(*hash)).collect();
            assert!(distinct.len() > 100, "{} of the places of a table are used", distinct.len());
        }
    }
}
