//! `regression_verifier`: keeps what every statement does at each hour of the day, and says when a change of plan made one slower.
//!
//! ```text
//! intervals ─► hours and short blocks of each statement ─► control: what the statements without a change do
//! plan change ─► trial: what was before is kept ─► judged with every block ─► finding, or not ─► followed to its end
//! hours ─► a step without a change? a slow one? an unstable one? ─► finding
//! ```
//!
//! Promises:
//! * a statement with one plan takes at most 4 KiB, one under trial at most 16 KiB more ([`TRIAL_BYTES_MAX`]); hours in which it did not run take
//!   nothing. At most `max_statements` and `max_trials`; beyond that those go that take, or lose, the least time, counted;
//! * nothing is concluded here: `dbintel-evidence` judges, and this puts the numbers before it. Below a week of history no
//!   finding is more than `careful`, and it says what is missing and when it can be there;
//! * lifetime means are never used: only differences between readings are evidence;
//! * what passes is not changed; findings follow in a batch of their own;
//! * caps and cool-downs hold after the decision, and everything they hold back is counted;
//! * every interval that changed a statement is given to the store within [`STORED_WITHIN_SECONDS`], with the hour and the short block that are
//!   not over, and so is what it saw of a trial, so that a sudden end loses at most one interval ([`keep`]);
//! * a batch waits for its own intervals only: what is stored leaves with the seconds, and the look at all statements, at the
//!   end of an hour, is done in parts ([`look`]).
//!
//! # Which intervals are evidence
//!
//! One whose counters may mix two entries of the same key never is: after evictions, an entry that lies above its earlier counters is
//! only suspected to be the same one. The label `lower_bound` does not say that, since before PostgreSQL 17 nothing dates an entry and every
//! difference bears it. What says it is the absence of the moments: the receiver gives a mean for every difference of one entry, and for a whole new
//! one, whose executions all lie in the interval; it gives none where it only suspects. So intervals with executions and without
//! moments are left out and counted.

mod advice;
mod causes;
mod changes;
mod clock;
mod coding;
mod config;
mod control;
mod court;
mod cured;
mod decisions;
mod events;
mod follow;
mod hours;
mod improved;
mod keep;
mod life;
mod look;
mod report;
mod round;
mod server_clock;
mod show;
mod statement;
mod stored;
mod sums;
mod table;
mod taken;
mod telemetry;
mod trial;
mod undone;
mod unprompted;
mod vanished;
mod waits;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use dbintel_evidence::unprompted::TimedOut;
use dbintel_model::{
    Batch, Exactness, FindingEvent, Interval, Node, PlanChange, PlanRung, Query, QueryText, Record, Session,
    Target, Text, Timestamp,
};
use dbintel_pipeline::memory::{Holding, MemoryAccounts};
use dbintel_pipeline::telemetry::Registry;
use dbintel_pipeline::{Command, Context, Output, Processor, Reply, RestoreError};

pub use self::changes::CHANGES_REMEMBERED;
pub use self::coding::{SUM_ERROR, VARIATION_ERROR};
pub use self::config::{
    ACCELERATION_MAX, CAP_MAX, CapSettings, FLAPPING_MIN, MAX_STATEMENTS, MAX_TRIALS, PERIOD_MAX,
    RegressionVerifierConfig, RegressionVerifierSettings, ThresholdSettings,
};
pub use self::control::{CONTROL_BLOCKS_PER_CALL, MAX_CONTROL_STATEMENTS};
pub use self::cured::CURED_MAX;
pub use self::events::{EVENT_TEXT_BYTES_MAX, MAX_EVENTS};
pub use self::hours::{HOURS_MAX, SHORTS_MAX, TRIAL_SHORTS_MAX};
pub use self::improved::IMPROVEMENTS_PER_HOUR;
pub use self::keep::{STORED_PER_CALL, STORED_WITHIN_SECONDS};
pub use self::life::{MAX_ENDED, MAX_OPEN_FINDINGS, MAX_TOLD};
pub use self::look::{CLOSED_PER_CALL, JUDGED_PER_CALL, LOOKED_AT_PER_CALL};
pub use self::show::{
    FINDINGS_BYTES_MAX, FINDINGS_IN_FULL_MAX, STATEMENTS_SHOWN_MAX, TEXT_SHOWN_BYTES_MAX, WATCHED_MAX,
};
pub use self::trial::{CAUSE_BYTES_MAX, DIFFERENCE_BYTES_MAX, TRIAL_BYTES_MAX};

