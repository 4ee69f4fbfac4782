//! Plans from the server's log, as far as its files can be read: what auto_explain has put there since the last look.
//!
//! Files are read on a thread for blocking work. What cannot be read is a gap with its reason, and never ends anything.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dbintel_model::{GapReason, PlanFormat, PlanObservation, PlanRung, Target, Text};
use dbintel_pipeline::telemetry::definitions;
use dbintel_plan::log::{LinePrefix, LogFormat, MARK};

use tokio::task::JoinHandle;

use super::held_plans;
use super::log_errors::{CountedErrors, may_be_an_error};
use super::shared::Shared;
use crate::config::{LogFormatSetting, PlanLog};
use crate::log::{LogError, Reading, Tail};
use crate::query::error::QueryError;
use crate::state::gaps::Part;
use crate::state::plan_log::{Fate, FoundPlan, LogRound};
use crate::state::plan_times::{Durations, TimedPlans, Unconfirmed};
use crate::state::plans::MissingPlan;

/// Bytes of the plans of a batch, beyond the first of them.
const MAX_BATCH_BYTES: usize = 1 << 20;
/// How long a round waits for the files: a file system over a network can hang.
pub(super) const DEADLINE: Duration = Duration::from_secs(10);
const NO_IDENTIFIER: &str = "the plans in the log do not say their statements: set compute_query_id = on and, for stderr, \
     put %u, %d and %Q into log_line_prefix; before PostgreSQL 14 the log has no identifiers";
const OTHER_FORMAT: &str = "the plans in the log are not in JSON; set auto_explain.log_format = json";
const UNREADABLE: &str = "the plans in the log cannot be read; check plan_collection.log.format";
const PREFIX_BAD: &str = "lines of the log cannot be read: a name in log_line_prefix has nothing after it that tells where \
     it ends; put a space after it, or set log_destination = csvlog or jsonlog";

/// See the module.
#[derive(Debug)]
pub(super) struct LoggedPlans {
    config: Option<PlanLog>,
    /// `None` while it is read.
    tail: Option<Tail>,
    reading: Option<JoinHandle<Done>>,
    targets: BTreeMap<Text, Arc<Target>>,
    errors: CountedErrors,
    /// What was known of the settings when the last reading began.
    begun: Durations,
    unconfirmed: Unconfirmed,
    /// Why plans that were met can be told to no statement.
    obstacle: Option<&'static str>,
}

impl LoggedPlans {
    /// Nothing read yet.
    pub(super) fn new(config: Option<&PlanLog>) -> Self {
        let tail = config.map(|config| Tail::new(config.include.clone(), config.limits));
        Self {
            config: config.cloned(),
            tail,
            reading: None,
            targets: BTreeMap::new(),
            errors: CountedErrors::default(),
            begun: Durations::default(),
            unconfirmed: Unconfirmed::default(),
            obstacle: None,
        }
    }

    /// Reads what has come.
    pub(super) async fn read(&mut self, shared: &Shared) {
        let Some(config) = &self.config else { return };
        if shared.is_short_of_memory() {
            return;
        }
        // One that did not end is waited for once more, and no other one begun.
        let reading = match &mut self.reading {
            Some(reading) => reading,
            None => {
                let tail =
                    self.tail.take().unwrap_or_else(|| Tail::new(config.include.clone(), config.limits));
                let durations = *shared.durations.lock();
                // The first records after a change of the settings may have been logged before it.
                let is_timed = durations.are_all_logged && self.begun.are_all_logged;
                self.begun = durations;
                self.reading.insert(begin(shared, config.format, tail, is_timed))
            }
        };
        let Ok(read) = tokio::time::timeout(DEADLINE, reading).await else {
            self.tell(
                shared,
                Some(unreachable_because("reading its files takes longer than we wait for it")),
            );
            return;
        };
        self.reading = None;
        let Ok(Done { tail, reading, round, misses_prefix }) = read else {
            // It begins anew at the end of the files.
            self.tell(
                shared,
                Some(unreachable_because("reading its files ended unexpectedly, which is a bug")),
            );
            return;
        };
        self.tail = Some(tail);
        count(shared, &reading, &round);
        let mut round = round;
        self.errors.tell(shared, std::mem::take(&mut round.errors));
        self.settle_times(shared, std::mem::take(&mut round.timed));
        self.note_obstacle(&round);
        let error = reading.error.as_ref().map(unreachable).or_else(|| {
            let message = if misses_prefix { PREFIX_BAD } else { self.obstacle? };
            Some(QueryError::new(GapReason::DisabledOnServer, message))
        });
        self.tell(shared, error);
        self.deliver(shared, round.found);
    }

