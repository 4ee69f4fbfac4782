//! What each statement's plan is, on each rung: the state by which a first plan and a change are told.
//!
//! Promises:
//! * a plan is compared with the last one of the same statement, rung and node, and with no other;
//! * what is decided depends on the plans seen and their order, not on when they were seen;
//! * statements and the bytes of their plans are bounded; the one whose plan was seen least recently goes first.

use std::collections::VecDeque;
use std::sync::Arc;

use dbintel_model::{
    PlanFingerprint, PlanIdentity, PlanObservation, PlanReference, PlanRung, PlanSpan, PlanTable, QueryKey,
    QueryText, Timestamp,
};
use dbintel_plan::root_cost;
use xxhash_rust::xxh3::xxh3_64;

use super::extract::Extracted;
use super::lru::{Limits, Lru};
use super::stored::StoredPlan;

/// Earlier plans of a statement on one rung that are remembered by their fingerprints. Beyond it the one that was
/// current least recently is forgotten, and coming back to it is not told as such.
pub const MAX_EARLIER_PLANS: usize = 8;
/// Bytes of a statement beside its plans: its key, names and places in both tables.
const STATEMENT_BYTES: usize = 400;

/// The statements of one server.
#[derive(Debug)]
pub(super) struct Statements {
    table: Lru<StatementKey, Statement>,
    forgotten: u64,
    forgotten_plans: u64,
}

/// A statement on a node. A plan obtained from a log does not say whether the statement was nested, so that is no part
/// of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct StatementKey {
    pub(super) node: u32,
    pub(super) database_id: u32,
    pub(super) user_id: u32,
    pub(super) query_id: i64,
    /// Hash of the names, where an object id is not known; else 0: names can change, and can be read late.
    pub(super) names: u64,
}

/// A statement and its plans.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Statement {
    /// As it was last told.
    pub(super) key: QueryKey,
    pub(super) text: Option<Arc<QueryText>>,
    /// The plan of the rung closest to what runs: asked for with every reading of the statement.
    reference: Option<PlanReference>,
    /// By rung.
    pub(super) tracks: [Option<Box<Track>>; PlanRung::ALL.len()],
}

/// The plans of a statement on one rung.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Track {
    pub(super) fingerprint: PlanFingerprint,
    pub(super) identity: PlanIdentity,
    pub(super) cost: Option<f64>,
    pub(super) plan: Arc<StoredPlan>,
    /// Tables it reaches, as they were when it was last seen; none where it comes from a predecessor.
    pub(super) tables: Arc<[PlanTable]>,
    /// The form of the bytes it was read from last; `None` where it comes from a predecessor.
    pub(super) form: Option<u128>,
    /// From when on it is the current one, and when it was last seen.
    pub(super) span: PlanSpan,
    /// When it was first seen, in case it was the current one before.
    pub(super) known_since: Timestamp,
    pub(super) previous: Option<Arc<StoredPlan>>,
    /// The other plans it had, the last one at the end.
    pub(super) earlier: VecDeque<Earlier>,
    pub(super) changed_at: Option<Timestamp>,
    pub(super) changes: u64,
}

/// A plan that a statement had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Earlier {
    pub(super) fingerprint: PlanFingerprint,
    pub(super) span: PlanSpan,
}

/// What a plan is for its statement.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    /// The one it had.
    Same,
    /// The first of its rung.
    First,
    /// Another than the one before.
    Changed(Box<Replaced>),
    /// Another than the one before, where the statement has several: it had this one before, or has had so many that
    /// nobody can say.
    Alternated,
    /// A plan of a sample of values that it was not seen with before. With the values of before it may be as it was.
    OfOtherValues,
}

/// The plan that is no longer the current one.
#[derive(Debug, PartialEq)]
pub(super) struct Replaced {
    pub(super) fingerprint: PlanFingerprint,
    pub(super) cost: Option<f64>,
    pub(super) span: PlanSpan,
    pub(super) plan: Arc<StoredPlan>,
    /// When the new plan was the current one before.
    pub(super) seen_before: Option<PlanSpan>,
}

// === impl Statements ===

impl Statements {
    pub(super) fn new(statements: usize, bytes: usize) -> Self {
        let limits = Limits { entries: statements, bytes, at_least: 1 };
        Self { table: Lru::new(limits), forgotten: 0, forgotten_plans: 0 }
    }