use self::changes::GivenUp;
use self::clock::{BlockClock, Places};
use self::control::Controls;
use self::court::Court;
use self::events::Events;
use self::improved::Improvements;
use self::keep::Unstored;
use self::life::Findings;
use self::look::Look;
use self::server_clock::{Said, ServerClock};
use self::sums::SumReader;
use self::table::{Statements, node_number};
use self::telemetry::{Ignored, Telemetry};
use self::trial::{Flip, Trial, Trials};

/// Statements of which one call counts what they hold.
const WEIGHED_PER_CALL: usize = 512;

/// Records whose statements are fetched into the processor's cache before the first of them is seen.
const READ_AHEAD: usize = 64;

/// The processor. Every lane has its own.
#[derive(Debug)]
pub struct RegressionVerifier {
    id: Text,
    config: RegressionVerifierConfig,
    clock: BlockClock,
    statements: Statements,
    reader: SumReader,
    trials: Trials,
    controls: Controls,
    events: Events,
    findings: Findings,
    improvements: Improvements,
    court: Court,
    unstored: Unstored,
    /// Findings that are to leave with the end of this call.
    pending: Vec<FindingEvent>,
    /// Hours whose changes of plan have become one finding about the server.
    server_wide: VecDeque<i64>,
    telemetry: Telemetry,
    held: Holding,
    /// The server as it was last seen.
    place: Option<(Arc<Target>, Option<Arc<Node>>)>,
    /// Blocks before these are closed.
    closed: Places,
    /// The first hour that began after the process had: of the hours before not all time-outs are known.
    known_since: i64,
    /// The look at them, while it is not over.
    look: Option<Look>,
    /// The counting of what is held, while it is not over.
    weighing: Option<Weighing>,
    /// What the server's clock said last, as far as it was believed.
    server_clock: Timestamp,
    /// Whether it is.
    clocks: ServerClock,
    /// The interval whose blocks were looked up last: all of a reading are of one.
    last_interval: Option<(Interval, Lengths)>,
}

/// What the statements hold, as far as it is counted.
#[derive(Debug, Default)]
struct Weighing {
    statements: usize,
    bytes: usize,
}

/// Where an interval belongs.
#[derive(Clone, Copy, Debug)]
struct Lengths {
    places: Places,
    fits_hour: bool,
    fits_short: bool,
}

// === impl RegressionVerifier ===

impl RegressionVerifier {
    /// A processor for the lane of `receiver`.
    #[must_use]
    pub fn new(
        id: Text,
        receiver: &Text,
        config: RegressionVerifierConfig,
        registry: Registry,
        accounts: &MemoryAccounts,
    ) -> Self {
        let settings = config.settings();
        let findings = Findings::new(
            settings.caps.clone(),
            config.shortened(settings.cool_down),
            config.shortened(settings.expire_after),
            settings.acceleration,
        );
        Self {
            clock: config.clock.clone(),
            statements: Statements::new(settings.max_statements),
            reader: SumReader::default(),
            trials: Trials::new(settings.max_trials),
            controls: Controls::default(),
            events: Events::default(),
            findings,
            improvements: Improvements::default(),
            court: Court::new(&config.thresholds),
            unstored: Unstored::default(),
            pending: Vec::new(),
            server_wide: VecDeque::new(),
            telemetry: Telemetry::new(registry, id.clone(), receiver.clone()),
            held: accounts.hold(format!("lane {receiver} baselines").into()),
            place: None,
            closed: Places { hour: i64::MIN, short: i64::MIN },
            known_since: i64::MAX,
            look: None,
            weighing: None,
            server_clock: Timestamp::from_nanos(0),
            clocks: ServerClock::new(settings.acceleration),
            last_interval: None,
            config,
            id,
        }
    }

    fn see(&mut self, record: &Record, at: Timestamp) {
        match record {
            Record::Query(query) => self.interval(query),
            Record::PlanChange(change) => self.plan_changed(change, at),
            Record::Session(session) => self.session(session, at),
            Record::Change(change) => {
                let lost = self.events.note(change, at);
                self.telemetry.limit("verifier_events", u64::from(lost));
                self.unstored.events = true;
                self.undone(at);
                self.answered(change.not_before, at);
            }
            _ => {}
        }
    }

