//! What the processor counts. Handles are made once.

use dbintel_model::{Signal, Text};
use dbintel_pipeline::telemetry::{Counter, Gauge, Registry, SelfMetric, SeriesLabels};

use super::config::VerificationConfig;
use super::detectors::{Detector, Findings};
use crate::definitions;

/// Why a record did not leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DropReason {
    /// Nothing says which server it is about.
    MissingTarget,
    /// Nothing says which statement or session it is about.
    MissingIdentity,
    /// It has no time.
    MissingTime,
    /// It ends before it begins.
    IntervalReversed,
    /// Its value is infinite or not a number.
    NotANumber,
    /// Its value only grows, and is below zero.
    NegativeCounter,
    /// Its time spent is below zero.
    NegativeDuration,
    /// It is older than configured.
    TooOld,
    /// It is further in the future than configured.
    FromTheFuture,
    /// An attribute has too many values.
    Cardinality,
    /// An attribute of a metric point is longer than a text may be.
    LabelSize,
    /// It is too large, with all texts cut.
    RecordSize,
    /// There are too many series.
    Series,
    /// The bytes of the minute are used up.
    Bytes,
}

/// Why a value was taken out of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ValueReason {
    /// It is infinite or not a number.
    NotANumber,
    /// It cannot be below zero, and is.
    Negative,
}

/// The processor's counters and gauges.
#[derive(Debug)]
pub(super) struct Telemetry {
    registry: Registry,
    labels: SeriesLabels,
    dropped: [Counter; DropReason::ALL.len()],
    values: [Counter; 2],
    untimely: [Counter; 2],
    masked: [Counter; Detector::ALL.len()],
    bytes: [Counter; 2],
    pub(super) truncated: Counter,
    pub(super) texts_removed: Counter,
    pub(super) series_untracked: Counter,
    pub(super) values_held: Gauge,
    pub(super) active_series: Gauge,
    pub(super) bytes_per_minute: Gauge,
    /// Set where there is a limit.
    pub(super) byte_budget_ratio: Option<Gauge>,
    currency: Option<String>,
}

// === impl DropReason ===

impl DropReason {
    /// Every reason, in order.
    pub(super) const ALL: [Self; 14] = [
        Self::MissingTarget,
        Self::MissingIdentity,
        Self::MissingTime,
        Self::IntervalReversed,
        Self::NotANumber,
        Self::NegativeCounter,
        Self::NegativeDuration,
        Self::TooOld,
        Self::FromTheFuture,
        Self::Cardinality,
        Self::LabelSize,
        Self::RecordSize,
        Self::Series,
        Self::Bytes,
    ];

    /// The reason as a label: closed set, lower case.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::MissingTarget => "missing_target",
            Self::MissingIdentity => "missing_identity",
            Self::MissingTime => "missing_time",
            Self::IntervalReversed => "interval_reversed",
            Self::NotANumber => "not_a_number",
            Self::NegativeCounter => "negative_counter",
            Self::NegativeDuration => "negative_duration",
            Self::TooOld => "too_old",
            Self::FromTheFuture => "from_the_future",
            Self::Cardinality => "cardinality",
            Self::LabelSize => "label_size",
            Self::RecordSize => "record_size",
            Self::Series => "series_budget",
            Self::Bytes => "byte_budget",
        }
    }
}

// === impl Telemetry ===

