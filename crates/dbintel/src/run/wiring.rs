//! What ties receivers, lanes and exporters, and keeps what it needs to stop and start them one by one.

mod alone;
mod decisions;
mod exporter;
mod lane;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dbintel_admin::pages::LaneReplies;
use dbintel_admin::resources::{BoundSource, MemoryBound, ResourceMonitor};
use dbintel_admission::{MemoryPressure, ProcessLoad};
use dbintel_config::values::ComponentId;
use dbintel_model::finding::ServerIdentity;
use dbintel_model::{Clock, Text};
use dbintel_pipeline::memory::{MemoryAccounts, MemoryLimits, MemoryState, Pressure};
use dbintel_pipeline::overrides::Overrides;
use dbintel_pipeline::status::{ComponentKind, StatusBoard, StatusHandle};
use dbintel_pipeline::telemetry::Registry;
use dbintel_pipeline::{
    Command, LaneContext, LaneLimits, Processor, ProcessorFactory, QueueLimits, Requests, StateStore,
    Supervised, Supervisor, Turn,
};
use dbintel_processors::adaptive_sampler::AdaptiveSampler;
use dbintel_processors::circuit_breaker::{
    CircuitBreaker, CircuitBreakerConfig, Circuits, Guard, GuardContext, ProcessGate,
};
use dbintel_processors::memory_limiter::{
    AvailableMemory, MemoryLimiter, MemoryLimiterConfig, MemoryLimiterError, MemorySource, MemoryView,
    MemoryWatchContext, ResolvedLimits,
};
use dbintel_processors::plan_extractor::{PlanCache, PlanExtractor};
use dbintel_processors::regression_verifier::{RegressionVerifier, RegressionVerifierConfig};
use dbintel_processors::verification::{Verification, VerificationConfig};
use dbintel_store::{Instance, OnDamage, PastCases, Store, StoreConfig, StoreContext, StoreError};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::decisions::watch::StoreWatch;
use self::exporter::{ABORT_GRACE, RunningExporter};
use self::lane::{RunningLane, Source};
use super::WORKER_THREADS;
use crate::allocator;
use crate::assembly::{Assembly, LanePlan};
use crate::components::ProcessorPlan;

/// What may wait at the door of one lane.
const LANE_QUEUE: QueueLimits = QueueLimits { max_bytes: 64 * 1024 * 1024, max_items: 64 };
/// Requests of processors that may wait for a receiver.
const MAX_WAITING_REQUESTS: usize = 256;
/// The memory limits on this machine.
///
/// # Errors
/// If they make no sense on it.
pub fn memory_limits(
    config: &MemoryLimiterConfig,
    monitor: &ResourceMonitor,
) -> Result<ResolvedLimits, MemoryLimiterError> {
    config.resolve(monitor.limits().memory.map(available_memory))
}

/// Everything that runs.
pub struct Wiring {
    commons: Commons,
    memory: MemoryState,
    view: MemoryView,
    /// By receiver, whose name a lane bears.
    lanes: BTreeMap<Text, RunningLane>,
    exporters: BTreeMap<ComponentId, RunningExporter>,
    watch: Option<Supervised>,
    store: Option<RunningStore>,
    process: ProcessGate,
    overrides: Overrides,
    circuits: Circuits,
    /// By processor, and shared by the lanes that name it.
    plan_caches: BTreeMap<ComponentId, PlanCache>,
}

/// The store and the task that writes.
struct RunningStore {
    store: Store,
    status: StatusHandle,
    writer: Supervised,
    past: PastCases,
    /// `None` before there are lanes.
    watch: Option<Supervised>,
}

/// The name of this machine, for those who find two collectors in one store.
fn host() -> Text {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned().into()
}

/// What every component is given.
#[derive(Clone)]
struct Commons {
    clock: Arc<dyn Clock>,
    registry: Registry,
    board: StatusBoard,
    supervisor: Supervisor,
    accounts: MemoryAccounts,
}

// === impl Wiring ===

impl Wiring {
    /// Nothing runs yet; what `overrides` switches off will not.
    pub fn new(
        clock: Arc<dyn Clock>,
        registry: Registry,
        monitor: &ResourceMonitor,
        overrides: Overrides,
    ) -> Self {
        let memory = MemoryState::default();
        Self {
            process: process_gate(&clock, monitor, &memory),
            overrides,
            circuits: Circuits::default(),
            plan_caches: BTreeMap::new(),
            commons: Commons {
                supervisor: Supervisor::new(Arc::clone(&clock), registry.clone()),
                accounts: MemoryAccounts::new(registry.clone()),
                board: StatusBoard::default(),
                clock,
                registry,
            },
            memory,
            view: MemoryView::default(),
            lanes: BTreeMap::new(),
            exporters: BTreeMap::new(),
            watch: None,
            store: None,
        }
    }

