//! What the loops share: configuration, door, admission, gaps, and records that could not be handed over yet.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dbintel_model::{Batch, Clock, GapReason, Node, Record, Server, Target, Text, Timestamp};
use dbintel_pipeline::admission::{
    Admission, Denied, DistressSignals, FailureClass, Outcome, Permit, Purpose, StatementRequest,
};
use dbintel_pipeline::memory::MemoryAccounts;
use dbintel_pipeline::status::{State, StatusHandle};
use dbintel_pipeline::telemetry::{Registry, SelfMetric, definitions};
use dbintel_pipeline::{Door, RefuseReason};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::connections::{Connections, Leased};
use crate::config::Config;
use crate::query::connection::Limits;
use crate::query::error::QueryError;
use crate::query::facts::Facts;
use crate::query::meter::Meter;
use crate::state::gaps::{Gaps, Part};
use crate::state::held_plans::HeldPlans;
use crate::state::log_errors::LogErrors;
use crate::state::plan_times::{Durations, TimedPlans};
use crate::state::plans::Probes;

/// Gaps of refused batches that are kept for the next one.
const MAX_CARRIED_GAPS: usize = 1_000;

/// How long other loops wait for the server loop to end its poll.
const AFTER_SERVER_POLL_MAX: Duration = Duration::from_millis(500);
/// Parts that are all of a poll: of the server, of one database, of the sessions.
const WHOLE_POLLS: [&str; 3] = ["server", "database", "sessions"];

/// See the module.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: Arc<Config>,
    pub(super) server: Arc<Server>,
    /// The whole server as a target.
    pub(super) target: Arc<Target>,
    pub(super) connections: Connections,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) registry: Registry,
    /// Where it is said how many bytes caches and tables hold.
    pub(super) accounts: MemoryAccounts,
    /// Databases to visit.
    pub(super) databases: Databases,
    /// Held while the server loop polls.
    pub(super) server_poll: tokio::sync::Mutex<()>,
    /// Whether the last request was denied because the server is short of slots for connections.
    are_slots_wanted: AtomicBool,
    /// What the database has that the server loop is connected to, for the other loop that visits it.
    pub(super) facts_of_server: Mutex<Option<Facts>>,
    /// Statements whose plans are wanted.
    pub(super) plans: Mutex<Probes>,
    /// `log_line_prefix`, once it was read.
    pub(super) line_prefix: Mutex<Option<Text>>,
    /// What is known of the settings by which executions are timed.
    pub(super) durations: Mutex<Durations>,
    /// Executions by plan, as far as they are timed.
    pub(super) timed_plans: Mutex<TimedPlans>,
    /// Plans that wait for what may have changed them.
    pub(super) held_plans: Mutex<HeldPlans>,
    /// Statements of which the log has errors, until they are read next.
    pub(super) failed_statements: Arc<Mutex<LogErrors>>,
    door: Door,
    admission: Arc<dyn Admission>,
    status: StatusHandle,
    gaps: Mutex<Gaps>,
    carried: Mutex<Vec<Record>>,
}

/// The databases to visit, as last seen.
#[derive(Debug, Default)]
pub(super) struct Databases {
    /// `None` before the first look.
    names: watch::Sender<Option<Vec<Text>>>,
}

impl Databases {
    pub(super) fn set(&self, names: Vec<Text>) {
        self.names.send_replace(Some(names));
    }

    pub(super) fn get(&self) -> Option<Vec<Text>> {
        self.names.borrow().clone()
    }

    /// Waits for the first look.
    pub(super) async fn known(&self) {
        // The sender is ours, so that it cannot be gone.
        let _ = self.names.subscribe().wait_for(Option::is_some).await;
    }
}

/// Statements that are about to be sent.
#[derive(Debug)]
pub(super) struct Ask<'a> {
    request: StatementRequest<'a>,
    meter: Option<Arc<Meter>>,
}

impl<'a> Ask<'a> {
    /// To open a connection.
    const fn connect(target: &'a Target) -> Self {
        let request =
            StatementRequest { target, purpose: Purpose::Connect, feature: "connect", cheapest: true };
        Self { request, meter: None }
    }

