//! Bytes that leave: measured, limited where a limit is configured, and priced where a price is.
//!
//! The size of a record is that of its attribute names and values, numbers and times included, as OTLP carries them
//! before compression; headers of requests and resources, shared by many records, are not in it. What the exporters
//! really send, compressed, is in their own metrics.
//!
//! With a limit, any 60 seconds (on a grid of one second) are kept below it by giving up what matters least: sessions
//! from [`SESSIONS_SHARE`] of the limit on, texts of statements from [`TEXTS_SHARE`] on. Everything else always leaves,
//! so the limit can be exceeded by it; the ratio then shows more than 1.

use dbintel_model::{Attribute, Labels, MetricPoint, Monotonic, Record, Value};

/// Share of the limit that sessions may use, in percent.
pub const SESSIONS_SHARE: u64 = 80;
/// Share of the limit up to which texts of statements leave, in percent.
pub const TEXTS_SHARE: u64 = 90;
const SECONDS: usize = 60;
const MINUTES: usize = 60;
const MINUTES_PER_DAY: f64 = 1_440.0;
const DAYS_PER_MONTH: f64 = 365.0 / 12.0;
const BYTES_PER_GIB: f64 = (1_u64 << 30) as f64;
/// Tag, length and kind of an attribute in OTLP; time, start and flags of a point or event.
const ATTRIBUTE_BYTES: usize = 6;
const POINT_BYTES: usize = 27;
const EVENT_BYTES: usize = 48;

/// Bytes of the last minute by second, and of the last hour by minute.
#[derive(Debug)]
pub(super) struct Bytes {
    origin: Option<Monotonic>,
    second: u64,
    seconds: [u64; SECONDS],
    last_minute: u64,
    minute: u64,
    minutes: [u64; MINUTES],
}

// === impl Bytes ===

impl Bytes {
    pub(super) const fn new() -> Self {
        Self {
            origin: None,
            second: 0,
            seconds: [0; SECONDS],
            last_minute: 0,
            minute: 0,
            minutes: [0; MINUTES],
        }
    }

    /// Moves on to now.
    pub(super) fn turn(&mut self, now: Monotonic) {
        let origin = *self.origin.get_or_insert(now);
        let second = now.since(origin).as_secs();
        // A ring's length of them is the whole ring.
        for stale in (self.second + 1..=second).take(SECONDS) {
            if let Some(bytes) = slot(&mut self.seconds, stale) {
                self.last_minute = self.last_minute.saturating_sub(std::mem::take(bytes));
            }
        }
        let minute = second / 60;
        for stale in (self.minute + 1..=minute).take(MINUTES) {
            if let Some(bytes) = slot(&mut self.minutes, stale) {
                *bytes = 0;
            }
        }
        (self.second, self.minute) = (second.max(self.second), minute.max(self.minute));
    }

    /// Adds what leaves now.
    pub(super) fn add(&mut self, bytes: u64) {
        self.last_minute = self.last_minute.saturating_add(bytes);
        let (second, minute) = (self.second, self.minute);
        for held in [slot(&mut self.seconds, second), slot(&mut self.minutes, minute)].into_iter().flatten() {
            *held = held.saturating_add(bytes);
        }
    }

    /// Bytes of the last 60 seconds.
    pub(super) const fn per_minute(&self) -> u64 {
        self.last_minute
    }

    /// Whether `more` bytes fit into this share of the limit.
    pub(super) const fn fits(&self, more: u64, limit: u64, percent: u64) -> bool {
        self.last_minute.saturating_add(more) <= limit / 100 * percent + limit % 100 * percent / 100
    }

    /// Bytes per day at the rate of the last hour; `None` before a minute has passed.
    #[allow(clippy::cast_precision_loss, reason = "an estimate, for display")]
    pub(super) fn per_day(&self) -> Option<f64> {
        let whole = self.minute.min(MINUTES as u64 - 1);
        let present = self.minutes.get(index(self.minute, MINUTES)).copied().unwrap_or(0);
        let bytes = self.minutes.iter().sum::<u64>() - present;
        (whole > 0).then(|| bytes as f64 / whole as f64 * MINUTES_PER_DAY)
    }
}

fn slot(ring: &mut [u64], time: u64) -> Option<&mut u64> {
    let place = index(time, ring.len());
    ring.get_mut(place)
}

fn index(time: u64, length: usize) -> usize {
    usize::try_from(time % length as u64).unwrap_or(0)
}

/// The cost per day of this many bytes per day.
pub(super) fn cost_of_bytes(bytes_per_day: f64, price_per_gib: f64) -> f64 {
    bytes_per_day / BYTES_PER_GIB * price_per_gib
}

/// The cost per day of this many series.
#[allow(clippy::cast_precision_loss, reason = "an estimate, for display")]
pub(super) fn cost_of_series(series: usize, price_per_1000_per_month: f64) -> f64 {
    series as f64 / 1_000.0 * price_per_1000_per_month / DAYS_PER_MONTH
}

/// The size of an event.
pub(super) fn event_bytes(record: &Record) -> usize {
    let sizes = record.attribute_sizes();
    EVENT_BYTES + sizes.attributes * ATTRIBUTE_BYTES + sizes.bytes
}

/// The size of a point whose labels have this size.
pub(super) fn point_bytes(point: &MetricPoint, labels: usize) -> usize {
    let fixed = point.fixed.iter().map(|(key, value)| ATTRIBUTE_BYTES + key.len() + value.len());
    POINT_BYTES + labels + fixed.sum::<usize>()
}

/// The size of the attributes of a point.
pub(super) fn labels_bytes(labels: &Labels) -> usize {
    let size = |attribute: &Attribute| {
        let value = match &attribute.value {
            Value::Text(text) => text.len(),
            Value::Int(_) | Value::Double(_) => 8,
            Value::Bool(_) => 1,
        };
        ATTRIBUTE_BYTES + attribute.key.len() + value
    };
    labels.point.iter().map(size).sum()
}