    pub fn board(&self) -> StatusBoard {
        self.commons.board.clone()
    }

    pub fn registry(&self) -> Registry {
        self.commons.registry.clone()
    }

    /// The breakers of every server that is started.
    pub fn circuits(&self) -> Circuits {
        self.circuits.clone()
    }

    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.commons.clock)
    }

    /// Opens the store, which has to be there before what it keeps is asked for. One that cannot be used now is tried again, and
    /// health says so.
    ///
    /// # Errors
    /// None today.
    pub async fn open_store(&mut self, config: &StoreConfig) -> Result<(), StoreError> {
        let cx = StoreContext {
            clock: self.clock(),
            registry: self.registry(),
            accounts: self.commons.accounts.clone(),
            instance: Instance { id: format!("{:032x}", fastrand::u128(..)).into(), host: host() },
            on_damage: OnDamage::SetAside,
        };
        let (store, writer) = Store::open(config.clone(), cx).await?;
        let now = self.commons.clock.now();
        let status = self.commons.board.register(ComponentKind::Extension, "store".into(), now);
        status.set(dbintel_pipeline::status::State::Ok, now);
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone();
        let run = move || writer.clone().run(stop.clone());
        let writer = self.commons.supervisor.start("store".into(), status.clone(), shutdown, run);
        let past = PastCases::new(&self.commons.accounts);
        self.store = Some(RunningStore { store, status, writer, past, watch: None });
        Ok(())
    }

    /// Lanes hear from now on what persons decide in the store, and pages of findings that ended.
    fn watch_store(&mut self) {
        let Some(running) = &mut self.store else { return };
        let watch = StoreWatch {
            store: running.store.clone(),
            status: running.status.clone(),
            past: running.past.clone(),
            lanes: self.lanes.values().map(|lane| lane.handle.commands()).collect(),
            clock: Arc::clone(&self.commons.clock),
            registry: self.commons.registry.clone(),
        };
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone();
        let run = move || watch.clone().run(stop.clone());
        let (supervisor, status) = (&self.commons.supervisor, running.status.clone());
        running.watch = Some(supervisor.start("store_watch".into(), status, shutdown, run));
    }

    /// Where the state of a lane's processors is kept. The address is part of the name: the receiver of another server has
    /// nothing to do with it.
    fn state_of(&self, lane: &Text, plan: &LanePlan) -> Option<Arc<dyn StateStore>> {
        let RunningStore { store, .. } = self.store.as_ref()?;
        let server = plan.receiver.server(lane.clone(), &[]);
        if !store.watch(ServerIdentity::of(&server, None)) {
            tracing::warn!(%lane, "too many servers: another collector that watches this one is not noticed");
        }
        Some(Arc::new(store.state_of(format!("{lane} {}", plan.receiver.address()).into())))
    }

    /// Starts everything, exporters first.
    pub fn start(&mut self, assembly: &Assembly, limits: MemoryLimits, monitor: &ResourceMonitor) {
        self.start_memory_watch(assembly, limits, monitor);
        for (id, plan) in &assembly.exporters {
            let exporter = RunningExporter::new(id.to_string().into(), plan.clone(), &self.commons);
            self.exporters.insert(id.clone(), exporter);
        }
        self.make_plan_caches(assembly.lanes.values().flat_map(|lane| &lane.chain));
        for (index, (id, plan)) in assembly.lanes.iter().enumerate() {
            let turn = Turn { index, of: assembly.lanes.len() };
            self.start_lane(id, plan, assembly, turn);
        }
        self.watch_store();
    }

    /// What the processors of a lane answer.
    pub async fn ask(&self, lane: Text, command: Command) -> LaneReplies {
        let Some(lane) = self.lanes.get(&lane) else { return Vec::new() };
        let wants_findings = matches!(command, Command::Findings { .. });
        let replies = lane.handle.command(command).await;
        match &self.store {
            Some(RunningStore { store, past, .. }) if wants_findings => {
                decisions::decided(store, past, replies).await
            }
            _ => replies,
        }
    }

    /// Stops with the flow: receivers stop, lanes drain, exporters flush. What is not done by then is counted as lost.
    pub async fn stop(mut self, deadline: Duration) {
        self.commons.board.begin_shutdown();
        let started = self.commons.clock.monotonic();
        if let Some(watch) = self.store.as_mut().and_then(|running| running.watch.take()) {
            watch.stop(ABORT_GRACE).await;
        }
        let lanes = std::mem::take(&mut self.lanes).into_values();
        join_all(lanes.map(|lane| lane.stop(deadline))).await;
        let left = deadline.saturating_sub(self.commons.clock.monotonic().since(started));
        join_all(self.exporters.values_mut().map(|exporter| exporter.stop(left))).await;
        if let Some(RunningStore { store, writer, .. }) = self.store {
            // It writes what still waits.
            writer.stop(deadline.saturating_sub(self.commons.clock.monotonic().since(started))).await;
            store.close().await;
        }
        if let Some(watch) = self.watch {
            watch.stop(ABORT_GRACE).await;
        }
    }

    fn start_memory_watch(&mut self, assembly: &Assembly, limits: MemoryLimits, monitor: &ResourceMonitor) {
        let reader = monitor.clone();
        let cx = MemoryWatchContext {
            limits,
            check_interval: assembly.memory.check_interval(),
            state: self.memory.clone(),
            view: self.view.clone(),
            accounts: self.commons.accounts.clone(),
            // jemalloc's background thread gives free pages back within a second; this does not wait for it.
            purge: Arc::new(|| {
                let arenas = allocator::purge();
                tracing::debug!(arenas, "free pages were given back");
            }),
            read: Arc::new(move || reader.rss_bytes()),
            clock: self.clock(),
            registry: self.registry(),
        };
        let status = self.commons.board.register(
            ComponentKind::Extension,
            "memory_watch".into(),
            self.commons.clock.now(),
        );
        status.set(dbintel_pipeline::status::State::Ok, self.commons.clock.now());
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone();
        let run = move || cx.clone().run(stop.clone());
        self.watch = Some(self.commons.supervisor.start("memory_watch".into(), status, shutdown, run));
    }

    fn make_plan_caches<'a>(&mut self, plans: impl Iterator<Item = &'a (ComponentId, ProcessorPlan)>) {
        for (id, plan) in plans {
            if let ProcessorPlan::PlanExtractor(config) = plan
                && !self.plan_caches.contains_key(id)
            {
                let (name, accounts) = (id.to_string().into(), &self.commons.accounts);
                self.plan_caches.insert(id.clone(), PlanCache::new(&name, config, self.clock(), accounts));
            }
        }
    }

    /// Starts one lane and its receiver.
    fn start_lane(&mut self, id: &ComponentId, plan: &LanePlan, assembly: &Assembly, turn: Turn) {
        let name = Text::from(id.to_string());
        let (requests, receiver_requests) = mpsc::channel(MAX_WAITING_REQUESTS);
        let sinks = plan.sinks.iter().filter_map(|(exporter, signals)| {
            let exporter = self.exporters.get(exporter)?;
            Some(exporter.sink(*signals))
        });
        let server = plan.receiver.server(name.clone(), &assembly.resource);
        let address = plan.receiver.address();
        let guard = self.guard(&name, &plan.chain, address.into(), plan.receiver.statement_timeout());
        let cx = LaneContext {
            id: name.clone(),
            limits: LaneLimits { queue: LANE_QUEUE },
            chain: plan
                .chain
                .iter()
                .filter_map(|(id, plan)| self.processor(&name, id, plan, &guard))
                .collect(),
            sinks: sinks.collect(),
            requests,
            store: self.state_of(&name, plan),
            memory: self.memory.clone(),
            overrides: self.overrides.clone(),
            clock: self.clock(),
            registry: self.registry(),
            status: self.commons.board.register(ComponentKind::Lane, name.clone(), self.commons.clock.now()),
            seed: fastrand::u64(..),
        };
        let (receiver, requests) = (plan.receiver.clone(), Requests::new(receiver_requests));
        let source = Source { plan: receiver, server, guard, requests, turn };
        self.lanes.insert(name, RunningLane::new(cx, source, &self.commons));
    }

    /// What stands before the server of a lane, configured by its chain or not.
    fn guard(
        &self,
        name: &Text,
        chain: &[(ComponentId, ProcessorPlan)],
        server: Text,
        statement_timeout: Duration,
    ) -> Guard {
        let configured = chain.iter().find_map(|(_, plan)| {
            if let ProcessorPlan::CircuitBreaker(config) = plan { Some((**config).clone()) } else { None }
        });
        let config: CircuitBreakerConfig = configured.unwrap_or_default();
        let cx = GuardContext {
            receiver: name.clone(),
            server,
            clock: self.clock(),
            registry: self.registry(),
            overrides: self.overrides.clone(),
            accounts: self.commons.accounts.clone(),
            process: self.process.clone(),
            seed: fastrand::u64(..),
        };
        let guard = Guard::new(&config, statement_timeout, cx);
        self.circuits.add(name, guard.clone(), &self.overrides);
        guard
    }

    fn processor(
        &self,
        receiver: &Text,
        id: &ComponentId,
        plan: &ProcessorPlan,
        guard: &Guard,
    ) -> Option<ProcessorFactory> {
        match plan {
            ProcessorPlan::AdaptiveSampler(config) => {
                let id = Text::from(id.to_string());
                let (config, receiver, name) = (Arc::clone(config), receiver.clone(), id.clone());
                let registry = self.registry();
                let build = move || -> Box<dyn Processor> {
                    let (receiver, registry) = (receiver.clone(), registry.clone());
                    Box::new(AdaptiveSampler::new(name.clone(), &config, receiver, registry))
                };
                Some(ProcessorFactory { id, build: Arc::new(build) })
            }
            ProcessorPlan::CircuitBreaker(_) => {
                let (name, guard) = (Text::from(id.to_string()), guard.clone());
                let id = name.clone();
                let build = move || -> Box<dyn Processor> {
                    Box::new(CircuitBreaker::new(name.clone(), guard.clone()))
                };
                Some(ProcessorFactory { id, build: Arc::new(build) })
            }
            ProcessorPlan::Batch { .. } => None,
            ProcessorPlan::MemoryLimiter(_) => {
                let id = Text::from(id.to_string());
                let (view, accounts, name) = (self.view.clone(), self.commons.accounts.clone(), id.clone());
                let build = move || -> Box<dyn Processor> {
                    Box::new(MemoryLimiter::new(name.clone(), view.clone(), accounts.clone()))
                };
                Some(ProcessorFactory { id, build: Arc::new(build) })
            }
            ProcessorPlan::PlanExtractor(config) => {
                let cache = self.plan_caches.get(id)?.clone();
                let id = Text::from(id.to_string());
                let (name, receiver, config) = (id.clone(), receiver.clone(), *config);
                let (registry, accounts) = (self.registry(), self.commons.accounts.clone());
                let build = move || -> Box<dyn Processor> {
                    let (cache, registry) = (cache.clone(), registry.clone());
                    Box::new(PlanExtractor::new(name.clone(), &receiver, config, cache, registry, &accounts))
                };
                Some(ProcessorFactory { id, build: Arc::new(build) })
            }
            ProcessorPlan::RegressionVerifier(config) => {
                let id = Text::from(id.to_string());
                let (name, receiver, config) = (id.clone(), receiver.clone(), config.clone());
                let (registry, accounts) = (self.registry(), self.commons.accounts.clone());
                let build = move || -> Box<dyn Processor> {
                    let (name, config) = (name.clone(), RegressionVerifierConfig::clone(&config));
                    Box::new(RegressionVerifier::new(name, &receiver, config, registry.clone(), &accounts))
                };
                Some(ProcessorFactory { id, build: Arc::new(build) })
            }
            ProcessorPlan::Verification(config) => {
                let id = Text::from(id.to_string());
                let (name, receiver, config) = (id.clone(), receiver.clone(), config.clone());
                let registry = self.registry();
                let build = move || -> Box<dyn Processor> {
                    let config = VerificationConfig::clone(&config);
                    Box::new(Verification::new(name.clone(), &receiver, config, registry.clone()))
                };
                Some(ProcessorFactory { id, build: Arc::new(build) })
            }
        }
    }
}