    /// A batch whose time is not believed is no evidence of anything.
    fn leave_out(&self, batch: &Batch) {
        let intervals = batch.records.iter().filter(|record| matches!(record, Record::Query(_)));
        intervals.for_each(|_| self.telemetry.ignored(Ignored::Clock));
    }

    fn interval(&mut self, query: &Query) {
        match self.add(query) {
            Ok(()) => self.telemetry.used(1),
            Err(why) => self.telemetry.ignored(why),
        }
    }

    fn add(&mut self, query: &Query) -> Result<(), Ignored> {
        self.note_errors(query);
        if query.calls == 0 {
            // All executions failed: none has a time that says something about the plan.
            return Ok(());
        }
        let is_suspected = query.calls > 0 && query.moments.is_none();
        if is_suspected || query.exactness == Exactness::Unknown {
            return Err(Ignored::Incarnation);
        }
        let lengths = self.lengths(query.interval);
        if !lengths.fits_hour {
            return Err(Ignored::TooLong);
        }
        let sums = self.reader.read(query).ok_or(Ignored::Numbers)?;
        let statement = self.statements.enter(&query.key, query.text.as_ref()).ok_or(Ignored::Numbers)?;
        let is_kept = statement.add_to_hour(lengths.places.hour, &sums);
        if lengths.fits_short && statement.add_to_short(lengths.places.short, &sums) {
            self.unstored.short(statement);
        }
        if let Some(plan) = &query.plan {
            let day = stored::day_of(lengths.places.hour);
            // Which sample was met last is chance, and another one is no change.
            if !plan.rung.is_of_sample() {
                let before = statement.plans;
                let query_id = query.key.query_id;
                statement.plans.see(plan.fingerprint.exact, plan.rung, query_id, query.interval.end, day);
                if (before.seen, before.changed_at) != (statement.plans.seen, statement.plans.changed_at) {
                    self.unstored.about(statement);
                }
            }
            if statement.is_under_trial
                && let Some(trial) = self.trials.get_mut(statement.id)
                && let Some(flip) = &trial.flip
            {
                let [new, other] = &mut trial.seen;
                let seen = if plan.fingerprint.exact == flip.new.exact { new } else { other };
                *seen = seen.saturating_add(1);
                self.unstored.watch(statement.id);
            }
        }
        if let Some(times) = &query.plan_times
            && statement.is_under_trial
            && let Some(trial) = self.trials.get_mut(statement.id)
        {
            trial.note_times(times);
            self.unstored.watch(statement.id);
        }
        self.unstored.hours(statement);
        if is_kept { Ok(()) } else { Err(Ignored::TooLate) }
    }

    /// Executions that were timed out are in no other number.
    fn note_errors(&mut self, query: &Query) {
        let Some(errors) = query.errors.filter(|errors| errors.timed_out > 0) else { return };
        let hour = self.lengths(query.interval).places.hour;
        if let Some(statement) = self.statements.enter(&query.key, query.text.as_ref()) {
            let counted = statement.timed_out.get_or_insert_with(|| Box::new(TimedOut::new(hour)));
            counted.note(hour, errors.timed_out);
            self.unstored.about(statement);
        }
    }

    /// Blocks of an interval: those that its middle lies in, if it is not longer than they are.
    fn lengths(&mut self, interval: Interval) -> Lengths {
        if let Some((known, lengths)) = self.last_interval
            && known == interval
        {
            return lengths;
        }
        let length = interval.end.since(interval.start);
        let seconds = length.as_secs_f64();
        let lengths = Lengths {
            places: self.clock.places(interval.start.plus(length / 2)),
            fits_hour: seconds <= self.clock.hours().block_seconds(),
            fits_short: seconds <= self.clock.shorts().block_seconds(),
        };
        self.last_interval = Some((interval, lengths));
        lengths
    }

