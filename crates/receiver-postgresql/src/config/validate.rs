//! From the configuration as written to one that cannot be invalid. Pure: no file, no network.

use std::ops::RangeInclusive;
use std::time::Duration;

use dbintel_config::{Checks, Complaint, Validated};
use dbintel_model::{Attribute, ResourceLayout, catalogue};

use super::settings::{Layout, Settings, TlsSettings, Transport, address};
use super::{Config, PlanCollection, PlanLog, QuerySample, TopQuery};
use crate::log::{FilePattern, TailLimits};
use crate::query::connection::{ConnectSettings, Identity, Limits, Tls};

const STATEMENT_TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);
const LIMIT_MIN: Duration = Duration::from_millis(1);
const STATEMENT_TIMEOUT_MAX: Duration = Duration::from_secs(60);
const INTERVAL_MIN: Duration = Duration::from_secs(1);
const INTERVAL_MAX: Duration = Duration::from_secs(24 * 3_600);
const SAMPLE_INTERVAL_MAX: Duration = Duration::from_secs(10);
/// One for the server, one for sessions, three for the databases.
const CONNECTIONS_DEFAULT: usize = 5;
const CONNECTIONS_MAX: usize = 16;
const TAGS_MAX: usize = 64;
/// Their texts and plans are in memory at the same time.
const PLANS_MAX: u32 = 100;
const LOG_PATTERNS_MAX: usize = 16;
/// Bytes of the log that are read each time.
const LOG_BYTES: RangeInclusive<u64> = 64 << 10..=1 << 30;
/// Bytes of one record. What `plan_extractor` can read is no larger.
const LOG_RECORD_BYTES: RangeInclusive<u64> = 4 << 10..=16 << 20;

/// Fields that are validated, and what was found on the way.
#[derive(Default)]
struct Validation {
    checks: Checks,
}

/// Validates.
///
/// # Errors
/// Every field that is wrong.
pub fn validate(settings: &Settings) -> Result<Validated<Config>, Vec<Complaint>> {
    let mut fields = Validation::default();
    let config = Config {
        connect: fields.connect(settings),
        password_command: fields.password_command(settings),
        connect_database: settings.connect_database.clone().into(),
        databases: settings.databases.iter().cloned().collect(),
        exclude_databases: settings.exclude_databases.iter().cloned().collect(),
        collection_interval: fields.interval("collection_interval", settings.collection_interval.get()),
        initial_delay: settings.initial_delay.get(),
        limits: fields.limits(settings),
        max_connections: fields.connections(settings),
        top_query: fields.top_query(settings),
        query_sample: fields.query_sample(settings),
        plans: fields.plans(settings),
        plan_log: fields.plan_log(settings),
        object_interval: fields
            .interval(
                "object_collection.collection_interval",
                settings.object_collection.collection_interval.get(),
            )
            .max(settings.collection_interval.get()),
        size_interval: fields.interval(
            "size_collection.collection_interval",
            settings.size_collection.collection_interval.get(),
        ),
        catalogue_interval: fields.interval(
            "catalogue_collection.collection_interval",
            settings.catalogue_collection.collection_interval.get(),
        ),
        metrics: fields.metrics(settings),
        layout: match settings.resource_layout {
            Layout::Server => ResourceLayout::Server,
            Layout::Contrib => ResourceLayout::Contrib,
        },
        resource: fields.resource(settings),
    };
    fields.databases(settings);
    fields.checks.finish(Some(config))
}

impl Validation {
    fn connect(&mut self, settings: &Settings) -> ConnectSettings {
        let (host, port) = address(&settings.endpoint, settings.transport).unwrap_or_else(|message| {
            self.checks.error("endpoint", message);
            (String::new(), 0)
        });
        if settings.username.is_empty() {
            self.checks
                .error("username", "missing; write the role to connect as, for instance username: dbintel");
        }
        if settings.db_auth.is_some() {
            self.checks
                .error("db_auth", "not supported; use password_command with the cloud's command-line client");
        }
        let tls = self.tls(&settings.tls, settings.transport);
        ConnectSettings {
            host,
            port,
            username: settings.username.clone(),
            password: settings.password.clone(),
            tls,
        }
    }

    fn password_command(&mut self, settings: &Settings) -> Option<Vec<String>> {
        let command = settings.password_command.clone()?;
        if command.first().is_none_or(String::is_empty) {
            self.checks.error("password_command", "empty; write a list of program and arguments");
        }
        if settings.password.is_some() {
            self.checks.error("password_command", "either password or password_command, not both");
        }
        Some(command)
    }

