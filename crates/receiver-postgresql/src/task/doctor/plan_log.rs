//! What a person can do so that the server's log gives plans: the settings that are missing, the SQL, and what it costs.

use dbintel_plan::log::LinePrefix;

use super::Advice;
use crate::config::{LogFormatSetting, PlanLog};
use crate::log::{LogError, Tail};
use crate::query::facts::Facts;
use crate::query::sql::literal;
use crate::query::tracking::LogSettings;
use crate::task::plan_log::{DEADLINE, unreachable};

/// First version whose log has identifiers of statements.
const IDENTIFIERS_SINCE: u32 = 140_000;
/// First version with `jsonlog`.
const JSONLOG_SINCE: u32 = 150_000;
/// First version whose plans in the log have an identifier of their own.
const OWN_IDENTIFIER_SINCE: u32 = 160_000;
const LIBRARY: &str = "auto_explain";
const RELOAD: &str = "-- as a superuser; then reload the configuration";

/// Why the files cannot be read, if so, as the collector reads them.
pub(super) async fn look_at_files(config: &PlanLog) -> Option<LogError> {
    let mut tail = Tail::new(config.include.clone(), config.limits);
    let looking = tokio::task::spawn_blocking(move || tail.look().error);
    // A file system that does not answer is seen by the first polls, which wait for it no longer than they must.
    tokio::time::timeout(DEADLINE, looking).await.ok().and_then(Result::ok).flatten()
}

/// What is to be said, for a configuration that wants plans.
pub(super) fn advice(
    config: Option<&PlanLog>,
    error: Option<&LogError>,
    facts: &Facts,
    settings: &LogSettings,
) -> Vec<Advice> {
    let without_sql = |what: String| vec![Advice { what, sql: None }];
    if let Some(role) = settings.get("managed") {
        return without_sql(format!(
            "log_not_reachable: the server is a managed one, by its role {role}, whose log files nobody reads from outside; \
             plans come from EXPLAIN"
        ));
    }
    if facts.version_number < IDENTIFIERS_SINCE {
        return match config {
            Some(_) => {
                without_sql("no plan comes from the log: it has identifiers from PostgreSQL 14 on".into())
            }
            None => Vec::new(),
        };
    }
    let Some(config) = config else {
        return without_sql(
            "no plan is of an execution: where the collector can read the server's log files, auto_explain puts such plans \
             there; set plan_collection.log.include, and look again what the server needs for it"
                .into(),
        );
    };
    let mut all = Vec::new();
    all.extend(error.map(|error| of_files(error, settings)));
    all.extend(of_destination(config, facts, settings));
    all.extend(of_prefix(config, settings));
    all.extend(of_identifiers(settings));
    all.extend(of_auto_explain(facts, settings));
    all
}

/// What is to be done about files that cannot be read.
fn of_files(error: &LogError, settings: &LogSettings) -> Advice {
    let place =
        settings.get("log_directory").map(|place| format!("; log_directory is {place}")).unwrap_or_default();
    let denied = error
        .is_denied()
        .then(|| format!("ALTER SYSTEM SET log_file_mode = '0640'; {RELOAD}; new files have it"));
    Advice { what: format!("log_not_reachable: {}{place}", unreachable(error).message), sql: denied }
}

/// What writes the files that the collector is to read.
fn of_destination(config: &PlanLog, facts: &Facts, settings: &LogSettings) -> Vec<Advice> {
    let mut all = Vec::new();
    let held = settings.get("log_destination");
    let is_held = |wanted: &str| held.is_none_or(|held| held.split(',').any(|held| held.trim() == wanted));
    let wanted = destinations(config);
    for wanted in &wanted {
        if *wanted == "jsonlog" && facts.version_number < JSONLOG_SINCE {
            all.push(Advice {
                what: "jsonlog is there from PostgreSQL 15 on: let plan_collection.log name files of csvlog"
                    .into(),
                sql: None,
            });
        } else if !is_held(wanted) {
            let held = held.unwrap_or_default();
            let both = if held.is_empty() { (*wanted).to_owned() } else { format!("{held},{wanted}") };
            all.push(Advice {
                what: format!(
                    "log_destination is {held}, and plan_collection.log wants {wanted}; each record is then written once more"
                ),
                sql: Some(format!("ALTER SYSTEM SET log_destination = {}; {RELOAD}", literal(&both))),
            });
        }
    }
    let needs_collector = wanted.iter().any(|wanted| *wanted != "stderr");
    if needs_collector && settings.get("logging_collector").is_some_and(|held| held == "off") {
        all.push(Advice {
            what: "logging_collector is off, without which there are no files of csvlog and jsonlog; it takes a restart".into(),
            sql: Some("ALTER SYSTEM SET logging_collector = on; -- as a superuser; then restart the server".into()),
        });
    }
    all
}

