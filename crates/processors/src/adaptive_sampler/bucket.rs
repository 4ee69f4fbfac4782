//! Hard limits: what may pass whatever the probabilities. Exact integers, time handed in.

use std::collections::VecDeque;
use std::time::Duration;

use dbintel_model::Monotonic;

/// One record, in the unit of tokens: a millionth of a record per second gives one unit per nanosecond.
const RECORD: u128 = 1_000_000 * 1_000_000_000;
/// Seconds that a minute touches: sixty whole ones and the two halves at its ends.
const SLOTS: u64 = 61;

/// A token bucket: in any span of time at most its burst plus its rate times the span.
#[derive(Debug)]
pub(super) struct TokenBucket {
    tokens: u128,
    capacity: u128,
    micro_records_per_second: u64,
    updated: Option<Monotonic>,
}

/// What all rules share: a reserved part for critical ones, and the rest for everybody.
#[derive(Debug)]
pub(super) struct Budget {
    reserved: Option<TokenBucket>,
    general: TokenBucket,
}

/// Which part of the budget a record was taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Reserved,
    General,
}

/// At most so many records in any minute, to the second: each whole second counts until it is entirely past.
#[derive(Debug)]
pub(super) struct MinuteLimit {
    max: u32,
    sum: u32,
    /// Seconds in which records passed, with how many.
    passed: VecDeque<(u64, u32)>,
}

// === impl TokenBucket ===

impl TokenBucket {
    /// A full bucket. Its capacity is `burst` times the rate, and one record at least.
    pub(super) fn new(micro_records_per_second: u64, burst: Duration) -> Self {
        let capacity = u128::from(micro_records_per_second).saturating_mul(burst.as_nanos()).max(RECORD);
        Self { tokens: capacity, capacity, micro_records_per_second, updated: None }
    }

    /// Records per second it lets through in the long run.
    #[allow(clippy::cast_precision_loss, reason = "a rate, for comparison with measured ones")]
    pub(super) fn rate(&self) -> f64 {
        self.micro_records_per_second as f64 / 1e6
    }

    fn has_one(&mut self, now: Monotonic) -> bool {
        let passed = self.updated.map_or(Duration::ZERO, |updated| now.since(updated));
        let gained = passed.as_nanos().saturating_mul(self.micro_records_per_second.into());
        self.tokens = self.tokens.saturating_add(gained).min(self.capacity);
        self.updated = self.updated.max(Some(now));
        self.tokens >= RECORD
    }

    fn take_one(&mut self) {
        self.tokens = self.tokens.saturating_sub(RECORD);
    }
}

// === impl Budget ===

impl Budget {
    /// The two parts together let through `records_per_second`.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the share is between 0 and 1 and the rate at most a million records"
    )]
    pub(super) fn new(records_per_second: u32, reserved_share: f64, burst: Duration) -> Self {
        let all = u64::from(records_per_second) * 1_000_000;
        let reserved = ((f64::from(records_per_second) * 1e6 * reserved_share) as u64).min(all);
        Self {
            reserved: (reserved > 0).then(|| TokenBucket::new(reserved, burst)),
            general: TokenBucket::new(all - reserved, burst),
        }
    }

    /// Records per second that the general part lets through.
    pub(super) fn general_rate(&self) -> f64 {
        self.general.rate()
    }

    /// The part that has room for a record. A critical one asks its reserve first.
    pub(super) fn room(&mut self, critical: bool, now: Monotonic) -> Option<Part> {
        let reserved = self.reserved.as_mut().filter(|_| critical);
        if reserved.is_some_and(|bucket| bucket.has_one(now)) {
            Some(Part::Reserved)
        } else {
            self.general.has_one(now).then_some(Part::General)
        }
    }

    /// Uses the room.
    pub(super) fn take(&mut self, part: Part) {
        match part {
            Part::Reserved => self.reserved.iter_mut().for_each(TokenBucket::take_one),
            Part::General => self.general.take_one(),
        }
    }
}

// === impl MinuteLimit ===

impl MinuteLimit {
    pub(super) const fn new(max: u32) -> Self {
        Self { max, sum: 0, passed: VecDeque::new() }
    }

    /// Whether one more may pass.
    pub(super) fn has_room(&mut self, now: Monotonic) -> bool {
        let second = second(now);
        while let Some((oldest, records)) = self.passed.front().copied()
            && oldest.saturating_add(SLOTS) <= second
        {
            self.sum = self.sum.saturating_sub(records);
            self.passed.pop_front();
        }
        self.sum < self.max
    }

    /// One has passed.
    pub(super) fn take(&mut self, now: Monotonic) {
        let second = second(now);
        self.sum = self.sum.saturating_add(1);
        match self.passed.back_mut() {
            Some((last, records)) if *last >= second => *records = records.saturating_add(1),
            _ => self.passed.push_back((second, 1)),
        }
    }
}

fn second(now: Monotonic) -> u64 {
    now.since(Monotonic::default()).as_secs()
}

#[cfg(test)]
mod tests;
