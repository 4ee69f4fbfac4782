//! Masked statement texts, each read from the server once.
//!
//! The server keeps texts in a file that it reads whole for any text, whichever is asked for. So the counters are read
//! without texts, and texts are read rarely, for all unknown ids at once. What is kept is masked; a raw text is dropped
//! as soon as it has been masked.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use dbintel_model::{Monotonic, QueryText};
use dbintel_plan::sql::{MaskLimits, Masked, mask};

use super::rest::REST_PER_READ_DURATION;

/// Bytes of masked texts that are kept per server.
pub const TEXT_CACHE_MAX_BYTES: usize = 16 * 1024 * 1024;
/// Entries kept per server, known or known to be missing.
pub const TEXT_CACHE_MAX_ENTRIES: usize = 20_000;
/// Ids that are asked for in one read.
pub const MAX_TEXTS_PER_READ: usize = 5_000;
/// How long to wait after a read that failed.
pub const WAIT_AFTER_FAILURE: Duration = Duration::from_secs(600);
/// How long to wait after the texts were dropped because memory was short, so that they do not fill it again at once.
pub const WAIT_AFTER_SHED: Duration = Duration::from_secs(60);

/// A statement's text is the same for all roles: database and query id.
pub type TextKey = (u32, i64);

/// The cache.
#[derive(Debug, Default)]
pub struct TextCache {
    texts: HashMap<TextKey, Known>,
    bytes: usize,
    polls: u64,
    next_read: Option<Monotonic>,
    /// Texts were dropped for want of memory since they were last wanted.
    was_shed: bool,
}

#[derive(Debug)]
struct Known {
    /// `None` where the server had no text: it was evicted in between, or its text file was cut.
    text: Option<Arc<QueryText>>,
    last_used: u64,
}

impl TextCache {
    /// The text, if known.
    pub fn get(&mut self, key: TextKey) -> Option<Arc<QueryText>> {
        let known = self.texts.get_mut(&key)?;
        known.last_used = self.polls;
        known.text.clone()
    }

    /// Of these ids, those that are unknown, up to [`MAX_TEXTS_PER_READ`]; none while it is too early for a read.
    pub fn wanted(&mut self, keys: impl Iterator<Item = TextKey>, now: Monotonic) -> Vec<TextKey> {
        self.polls += 1;
        if std::mem::take(&mut self.was_shed) {
            self.next_read = self.next_read.max(Some(now.plus(WAIT_AFTER_SHED)));
        }
        if self.next_read.is_some_and(|next| now < next) {
            return Vec::new();
        }
        let mut wanted: Vec<TextKey> = keys.filter(|key| !self.texts.contains_key(key)).collect();
        wanted.sort_unstable();
        wanted.dedup();
        wanted.truncate(MAX_TEXTS_PER_READ);
        wanted
    }

    /// Takes in what a read of `wanted` gave. Ids without a text are remembered as such.
    pub fn learn(
        &mut self,
        wanted: &[TextKey],
        read: Vec<(TextKey, Arc<QueryText>)>,
        took: Duration,
        now: Monotonic,
    ) {
        self.next_read = Some(now.plus(took.saturating_mul(REST_PER_READ_DURATION)));
        for (key, text) in read {
            self.insert(key, Some(text));
        }
        for key in wanted {
            if !self.texts.contains_key(key) {
                self.insert(*key, None);
            }
        }
        self.make_room();
    }

    /// Notes that a read failed.
    pub fn failed(&mut self, now: Monotonic) {
        self.next_read = Some(now.plus(WAIT_AFTER_FAILURE));
    }

    /// Bytes held.
    #[must_use]
    pub const fn len_bytes(&self) -> usize {
        self.bytes
    }

    /// Lets go of every text because memory is short. They are read again, but neither at once nor more often than they
    /// would have been: the waits after reads and failures hold.
    pub fn shed(&mut self) {
        (self.texts, self.bytes, self.was_shed) = (HashMap::new(), 0, true);
    }

    /// Forgets everything, when another node answers.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    fn insert(&mut self, key: TextKey, text: Option<Arc<QueryText>>) {
        self.bytes += weight(text.as_ref());
        let known = Known { text, last_used: self.polls };
        if let Some(replaced) = self.texts.insert(key, known) {
            self.bytes -= weight(replaced.text.as_ref());
        }
    }

    /// Drops the texts that were not used for longest, a tenth of all at a time.
    fn make_room(&mut self) {
        while self.bytes > TEXT_CACHE_MAX_BYTES || self.texts.len() > TEXT_CACHE_MAX_ENTRIES {
            let mut ages: Vec<(u64, TextKey)> =
                self.texts.iter().map(|(key, known)| (known.last_used, *key)).collect();
            ages.sort_unstable();
            for (_, key) in ages.into_iter().take(self.texts.len() / 10 + 1) {
                if let Some(known) = self.texts.remove(&key) {
                    self.bytes -= weight(known.text.as_ref());
                }
            }
        }
    }
}

