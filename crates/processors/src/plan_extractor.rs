//! `plan_extractor`: makes of the plans a receiver obtains what may leave, and says when a statement's plan changes.
//!
//! ```text
//! raw plan ─► cache by hash ─► read ─► fingerprints, summary, redaction ─► same as before? ─► nothing leaves
//!                                                                     └─► first, or another ─► db.server.query_plan
//!                                                                                  └─ another ─► dbintel.plan.change
//! ```
//!
//! Promises:
//! * raw plans end here: what leaves is redacted, and holds no literal and no value of a parameter;
//! * a plan leaves when it is the first of its statement, rung and node, or another than the last one of these; each
//!   change is told once. Every interval of a statement bears the fingerprint of the last plan that was obtained;
//! * where plans depend on values (rungs `actual`, `extension` and `custom`), a statement has a set of plans, and only one
//!   that is new in the set is a change; on `custom`, where chance decides which values are met, it is news and no change;
//! * plans of different rungs, or of different nodes, are never compared;
//! * bytes that do not give a whole plan change nothing and are counted, by reason;
//! * the cache changes cost, never output, and no clock decides anything: reading ends by steps, statements are forgotten
//!   by order;
//! * every table has a named maximum: `cache.max_bytes`, `tracked.…`, [`MAX_NODES`], [`MAX_EARLIER_PLANS`],
//!   [`MAX_RECENT_CHANGES`], [`MAX_WITHOUT_PLAN`].

mod cache;
mod causes;
mod config;
mod describe;
mod extract;
mod lru;
mod nodes;
mod sizes;
mod snapshot;
mod statements;
mod stored;
mod telemetry;
mod view;
mod without;

use dbintel_model::{
    Batch, PlanChange, PlanNews, PlanObservation, PlanSpan, QueryPlan, Record, Text, Timestamp,
};
use dbintel_pipeline::memory::{Holding, MemoryAccounts};
use dbintel_pipeline::telemetry::Registry;
use dbintel_pipeline::{Command, Context, Output, Processor, Reply, RestoreError};
use dbintel_plan::{Budget, diff, form, parse_postgresql};

pub use self::cache::PlanCache;
pub use self::causes::{CAUSE_TEXT_BYTES_MAX, CHANGES_REMEMBERED_FOR, MAX_RECENT_CHANGES};
pub use self::config::{
    BYTES_MAX, BYTES_MIN, CacheSettings, EVENT_PLAN_BYTES_MAX, EVENT_PLAN_BYTES_MIN, MAX_TRACKED_STATEMENTS,
    PARSE_STEPS_MAX, PARSE_STEPS_MIN, PLAN_BYTES_MIN, PlanExtractorConfig, PlanExtractorSettings,
    TrackedSettings,
};
pub use self::describe::SUMMARY_SCANS_MAX;
pub use self::nodes::MAX_NODES;
pub use self::statements::MAX_EARLIER_PLANS;
pub use self::stored::COMPRESS_ABOVE_BYTES;
pub use self::view::{PLANS_SHOWN_MAX, STATEMENTS_IN_FULL_MAX};
pub use self::without::MAX_WITHOUT_PLAN;

use self::causes::RecentChanges;
use self::extract::Extracted;
use self::nodes::Nodes;
use self::statements::{Replaced, StatementKey, Statements, Verdict};
use self::telemetry::Telemetry;
use self::without::WithoutPlan;

/// The processor. Every lane has its own; lanes share the cache.
#[derive(Debug)]
pub struct PlanExtractor {
    id: Text,
    config: PlanExtractorConfig,
    cache: PlanCache,
    statements: Statements,
    nodes: Nodes,
    changes: RecentChanges,
    without: WithoutPlan,
    telemetry: Telemetry,
    held: Holding,
}

/// Where and when the plans of a batch were obtained.
#[derive(Clone, Copy)]
struct Place {
    node: u32,
    read_at: Timestamp,
}

// === impl PlanExtractor ===

