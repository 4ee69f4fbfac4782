//! `verification`: the last processor of a chain, which looks at everything that is about to leave.
//!
//! Promises:
//! * what leaves is complete (target, identity, interval), timely, of sane values, within the limits of sizes and of
//!   distinct values, and without personal data or secrets that a detector knows;
//! * whatever is dropped, changed or cut is counted, by reason;
//! * changes (of plans, too), gaps and findings are never dropped: they say what is missing or wrong; only a batch that does not say of which server it is is
//!   dropped whole, and counted;
//! * a record that passes is not copied, and nothing is allocated for it beyond room for values, series and texts seen
//!   for the first time;
//! * every table has a named maximum: [`VALUES_MAX`], [`GROUPS_MAX`], [`SERIES_MAX`], [`TEXTS_MAX`].
//!
//! A record that does not leave the process, such as a statement outside the top, passes as it is.
//!
//! Names of roles, databases, tables and clients' addresses are identities: their number is limited, their content is
//! not looked at, since a masked name would make two objects one.

mod budget;
mod cardinality;
mod config;
pub mod detectors;
mod event;
mod rota;
mod sanity;
mod series;
mod telemetry;
mod texts;

use std::sync::Arc;

use dbintel_model::{Batch, Labels, MetricPoint, Monotonic, Record, Server, Signal, Text};
use dbintel_pipeline::telemetry::Registry;
use dbintel_pipeline::{Command, Context, Output, Processor, Reply};

pub use budget::{SESSIONS_SHARE, TEXTS_SHARE};
pub use cardinality::{EVENT_ATTRIBUTES, GROUPS_MAX, OVERFLOW, VALUES_MAX};
pub use config::{
    ATTRIBUTES_MAX, BudgetSettings, CardinalitySettings, FreshnessAction, FreshnessSettings, PrivacySettings,
    RECORD_BYTES_MIN, SizeSettings, TEXT_BYTES_MIN, VerificationConfig, VerificationSettings,
};
pub use series::SERIES_MAX;
pub use texts::{TEXTS_MAX, TRUNCATED};

use budget::Bytes;
use cardinality::{Cardinality, Limits};
use rota::Ticked;
use sanity::Clocks;
use series::{Seen, Series};
use telemetry::{DropReason, Telemetry};
use texts::Texts;

/// Attributes of the resource by which backends tell who sent something.
const IDENTITY: [&str; 2] = ["server.address", "service.instance.id"];

/// The processor. Every lane has its own.
#[derive(Debug)]
pub struct Verification {
    id: Text,
    config: VerificationConfig,
    telemetry: Telemetry,
    cardinality: Cardinality,
    series: Series,
    texts: Texts,
    bytes: Bytes,
    /// The labels of the point before, and what is known of them: points of one object follow each other.
    labels: Option<KnownLabels>,
    /// The server whose resource was looked at last, and what it lacks.
    server: Option<(Arc<Server>, Vec<&'static str>)>,
    swept: Monotonic,
}

#[derive(Debug)]
struct KnownLabels {
    labels: Arc<Labels>,
    hash: u64,
    bytes: usize,
    refused: Option<DropReason>,
}

// === impl Verification ===

impl Verification {
    /// A processor for the lane of `receiver`.
    #[must_use]
    pub fn new(id: Text, receiver: &Text, config: VerificationConfig, registry: Registry) -> Self {
        let telemetry = Telemetry::new(registry, &id, receiver, &config);
        Self {
            id,
            config,
            telemetry,
            cardinality: Cardinality::new(),
            series: Series::default(),
            texts: Texts::default(),
            bytes: Bytes::new(),
            labels: None,
            server: None,
            swept: Monotonic::default(),
        }
    }