    fn tls(&mut self, tls: &TlsSettings, transport: Transport) -> Tls {
        if tls.cert_file.is_some() != tls.key_file.is_some() {
            self.checks.error("tls", "cert_file and key_file go together");
        }
        if tls.server_name_override.is_some() {
            self.checks.error(
                "tls.server_name_override",
                "not supported; the certificate is checked for the host of endpoint",
            );
        }
        let identity = Identity {
            cert_file: tls.cert_file.as_ref().map(Into::into),
            key_file: tls.key_file.as_ref().map(Into::into),
        };
        if tls.insecure || transport == Transport::Unix {
            if tls.ca_file.is_some() || tls.cert_file.is_some() {
                self.checks.notice("tls", "certificates are not used without TLS");
            }
            Tls::Off
        } else if tls.insecure_skip_verify {
            self.checks.notice(
                "tls.insecure_skip_verify",
                "anyone between us and the server can read and change what is sent",
            );
            Tls::Unverified(identity)
        } else {
            Tls::Verified { ca_file: tls.ca_file.as_ref().map(Into::into), identity }
        }
    }

    fn interval(&mut self, field: &str, interval: Duration) -> Duration {
        if interval < INTERVAL_MIN || interval > INTERVAL_MAX {
            self.checks.error(field, "expected a duration from 1s to 24h");
        }
        interval
    }

    fn limits(&mut self, settings: &Settings) -> Limits {
        let written =
            settings.timeout.map(dbintel_config::values::Duration::get).filter(|timeout| !timeout.is_zero());
        let statement_timeout = written.unwrap_or(STATEMENT_TIMEOUT_DEFAULT);
        if statement_timeout > STATEMENT_TIMEOUT_MAX {
            self.checks.error(
                "timeout",
                "expected at most 60s: a statement of ours that runs longer is an incident",
            );
        }
        // Below a millisecond the server would take it for "no limit".
        if statement_timeout < LIMIT_MIN {
            self.checks.error("timeout", "expected 0, for the default of 5s, or a duration from 1ms to 60s");
        }
        let lock_timeout = settings.lock_timeout.get();
        if lock_timeout < LIMIT_MIN || lock_timeout > STATEMENT_TIMEOUT_DEFAULT {
            self.checks.error("lock_timeout", "expected a duration from 1ms to 5s");
        }
        Limits { statement_timeout, lock_timeout }
    }

    fn connections(&mut self, settings: &Settings) -> usize {
        let pool = &settings.connection_pool;
        if pool.max_idle.is_some() || pool.max_idle_time.is_some() || pool.max_lifetime.is_some() {
            self.checks.notice(
                "connection_pool",
                "only max_open has an effect: there is no pool of idle connections",
            );
        }
        let max_open = pool.max_open.filter(|max| *max != 0).unwrap_or(CONNECTIONS_DEFAULT);
        if !(2..=CONNECTIONS_MAX).contains(&max_open) {
            self.checks
                .error("connection_pool.max_open", format!("expected a number from 2 to {CONNECTIONS_MAX}"));
        }
        max_open
    }

    fn top_query(&mut self, settings: &Settings) -> Option<TopQuery> {
        let collection = &settings.top_query_collection;
        let interval =
            self.interval("top_query_collection.collection_interval", collection.collection_interval.get());
        if !(1..=10_000).contains(&collection.top_n_query) {
            self.checks.error("top_query_collection.top_n_query", "expected a number from 1 to 10000");
        }
        if collection.max_rows_per_query.is_some() {
            self.checks.notice(
                "top_query_collection.max_rows_per_query",
                "no effect: all statements are read, without texts",
            );
        }
        let plans = [
            collection.max_explain_each_interval.is_some(),
            collection.query_plan_cache_size.is_some(),
            collection.query_plan_cache_ttl.is_some(),
        ];
        if plans.contains(&true) {
            self.checks
                .notice("top_query_collection", "the keys for plans have no effect; see plan_collection");
        }
        let enabled = settings.events.top_query.enabled.unwrap_or(true);
        let top_n = usize::try_from(collection.top_n_query).unwrap_or(usize::MAX);
        enabled.then_some(TopQuery { interval, top_n })
    }