    /// On an open connection, whose meter says what they cost. `feature` is the name of what is read.
    pub(super) const fn new(
        target: &'a Target,
        purpose: Purpose,
        feature: &'static str,
        meter: Arc<Meter>,
    ) -> Self {
        let request = StatementRequest { target, purpose, feature, cheapest: false };
        Self { request, meter: Some(meter) }
    }

    /// The same as the cheapest there is, fit to find out whether a server or database is well again.
    pub(super) const fn cheapest(mut self) -> Self {
        self.request.cheapest = true;
        self
    }
}

impl Shared {
    #[allow(clippy::too_many_arguments, reason = "the parts of a receiver's context, each handed over once")]
    pub(super) fn new(
        config: Arc<Config>,
        server: Arc<Server>,
        door: Door,
        admission: Arc<dyn Admission>,
        clock: Arc<dyn Clock>,
        registry: Registry,
        accounts: MemoryAccounts,
        status: StatusHandle,
    ) -> Self {
        let labels = |state| vec![("receiver", server.receiver.clone()), ("state", Text::Static(state))];
        let open = registry.gauge(&definitions::CONNECTIONS, labels("open"));
        let held = registry.gauge(&definitions::CONNECTIONS, labels("held"));
        Self {
            connections: Connections::new(Arc::clone(&config), Arc::clone(&clock), open, held),
            target: Arc::new(Target::server(Arc::clone(&server))),
            databases: Databases::default(),
            plans: Mutex::new(Probes::every(config.plans.map_or(Duration::MAX, |plans| plans.reprobe))),
            line_prefix: Mutex::default(),
            durations: Mutex::default(),
            timed_plans: Mutex::default(),
            server_poll: tokio::sync::Mutex::default(),
            are_slots_wanted: AtomicBool::default(),
            facts_of_server: Mutex::default(),
            held_plans: Mutex::default(),
            failed_statements: Arc::default(),
            gaps: Mutex::default(),
            carried: Mutex::default(),
            config,
            server,
            clock,
            registry,
            accounts,
            door,
            admission,
            status,
        }
    }

    /// Sends statements with a permit, and reports how they ended. `rows` counts what they gave.
    pub(super) async fn admitted<T>(
        &self,
        ask: Ask<'_>,
        statement: impl Future<Output = Result<T, QueryError>> + Send,
        rows: impl Fn(&T) -> usize + Send,
    ) -> Result<T, QueryError> {
        self.timed(ask, statement, rows).await.map(|(value, _)| value)
    }

    /// The same, with the time it took: the server's, if it says, else ours.
    pub(super) async fn timed<T>(
        &self,
        ask: Ask<'_>,
        statement: impl Future<Output = Result<T, QueryError>> + Send,
        rows: impl Fn(&T) -> usize + Send,
    ) -> Result<(T, Duration), QueryError> {
        let permit = self.permit(&ask)?;
        let started = self.clock.monotonic();
        // What was spent outside of a permit (there is nothing) is not this one's.
        let spent = || ask.meter.as_ref().and_then(|meter| meter.take());
        spent();
        let result = statement.await;
        let (wall, database) = (self.clock.monotonic().since(started), spent());
        permit.report(&Outcome {
            wall,
            database,
            rows: result.as_ref().map_or(0, |value| rows(value) as u64),
            error: result.as_ref().err().map(QueryError::for_admission),
        });
        result.map(|value| (value, database.unwrap_or(wall)))
    }

    /// Opens a connection to this database of the target, with a permit.
    pub(super) async fn connect(&self, target: &Target, database: &Text) -> Result<Leased, QueryError> {
        let permit = self.permit(&Ask::connect(target))?;
        let mut wall = Duration::ZERO;
        let result = self.connections.open(database, &mut wall).await;
        let error = result.as_ref().err().map(QueryError::for_admission);
        permit.report(&Outcome { wall, database: None, rows: 0, error });
        result
    }

    fn permit(&self, ask: &Ask<'_>) -> Result<Permit, QueryError> {
        let admitted = self.admission.admit(&ask.request);
        let wants_slots = |denied: &Denied| denied.class.is_some_and(FailureClass::wants_slots);
        self.are_slots_wanted.store(admitted.as_ref().is_err_and(wants_slots), Ordering::Relaxed);
        admitted.map_err(|denied| not_admitted(&denied))
    }

