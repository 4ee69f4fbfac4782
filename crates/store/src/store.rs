//! The store as the rest of the collector sees it.

mod opening;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dbintel_model::finding::{
    Applied, Decision, Finding, FindingEvent, FindingId, FindingIds, FindingState, Outcome, PastCase,
    ServerIdentity, TrackRecord,
};
use dbintel_model::{Clock, Text, Timestamp};
use dbintel_pipeline::memory::{MemoryAccount, MemoryAccounts};
use dbintel_pipeline::telemetry::Registry;
use dbintel_pipeline::{Backoff, StateChange, StateRefused, StateStore};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Mutex as AsyncMutex, Notify};
use tokio::time::Instant;

use crate::bulk::{self, Restored};
use crate::config::StoreConfig;
use crate::database::Database;
use crate::error::StoreTrouble;
use crate::findings::{self, AuditEntry, Changed, Decided, Filter, Listed, Opened};
use crate::instances::{Instance, Instances, OtherInstance};
use crate::pending::{BATCH_ENTRIES, Pending};
use crate::record::Waiting;
use crate::telemetry::Telemetry;
use crate::{StoreError, Writer};

/// How long an operation may take, waiting for others included.
const DEADLINE: Duration = Duration::from_secs(15);
/// How long reading all baselines of a server may take.
const RESTORE_DEADLINE: Duration = Duration::from_secs(60);
/// How long a lane waits for a store that cannot be used now, before its histories begin anew. Nothing of its server leaves meanwhile, so
/// it is not long; a database that is started together with the collector is there by then.
pub const RESTORE_PATIENCE: Duration = Duration::from_secs(60);
/// The longest wait between two tries.
const RESTORE_RETRY_MAX: Duration = Duration::from_secs(5);

/// The store. Cloning it gives another handle to the same one.
#[derive(Clone, Debug)]
pub struct Store(Arc<Inner>);

/// What a store needs of its surroundings.
#[derive(Clone, Debug)]
pub struct StoreContext {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Self-metrics.
    pub registry: Registry,
    /// Where it says how much memory it holds.
    pub accounts: MemoryAccounts,
    /// Who we are.
    pub instance: Instance,
    /// What happens to a damaged file.
    pub on_damage: OnDamage,
}

/// What happens where a store cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDamage {
    /// A damaged SQLite file is set aside and a new one is begun; a place that cannot be opened is tried again with every
    /// operation: for the collector, which goes on.
    SetAside,
    /// Nothing: for a command, which says so and ends.
    Fail,
}

/// The values of one server, as its lane sees them.
#[derive(Clone, Debug)]
pub struct ServerState {
    store: Store,
    server: Text,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) config: StoreConfig,
    pub(crate) cx: StoreContext,
    pub(crate) telemetry: Telemetry,
    pub(crate) pending: Arc<Mutex<Pending>>,
    pub(crate) events: Arc<Mutex<Waiting>>,
    pub(crate) instances: Mutex<Instances>,
    /// Whether the number of open findings may have changed since it was last shown.
    findings_changed: AtomicBool,
    /// Why the last writing failed; `None` after one that did not.
    unwritten: Mutex<Option<StoreTrouble>>,
    /// Woken when a whole batch waits.
    pub(crate) full_batch: Notify,
    pub(crate) started_at: Timestamp,
    /// `None` while the place cannot be opened.
    database: RwLock<Option<Arc<Database>>>,
    recovering: AsyncMutex<()>,
    /// Lanes read what was kept one after the other, so that waiting for their turn is not waiting for a connection. It holds when one of them
    /// last gave up on a store that could not be used at all.
    restoring: AsyncMutex<Option<Instant>>,
    _account: MemoryAccount,
}

// === impl Store ===

impl Store {
    /// Opens the store. The writer has to be run for anything but findings to be written.
    ///
    /// A PostgreSQL database is reached when it is first needed, so that the collector starts without it. So it does without
    /// a place that cannot be opened now, which is tried again with every operation.
    ///
    /// # Errors
    /// With [`OnDamage::Fail`], [`StoreError`] if there can be no SQLite file at that path, or its schema is of a later version.
    pub async fn open(config: StoreConfig, cx: StoreContext) -> Result<(Self, Writer), StoreError> {
        let telemetry = Telemetry::new(cx.registry.clone());
        let opened = opening::open_database(&config, &cx, &telemetry).await;
        let opened = opened.inspect_err(|error| telemetry.failed(error.kind()));
        let database = match (opened, cx.on_damage) {
            (Ok(database), _) => Some(Arc::new(database)),
            (Err(error), OnDamage::SetAside) => {
                let trouble = StoreTrouble::of(&error);
                tracing::error!("{trouble}; the collector runs without, and goes on trying");
                None
            }
            (Err(error), OnDamage::Fail) => return Err(error),
        };
        let pending = Arc::<Mutex<Pending>>::default();
        let events = Arc::<Mutex<Waiting>>::default();
        let (held, told) = (Arc::clone(&pending), Arc::clone(&events));
        let account = cx.accounts.open("store".into(), move || held.lock().bytes() + told.lock().bytes());
        let store = Self(Arc::new(Inner {
            telemetry,
            pending,
            events,
            instances: Mutex::default(),
            findings_changed: AtomicBool::new(true),
            unwritten: Mutex::default(),
            full_batch: Notify::new(),
            started_at: cx.clock.now(),
            database: RwLock::new(database),
            recovering: AsyncMutex::default(),
            restoring: AsyncMutex::default(),
            _account: account,
            config,
            cx,
        }));
        let writer = Writer::new(store.clone());
        Ok((store, writer))
    }

