//! From a loaded configuration to what will run: every component checked, every reference resolved. Nothing has been
//! connected to, opened or started when this is done.

use std::collections::{BTreeMap, BTreeSet};

use dbintel_admin::config::{AdminConfig, TelemetryConfig};
use dbintel_config::service::{Defined, PipelineConfig, PipelineId, Signal as PipelineSignal, check};
use dbintel_config::values::ComponentId;
use dbintel_config::{
    Component, ConfigError, ConfigErrors, Document, Environment, LoadOptions, Loaded, Problem, Section,
    Warnings,
};
use dbintel_model::{Attribute, Signal};
use dbintel_pipeline::Signals;
use dbintel_processors::memory_limiter::MemoryLimiterConfig;
use dbintel_processors::plan_extractor::PlanExtractorConfig;
use dbintel_store::{StoreConfig, StoreSettings};

use crate::components::{self, EXPORTERS, ExporterPlan, PROCESSORS, ProcessorPlan, RECEIVERS, ReceiverPlan};
use crate::resource;

/// The environment variable that names the environment.
pub const ENVIRONMENT_VARIABLE: &str = "DBINTEL_ENVIRONMENT";

/// The environment in which nothing runs that is only for tests.
const PRODUCTION: &str = "production";

/// What will run.
#[derive(Clone, Debug, PartialEq)]
pub struct Assembly {
    /// Receivers that a pipeline names, each with its lane.
    pub lanes: BTreeMap<ComponentId, LanePlan>,
    /// Exporters that a pipeline names.
    pub exporters: BTreeMap<ComponentId, ExporterPlan>,
    /// Memory limits of the process; defaults where no `memory_limiter` is configured.
    pub memory: MemoryLimiterConfig,
    /// Health, metrics and pages.
    pub admin: AdminConfig,
    /// What keeps the state of processors over a restart; `None` keeps it in memory alone.
    pub store: Option<StoreConfig>,
    /// The collector's own logs, metrics and traces.
    pub telemetry: TelemetryConfig,
    /// What the process says of itself on every resource.
    pub resource: Vec<Attribute>,
    /// The chosen environment.
    pub environment: Option<String>,
}

/// A receiver, its processors, and where its records go.
#[derive(Clone, Debug, PartialEq)]
pub struct LanePlan {
    /// The receiver.
    pub receiver: ReceiverPlan,
    /// The pipelines that name it.
    pub pipelines: Vec<PipelineId>,
    /// Its processors, in order.
    pub chain: Vec<(ComponentId, ProcessorPlan)>,
    /// Its exporters, with the signals each gets.
    pub sinks: BTreeMap<ComponentId, Signals>,
}

/// Everything that was found in the configuration.
pub struct Checked {
    /// What will run.
    pub assembly: Assembly,
    /// The merged and substituted configuration.
    pub document: Document,
    /// What to tell the operator.
    pub warnings: Warnings,
}

/// Prepared components by id.
type Plans<Plan> = BTreeMap<ComponentId, Plan>;

/// Loads and checks.
///
/// # Errors
/// Everything that is wrong, with file, line and path.
pub fn load(
    files: Vec<std::path::PathBuf>,
    sets: Vec<String>,
    environment: Option<String>,
    variables: &dyn Environment,
) -> Result<Checked, ConfigErrors> {
    let environment =
        environment.or_else(|| variables.variable(ENVIRONMENT_VARIABLE).ok()).filter(|name| !name.is_empty());
    let options = LoadOptions { files, sets, environment: environment.clone() };
    let (Loaded { mut document, mut warnings }, mut errors) = Document::load_leniently(&options, variables)?;
    let assembly = errors.keep(assemble(&document, &mut warnings));
    if environment.as_deref() == Some(PRODUCTION) {
        time_runs_as_it_is(&document, assembly.as_ref(), &mut errors);
    }
    let Some(mut assembly) = assembly.filter(|_| errors.is_empty()) else {
        return Err(errors.without_consequences());
    };
    document.expand(Section::Processors, components::expanded_processor);
    let (resource, problems) = resource::attributes(variables);
    for problem in problems {
        warnings.push(dbintel_config::Warning::new(None, "environment", problem));
    }
    assembly.resource = resource;
    assembly.environment = environment;
    Ok(Checked { assembly, document, warnings })
}