fn weight(text: Option<&Arc<QueryText>>) -> usize {
    size_of::<(TextKey, Known)>() + text.map_or(0, |text| text.weight_bytes())
}

/// Masks a raw text. `cut` says that the server or our own query cut it already.
#[must_use]
pub fn query_text(raw: &str, cut: bool) -> QueryText {
    let masked: Masked = mask(raw, MaskLimits::default());
    let may_leave = masked.text_may_leave();
    QueryText {
        fingerprint: masked.fingerprint.as_u64(),
        kind: masked.kind.as_str(),
        operation: masked.kind.operation_name(),
        truncated: cut || masked.truncated,
        summary: (may_leave && !masked.summary.is_empty()).then(|| masked.summary.into()),
        masked: may_leave.then(|| masked.text.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dbintel_model::{Clock, ManualClock, Timestamp};

    use super::*;

    #[test]
    fn an_unknown_text_is_asked_for_once_and_not_too_often() {
        let clock = ManualClock::at(Timestamp::default());
        let mut cache = TextCache::default();
        let keys = [(1, 10), (1, 11), (1, 10)];
        assert_eq!(cache.wanted(keys.into_iter(), clock.monotonic()), [(1, 10), (1, 11)]);
        let text = Arc::new(query_text("select 1", false));
        let took = Duration::from_millis(300);
        cache.learn(&[(1, 10), (1, 11)], vec![((1, 10), text)], took, clock.monotonic());
        assert!(cache.get((1, 10)).is_some() && cache.get((1, 11)).is_none());
        assert!(cache.wanted([(1, 12)].into_iter(), clock.monotonic()).is_empty());
        clock.advance(Duration::from_secs(30));
        assert_eq!(cache.wanted([(1, 11), (1, 12)].into_iter(), clock.monotonic()), [(1, 12)]);
    }

    #[test]
    fn the_bytes_held_stay_within_the_bound_and_used_texts_stay() {
        let clock = ManualClock::at(Timestamp::default());
        let mut cache = TextCache::default();
        let text = |n: i64| QueryText {
            masked: Some("x".repeat(4_000).into()),
            fingerprint: n as u64,
            ..query_text("select 1", false)
        };
        for n in 0..10_000 {
            cache.polls += 1;
            cache.get((1, 0));
            cache.learn(&[], vec![((1, n), Arc::new(text(n)))], Duration::ZERO, clock.monotonic());
            assert!(cache.len_bytes() <= TEXT_CACHE_MAX_BYTES);
        }
        assert!(cache.get((1, 0)).is_some());
        cache.clear();
        assert_eq!(cache.len_bytes(), 0);
    }

    #[test]
    fn texts_that_were_shed_are_read_again_after_a_while() {
        let clock = ManualClock::at(Timestamp::default());
        let mut cache = TextCache::default();
        let text = || vec![((1, 10), Arc::new(query_text("select 1", false)))];
        let wanted = |cache: &mut TextCache| cache.wanted([(1, 10)].into_iter(), clock.monotonic());
        cache.learn(&[(1, 10)], text(), Duration::ZERO, clock.monotonic());
        assert!(cache.len_bytes() > 0);
        cache.shed();
        assert_eq!((cache.len_bytes(), cache.get((1, 10))), (0, None));
        assert!(wanted(&mut cache).is_empty());
        clock.advance(WAIT_AFTER_SHED);
        assert_eq!(wanted(&mut cache), [(1, 10)]);
        // A longer wait is not cut short by it.
        cache.failed(clock.monotonic());
        cache.shed();
        assert!(wanted(&mut cache).is_empty());
        clock.advance(WAIT_AFTER_SHED);
        assert!(wanted(&mut cache).is_empty());
        clock.advance(WAIT_AFTER_FAILURE);
        assert_eq!(wanted(&mut cache), [(1, 10)]);
    }

    #[test]
    fn texts_that_may_hold_secrets_leave_only_as_kind_and_fingerprint() {
        let text = query_text("alter role app password 'hunter2'", false);
        assert_eq!((text.masked, text.summary), (None, None));
        assert_ne!(text.fingerprint, 0);
    }
}