    /// Takes in a plan and says what it is. `form` is that of its bytes, where they had to be read.
    pub(super) fn observe(
        &mut self,
        key: StatementKey,
        observation: &PlanObservation,
        extracted: &Extracted,
        form: Option<u128>,
    ) -> Verdict {
        let Some(statement) = self.table.get(&key) else {
            let statement = Statement::new(observation, extracted, form);
            let weight = statement.weight_bytes();
            self.forgotten += self.table.insert(key, statement, weight);
            return Verdict::First;
        };
        let (verdict, forgotten_plans) = statement.observe(observation, extracted, form);
        let weight = statement.weight_bytes();
        self.forgotten_plans += forgotten_plans;
        self.forgotten += self.table.reweigh(&key, weight);
        verdict
    }

    /// Takes in a plan that is of the form of the one the statement has on this rung, which need not be read. Says
    /// whether it is.
    pub(super) fn recognise(
        &mut self,
        key: &StatementKey,
        observation: &PlanObservation,
        form: u128,
    ) -> bool {
        let is_it = |statement: &Statement| {
            statement.track(observation.rung).is_some_and(|track| track.form == Some(form))
        };
        if !self.table.peek(key).is_some_and(is_it) {
            return false;
        }
        self.table.get(key).is_some_and(|statement| statement.see_again(observation))
    }

    /// Whether this statement is known on this node.
    pub(super) fn knows(&self, key: &StatementKey, rung: PlanRung) -> bool {
        self.table.peek(key).is_some_and(|statement| statement.track(rung).is_some())
    }

    /// The plan of the rung closest to what runs, or of a sample if there is no other.
    pub(super) fn reference(&self, key: &StatementKey) -> Option<PlanReference> {
        self.table.peek(key)?.reference
    }

    /// Puts in what a predecessor knew.
    pub(super) fn restore(&mut self, key: StatementKey, statement: Statement) {
        let weight = statement.weight_bytes();
        self.forgotten += self.table.insert(key, statement, weight);
    }

    /// Every statement, the one whose plan was seen least recently first.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (&StatementKey, &Statement)> {
        self.table.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    pub(super) const fn bytes(&self) -> usize {
        self.table.bytes()
    }

    /// Statements, and earlier plans of statements, that were forgotten since the last call.
    pub(super) fn take_forgotten(&mut self) -> (u64, u64) {
        (std::mem::take(&mut self.forgotten), std::mem::take(&mut self.forgotten_plans))
    }
}

// === impl StatementKey ===

impl StatementKey {
    pub(super) fn new(node: u32, key: &QueryKey) -> Self {
        let names = if key.database_id == 0 || key.user_id == 0 {
            xxh3_64(format!("{}\0{}", key.database, key.user).as_bytes())
        } else {
            0
        };
        let QueryKey { database_id, user_id, query_id, .. } = *key;
        Self { node, database_id, user_id, query_id, names }
    }

    pub(super) const fn on(self, node: u32) -> Self {
        Self { node, ..self }
    }
}

// === impl Statement ===

impl Statement {
    fn new(observation: &PlanObservation, extracted: &Extracted, form: Option<u128>) -> Self {
        let mut tracks = [const { None }; PlanRung::ALL.len()];
        if let Some(track) = tracks.get_mut(observation.rung as usize) {
            *track = Some(Box::new(Track::new(observation, extracted, form)));
        }
        Self::with(observation.key.clone(), observation.text.clone(), tracks)
    }

    /// A statement with these plans.
    pub(super) fn with(
        key: QueryKey,
        text: Option<Arc<QueryText>>,
        tracks: [Option<Box<Track>>; PlanRung::ALL.len()],
    ) -> Self {
        let mut statement = Self { key, text, reference: None, tracks };
        statement.refer();
        statement
    }

    /// The plan of the closest rung. That of a sample is for one that has no other: which values were met last is chance,
    /// and intervals that bear it would seem to have changed their plan.
    fn refer(&mut self) {
        let tracks = || PlanRung::ALL.into_iter().filter_map(|rung| Some((rung, self.track(rung)?)));
        let closest = tracks().find(|(rung, _)| !rung.is_of_sample()).or_else(|| tracks().next());
        self.reference = closest.map(|(rung, track)| PlanReference { fingerprint: track.fingerprint, rung });
    }

    pub(super) fn track(&self, rung: PlanRung) -> Option<&Track> {
        self.tracks.get(rung as usize)?.as_deref()
    }

