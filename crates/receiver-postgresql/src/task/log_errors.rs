//! Errors of the log as a metric, and for the next reading of the statements.

use std::sync::Arc;

use dbintel_model::catalogue;
use dbintel_model::{Attribute, Labels, MetricPoint, Number, Record, ResourceLayout, Timestamp};
use dbintel_pipeline::telemetry::definitions;
use dbintel_plan::log::LogFormat;

use super::shared::Shared;
use crate::state::log_errors::LogErrors;

const METRIC: &str = "postgresql.log.errors";

/// See the module.
#[derive(Debug, Default)]
pub(super) struct CountedErrors {
    /// When counting began: what the log had before was not read.
    since: Option<Timestamp>,
    /// Only the counts by code.
    counted: LogErrors,
}

impl CountedErrors {
    /// Takes in what a reading of the log found, and tells how many errors there have been.
    pub(super) fn tell(&mut self, shared: &Shared, mut found: LogErrors) {
        let now = shared.clock.now();
        let since = *self.since.get_or_insert(now);
        let failed = found.take_failed();
        self.counted.merge(found);
        let mut cut = self.counted.take_cut();
        {
            let mut waiting = shared.failed_statements.lock();
            waiting.put_back(failed);
            cut += waiting.take_cut();
        }
        if cut > 0 {
            shared.count(&definitions::LIMIT_REACHED, "limit", "log_errors", cut);
        }
        let Some(metric) = catalogue::metric(METRIC).filter(|metric| shared.config.wants(metric)) else {
            return;
        };
        let layout = shared.config.layout;
        let points = self.counted.codes().map(|(database, code, count)| {
            let mut labels = Labels::default();
            match layout {
                ResourceLayout::Server => labels.point.push(Attribute::new("db.namespace", database.clone())),
                ResourceLayout::Contrib => {
                    labels.resource.push(Attribute::new("postgresql.database.name", database.clone()));
                }
            }
            labels.point.push(Attribute::new("db.response.status_code", code.clone()));
            Record::Metric(MetricPoint {
                metric,
                labels: Arc::new(labels),
                fixed: &[],
                value: Number::Int(i64::try_from(count).unwrap_or(i64::MAX)),
                start: Some(since),
                time: now,
            })
        });
        shared.offer(&shared.target, None, points.collect());
    }
}

/// Whether the bytes of a record can be those of an error, so that most records need not be read. On standard error it is
/// told by words, which are others in other languages than English.
pub(super) fn may_be_an_error(format: &LogFormat, bytes: &[u8]) -> bool {
    let has = |part: &[u8]| bytes.windows(part.len()).any(|held| held == part);
    let has_word = || [b"ERROR", b"FATAL", b"PANIC"].iter().any(|word| has(*word));
    match format {
        // Within a string the quotes would have backslashes before them.
        LogFormat::Json => has(b"\"state_code\":\""),
        LogFormat::Csv => !has(b",00000,") || has_word(),
        LogFormat::Stderr(_) => has_word(),
    }
}

#[cfg(test)]
mod tests {
    use dbintel_plan::log::LinePrefix;

    use super::*;

    #[test]
    fn records_without_an_error_are_not_read() {
        let check = |format: &LogFormat, bytes: &str, expected: bool| {
            assert_eq!(may_be_an_error(format, bytes.as_bytes()), expected, "{bytes}");
        };
        check(&LogFormat::Json, r#"{"error_severity":"LOG","message":"\"state_code\":\"57014\""}"#, false);
        check(&LogFormat::Json, r#"{"error_severity":"FEHLER","state_code":"57014"}"#, true);
        check(&LogFormat::Csv, "a,LOG,00000,b", false);
        check(&LogFormat::Csv, "a,FEHLER,57014,b", true);
        check(&LogFormat::Csv, "a,ERROR,57014,\"1,00000,2\"", true);
        let lines = LogFormat::Stderr(LinePrefix::parse("%m ").unwrap());
        check(&lines, "x LOG:  duration", false);
        check(&lines, "x FATAL:  57P01: no", true);
        check(&lines, "", false);
    }
}