    fn plans(&mut self, settings: &Settings) -> Option<PlanCollection> {
        let collection = &settings.plan_collection;
        let interval =
            self.interval("plan_collection.collection_interval", collection.collection_interval.get());
        let reprobe = self.interval("plan_collection.interval", collection.interval.get());
        let sensitivity = self.interval(
            "plan_collection.parameter_sensitivity.interval",
            collection.parameter_sensitivity.interval.get(),
        );
        let sensitivity = collection.parameter_sensitivity.enabled.then_some(sensitivity);
        if !(1..=PLANS_MAX).contains(&collection.max_per_collection) {
            self.checks.error("plan_collection.max_per_collection", "expected a number from 1 to 100");
        }
        let max_per_collection = usize::try_from(collection.max_per_collection).unwrap_or(usize::MAX);
        let enabled = collects_plans(settings);
        if enabled && !settings.events.top_query.enabled.unwrap_or(true) {
            self.checks.notice(
                "plan_collection",
                "without the event db.server.top_query only plans that a processor asks for are obtained",
            );
        }
        if collection.samples && !(enabled && collection.explain) {
            self.checks.notice(
                "plan_collection.samples",
                "no effect: samples are explained only where plans are collected, and not without explain",
            );
        }
        enabled.then_some(PlanCollection {
            interval,
            max_per_collection,
            reprobe,
            sensitivity,
            samples: collection.samples,
            explain: collection.explain,
        })
    }

    fn plan_log(&mut self, settings: &Settings) -> Option<PlanLog> {
        let log = &settings.plan_collection.log;
        if log.include.len() > LOG_PATTERNS_MAX {
            let message = format!("expected at most {LOG_PATTERNS_MAX} paths");
            self.checks.error("plan_collection.log.include", message);
        }
        let mut include = Vec::new();
        for path in &log.include {
            match FilePattern::parse(path) {
                Ok(pattern) => include.push(pattern),
                Err(error) => self.checks.error("plan_collection.log.include", format!("{path}: {error}")),
            }
        }
        let (bytes, record) = (log.max_bytes_per_collection, log.max_log_size);
        if !LOG_BYTES.contains(&bytes.bytes()) {
            let field = "plan_collection.log.max_bytes_per_collection";
            self.checks.error(field, "expected a size from 64KiB to 1GiB");
        }
        if !LOG_RECORD_BYTES.contains(&record.bytes()) || record > bytes {
            self.checks.error(
                "plan_collection.log.max_log_size",
                "expected a size from 4KiB to 16MiB, and no more than max_bytes_per_collection",
            );
        }
        if include.is_empty() || !collects_plans(settings) {
            if collects_plans(settings) && !settings.plan_collection.explain {
                self.checks.error(
                    "plan_collection.explain",
                    "without it plans come from the log only; write its files in plan_collection.log.include",
                );
            }
            return None;
        }
        let limits = TailLimits { bytes: bytes.as_usize(), record_bytes: record.as_usize() };
        Some(PlanLog { include, format: log.format, limits })
    }

    fn query_sample(&mut self, settings: &Settings) -> Option<QuerySample> {
        let collection = &settings.query_sample_collection;
        if !(1..=10_000).contains(&collection.max_rows_per_query) {
            self.checks
                .error("query_sample_collection.max_rows_per_query", "expected a number from 1 to 10000");
        }
        let interval = collection.collection_interval.unwrap_or(settings.collection_interval).get();
        let interval = match collection.collection_interval {
            None => interval.clamp(INTERVAL_MIN, SAMPLE_INTERVAL_MAX),
            Some(_) => interval,
        };
        if !(INTERVAL_MIN..=SAMPLE_INTERVAL_MAX).contains(&interval) {
            self.checks
                .error("query_sample_collection.collection_interval", "expected a duration from 1s to 10s");
        }
        let enabled = settings.events.query_sample.enabled.unwrap_or(false);
        enabled.then_some(QuerySample { interval, max_rows: collection.max_rows_per_query })
    }

    fn metrics(&mut self, settings: &Settings) -> Vec<(String, bool)> {
        for name in settings.metrics.keys() {
            if catalogue::metric(name).is_none() {
                let nearest = nearest(name);
                self.checks.error(
                    &format!("metrics.{name}"),
                    format!("there is no such metric; did you mean {nearest}?"),
                );
            }
        }
        settings.metrics.iter().map(|(name, switch)| (name.clone(), switch.enabled)).collect()
    }