impl Telemetry {
    /// Counters of the processor `id` in the lane of `receiver`.
    pub(super) fn new(registry: Registry, id: &Text, receiver: &Text, config: &VerificationConfig) -> Self {
        let labels = vec![("processor", id.clone()), ("receiver", receiver.clone())];
        let with = |more: &[(&'static str, Text)]| [labels.as_slice(), more].concat();
        let counter = |metric: &'static SelfMetric, name, value: &'static str| {
            registry.counter(metric, with(&[(name, value.into())]))
        };
        let gauge = |metric: &'static SelfMetric| registry.gauge(metric, labels.clone());
        let plain = |metric: &'static SelfMetric| registry.counter(metric, labels.clone());
        Self {
            dropped: DropReason::ALL
                .map(|reason| counter(&definitions::VERIFICATION_RECORDS_DROPPED, "reason", reason.as_str())),
            values: ["not_a_number", "negative"]
                .map(|reason| counter(&definitions::VERIFICATION_VALUES_DROPPED, "reason", reason)),
            untimely: [DropReason::TooOld, DropReason::FromTheFuture]
                .map(|reason| counter(&definitions::VERIFICATION_UNTIMELY, "reason", reason.as_str())),
            masked: Detector::ALL
                .map(|detector| counter(&definitions::VERIFICATION_MASKED, "detector", detector.as_str())),
            bytes: [Signal::Metrics, Signal::Logs]
                .map(|signal| counter(&definitions::VERIFICATION_BYTES, "signal", signal.as_str())),
            truncated: plain(&definitions::VERIFICATION_TRUNCATED),
            texts_removed: plain(&definitions::VERIFICATION_TEXTS_REMOVED),
            series_untracked: plain(&definitions::VERIFICATION_SERIES_UNTRACKED),
            values_held: gauge(&definitions::VERIFICATION_VALUES),
            active_series: gauge(&definitions::VERIFICATION_ACTIVE_SERIES),
            bytes_per_minute: gauge(&definitions::VERIFICATION_BYTES_PER_MINUTE),
            byte_budget_ratio: config
                .max_bytes_per_minute
                .map(|_| gauge(&definitions::VERIFICATION_BYTE_BUDGET_RATIO)),
            currency: config.currency.clone(),
            labels,
            registry,
        }
    }

    /// A record that does not leave.
    pub(super) fn dropped(&self, reason: DropReason, records: u64) {
        if matches!(reason, DropReason::TooOld | DropReason::FromTheFuture) {
            self.untimely(reason);
        }
        if let Some(counter) = self.dropped.get(reason as usize) {
            counter.add(records);
        }
    }

    /// A record that is too old or from the future.
    pub(super) fn untimely(&self, reason: DropReason) {
        let [too_old, from_the_future] = &self.untimely;
        if reason == DropReason::TooOld { too_old.increment() } else { from_the_future.increment() }
    }

    /// Values taken out of a record.
    pub(super) fn value_dropped(&self, reason: ValueReason, values: u64) {
        let [not_a_number, negative] = &self.values;
        match reason {
            ValueReason::NotANumber => not_a_number.add(values),
            ValueReason::Negative => negative.add(values),
        }
    }

    /// What was found in a record that leaves.
    pub(super) fn masked(&self, findings: &Findings) {
        for (detector, counter) in Detector::ALL.iter().zip(&self.masked) {
            counter.add(u64::from(findings.of(*detector)));
        }
    }

    /// Bytes that leave.
    pub(super) fn sent(&self, signal: Signal, bytes: u64) {
        let [metrics, logs] = &self.bytes;
        match signal {
            Signal::Metrics => metrics.add(bytes),
            Signal::Logs | Signal::Traces => logs.add(bytes),
        }
    }

    /// Counts overflowing values of an attribute.
    pub(super) fn overflow(&self, attribute: &str) -> Counter {
        let labels = self.with("attribute", Text::from(attribute.to_owned()));
        self.registry.counter(&definitions::VERIFICATION_OVERFLOW, labels)
    }

    /// A batch whose resource lacks an attribute.
    pub(super) fn identity_missing(&self, attribute: &'static str) {
        let labels = self.with("attribute", attribute.into());
        self.registry.counter(&definitions::VERIFICATION_IDENTITY_MISSING, labels).increment();
    }

    /// The cost of a part per day; unknown before it was measured.
    pub(super) fn cost(&self, part: &'static str, per_day: f64) {
        let mut labels = self.with("part", part.into());
        labels.push(("source", "configured".into()));
        labels.extend(self.currency.iter().map(|currency| ("currency", currency.clone().into())));
        self.registry.gauge(&definitions::VERIFICATION_COST, labels).set(per_day);
    }

    /// The normalisation ratio; there is none before a statement has left.
    pub(super) fn normalisation(&self, ratio: f64) {
        self.registry.gauge(&definitions::VERIFICATION_NORMALISATION, self.labels.clone()).set(ratio);
    }

    /// How far the server's clock is ahead; unknown before a batch has both clocks.
    pub(super) fn clock_skew(&self, seconds: f64) {
        self.registry.gauge(&definitions::VERIFICATION_CLOCK_SKEW, self.labels.clone()).set(seconds);
    }

    /// What was dropped so far, by reason, where it is not nothing.
    pub(super) fn drops(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let all = DropReason::ALL.iter().zip(&self.dropped);
        all.map(|(reason, counter)| (reason.as_str(), counter.get())).filter(|(_, count)| *count > 0)
    }

    fn with(&self, name: &'static str, value: Text) -> SeriesLabels {
        [self.labels.as_slice(), &[(name, value)]].concat()
    }
}