    /// Whether the server is short of slots for connections, as the last request that was made has it.
    pub(super) fn are_slots_wanted(&self) -> bool {
        self.are_slots_wanted.load(Ordering::Relaxed)
    }

    /// Limits of the target's next transaction: its time-out follows what its statements usually take.
    pub(super) fn limits(&self, target: &Target) -> Limits {
        let limits = self.config.limits;
        let statement_timeout = self.admission.statement_timeout(target).unwrap_or(limits.statement_timeout);
        Limits { statement_timeout, ..limits }
    }

    /// Waits for the server loop to end its poll, if it does so soon: our loops fall due together, and a server that works
    /// for one of us at a time is disturbed less. The server loop comes first also because its connection is the one that
    /// finds out whether a server is well again.
    pub(super) async fn after_server_poll(&self) {
        // What matters is the wait. If it was too long, the server has other troubles.
        let _ = tokio::time::timeout(AFTER_SERVER_POLL_MAX, self.server_poll.lock()).await;
    }

    /// What intervals between polls are to be multiplied with.
    pub(super) fn stretch(&self, target: &Target) -> f64 {
        self.admission.stretch(target).max(1.0)
    }

    /// Signs that the target is in trouble.
    pub(super) fn distress(&self, target: &Target, signals: &DistressSignals) {
        self.admission.distress(target, signals);
    }

    /// What our role may do, what there is, or the role of the node has changed; without a database, on the whole server.
    pub(super) fn abilities_changed(&self, target: &Target) {
        self.admission.abilities_changed(target);
    }

