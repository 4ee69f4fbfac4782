//! `adaptive_sampler`: keeps a part of the sampled sessions, by rules, within a budget.
//!
//! ```text
//! session ─► first rule that matches ─► duplicate? ─► draw: hash < p? ─► hard limits? ─► kept, marked with p
//!                                          │               │                 │
//!                                      duplicate        sampled         rate_limited     marked as not kept, counted
//! ```
//!
//! Promises:
//! * it marks and drops nothing: what follows in the chain sees every record, and the exporters leave out what is
//!   marked as not kept. Only sessions are marked; counters of statements, metrics, changes and gaps never are;
//! * the sum of `1 / p` over what is kept is an unbiased estimate of what the same rules would keep with every rate at
//!   1, for each rule by itself. What hard limits cut, and what the window of duplicates had no room to remember, is
//!   outside that claim and is counted by itself;
//! * critical rules are asked first, their records are decided first within a batch, and a share of
//!   `max_records_per_second` is theirs alone, so that no flood of others can crowd them out;
//! * the adaptive rate follows the budget and is never below `min_rate`;
//! * a record turned down now is drawn anew in the next time bucket, so that none is hidden for ever.

mod bucket;
mod config;
mod counts;
mod decision;
mod dedup;
mod rate;
mod rule;
mod template;

use std::time::Duration;

use dbintel_model::{Batch, Monotonic, Record, Sampling, Session, Text};
use dbintel_pipeline::telemetry::Registry;
use dbintel_pipeline::{Command, Context, Output, Processor, Reply, RestoreError};

use self::bucket::{Budget, MinuteLimit, Part};
pub use self::config::{
    ADAPTIVE_RATE_MIN, ATTRIBUTE_BYTES_MAX, AdaptiveSamplerConfig, AdaptiveSamplerSettings, BURST_MAX,
    CONDITIONS_MAX, ConditionSettings, DEDUP_ENTRIES_MAX, DedupSettings, NAME_BYTES_MAX, PATTERNS_MAX,
    PER_MINUTE_MAX, RECORDS_PER_SECOND_MAX, RULES_MAX, RuleSettings, TIME_BUCKET_MAX, VALUE_BYTES_MAX,
};
use self::config::{Rate, Rule};
use self::counts::{Counts, DropReason};
use self::decision::{Identities, TimeBucket};
use self::dedup::Dedup;
use self::rate::{AdaptiveRate, Smoothed};
use self::rule::Matcher;
pub use self::rule::{HAYSTACK_BYTES_MAX, Literal, Operator, PATTERN_BYTES_MAX, PATTERN_COMPILED_BYTES_MAX};
pub use self::template::{SLOW_QUERIES_PER_MINUTE, SLOW_QUERY_MS, TemplateName, expanded};

/// The processor.
#[derive(Debug)]
pub struct AdaptiveSampler {
    id: Text,
    time_bucket: Duration,
    rules: Vec<RuleState>,
    matcher: Matcher,
    identities: Identities,
    budget: Budget,
    rate: AdaptiveRate,
    dedup: Option<Dedup>,
    lookups: Smoothed,
    hits: Smoothed,
    counts: Counts,
    ticked: Option<Monotonic>,
    /// Place of each session in its batch, and its rule. Kept for its memory.
    decided: Vec<(usize, usize)>,
}

/// A rule at work; the last one stands for records that none matches.
#[derive(Debug)]
struct RuleState {
    critical: bool,
    rate: Rate,
    limit: Option<MinuteLimit>,
}

/// When a batch is decided.
#[derive(Clone, Copy)]
struct Moment {
    bucket: TimeBucket,
    now: Monotonic,
}

// === impl AdaptiveSampler ===

impl AdaptiveSampler {
    /// A processor of the lane of this receiver, with full budgets.
    #[must_use]
    pub fn new(id: Text, config: &AdaptiveSamplerConfig, receiver: Text, registry: Registry) -> Self {
        let names = config.rules.iter().map(|rule| rule.name.clone());
        let unmatched = RuleState { critical: false, rate: Rate::Adaptive, limit: None };
        Self {
            time_bucket: config.time_bucket,
            rules: config.rules.iter().map(RuleState::new).chain([unmatched]).collect(),
            matcher: Matcher::new(&config.rules),
            identities: Identities::new(&id),
            budget: Budget::new(config.records_per_second, config.reserved_share, config.burst),
            rate: AdaptiveRate::new(config),
            dedup: config.dedup.map(Dedup::new),
            lookups: Smoothed::default(),
            hits: Smoothed::default(),
            counts: Counts::new(registry, id.clone(), receiver, names),
            ticked: None,
            decided: Vec::new(),
            id,
        }
    }

    /// Finds the rule of every session of the batch.
    fn match_rules(&mut self, batch: &Batch) {
        self.decided.clear();
        for (place, record) in batch.records.iter().enumerate() {
            let Record::Session(session) = record else { continue };
            // What a sampler before this one has turned down stays so.
            if session.sampling.is_some_and(|sampling| !sampling.keep) {
                continue;
            }
            if self.decided.is_empty() {
                self.matcher.begin(&batch.target.server);
                self.identities.begin(&batch.target);
            }
            self.decided.push((place, self.matcher.first_match(record)));
        }
        // Critical rules come first, so their records are decided before a batch of others has used the budget up.
        let rules = &self.rules;
        self.decided.sort_by_key(|(_, rule)| !rules.get(*rule).is_some_and(|rule| rule.critical));
    }

