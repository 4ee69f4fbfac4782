//! The same state written to a store, an SQLite file, and read back by what a process does before its first batch: the file is opened and looked
//! through, its values are read and checked, and a new processor takes them over.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use dbintel_model::SystemClock;
use dbintel_pipeline::memory::MemoryAccounts;
use dbintel_pipeline::telemetry::Registry;
use dbintel_pipeline::{Processor as _, StateChange, StateStore as _};
use dbintel_store::{
    Instance, MAX_PENDING_BYTES, MAX_PENDING_ENTRIES, OnDamage, Store, StoreContext, StoreSettings, Writer,
};
use serde::Serialize;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::ID;

/// The server whose values they are.
const SERVER: &str = "localhost:5432";

/// What it took. The file was just written, so the system still has it in memory.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct FromStore {
    /// Values in the store.
    pub values: usize,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Seconds until all of them were in the store, in as many openings as the bound of what may wait asks for.
    pub write_seconds: f64,
    /// Seconds until the file was open and looked through.
    pub open_seconds: f64,
    /// Seconds until all values were read.
    pub read_seconds: f64,
    /// Seconds until a new processor had taken them over.
    pub take_over_seconds: f64,
}

// === impl FromStore ===

impl FromStore {
    /// From the beginning to a processor that can take a batch.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.open_seconds + self.read_seconds + self.take_over_seconds
    }
}

/// On a thread of a runtime that may be blocked.
pub(super) fn measure(snapshot: &[u8]) -> FromStore {
    let directory = tempfile::tempdir().expect("a directory for the store");
    let path = directory.path().join("store.db");
    let values = values_of(snapshot);
    Handle::current().block_on(async {
        let begun = Instant::now();
        // What is refused would be missing.
        for part in parts(&values) {
            write(&path, part).await;
        }
        let write_seconds = begun.elapsed().as_secs_f64();
        let file_bytes = std::fs::metadata(&path).map_or(0, |file| file.len());

        let begun = Instant::now();
        let (store, _writer) = open(&path).await;
        let open_seconds = begun.elapsed().as_secs_f64();
        let begun = Instant::now();
        let kept = store.state_of(SERVER.into()).load().await;
        let read_seconds = begun.elapsed().as_secs_f64();
        assert_eq!(kept.len(), values.len(), "all values are in the store");
        let begun = Instant::now();
        let registry = Registry::default();
        let mut verifier = super::verifier(registry.clone());
        // As the lane hands them out.
        let of_processor: Vec<(&str, &[u8])> = kept
            .iter()
            .filter_map(|StateChange { key, value }| {
                Some((key.as_str().strip_prefix(ID)?.strip_prefix('/')?, value.as_deref()?))
            })
            .collect();
        verifier.restore_kept(&of_processor).expect("its own values");
        let take_over_seconds = begun.elapsed().as_secs_f64();
        let damaged = [("receiver", "postgresql/orders"), ("limit", "verifier_state_damaged")];
        assert_eq!(
            registry.value("dbintel_limit_reached_total", &damaged),
            None,
            "all values were taken over"
        );
        store.close().await;
        FromStore {
            values: values.len(),
            file_bytes,
            write_seconds,
            open_seconds,
            read_seconds,
            take_over_seconds,
        }
    })
}

/// The values as they are in the store. A snapshot has them behind its layout's number, each as key and value with their lengths.
fn values_of(snapshot: &[u8]) -> Vec<(&str, &[u8])> {
    let mut rest = snapshot.get(1..).unwrap_or_default();
    let mut next = || {
        let (length, after) = rest.split_first_chunk()?;
        let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
        let (bytes, after) = after.split_at_checked(length)?;
        rest = after;
        Some(bytes)
    };
    let mut values = Vec::new();
    while let Some(key) = next() {
        let (key, value) = (std::str::from_utf8(key), next());
        values.push((key.expect("a key is text"), value.expect("a key has a value")));
    }
    values
}

/// Parts that may wait at once: half of what there is room for, since the store counts more than keys and values.
fn parts<'a, 'b>(mut values: &'b [(&'a str, &'a [u8])]) -> Vec<&'b [(&'a str, &'a [u8])]> {
    let mut parts = Vec::new();
    while !values.is_empty() {
        let mut bytes = 0;
        let fits = |(key, value): &&(&str, &[u8])| {
            bytes += key.len() + value.len();
            bytes <= MAX_PENDING_BYTES / 2
        };
        let count = values.iter().take_while(fits).count().clamp(1, MAX_PENDING_ENTRIES / 2);
        let (part, rest) = values.split_at(count.min(values.len()));
        parts.push(part);
        values = rest;
    }
    parts
}

async fn write(path: &Path, values: &[(&str, &[u8])]) {
    let (store, writer) = open(path).await;
    let state = store.state_of(SERVER.into());
    for (key, value) in values {
        let change = StateChange { key: format!("{ID}/{key}").into(), value: Some(value.to_vec()) };
        state.put(change).expect("there is room for a part");
    }
    // A writer that is told to end writes what waits.
    let shutdown = CancellationToken::new();
    shutdown.cancel();
    writer.run(shutdown).await.expect("the store is written");
}

async fn open(path: &Path) -> (Store, Writer) {
    let settings: StoreSettings =
        dbintel_config::from_yaml(&format!("path: {}", path.display())).expect("settings of a store");
    let config = settings.validate().expect("valid settings").config;
    let cx = StoreContext {
        clock: Arc::new(SystemClock::default()),
        registry: Registry::default(),
        accounts: MemoryAccounts::default(),
        instance: Instance { id: "bench".into(), host: "here".into() },
        on_damage: OnDamage::Fail,
    };
    Store::open(config, cx).await.expect("a store")
}

#[cfg(test)]
mod tests {
    use dbintel_model::Interval;
    use dbintel_pipeline::Processor as _;

    use super::super::{BEGINS, TEN_MINUTES, World};

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_written_is_read_and_taken_over() {
        let stored = tokio::task::spawn_blocking(|| {
            let mut world = World::new();
            let interval = Interval { start: BEGINS, end: BEGINS.plus(TEN_MINUTES) };
            let records = (0..50).map(|n| world.query(n, interval)).collect();
            world.process(records);
            super::measure(&world.verifier.snapshot().unwrap())
        });
        // Of each statement which it is, a day and its short blocks; and three of which there is one.
        assert_eq!(stored.await.unwrap().values, 50 * 3 + 3);
    }
}