    /// Why the record must not leave, if so. It is changed in its place.
    fn verify(
        &mut self,
        record: &mut Record,
        database: &str,
        clocks: &Clocks,
        now: Monotonic,
    ) -> Option<DropReason> {
        if !record.leaves() {
            return None;
        }
        let wrong = sanity::check(record, clocks, &self.config, &self.telemetry);
        if wrong.is_some() {
            return wrong;
        }
        match record {
            Record::Metric(point) => self.point(point, database, now),
            Record::Query(_)
            | Record::Session(_)
            | Record::Change(_)
            | Record::Gap(_)
            | Record::Plan(_)
            | Record::NoPlan(_)
            | Record::QueryPlan(_)
            | Record::PlanChange(_)
            | Record::PlanSensitivity(_)
            | Record::Finding(_) => self.event(record, database, now),
        }
    }

    fn point(&mut self, point: &MetricPoint, database: &str, now: Monotonic) -> Option<DropReason> {
        let known = match self.labels.take() {
            Some(known) if Arc::ptr_eq(&known.labels, &point.labels) => known,
            _ => self.look_at_labels(&point.labels, database, now),
        };
        let (hash, bytes, refused) = (known.hash, known.bytes, known.refused);
        self.labels = Some(known);
        if refused.is_some() {
            return refused;
        }
        match self.series.note(series::identity(point, hash), now, self.config.max_series) {
            Seen::Active => {}
            Seen::TooMany => return Some(DropReason::Series),
            Seen::Untracked => self.telemetry.series_untracked.increment(),
        }
        self.send(Signal::Metrics, budget::point_bytes(point, bytes));
        None
    }

    fn look_at_labels(&mut self, labels: &Arc<Labels>, database: &str, now: Monotonic) -> KnownLabels {
        let limits = Limits { config: &self.config, telemetry: &self.telemetry, now };
        // A cut value would make two objects one.
        let refused = if event::has_long_label(labels, self.config.max_text_bytes) {
            Some(DropReason::LabelSize)
        } else if self.cardinality.admits_labels(&limits, database, labels) {
            None
        } else {
            Some(DropReason::Cardinality)
        };
        let (hash, bytes) = (series::labels_hash(labels), budget::labels_bytes(labels));
        KnownLabels { labels: Arc::clone(labels), hash, bytes, refused }
    }

    fn event(&mut self, record: &mut Record, database: &str, now: Monotonic) -> Option<DropReason> {
        let config = &self.config;
        let seen = event::clean(record, &mut self.texts, config.detectors, config.max_text_bytes);
        if !seen.findings.is_empty() {
            self.telemetry.masked(&seen.findings);
        }
        let limits = Limits { config, telemetry: &self.telemetry, now };
        event::limit_values(record, database, &mut self.cardinality, &limits);
        let mut truncated = seen.truncated;
        if record.weight_bytes() > config.max_record_bytes {
            truncated |= event::shrink(record, config.max_record_bytes / event::TEXTS_PER_RECORD);
            let says_what_is_missing = matches!(
                record,
                Record::Change(_) | Record::Gap(_) | Record::PlanChange(_) | Record::Finding(_)
            );
            if record.weight_bytes() > config.max_record_bytes && !says_what_is_missing {
                return Some(DropReason::RecordSize);
            }
        }
        if truncated {
            self.telemetry.truncated.increment();
        }
        self.spend(record)
    }

    /// Books the bytes of an event, and gives up what the budget asks for.
    fn spend(&mut self, record: &mut Record) -> Option<DropReason> {
        let mut bytes = budget::event_bytes(record);
        if let Some(limit) = self.config.max_bytes_per_minute {
            let fits = |share| self.bytes.fits(bytes as u64, limit, share);
            if matches!(record, Record::Session(_)) && !fits(SESSIONS_SHARE) {
                return Some(DropReason::Bytes);
            }
            if !fits(TEXTS_SHARE) && event::remove_text(record) {
                self.telemetry.texts_removed.increment();
                bytes = budget::event_bytes(record);
            }
        }
        self.send(Signal::Logs, bytes);
        None
    }

    fn send(&mut self, signal: Signal, bytes: usize) {
        self.bytes.add(bytes as u64);
        self.telemetry.sent(signal, bytes as u64);
    }