    /// Executions count once the settings have been read after them.
    fn settle_times(&mut self, shared: &Shared, round: TimedPlans) {
        let now = *shared.durations.lock();
        if let Some(confirmed) = self.unconfirmed.settle(round, &self.begun, &now) {
            let mut timed = shared.timed_plans.lock();
            timed.merge(confirmed);
            count_forgotten(shared, &mut timed);
        }
    }

    /// As long as no plan is met nobody knows whether it is better now.
    fn note_obstacle(&mut self, round: &LogRound) {
        if round.fates.is_empty() {
            return;
        }
        let obstacles = [
            (Fate::NoIdentifier, NO_IDENTIFIER),
            (Fate::OtherFormat, OTHER_FORMAT),
            (Fate::Unreadable, UNREADABLE),
        ];
        self.obstacle =
            obstacles.into_iter().find(|(fate, _)| round.is_all(*fate)).map(|(_, message)| message);
    }

    /// Says whether the log gives plans, and what that means where there is no other way.
    fn tell(&self, shared: &Shared, error: Option<QueryError>) {
        let (part, mut records) = (Part::server("plan log"), Vec::new());
        let is_unreachable = error.as_ref().is_some_and(|error| error.reason == GapReason::LogNotReachable);
        match error {
            Some(error) => shared.missing(&part, &error, &mut records),
            None => shared.delivered(&part, &mut records),
        }
        shared.offer(&shared.target, None, records);
        if shared.config.plans.is_some_and(|plans| !plans.explain) {
            let reason = if is_unreachable { MissingPlan::LogNotReachable } else { MissingPlan::NotLogged };
            shared.plans.lock().not_explained(reason);
        }
    }

    fn deliver(&mut self, shared: &Shared, found: Vec<FoundPlan>) {
        let mut by_database: BTreeMap<Text, Vec<FoundPlan>> = BTreeMap::new();
        for plan in found {
            by_database.entry(plan.candidate.key.database.clone()).or_default().push(plan);
        }
        self.targets.retain(|database, _| by_database.contains_key(database));
        for (database, plans) in by_database {
            let new = || Arc::new(Target::database(Arc::clone(&shared.server), database.clone()));
            let target = Arc::clone(self.targets.entry(database.clone()).or_insert_with(new));
            for plans in batches(&plans) {
                let (mut records, mut offered) = (Vec::new(), Vec::new());
                for plan in plans {
                    match held_plans::record_of_log(shared, observation(shared, plan), plan.fingerprint) {
                        Some(record) => {
                            records.push(record);
                            offered.push(plan);
                        }
                        // It waits for what may have changed it.
                        None => settle(shared, plan),
                    }
                }
                // What the lane does not take is in the log no more; the statement is logged or explained again.
                if shared.offer(&target, None, records) {
                    offered.into_iter().for_each(|plan| settle(shared, plan));
                }
            }
        }
    }
}

/// Divides plans, which can be a megabyte each or a kilobyte.
fn batches(plans: &[FoundPlan]) -> Vec<&[FoundPlan]> {
    let mut bytes = 0;
    let together = |_: &FoundPlan, next: &FoundPlan| {
        bytes += next.raw.len();
        let fits = bytes <= MAX_BATCH_BYTES;
        if !fits {
            bytes = next.raw.len();
        }
        fits
    };
    plans.chunk_by(together).collect()
}

/// What comes of reading on a thread for blocking work.
#[derive(Debug)]
struct Done {
    tail: Tail,
    reading: Reading,
    round: LogRound,
    /// Whether there were files whose lines cannot be divided.
    misses_prefix: bool,
}

