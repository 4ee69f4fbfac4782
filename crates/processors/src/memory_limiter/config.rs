//! Settings of `memory_limiter`: serde type, validation, and the limits in bytes for the memory there is.
//!
//! Three ways to say it, of which one is chosen:
//! * `limit_mib` and `spike_limit_mib`, as in the Collector: hard = limit, soft = limit − spike;
//! * `limit_percentage` and `spike_limit_percentage`, as in the Collector: both of the memory available;
//! * `soft_limit` and `hard_limit`, ours: a size or a percentage each.
//!
//! The spike is 20 % of the limit where it is not written. With nothing written, the limit is
//! [`DEFAULT_LIMIT_PERCENT`] of a container's memory; on a bare machine, which belongs to the database next door, it is
//! no more than [`DEFAULT_LIMIT_MACHINE_BYTES_MAX`].

use std::time::Duration as StdDuration;

use dbintel_config::values::{Duration, MemoryLimit, Percentage};
use dbintel_model::Text;
use dbintel_pipeline::memory::MemoryLimits;
use schemars::JsonSchema;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::view::mib;

/// Share of the available memory that is the hard limit where none is written.
pub const DEFAULT_LIMIT_PERCENT: u64 = 80;
/// The hard limit on a machine without a container limit, where none is written: at most 2 GiB.
pub const DEFAULT_LIMIT_MACHINE_BYTES_MAX: u64 = 2 << 30;
/// The hard limit where neither a limit is written nor the available memory is known.
pub const DEFAULT_LIMIT_UNKNOWN_BYTES: u64 = 512 << 20;
/// The smallest hard limit: below it, a process that does nothing would refuse.
pub const HARD_LIMIT_BYTES_MIN: u64 = 32 << 20;
/// The spike as a part of the limit, where it is not written: one fifth, 20 %.
const DEFAULT_SPIKE_DIVISOR: u64 = 5;
const DEFAULT_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// `memory_limiter` as written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MemoryLimiterSettings {
    /// How often memory use is compared with the limits.
    pub check_interval: Duration,
    /// The hard limit, in mebibytes of resident memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_mib: Option<u64>,
    /// What may be added between two checks, in mebibytes: the soft limit is the hard limit less this. Default: 20 %
    /// of `limit_mib`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spike_limit_mib: Option<u64>,
    /// The hard limit, as a percentage of the memory of the container, or else of the machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_percentage: Option<Percentage>,
    /// What may be added between two checks, as a percentage of the memory of the container, or else of the machine.
    /// Default: 20 % of the limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spike_limit_percentage: Option<Percentage>,
    /// Above it, lanes refuse records. A size or a percentage of the available memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub soft_limit: Option<MemoryLimit>,
    /// Above it, caches are emptied too. A size or a percentage of the available memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hard_limit: Option<MemoryLimit>,

    /// A setting of the Collector that has no meaning here.
    #[serde(skip_serializing)]
    #[schemars(skip)]
    pub min_gc_interval_when_soft_limited: Option<IgnoredAny>,
    /// A setting of the Collector that has no meaning here.
    #[serde(skip_serializing)]
    #[schemars(skip)]
    pub min_gc_interval_when_hard_limited: Option<IgnoredAny>,
    /// A setting of the Collector that has no meaning here.
    #[serde(skip_serializing)]
    #[schemars(skip)]
    pub max_gc_interval_when_soft_limited: Option<IgnoredAny>,
    /// A setting of the Collector that has no meaning here.
    #[serde(skip_serializing)]
    #[schemars(skip)]
    pub max_gc_interval_when_hard_limited: Option<IgnoredAny>,
}

/// Validated settings. Two that are equal make the same watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryLimiterConfig {
    check_interval: StdDuration,
    rule: Rule,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    Default,
    Bytes { limit: u64, spike: Option<u64> },
    Share { limit: Percentage, spike: Option<Percentage> },
    SoftHard { soft: Option<MemoryLimit>, hard: Option<MemoryLimit> },
}

/// The memory there is for this process, as whoever may read it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AvailableMemory {
    /// So many bytes.
    pub bytes: u64,
    /// Who says so.
    pub source: MemorySource,
}

