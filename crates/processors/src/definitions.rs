//! Self-metrics that only processors have, beside those of [`dbintel_pipeline::telemetry::definitions`].

use dbintel_pipeline::telemetry::SelfMetric;
use dbintel_pipeline::telemetry::SelfMetricKind::{Counter, Gauge};

/// Records the adaptive sampler has decided about.
pub static ADAPTIVE_SAMPLER_PROCESSED: SelfMetric = SelfMetric {
    name: "adaptive_sampler_records_processed_total",
    help: "Records the adaptive sampler has decided about.",
    kind: Counter,
    labels: &["processor", "receiver"],
};

/// Records the adaptive sampler has marked as not to be sent, by rule and reason.
pub static ADAPTIVE_SAMPLER_DROPPED: SelfMetric = SelfMetric {
    name: "adaptive_sampler_records_dropped_total",
    help: "Records the adaptive sampler has marked as not to be sent, by rule and reason: sampled (the draw), rate_limited (a hard limit), duplicate.",
    kind: Counter,
    labels: &["processor", "receiver", "reason", "rule"],
};

/// Share of records, lately, that the adaptive sampler found to be duplicates of one just kept.
pub static ADAPTIVE_SAMPLER_CACHE_HIT_RATE: SelfMetric = SelfMetric {
    name: "adaptive_sampler_cache_hit_rate",
    help: "Share of records, lately, that the adaptive sampler found to be duplicates of one just kept.",
    kind: Gauge,
    labels: &["processor", "receiver"],
};

/// Records by the rule of the adaptive sampler that decided about them.
pub static ADAPTIVE_SAMPLER_RULE_MATCHES: SelfMetric = SelfMetric {
    name: "adaptive_sampler_rule_matches_total",
    help: "Records by the rule of the adaptive sampler that decided about them; default where none matched.",
    kind: Counter,
    labels: &["processor", "receiver", "rule"],
};

/// Time during which lanes refused records because of memory.
pub static MEMORY_LIMITER_REFUSING_SECONDS: SelfMetric = SelfMetric {
    name: "dbintel_memory_limiter_refusing_seconds_total",
    help: "Time during which lanes refused records because of memory.",
    kind: Counter,
    labels: &[],
};

/// Times caches were asked to empty themselves because memory use was above the hard limit.
pub static MEMORY_LIMITER_SHRINKS: SelfMetric = SelfMetric {
    name: "dbintel_memory_limiter_shrinks_total",
    help: "Times caches were asked to empty themselves because memory use was above the hard limit.",
    kind: Counter,
    labels: &[],
};

/// Bytes that caches gave back because memory use was above the hard limit.
pub static MEMORY_LIMITER_FREED: SelfMetric = SelfMetric {
    name: "dbintel_memory_limiter_freed_bytes_total",
    help: "Bytes that caches gave back because memory use was above the hard limit.",
    kind: Counter,
    labels: &[],
};

/// Checks of memory use that found no reading.
pub static MEMORY_LIMITER_UNREAD: SelfMetric = SelfMetric {
    name: "dbintel_memory_limiter_unread_total",
    help: "Checks of memory use that found no reading.",
    kind: Counter,
    labels: &[],
};

/// 1 for the state a breaker is in, 0 for the others; the database is empty for what is asked of the server as a whole.
pub static BREAKER_STATE: SelfMetric = SelfMetric {
    name: "circuit_breaker_state",
    help: "1 for the state the breaker is in; an empty database is the server as a whole.",
    kind: Gauge,
    labels: &["receiver", "server", "database", "state"],
};

/// Times a breaker opened.
pub static BREAKER_TRIPS: SelfMetric = SelfMetric {
    name: "circuit_breaker_trips_total",
    help: "Times a breaker opened: the server's, a database's, or that of one of our queries in it.",
    kind: Counter,
    labels: &["receiver", "server", "database"],
};

/// Time from the first opening to closing.
pub static BREAKER_RECOVERY: SelfMetric = SelfMetric {
    name: "circuit_breaker_recovery_time_seconds",
    help: "Time from opening to closing, the last time a breaker closed.",
    kind: Gauge,
    labels: &["receiver", "server", "database"],
};