/// Begins to read what has come, for the statements that are known now.
fn begin(shared: &Shared, format: LogFormatSetting, mut tail: Tail, is_timed: bool) -> JoinHandle<Done> {
    let mut statements = shared.plans.lock().known();
    statements.retain(|candidate| shared.config.wants_database(&candidate.key.database));
    let formats = Formats::new(shared.line_prefix.lock().as_deref());
    let databases = shared.databases.get().unwrap_or_default();
    let own_role = Text::from(shared.config.connect.username.clone());
    tokio::task::spawn_blocking(move || {
        let mut round = LogRound::of(statements).counting_errors(databases, own_role).timing(is_timed);
        let reading = tail.read(&|path| formats.of(format, path), &mut |format, bytes| {
            let may_be_a_plan = holds_a_plan(bytes);
            if may_be_a_plan || may_be_an_error(format, bytes) {
                match format.record(bytes) {
                    Some(record) => round.take(&record),
                    None if may_be_a_plan => round.unreadable(),
                    None => {}
                }
            }
        });
        Done { tail, reading, round, misses_prefix: formats.misses_prefix.get() }
    })
}

/// The statement has a plan and need not be explained.
fn settle(shared: &Shared, plan: &FoundPlan) {
    shared.plans.lock().explained(&plan.candidate.key, shared.clock.monotonic());
    let labels = vec![
        ("receiver", shared.server.receiver.clone()),
        ("rung", Text::Static(PlanRung::Actual.as_str())),
        ("identity", Text::Static(plan.identity.as_str())),
    ];
    shared.registry.counter(&definitions::PLANS_OBTAINED, labels).increment();
}

fn observation(shared: &Shared, plan: &FoundPlan) -> PlanObservation {
    // The log says its time in a zone whose name may mean nothing to us.
    let now = shared.clock.now();
    PlanObservation {
        key: plan.candidate.key.clone(),
        text: plan.candidate.text.clone(),
        rung: PlanRung::Actual,
        identity: plan.identity,
        format: PlanFormat::PostgresqlJson,
        raw: Arc::clone(&plan.raw),
        obtained_at: plan.at.map_or(now, |at| at.min(now)),
        tables: Arc::default(),
    }
}

/// Counts plans and statements for whose executions there was no room.
pub(super) fn count_forgotten(shared: &Shared, timed: &mut TimedPlans) {
    let forgotten = timed.take_forgotten();
    if forgotten > 0 {
        shared.count(&definitions::LIMIT_REACHED, "limit", "timed_plans", forgotten);
    }
}

fn count(shared: &Shared, reading: &Reading, round: &LogRound) {
    for (fate, number) in &round.fates {
        shared.count(&definitions::PLAN_LOG_RECORDS, "fate", fate.as_str(), *number);
    }
    let labels = || vec![("receiver", shared.server.receiver.clone())];
    shared.registry.counter(&definitions::PLAN_LOG_READ_BYTES, labels()).add(reading.bytes);
    shared.registry.counter(&definitions::PLAN_LOG_SKIPPED_BYTES, labels()).add(reading.skipped_bytes);
    let limits = [
        ("plan_log_bytes", u64::from(reading.skipped_bytes > 0)),
        ("plan_log_record", reading.long_records),
        ("plan_log_files", reading.files_beyond),
        ("plan_log_plans", round.fates.get(&Fate::LimitReached).copied().unwrap_or(0)),
    ];
    for (limit, times) in limits.into_iter().filter(|(_, times)| *times > 0) {
        shared.count(&definitions::LIMIT_REACHED, "limit", limit, times);
    }
}

fn unreachable_because(what: &'static str) -> QueryError {
    QueryError::new(GapReason::LogNotReachable, what)
}

pub(super) fn unreachable(error: &LogError) -> QueryError {
    let advice = match error {
        error if error.is_denied() => {
            "; let the collector's user read it: log_file_mode = 0640 and its membership in the group of the files, \
             and the directory readable for that group"
        }
        LogError::Unreadable { .. } | LogError::NoFile => {
            "; the server's files are where log_directory and log_filename say"
        }
    };
    QueryError::new(GapReason::LogNotReachable, format!("{error}{advice}"))
}

