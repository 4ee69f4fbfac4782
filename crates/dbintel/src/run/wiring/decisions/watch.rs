//! Looks for what others changed in the store: tells every lane what was decided, and keeps the findings that ended last for pages. Says on
//! the way how the store is doing.
//!
//! A decision is told again for [`TOLD_AGAIN`]: a lane that was started anew may have lost what it was told last, the clocks of persons'
//! machines differ from ours, and a transaction can end after a later one. Lanes pass over what they know.

use std::sync::Arc;
use std::time::Duration;

use dbintel_model::{Clock, Timestamp};
use dbintel_pipeline::status::{State, StatusHandle};
use dbintel_pipeline::telemetry::{Registry, definitions};
use dbintel_pipeline::{Command, ComponentError, FindingDecision, LaneCommands};
use dbintel_store::{AuditEntry, Decided, PastCases, Store, StoreError, StoreTrouble};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// How often is looked. A person who decided sees it done within this time.
pub(in crate::run::wiring) const LOOKED_EVERY: Duration = Duration::from_secs(5);
/// For how long a decision is told again.
const TOLD_AGAIN: Duration = Duration::from_secs(3_600);
/// How long a lane may take to listen; one that does not is told the next time.
const LISTENING_TIME_MAX: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Clone)]
pub(in crate::run::wiring) struct StoreWatch {
    pub(in crate::run::wiring) store: Store,
    /// That of the store.
    pub(in crate::run::wiring) status: StatusHandle,
    pub(in crate::run::wiring) lanes: Vec<LaneCommands>,
    pub(in crate::run::wiring) past: PastCases,
    pub(in crate::run::wiring) clock: Arc<dyn Clock>,
    pub(in crate::run::wiring) registry: Registry,
}

/// What was looked at.
#[derive(Debug, Default)]
struct Seen {
    /// From when on decisions are told; at first, all.
    since: Timestamp,
    /// The latest one.
    last: Option<AuditEntry>,
}

// === impl StoreWatch ===

impl StoreWatch {
    /// Runs until `shutdown`.
    pub(in crate::run::wiring) async fn run(self, shutdown: CancellationToken) -> Result<(), ComponentError> {
        let mut ticks = tokio::time::interval(LOOKED_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut seen = Seen::default();
        let watching = async {
            loop {
                ticks.tick().await;
                self.look(&mut seen).await;
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = watching => {}
        }
        Ok(())
    }

    async fn look(&self, seen: &mut Seen) {
        let looked = self.look_into_store(seen).await;
        let trouble = looked.as_ref().err().map(StoreTrouble::of);
        self.show(trouble.or_else(|| self.store.writing_trouble()));
    }

    async fn look_into_store(&self, seen: &mut Seen) -> Result<(), StoreError> {
        let now = self.clock.now();
        let found = self.store.decided_since(seen.since).await?;
        if found.entries.last() != seen.last.as_ref() {
            self.store.findings_changed();
            seen.last = found.entries.last().cloned();
        }
        if self.tell(found).await {
            seen.since = before(now, TOLD_AGAIN);
        }
        self.past.refresh(&self.store).await
    }

    /// Says whether every lane has heard it.
    async fn tell(&self, found: Decided) -> bool {
        if found.more {
            let labels = vec![("limit", "decisions".into())];
            self.registry.counter(&definitions::LIMIT_REACHED, labels).increment();
        }
        if found.entries.is_empty() {
            return true;
        }
        let decisions: Arc<[FindingDecision]> = found.entries.into_iter().map(told).collect();
        let tell = |lane: &LaneCommands| {
            let (lane, command) = (lane.clone(), Command::Decisions(Arc::clone(&decisions)));
            async move {
                let told = tokio::time::timeout(LISTENING_TIME_MAX, lane.command(command)).await;
                matches!(told, Ok(Some(_)))
            }
        };
        let heard = futures_util::future::join_all(self.lanes.iter().map(tell)).await;
        heard.into_iter().all(|heard| heard)
    }

    fn show(&self, trouble: Option<StoreTrouble>) {
        let now = self.clock.now();
        match trouble {
            Some(trouble) => {
                if self.status.set(State::Degraded(trouble.to_string().into()), now) {
                    tracing::warn!(%trouble, "the store does not work");
                }
            }
            None => {
                if self.status.succeeded(now) {
                    tracing::info!("the store works");
                }
            }
        }
    }
}

fn told(AuditEntry { finding, decision, .. }: AuditEntry) -> FindingDecision {
    FindingDecision { finding, decision }
}

fn before(now: Timestamp, length: Duration) -> Timestamp {
    let length = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
    Timestamp::from_nanos(now.as_nanos().saturating_sub(length))
}