/// Checks every component and every reference.
fn assemble(document: &Document, warnings: &mut Warnings) -> Result<Assembly, ConfigErrors> {
    let mut errors = ConfigErrors::default();
    let receivers = prepare_all(document, Section::Receivers, RECEIVERS, warnings, &mut errors);
    let processors = prepare_all(document, Section::Processors, PROCESSORS, warnings, &mut errors);
    let exporters = prepare_all(document, Section::Exporters, EXPORTERS, warnings, &mut errors);
    let service = errors.keep(document.service(warnings));
    if let Some(service) = &service {
        errors.keep(check(document, service, &defined(document), warnings));
    }
    let service = service.unwrap_or_default();
    let admin = errors.keep(crate::admin::configure(document, &service, warnings));
    let Some((admin, telemetry)) = admin.filter(|_| errors.is_empty()) else { return Err(errors) };
    let store = errors.keep(store(document, warnings)).flatten();
    let mut lanes = BTreeMap::new();
    for pipeline in &service.pipelines {
        join(pipeline, &receivers, &processors, &exporters, &mut lanes);
    }
    verification_is_last(&lanes, &mut errors);
    store_is_elsewhere(document, store.as_ref(), &lanes, &mut errors);
    if !errors.is_empty() {
        return Err(errors);
    }
    let used = |id: &ComponentId| lanes.values().any(|lane: &LanePlan| lane.sinks.contains_key(id));
    let exporters: Plans<ExporterPlan> = exporters.into_iter().filter(|(id, _)| used(id)).collect();
    let memory = memory_limits(&lanes);
    let exporters = with_flush_timeouts(exporters, &lanes);
    let (resource, environment) = (Vec::new(), None);
    Ok(Assembly { lanes, exporters, memory, admin, store, telemetry, resource, environment })
}

/// Shortened time is for tests and demonstrations.
fn time_runs_as_it_is(document: &Document, assembly: Option<&Assembly>, errors: &mut ConfigErrors) {
    let chains =
        assembly.into_iter().flat_map(|assembly| assembly.lanes.values()).flat_map(|lane| &lane.chain);
    let accelerated = chains.filter_map(|(id, plan)| match plan {
        ProcessorPlan::RegressionVerifier(config) if config.is_accelerated() => Some(id),
        _ => None,
    });
    for id in accelerated.collect::<BTreeSet<_>>() {
        let processors = document.section(Section::Processors);
        if let Some(component) = processors.iter().find(|component| component.id() == id) {
            let message =
                "is for tests and demonstrations, and this is the environment `production`; remove it";
            errors.push(component.problem("acceleration", message));
        }
    }
}

/// The store, if one is configured.
fn store(document: &Document, warnings: &mut Warnings) -> Result<Option<StoreConfig>, ConfigErrors> {
    let mut stores = stores(document);
    let Some(first) = stores.next() else { return Ok(None) };
    if let Some(second) = stores.next() {
        let message = format!("there is one store for all, and `{}` is it", first.id());
        return Err(ConfigErrors(vec![second.problem("", message)]));
    }
    let settings: StoreSettings = first.read_noting(warnings)?;
    components::settled(first, warnings, settings.validate()).map(Some)
}

fn stores(document: &Document) -> impl Iterator<Item = &Component> {
    document.section(Section::Extensions).iter().filter(|extension| extension.id().kind() == "store")
}

/// What we write belongs on no server that we watch, unless somebody says so.
fn store_is_elsewhere(
    document: &Document,
    store: Option<&StoreConfig>,
    lanes: &BTreeMap<ComponentId, LanePlan>,
    errors: &mut ConfigErrors,
) {
    let (Some(store), Some(extension)) = (store, stores(document).next()) else { return };
    for (id, lane) in lanes {
        let server = lane.receiver.server(id.to_string().into(), &[]);
        if store.is_forbidden_on(&server.address, server.port) {
            let message = format!(
                "the store is on the server that `{id}` watches; use another server or a file, or set \
                 on_watched_server: true if it may be there"
            );
            errors.push(extension.problem("url", message));
        }
    }
}

fn prepare_all<Plan>(
    document: &Document,
    section: Section,
    factories: &[components::Factory<Plan>],
    warnings: &mut Warnings,
    errors: &mut ConfigErrors,
) -> Plans<Plan> {
    let components = document.section(section).iter();
    components
        .filter_map(|component| {
            let plan = errors.keep(components::prepare(factories, component, warnings))?;
            Some((component.id().clone(), plan))
        })
        .collect()
}

/// What may be named: everything that is defined, and the processors that need no settings.
fn defined(document: &Document) -> Defined {
    let mut defined = Defined::of(document);
    for kind in BUILT_IN {
        if let Ok(id) = kind.parse() {
            defined.add(Section::Processors, id);
        }
    }
    for kind in DEFAULT_CHAIN {
        if let Ok(id) = kind.parse() {
            defined.add_default(id);
        }
    }
    defined
}

/// Adds one pipeline's routes.
fn join(
    (id, pipeline): (&PipelineId, &PipelineConfig),
    receivers: &Plans<ReceiverPlan>,
    processors: &Plans<ProcessorPlan>,
    exporters: &Plans<ExporterPlan>,
    lanes: &mut BTreeMap<ComponentId, LanePlan>,
) {
    let carried = match id.signal() {
        None => Signals::ALL,
        Some(PipelineSignal::Metrics) => Signals::only(Signal::Metrics),
        Some(PipelineSignal::Logs) => Signals::only(Signal::Logs),
        Some(PipelineSignal::Traces) => Signals::only(Signal::Traces),
    };
    for receiver in &pipeline.receivers {
        let Some(plan) = receivers.get(receiver) else { continue };
        let lane = lanes.entry(receiver.clone()).or_insert_with(|| LanePlan {
            receiver: plan.clone(),
            pipelines: Vec::new(),
            chain: chain(pipeline.processors.as_deref(), processors),
            sinks: BTreeMap::new(),
        });
        lane.pipelines.push(id.clone());
        for exporter in &pipeline.exporters {
            let Some(plan) = exporters.get(exporter) else { continue };
            let signals = carried.intersection(plan.signals());
            let held = lane.sinks.entry(exporter.clone()).or_default();
            *held = held.union(signals);
        }
    }
}