fn holds_a_plan(bytes: &[u8]) -> bool {
    bytes.windows(MARK.len()).any(|part| part == MARK.as_bytes())
}

/// How files are written, by the settings of the collector and of the server.
struct Formats {
    prefix: Option<LinePrefix>,
    is_bad: bool,
    /// Whether there was a file that the prefix was needed for, and it is one that lines cannot be divided by.
    misses_prefix: Cell<bool>,
}

impl Formats {
    fn new(setting: Option<&str>) -> Self {
        let prefix = setting.map(LinePrefix::parse);
        let is_bad = matches!(prefix, Some(Err(_)));
        Self { prefix: prefix.and_then(Result::ok), is_bad, misses_prefix: Cell::new(false) }
    }

    /// `None` for lines as long as their prefix is not known.
    fn of(&self, setting: LogFormatSetting, path: &Path) -> Option<LogFormat> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        // After a rotation more may follow the ending.
        let is = |ending: &str| setting == LogFormatSetting::Auto && name.contains(ending);
        match setting {
            LogFormatSetting::Jsonlog => Some(LogFormat::Json),
            LogFormatSetting::Csvlog => Some(LogFormat::Csv),
            _ if is(".json") => Some(LogFormat::Json),
            _ if is(".csv") => Some(LogFormat::Csv),
            LogFormatSetting::Auto | LogFormatSetting::Stderr => {
                self.misses_prefix.set(self.misses_prefix.get() || self.is_bad);
                self.prefix.clone().map(LogFormat::Stderr)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use dbintel_model::{PlanIdentity, QueryKey};

    use super::*;
    use crate::state::plans::Candidate;

    fn plan(bytes: usize) -> FoundPlan {
        let key = QueryKey {
            system: "postgresql",
            database: "app".into(),
            database_id: 5,
            user: "web".into(),
            user_id: 10,
            query_id: 7,
            toplevel: None,
        };
        FoundPlan {
            candidate: Candidate { key, text: None },
            identity: PlanIdentity::Proven,
            raw: vec![0; bytes].into(),
            at: None,
            fingerprint: 1,
        }
    }

    #[test]
    fn small_plans_go_together_and_large_ones_alone() {
        let sizes = |sizes: &[usize]| {
            let plans: Vec<_> = sizes.iter().map(|bytes| plan(*bytes)).collect();
            batches(&plans).iter().map(|batch| batch.len()).collect::<Vec<_>>()
        };
        assert_eq!(sizes(&[]), [0; 0]);
        assert_eq!(sizes(&[10; 200]), [200]);
        assert_eq!(sizes(&[MAX_BATCH_BYTES / 2; 6]), [3, 2, 1]);
        assert_eq!(sizes(&[3 * MAX_BATCH_BYTES; 3]), [1; 3]);
    }

    #[test]
    fn the_format_is_that_of_the_name_unless_it_is_said() {
        let formats = Formats::new(Some("%m "));
        let of = |setting, name: &str| formats.of(setting, Path::new(name));
        for (name, format) in
            [("a.json", LogFormat::Json), ("a.json.1", LogFormat::Json), ("a.csv", LogFormat::Csv)]
        {
            assert_eq!(of(LogFormatSetting::Auto, name), Some(format));
        }
        assert!(matches!(of(LogFormatSetting::Auto, "a.log"), Some(LogFormat::Stderr(_))));
        assert!(matches!(of(LogFormatSetting::Stderr, "a.json"), Some(LogFormat::Stderr(_))));
        assert_eq!(of(LogFormatSetting::Csvlog, "a"), Some(LogFormat::Csv));
        assert_eq!(of(LogFormatSetting::Jsonlog, "a"), Some(LogFormat::Json));
        // A prefix that is not known yet is waited for; one that is of no use is said.
        for (setting, is_missed) in [(None, false), (Some("%u%d"), true)] {
            let formats = Formats::new(setting);
            assert_eq!(formats.of(LogFormatSetting::Auto, Path::new("a.json")), Some(LogFormat::Json));
            assert!(!formats.misses_prefix.get());
            assert_eq!(formats.of(LogFormatSetting::Auto, Path::new("a.log")), None);
            assert_eq!(formats.misses_prefix.get(), is_missed);
        }
    }
}