impl PlanExtractor {
    /// A processor for the lane of `receiver`.
    #[must_use]
    pub fn new(
        id: Text,
        receiver: &Text,
        config: PlanExtractorConfig,
        cache: PlanCache,
        registry: Registry,
        accounts: &MemoryAccounts,
    ) -> Self {
        Self {
            cache,
            statements: Statements::new(config.tracked_statements, config.tracked_bytes),
            nodes: Nodes::default(),
            changes: RecentChanges::default(),
            without: WithoutPlan::new(),
            held: accounts.hold(format!("lane {receiver} plans").into()),
            telemetry: Telemetry::new(registry, id.clone(), receiver.clone()),
            config,
            id,
        }
    }

    /// What becomes of one raw plan.
    fn observe(&mut self, place: Place, observation: PlanObservation, out: &mut Vec<Record>) {
        let key = StatementKey::new(place.node, &observation.key);
        let (look, form) = match self.cache.remembered(observation.format, &observation.raw) {
            Some(look) => (look, None),
            None => {
                // Usually only its numbers are others, since the data grow.
                let form = form(&observation.raw);
                if self.statements.recognise(&key, &observation, form) {
                    return self.telemetry.recognised();
                }
                (self.cache.read(observation.format, &observation.raw), Some(form))
            }
        };
        self.telemetry.looked(&look);
        let Ok(extracted) = look.outcome else { return };
        let (news, replaced) = match self.statements.observe(key, &observation, &extracted, form) {
            Verdict::Same => return,
            Verdict::Alternated => return self.telemetry.alternated(),
            Verdict::First => (self.news_of_first(key, &observation), None),
            Verdict::OfOtherValues => (PlanNews::OtherValues, None),
            Verdict::Changed(replaced) => (PlanNews::Changed, Some(replaced)),
        };
        self.telemetry.event(news.as_str());
        let change = replaced.map(|replaced| self.change(place, &observation, &extracted, &replaced));
        out.push(Record::QueryPlan(Box::new(self.query_plan(observation, &extracted, news))));
        out.extend(change.map(|change| Record::PlanChange(Box::new(change))));
    }

    /// A statement without a plan on this node may have had one on another.
    fn news_of_first(&self, key: StatementKey, observation: &PlanObservation) -> PlanNews {
        let (mut others, news) = self.nodes.others(key.node);
        let had_one = others.any(|node| self.statements.knows(&key.on(node), observation.rung));
        if had_one { news } else { PlanNews::FirstSeen }
    }

    fn query_plan(&self, observation: PlanObservation, extracted: &Extracted, news: PlanNews) -> QueryPlan {
        let json = extracted.plan.json();
        let truncated = json.len() > self.config.max_event_plan_bytes;
        let json = if truncated {
            stored::shortened(&json, self.config.max_event_plan_bytes)
        } else {
            Some(json.into_owned())
        };
        QueryPlan {
            key: observation.key,
            text: observation.text,
            rung: observation.rung,
            identity: observation.identity,
            news,
            fingerprint: extracted.fingerprint,
            obtained_at: observation.obtained_at,
            numbers: extracted.numbers,
            summary: describe::line(&extracted.scans, &extracted.counts, &observation.tables).into(),
            rules: extracted.rules.clone(),
            findings: extracted.findings.clone(),
            json: json.map(Text::from),
            truncated,
        }
    }

    fn change(
        &self,
        place: Place,
        observation: &PlanObservation,
        extracted: &Extracted,
        replaced: &Replaced,
    ) -> PlanChange {
        let (old, new) = (replaced.plan.json(), extracted.plan.json());
        let old = parse_postgresql(old.as_bytes(), &mut Budget::unlimited()).plan;
        let new = parse_postgresql(new.as_bytes(), &mut Budget::unlimited()).plan;
        // What is noticed with the plan is dated by the batch, a moment later.
        let until = observation.obtained_at.max(place.read_at);
        let window = PlanSpan { first: replaced.span.last, last: until };
        let causes = self.changes.between(window, observation, &old, &new);
        PlanChange {
            key: observation.key.clone(),
            text: observation.text.clone(),
            rung: observation.rung,
            identity: observation.identity,
            at: observation.obtained_at,
            old: replaced.fingerprint,
            old_span: replaced.span,
            old_cost: replaced.cost,
            new: extracted.fingerprint,
            new_cost: extracted.numbers.total_cost,
            seen_before: replaced.seen_before,
            difference: diff(&old, &new).join("\n").into(),
            causes: causes.listed,
            causes_not_listed: causes.not_listed,
        }
    }

