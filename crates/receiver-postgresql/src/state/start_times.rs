//! Start times of cumulative sums, where the server does not date its reset.
//!
//! The OpenTelemetry data model's rule for an unknown start: the first point has `start = time`, later points keep that
//! start, and a decrease of a monotonic sum begins a new sequence. The collector's own start is never used.

use std::collections::HashMap;

use dbintel_model::{Labels, MetricDefinition, Number, Timestamp, Value};
use xxhash_rust::xxh3::Xxh3Default;

/// Series whose start is remembered per server. Further ones are sent with `start = time` every time, which is valid
/// and loses only the rate across two points; they are counted.
pub const MAX_TRACKED_SERIES: usize = 100_000;
/// Polls after which a series that was not seen any more is forgotten.
const FORGET_AFTER_POLLS: u64 = 60;

/// Identity of a series: a 128-bit hash of metric and attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SeriesId(u128);

/// The remembered starts.
#[derive(Debug, Default)]
pub struct StartTimes {
    series: HashMap<SeriesId, Tracked>,
    /// Series that were first seen in a batch whose fate is unknown.
    unsent: Vec<SeriesId>,
    poll: u64,
    untracked: u64,
}

#[derive(Clone, Copy, Debug)]
struct Tracked {
    start: Timestamp,
    last: f64,
    poll: u64,
}

impl StartTimes {
    /// The start of a sum's sequence, given its value now.
    pub fn start(&mut self, id: SeriesId, value: Number, monotonic: bool, now: Timestamp) -> Timestamp {
        let (value, poll) = (value.as_f64(), self.poll);
        if let Some(tracked) = self.series.get_mut(&id) {
            if monotonic && value < tracked.last {
                tracked.start = now;
            }
            tracked.last = value;
            tracked.poll = poll;
            return tracked.start;
        }
        if self.series.len() < MAX_TRACKED_SERIES {
            self.series.insert(id, Tracked { start: now, last: value, poll });
            self.unsent.push(id);
        } else {
            self.untracked += 1;
        }
        now
    }

    /// Ends a poll: forgets series that have not been seen for a long time. Gives the number of points for which there
    /// was no room since the last call.
    pub fn end_of_poll(&mut self) -> u64 {
        self.poll += 1;
        let oldest = self.poll.saturating_sub(FORGET_AFTER_POLLS);
        if self.poll.is_multiple_of(FORGET_AFTER_POLLS) {
            self.series.retain(|_, tracked| tracked.poll >= oldest);
        }
        std::mem::take(&mut self.untracked)
    }

    /// Learns what became of the points since the last call. A series whose first point was refused begins with its
    /// next one: a start before the first point that anybody has seen would claim that all of its value came since.
    pub fn offered(&mut self, accepted: bool) {
        for id in std::mem::take(&mut self.unsent) {
            if !accepted {
                self.series.remove(&id);
            }
        }
    }

    /// Series remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Whether none is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// Forgets everything: another node answers, whose sums are other sequences.
    pub fn clear(&mut self) {
        self.series.clear();
        self.unsent.clear();
    }
}

impl SeriesId {
    /// The identity of a series.
    #[must_use]
    pub fn new(metric: &MetricDefinition, labels: &Labels, fixed: &[(&str, &str)]) -> Self {
        let mut hasher = Xxh3Default::new();
        let mut part = |bytes: &[u8]| {
            hasher.update(&bytes.len().to_le_bytes());
            hasher.update(bytes);
        };
        part(metric.name.as_bytes());
        for attribute in labels.resource.iter().chain(&labels.point) {
            part(attribute.key.as_bytes());
            match &attribute.value {
                Value::Text(text) => part(text.as_bytes()),
                Value::Int(int) => part(&int.to_le_bytes()),
                Value::Double(double) => part(&double.to_bits().to_le_bytes()),
                Value::Bool(bool) => part(&[u8::from(*bool)]),
            }
        }
        for (key, value) in fixed {
            part(key.as_bytes());
            part(value.as_bytes());
        }
        Self(hasher.digest128())
    }
}

#[cfg(test)]
mod tests {
    use dbintel_model::{Attribute, catalogue};

    use super::*;

    fn at(nanos: u64) -> Timestamp {
        Timestamp::from_nanos(nanos)
    }

    #[test]
    fn the_first_point_begins_the_sequence_and_a_decrease_begins_another() {
        let mut starts = StartTimes::default();
        let id = SeriesId(1);
        let mut check = |value, monotonic, now, expected| {
            assert_eq!(starts.start(id, Number::Int(value), monotonic, at(now)), at(expected));
        };
        check(5, true, 100, 100);
        check(9, true, 200, 100);
        check(3, true, 300, 300);
        check(4, true, 400, 300);
        check(2, false, 500, 300);
    }

    #[test]
    fn a_series_whose_first_point_was_refused_begins_with_the_next_one() {
        let mut starts = StartTimes::default();
        let mut check = |id, now, accepted, expected| {
            assert_eq!(starts.start(SeriesId(id), Number::Int(5), true, at(now)), at(expected));
            starts.offered(accepted);
        };
        check(1, 100, false, 100);
        check(1, 200, true, 200);
        check(1, 300, false, 200);
        check(1, 400, true, 200);
    }

    #[test]
    fn series_differ_by_metric_attributes_and_where_they_are_cut() {
        let labels = |a: &str, b: &str| Labels {
            resource: Vec::new(),
            point: vec![
                Attribute::new("db.namespace", a.to_owned()),
                Attribute::new("function", b.to_owned()),
            ],
        };
        let metric = catalogue::metric("postgresql.function.calls").unwrap();
        let one = SeriesId::new(metric, &labels("ab", "c"), &[]);
        assert_eq!(one, SeriesId::new(metric, &labels("ab", "c"), &[]));
        assert_ne!(one, SeriesId::new(metric, &labels("a", "bc"), &[]));
        assert_ne!(
            one,
            SeriesId::new(catalogue::metric("postgresql.commits").unwrap(), &labels("ab", "c"), &[])
        );
        assert_ne!(one, SeriesId::new(metric, &labels("ab", "c"), &[("kind", "self")]));
    }

    #[test]
    fn series_are_bounded_and_forgotten() {
        let mut starts = StartTimes::default();
        for n in 0..MAX_TRACKED_SERIES as u128 + 5 {
            starts.start(SeriesId(n), Number::Int(1), true, at(1));
        }
        assert_eq!((starts.len(), starts.end_of_poll()), (MAX_TRACKED_SERIES, 5));
        for _ in 0..2 * FORGET_AFTER_POLLS {
            starts.start(SeriesId(7), Number::Int(1), true, at(1));
            starts.end_of_poll();
        }
        assert_eq!(starts.len(), 1);
    }
}
