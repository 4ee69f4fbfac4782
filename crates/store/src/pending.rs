//! What waits to be written: bounded, and of each key only the latest value.
//!
//! Values are written in the order in which they came, so that whoever gives several that belong together decides which of them are there when
//! the process is killed between two transactions.

use std::collections::{BTreeMap, HashMap};

use dbintel_model::Text;
use dbintel_pipeline::StateRefused;

/// Baselines that may wait.
pub const MAX_PENDING_ENTRIES: usize = 131_072;
/// Bytes that may wait.
pub const MAX_PENDING_BYTES: usize = 64 << 20;
/// Bytes of one value.
pub const MAX_VALUE_BYTES: usize = 1 << 20;
/// Bytes of one key.
pub const MAX_KEY_BYTES: usize = 1 << 10;
/// Entries of one transaction.
pub const BATCH_ENTRIES: usize = 500;
/// Bytes of one transaction, but for a single larger value.
pub const BATCH_BYTES: usize = 4 << 20;
/// What an entry costs beside its key and value.
const ENTRY_BYTES: usize = 160;

/// A baseline: server and key.
pub(crate) type Key = (Text, Text);

/// What waits.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    baselines: BTreeMap<i64, (Key, Option<Vec<u8>>)>,
    /// Where in that order a key's value is.
    places: HashMap<Key, i64>,
    bytes: usize,
    /// Entries and bytes of the batch that is being written.
    in_flight: (usize, usize),
    closed: bool,
}

/// Entries for one transaction.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Batch {
    /// Values to write; `None` removes.
    pub(crate) baselines: Vec<(Key, Option<Vec<u8>>)>,
    bytes: usize,
}

// === impl Pending ===

impl Pending {
    /// Takes a value, the last in order; one that waits under the same key is forgotten.
    pub(crate) fn put(&mut self, key: Key, value: Option<Vec<u8>>) -> Result<(), StateRefused> {
        let bytes = baseline_bytes(&key, value.as_deref());
        let held = self.places.get(&key).copied();
        let replaced = held.and_then(|place| {
            let (key, value) = self.baselines.get(&place)?;
            Some(baseline_bytes(key, value.as_deref()))
        });
        let sizes = (key.1.len(), value.as_ref().map_or(0, Vec::len));
        self.admit(sizes, bytes, replaced)?;
        if let Some(place) = held {
            self.baselines.remove(&place);
        }
        let place = self.baselines.last_key_value().map_or(0, |(last, _)| last + 1);
        self.places.insert(key.clone(), place);
        self.baselines.insert(place, (key, value));
        self.bytes = self.bytes.saturating_sub(replaced.unwrap_or(0)) + bytes;
        Ok(())
    }

    /// The next entries to write. They count as held until [`Self::written`] or [`Self::put_back`].
    pub(crate) fn take(&mut self) -> Option<Batch> {
        let mut batch = Batch::default();
        while batch.has_room()
            && let Some((_, (key, value))) = self.baselines.pop_first()
        {
            self.places.remove(&key);
            batch.bytes += baseline_bytes(&key, value.as_deref());
            batch.baselines.push((key, value));
        }
        if batch.is_empty() {
            return None;
        }
        self.bytes = self.bytes.saturating_sub(batch.bytes);
        self.in_flight = (batch.len(), batch.bytes);
        Some(batch)
    }

    /// The batch is in the store.
    pub(crate) fn written(&mut self) {
        self.in_flight = (0, 0);
    }

    /// The batch could not be written and is the first again. What has a later value by now is forgotten.
    pub(crate) fn put_back(&mut self, batch: Batch) {
        self.in_flight = (0, 0);
        for (key, value) in batch.baselines.into_iter().rev() {
            if !self.places.contains_key(&key) {
                let place = self.baselines.first_key_value().map_or(0, |(first, _)| first - 1);
                self.bytes += baseline_bytes(&key, value.as_deref());
                self.places.insert(key.clone(), place);
                self.baselines.insert(place, (key, value));
            }
        }
    }

    /// Takes nothing more.
    pub(crate) fn close(&mut self) {
        self.closed = true;
    }

    /// Entries held, those being written included.
    pub(crate) fn len(&self) -> usize {
        self.baselines.len() + self.in_flight.0
    }

    /// Bytes held, those being written included.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes + self.in_flight.1
    }

    fn admit(
        &self,
        (key_bytes, value_bytes): (usize, usize),
        bytes: usize,
        replaced: Option<usize>,
    ) -> Result<(), StateRefused> {
        if self.closed {
            Err(StateRefused::Closed)
        } else if value_bytes > MAX_VALUE_BYTES || key_bytes > MAX_KEY_BYTES {
            Err(StateRefused::TooLarge)
        } else if self.bytes() + bytes > MAX_PENDING_BYTES + replaced.unwrap_or(0)
            || (replaced.is_none() && self.len() >= MAX_PENDING_ENTRIES)
        {
            Err(StateRefused::Full)
        } else {
            Ok(())
        }
    }
}

