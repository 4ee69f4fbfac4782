//! Running: everything that was assembled is started with the flow reversed (exporters, lanes, receivers) and stopped
//! with the flow, within a deadline.

mod doctor;
mod replay;
mod wiring;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use dbintel_admin::control::{ControlConfig, Controls, StateFile};
use dbintel_admin::telemetry_export::{TelemetryExport, TelemetryExportContext};
use dbintel_admin::{
    Admin, AdminContext, HEARTBEAT_INTERVAL, Heartbeat, SpanStore, resources::ResourceMonitor,
};
use dbintel_config::{Environment as _, ProcessEnvironment, Warning};
use dbintel_model::{Clock, SystemClock, Text, Value};
use dbintel_pipeline::overrides::{Bypass, Order, Override, Overrides};
use dbintel_pipeline::telemetry::{Registry, definitions};
use tokio::signal::unix::{Signal, SignalKind, signal};

pub use self::doctor::doctor;
pub use self::replay::replay;
use self::wiring::Wiring;
use crate::assembly::{Assembly, Checked};
use crate::cli::Run;
use crate::control::Controlled;
use crate::{allocator, logging, pages};

/// Worker threads of the main runtime: one for a lane's work, one for everything that must not wait for it.
const WORKER_THREADS: usize = 2;
/// How long the whole shutdown may take. Kubernetes gives 30 s before it kills.
const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(20);
/// How long the last answers of admin and the last export of own telemetry may take.
const FAREWELL: Duration = Duration::from_secs(2);

/// Runs until a signal says to stop.
///
/// # Errors
/// What kept the collector from starting.
pub fn run(checked: Checked, options: &Run) -> anyhow::Result<()> {
    let runtime = runtime()?;
    let result = runtime.block_on(serve(checked, options));
    // Whatever still runs past its deadline is not waited for.
    runtime.shutdown_background();
    result
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKER_THREADS)
        .thread_name("dbintel")
        .enable_all()
        .build()
        .context("the runtime could not be started")
}

async fn serve(checked: Checked, options: &Run) -> anyhow::Result<()> {
    let Checked { assembly, mut warnings, .. } = checked;
    let mut signals = Signals::new()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let registry = Registry::default();
    let monitor = ResourceMonitor::new(Arc::clone(&clock), Some(Arc::new(allocator::allocated_bytes)));
    let memory = wiring::memory_limits(&assembly.memory, &monitor).context("the memory limits")?;
    warnings.extend(memory.warning.map(|text| Warning::new(None, "memory_limiter", text.to_string())));
    let spans = SpanStore::new(&registry);
    let overrides = Overrides::new(Arc::clone(&clock));
    let mut wiring = Wiring::new(Arc::clone(&clock), registry.clone(), &monitor, overrides.clone());
    let controls: Arc<dyn Controls> =
        Arc::new(Controlled::new(&assembly, wiring.circuits(), Arc::clone(&clock)));
    let export = export_own_telemetry(&assembly, &wiring)?;
    logging::start(&assembly.telemetry, &spans, &clock, export.as_ref());
    for warning in warnings.iter() {
        tracing::warn!("{warning}");
    }
    restore_overrides(assembly.admin.control(), &overrides);
    for entry in overrides_of_start(options, &overrides, controls.as_ref())? {
        tracing::warn!(order = %entry.order, reason = %entry.reason, until = %entry.until, "override is set with the start");
    }
    let (asker, questions) = pages::lane_questions();
    monitor.observe(&registry);
    observe_build(&registry, warnings.len());
    let heartbeat = Heartbeat::new(clock.monotonic());
    let cx = AdminContext {
        started_at: clock.now(),
        version: env!("CARGO_PKG_VERSION").into(),
        board: wiring.board(),
        registry: registry.clone(),
        heartbeat: heartbeat.clone(),
        spans,
        pages: Arc::new(pages::Pages::new(&assembly, &options.sources, &warnings, asker)),
        monitor: monitor.clone(),
        overrides,
        controls,
        clock: Arc::clone(&clock),
    };
    if let Some(store) = &assembly.store {
        wiring.open_store(store).await.context("the store (extensions.store) could not be opened")?;
    }
    wiring.start(&assembly, memory.limits, &monitor);
    let admin = Admin::start(&assembly.admin, cx).context("health, metrics or pages could not be served")?;
    let answering = questions.serve(|lane, command| wiring.ask(lane, command));
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        receivers = assembly.lanes.len(),
        exporters = assembly.exporters.len(),
        "dbintel runs"
    );
    tokio::select! {
        () = beat(&heartbeat, &clock) => {}
        () = answering => {}
        () = signals.stop() => {}
    }
    tracing::info!(deadline_s = SHUTDOWN_DEADLINE.as_secs(), "shutting down");
    wiring.stop(SHUTDOWN_DEADLINE).await;
    if let Some(export) = export {
        export.shutdown(FAREWELL).await;
    }
    admin.stop(FAREWELL).await;
    tracing::info!("stopped");
    Ok(())
}