    // === baselines ===

    /// Where the state changes of the lane of `server` go. The name has to be the same after a restart.
    #[must_use]
    pub fn state_of(&self, server: Text) -> ServerState {
        ServerState { store: self.clone(), server }
    }

    /// Hands out all baselines of a server, in batches. What is not written yet is not among them.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read; some batches may have been handed out then.
    pub async fn restore(
        &self,
        server: &str,
        mut take: impl FnMut(Vec<StateChange>) + Send,
    ) -> Result<Restored, StoreError> {
        let restored = async {
            let database = self.ready().await?;
            bulk::restore(&database, server, &mut take).await
        };
        let restored = tokio::time::timeout(RESTORE_DEADLINE, restored).await;
        let restored = restored.unwrap_or_else(|_| Err(StoreError::deadline(RESTORE_DEADLINE)));
        match &restored {
            Ok(restored) => self.0.telemetry.unreadable("baselines", restored.unreadable),
            Err(error) => self.0.telemetry.failed(error.kind()),
        }
        restored
    }

    // === findings ===

    /// Opens a finding, unless the store has it under one of its ids. When this returns it is durable.
    ///
    /// # Errors
    /// [`StoreError`] if it is not in the store; it can be tried again.
    pub async fn open_finding(&self, ids: FindingIds, finding: &Finding) -> Result<Opened, StoreError> {
        let opened = self.on(|database| findings::open(database, ids, finding).boxed()).await?;
        if let Opened::New(finding) = &opened {
            self.0.telemetry.finding(finding.kind, finding.state);
            self.0.findings_changed.store(true, Ordering::Relaxed);
        }
        Ok(opened)
    }

    /// A person decides about a finding. When this returns it is durable.
    ///
    /// # Errors
    /// [`StoreError::Step`] if the finding is not in a state for that; others if nothing was changed.
    pub async fn decide(&self, id: FindingId, decision: Decision) -> Result<Changed, StoreError> {
        self.change(id, move |finding| Ok(finding.decide(decision.clone())?)).await
    }

    /// A finding was found to be applied.
    ///
    /// # Errors
    /// As [`Self::decide`].
    pub async fn apply(
        &self,
        id: FindingId,
        applied: Applied,
        now: Timestamp,
    ) -> Result<Changed, StoreError> {
        self.change(id, move |finding| Ok(finding.apply(applied.clone(), now)?)).await
    }

    /// The effect of a finding was measured.
    ///
    /// # Errors
    /// As [`Self::decide`].
    pub async fn measure(&self, id: FindingId, outcome: Outcome) -> Result<Changed, StoreError> {
        self.change(id, move |finding| Ok(finding.measure(outcome.clone())?)).await
    }

    /// The time of a finding is over.
    ///
    /// # Errors
    /// As [`Self::decide`].
    pub async fn expire(&self, id: FindingId, now: Timestamp) -> Result<Changed, StoreError> {
        self.change(id, move |finding| Ok(finding.expire(now)?)).await
    }

    /// What a finding is about is gone by itself.
    ///
    /// # Errors
    /// As [`Self::decide`].
    pub async fn resolve(&self, id: FindingId, now: Timestamp) -> Result<Changed, StoreError> {
        self.change(id, move |finding| Ok(finding.resolve(now)?)).await
    }

    /// Changes what a finding says, not its id, state, decisions or outcome: these have their own functions.
    ///
    /// # Errors
    /// As [`Self::decide`].
    pub async fn revise(
        &self,
        id: FindingId,
        revise: impl Fn(&mut Finding) + Send + Sync,
    ) -> Result<Changed, StoreError> {
        self.change(id, move |finding| {
            let before = finding.clone();
            revise(finding);
            let from = before.state;
            *finding = Finding {
                id: before.id,
                state: before.state,
                opened_at: before.opened_at,
                decisions: before.decisions,
                applied: before.applied,
                outcome: before.outcome,
                ..finding.clone()
            };
            Ok(from)
        })
        .await
    }

