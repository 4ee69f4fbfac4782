//! Which statement a plan of the server's log is of, and whether it says anything new; and which errors the log has.
//!
//! Promises:
//! * a plan is of the statement whose identifier it has itself, from version 16 on with `auto_explain.log_verbose`;
//! * or else of the one that the line names, if the text in the record has that statement in it: the identifier of a line
//!   is that of what the session runs when the line is written. A statement of the extended protocol within a transaction
//!   is explained when the next one begins, and a line within a function has the identifier of the outermost statement;
//! * nothing of the text or the parameters is kept;
//! * what is kept of a round is bounded: plans of a statement, and plans and bytes of all, and what is timed as [`super::plan_times`] has it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use dbintel_model::{PlanIdentity, Text, Timestamp};
use dbintel_plan::log::{AutoExplain, LogRecord, LoggedPlan, auto_explain};
use dbintel_plan::sql::{LexemeKind, lexemes};
use dbintel_plan::{Budget, ProblemKind, parse_postgresql};

use super::log_errors::{LogErrors, error_code};
use super::plan_times::{TimedPlans, logged};
use super::plans::{Candidate, ProbeKey};
use super::texts::query_text;

/// Different plans of one statement that are kept of a round, so that a statement whose plans alternate does not fill the
/// lane.
pub const MAX_PLANS_PER_STATEMENT: usize = 4;
/// Plans that are kept of a round.
pub const MAX_PLANS: usize = 256;
/// Bytes of the plans that are kept of a round.
pub const MAX_PLAN_BYTES: usize = 8 << 20;
/// Statements of one text that are looked at.
const MAX_STATEMENTS_IN_TEXT: usize = 64;
/// Steps that reading one plan may take, as `plan_extractor` has it by default.
const MAX_PLAN_STEPS: u64 = 1_000_000;

macro_rules! fates {
    ($($fate:ident, $name:literal, $doc:literal;)*) => {
        /// What becomes of a plan of the log.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Fate {
            $(#[doc = $doc] $fate,)*
        }

        impl Fate {
            /// Every one.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$fate),*];

            /// As a label: closed set, lower case.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$fate => $name),* }
            }

            /// What it means.
            #[must_use]
            pub const fn description(self) -> &'static str {
                match self { $(Self::$fate => $doc),* }
            }
        }
    };
}

fates! {
    Taken, "taken", "It is the plan of a top statement.";
    Repeated, "repeated", "The statement had the same plan before, since the log was last read.";
    LimitReached, "limit_reached", "So many plans of the statement, or of all, were taken since the log was last read that there was no room for it.";
    UnknownStatement, "unknown_statement", "Its statement is not among the top ones, or ran under another role than the one that logged in.";
    NoIdentifier, "no_identifier", "It does not say its database, role and statement.";
    WithinFunction, "within_function", "It is of a statement within a function, and its line has the identifier of the statement outside.";
    OtherStatement, "other_statement", "The statement that its line names is not in its text, so that it is of another one.";
    OtherFormat, "other_format", "It is not in JSON.";
    Unreadable, "unreadable", "It cannot be read.";
}

/// A plan of the log whose statement is known.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundPlan {
    /// The statement.
    pub candidate: Candidate,
    /// Whether the server vouches for it.
    pub identity: PlanIdentity,
    /// The plan, without text and parameters.
    pub raw: Arc<[u8]>,
    /// When it was logged, if the record says so.
    pub at: Option<Timestamp>,
    /// Its exact fingerprint.
    pub fingerprint: u128,
}

/// What comes of reading the log once.
#[derive(Debug, Default)]
pub struct LogRound {
    /// By database and identifier; of several roles.
    known: HashMap<(Text, i64), Vec<Candidate>>,
    /// Exact fingerprints of what was kept.
    kept: HashMap<ProbeKey, Vec<u128>>,
    bytes: usize,
    /// Whether how long executions took says something about their plans.
    is_timed: bool,
    /// Databases whose errors are counted.
    databases: HashSet<Text>,
    /// The role whose errors are our own.
    own_role: Text,
    /// Errors that were met.
    pub errors: LogErrors,
    /// Executions by plan, if they are timed.
    pub timed: TimedPlans,
    /// Plans, in the order of the log.
    pub found: Vec<FoundPlan>,
    /// How many plans had which fate.
    pub fates: BTreeMap<Fate, u64>,
}

// === impl LogRound ===

impl LogRound {
    /// Looks for plans of these statements.
    #[must_use]
    pub fn of(statements: Vec<Candidate>) -> Self {
        let mut known: HashMap<_, Vec<Candidate>> = HashMap::new();
        for candidate in statements {
            let key = (candidate.key.database.clone(), candidate.key.query_id);
            known.entry(key).or_default().push(candidate);
        }
        Self { known, ..Self::default() }
    }

    /// Counts errors as well: in these databases, of every role but this one. The log also has names of databases that
    /// there are not.
    #[must_use]
    pub fn counting_errors(mut self, databases: impl IntoIterator<Item = Text>, own_role: Text) -> Self {
        (self.databases, self.own_role) = (databases.into_iter().collect(), own_role);
        self
    }

    /// Times executions by plan as well: the log has all of them, or a random part.
    #[must_use]
    pub const fn timing(mut self, is_timed: bool) -> Self {
        self.is_timed = is_timed;
        self
    }