/// Plans the receiver obtained, by what became of them.
pub static PLAN_PARSER_PLANS: SelfMetric = SelfMetric {
    name: "plan_parser_plans_total",
    help: "Plans the receiver obtained, by what became of them: parsed, cached, or why they could not be used: too_large, step_budget, too_many_problems, or the problem that left them incomplete.",
    kind: Counter,
    labels: &["processor", "receiver", "reason"],
};

/// What was odd about plans that were read, by problem.
pub static PLAN_PARSER_PROBLEMS: SelfMetric = SelfMetric {
    name: "plan_parser_problems_total",
    help: "What was odd about plans that were read, by problem; most do no harm, such as unknown_key.",
    kind: Counter,
    labels: &["processor", "receiver", "problem"],
};

/// Share of the last 1,024 plans that had been read before.
pub static PLAN_PARSER_CACHE_HIT_RATE: SelfMetric = SelfMetric {
    name: "plan_parser_cache_hit_rate",
    help: "Share of the last 1,024 plans that needed no reading, since their bytes, or those of the statement's plan but for numbers, had been read before; absent before the first one.",
    kind: Gauge,
    labels: &["processor", "receiver"],
};

/// Plans that left the cache for others.
pub static PLAN_PARSER_CACHE_EVICTED: SelfMetric = SelfMetric {
    name: "plan_parser_cache_evicted_total",
    help: "Plans that left the cache for others.",
    kind: Counter,
    labels: &["processor", "receiver"],
};

/// 99th percentile of what reading took.
pub static PLAN_PARSER_P99_LATENCY: SelfMetric = SelfMetric {
    name: "plan_parser_p99_latency_ms",
    help: "99th percentile of the time that reading, fingerprinting, summing up and redacting took, of the last 1,024 plans that were not in the cache, in milliseconds; measured by our own clock, and nothing is decided by it.",
    kind: Gauge,
    labels: &["processor", "receiver"],
};

/// Plans that statements went back to.
pub static PLAN_EXTRACTOR_ALTERNATIONS: SelfMetric = SelfMetric {
    name: "plan_extractor_alternations_total",
    help: "Plans that a statement went to and fro between, on rungs where plans depend on values; nothing leaves for them.",
    kind: Counter,
    labels: &["processor", "receiver"],
};

/// Events of plans that left, by reason.
pub static PLAN_EXTRACTOR_EVENTS: SelfMetric = SelfMetric {
    name: "plan_extractor_events_total",
    help: "Events db.server.query_plan, by dbintel.plan.reason; with each changed goes one dbintel.plan.change.",
    kind: Counter,
    labels: &["processor", "receiver", "reason"],
};

/// Statements whose plans are followed.
pub static PLAN_EXTRACTOR_STATEMENTS: SelfMetric = SelfMetric {
    name: "plan_extractor_statements",
    help: "Statements whose plans are followed.",
    kind: Gauge,
    labels: &["processor", "receiver"],
};

/// Bytes of large plans before compression divided by those after it.
pub static PLAN_STORE_COMPRESSION_RATIO: SelfMetric = SelfMetric {
    name: "plan_store_compression_ratio",
    help: "Bytes of large redacted plans before compression divided by those after it, of all that were read since the start; measured.",
    kind: Gauge,
    labels: &["processor", "receiver"],
};

/// Share of statements rejected by a rate.
pub static REJECTION_RATE: SelfMetric = SelfMetric {
    name: "rate_limiter_rejection_rate",
    help: "Share of the statements asked for that a rate rejected, between the last two looks.",
    kind: Gauge,
    labels: &["receiver", "server", "database"],
};

/// Cost of our statements.
pub static LEDGER_TIME: SelfMetric = SelfMetric {
    name: "collector_database_time_seconds_total",
    help: "Time our statements took, by database and purpose; source says whether the database measured it (statement) \
           or we did (wall).",
    kind: Counter,
    labels: &["receiver", "server", "database", "purpose", "source"],
};

/// Cost of the last minute as a share of the budget.
pub static BUDGET_RATIO: SelfMetric = SelfMetric {
    name: "collector_database_budget_ratio",
    help: "Time our statements took in the last minute, as a share of the budget.",
    kind: Gauge,
    labels: &["receiver", "server", "database"],
};

/// What intervals are multiplied with.
pub static CADENCE_STRETCH: SelfMetric = SelfMetric {
    name: "collector_cadence_stretch_ratio",
    help: "What intervals between polls are multiplied with to keep within the budget.",
    kind: Gauge,
    labels: &["receiver", "server", "database"],
};