/// The load of the process, as the kernel and the memory watch have it.
fn process_gate(clock: &Arc<dyn Clock>, monitor: &ResourceMonitor, memory: &MemoryState) -> ProcessGate {
    let (monitor, memory) = (monitor.clone(), memory.clone());
    let machine = std::thread::available_parallelism().map_or(1.0, |count| f64::from(count.get() as u32));
    let read = move || {
        let cpus = monitor.limits().cpus.unwrap_or(machine);
        ProcessLoad {
            cpu_share: monitor.sample().cpu_percent.map(|percent| cpu_share(percent, cpus)),
            memory: match memory.pressure() {
                Pressure::None => MemoryPressure::None,
                Pressure::Soft => MemoryPressure::Soft,
                Pressure::Hard => MemoryPressure::Hard,
            },
        }
    };
    ProcessGate::new(Arc::clone(clock), Arc::new(read))
}

/// The share of the processor time it can have that the process used: that of so many CPUs, but no more than its workers can use, or a large
/// machine would never see it short.
fn cpu_share(percent: f64, cpus: f64) -> f64 {
    percent / 100.0 / cpus.clamp(0.01, WORKER_THREADS as f64)
}

/// The bound on our memory in the words of the limiter.
const fn available_memory(bound: MemoryBound) -> AvailableMemory {
    let source = match bound.source {
        BoundSource::CgroupV2 | BoundSource::CgroupV1 => MemorySource::Container,
        BoundSource::Machine => MemorySource::Machine,
    };
    AvailableMemory { bytes: bound.bytes, source }
}

/// Waits for all of them at the same time.
async fn join_all<F: Future>(futures: impl Iterator<Item = F>) {
    futures_util::future::join_all(futures).await;
}

#[cfg(test)]
mod tests;