/// Lines on standard error say of whom they are only if their prefix does.
fn of_prefix(config: &PlanLog, settings: &LogSettings) -> Option<Advice> {
    let held = settings.get("log_line_prefix").filter(|_| destinations(config).contains(&"stderr"))?;
    let what = match LinePrefix::parse(held) {
        Err(error) => error.to_string(),
        Ok(prefix) if !prefix.names_statements() => {
            "log_line_prefix lacks %u, %d or %Q, without which the plans in the log say neither role nor statement".into()
        }
        Ok(prefix) if !prefix.names_errors() => {
            "log_line_prefix lacks %e, without which errors in the log cannot be counted by their SQLSTATE".into()
        }
        Ok(_) => return None,
    };
    let prefix = literal("%m [%p] %e %q%u@%d %Q ");
    Some(Advice {
        what: format!("{what}; it adds some 40 bytes to each line"),
        sql: Some(format!(
            "ALTER SYSTEM SET log_line_prefix = {prefix}; -- whatever else reads the log must know {RELOAD}"
        )),
    })
}

fn of_identifiers(settings: &LogSettings) -> Option<Advice> {
    let is_off = settings.get("compute_query_id").is_some_and(|held| held == "off");
    is_off.then(|| Advice {
        what: "compute_query_id is off, so that the log has no identifiers; pg_stat_statements has them computed anyway, \
               without it each statement costs a hash of its tree"
            .into(),
        sql: Some(format!("ALTER SYSTEM SET compute_query_id = on; {RELOAD}")),
    })
}

/// Whether the module is there, and what it writes.
fn of_auto_explain(facts: &Facts, settings: &LogSettings) -> Vec<Advice> {
    let mut all = Vec::new();
    let libraries = |name: &str| settings.get(name).unwrap_or_default();
    let is_loaded = settings.has("auto_explain.log_format")
        || ["shared_preload_libraries", "session_preload_libraries"]
            .into_iter()
            .any(|name| names(libraries(name)).any(|library| library == LIBRARY));
    if !is_loaded {
        let held = names(libraries("session_preload_libraries")).chain([LIBRARY]);
        let list: Vec<String> = held.map(literal).collect();
        all.push(Advice {
            what: "auto_explain is not loaded: every new session would load it, without a restart; sessions that are there \
                   go on without it"
                .into(),
            sql: Some(format!("ALTER SYSTEM SET session_preload_libraries = {}; {RELOAD}", list.join(", "))),
        });
    }
    // A module that is not loaded has its defaults.
    let held = |name: &str, default: &'static str| match settings.get(name) {
        Some(held) => Some(held),
        None if settings.has(name) => None,
        None => Some(default),
    };
    let set = |name: &str, value: &str| {
        Some(format!(
            "LOAD 'auto_explain';\nALTER SYSTEM SET auto_explain.{name} = {}; {RELOAD}",
            literal(value)
        ))
    };
    let least = held("auto_explain.log_min_duration", "-1");
    if let Some(least) = least.filter(|least| !["-1", "0"].contains(least)) {
        all.push(Advice {
            what: format!(
                "auto_explain.log_min_duration is {least} ms, so that only slow executions are logged: how long executions take \
                 with which plan is not known; with 0 and a small auto_explain.sample_rate a fair sample of all is logged, and \
                 fewer of the slow ones"
            ),
            sql: None,
        });
    }
    if least == Some("-1") {
        all.push(Advice {
            what: "auto_explain.log_min_duration is -1, so that no plan is logged; of each execution that takes longer than \
                   what is set there are a few kilobytes of log, and its plan is written out"
                .into(),
            sql: set("log_min_duration", "1s"),
        });
    }
    if held("auto_explain.log_format", "text").is_some_and(|held| held != "json") {
        all.push(Advice {
            what: "auto_explain.log_format is not json; plans in other formats are not read".into(),
            sql: set("log_format", "json"),
        });
    }
    let is_off = held("auto_explain.log_verbose", "off") == Some("off");
    if facts.version_number >= OWN_IDENTIFIER_SINCE && is_off {
        all.push(Advice {
            what: "auto_explain.log_verbose is off: with it each plan has the identifier of its own statement, also within \
                   functions and transactions of the extended protocol; plans are longer by their columns"
                .into(),
            sql: set("log_verbose", "on"),
        });
    }
    all
}

/// Names in a list of libraries, without their directories.
fn names(libraries: &str) -> impl Iterator<Item = &str> {
    let names = libraries.split(',').map(|name| name.trim().trim_matches('"'));
    names.map(|name| name.rsplit('/').next().unwrap_or(name)).filter(|name| !name.is_empty())
}

/// How the files are written that are to be read, as far as setting and names say.
fn destinations(config: &PlanLog) -> Vec<&'static str> {
    let of_name = |name: &str| match name {
        _ if name.contains(".json") => Some("jsonlog"),
        _ if name.contains(".csv") => Some("csvlog"),
        _ if name.contains(".log") => Some("stderr"),
        _ => None,
    };
    let mut wanted: Vec<&'static str> = match config.format {
        LogFormatSetting::Jsonlog => vec!["jsonlog"],
        LogFormatSetting::Csvlog => vec!["csvlog"],
        LogFormatSetting::Stderr => vec!["stderr"],
        LogFormatSetting::Auto => {
            config.include.iter().filter_map(|pattern| of_name(pattern.name())).collect()
        }
    };
    wanted.sort_unstable();
    wanted.dedup();
    wanted
}
