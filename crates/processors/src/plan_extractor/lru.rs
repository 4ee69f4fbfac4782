//! A table that forgets what was used least recently, bounded in entries and bytes at every moment.
//!
//! Own, and not a library, because order of use is all it goes by: no clock, no background work, no estimate of the
//! bytes held. So a run can be repeated, and a limit in bytes is a limit. One look-up and one use cost O(log n).

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hash};

use crate::hashed::Mixed;

/// The bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) entries: usize,
    pub(super) bytes: usize,
    /// Entries that stay even if they alone are above the bytes.
    pub(super) at_least: usize,
}

/// The table.
#[derive(Debug)]
pub(super) struct Lru<K, V> {
    entries: HashMap<K, Entry<V>, BuildHasherDefault<Mixed>>,
    /// Keys by their last use.
    order: BTreeMap<u64, K>,
    uses: u64,
    bytes: usize,
    limits: Limits,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    used: u64,
    bytes: usize,
}

// === impl Lru ===

impl<K: Clone + Eq + Hash, V> Lru<K, V> {
    pub(super) fn new(limits: Limits) -> Self {
        Self { entries: HashMap::default(), order: BTreeMap::new(), uses: 0, bytes: 0, limits }
    }

    /// Looks a value up and counts that as a use.
    pub(super) fn get(&mut self, key: &K) -> Option<&mut V> {
        let entry = self.entries.get_mut(key)?;
        self.order.remove(&entry.used);
        self.uses += 1;
        entry.used = self.uses;
        self.order.insert(self.uses, key.clone());
        Some(&mut entry.value)
    }

    /// Looks a value up without counting that as a use.
    pub(super) fn peek(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|entry| &entry.value)
    }

    /// Puts a value in as the one used last. Says how many others had to go.
    pub(super) fn insert(&mut self, key: K, value: V, bytes: usize) -> u64 {
        self.remove(&key);
        self.uses += 1;
        self.order.insert(self.uses, key.clone());
        self.bytes += bytes;
        self.entries.insert(key, Entry { value, used: self.uses, bytes });
        self.shrink_to_limits()
    }

    /// Says what a value weighs now. Says how many had to go because of it.
    pub(super) fn reweigh(&mut self, key: &K, bytes: usize) -> u64 {
        let Some(entry) = self.entries.get_mut(key) else { return 0 };
        self.bytes = self.bytes - entry.bytes + bytes;
        entry.bytes = bytes;
        self.shrink_to_limits()
    }

    /// Everything, what was used least recently first.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.order.values().filter_map(|key| Some((key, &self.entries.get(key)?.value)))
    }

    pub(super) fn clear(&mut self) {
        self.entries = HashMap::default();
        self.order.clear();
        self.bytes = 0;
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes a value out, if it is there.
    pub(super) fn remove(&mut self, key: &K) {
        if let Some(entry) = self.entries.remove(key) {
            self.order.remove(&entry.used);
            self.bytes -= entry.bytes;
        }
    }

    fn shrink_to_limits(&mut self) -> u64 {
        let mut gone = 0;
        let Limits { entries, bytes, at_least } = self.limits;
        while (self.entries.len() > entries || self.bytes > bytes) && self.entries.len() > at_least {
            let Some((_, oldest)) = self.order.first_key_value() else { break };
            let oldest = oldest.clone();
            self.remove(&oldest);
            gone += 1;
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: Limits = Limits { entries: 4, bytes: 100, at_least: 0 };

    #[test]
    fn what_was_used_least_recently_goes_first() {
        let mut lru = Lru::new(LIMITS);
        for key in 0..4 {
            assert_eq!(lru.insert(key, key, 10), 0);
        }
        lru.get(&0);
        assert_eq!(lru.peek(&1), Some(&1));
        assert_eq!(lru.insert(4, 4, 10), 1);
        assert_eq!(lru.iter().map(|(key, _)| *key).collect::<Vec<_>>(), [2, 3, 0, 4]);
        assert_eq!(lru.reweigh(&4, 75), 1);
        assert_eq!((lru.len(), lru.bytes()), (3, 95));
    }

    #[test]
    fn one_that_is_too_heavy_stays_only_where_it_may() {
        let mut lru = Lru::new(LIMITS);
        assert_eq!((lru.insert(1, (), 101), lru.len(), lru.bytes()), (1, 0, 0));
        let mut lru = Lru::new(Limits { at_least: 1, ..LIMITS });
        lru.insert(1, (), 10);
        assert_eq!((lru.insert(2, (), 101), lru.len(), lru.bytes()), (1, 1, 101));
    }

    proptest! {
        #[test]
        fn both_bounds_hold_after_every_step(steps in prop::collection::vec((0..9_u8, 0..60_usize, any::<bool>()), 0..200)) {
            let mut lru = Lru::new(LIMITS);
            for (key, bytes, is_use) in steps {
                if is_use { lru.get(&key); } else { lru.insert(key, bytes, bytes); }
                prop_assert!(lru.len() <= 4 && lru.bytes() <= 100);
                prop_assert_eq!(lru.iter().map(|(_, bytes)| *bytes).sum::<usize>(), lru.bytes());
                prop_assert_eq!(lru.iter().count(), lru.len());
            }
        }
    }
}
