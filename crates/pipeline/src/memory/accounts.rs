//! The memory accounts: who holds how many bytes.
//!
//! Queues, caches and tables open a named account, and those whose loss only costs work also say how they give their
//! memory back. The sum explains a reading of the kernel; it never replaces it.
//!
//! Bytes are estimated, and each account says how: a queue adds the weights of its items ([`crate::Weighed`]), a cache
//! those of its entries, a table multiplies its entries with their size. What the allocator adds by rounding up, and
//! what is in the hands of a task at the moment, is in no account. No account walks all its entries to be read.
//!
//! Bound: [`ACCOUNTS_MAX`] accounts; a further one is not kept, and that is counted.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dbintel_model::Text;
use parking_lot::Mutex;

use crate::telemetry::{Registry, definitions};

/// Accounts that can be open at once. A lane and its receiver have four, so this is enough for a thousand servers.
pub const ACCOUNTS_MAX: usize = 4_096;

type Bytes = Arc<dyn Fn() -> usize + Send + Sync>;
type Shrink = Arc<dyn Fn() + Send + Sync>;

/// All accounts of the process. Cloning it gives another handle to the same accounts.
#[derive(Clone, Debug, Default)]
pub struct MemoryAccounts {
    registry: Registry,
    book: Arc<Mutex<Book>>,
}

/// An open account; dropping it closes the account.
#[derive(Debug)]
#[must_use = "the account is closed when this is dropped"]
pub struct MemoryAccount {
    accounts: MemoryAccounts,
    name: Text,
    number: u64,
}

/// An account whose holder says whenever its bytes have changed; dropping it closes the account.
#[derive(Debug)]
#[must_use = "the account is closed when this is dropped"]
pub struct Holding {
    bytes: Arc<AtomicUsize>,
    _account: MemoryAccount,
}

/// What caches gave back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freed {
    /// Caches that were asked.
    pub caches: usize,
    /// Bytes by which their accounts fell.
    pub bytes: usize,
}

#[derive(Default)]
struct Book {
    entries: BTreeMap<Text, Entry>,
    opened: u64,
}

struct Entry {
    number: u64,
    bytes: Bytes,
    shrink: Option<Shrink>,
}

// === impl MemoryAccounts ===

impl MemoryAccounts {
    /// No accounts yet; each one becomes a series of [`definitions::MEMORY_ACCOUNT_BYTES`].
    #[must_use]
    pub fn new(registry: Registry) -> Self {
        Self { registry, book: Arc::default() }
    }

    /// Opens an account for something that cannot give memory back, for instance a queue. An account of the same name
    /// is replaced. `bytes` is called while self-metrics are read, so no lock it takes may be held by somebody who looks
    /// up a self-metric.
    pub fn open(&self, name: Text, bytes: impl Fn() -> usize + Send + Sync + 'static) -> MemoryAccount {
        self.insert(name, Arc::new(bytes), None)
    }

    /// Opens an account for something whose bytes the holder tells.
    pub fn hold(&self, name: Text) -> Holding {
        let bytes = Arc::<AtomicUsize>::default();
        let read = Arc::clone(&bytes);
        let account = self.open(name, move || read.load(Ordering::Relaxed));
        Holding { bytes, _account: account }
    }

    /// Opens an account for a cache: `shrink` is called when memory use is above the hard limit. It must be quick and
    /// must not call back into the accounts. What it drops must be possible to get again; what is needed to tell a
    /// difference is no cache.
    pub fn open_cache(
        &self,
        name: Text,
        bytes: impl Fn() -> usize + Send + Sync + 'static,
        shrink: impl Fn() + Send + Sync + 'static,
    ) -> MemoryAccount {
        self.insert(name, Arc::new(bytes), Some(Arc::new(shrink)))
    }

    /// Every account with its bytes now, by name.
    #[must_use]
    pub fn balances(&self) -> Vec<(Text, usize)> {
        // The functions are called without the lock: they belong to others.
        let entries: Vec<_> = self.book.lock().entries.iter().map(Entry::reader).collect();
        entries.into_iter().map(|(name, bytes)| (name, bytes())).collect()
    }

    /// Asks every cache to empty itself; says what that gave.
    #[must_use]
    pub fn shrink(&self) -> Freed {
        let caches: Vec<(Bytes, Shrink)> =
            self.book.lock().entries.values().filter_map(Entry::cache).collect();
        let mut freed = Freed { caches: caches.len(), bytes: 0 };
        for (bytes, shrink) in &caches {
            let before = bytes();
            shrink();
            freed.bytes = freed.bytes.saturating_add(before.saturating_sub(bytes()));
        }
        freed
    }

    fn insert(&self, name: Text, bytes: Bytes, shrink: Option<Shrink>) -> MemoryAccount {
        let mut book = self.book.lock();
        book.opened += 1;
        let number = book.opened;
        let fits = book.entries.len() < ACCOUNTS_MAX || book.entries.contains_key(&name);
        if fits {
            let entry = Entry { number, bytes: Arc::clone(&bytes), shrink };
            book.entries.insert(name.clone(), entry);
        }
        drop(book);
        if fits {
            self.observe(&name, bytes);
        } else {
            let labels = vec![("limit", Text::Static("memory_accounts"))];
            self.registry.counter(&definitions::LIMIT_REACHED, labels).increment();
        }
        MemoryAccount { accounts: self.clone(), name, number }
    }