    fn resource(&mut self, settings: &Settings) -> Vec<Attribute> {
        if settings.tags.len() > TAGS_MAX {
            self.checks.error("tags", format!("expected at most {TAGS_MAX} tags"));
        }
        for name in settings.resource_attributes.keys() {
            self.checks.notice(
                &format!("resource_attributes.{name}"),
                "no effect: resource_layout decides which attributes the resource has",
            );
        }
        settings.tags.iter().map(|(key, value)| Attribute::new(key.clone(), value.clone())).collect()
    }

    fn databases(&mut self, settings: &Settings) {
        if settings.connect_database.is_empty() {
            self.checks.error(
                "connect_database",
                "empty; write the database in which pg_stat_statements is installed",
            );
        }
        let both = settings.databases.iter().find(|database| settings.exclude_databases.contains(database));
        if let Some(database) = both {
            self.checks.error("exclude_databases", format!("{database} is in databases as well"));
        }
        if !settings.databases.is_empty() && settings.databases.iter().any(String::is_empty) {
            self.checks
                .error("databases", "a database name is empty; leave the key out to read all databases");
        }
    }
}

fn collects_plans(settings: &Settings) -> bool {
    let by_event = settings.events.query_plan.enabled.unwrap_or(false);
    settings.plan_collection.enabled.unwrap_or(by_event)
}