    async fn change(
        &self,
        id: FindingId,
        change: impl Fn(&mut Finding) -> Result<FindingState, StoreError> + Send + Sync,
    ) -> Result<Changed, StoreError> {
        let change: &(dyn Fn(&mut Finding) -> Result<FindingState, StoreError> + Send + Sync) = &change;
        let changed = self.on(|database| findings::change(database, id, change).boxed()).await?;
        if changed.from != changed.finding.state {
            self.0.telemetry.finding(changed.finding.kind, changed.finding.state);
            self.0.findings_changed.store(true, Ordering::Relaxed);
        }
        Ok(changed)
    }

    /// One finding.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is none.
    pub async fn finding(&self, id: FindingId) -> Result<Finding, StoreError> {
        self.on(|database| findings::get(database, id).boxed()).await
    }

    /// The id that begins with these digits, at least [`MIN_PREFIX_DIGITS`](crate::MIN_PREFIX_DIGITS).
    ///
    /// # Errors
    /// [`StoreError::NotFound`] or [`StoreError::Ambiguous`].
    pub async fn find(&self, prefix: &str) -> Result<FindingId, StoreError> {
        self.on(|database| findings::find(database, prefix).boxed()).await
    }

    /// Findings by a filter, the latest change first.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read.
    pub async fn findings(&self, filter: &Filter) -> Result<Listed, StoreError> {
        let listed = self.on(|database| findings::list(database, filter).boxed()).await?;
        self.0.telemetry.unreadable("findings", listed.unreadable);
        Ok(listed)
    }

    /// The findings that ended last, for [`similar_cases`](dbintel_model::finding::similar_cases), at most
    /// [`MAX_PAST_CASES`](crate::MAX_PAST_CASES).
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read.
    pub async fn past_cases(&self) -> Result<Vec<PastCase>, StoreError> {
        let (cases, unreadable) = self.on(|database| findings::past_cases(database).boxed()).await?;
        self.0.telemetry.unreadable("findings", unreadable);
        Ok(cases)
    }

    /// When a finding ended last: as long as this is the same, so are [`Self::past_cases`], but for what was deleted since.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read.
    pub async fn last_ended(&self) -> Result<Option<Timestamp>, StoreError> {
        self.on(|database| findings::last_ended(database).boxed()).await
    }

    /// Who decided what about one finding or all, the latest first, at most [`MAX_LISTED`](crate::MAX_LISTED).
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read.
    pub async fn decisions(&self, finding: Option<FindingId>) -> Result<Vec<AuditEntry>, StoreError> {
        self.on(|database| findings::decisions(database, finding).boxed()).await
    }

    /// Who decided what since a time, the oldest first: the latest [`MAX_LISTED`](crate::MAX_LISTED) of them.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read.
    pub async fn decided_since(&self, since: Timestamp) -> Result<Decided, StoreError> {
        self.on(|database| findings::decided_since(database, since).boxed()).await
    }

    /// Another process changed findings: the number of those that are open is shown anew.
    pub fn findings_changed(&self) {
        self.0.findings_changed.store(true, Ordering::Relaxed);
    }

    /// Why nothing can be written at present, if that is so.
    #[must_use]
    pub fn writing_trouble(&self) -> Option<StoreTrouble> {
        self.0.unwritten.lock().clone()
    }

    pub(crate) fn written(&self, trouble: Option<StoreTrouble>) {
        *self.0.unwritten.lock() = trouble;
    }

    /// What came of what was done about findings, by kind, as long as outcomes are kept.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read.
    pub async fn track_records(&self) -> Result<Vec<TrackRecord>, StoreError> {
        self.on(|database| findings::track_records(database).boxed()).await
    }

    // === other collectors ===

    /// This process watches a server from now on. `false` if it says so of more than
    /// [`MAX_SERVERS`](crate::MAX_SERVERS).
    pub fn watch(&self, server: ServerIdentity) -> bool {
        self.0.instances.lock().watch(server)
    }

    /// This process watches a server no longer.
    pub fn unwatch(&self, server: &ServerIdentity) {
        self.0.instances.lock().forget(server);
    }

    /// Other collectors that use this store and watch a server we watch, as far as the last two looks show.
    #[must_use]
    pub fn others(&self) -> Vec<OtherInstance> {
        self.0.instances.lock().alive()
    }

    // === the rest ===

    /// Closes the connections. What waits is not written: stop the writer first.
    pub async fn close(&self) {
        self.0.pending.lock().close();
        if let Some(database) = self.database() {
            database.close().await;
        }
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.0
    }