/// What the command line, or else the environment, switches off from the start: before anything is connected.
fn overrides_of_start(
    options: &Run,
    overrides: &Overrides,
    controls: &dyn Controls,
) -> anyhow::Result<Vec<Override>> {
    let from_environment = |name| ProcessEnvironment.variable(name).ok().filter(|text| !text.is_empty());
    let bypassed = if options.bypass.is_empty() {
        let named = from_environment("DBINTEL_BYPASS").unwrap_or_default();
        named.split(',').map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned).collect()
    } else {
        options.bypass.clone()
    };
    let reason = options.bypass_reason.clone().or_else(|| from_environment("DBINTEL_BYPASS_REASON"));
    let set = |text: &String| -> anyhow::Result<Override> {
        let bypass: Bypass = text.parse()?;
        controls.check(&bypass).map_err(|problem| anyhow::anyhow!("{problem}"))?;
        let reason = reason.as_deref().unwrap_or_default();
        Ok(overrides.set(Order::Bypass(bypass), reason, options.bypass_for, true)?)
    };
    bypassed.iter().map(|text| set(text).with_context(|| format!("bypass `{text}` of the start"))).collect()
}

/// Overrides of before a restart go on.
fn restore_overrides(control: &ControlConfig, overrides: &Overrides) {
    let Some(directory) = &control.state_directory else { return };
    match StateFile::in_directory(directory).load() {
        Ok(kept) => {
            let lost = overrides.restore(kept);
            if lost > 0 {
                tracing::error!(lost, "overrides of before the restart found no room");
            }
            for (entry, _) in overrides.list() {
                tracing::warn!(order = %entry.order, reason = %entry.reason, until = %entry.until, "override is in force");
            }
        }
        Err(problem) => tracing::error!("{problem}"),
    }
}

/// The sign of life of the main runtime.
async fn beat(heartbeat: &Heartbeat, clock: &Arc<dyn Clock>) {
    let mut ticks = tokio::time::interval(HEARTBEAT_INTERVAL);
    loop {
        ticks.tick().await;
        heartbeat.beat(clock.monotonic());
    }
}

fn export_own_telemetry(assembly: &Assembly, wiring: &Wiring) -> anyhow::Result<Option<TelemetryExport>> {
    let resource = assembly.resource.iter().filter_map(|attribute| match &attribute.value {
        Value::Text(text) => Some((attribute.key.clone(), text.clone())),
        Value::Int(_) | Value::Double(_) | Value::Bool(_) => None,
    });
    let service = [(Text::Static("service.name"), Text::Static("dbintel"))];
    let cx = TelemetryExportContext {
        registry: wiring.registry(),
        clock: wiring.clock(),
        board: wiring.board(),
        resource: service.into_iter().chain(resource).collect(),
    };
    TelemetryExport::start(&assembly.telemetry, cx).context("own telemetry could not be set up")
}

#[allow(clippy::cast_precision_loss, reason = "a handful of warnings")]
fn observe_build(registry: &Registry, warnings: usize) {
    let labels = vec![("version", Text::Static(env!("CARGO_PKG_VERSION")))];
    registry.gauge(&definitions::BUILD_INFO, labels).set(1.0);
    registry.gauge(&definitions::CONFIG_WARNINGS, Vec::new()).set(warnings as f64);
}

/// The signals that end the process, and the one that one might expect to do something else.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("signals cannot be received");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    async fn stop(&mut self) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hang_up.recv() => {
                    tracing::warn!("SIGHUP has no effect: the configuration is read at start only; restart to apply a new one");
                }
            }
        }
    }
}
