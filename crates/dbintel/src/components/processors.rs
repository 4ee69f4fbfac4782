//! Processors.

use std::sync::Arc;

use dbintel_config::values::Duration;
use dbintel_config::{Component, ConfigErrors, Node, Warnings};
use dbintel_processors::adaptive_sampler::{self, AdaptiveSamplerConfig, AdaptiveSamplerSettings};
use dbintel_processors::circuit_breaker::{self, CircuitBreakerConfig, CircuitBreakerSettings};
use dbintel_processors::memory_limiter::{MemoryLimiterConfig, MemoryLimiterSettings};
use dbintel_processors::plan_extractor::{PlanExtractorConfig, PlanExtractorSettings};
use dbintel_processors::regression_verifier::{RegressionVerifierConfig, RegressionVerifierSettings};
use dbintel_processors::verification::{VerificationConfig, VerificationSettings};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Factory, errors, settled};

const ADAPTIVE_SAMPLER: &str = "adaptive_sampler";

/// Every processor.
pub const PROCESSORS: &[Factory<ProcessorPlan>] = &[
    Factory {
        kind: "memory_limiter",
        aliases: &[],
        description: "Refuses records at the door while the process uses more memory than it may.",
        schema: || schemars::schema_for!(MemoryLimiterSettings),
        prepare: prepare_memory_limiter,
    },
    Factory {
        kind: "circuit_breaker",
        aliases: &[],
        description: "Stands before the database: breakers, rates and a budget of database time.",
        schema: || schemars::schema_for!(CircuitBreakerSettings),
        prepare: |component, warnings| {
            let settings: CircuitBreakerSettings = component.read_noting(warnings)?;
            settled(component, warnings, circuit_breaker::validate(&settings))
                .map(|config| ProcessorPlan::CircuitBreaker(Box::new(config)))
        },
    },
    Factory {
        kind: "plan_extractor",
        aliases: &[],
        description: "Makes of plans what may leave: redacted, with a fingerprint; says when the plan of a statement changes.",
        schema: || schemars::schema_for!(PlanExtractorSettings),
        prepare: |component, warnings| {
            let settings: PlanExtractorSettings = component.read_noting(warnings)?;
            settled(component, warnings, settings.validate()).map(ProcessorPlan::PlanExtractor)
        },
    },
    Factory {
        kind: "regression_verifier",
        aliases: &[],
        description: "Keeps what every statement does at each hour of the day; says when a change of plan made one slower, with evidence.",
        schema: || schemars::schema_for!(RegressionVerifierSettings),
        prepare: |component, warnings| {
            let settings: RegressionVerifierSettings = component.read_noting(warnings)?;
            settled(component, warnings, settings.validate())
                .map(|config| ProcessorPlan::RegressionVerifier(Box::new(config)))
        },
    },
    Factory {
        kind: ADAPTIVE_SAMPLER,
        aliases: &[],
        description: "Keeps a part of the sampled sessions by rules, within a budget, and marks the rest as not to be sent.",
        schema: || schemars::schema_for!(AdaptiveSamplerSettings),
        prepare: prepare_adaptive_sampler,
    },
    Factory {
        kind: "batch",
        aliases: &[],
        description: "Accepted from Collector configurations; batching is the exporters' own.",
        schema: || schemars::schema_for!(BatchSettings),
        prepare: prepare_batch,
    },
    Factory {
        kind: "verification",
        aliases: &[],
        description: "Last in the chain: limits sizes, distinct values and cost, masks personal data, drops what makes no sense.",
        schema: || schemars::schema_for!(VerificationSettings),
        prepare: prepare_verification,
    },
];

/// A processor that can be built.
#[derive(Clone, Debug, PartialEq)]
pub enum ProcessorPlan {
    /// Limits memory. One per process: all lanes share its limits.
    MemoryLimiter(MemoryLimiterConfig),
    /// Samples sessions. Each lane has its own budget.
    AdaptiveSampler(Arc<AdaptiveSamplerConfig>),
    /// Configures and shows what stands before the database.
    CircuitBreaker(Box<CircuitBreakerConfig>),
    /// Reads plans. All lanes that name it share its cache.
    PlanExtractor(PlanExtractorConfig),
    /// Judges changes of plans. Each lane has its own histories.
    RegressionVerifier(Box<RegressionVerifierConfig>),
    /// Nothing of its own: exporters batch. How long they may wait for more, where it says so.
    Batch {
        /// `timeout` of the processor.
        flush_timeout: Option<std::time::Duration>,
    },
    /// Looks at everything that is about to leave. The last one of its chain.
    Verification(Box<VerificationConfig>),
}

/// The Collector's `batch` processor as written.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BatchSettings {
    /// How long to wait for more records. Becomes `sending_queue.batch.flush_timeout` of the pipeline's exporters.
    pub timeout: Option<Duration>,
    /// No effect: requests are bounded in bytes.
    pub send_batch_size: Option<u64>,
    /// No effect: requests are bounded in bytes.
    pub send_batch_max_size: Option<u64>,
    /// No effect: there is no client metadata.
    pub metadata_keys: Vec<String>,
    /// No effect: there is no client metadata.
    pub metadata_cardinality_limit: Option<u64>,
}

fn prepare_memory_limiter(
    component: &Component,
    warnings: &mut Warnings,
) -> Result<ProcessorPlan, ConfigErrors> {
    let settings: MemoryLimiterSettings = component.read_noting(warnings)?;
    let config = settings
        .validate()
        .map_err(|error| errors(component, [(error.key().to_owned(), error.to_string())]))?;
    Ok(ProcessorPlan::MemoryLimiter(config))
}

fn prepare_adaptive_sampler(
    component: &Component,
    warnings: &mut Warnings,
) -> Result<ProcessorPlan, ConfigErrors> {
    let settings: AdaptiveSamplerSettings = component.read_noting(warnings)?;
    let config = settled(component, warnings, settings.validate())?;
    Ok(ProcessorPlan::AdaptiveSampler(Arc::new(config)))
}

/// The settings of a processor with what stands for them written out, for `print-config`.
pub fn expanded(component: &Component) -> Option<Node> {
    (component.id().kind() == ADAPTIVE_SAMPLER).then(|| adaptive_sampler::expanded(component.node()))
}

fn prepare_batch(component: &Component, warnings: &mut Warnings) -> Result<ProcessorPlan, ConfigErrors> {
    let settings: BatchSettings = component.read_noting(warnings)?;
    let message = "exporters batch by themselves, bounded in bytes; `timeout` becomes their \
                   sending_queue.batch.flush_timeout, the other keys have no effect";
    warnings.push(component.warning("", message));
    Ok(ProcessorPlan::Batch { flush_timeout: settings.timeout.map(Duration::get) })
}

fn prepare_verification(
    component: &Component,
    warnings: &mut Warnings,
) -> Result<ProcessorPlan, ConfigErrors> {
    let settings: VerificationSettings = component.read_noting(warnings)?;
    let config = settled(component, warnings, settings.validate())?;
    Ok(ProcessorPlan::Verification(Box::new(config)))
}
