//! Hashers for keys that are hashes already, for places in memory, and for keys of a few numbers.
//!
//! None of them withstands somebody who chooses keys so that they collide; each table they are used for is bounded.

use std::hash::Hasher;

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Takes a 64-bit hash as it is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hashed(u64);

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
pub(crate) struct Placed(u64);

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

/// Mixes the numbers of a key, one multiplication each.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mixed(u64);

impl Mixed {
    #[allow(clippy::cast_possible_truncation, reason = "the two halves of a product")]
    fn mix(&mut self, number: u64) {
        // Both halves of the product, so that every bit of the number reaches the low bits as well.
        let product = u128::from(self.0.rotate_left(23) ^ number) * 0x9e37_79b9_7f4a_7c15;
        let [high, low] = [(product >> 64) as u64, product as u64];
        self.0 = high ^ low;
    }
}

impl Hasher for Mixed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.mix(xxh3_64_with_seed(bytes, self.0));
    }

    fn write_u32(&mut self, number: u32) {
        self.mix(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        self.mix(number);
    }

    fn write_i64(&mut self, number: i64) {
        self.mix(number.cast_unsigned());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn keys_of_a_few_numbers_are_spread_over_a_table() {
        let hash = |(node, database, query): (u32, u32, i64)| {
            let mut hasher = Mixed::default();
            hasher.write_u32(node);
            hasher.write_u32(database);
            hasher.write_i64(query);
            hasher.finish()
        };
        for keys in [
            (0..4_096).map(|n| (0, 5, n)).collect::<Vec<_>>(),
            (0..4_096).map(|n| (n, 5, 0)).collect(),
            (0..4_096).map(|n| (0, n, 1 << 40)).collect(),
            (0..4_096).map(|n| (0, 5, i64::from(n) << 48)).collect(),
        ] {
            let hashes: HashSet<u64> = keys.into_iter().map(hash).collect();
            assert_eq!(hashes.len(), 4_096);
            for bits in [|hash: &u64| hash & 0xfff, |hash: &u64| hash >> 57] {
                let distinct: HashSet<u64> = hashes.iter().map(bits).collect();
                assert!(distinct.len() > 100, "{} of the places of a table are used", distinct.len());
            }
        }
    }

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
