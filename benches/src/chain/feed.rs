//! Batches as a receiver makes them, used again and again so that feeding costs next to nothing.
//!
//! What processors replace in a record (text, names, sampling mark) is put back before the next pass, and its times
//! move on. One statement in a hundred comes with a text that nobody has seen yet.

use std::sync::Arc;

use dbintel_model::{
    Batch, Clock, Interval, PlanFormat, PlanIdentity, PlanObservation, PlanRung, Query, QueryText, Record,
    Text, Timestamp,
};

use crate::fixtures;

/// Statements of a batch: all that a server with 5,000 of them has.
const STATEMENTS: usize = 5_000;
/// Statements that leave where only the top does.
const TOP: usize = 200;
/// Sessions of a batch.
const SESSIONS: usize = 512;
/// Bytes of the texts of one statement in four, and of the others.
const TEXT_BYTES: (usize, usize) = (1_024, 256);
/// One in so many statements has a new text in each batch.
const NEW_TEXT_EVERY: usize = 100;
/// Databases and roles of the statements. Two of the roles are more than the lane's limit.
const NAMES: usize = 20;

/// A plan of every statement.
const PLAN: &str = r#"[{"Plan": {"Node Type": "Index Scan", "Relation Name": "orders", "Index Name": "orders_pkey",
    "Startup Cost": 0.29, "Total Cost": 8.31, "Plan Rows": 1, "Plan Width": 72, "Index Cond": "(id = $1)"}}]"#;

/// What is fed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Statements, every one of which leaves.
    AllLeave,
    /// As many statements, of which the top leaves: what a poll gives.
    TopLeaves,
    /// Sampled sessions, which the sampler decides about.
    Sessions,
}

/// Makes and refreshes the batches of one kind.
#[derive(Debug)]
pub(super) struct Feed {
    records: Vec<Record>,
    clock: Arc<dyn Clock>,
    round: usize,
    /// Where the next intervals begin.
    last: Timestamp,
}

// === impl Kind ===

impl Kind {
    /// In words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AllLeave => "5,000 statements, all leave",
            Self::TopLeaves => "5,000 statements, 200 leave",
            Self::Sessions => "512 sessions and a statement",
        }
    }
}

// === impl Feed ===

impl Feed {
    /// Records that are the same in every run but for their time: what is older than a day does not pass.
    #[must_use]
    pub(super) fn new(kind: Kind, clock: Arc<dyn Clock>) -> Self {
        let now = clock.now();
        let mut records = match kind {
            Kind::AllLeave => statements(STATEMENTS),
            Kind::TopLeaves => statements(TOP),
            Kind::Sessions => sessions(),
        };
        for record in &mut records {
            if let Record::Query(query) = record {
                query.interval = Interval { start: now, end: now };
            }
        }
        Self { records, clock, round: 0, last: now }
    }

    /// Records of a batch.
    #[must_use]
    pub(super) fn records(&self) -> usize {
        self.records.len()
    }

    /// A batch of all records.
    #[must_use]
    pub(super) fn batch(&self) -> Batch {
        self.at_present(self.records.clone())
    }

    /// A batch with a plan of each statement that leaves.
    #[must_use]
    pub(super) fn plans(&self) -> Batch {
        let plans = self.records.iter().filter_map(|record| match record {
            Record::Query(query) if query.rank.is_some() => Some(plan(query)),
            _ => None,
        });
        self.at_present(plans.collect())
    }

    fn at_present(&self, records: Vec<Record>) -> Batch {
        let now = self.clock.now();
        Batch { observed_at: now, server_clock: Some(now), ..fixtures::batch(records) }
    }

    /// Makes a batch that has passed the lane as it was, at a later time. Says how often it asked for memory.
    pub(super) fn refresh(&mut self, batch: &mut Batch) -> u64 {
        assert_eq!(batch.records.len(), self.records.len(), "the chain has lost records");
        let now = self.clock.now();
        (batch.observed_at, batch.server_clock) = (now, Some(now));
        let interval = Interval { start: self.last.min(now), end: now };
        self.last = now;
        self.round += 1;
        let mut made = 0;
        for (index, (record, original)) in batch.records.iter_mut().zip(&self.records).enumerate() {
            match (record, original) {
                (Record::Query(query), Record::Query(original)) => {
                    query.key.database.clone_from(&original.key.database);
                    query.key.user.clone_from(&original.key.user);
                    query.interval = interval;
                    query.text.clone_from(&original.text);
                    if (index + self.round).is_multiple_of(NEW_TEXT_EVERY) {
                        query.text = query.text.as_deref().map(|text| Arc::new(QueryText::clone(text)));
                        made += 1;
                    }
                }
                (Record::Session(session), Record::Session(original)) => {
                    session.sampling = None;
                    session.user.clone_from(&original.user);
                    session.text.clone_from(&original.text);
                    // Every other one runs a new statement, so that it is no duplicate.
                    if index.is_multiple_of(2) {
                        session.query_start = Some(now);
                    }
                }
                _ => {}
            }
        }
        made
    }
}

fn plan(query: &Query) -> Record {
    Record::Plan(Box::new(PlanObservation {
        key: query.key.clone(),
        text: query.text.clone(),
        rung: PlanRung::Generic,
        identity: PlanIdentity::Unproven,
        format: PlanFormat::PostgresqlJson,
        raw: Arc::from(PLAN.as_bytes()),
        obtained_at: query.interval.end,
        tables: Arc::default(),
    }))
}

fn statements(that_leave: usize) -> Vec<Record> {
    let names = |prefix: &str| -> Vec<Text> { (0..NAMES).map(|n| format!("{prefix}_{n}").into()).collect() };
    let (databases, users) = (names("database"), names("role"));
    let mut records = fixtures::queries(STATEMENTS, TEXT_BYTES.1).records;
    let long = fixtures::queries(STATEMENTS, TEXT_BYTES.0).records;
    for (index, (record, long)) in records.iter_mut().zip(long).enumerate() {
        if index.is_multiple_of(4) {
            *record = long;
        }
        if let Record::Query(query) = record {
            query.key.database = databases[index % NAMES].clone();
            query.key.user = users[index / 7 % NAMES].clone();
            query.rank = (index < that_leave).then_some(1);
        }
    }
    records
}

fn sessions() -> Vec<Record> {
    let mut records = fixtures::sessions(SESSIONS).records;
    let queries = fixtures::queries(SESSIONS, TEXT_BYTES.1).records;
    for (index, (record, query)) in records.iter_mut().zip(queries).enumerate() {
        let (Record::Session(session), Record::Query(query)) = (record, query) else { continue };
        session.text = query.text;
        session.application = Some(["web", "batch/nightly", "reports"][index % 3].into());
        session.wait_event_type = (index % 10 == 0).then(|| "Lock".into());
        session.running_ms = Some(if index % 8 == 0 { 5_000.0 } else { 3.0 });
    }
    // A batch of which nothing leaves does not come out of the lane; a statement always leaves.
    records.append(&mut fixtures::queries(1, TEXT_BYTES.1).records);
    records
}