    /// Counts what the resource lacks. It is looked at once per server.
    fn check_identity(&mut self, server: &Arc<Server>) {
        if !self.server.as_ref().is_some_and(|(known, _)| Arc::ptr_eq(known, server)) {
            let has = |key: &str| server.resource.iter().any(|attribute| attribute.key.as_str() == key);
            let lacking = IDENTITY.into_iter().filter(|key| !has(key)).collect();
            self.server = Some((Arc::clone(server), lacking));
        }
        for attribute in self.server.iter().flat_map(|(_, lacking)| lacking) {
            self.telemetry.identity_missing(attribute);
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "for display; exact up to 2^53")]
    fn show(&self) {
        let telemetry = &self.telemetry;
        telemetry.values_held.set(self.cardinality.len() as f64);
        telemetry.active_series.set(self.series.len() as f64);
        telemetry.bytes_per_minute.set(self.bytes.per_minute() as f64);
        if let (Some(gauge), Some(limit)) = (&telemetry.byte_budget_ratio, self.config.max_bytes_per_minute) {
            gauge.set(self.bytes.per_minute() as f64 / limit as f64);
        }
        if let (Some(price), Some(bytes)) = (self.config.price_per_gib, self.bytes.per_day()) {
            telemetry.cost("bytes", budget::cost_of_bytes(bytes, price));
        }
        if let Some(price) = self.config.price_per_1000_series_per_month {
            telemetry.cost("series", budget::cost_of_series(self.series.len(), price));
        }
    }
}

impl Processor for Verification {
    fn id(&self) -> &str {
        &self.id
    }

    fn process(&mut self, cx: &mut Context<'_>, mut batch: Batch, out: &mut Output) {
        if !sanity::has_target(&batch) {
            return self.telemetry.dropped(DropReason::MissingTarget, batch.records.len() as u64);
        }
        self.check_identity(&batch.target.server);
        if let Some(seconds) = sanity::skew_seconds(&batch) {
            self.telemetry.clock_skew(seconds);
        }
        self.bytes.turn(cx.monotonic);
        let clocks = Clocks::of(&batch, cx.now);
        let target = Arc::clone(&batch.target);
        let database = target.database.as_deref().unwrap_or_default();
        let was_empty = batch.records.is_empty();
        batch.records.retain_mut(|record| match self.verify(record, database, &clocks, cx.monotonic) {
            Some(reason) => {
                self.telemetry.dropped(reason, 1);
                false
            }
            None => true,
        });
        // Labels of another target are judged by themselves, even if they were shared.
        self.labels = None;
        if was_empty || !batch.records.is_empty() {
            out.emit(batch);
        }
    }

    fn tick(&mut self, cx: &mut Context<'_>, _out: &mut Output) {
        self.bytes.turn(cx.monotonic);
        let since = Ticked { now: cx.monotonic, passed: cx.monotonic.since(self.swept) };
        self.swept = cx.monotonic;
        self.cardinality.forget(since, self.config.forget_after);
        self.series.forget(since, self.config.series_active_for);
        self.texts.forget(since);
        if let Some(ratio) = self.texts.normalisation() {
            self.telemetry.normalisation(ratio);
        }
        self.show();
    }

    fn command(&mut self, _cx: &mut Context<'_>, command: &Command, _out: &mut Output) -> Reply {
        match command {
            Command::Show => {
                let line = |name: &'static str, value: String| (Text::Static(name), Text::from(value));
                let mut lines = vec![
                    line("attribute values", format!("{} of at most {VALUES_MAX}", self.cardinality.len())),
                    line("active series", self.series.len().to_string()),
                    line("bytes in the last minute", self.bytes.per_minute().to_string()),
                ];
                lines.extend(self.telemetry.drops().map(|(reason, records)| {
                    (format!("dropped: {reason}").into(), records.to_string().into())
                }));
                Reply { lines, ..Reply::default() }
            }
            Command::Plans { .. }
            | Command::Findings { .. }
            | Command::Statements
            | Command::Decisions(_) => Reply::default(),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