/// Statements that were not admitted.
pub static ADMISSION_DENIED: SelfMetric = SelfMetric {
    name: "dbintel_admission_denied_total",
    help: "Statements that were not admitted, by purpose and gate.",
    kind: Counter,
    labels: &["receiver", "purpose", "gate"],
};

/// Records that did not leave, by reason.
pub static VERIFICATION_RECORDS_DROPPED: SelfMetric = SelfMetric {
    name: "verification_records_dropped_total",
    help: "Records that did not leave, by reason.",
    kind: Counter,
    labels: &["processor", "receiver", "reason"],
};

/// Values that made no sense and were taken out of a record that left, by reason.
pub static VERIFICATION_VALUES_DROPPED: SelfMetric = SelfMetric {
    name: "verification_values_dropped_total",
    help: "Values that made no sense and were taken out of a record that left, by reason.",
    kind: Counter,
    labels: &["processor", "receiver", "reason"],
};

/// Records that were too old or from the future, by reason, dropped or not.
pub static VERIFICATION_UNTIMELY: SelfMetric = SelfMetric {
    name: "verification_untimely_records_total",
    help: "Records that were too old or from the future, by reason, dropped or not.",
    kind: Counter,
    labels: &["processor", "receiver", "reason"],
};

/// Batches whose resource lacks an attribute by which backends tell who sent it, by attribute.
pub static VERIFICATION_IDENTITY_MISSING: SelfMetric = SelfMetric {
    name: "verification_identity_missing_total",
    help: "Batches whose resource lacks an attribute by which backends tell who sent it, by attribute.",
    kind: Counter,
    labels: &["processor", "receiver", "attribute"],
};

/// Personal data and secrets found in texts that were about to leave, and masked, by detector.
pub static VERIFICATION_MASKED: SelfMetric = SelfMetric {
    name: "verification_sensitive_values_masked_total",
    help: "Personal data and secrets found in texts that were about to leave, and masked, by detector.",
    kind: Counter,
    labels: &["processor", "receiver", "detector"],
};

/// Texts cut because they or their record were too large.
pub static VERIFICATION_TRUNCATED: SelfMetric = SelfMetric {
    name: "verification_texts_truncated_total",
    help: "Texts cut because they or their record were too large.",
    kind: Counter,
    labels: &["processor", "receiver"],
};

/// Values beyond the limit of distinct values, by attribute: replaced in events, their points dropped in metrics.
pub static VERIFICATION_OVERFLOW: SelfMetric = SelfMetric {
    name: "verification_cardinality_overflow_total",
    help: "Values beyond the limit of distinct values, by attribute: replaced in events, their points dropped in metrics.",
    kind: Counter,
    labels: &["processor", "receiver", "attribute"],
};

/// Distinct attribute values held.
pub static VERIFICATION_VALUES: SelfMetric = SelfMetric {
    name: "verification_cardinality_values",
    help: "Distinct attribute values held.",
    kind: Gauge,
    labels: &["processor", "receiver"],
};

/// Bytes of the attributes and values that left, before compression, by signal.
pub static VERIFICATION_BYTES: SelfMetric = SelfMetric {
    name: "verification_bytes_total",
    help: "Bytes of the attributes and values that left, before compression, by signal.",
    kind: Counter,
    labels: &["processor", "receiver", "signal"],
};

/// Bytes of the attributes and values that left within the last minute, before compression.
pub static VERIFICATION_BYTES_PER_MINUTE: SelfMetric = SelfMetric {
    name: "verification_bytes_per_minute",
    help: "Bytes of the attributes and values that left within the last minute, before compression.",
    kind: Gauge,
    labels: &["processor", "receiver"],
};

/// Bytes of the last minute as a part of the configured limit.
pub static VERIFICATION_BYTE_BUDGET_RATIO: SelfMetric = SelfMetric {
    name: "verification_byte_budget_ratio",
    help: "Bytes of the last minute as a part of the configured limit.",
    kind: Gauge,
    labels: &["processor", "receiver"],
};

/// Statements that left without their text because the bytes of the minute were nearly used up.
pub static VERIFICATION_TEXTS_REMOVED: SelfMetric = SelfMetric {
    name: "verification_texts_removed_total",
    help: "Statements that left without their text because the bytes of the minute were nearly used up.",
    kind: Counter,
    labels: &["processor", "receiver"],
};