/// The metric whose name shares the longest beginning and is nearest in length.
fn nearest(name: &str) -> &'static str {
    let shared = |metric: &str| metric.bytes().zip(name.bytes()).take_while(|(a, b)| a == b).count();
    let distance = |metric: &str| metric.len().abs_diff(name.len());
    let nearest = catalogue::METRICS
        .iter()
        .max_by_key(|metric| (shared(metric.name), std::cmp::Reverse(distance(metric.name))));
    nearest.map_or("", |metric| metric.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LogFormatSetting;

    fn check(yaml: &str) -> Result<Validated<Config>, Vec<String>> {
        let settings: Settings = dbintel_config::from_yaml(yaml).expect("readable settings");
        validate(&settings)
            .map_err(|errors| errors.into_iter().map(|e| format!("{}: {}", e.field, e.message)).collect())
    }

    #[test]
    fn what_a_collector_user_writes_is_enough() {
        let validated = check(
            "endpoint: db.example:5433\nusername: otel\npassword: secret\ncollection_interval: 30s\n\
             tls: {insecure: true}",
        )
        .unwrap();
        let config = validated.config;
        assert_eq!((config.connect.host.as_str(), config.connect.port), ("db.example", 5433));
        assert_eq!((config.connect.tls, config.collection_interval), (Tls::Off, Duration::from_secs(30)));
        assert!(config.top_query.is_some() && config.query_sample.is_none() && config.plans.is_none());
        assert_eq!(validated.notices, []);
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let errors = check(
            "endpoint: nowhere\ncollection_interval: 100ms\ntimeout: 5m\nlock_timeout: 0\n\
             connection_pool: {max_open: 1}\nmetrics: {postgresql.comits: {enabled: false}}\n\
             databases: [a]\nexclude_databases: [a]\ntls: {cert_file: x}",
        )
        .unwrap_err();
        let fields: Vec<_> = errors.iter().map(|error| error.split(':').next().unwrap()).collect();
        let expected = [
            "endpoint",
            "username",
            "tls",
            "collection_interval",
            "timeout",
            "lock_timeout",
            "connection_pool.max_open",
            "metrics.postgresql.comits",
            "exclude_databases",
        ];
        assert_eq!(fields, expected);
        assert!(errors.iter().any(|error| error.ends_with("did you mean postgresql.commits?")), "{errors:?}");
    }

    #[test]
    fn a_limit_that_the_server_would_take_for_none_is_refused() {
        let errors = check("username: otel\ntimeout: 900us\nlock_timeout: 900us").unwrap_err();
        let fields: Vec<_> = errors.iter().map(|error| error.split(':').next().unwrap()).collect();
        assert_eq!(fields, ["timeout", "lock_timeout"]);
        assert!(check("username: otel\ntimeout: 0\nlock_timeout: 1ms").is_ok());
    }

    #[test]
    fn plans_are_switched_on_by_the_event_or_by_their_own_key() {
        let plans = |yaml: &str| check(&format!("username: otel\n{yaml}")).unwrap().config.plans;
        assert_eq!(plans("plan_collection: {max_per_collection: 3}"), None);
        let on = plans("plan_collection: {enabled: true, max_per_collection: 3}").unwrap();
        assert_eq!((on.interval.as_secs(), on.max_per_collection, on.reprobe.as_secs()), (60, 3, 3_600));
        assert_eq!(on.sensitivity, None);
        let sensitive = "plan_collection: {enabled: true, parameter_sensitivity: {enabled: true}}";
        assert_eq!(plans(sensitive).unwrap().sensitivity.map(|often| often.as_secs()), Some(24 * 3_600));
        assert!(!on.samples && plans("plan_collection: {enabled: true, samples: true}").unwrap().samples);
        let notices = |yaml: &str| check(&format!("username: otel\n{yaml}")).unwrap().notices;
        assert_eq!(notices("plan_collection: {enabled: true, samples: true}"), []);
        let without = "plan_collection: {enabled: true, samples: true, explain: false, log: {include: [/a]}}";
        for unused in ["plan_collection: {samples: true}", without] {
            assert_eq!(notices(unused)[0].field, "plan_collection.samples", "{unused}");
        }
        assert!(plans("events: {db.server.query_plan: {enabled: true}}").is_some());
        assert_eq!(
            plans("events: {db.server.query_plan: {enabled: true}}\nplan_collection: {enabled: false}"),
            None
        );
        let errors =
            check("username: otel\nplan_collection: {max_per_collection: 0, interval: 1ms}").unwrap_err();
        assert_eq!(errors.len(), 2, "{errors:?}");
    }

    #[test]
    fn the_log_is_read_where_it_says_so_and_within_bounds() {
        let log = |yaml: &str| {
            check(&format!("username: otel\nplan_collection: {{enabled: true, {yaml}}}"))
                .map(|v| v.config.plan_log)
        };
        assert_eq!(log("").unwrap(), None);
        let read = log("explain: false, log: {include: [/var/log/pg/*.json, /b.log], format: jsonlog}")
            .unwrap()
            .unwrap();
        assert_eq!((read.include.len(), read.format), (2, LogFormatSetting::Jsonlog));
        assert_eq!((read.limits.bytes, read.limits.record_bytes), (16 << 20, 1 << 20));
        let errors = |yaml: &str| log(yaml).unwrap_err().len();
        assert_eq!(errors("explain: false"), 1);
        assert_eq!(errors("log: {include: [relative/*.json, /var/*/a]}"), 2);
        assert_eq!(errors("log: {include: [/a], max_log_size: 1MiB, max_bytes_per_collection: 512KiB}"), 1);
        assert_eq!(errors("log: {include: [/a], max_log_size: 1KiB, max_bytes_per_collection: 1KiB}"), 2);
        let off = check("username: otel\nplan_collection: {log: {include: [/a]}}").unwrap().config;
        assert_eq!((off.plans, off.plan_log), (None, None));
    }

    #[test]
    fn all_keys_of_contrib_are_answered() {
        let validated = check(
            "endpoint: /var/run/postgresql:5432\ntransport: unix\nusername: otel\ndatabases: [app]\n\
             connect_database: app\ninitial_delay: 0\n\
             connection_pool: {max_idle_time: 1m, max_lifetime: 1h, max_idle: 1, max_open: 4}\n\
             events: {db.server.query_sample: {enabled: true}, db.server.top_query: {enabled: false},\n  \
             db.server.query_plan: {enabled: true}}\n\
             query_sample_collection: {max_rows_per_query: 10}\n\
             top_query_collection: {max_rows_per_query: 1000, top_n_query: 10, max_explain_each_interval: 5,\n  \
             query_plan_cache_size: 10, query_plan_cache_ttl: 1h, collection_interval: 1m}\n\
             resource_attributes: {service.name: {enabled: true}}",
        )
        .unwrap();
        assert!(validated.config.top_query.is_none() && validated.config.query_sample.is_some());
        assert_eq!(validated.config.connect.host, "/var/run/postgresql");
        assert!(validated.config.plans.is_some());
        let fields: Vec<_> = validated.notices.iter().map(|notice| notice.field.as_str()).collect();
        let expected = [
            "connection_pool",
            "top_query_collection.max_rows_per_query",
            "top_query_collection",
            "plan_collection",
            "resource_attributes.service.name",
        ];
        assert_eq!(fields, expected);
    }
}