    /// Asks how long the server plans one of our statements that began late, if one did. Last in a transaction.
    ///
    /// # Errors
    /// The error after which the connection must be given up.
    pub(super) async fn look_at_planning(
        &self,
        target: &Target,
        leased: &mut Leased,
        limits: Limits,
    ) -> Result<(), QueryError> {
        let Some(text) = leased.connection.suspect() else { return Ok(()) };
        let ask = leased.ask(target, Purpose::Control, "planning");
        let asking = leased.connection.planning_time(limits, &text);
        match self.admitted(ask, asking, |_| 1).await {
            Ok(planning_time) => {
                self.distress(target, &DistressSignals { planning_time, ..DistressSignals::default() });
                Ok(())
            }
            Err(error) if error.connection_usable => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The connection after a poll, if it may be kept: what was found at its beginning still holds.
    pub(super) async fn done(&self, leased: Leased) -> Option<Leased> {
        if !leased.is_outdated {
            return Some(leased);
        }
        self.connections.seen.forget_columns();
        self.connections.close(leased).await;
        None
    }

    /// The connection on which this happened, out of its transaction, if it may be kept: admission said no, and others
    /// do not need its slot more than we do. Otherwise it is given up.
    pub(super) async fn keep(&self, mut leased: Leased, error: &QueryError) -> Option<Leased> {
        if error.was_denied() && error.connection_usable && leased.connection.end().await.is_ok() {
            return Some(leased);
        }
        self.connections.give_up(leased, error).await;
        None
    }

    /// Notes that a part could not be read; the record is for the next batch, if it is time to tell.
    pub(super) fn missing(&self, part: &Part, error: &QueryError, records: &mut Vec<Record>) {
        let now = self.clock.now();
        let labels = vec![
            ("receiver", self.server.receiver.clone()),
            ("part", part.what.clone()),
            ("reason", Text::Static(error.reason.as_str())),
        ];
        if WHOLE_POLLS.contains(&&*part.what) {
            self.registry.counter(&definitions::SCRAPER_ERRORED_POLLS, labels.clone()).increment();
        }
        self.registry.counter(&definitions::GAPS, labels).increment();
        if self.status.missing(&part.name(), error.reason.as_str(), &error.message, now) {
            tracing::warn!(
                receiver = %self.server.receiver, part = %part.name(), reason = error.reason.as_str(),
                detail = %error.message, "part of a poll is missing"
            );
        }
        let gap = self.gaps.lock().missing(part, error.reason, &error.message, now, self.clock.monotonic());
        records.extend(gap.map(|gap| Record::Gap(Box::new(gap))));
    }

    /// Notes that a part was read.
    pub(super) fn delivered(&self, part: &Part, records: &mut Vec<Record>) {
        if self.status.delivered(&part.name()) {
            tracing::info!(receiver = %self.server.receiver, part = %part.name(), "part of a poll is there again");
        }
        let gap = self.gaps.lock().delivered(part, self.clock.now());
        records.extend(gap.map(|gap| Record::Gap(Box::new(gap))));
    }

    /// Forgets what is missing of databases that are gone.
    pub(super) fn forget_databases(&self, exists: impl Fn(&Text) -> bool) {
        self.admission.retain_databases(&|name| exists(&Text::from(name.to_owned())));
        for part in self.gaps.lock().retain_databases(exists) {
            self.status.delivered(&part.name());
        }
    }

    /// Notes that the server answered.
    pub(super) fn reached(&self) {
        if self.status.succeeded(self.clock.now()) {
            tracing::info!(receiver = %self.server.receiver, server = %self.server, "server answers");
        }
    }

    /// Notes that the server could not be reached.
    pub(super) fn unreachable(&self, error: &QueryError) {
        let reason = format!("{}: {}", error.reason.as_str(), error.message);
        if self.status.set(State::Degraded(reason.into()), self.clock.now()) {
            tracing::warn!(receiver = %self.server.receiver, server = %self.server, %error, "server cannot be read");
        }
    }

    /// Whether the lane refuses records because memory is short.
    pub(super) fn is_short_of_memory(&self) -> bool {
        self.door.is_under_memory_pressure()
    }

    /// Counts something of this receiver under a closed-set label.
    pub(super) fn count(
        &self,
        metric: &'static SelfMetric,
        label: &'static str,
        value: &'static str,
        amount: u64,
    ) {
        let labels = vec![("receiver", self.server.receiver.clone()), (label, Text::Static(value))];
        self.registry.counter(metric, labels).add(amount);
    }

    /// Offers records at the lane's door. Gaps of a refused batch go with the next one; everything else is covered by
    /// the next reading, since the state it came from is kept. Says whether the lane took them.
    pub(super) fn offer(
        &self,
        target: &Arc<Target>,
        node: Option<(Arc<Node>, Timestamp)>,
        mut records: Vec<Record>,
    ) -> bool {
        records.append(&mut self.carried.lock());
        if records.is_empty() {
            return true;
        }
        let (node, server_clock) = node.unzip();
        if self.config.plans.is_some() {
            self.plans.lock().observe(&mut records, self.clock.monotonic());
        }
        self.count_scraped(&records);
        let observed_at = self.clock.now();
        let batch = Batch { target: Arc::clone(target), node, observed_at, server_clock, records };
        let Err(refused) = self.door.offer(batch) else {
            return true;
        };
        if refused.reason != RefuseReason::Closed {
            self.carry(refused.batch.records);
        }
        false
    }

    fn carry(&self, records: Vec<Record>) {
        let mut carried = self.carried.lock();
        let mut lost = 0;
        for record in records.into_iter().filter(|record| matches!(record, Record::Gap(_))) {
            if carried.len() < MAX_CARRIED_GAPS {
                carried.push(record);
            } else {
                lost += 1;
            }
        }
        if lost > 0 {
            self.count(&definitions::LIMIT_REACHED, "limit", "carried_gaps", lost);
        }
    }

    fn count_scraped(&self, records: &[Record]) {
        let points = records.iter().filter(|record| matches!(record, Record::Metric(_))).count();
        let labels = || vec![("receiver", self.server.receiver.clone())];
        self.registry.counter(&definitions::SCRAPER_SCRAPED_METRIC_POINTS, labels()).add(points as u64);
        let logs = (records.len() - points) as u64;
        self.registry.counter(&definitions::SCRAPER_SCRAPED_LOG_RECORDS, labels()).add(logs);
    }
}

/// What admission said, as an error. If it is slots that the server is short of, the connection is to be given back.
fn not_admitted(denied: &Denied) -> QueryError {
    let wants_slots = denied.class.is_some_and(FailureClass::wants_slots);
    QueryError {
        connection_usable: !wants_slots,
        retry_after: denied.class.is_none().then_some(denied.retry_after),
        ..QueryError::not_sent(GapReason::NotAdmitted, denied.to_string())
    }
}