/// Metric series that had a point lately.
pub static VERIFICATION_ACTIVE_SERIES: SelfMetric = SelfMetric {
    name: "verification_active_series",
    help: "Metric series that had a point lately.",
    kind: Gauge,
    labels: &["processor", "receiver"],
};

/// Metric points whose series found no room to be noted; the number of active series is then a lower bound.
pub static VERIFICATION_SERIES_UNTRACKED: SelfMetric = SelfMetric {
    name: "verification_series_untracked_total",
    help: "Metric points whose series found no room to be noted; the number of active series is then a lower bound.",
    kind: Counter,
    labels: &["processor", "receiver"],
};

/// Cost per day by measured bytes and series times the configured prices, by part.
pub static VERIFICATION_COST: SelfMetric = SelfMetric {
    name: "verification_cost_per_day",
    help: "Cost per day by measured bytes and series times the configured prices, by part.",
    kind: Gauge,
    labels: &["processor", "receiver", "part", "source", "currency"],
};

/// Distinct fingerprints divided by distinct texts of the statements that left lately: 1 where every text is a statement of its own, lower where texts differ only in spelling.
pub static VERIFICATION_NORMALISATION: SelfMetric = SelfMetric {
    name: "verification_normalisation_ratio",
    help: "Distinct fingerprints divided by distinct texts of the statements that left lately: 1 where every text is a statement of its own, lower where texts differ only in spelling.",
    kind: Gauge,
    labels: &["processor", "receiver"],
};

/// How far the server's clock was ahead of ours at the last poll.
pub static VERIFICATION_CLOCK_SKEW: SelfMetric = SelfMetric {
    name: "verification_server_clock_skew_seconds",
    help: "How far the server's clock was ahead of ours at the last poll.",
    kind: Gauge,
    labels: &["processor", "receiver"],
};

/// Intervals of statements that became evidence.
pub static VERIFIER_INTERVALS: SelfMetric = SelfMetric {
    name: "regression_verifier_intervals_total",
    help: "Intervals of statements that became evidence.",
    kind: Counter,
    labels: &["processor", "receiver"],
};

/// Intervals of statements that are no evidence.
pub static VERIFIER_INTERVALS_IGNORED: SelfMetric = SelfMetric {
    name: "regression_verifier_intervals_ignored_total",
    help: "Intervals of statements that are no evidence, by reason: incarnation (they may mix two entries of one key), too_long (longer than an hour), numbers (a number is none, or the counters of blocks are missing), too_late (their hour is not kept any more), clock (the server's clock went another way than ours by more than an hour).",
    kind: Counter,
    labels: &["processor", "receiver", "reason"],
};

/// Statements whose history is kept.
pub static VERIFIER_STATEMENTS: SelfMetric = SelfMetric {
    name: "regression_verifier_statements",
    help: "Statements whose history is kept.",
    kind: Gauge,
    labels: &["processor", "receiver"],
};

/// Bytes of histories, trials and findings.
pub static VERIFIER_STATE_BYTES: SelfMetric = SelfMetric {
    name: "regression_verifier_state_bytes",
    help: "Bytes of histories, trials and findings.",
    kind: Gauge,
    labels: &["processor", "receiver"],
};

/// Statements under trial after a change.
pub static VERIFIER_TRIALS: SelfMetric = SelfMetric {
    name: "regression_verifier_trials",
    help: "Statements under trial after a change.",
    kind: Gauge,
    labels: &["processor", "receiver"],
};

/// Trials that ended.
pub static VERIFIER_TRIALS_ENDED: SelfMetric = SelfMetric {
    name: "regression_verifier_trials_ended_total",
    help: "Trials that ended, by reason: improved, unchanged, expired (nothing could be concluded in time), displaced (no room, others lost more time), superseded (another change of plan), forgotten (the statement was), finding (its finding came to an end).",
    kind: Counter,
    labels: &["processor", "receiver", "reason"],
};

/// Verdicts by conclusion and category; a statement under trial is judged with every block.
pub static VERIFIER_VERDICTS: SelfMetric = SelfMetric {
    name: "regression_verifier_verdicts_total",
    help: "Verdicts by conclusion and category; a statement under trial is judged with every block.",
    kind: Counter,
    labels: &["processor", "receiver", "conclusion", "category"],
};

