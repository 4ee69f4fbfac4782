//! Every self-metric. Names follow the OpenTelemetry Collector (`otelcol_*`) where the meaning is the same.

use super::SelfMetric;
use super::SelfMetricKind::{Counter, Gauge};

macro_rules! self_metrics {
    ($($constant:ident: $kind:ident, $name:literal, [$($label:literal),*], $help:literal;)*) => {
        $(
            #[doc = $help]
            pub static $constant: SelfMetric =
                SelfMetric { name: $name, help: $help, kind: $kind, labels: &[$($label),*] };
        )*

        /// Every self-metric, for documentation.
        pub static ALL: &[&SelfMetric] = &[$(&$constant),*];
    };
}

self_metrics! {
    RECEIVER_ACCEPTED_METRIC_POINTS: Counter, "otelcol_receiver_accepted_metric_points", ["receiver"],
        "Metric points that lanes took from the receiver.";
    RECEIVER_ACCEPTED_LOG_RECORDS: Counter, "otelcol_receiver_accepted_log_records", ["receiver"],
        "Log records (events, intervals of statements included) that lanes took from the receiver.";
    RECEIVER_REFUSED_METRIC_POINTS: Counter, "otelcol_receiver_refused_metric_points", ["receiver", "reason"],
        "Metric points refused at the lane's door, by reason. The next poll covers their interval.";
    RECEIVER_REFUSED_LOG_RECORDS: Counter, "otelcol_receiver_refused_log_records", ["receiver", "reason"],
        "Log records refused at the lane's door, by reason. The next poll covers their interval.";
    SCRAPER_SCRAPED_METRIC_POINTS: Counter, "otelcol_scraper_scraped_metric_points", ["receiver"],
        "Metric points read from the server.";
    SCRAPER_SCRAPED_LOG_RECORDS: Counter, "otelcol_scraper_scraped_log_records", ["receiver"],
        "Log records read from the server.";
    SCRAPER_ERRORED_POLLS: Counter, "otelcol_scraper_errored_polls", ["receiver", "part", "reason"],
        "Polls of the server, of a database or of its sessions that failed, by part and reason.";
    PROCESSOR_INCOMING: Counter, "otelcol_processor_incoming_items", ["processor", "receiver"],
        "Records given to the processor.";
    PROCESSOR_OUTGOING: Counter, "otelcol_processor_outgoing_items", ["processor", "receiver"],
        "Records the processor passed on or made.";
    PROCESSOR_DURATION: Gauge, "otelcol_processor_internal_duration_seconds", ["processor", "receiver"],
        "Time spent in the processor since the start.";
    EXPORTER_SENT_METRIC_POINTS: Counter, "otelcol_exporter_sent_metric_points", ["exporter"],
        "Metric points the backend accepted.";
    EXPORTER_SENT_LOG_RECORDS: Counter, "otelcol_exporter_sent_log_records", ["exporter"],
        "Log records the backend accepted.";
    EXPORTER_FAILED_METRIC_POINTS: Counter, "otelcol_exporter_send_failed_metric_points", ["exporter", "reason"],
        "Metric points lost after they had left the queue, by reason.";
    EXPORTER_FAILED_LOG_RECORDS: Counter, "otelcol_exporter_send_failed_log_records", ["exporter", "reason"],
        "Log records lost after they had left the queue, by reason.";
    EXPORTER_ENQUEUE_FAILED_METRIC_POINTS: Counter, "otelcol_exporter_enqueue_failed_metric_points", ["exporter", "reason"],
        "Metric points lost because a queue of the exporter was full or closed, by reason.";
    EXPORTER_ENQUEUE_FAILED_LOG_RECORDS: Counter, "otelcol_exporter_enqueue_failed_log_records", ["exporter", "reason"],
        "Log records lost because a queue of the exporter was full or closed, by reason.";
    EXPORTER_QUEUE_SIZE: Gauge, "otelcol_exporter_queue_size", ["exporter", "data_type"],
        "Requests waiting in the exporter's queue.";
    EXPORTER_QUEUE_CAPACITY: Gauge, "otelcol_exporter_queue_capacity", ["exporter", "data_type"],
        "Requests the exporter's queue can hold.";
    EXPORTER_QUEUE_BYTES: Gauge, "dbintel_exporter_queue_bytes", ["exporter", "data_type"],
        "Bytes waiting in the exporter's queue.";
    EXPORTER_QUEUE_BYTES_MAX: Gauge, "dbintel_exporter_queue_bytes_max", ["exporter", "data_type"],
        "Bytes the exporter's queue can hold.";
    EXPORTER_REQUESTS: Counter, "dbintel_exporter_requests_total", ["exporter", "outcome"],
        "Requests sent to the backend, by outcome.";
    EXPORTER_SENT_BYTES: Counter, "dbintel_exporter_sent_bytes_total", ["exporter"],
        "Bytes of request bodies sent, as compressed.";
    EXPORTER_WITHHELD_LOG_RECORDS: Counter, "dbintel_exporter_withheld_log_records", ["exporter", "reason"],
        "Log records the exporter did not get because a processor had decided so, by reason. Not a loss.";
    EXPORTER_INBOX_BYTES: Gauge, "dbintel_exporter_inbox_bytes", ["exporter"],
        "Bytes of batches waiting to be encoded by the exporter.";
    LANE_QUEUE_BATCHES: Gauge, "dbintel_lane_queue_batches", ["receiver"],
        "Batches waiting at the lane.";
    LANE_QUEUE_BYTES: Gauge, "dbintel_lane_queue_bytes", ["receiver"],
        "Bytes waiting at the lane.";
    LANE_QUEUE_BYTES_MAX: Gauge, "dbintel_lane_queue_bytes_max", ["receiver"],
        "Bytes the lane's queue can hold.";
    LANE_BATCHES: Counter, "dbintel_lane_batches_total", ["receiver"],
        "Batches the lane has worked on.";
    LANE_LOST_RECORDS: Counter, "dbintel_lane_lost_records_total", ["receiver", "reason"],
        "Records lost within the lane, by reason: panic, shutdown, plan_not_extracted (a plan that found no plan_extractor in its chain).";
    REQUESTS_LOST: Counter, "dbintel_lane_requests_lost_total", ["receiver"],
        "Requests of processors to the receiver that found no room.";
    STATE_CHANGES_LOST: Counter, "dbintel_lane_state_changes_lost_total", ["receiver", "reason"],
        "Changes of processors' state that were not stored, by reason: no_store (there is none), store_full, too_large, limit (too many at once).";
    PANICS: Counter, "dbintel_component_panics_total", ["component"],
        "Panics of a component. Each one is a bug: please report it.";
    RESTARTS: Counter, "dbintel_component_restarts_total", ["component"],
        "Restarts of a component after a panic or an error.";
    MEMORY_ACCOUNT_BYTES: Gauge, "dbintel_memory_account_bytes", ["account"],
        "Bytes held by one queue, cache or table, by account, estimated; docs/configuration.md says how.";
    MEMORY_LIMITER_REFUSING: Gauge, "dbintel_memory_limiter_refusing", [],
        "1 while lanes refuse records because the process uses more memory than the soft limit.";
    MEMORY_LIMITER_SOFT: Gauge, "dbintel_memory_limiter_soft_limit_bytes", [],
        "Soft limit: above it, lanes refuse.";
    MEMORY_LIMITER_HARD: Gauge, "dbintel_memory_limiter_hard_limit_bytes", [],
        "Hard limit: above it, caches are emptied. Above the soft limit lanes refuse already.";
    STATEMENTS: Counter, "dbintel_database_statements_total", ["receiver", "purpose", "outcome"],
        "Statements sent to the server, by purpose and outcome.";
    DATABASE_TIME: Counter, "dbintel_database_time_seconds_total", ["receiver", "purpose", "source"],
        "Time our statements took, by purpose; source says whether the database measured it (statement) or we did (wall).";
    POLL_DURATION: Gauge, "dbintel_poll_duration_seconds", ["receiver", "loop"],
        "Duration of the last poll, by loop.";
    POLLS: Counter, "dbintel_polls_total", ["receiver", "loop"],
        "Polls that ended, by loop.";
    POLLS_MISSED: Counter, "dbintel_polls_missed_total", ["receiver", "loop"],
        "Polls that were due while the one before was still running.";
    GAPS: Counter, "dbintel_gaps_total", ["receiver", "part", "reason"],
        "Parts of a poll that are missing, by part and reason.";
    PLANS_OBTAINED: Counter, "dbintel_plans_obtained_total", ["receiver", "rung", "identity"],
        "Plans obtained, by rung and identity.";
    PLANS_MISSING: Gauge, "dbintel_plans_missing", ["receiver", "reason"],
        "Statements among the top ones that have no plan now, by reason.";
    PLAN_SAMPLES: Counter, "dbintel_plan_samples_total", ["receiver", "fate"],
        "Statements of which the text of a running session was wanted, to be explained, by what became of it.";
    PLAN_LOG_RECORDS: Counter, "dbintel_plan_log_records_total", ["receiver", "fate"],
        "Plans in the server's log, by what became of them.";
    PLAN_LOG_READ_BYTES: Counter, "dbintel_plan_log_read_bytes_total", ["receiver"],
        "Bytes of the server's log that were read.";
    PLAN_LOG_SKIPPED_BYTES: Counter, "dbintel_plan_log_skipped_bytes_total", ["receiver"],
        "Bytes of the server's log that were skipped because more had come than is read in a round.";
    STATEMENTS_TRACKED: Gauge, "dbintel_statements_tracked", ["receiver"],
        "Statements whose counters are held for the next difference.";
    TEXT_CACHE_BYTES: Gauge, "dbintel_text_cache_bytes", ["receiver"],
        "Bytes of masked statement texts held.";
    TEXT_CACHE_BYTES_MAX: Gauge, "dbintel_text_cache_bytes_max", ["receiver"],
        "Bytes of masked statement texts that may be held.";
    CONNECTIONS: Gauge, "dbintel_connections", ["receiver", "state"],
        "Connections to the server, by state; held ones outlived their deadline and are not known to be released.";
    OTHER_INSTANCE_SESSIONS: Gauge, "dbintel_other_instance_sessions", ["receiver"],
        "Sessions of other collectors in the server: they have the name of ours, are not ours, and have worked for five minutes.";
    LIMIT_REACHED: Counter, "dbintel_limit_reached_total", ["receiver", "exporter", "limit"],
        "Times a named limit cut something off, by limit.";
    PROCESS_UPTIME: Counter, "otelcol_process_uptime_seconds", [],
        "Time since the process started.";
    PROCESS_CPU: Counter, "otelcol_process_cpu_seconds", [],
        "CPU time of the process, user and system.";
    PROCESS_RSS: Gauge, "otelcol_process_memory_rss", [],
        "Resident set size of the process, in bytes, as the kernel reports it.";
    PROCESS_HEAP: Gauge, "dbintel_process_heap_allocated_bytes", [],
        "Bytes the allocator has handed out.";
    BUILD_INFO: Gauge, "dbintel_build_info", ["version"],
        "Always 1; the labels say which build runs.";
    CONFIG_WARNINGS: Gauge, "dbintel_config_warnings", [],
        "Warnings of the configuration that is in force.";
}
