//! What ties receivers, lanes and exporters, and keeps what it needs to stop them one by one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dbintel_admin::pages::LaneReplies;
use dbintel_admin::resources::{BoundSource, MemoryBound, ResourceMonitor};
use dbintel_admission::{MemoryPressure, ProcessLoad};
use dbintel_config::values::ComponentId;
use dbintel_model::{Clock, Server, Text};
use dbintel_pipeline::admission::Admission;
use dbintel_pipeline::memory::{MemoryLimits, MemoryState, Pressure};
use dbintel_pipeline::overrides::Overrides;
use dbintel_pipeline::status::{ComponentKind, StatusBoard};
use dbintel_pipeline::telemetry::{Registry, definitions};
use dbintel_pipeline::{
    Command, Delivery, EXPORTER_INPUT_MAX_BATCHES, EXPORTER_INPUT_MAX_BYTES, ExporterContext, ExporterInput,
    ExporterTelemetry, Lane, LaneContext, LaneHandle, LaneLimits, LossReason, Processor, ProcessorFactory,
    QueueLimits, ReceiverContext, Sink, Supervised, Supervisor, WeightedQueue,
};
use dbintel_processors::adaptive_sampler::AdaptiveSampler;
use dbintel_processors::circuit_breaker::{
    CircuitBreaker, CircuitBreakerConfig, Circuits, Guard, GuardContext, ProcessGate,
};
use dbintel_processors::memory_limiter::{
    AvailableMemory, MemoryAccount, MemoryAccounts, MemoryLimiter, MemoryLimiterConfig, MemoryLimiterError,
    MemorySource, MemoryView, MemoryWatchContext, ResolvedLimits,
};
use dbintel_processors::verification::{Verification, VerificationConfig};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::assembly::{Assembly, LanePlan};
use crate::components::{ExporterPlan, ProcessorPlan};

/// What may wait at the door of one lane.
const LANE_QUEUE: QueueLimits = QueueLimits { max_bytes: 64 * 1024 * 1024, max_items: 64 };
/// Requests of processors that may wait for a receiver.
const MAX_WAITING_REQUESTS: usize = 256;
/// Shares of the shutdown deadline: receivers stop, lanes drain, exporters flush, what is left is cut off.
const RECEIVERS_SHARE: u32 = 4;
const LANES_SHARE: u32 = 4;
/// How long an exporter may take to count what it could not flush.
const ABORT_GRACE: Duration = Duration::from_secs(2);

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
    clock: Arc<dyn Clock>,
    registry: Registry,
    board: StatusBoard,
    memory: MemoryState,
    view: MemoryView,
    accounts: MemoryAccounts,
    supervisor: Supervisor,
    /// By receiver, whose name a lane bears.
    lanes: BTreeMap<Text, RunningLane>,
    exporters: BTreeMap<ComponentId, RunningExporter>,
    watch: Option<Supervised>,
    process: ProcessGate,
    overrides: Overrides,
    circuits: Circuits,
}

struct RunningLane {
    receiver: Supervised,
    handle: LaneHandle,
    /// Shows the bytes that wait at the door for as long as the lane runs.
    _account: MemoryAccount,
}