    fn note_changes(&mut self, place: Place, records: &[Record]) {
        let mut dropped = 0;
        for record in records {
            if let Record::Change(change) = record {
                dropped += u64::from(self.changes.note(change, place.read_at));
            }
        }
        self.telemetry.limit("plan_recent_changes", dropped);
    }

    fn replace_plans(&mut self, place: Place, records: Vec<Record>) -> Vec<Record> {
        let mut kept = Vec::with_capacity(records.len());
        for record in records {
            match record {
                Record::Plan(observation) => self.observe(place, *observation, &mut kept),
                Record::NoPlan(missing) => {
                    let key = StatementKey::new(place.node, &missing.key);
                    // One that it had before is still the best that is known.
                    if self.statements.reference(&key).is_none() {
                        self.without.note(key, *missing, place.read_at);
                    }
                }
                other => kept.push(other),
            }
        }
        let (statements, plans) = self.statements.take_forgotten();
        self.telemetry.limit("plan_statements", statements);
        self.telemetry.limit("plan_history", plans);
        self.held.set(self.statements.bytes());
        kept
    }
}

impl Processor for PlanExtractor {
    fn id(&self) -> &str {
        &self.id
    }

    fn process(&mut self, _cx: &mut Context<'_>, mut batch: Batch, out: &mut Output) {
        let was_empty = batch.records.is_empty();
        let node = self.nodes.enter(batch.node.as_deref());
        let place = Place { node, read_at: batch.server_clock.unwrap_or(batch.observed_at) };
        // Changes first: what is told in one batch with a plan may be why it changed.
        self.note_changes(place, &batch.records);
        if batch.records.iter().any(|record| matches!(record, Record::Plan(_) | Record::NoPlan(_))) {
            batch.records = self.replace_plans(place, batch.records);
        }
        for record in &mut batch.records {
            if let Record::Query(query) = record {
                let key = StatementKey::new(node, &query.key);
                // What was recorded names its plan, and the plan itself is not there to be read.
                query.plan = self.statements.reference(&key).or(query.plan);
                self.without.read(key, query);
            }
        }
        self.telemetry.limit("statements_without_plan", self.without.take_forgotten());
        if was_empty || !batch.records.is_empty() {
            out.emit(batch);
        }
    }

    fn tick(&mut self, cx: &mut Context<'_>, _out: &mut Output) {
        self.telemetry.show(self.statements.len(), cx.monotonic);
    }

    fn command(&mut self, _cx: &mut Context<'_>, command: &Command, _out: &mut Output) -> Reply {
        match command {
            Command::Show => {
                let (plans, bytes) = self.cache.held();
                let PlanExtractorConfig { tracked_statements, tracked_bytes, cache_bytes, .. } = self.config;
                let statements = format!("{} of at most {tracked_statements}", self.statements.len());
                let held = format!("{} of at most {tracked_bytes}", self.statements.bytes());
                let cache = format!("{plans} plans, {bytes} of at most {cache_bytes} bytes, all servers");
                let without = format!("{} of at most {MAX_WITHOUT_PLAN}", self.without.len());
                let lines = [
                    ("statements with a plan", statements),
                    ("top statements without one", without),
                    ("bytes of their plans", held),
                    ("cache", cache),
                ];
                let lines = lines.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
                Reply { lines, ..Reply::default() }
            }
            Command::Plans { statement } => {
                let plans = view::plans(&self.statements, statement.as_deref());
                let without_plan =
                    if statement.is_none() { self.without.views().collect() } else { Vec::new() };
                Reply { plans, without_plan, ..Reply::default() }
            }
            Command::Findings { .. } | Command::Statements | Command::Decisions(_) => Reply::default(),
        }
    }

    fn snapshot(&self) -> Option<Vec<u8>> {
        Some(snapshot::write(&self.nodes, &self.changes, &self.statements))
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), RestoreError> {
        let mut statements = Statements::new(self.config.tracked_statements, self.config.tracked_bytes);
        let error =
            |_| RestoreError { id: self.id.clone(), reason: "it is damaged or of another version".into() };
        let (nodes, changes) = snapshot::read(state, &mut statements).map_err(error)?;
        (self.statements, self.nodes, self.changes) = (statements, nodes, changes);
        self.held.set(self.statements.bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests;
