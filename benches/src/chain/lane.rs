//! A real lane with every processor on, as the program wires it.

use std::sync::Arc;
use std::time::Duration;

use dbintel_admission::ProcessLoad;
use dbintel_config::from_yaml;
use dbintel_model::{Clock, Text};
use dbintel_pipeline::memory::{MemoryAccounts, MemoryState};
use dbintel_pipeline::overrides::Overrides;
use dbintel_pipeline::status::{ComponentKind, StatusBoard};
use dbintel_pipeline::telemetry::Registry;
use dbintel_pipeline::{
    Delivery, Door, ExporterInput, ExporterTelemetry, Lane, LaneContext, LaneHandle, LaneLimits, Processor,
    ProcessorFactory, QueueLimits, Signals, Sink, Supervisor, WeightedQueue,
};
use dbintel_processors::adaptive_sampler::{AdaptiveSampler, AdaptiveSamplerSettings};
use dbintel_processors::circuit_breaker::{self, CircuitBreaker, Guard, GuardContext, ProcessGate};
use dbintel_processors::memory_limiter::{MemoryLimiter, MemoryView};
use dbintel_processors::plan_extractor::{PlanCache, PlanExtractor, PlanExtractorConfig};
use dbintel_processors::regression_verifier::{RegressionVerifier, RegressionVerifierConfig};
use dbintel_processors::verification::{Verification, VerificationSettings};
use tokio::sync::mpsc;

/// The processors in their order, which is that of the default configuration.
pub const CHAIN: [&str; 6] = [
    "memory_limiter",
    "circuit_breaker",
    "plan_extractor",
    "regression_verifier",
    "adaptive_sampler",
    "verification",
];

const QUEUE: QueueLimits = QueueLimits { max_bytes: 512 << 20, max_items: 64 };
/// What the receiver would be configured to.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(5);

/// Every template, and rules with the dearer operators before them.
const SAMPLER: &str = r#"
max_records_per_second: 2000
dedup: {window: 30s, max_entries: 16384}
rules:
  - template: blocked_sessions
  - template: root_blockers
  - template: errors
  - template: lock_waits
  - template: slow_queries
  - name: batch-jobs
    priority: 100
    sample_rate: 0.1
    conditions:
      - {attribute: postgresql.application_name, operator: regex, value: "^(cron|batch|etl)[-_/][a-z0-9]+$"}
  - name: payments
    priority: 90
    conditions:
      - {attribute: db.query.text, operator: contains, value: "payment"}
      - {attribute: db.query.text, operator: regex, value: "(?i)\\bfrom payment_\\d+"}
  - template: everything_else
"#;
/// All detectors are on by default. A tenth of the roles, and some summaries, are beyond their limits.
const VERIFICATION: &str = "
cardinality:
  max_values: 10000
  attributes: {postgresql.rolname: 18, db.query.summary: 4900}
budget: {max_bytes_per_minute: 1TiB, max_series: 100000, price_per_gib: 0.5, currency: EUR}
";

/// A running lane.
#[derive(Debug)]
pub(super) struct Running {
    /// Where batches are offered.
    pub(super) door: Door,
    /// Where they come out.
    pub(super) input: ExporterInput,
    registry: Registry,
    _lane: LaneHandle,
    _supervisor: Supervisor,
}