    /// Takes the plan or the error in a record; any other record is none of ours.
    pub fn take(&mut self, record: &LogRecord<'_>) {
        if let Some(code) = error_code(record) {
            return self.take_error(record, code);
        }
        let fate = match auto_explain(&record.message) {
            None => return,
            Some(AutoExplain::OtherFormat) => Fate::OtherFormat,
            Some(AutoExplain::Unreadable) => Fate::Unreadable,
            Some(AutoExplain::Plan(plan)) => match self.statement_of(record, &plan) {
                Ok(candidate) => self.keep(candidate, record, plan),
                Err(fate) => fate,
            },
        };
        self.count(fate);
    }

    fn take_error(&mut self, record: &LogRecord<'_>, code: &str) {
        let database = record.database.as_deref().and_then(|database| self.databases.get(database));
        let is_own = record.user.as_deref() == Some(&*self.own_role);
        let Some(database) = database.cloned().filter(|_| !is_own) else { return };
        let statement = record.query_id.and_then(|id| self.candidate(&database, id, record.user.as_deref()?));
        self.errors.note(&database, code, &record.message, statement.cloned().as_ref());
    }

    /// A record that holds a plan, by its bytes, cannot be read.
    pub fn unreadable(&mut self) {
        self.count(Fate::Unreadable);
    }

    /// Whether plans were met and none of them said its statement, for this reason.
    #[must_use]
    pub fn is_all(&self, fate: Fate) -> bool {
        let of = |fate: &Fate| self.fates.get(fate).copied().unwrap_or(0);
        of(&fate) > 0 && self.fates.keys().all(|met| *met == fate)
    }

    fn count(&mut self, fate: Fate) {
        *self.fates.entry(fate).or_default() += 1;
    }

    fn statement_of(&self, record: &LogRecord<'_>, plan: &LoggedPlan<'_>) -> Result<Candidate, Fate> {
        let own = plan.query_identifier;
        if own.is_none() && record.has_context {
            return Err(Fate::WithinFunction);
        }
        let id = own.or(record.query_id);
        let (Some(id), Some(database), Some(user)) = (id, &record.database, &record.user) else {
            return Err(Fate::NoIdentifier);
        };
        let candidate = self.candidate(&Text::from(database.to_string()), id, user);
        let candidate = candidate.ok_or(Fate::UnknownStatement)?;
        let names_it = |text: &str| {
            let known = candidate.text.as_ref().filter(|known| !known.truncated);
            known.is_some_and(|known| holds(text, known.fingerprint))
        };
        if own.is_none() && !plan.query_text.as_deref().is_some_and(names_it) {
            return Err(Fate::OtherStatement);
        }
        Ok(candidate.clone())
    }

    fn candidate(&self, database: &Text, query_id: i64, user: &str) -> Option<&Candidate> {
        let of_database = self.known.get(&(database.clone(), query_id));
        of_database.into_iter().flatten().find(|candidate| *candidate.key.user == *user)
    }

    fn keep(&mut self, candidate: Candidate, record: &LogRecord<'_>, plan: LoggedPlan<'_>) -> Fate {
        let parsed = parse_postgresql(plan.json.as_bytes(), &mut Budget::steps(MAX_PLAN_STEPS));
        let is_cut = [ProblemKind::Malformed, ProblemKind::CutShort, ProblemKind::BudgetExhausted];
        if parsed.plan.nodes().is_empty() || is_cut.into_iter().any(|kind| parsed.problems.contains(kind)) {
            return Fate::Unreadable;
        }
        let fingerprint = parsed.plan.fingerprints().exact.as_u128();
        let key = (candidate.key.database_id, candidate.key.user_id, candidate.key.query_id);
        if self.is_timed {
            self.timed.add(key, &logged(fingerprint, plan.duration_ms));
        }
        let kept = self.kept.entry(key).or_default();
        if kept.contains(&fingerprint) {
            return Fate::Repeated;
        }
        let is_full = self.found.len() >= MAX_PLANS || self.bytes + plan.json.len() > MAX_PLAN_BYTES;
        if is_full || kept.len() >= MAX_PLANS_PER_STATEMENT {
            return Fate::LimitReached;
        }
        kept.push(fingerprint);
        self.bytes += plan.json.len();
        self.found.push(FoundPlan {
            candidate,
            identity: PlanIdentity::Proven,
            raw: plan.json.into_bytes().into(),
            at: record.time_micros.map(|logged| began(logged, plan.duration_ms)),
            fingerprint,
        });
        Fate::Taken
    }
}

/// When an execution began that was logged when it ended: what happened meanwhile came after its plan was made.
fn began(logged_micros: i64, duration_ms: f64) -> Timestamp {
    Timestamp::from_micros(logged_micros.saturating_sub((duration_ms.max(0.0) * 1e3) as i64))
}

/// Whether the text is this statement, or has it among others.
fn holds(text: &str, fingerprint: u64) -> bool {
    let is_it = |part: &str| query_text(part, false).fingerprint == fingerprint;
    if is_it(text) {
        return true;
    }
    let (all, _) = lexemes(text);
    let ends = all.iter().filter(|lexeme| lexeme.kind == LexemeKind::Semicolon).map(|lexeme| lexeme.start);
    let mut from = 0;
    for end in ends.chain([text.len()]).take(MAX_STATEMENTS_IN_TEXT) {
        if text.get(from..end).is_some_and(is_it) {
            return true;
        }
        from = end + 1;
    }
    false
}

#[cfg(test)]
mod tests;