    /// A statement's sessions are known by the server's identifier; nested statements have none of their own.
    fn session(&mut self, session: &Session, at: Timestamp) {
        let (Some(query_id), Some(database), Some(user)) =
            (session.query_id, &session.database, &session.user)
        else {
            return;
        };
        if session.state.as_deref() != Some("active") {
            return;
        }
        let Some(statement) = self.statements.of_session(query_id, database, user) else { return };
        let hour = self.clock.places(at).hour;
        statement.note_session(session, hour);
        self.unstored.about(statement);
        let id = statement.id;
        if statement.is_under_trial
            && let Some(trial) = self.trials.get_mut(id)
        {
            trial.waits.note(hour, waits::counted(session));
            self.unstored.watch(id);
        }
    }

    fn plan_changed(&mut self, change: &PlanChange, now: Timestamp) {
        let day = stored::day_of(self.clock.places(change.at).hour);
        let text: Option<&Arc<QueryText>> = change.text.as_ref();
        let Some(statement) = self.statements.find(&change.key, text) else {
            return self.telemetry.ended("no_history");
        };
        statement.plans.see(change.new.exact, change.rung, change.key.query_id, change.at, day);
        statement.plans.changed_at = statement.plans.changed_at.max(Some(change.at));
        statement.note_plan_change(change.at);
        self.unstored.about(statement);
        let id = statement.id;
        if let Some(trial) = self.trials.get(id) {
            if trial.finding.is_some() {
                return self.changed_again(id, change, now);
            }
            // The rung that is closer to what runs is the one to follow.
            if trial.flip.as_ref().is_some_and(|flip| is_closer(flip.rung, change.rung)) {
                return;
            }
            self.end_trial(id, "superseded");
        }
        self.open_trial(id, Some(Flip::of(change)), change.at, Some(change.old_span.last));
    }

    /// Opens a trial of what happens from `at` on. It may have happened since `unsure_since`; what was between belongs to neither side.
    fn open_trial(&mut self, id: u64, flip: Option<Flip>, at: Timestamp, unsure_since: Option<Timestamp>) {
        let after = self.clock.from(at);
        let unsure = self.clock.places(unsure_since.unwrap_or(at).min(at));
        let before = (unsure.hour.min(after.hour), unsure.short.min(after.short));
        let Some(statement) = self.statements.get_mut(id) else { return };
        let trial = Trial::new(statement, flip, at, (after.hour, after.short), before);
        statement.is_under_trial = true;
        self.unstored.trial(id);
        if let Some(displaced) = self.trials.open(trial) {
            self.forget_trial(displaced.statement);
            self.note_given_up(&displaced, at.max(self.server_clock));
            self.telemetry.ended("displaced");
        }
        self.telemetry.limit("verifier_trials", self.trials.take_given_up());
    }

    /// What nobody looks at any more says so itself.
    fn note_given_up(&mut self, trial: &Trial, at: Timestamp) {
        if let Some(statement) = self.statements.get_mut(trial.statement) {
            statement.note_given_up(GivenUp::new(trial.at, at, self.trials.len()));
            self.unstored.about(statement);
        }
    }

    fn end_trial(&mut self, id: u64, how: &'static str) {
        if self.trials.close(id).is_some() {
            self.forget_trial(id);
            self.telemetry.ended(how);
        }
    }

    fn forget_trial(&mut self, id: u64) {
        if let Some(statement) = self.statements.get_mut(id) {
            statement.is_under_trial = false;
        }
        self.unstored.trial_ended(id);
    }

    /// Weighs some of the statements; when all are, shows what is held.
    fn weigh(&mut self, mut weighing: Weighing) {
        let part = weighing.statements..weighing.statements + WEIGHED_PER_CALL;
        weighing.bytes += self.statements.bytes_of(part.clone());
        weighing.statements = part.end;
        if weighing.statements < self.statements.len() {
            self.weighing = Some(weighing);
            return;
        }
        let bytes = weighing.bytes + self.bytes_beside_statements();
        self.held.set(bytes);
        let sizes = (self.statements.len(), self.trials.len(), bytes);
        self.telemetry.show(sizes, self.findings.iter().map(|kept| &kept.finding));
    }

    fn bytes(&self) -> usize {
        self.statements.bytes_of(0..self.statements.len()) + self.bytes_beside_statements()
    }

    fn bytes_beside_statements(&self) -> usize {
        self.statements.bytes_of_tables()
            + self.trials.bytes()
            + self.controls.bytes()
            + self.findings.bytes()
    }