struct RunningExporter {
    input: ExporterInput,
    telemetry: ExporterTelemetry,
    abort: CancellationToken,
    task: Supervised,
    /// Shows the bytes of the input for as long as the exporter runs.
    _account: MemoryAccount,
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
            supervisor: Supervisor::new(Arc::clone(&clock), registry.clone()),
            accounts: MemoryAccounts::new(registry.clone()),
            board: StatusBoard::default(),
            memory,
            view: MemoryView::default(),
            lanes: BTreeMap::new(),
            exporters: BTreeMap::new(),
            watch: None,
            clock,
            registry,
        }
    }

    pub fn board(&self) -> StatusBoard {
        self.board.clone()
    }

    pub fn registry(&self) -> Registry {
        self.registry.clone()
    }

    /// The breakers of every server that is started.
    pub fn circuits(&self) -> Circuits {
        self.circuits.clone()
    }

    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    /// Starts everything, exporters first.
    pub fn start(&mut self, assembly: &Assembly, limits: MemoryLimits, monitor: &ResourceMonitor) {
        self.start_memory_watch(assembly, limits, monitor);
        for (id, plan) in &assembly.exporters {
            self.start_exporter(id, plan.clone());
        }
        for (id, plan) in &assembly.lanes {
            self.start_lane(id, plan, assembly);
        }
    }

    /// What the processors of a lane show.
    pub async fn show(&self, lane: Text) -> LaneReplies {
        match self.lanes.get(&lane) {
            Some(lane) => lane.handle.command(Command::Show).await,
            None => Vec::new(),
        }
    }

    /// Stops with the flow: receivers stop, lanes drain, exporters flush. What is not done by then is counted as lost.
    pub async fn stop(mut self, deadline: Duration) {
        self.board.begin_shutdown();
        let started = self.clock.monotonic();
        let lanes = std::mem::take(&mut self.lanes).into_iter();
        join_all(lanes.map(|(id, lane)| lane.stop(id, deadline, self.registry.clone()))).await;
        let left = deadline.saturating_sub(self.clock.monotonic().since(started));
        let exporters = std::mem::take(&mut self.exporters).into_iter();
        join_all(exporters.map(|(id, exporter)| exporter.flush(id, left))).await;
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
            accounts: self.accounts.clone(),
            // jemalloc's background thread gives free pages back within a second by itself.
            purge: Arc::new(|| {}),
            read: Arc::new(move || reader.rss_bytes()),
            clock: self.clock(),
            registry: self.registry(),
        };
        let status = self.board.register(ComponentKind::Extension, "memory_watch".into(), self.clock.now());
        status.set(dbintel_pipeline::status::State::Ok, self.clock.now());
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone();
        let run = move || cx.clone().run(stop.clone());
        self.watch = Some(self.supervisor.start("memory_watch".into(), status, shutdown, run));
    }

    /// Starts one exporter. Lanes that are started from now on can have it.
    fn start_exporter(&mut self, id: &ComponentId, plan: ExporterPlan) {
        let name = Text::from(id.to_string());
        let limits =
            QueueLimits { max_bytes: EXPORTER_INPUT_MAX_BYTES, max_items: EXPORTER_INPUT_MAX_BATCHES };
        let input: ExporterInput = Arc::new(WeightedQueue::<Delivery>::new(limits));
        let queue = Arc::clone(&input);
        let account = self.accounts.open(format!("exporter {name} input").into(), move || queue.len_bytes());
        let telemetry = ExporterTelemetry::new(self.registry(), name.clone());
        let status = self.board.register(ComponentKind::Exporter, name.clone(), self.clock.now());
        let abort = CancellationToken::new();
        let cx = ExporterContext {
            id: name.clone(),
            input: Arc::clone(&input),
            clock: self.clock(),
            registry: self.registry(),
            telemetry: telemetry.clone(),
            status: status.clone(),
            abort: abort.clone(),
        };
        let mut build = plan.builder();
        let run = move || build().run(cx.clone());
        let task = self.supervisor.start(format!("exporter/{name}").into(), status, abort.clone(), run);
        let running = RunningExporter { input, telemetry, abort, task, _account: account };
        self.exporters.insert(id.clone(), running);
    }

    /// Starts one lane and its receiver.
    fn start_lane(&mut self, id: &ComponentId, plan: &LanePlan, assembly: &Assembly) {
        let name = Text::from(id.to_string());
        let (requests, receiver_requests) = mpsc::channel(MAX_WAITING_REQUESTS);
        let sinks = plan.sinks.iter().filter_map(|(exporter, signals)| {
            let running = self.exporters.get(exporter)?;
            let (input, telemetry) = (Arc::clone(&running.input), running.telemetry.clone());
            Some(Sink { input, signals: *signals, telemetry })
        });
        let server = plan.receiver.server(name.clone(), &assembly.resource);
        let guard = self.guard(&name, plan);
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
            store: None,
            memory: self.memory.clone(),
            overrides: self.overrides.clone(),
            clock: self.clock(),
            registry: self.registry(),
            status: self.board.register(ComponentKind::Lane, name.clone(), self.clock.now()),
            seed: fastrand::u64(..),
        };
        let lane = Lane::start(cx, &self.supervisor);
        let receiver = self.start_receiver(server, plan, &lane, guard, receiver_requests);
        let account = self.accounts.open(format!("lane {name} queue").into(), lane.queue_bytes());
        self.lanes.insert(name, RunningLane { receiver, handle: lane, _account: account });
    }

    fn start_receiver(
        &self,
        server: Arc<Server>,
        plan: &LanePlan,
        lane: &LaneHandle,
        guard: Guard,
        requests: mpsc::Receiver<dbintel_pipeline::Request>,
    ) -> Supervised {
        let name = server.receiver.clone();
        let status = self.board.register(ComponentKind::Receiver, name.clone(), self.clock.now());
        let shutdown = CancellationToken::new();
        let plan = plan.receiver.clone();
        let (door, clock, registry) = (lane.door(), self.clock(), self.registry());
        let admission: Arc<dyn Admission> = Arc::new(guard);
        // A receiver that is restarted after a panic has lost its requests; new ones go to a channel nobody reads, and
        // are counted as lost by the lane.
        let mut requests = Some(requests);
        let (of_receiver, stop) = (status.clone(), shutdown.clone());
        let run = move || {
            let cx = ReceiverContext {
                door: door.clone(),
                admission: Arc::clone(&admission),
                requests: requests.take().unwrap_or_else(|| mpsc::channel(1).1),
                clock: Arc::clone(&clock),
                registry: registry.clone(),
                status: of_receiver.clone(),
                shutdown: stop.clone(),
            };
            plan.build(Arc::clone(&server)).run(cx)
        };
        let component = format!("receiver/{name}").into();
        self.supervisor.start(component, status, shutdown, run)
    }

    /// What stands before the server of a lane, configured by its chain or not.
    fn guard(&self, name: &Text, plan: &LanePlan) -> Guard {
        let configured = plan.chain.iter().find_map(|(_, plan)| {
            if let ProcessorPlan::CircuitBreaker(config) = plan { Some((**config).clone()) } else { None }
        });
        let config: CircuitBreakerConfig = configured.unwrap_or_default();
        let cx = GuardContext {
            receiver: name.clone(),
            server: plan.receiver.address().into(),
            clock: self.clock(),
            registry: self.registry(),
            overrides: self.overrides.clone(),
            process: self.process.clone(),
            seed: fastrand::u64(..),
        };
        let guard = Guard::new(&config, plan.receiver.statement_timeout(), cx);
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
                let (view, accounts, name) = (self.view.clone(), self.accounts.clone(), id.clone());
                let build = move || -> Box<dyn Processor> {
                    Box::new(MemoryLimiter::new(name.clone(), view.clone(), accounts.clone()))
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

// === impl RunningLane ===

impl RunningLane {
    /// Stops the receiver, and lets the lane pass on what it has accepted. The deadline is that of the whole program.
    async fn stop(self, id: Text, deadline: Duration, registry: Registry) {
        self.receiver.stop(deadline / RECEIVERS_SHARE).await;
        let waiting = self.handle.waiting() as u64;
        if !self.handle.drain(deadline / LANES_SHARE).await {
            let labels = vec![("receiver", id), ("reason", Text::Static("shutdown"))];
            registry.counter(&definitions::LANE_LOST_RECORDS, labels).add(waiting);
            tracing::error!(batches = waiting, "a lane did not drain before the deadline");
        }
    }
}

// === impl RunningExporter ===

impl RunningExporter {
    /// Closes the input and lets the exporter ship what it has; past the time left it must count the rest as lost.
    async fn flush(self, id: ComponentId, within: Duration) {
        self.input.close();
        let abort = self.abort.clone();
        let cut_off = async {
            tokio::time::sleep(within).await;
            tracing::warn!(exporter = %id, "exporter did not flush before the deadline; what is left is lost");
            abort.cancel();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            _ = self.task.join(within + ABORT_GRACE) => {}
            () = cut_off => {}
        }
        while let Some(delivery) = self.input.try_pop() {
            self.telemetry.lost_delivery(&delivery, LossReason::Shutdown);
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
            cpu_share: monitor.sample().cpu_percent.map(|percent| percent / 100.0 / cpus.max(0.01)),
            memory: match memory.pressure() {
                Pressure::None => MemoryPressure::None,
                Pressure::Soft => MemoryPressure::Soft,
                Pressure::Hard => MemoryPressure::Hard,
            },
        }
    };
    ProcessGate::new(Arc::clone(clock), Arc::new(read))
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