    fn observe(&self, name: &Text, bytes: Bytes) {
        let labels = vec![("account", name.clone())];
        self.registry.observe(&definitions::MEMORY_ACCOUNT_BYTES, labels, move || Some(as_f64(bytes())));
    }

    fn close(&self, name: &Text, number: u64) {
        let mut book = self.book.lock();
        let is_ours = book.entries.get(name).is_some_and(|entry| entry.number == number);
        if is_ours {
            book.entries.remove(name);
            drop(book);
            self.registry.forget("account", name);
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "a size, for display")]
const fn as_f64(bytes: usize) -> f64 {
    bytes as f64
}

// === impl MemoryAccount ===

impl Drop for MemoryAccount {
    fn drop(&mut self) {
        self.accounts.close(&self.name, self.number);
    }
}

// === impl Holding ===

impl Holding {
    /// So many bytes are held now.
    pub fn set(&self, bytes: usize) {
        self.bytes.store(bytes, Ordering::Relaxed);
    }
}

// === impl Freed ===

impl Freed {
    /// What both gave, one after the other: of the same caches, so they are counted once.
    #[must_use]
    pub fn and(self, later: Self) -> Self {
        Self { caches: self.caches.max(later.caches), bytes: self.bytes.saturating_add(later.bytes) }
    }
}

// === impl Entry ===

impl Entry {
    fn cache(&self) -> Option<(Bytes, Shrink)> {
        let shrink = self.shrink.as_ref()?;
        Some((Arc::clone(&self.bytes), Arc::clone(shrink)))
    }

    fn reader((name, entry): (&Text, &Self)) -> (Text, Bytes) {
        (name.clone(), Arc::clone(&entry.bytes))
    }
}

impl fmt::Debug for Book {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Book").field("accounts", &self.entries.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(registry: &Registry, name: &str) -> Option<f64> {
        registry.value("dbintel_memory_account_bytes", &[("account", name)])
    }

    #[test]
    fn an_account_is_a_series_until_it_is_dropped() {
        let registry = Registry::default();
        let accounts = MemoryAccounts::new(registry.clone());
        let account = accounts.open("queue".into(), || 7);
        assert_eq!(accounts.balances(), [("queue".into(), 7)]);
        assert_eq!(series(&registry, "queue"), Some(7.0));
        drop(account);
        assert_eq!((accounts.balances().len(), series(&registry, "queue")), (0, None));
    }

    #[test]
    fn the_end_of_a_replaced_account_leaves_its_successor_alone() {
        let registry = Registry::default();
        let accounts = MemoryAccounts::new(registry.clone());
        let first = accounts.open("queue".into(), || 1);
        let _second = accounts.open("queue".into(), || 2);
        drop(first);
        assert_eq!(accounts.balances(), [("queue".into(), 2)]);
        assert_eq!(series(&registry, "queue"), Some(2.0));
    }

    #[test]
    fn caches_are_asked_to_shrink_and_queues_are_not() {
        let accounts = MemoryAccounts::default();
        let held = Arc::new(AtomicUsize::new(9));
        let (read, clear) = (Arc::clone(&held), Arc::clone(&held));
        let _queue = accounts.open("queue".into(), || 5);
        let _cache = accounts.open_cache(
            "plans".into(),
            move || read.load(Ordering::Relaxed),
            move || clear.store(2, Ordering::Relaxed),
        );
        assert_eq!(accounts.shrink(), Freed { caches: 1, bytes: 7 });
        assert_eq!(accounts.balances(), [("plans".into(), 2), ("queue".into(), 5)]);
        assert_eq!(accounts.shrink(), Freed { caches: 1, bytes: 0 });
    }

    #[test]
    fn a_holding_shows_what_its_holder_last_said() {
        let registry = Registry::default();
        let accounts = MemoryAccounts::new(registry.clone());
        let holding = accounts.hold("statements".into());
        for bytes in [0, 700, 40] {
            holding.set(bytes);
            assert_eq!(accounts.balances(), [("statements".into(), bytes)]);
            assert_eq!(series(&registry, "statements"), Some(as_f64(bytes)));
        }
        drop(holding);
        assert_eq!(series(&registry, "statements"), None);
    }

    #[test]
    fn accounts_beyond_the_bound_are_counted() {
        let registry = Registry::default();
        let accounts = MemoryAccounts::new(registry.clone());
        let _held: Vec<_> =
            (0..ACCOUNTS_MAX + 2).map(|n| accounts.open(n.to_string().into(), || 1)).collect();
        assert_eq!(accounts.balances().len(), ACCOUNTS_MAX);
        let limit = [("limit", "memory_accounts")];
        assert_eq!(registry.value("dbintel_limit_reached_total", &limit), Some(2.0));
    }
}
