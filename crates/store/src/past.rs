//! The findings that ended last, as pages compare others with them, and what came of what was done: read when another one has ended, so that no
//! page waits for it.

use std::sync::Arc;

use dbintel_model::Timestamp;
use dbintel_model::finding::{PastCase, TrackRecord};
use dbintel_pipeline::memory::{MemoryAccount, MemoryAccounts};
use parking_lot::Mutex;

use crate::{Store, StoreError};

/// See the module. Cloning it gives another handle to the same ones.
#[derive(Clone, Debug)]
pub struct PastCases {
    held: Arc<Mutex<Held>>,
    _account: Arc<MemoryAccount>,
}

#[derive(Debug, Default)]
struct Held {
    cases: Arc<[PastCase]>,
    /// At most one of each kind.
    records: Vec<TrackRecord>,
    /// When the last of them ended; `None` before they were read, and where there is none.
    last: Option<Timestamp>,
}

// === impl PastCases ===

impl PastCases {
    /// None yet.
    #[must_use]
    pub fn new(accounts: &MemoryAccounts) -> Self {
        let held = Arc::<Mutex<Held>>::default();
        let (measured, shrunk) = (Arc::clone(&held), Arc::clone(&held));
        let bytes = move || measured.lock().bytes();
        let account =
            accounts.open_cache("past cases".into(), bytes, move || *shrunk.lock() = Held::default());
        Self { held, _account: Arc::new(account) }
    }

    /// Those that are held.
    #[must_use]
    pub fn get(&self) -> Arc<[PastCase]> {
        Arc::clone(&self.held.lock().cases)
    }

    /// What came of what was done, by kind.
    #[must_use]
    pub fn records(&self) -> Vec<TrackRecord> {
        self.held.lock().records.clone()
    }

    /// Reads them if another finding has ended since.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read; what is held stays.
    pub async fn refresh(&self, store: &Store) -> Result<(), StoreError> {
        let last = store.last_ended().await?;
        if last != self.held.lock().last {
            let cases = store.past_cases().await?.into();
            let records = store.track_records().await?;
            *self.held.lock() = Held { cases, records, last };
        }
        Ok(())
    }
}

// === impl Held ===

impl Held {
    fn bytes(&self) -> usize {
        self.cases.iter().map(|case| size_of::<PastCase>() + case.weight_bytes()).sum()
    }
}
