//! The draw: a record is kept if the hash of server, record and time bucket is below the probability.
//!
//! * Two samplers of one name that see the same record in the same time bucket at the same probability decide the same,
//!   in whichever process they run: nothing in the hash is of this process.
//! * At a higher probability everything is kept that would be kept at a lower one.
//! * The next time bucket is another draw, so that no record is hidden for ever.

use std::time::Duration;

use dbintel_model::{Batch, Session, Target, Timestamp};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Identifies a record within its time bucket and beyond: equal for samples of one session that differ in nothing but
/// their time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Identity(u64);

/// Number of a time bucket since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct TimeBucket(u64);

/// Makes identities. Reuses one buffer.
#[derive(Debug)]
pub(super) struct Identities {
    sampler: u64,
    target: u64,
    bytes: Vec<u8>,
}

// === impl Identities ===

impl Identities {
    /// For the sampler of this name. Two samplers in one chain draw independently of each other.
    pub(super) fn new(sampler: &str) -> Self {
        Self { sampler: xxh3_64(sampler.as_bytes()), target: 0, bytes: Vec::new() }
    }

    /// Says whose records come next.
    pub(super) fn begin(&mut self, target: &Target) {
        self.bytes.clear();
        self.text(Some(&target.server.system));
        self.text(Some(&target.server.address));
        self.number(Some(i64::from(target.server.port)));
        self.text(target.database.as_deref());
        self.target = xxh3_64_with_seed(&self.bytes, self.sampler);
    }

    /// The identity of a session of that target: who it is, what it runs since when, and what it waits for.
    pub(super) fn of(&mut self, session: &Session) -> Identity {
        self.bytes.clear();
        self.number(Some(session.pid));
        self.time(session.backend_start);
        self.time(session.query_start);
        self.number(session.query_id);
        self.number(session.text.as_ref().map(|text| text.fingerprint.cast_signed()));
        self.text(session.state.as_deref());
        self.text(session.wait_event_type.as_deref());
        self.text(session.wait_event.as_deref());
        if let Some(blocking) = &session.blocking {
            self.number(blocking.root_pid);
            for pid in &blocking.pids {
                self.number(Some(*pid));
            }
        }
        Identity(xxh3_64_with_seed(&self.bytes, self.target))
    }

    fn time(&mut self, time: Option<Timestamp>) {
        self.number(time.map(|time| time.as_nanos().cast_signed()));
    }

    /// A number that is absent is not zero.
    fn number(&mut self, number: Option<i64>) {
        self.bytes.push(u8::from(number.is_some()));
        self.bytes.extend_from_slice(&number.unwrap_or_default().to_le_bytes());
    }

    fn text(&mut self, text: Option<&str>) {
        self.number(text.map(|text| i64::try_from(text.len()).unwrap_or(i64::MAX)));
        self.bytes.extend_from_slice(text.unwrap_or_default().as_bytes());
    }
}

// === impl Identity ===

impl Identity {
    /// Whether the record is kept in this time bucket with this probability.
    pub(super) fn is_kept(self, bucket: TimeBucket, probability: f64) -> bool {
        self.draw(bucket) < probability
    }

    /// A number from 0 to below 1, all values equally likely. The upper 53 bits of a hash are exact as a double.
    #[allow(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
    fn draw(self, bucket: TimeBucket) -> f64 {
        let hash = xxh3_64_with_seed(&bucket.0.to_le_bytes(), self.0);
        (hash >> 11) as f64 / (1_u64 << 53) as f64
    }
}

// === impl TimeBucket ===

impl TimeBucket {
    /// The bucket of a batch, by the time with which its records leave: the server's clock, which all replicas share.
    pub(super) fn of(batch: &Batch, length: Duration) -> Self {
        let time = batch.server_clock.unwrap_or(batch.observed_at);
        let length = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX).max(1);
        Self(time.as_nanos() / length)
    }
}

#[cfg(test)]
mod tests;