    /// Shows how many findings are open, if that may have changed; what cannot be counted is shown the next time.
    pub(crate) async fn show_open(&self) {
        if !self.0.findings_changed.swap(false, Ordering::Relaxed) {
            return;
        }
        if let Ok(counts) = self.on(|database| findings::open_counts(database).boxed()).await {
            self.0.telemetry.open(&counts);
        } else {
            self.0.findings_changed.store(true, Ordering::Relaxed);
        }
    }

    /// Runs an operation within its deadline. One that finds the file damaged is run once more, on a new one.
    pub(crate) async fn on<'a, T>(
        &self,
        operation: impl Fn(Arc<Database>) -> BoxFuture<'a, Result<T, StoreError>> + Send + Sync,
    ) -> Result<T, StoreError> {
        let mut recovered = false;
        loop {
            let damaged = self.database();
            let run = async {
                let database = self.ready().await?;
                operation(database).await
            };
            let done = tokio::time::timeout(DEADLINE, run).await;
            let done = done.unwrap_or_else(|_| Err(StoreError::deadline(DEADLINE)));
            if let Err(error) = &done {
                self.0.telemetry.failed(error.kind());
                if error.is_corrupt() && !recovered && self.0.cx.on_damage == OnDamage::SetAside {
                    self.recover(damaged.as_ref(), error).await?;
                    recovered = true;
                    continue;
                }
            }
            return done;
        }
    }

    pub(crate) fn database(&self) -> Option<Arc<Database>> {
        self.0.database.read().clone()
    }

    fn take_in(
        &self,
        take: impl FnOnce(&mut Pending) -> Result<(), StateRefused>,
    ) -> Result<(), StateRefused> {
        let (taken, waiting) = {
            let mut pending = self.0.pending.lock();
            (take(&mut pending), pending.len())
        };
        if waiting >= BATCH_ENTRIES {
            self.0.full_batch.notify_one();
        }
        taken.inspect_err(|reason| self.0.telemetry.refused(*reason))
    }
}

impl StateStore for ServerState {
    fn put(&self, change: StateChange) -> Result<(), StateRefused> {
        let key = (self.server.clone(), change.key);
        self.store.take_in(|pending| pending.put(key, change.value))
    }

    fn finding(&self, event: &FindingEvent) -> Result<(), StateRefused> {
        let inner = self.store.inner();
        let taken = inner.events.lock().push(event);
        inner.full_batch.notify_one();
        taken.inspect_err(|reason| inner.telemetry.refused(*reason))
    }

    fn load(&self) -> BoxFuture<'_, Vec<StateChange>> {
        Box::pin(async {
            match self.restore_patiently().await {
                Ok((kept, Restored { unreadable: 0, .. })) => kept,
                Ok((kept, Restored { unreadable, .. })) => {
                    tracing::error!(server = %self.server, unreadable, "values of the store are damaged and were passed over");
                    kept
                }
                Err(error) => {
                    self.store.inner().telemetry.begun_anew.increment();
                    tracing::error!(server = %self.server, "what was kept could not be read, history begins anew: {error}");
                    Vec::new()
                }
            }
        })
    }
}

// === impl ServerState ===

impl ServerState {
    /// Everything that is kept, or nothing: half of what belongs together is worse than none. A store that cannot be used now is tried
    /// again for [`RESTORE_PATIENCE`], since what begins anew is written over what was kept.
    async fn restore_patiently(&self) -> Result<(Vec<StateChange>, Restored), StoreError> {
        let asked = Instant::now();
        let mut given_up = self.store.inner().restoring.lock().await;
        // Whoever waited while another lane gave up tries once, and does not make the next ones wait as long again.
        let patience = if given_up.is_some_and(|at| at >= asked) { Duration::ZERO } else { RESTORE_PATIENCE };
        let begun = Instant::now();
        let (mut backoff, mut random) = (Backoff::for_restarts(), fastrand::Rng::new());
        loop {
            let mut kept = Vec::new();
            let restored = self.store.restore(&self.server, |changes| kept.extend(changes)).await;
            let error = match restored {
                Ok(restored) => return Ok((kept, restored)),
                Err(error) => error,
            };
            let wait = backoff.next_wait(&mut random).min(RESTORE_RETRY_MAX);
            if !error.may_pass() || begun.elapsed() + wait > patience {
                // One that gave some of it can be used; that says nothing of the others.
                if error.may_pass() && kept.is_empty() {
                    *given_up = Some(Instant::now());
                }
                return Err(error);
            }
            tracing::warn!(server = %self.server, %error, retry_ms = wait.as_millis(), "what was kept could not be read yet");
            tokio::time::sleep(wait).await;
        }
    }
}