// === impl Batch ===

impl Batch {
    pub(crate) fn len(&self) -> usize {
        self.baselines.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn has_room(&self) -> bool {
        self.len() < BATCH_ENTRIES && self.bytes < BATCH_BYTES
    }
}

fn baseline_bytes((server, key): &Key, value: Option<&[u8]>) -> usize {
    ENTRY_BYTES + server.len() + key.len() + value.map_or(0, <[u8]>::len)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(number: u8) -> Key {
        ("server".into(), format!("key/{number}").into())
    }

    #[derive(Clone, Debug)]
    enum Step {
        Put(u8, Option<usize>),
        Take,
        Written,
        PutBack,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            6 => (any::<u8>(), prop::option::of(0..MAX_VALUE_BYTES / 4)).prop_map(|(key, value)| Step::Put(key, value)),
            2 => Just(Step::Take),
            1 => Just(Step::Written),
            1 => Just(Step::PutBack),
        ];
        prop::collection::vec(step, 0..200)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// A store that fails now and then ends with the last value of every key, and the account never goes wrong.
        #[test]
        fn the_last_value_of_every_key_is_written_last(steps in steps()) {
            let (mut pending, mut stored, mut expected) =
                (Pending::default(), BTreeMap::new(), BTreeMap::new());
            let mut batch: Option<Batch> = None;
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Put(name, length) => {
                        let value = length.map(|length| vec![(number % 251) as u8; length]);
                        if pending.put(key(name), value.clone()).is_ok() {
                            expected.insert(key(name), value);
                        }
                    }
                    Step::Take if batch.is_none() => batch = pending.take(),
                    Step::Take => {}
                    Step::Written => {
                        if let Some(batch) = batch.take() {
                            stored.extend(batch.baselines);
                            pending.written();
                        }
                    }
                    Step::PutBack => {
                        if let Some(batch) = batch.take() {
                            pending.put_back(batch);
                        }
                    }
                }
                prop_assert!(pending.bytes() <= MAX_PENDING_BYTES);
            }
            if let Some(batch) = batch.take() {
                pending.put_back(batch);
            }
            while let Some(batch) = pending.take() {
                prop_assert!(batch.len() <= BATCH_ENTRIES);
                prop_assert!(pending.places.len() == pending.baselines.len());
                stored.extend(batch.baselines);
                pending.written();
            }
            prop_assert_eq!(stored, expected);
            prop_assert_eq!((pending.len(), pending.bytes()), (0, 0));
        }
    }

    /// Whoever is killed between two batches finds what was given first, whatever the keys are.
    #[test]
    fn values_are_written_in_the_order_in_which_they_came() {
        let mut pending = Pending::default();
        let keys =
            |batch: &Batch| -> Vec<Key> { batch.baselines.iter().map(|(key, _)| key.clone()).collect() };
        for number in [3, 1, 2, 1] {
            pending.put(key(number), Some(vec![number])).unwrap();
        }
        let batch = pending.take().unwrap();
        assert_eq!(keys(&batch), [3, 2, 1].map(key));
        pending.put(key(0), None).unwrap();
        pending.put(key(2), Some(vec![9])).unwrap();
        pending.put_back(batch);
        assert_eq!(keys(&pending.take().unwrap()), [3, 1, 0, 2].map(key));
    }

    #[test]
    fn what_does_not_fit_is_refused_with_its_reason() {
        let mut pending = Pending::default();
        assert_eq!(pending.put(key(0), Some(vec![0; MAX_VALUE_BYTES + 1])), Err(StateRefused::TooLarge));
        let long: Key = ("server".into(), "k".repeat(MAX_KEY_BYTES + 1).into());
        assert_eq!(pending.put(long, None), Err(StateRefused::TooLarge));
        let full =
            (0..=255).find(|number| pending.put(key(*number), Some(vec![0; MAX_VALUE_BYTES])).is_err());
        assert_eq!(full, Some(63));
        // The value of a key that waits already can still be replaced.
        assert_eq!(pending.put(key(5), Some(vec![1; MAX_VALUE_BYTES])), Ok(()));
        assert_eq!(pending.put(key(63), Some(vec![0; MAX_VALUE_BYTES])), Err(StateRefused::Full));
        pending.close();
        assert_eq!(pending.put(key(5), None), Err(StateRefused::Closed));
    }
}