    /// A length of real time, shortened by the acceleration.
    fn days(&self, days: u32) -> Duration {
        (Duration::from_secs(86_400) * days).div_f64(self.config.settings().acceleration.max(1.0))
    }
}

/// Whether the first rung is closer to what runs than the second.
fn is_closer(first: PlanRung, second: PlanRung) -> bool {
    first < second
}

impl Processor for RegressionVerifier {
    fn id(&self) -> &str {
        &self.id
    }

    fn process(&mut self, cx: &mut Context<'_>, batch: Batch, out: &mut Output) {
        let at = batch.server_clock.unwrap_or(batch.observed_at);
        if let Some(node) = &batch.node {
            self.statements.enter_node(node_number(Some(node)));
            let server = Arc::clone(&batch.target.server);
            let is_same = self.place.as_ref().is_some_and(|(target, _)| target.server == server);
            let target = match self.place.take() {
                Some((target, _)) if is_same => target,
                _ => Arc::new(Target::server(server)),
            };
            self.place = Some((target, Some(Arc::clone(node))));
        } else if self.place.is_none() {
            self.statements.enter_node(node_number(None));
            self.place = Some((Arc::new(Target::server(Arc::clone(&batch.target.server))), None));
        }
        let said =
            batch.server_clock.map_or(Said::Believed, |at| self.clocks.see(at, batch.observed_at, cx.now));
        if said == Said::Doubted {
            self.leave_out(&batch);
            out.emit(batch);
            return self.send(cx.now, self.server_clock, out);
        }
        if said == Said::Set && at < self.server_clock {
            self.set_back(at);
        }
        for part in batch.records.chunks(READ_AHEAD) {
            self.statements.read_ahead(part);
            for record in part {
                self.see(record, at);
            }
        }
        self.settle_forgotten();
        let clock = batch.server_clock;
        out.emit(batch);
        if let Some(at) = clock {
            self.server_clock = at;
            self.advance(at, cx.now);
        }
        self.send(cx.now, at, out);
    }

    fn tick(&mut self, cx: &mut Context<'_>, out: &mut Output) {
        self.send(cx.now, self.server_clock, out);
        self.begin_storing();
        if self.telemetry.is_due(cx.monotonic) {
            self.weighing = Some(Weighing::default());
        }
    }

    /// The look first, since what it finds is waited for.
    fn go_on(&mut self, cx: &mut Context<'_>, out: &mut Output) -> bool {
        if self.look.is_some() {
            self.look_on(cx.now, self.server_clock, out);
        } else if self.unstored.is_due() {
            self.store(out);
        } else if let Some(weighing) = self.weighing.take() {
            self.weigh(weighing);
        }
        self.look.is_some() || self.unstored.is_due() || self.weighing.is_some()
    }

    fn finish(&mut self) {
        self.unstored.finish();
    }

    fn command(&mut self, cx: &mut Context<'_>, command: &Command, out: &mut Output) -> Reply {
        match command {
            Command::Show => Reply { lines: self.lines(), ..Reply::default() },
            Command::Plans { .. } => Reply::default(),
            Command::Findings { finding } => {
                Reply { findings: Some(Box::new(self.findings_view(*finding))), ..Reply::default() }
            }
            Command::Statements => {
                Reply { statements: Some(Box::new(self.statements_view())), ..Reply::default() }
            }
            Command::Decisions(decisions) => {
                self.decided(decisions, cx.now);
                self.send(cx.now, self.server_clock, out);
                Reply::default()
            }
        }
    }

    fn snapshot(&self) -> Option<Vec<u8>> {
        Some(self.whole_state())
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), RestoreError> {
        let error = |reason: &'static str| RestoreError { id: self.id.clone(), reason: reason.into() };
        let values = taken::values_of(state).map_err(|_| error("it is damaged or of another version"))?;
        let damaged = self.take_over(&values);
        self.telemetry.limit("verifier_state_damaged", damaged);
        Ok(())
    }

    fn restore_kept(&mut self, kept: &[(&str, &[u8])]) -> Result<(), RestoreError> {
        let damaged = self.take_over(kept);
        self.telemetry.limit("verifier_state_damaged", damaged);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