/// Findings that were opened, by kind and category.
pub static VERIFIER_FINDINGS: SelfMetric = SelfMetric {
    name: "regression_verifier_findings_total",
    help: "Findings that were opened, by kind and category.",
    kind: Counter,
    labels: &["processor", "receiver", "kind", "category"],
};

/// Findings that are open now, by kind and category.
pub static VERIFIER_FINDINGS_OPEN: SelfMetric = SelfMetric {
    name: "regression_verifier_findings_open",
    help: "Findings that are open now, by kind and category.",
    kind: Gauge,
    labels: &["processor", "receiver", "kind", "category"],
};

/// Decisions of persons.
pub static VERIFIER_DECISIONS: SelfMetric = SelfMetric {
    name: "regression_verifier_decisions_total",
    help: "Decisions of persons that reached the verifier, by action (accept, reject) and result: taken, late (the finding had come to its end, or something had been done about it, before the decision was known).",
    kind: Counter,
    labels: &["processor", "receiver", "action", "result"],
};

/// Findings that were not opened although the evidence allowed it.
pub static VERIFIER_SUPPRESSED: SelfMetric = SelfMetric {
    name: "regression_verifier_findings_suppressed_total",
    help: "Findings that were not opened although the evidence allowed it, by reason: per_run, per_object, per_hour (caps), cool_down, open_limit, merged (part of one about the server), improvements_per_hour.",
    kind: Counter,
    labels: &["processor", "receiver", "reason"],
};

/// Every self-metric of this crate, for documentation.
pub static ALL: &[&SelfMetric] = &[
    &ADAPTIVE_SAMPLER_PROCESSED,
    &ADAPTIVE_SAMPLER_DROPPED,
    &ADAPTIVE_SAMPLER_CACHE_HIT_RATE,
    &ADAPTIVE_SAMPLER_RULE_MATCHES,
    &ADMISSION_DENIED,
    &BREAKER_RECOVERY,
    &BREAKER_STATE,
    &BREAKER_TRIPS,
    &BUDGET_RATIO,
    &CADENCE_STRETCH,
    &LEDGER_TIME,
    &REJECTION_RATE,
    &MEMORY_LIMITER_REFUSING_SECONDS,
    &MEMORY_LIMITER_SHRINKS,
    &MEMORY_LIMITER_FREED,
    &MEMORY_LIMITER_UNREAD,
    &PLAN_PARSER_PLANS,
    &PLAN_PARSER_PROBLEMS,
    &PLAN_PARSER_CACHE_HIT_RATE,
    &PLAN_PARSER_CACHE_EVICTED,
    &PLAN_PARSER_P99_LATENCY,
    &PLAN_EXTRACTOR_ALTERNATIONS,
    &PLAN_EXTRACTOR_EVENTS,
    &PLAN_EXTRACTOR_STATEMENTS,
    &PLAN_STORE_COMPRESSION_RATIO,
    &VERIFIER_INTERVALS,
    &VERIFIER_INTERVALS_IGNORED,
    &VERIFIER_STATEMENTS,
    &VERIFIER_STATE_BYTES,
    &VERIFIER_TRIALS,
    &VERIFIER_TRIALS_ENDED,
    &VERIFIER_VERDICTS,
    &VERIFIER_FINDINGS,
    &VERIFIER_FINDINGS_OPEN,
    &VERIFIER_DECISIONS,
    &VERIFIER_SUPPRESSED,
    &VERIFICATION_RECORDS_DROPPED,
    &VERIFICATION_VALUES_DROPPED,
    &VERIFICATION_UNTIMELY,
    &VERIFICATION_IDENTITY_MISSING,
    &VERIFICATION_MASKED,
    &VERIFICATION_TRUNCATED,
    &VERIFICATION_OVERFLOW,
    &VERIFICATION_VALUES,
    &VERIFICATION_BYTES,
    &VERIFICATION_BYTES_PER_MINUTE,
    &VERIFICATION_BYTE_BUDGET_RATIO,
    &VERIFICATION_TEXTS_REMOVED,
    &VERIFICATION_ACTIVE_SERIES,
    &VERIFICATION_SERIES_UNTRACKED,
    &VERIFICATION_COST,
    &VERIFICATION_NORMALISATION,
    &VERIFICATION_CLOCK_SKEW,
];