    /// The plan it has, at a later time.
    fn see_again(&mut self, observation: &PlanObservation) -> bool {
        self.name(observation);
        let Some(Some(track)) = self.tracks.get_mut(observation.rung as usize) else { return false };
        track.identity = observation.identity;
        track.span.last = track.span.last.max(observation.obtained_at);
        track.cost = root_cost(&observation.raw).or(track.cost);
        track.tables = Arc::clone(&observation.tables);
        true
    }

    fn name(&mut self, observation: &PlanObservation) {
        self.key.clone_from(&observation.key);
        if observation.text.is_some() {
            self.text.clone_from(&observation.text);
        }
    }

    fn observe(
        &mut self,
        observation: &PlanObservation,
        extracted: &Extracted,
        form: Option<u128>,
    ) -> (Verdict, u64) {
        self.name(observation);
        let seen = match self.tracks.get_mut(observation.rung as usize) {
            Some(Some(track)) => track.observe(observation, extracted, form),
            Some(empty) => {
                *empty = Some(Box::new(Track::new(observation, extracted, form)));
                (Verdict::First, 0)
            }
            // There is a track for every rung.
            None => (Verdict::Same, 0),
        };
        self.refer();
        seen
    }

    fn weight_bytes(&self) -> usize {
        STATEMENT_BYTES + self.tracks.iter().flatten().map(|track| track.weight_bytes()).sum::<usize>()
    }
}

// === impl Track ===

impl Track {
    fn new(observation: &PlanObservation, extracted: &Extracted, form: Option<u128>) -> Self {
        let at = observation.obtained_at;
        Self {
            fingerprint: extracted.fingerprint,
            identity: observation.identity,
            cost: extracted.numbers.total_cost,
            plan: Arc::clone(&extracted.plan),
            tables: Arc::clone(&observation.tables),
            form,
            span: PlanSpan { first: at, last: at },
            known_since: at,
            previous: None,
            earlier: VecDeque::new(),
            changed_at: None,
            changes: 0,
        }
    }

    fn observe(
        &mut self,
        observation: &PlanObservation,
        extracted: &Extracted,
        form: Option<u128>,
    ) -> (Verdict, u64) {
        let at = observation.obtained_at;
        self.identity = observation.identity;
        self.tables = Arc::clone(&observation.tables);
        if extracted.fingerprint.exact == self.fingerprint.exact {
            self.form = form.or(self.form);
            self.span.last = self.span.last.max(at);
            self.cost = extracted.numbers.total_cost;
            self.plan = Arc::clone(&extracted.plan);
            return (Verdict::Same, 0);
        }
        let has_many = self.earlier.len() >= MAX_EARLIER_PLANS;
        let seen_before =
            self.earlier.iter().position(|earlier| earlier.fingerprint.exact == extracted.fingerprint.exact);
        let seen_before =
            seen_before.and_then(|place| self.earlier.remove(place)).map(|earlier| earlier.span);
        let replaced = Replaced {
            fingerprint: self.fingerprint,
            cost: self.cost,
            span: self.span,
            plan: std::mem::replace(&mut self.plan, Arc::clone(&extracted.plan)),
            seen_before,
        };
        let span = PlanSpan { first: self.known_since, last: self.span.last };
        self.earlier.push_back(Earlier { fingerprint: self.fingerprint, span });
        let forgotten = self.earlier.len() > MAX_EARLIER_PLANS;
        if forgotten {
            self.earlier.pop_front();
        }
        self.previous = Some(Arc::clone(&replaced.plan));
        self.form = form;
        self.fingerprint = extracted.fingerprint;
        self.cost = extracted.numbers.total_cost;
        self.span = PlanSpan { first: at, last: at };
        self.known_since = seen_before.map_or(at, |span| span.first);
        self.changed_at = Some(at);
        self.changes += 1;
        // Going to and fro between them is how it runs, and no news.
        let is_news = !observation.rung.depends_on_values() || seen_before.is_none() && !has_many;
        let verdict = match is_news {
            false => Verdict::Alternated,
            true if observation.rung.is_of_sample() => Verdict::OfOtherValues,
            true => Verdict::Changed(Box::new(replaced)),
        };
        (verdict, u64::from(forgotten))
    }

    fn weight_bytes(&self) -> usize {
        size_of::<Self>()
            + self.plan.weight_bytes()
            + self.previous.as_ref().map_or(0, |plan| plan.weight_bytes())
            + self.earlier.capacity() * size_of::<Earlier>()
            + self.tables.iter().map(PlanTable::weight_bytes).sum::<usize>()
    }
}