impl Running {
    /// Starts it on the runtime of the caller.
    #[must_use]
    pub(super) fn start(clock: Arc<dyn Clock>) -> Self {
        let registry = Registry::default();
        let supervisor = Supervisor::new(Arc::clone(&clock), registry.clone());
        let input: ExporterInput = Arc::new(WeightedQueue::<Delivery>::new(QUEUE));
        let id = Text::Static("postgresql/orders");
        let cx = LaneContext {
            id: id.clone(),
            limits: LaneLimits { queue: QUEUE },
            chain: chain(&id, &clock, &registry),
            sinks: vec![Sink {
                input: Arc::clone(&input),
                signals: Signals::ALL,
                telemetry: ExporterTelemetry::new(registry.clone(), id.clone()),
            }],
            requests: mpsc::channel(1).0,
            store: None,
            memory: MemoryState::default(),
            overrides: Overrides::new(Arc::clone(&clock)),
            status: StatusBoard::default().register(ComponentKind::Lane, id, clock.now()),
            clock,
            registry: registry.clone(),
            seed: 1,
        };
        let lane = Lane::start(cx, &supervisor);
        Self { door: lane.door(), input, registry, _lane: lane, _supervisor: supervisor }
    }

    /// Seconds that each processor has worked.
    #[must_use]
    pub(super) fn seconds(&self) -> [f64; CHAIN.len()] {
        let of = |processor| {
            let labels = [("processor", processor), ("receiver", "postgresql/orders")];
            self.registry.value("otelcol_processor_internal_duration_seconds", &labels).unwrap_or_default()
        };
        CHAIN.map(of)
    }
}

fn chain(receiver: &Text, clock: &Arc<dyn Clock>, registry: &Registry) -> Vec<ProcessorFactory> {
    let guard = guard(receiver, clock, registry);
    let sampler: AdaptiveSamplerSettings = from_yaml(SAMPLER).expect("settings of the sampler");
    let sampler = Arc::new(sampler.validate().expect("valid settings").config);
    let verification: VerificationSettings = from_yaml(VERIFICATION).expect("settings of verification");
    let verification = verification.validate().expect("valid settings").config;
    let plans = PlanExtractorConfig::default();
    let accounts = MemoryAccounts::new(registry.clone());
    let cache = PlanCache::new(&Text::Static("plan_extractor"), &plans, Arc::clone(clock), &accounts);
    CHAIN
        .iter()
        .map(|name| {
            let id = Text::Static(name);
            let (receiver, registry) = (receiver.clone(), registry.clone());
            let (guard, sampler, verification) = (guard.clone(), Arc::clone(&sampler), verification.clone());
            let (cache, accounts) = (cache.clone(), accounts.clone());
            let build = move || -> Box<dyn Processor> {
                let (id, receiver, registry) = (Text::Static(name), receiver.clone(), registry.clone());
                match *name {
                    "memory_limiter" => {
                        Box::new(MemoryLimiter::new(id, MemoryView::default(), MemoryAccounts::new(registry)))
                    }
                    "circuit_breaker" => Box::new(CircuitBreaker::new(id, guard.clone())),
                    "plan_extractor" => {
                        Box::new(PlanExtractor::new(id, &receiver, plans, cache.clone(), registry, &accounts))
                    }
                    "regression_verifier" => {
                        let config = RegressionVerifierConfig::default();
                        Box::new(RegressionVerifier::new(id, &receiver, config, registry, &accounts))
                    }
                    "adaptive_sampler" => Box::new(AdaptiveSampler::new(id, &sampler, receiver, registry)),
                    _ => Box::new(Verification::new(id, &receiver, verification.clone(), registry)),
                }
            };
            ProcessorFactory { id, build: Arc::new(build) }
        })
        .collect()
}

fn guard(receiver: &Text, clock: &Arc<dyn Clock>, registry: &Registry) -> Guard {
    let settings = from_yaml("{}").expect("settings of the breaker");
    let config = circuit_breaker::validate(&settings).expect("valid settings").config;
    let cx = GuardContext {
        receiver: receiver.clone(),
        server: "db.example:5432".into(),
        clock: Arc::clone(clock),
        registry: registry.clone(),
        accounts: MemoryAccounts::new(registry.clone()),
        overrides: Overrides::new(Arc::clone(clock)),
        process: ProcessGate::new(Arc::clone(clock), Arc::new(ProcessLoad::default)),
        seed: 1,
    };
    Guard::new(&config, STATEMENT_TIMEOUT, cx)
}