/// What bounds the memory of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemorySource {
    /// The limit of its container (control group).
    Container,
    /// The memory of the machine.
    Machine,
}

/// Limits in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedLimits {
    /// The limits.
    pub limits: MemoryLimits,
    /// What is probably not meant, for the log and for pages.
    pub warning: Option<Text>,
}

/// Settings that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MemoryLimiterError {
    /// Nothing would ever be checked.
    #[error("must be longer than 0s; 1s is usual")]
    ZeroInterval,
    /// A size of zero.
    #[error("must be above 0")]
    Zero(&'static str),
    /// Two ways to say the limit at once.
    #[error("cannot be together with {other}: they say the same thing in two ways; remove one of them")]
    Conflict {
        /// The setting.
        key: &'static str,
        /// The one it cannot be with.
        other: &'static str,
    },
    /// A spike without the limit it belongs to.
    #[error("has no effect without {limit}; write that too, or remove this")]
    SpikeAlone {
        /// The setting.
        key: &'static str,
        /// What is missing.
        limit: &'static str,
    },
    /// No room below the limit.
    #[error("must be below {limit}")]
    SpikeTooLarge {
        /// The setting.
        key: &'static str,
        /// The limit.
        limit: &'static str,
    },
    /// A setting of the Collector's garbage collector.
    #[error("is a setting for Go's garbage collector, and dbintel has none; remove it")]
    GarbageCollector(&'static str),
    /// The soft limit would never be passed before the hard one.
    #[error("must be below hard_limit; with the memory available here it is not")]
    SoftNotBelowHard,
    /// The process could not even start within it.
    #[error("gives less than the {} MiB that an idle dbintel needs", HARD_LIMIT_BYTES_MIN >> 20)]
    TooSmall(&'static str),
    /// A percentage of something unknown.
    #[error("is a percentage, and the memory available is not known on this system; write a size instead")]
    UnknownMemory(&'static str),
}

// === impl MemoryLimiterSettings ===

impl Default for MemoryLimiterSettings {
    fn default() -> Self {
        Self {
            check_interval: DEFAULT_CHECK_INTERVAL,
            limit_mib: None,
            spike_limit_mib: None,
            limit_percentage: None,
            spike_limit_percentage: None,
            soft_limit: None,
            hard_limit: None,
            min_gc_interval_when_soft_limited: None,
            min_gc_interval_when_hard_limited: None,
            max_gc_interval_when_soft_limited: None,
            max_gc_interval_when_hard_limited: None,
        }
    }
}

impl MemoryLimiterSettings {
    /// Checks everything that can be checked without knowing the memory available.
    ///
    /// # Errors
    /// The first thing that cannot be; [`MemoryLimiterError::key`] names the setting.
    pub fn validate(&self) -> Result<MemoryLimiterConfig, MemoryLimiterError> {
        self.check_garbage_collector()?;
        self.check_conflicts()?;
        if self.check_interval.is_zero() {
            return Err(MemoryLimiterError::ZeroInterval);
        }
        Ok(MemoryLimiterConfig { check_interval: self.check_interval.get(), rule: self.rule()? })
    }

    fn check_garbage_collector(&self) -> Result<(), MemoryLimiterError> {
        let settings = [
            ("min_gc_interval_when_soft_limited", self.min_gc_interval_when_soft_limited),
            ("min_gc_interval_when_hard_limited", self.min_gc_interval_when_hard_limited),
            ("max_gc_interval_when_soft_limited", self.max_gc_interval_when_soft_limited),
            ("max_gc_interval_when_hard_limited", self.max_gc_interval_when_hard_limited),
        ];
        let written = settings.iter().find(|(_, value)| value.is_some());
        written.map_or(Ok(()), |(key, _)| Err(MemoryLimiterError::GarbageCollector(key)))
    }

    fn check_conflicts(&self) -> Result<(), MemoryLimiterError> {
        let families: [&[(&'static str, bool)]; 3] = [
            &[("limit_mib", self.limit_mib.is_some()), ("spike_limit_mib", self.spike_limit_mib.is_some())],
            &[
                ("limit_percentage", self.limit_percentage.is_some()),
                ("spike_limit_percentage", self.spike_limit_percentage.is_some()),
            ],
            &[("hard_limit", self.hard_limit.is_some()), ("soft_limit", self.soft_limit.is_some())],
        ];
        let mut written =
            families.iter().filter_map(|family| family.iter().find(|(_, is_written)| *is_written));
        match (written.next(), written.next()) {
            (Some((other, _)), Some((key, _))) => Err(MemoryLimiterError::Conflict { key, other }),
            _ => Ok(()),
        }
    }

    fn rule(&self) -> Result<Rule, MemoryLimiterError> {
        if self.hard_limit.is_some() || self.soft_limit.is_some() {
            return Ok(Rule::SoftHard { soft: self.soft_limit, hard: self.hard_limit });
        }
        match (self.limit_mib, self.spike_limit_mib) {
            (Some(limit), spike) => return mebibytes(limit, spike),
            (None, Some(_)) => return Err(spike_alone("spike_limit_mib", "limit_mib")),
            (None, None) => {}
        }
        match (self.limit_percentage, self.spike_limit_percentage) {
            (Some(limit), spike) => percentages(limit, spike),
            (None, Some(_)) => Err(spike_alone("spike_limit_percentage", "limit_percentage")),
            (None, None) => Ok(Rule::Default),
        }
    }
}

fn mebibytes(limit: u64, spike: Option<u64>) -> Result<Rule, MemoryLimiterError> {
    let bytes = |mib: u64| mib.saturating_mul(1 << 20);
    if limit == 0 {
        return Err(MemoryLimiterError::Zero("limit_mib"));
    }
    if bytes(limit) < HARD_LIMIT_BYTES_MIN {
        return Err(MemoryLimiterError::TooSmall("limit_mib"));
    }
    match spike {
        Some(0) => Err(MemoryLimiterError::Zero("spike_limit_mib")),
        Some(spike) if spike >= limit => {
            Err(MemoryLimiterError::SpikeTooLarge { key: "spike_limit_mib", limit: "limit_mib" })
        }
        _ => Ok(Rule::Bytes { limit: bytes(limit), spike: spike.map(bytes) }),
    }
}

fn percentages(limit: Percentage, spike: Option<Percentage>) -> Result<Rule, MemoryLimiterError> {
    if spike.is_some_and(|spike| spike >= limit) {
        return Err(MemoryLimiterError::SpikeTooLarge {
            key: "spike_limit_percentage",
            limit: "limit_percentage",
        });
    }
    Ok(Rule::Share { limit, spike })
}

const fn spike_alone(key: &'static str, limit: &'static str) -> MemoryLimiterError {
    MemoryLimiterError::SpikeAlone { key, limit }
}

// === impl MemoryLimiterConfig ===

impl Default for MemoryLimiterConfig {
    /// What is in force where no `memory_limiter` is configured.
    fn default() -> Self {
        Self { check_interval: DEFAULT_CHECK_INTERVAL.get(), rule: Rule::Default }
    }
}

impl MemoryLimiterConfig {
    /// How often memory use is compared with the limits. Never zero.
    #[must_use]
    pub const fn check_interval(&self) -> StdDuration {
        self.check_interval
    }

    /// The limits in bytes, for the memory there is.
    ///
    /// # Errors
    /// Percentages of an unknown amount, or limits that make no sense with this amount.
    pub fn resolve(&self, available: Option<AvailableMemory>) -> Result<ResolvedLimits, MemoryLimiterError> {
        let limits = match self.rule {
            Rule::Default => default_limits(available),
            Rule::Bytes { limit, spike } => below(limit, spike),
            Rule::Share { limit, spike } => shares(limit, spike, available)?,
            Rule::SoftHard { soft, hard } => soft_hard(soft, hard, available)?,
        };
        Ok(ResolvedLimits {
            warning: available.and_then(|available| above_memory(&limits, available)),
            limits,
        })
    }
}

fn default_limits(available: Option<AvailableMemory>) -> MemoryLimits {
    let share = |bytes: u64| bytes / 100 * DEFAULT_LIMIT_PERCENT;
    let hard = match available {
        None => DEFAULT_LIMIT_UNKNOWN_BYTES,
        Some(AvailableMemory { bytes, source }) => match source {
            MemorySource::Container => share(bytes),
            MemorySource::Machine => share(bytes).min(DEFAULT_LIMIT_MACHINE_BYTES_MAX),
        },
    };
    below(hard.max(HARD_LIMIT_BYTES_MIN), None)
}

/// The limits for a hard limit and a spike below it.
const fn below(hard_bytes: u64, spike: Option<u64>) -> MemoryLimits {
    let spike = match spike {
        Some(spike) => spike,
        None => hard_bytes / DEFAULT_SPIKE_DIVISOR,
    };
    MemoryLimits { soft_bytes: hard_bytes.saturating_sub(spike), hard_bytes }
}

fn shares(
    limit: Percentage,
    spike: Option<Percentage>,
    available: Option<AvailableMemory>,
) -> Result<MemoryLimits, MemoryLimiterError> {
    const KEY: &str = "limit_percentage";
    let total = available.ok_or(MemoryLimiterError::UnknownMemory(KEY))?.bytes;
    let limits = below(limit.of(total), spike.map(|spike| spike.of(total)));
    large_enough(limits, KEY)
}

fn soft_hard(
    soft: Option<MemoryLimit>,
    hard: Option<MemoryLimit>,
    available: Option<AvailableMemory>,
) -> Result<MemoryLimits, MemoryLimiterError> {
    let soft = soft.map(|limit| bytes_of(limit, "soft_limit", available)).transpose()?;
    let hard = hard.map(|limit| bytes_of(limit, "hard_limit", available)).transpose()?;
    let limits = match (soft, hard) {
        (Some(soft_bytes), Some(hard_bytes)) => MemoryLimits { soft_bytes, hard_bytes },
        // As if the spike were the usual fifth of the hard limit.
        (Some(soft_bytes), None) => MemoryLimits {
            soft_bytes,
            hard_bytes: soft_bytes.saturating_add(soft_bytes / (DEFAULT_SPIKE_DIVISOR - 1)),
        },
        (None, Some(hard_bytes)) => below(hard_bytes, None),
        (None, None) => default_limits(available),
    };
    if limits.soft_bytes >= limits.hard_bytes {
        return Err(MemoryLimiterError::SoftNotBelowHard);
    }
    let key = if hard.is_some() { "hard_limit" } else { "soft_limit" };
    large_enough(limits, key)
}

fn bytes_of(
    limit: MemoryLimit,
    key: &'static str,
    available: Option<AvailableMemory>,
) -> Result<u64, MemoryLimiterError> {
    match (limit, available) {
        (MemoryLimit::Share(_), None) => Err(MemoryLimiterError::UnknownMemory(key)),
        (limit, available) => Ok(limit.resolve(available.map_or(0, |available| available.bytes)).bytes()),
    }
}

const fn large_enough(limits: MemoryLimits, key: &'static str) -> Result<MemoryLimits, MemoryLimiterError> {
    if limits.hard_bytes < HARD_LIMIT_BYTES_MIN { Err(MemoryLimiterError::TooSmall(key)) } else { Ok(limits) }
}

fn above_memory(limits: &MemoryLimits, available: AvailableMemory) -> Option<Text> {
    let whose = match available.source {
        MemorySource::Container => "the container",
        MemorySource::Machine => "the machine",
    };
    (limits.hard_bytes > available.bytes).then(|| {
        format!(
            "the hard memory limit of {} is above the {} that {whose} has: the kernel would end the process before \
             the limit is reached; lower the limit, or give {whose} more memory",
            mib(limits.hard_bytes),
            mib(available.bytes),
        )
        .into()
    })
}

// === impl MemoryLimiterError ===

impl MemoryLimiterError {
    /// The setting it is about, for the path of a configuration error.
    #[must_use]
    pub const fn key(&self) -> &'static str {
        match self {
            Self::ZeroInterval => "check_interval",
            Self::Zero(key)
            | Self::GarbageCollector(key)
            | Self::TooSmall(key)
            | Self::UnknownMemory(key)
            | Self::Conflict { key, .. }
            | Self::SpikeAlone { key, .. }
            | Self::SpikeTooLarge { key, .. } => key,
            Self::SoftNotBelowHard => "soft_limit",
        }
    }
}

#[cfg(test)]
mod tests;