    fn decide(&mut self, session: &mut Session, rule_place: usize, at: Moment) {
        let Some(rule) = self.rules.get_mut(rule_place) else { return };
        self.counts.matched(rule_place);
        let key = (self.identities.of(session), rule_place);
        let adaptive = self.rate.in_bucket(at.bucket);
        let (probability, is_adaptive) = match rule.rate {
            Rate::Fixed(rate) => (rate, false),
            Rate::Adaptive => (adaptive, true),
        };
        let before = session.sampling.unwrap_or(Sampling { keep: true, probability: 1.0, suppressed: 0 });
        let mut mark = Sampling {
            keep: false,
            // The draws of two samplers are independent of each other.
            probability: before.probability * probability,
            suppressed: before.suppressed,
        };
        let dropped = if self.dedup.as_mut().is_some_and(|dedup| dedup.is_duplicate(key, at.bucket, at.now)) {
            Some(DropReason::Duplicate)
        } else if !key.0.is_kept(at.bucket, probability) {
            Some(DropReason::Sampled)
        } else {
            if is_adaptive {
                self.rate.drawn(probability);
            }
            match rule.take(&mut self.budget, at.now) {
                None => Some(DropReason::RateLimited),
                Some(part) => {
                    if part == Part::General && !is_adaptive {
                        self.rate.taken_by_others();
                    }
                    mark.keep = true;
                    let suppressed =
                        self.dedup.as_mut().map_or(0, |dedup| dedup.keep(key, at.bucket, at.now));
                    mark.suppressed = mark.suppressed.saturating_add(suppressed);
                    None
                }
            }
        };
        if let Some(reason) = dropped {
            self.counts.dropped(rule_place, reason);
        }
        session.sampling = Some(mark);
    }
}

impl Processor for AdaptiveSampler {
    fn id(&self) -> &str {
        &self.id
    }

    fn process(&mut self, cx: &mut Context<'_>, mut batch: Batch, out: &mut Output) {
        self.match_rules(&batch);
        let at = Moment { bucket: TimeBucket::of(&batch, self.time_bucket), now: cx.monotonic };
        let decided = std::mem::take(&mut self.decided);
        for (place, rule) in &decided {
            if let Some(Record::Session(session)) = batch.records.get_mut(*place) {
                self.decide(session, *rule, at);
            }
        }
        self.decided = decided;
        out.emit(batch);
    }

    #[allow(clippy::cast_precision_loss, reason = "counts of one second")]
    fn tick(&mut self, cx: &mut Context<'_>, _out: &mut Output) {
        let now = cx.monotonic;
        let span = self.ticked.replace(now).map_or(Duration::ZERO, |ticked| now.since(ticked));
        if span.is_zero() {
            return;
        }
        self.rate.adapt(span, self.budget.general_rate());
        if let Some(dedup) = &mut self.dedup {
            dedup.expire(now);
            let (lookups, hits) = dedup.take_counts();
            self.lookups.add(lookups as f64, span);
            self.hits.add(hits as f64, span);
            if self.lookups.sum() > 0.0 {
                self.counts.hit_rate(self.hits.sum() / self.lookups.sum());
            }
        }
    }

    fn command(&mut self, _cx: &mut Context<'_>, command: &Command, _out: &mut Output) -> Reply {
        match command {
            Command::Show => {
                let rate = format!("{:.4}", self.rate.now());
                let offered =
                    format!("{:.1} records/s that no fixed rate decides", self.rate.offered_per_second());
                let held = self.dedup.as_ref().map_or(0, Dedup::len);
                let mut lines = vec![
                    ("adaptive rate".into(), rate.into()),
                    ("offered".into(), offered.into()),
                    ("remembered for duplicates".into(), format!("{held} records").into()),
                ];
                lines.extend(self.counts.lines());
                Reply { lines, ..Reply::default() }
            }
            Command::Plans { .. }
            | Command::Findings { .. }
            | Command::Statements
            | Command::Decisions(_) => Reply::default(),
        }
    }

    fn snapshot(&self) -> Option<Vec<u8>> {
        Some(self.rate.snapshot())
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), RestoreError> {
        let error = |reason: &'static str| RestoreError { id: self.id.clone(), reason: reason.into() };
        self.rate.restore(state).map_err(error)
    }
}

// === impl RuleState ===

impl RuleState {
    fn new(rule: &Rule) -> Self {
        Self { critical: rule.critical, rate: rule.rate, limit: rule.max_per_minute.map(MinuteLimit::new) }
    }

    /// Takes a record's room from all limits, or from none.
    fn take(&mut self, budget: &mut Budget, now: Monotonic) -> Option<Part> {
        if !self.limit.as_mut().is_none_or(|limit| limit.has_room(now)) {
            return None;
        }
        let part = budget.room(self.critical, now)?;
        budget.take(part);
        if let Some(limit) = &mut self.limit {
            limit.take(now);
        }
        Some(part)
    }
}

#[cfg(test)]
mod tests;