/// Processors that need no settings, and the default chain: what stands at both ends of it is there in any case.
const BUILT_IN: [&str; 6] =
    ["memory_limiter", "circuit_breaker", "plan_extractor", "regression_verifier", "batch", "verification"];
const DEFAULT_CHAIN: [&str; 5] =
    ["memory_limiter", "circuit_breaker", "plan_extractor", "regression_verifier", "verification"];

/// The default chain, with default settings.
pub fn default_chain() -> Vec<(ComponentId, ProcessorPlan)> {
    DEFAULT_CHAIN.into_iter().filter_map(|kind| Some((kind.parse().ok()?, built_in(kind)?))).collect()
}

/// The processors of a pipeline; without the key, the default chain, with the settings of those that are configured.
fn chain(
    named: Option<&[ComponentId]>,
    processors: &Plans<ProcessorPlan>,
) -> Vec<(ComponentId, ProcessorPlan)> {
    let default: Vec<ComponentId> = DEFAULT_CHAIN.iter().filter_map(|kind| kind.parse().ok()).collect();
    let plan = |id: &ComponentId| {
        let plan = processors.get(id).cloned().or_else(|| built_in(id.kind()))?;
        Some((id.clone(), plan))
    };
    named.unwrap_or(&default).iter().filter_map(plan).collect()
}

/// What `verification` has not seen must not leave: it is the last processor that does anything.
fn verification_is_last(lanes: &BTreeMap<ComponentId, LanePlan>, errors: &mut ConfigErrors) {
    let is_verification = |plan: &ProcessorPlan| matches!(plan, ProcessorPlan::Verification(_));
    for lane in lanes.values() {
        let working = lane.chain.iter().filter(|(_, plan)| !matches!(plan, ProcessorPlan::Batch { .. }));
        let misplaced = working.rev().skip(1).find(|(_, plan)| is_verification(plan));
        if let (Some((id, _)), Some(pipeline)) = (misplaced, lane.pipelines.first()) {
            let message = format!(
                "`{id}` is not the last processor; put it last, since it looks at what is about to leave"
            );
            let path = format!("service.pipelines.{pipeline}.processors");
            errors.push(ConfigError::new(None, path, Problem::Invalid(message)));
        }
    }
}

/// A processor that is named without being configured; what is not built in was found to be undefined before.
fn built_in(kind: &str) -> Option<ProcessorPlan> {
    match kind {
        "batch" => Some(ProcessorPlan::Batch { flush_timeout: None }),
        "memory_limiter" => Some(ProcessorPlan::MemoryLimiter(MemoryLimiterConfig::default())),
        "circuit_breaker" => Some(ProcessorPlan::CircuitBreaker(Box::default())),
        "plan_extractor" => Some(ProcessorPlan::PlanExtractor(PlanExtractorConfig::default())),
        "regression_verifier" => Some(ProcessorPlan::RegressionVerifier(Box::default())),
        "verification" => Some(ProcessorPlan::Verification(Box::default())),
        _ => None,
    }
}

/// The limits of the process. Several limiters: the first one by lane and place counts, they share one process.
fn memory_limits(lanes: &BTreeMap<ComponentId, LanePlan>) -> MemoryLimiterConfig {
    let processors = lanes.values().flat_map(|lane| &lane.chain);
    let mut limiters = processors.filter_map(|(_, plan)| {
        if let ProcessorPlan::MemoryLimiter(config) = plan { Some(config.clone()) } else { None }
    });
    limiters.next().unwrap_or_default()
}

/// A `batch` processor's timeout goes to the exporters behind it that do not say for themselves.
fn with_flush_timeouts(
    mut exporters: Plans<ExporterPlan>,
    lanes: &BTreeMap<ComponentId, LanePlan>,
) -> Plans<ExporterPlan> {
    for lane in lanes.values() {
        let timeout = lane.chain.iter().find_map(|(_, plan)| {
            if let ProcessorPlan::Batch { flush_timeout } = plan { *flush_timeout } else { None }
        });
        let Some(timeout) = timeout else { continue };
        for id in lane.sinks.keys() {
            if let Some(ExporterPlan::Otlp(config)) = exporters.get_mut(id) {
                config.default_flush_timeout(timeout);
            }
        }
    }
    exporters
}

#[cfg(test)]
mod tests;
