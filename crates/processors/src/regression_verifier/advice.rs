//! What can be done about a finding: scripts from templates, only where the cause says what would help.
//!
//! PostgreSQL cannot be told to use a plan, so no script does. Every name that goes into a script is quoted; what cannot be quoted with certainty,
//! such as a name with a dot in it, gets no script and a sentence that says why.
//!
//! No template asks for the server's version: all of what they use is the same from PostgreSQL 13 to 18. A test runs each of them, its check
//! and its way back on the oldest and the newest.

mod index;
mod quote;
mod setting;

use dbintel_model::finding::{Questions, Scripts};
use dbintel_model::{ChangeKind, Text};

use self::quote::{literal, object};
use super::causes::Ranked;
use super::events::Event;
use super::statement::About;

/// Advice for a finding.
#[derive(Clone, Debug, Default)]
pub(super) struct Advice {
    pub(super) scripts: Scripts,
    pub(super) questions: Option<Questions>,
    pub(super) failure_modes: Vec<Text>,
}

/// A script with its way back, how to see what it does, and what can go wrong.
struct Remedy {
    forward: String,
    rollback: String,
    worst_case: String,
    failure_modes: Vec<String>,
}

/// Advice by the first cause that something can be done about. The check query is there in any case.
pub(super) fn advise(about: &About, ranked: &[Ranked<'_>], worth: &str) -> Advice {
    let check = check(about);
    let remedy = first_known(ranked).map(|event| remedy(event, about));
    let mut failure_modes: Vec<Text> = vec![
        "What changed in the same moment as the plan, such as parameters or data, looks like the plan."
            .into(),
    ];
    let remedy = match remedy {
        Some(Ok(remedy)) => remedy,
        none => {
            failure_modes.push(match none {
                Some(Err(why)) => format!("There is no script: {why}").into(),
                _ => "There is no script: nothing that was seen says what would help. PostgreSQL cannot be told to use \
                      the former plan; compare both plans for what the statement or its indexes lack."
                    .into(),
            });
            let scripts = Scripts { check: Some(check.into()), ..Scripts::default() };
            return Advice { scripts, questions: None, failure_modes };
        }
    };
    failure_modes.extend(remedy.failure_modes.into_iter().map(Text::from));
    let questions = Questions {
        worst_case: remedy.worst_case.into(),
        survivable: "Yes: the rollback script takes it back.".into(),
        worth_it: worth.to_owned().into(),
        detect_and_recover:
            "Run the check query after an hour of usual load: time and blocks per call must have fallen. If \
                             not, or if other statements got slower, run the rollback script."
                .into(),
    };
    let scripts = Scripts {
        forward: Some(remedy.forward.into()),
        rollback: Some(remedy.rollback.into()),
        check: Some(check.into()),
    };
    Advice { scripts, questions: Some(questions), failure_modes }
}

/// The change behind the first cause, or behind one that explains as much: a setting that the plan itself tells of is the
/// one that the server tells of.
pub(super) fn first_known<'a>(ranked: &[Ranked<'a>]) -> Option<&'a Event> {
    let score = |cause: &Ranked<'_>| cause.cause.score.unwrap_or(0.0);
    let most = ranked.first().map(score)?;
    ranked.iter().take_while(|cause| score(cause) >= most).find_map(|cause| cause.event)
}

/// Advice where most of a table has changed since it was analysed, or where it was analysed only then: an analysis, or more of them.
pub(super) fn analyze_more_often(event: &Event) -> Advice {
    let Some(table) = event.table.as_deref().and_then(object) else { return Advice::default() };
    let relation = event.table.as_deref().map(literal).unwrap_or_default();
    let often = format!("ALTER TABLE {table} SET (autovacuum_analyze_scale_factor = 0.02);");
    let is_stale = event.kind == ChangeKind::StatisticsStale;
    let (forward, rollback) = if is_stale {
        let rollback = "-- An analysis cannot be taken back; another one replaces it.".to_owned();
        (format!("ANALYZE (VERBOSE) {table};"), rollback)
    } else {
        (often.clone(), format!("ALTER TABLE {table} RESET (autovacuum_analyze_scale_factor);"))
    };
    let scripts = Scripts {
        forward: Some(forward.into()),
        rollback: Some(rollback.into()),
        check: Some(
            format!(
                "SELECT n_live_tup, n_mod_since_analyze, last_analyze, last_autoanalyze\nFROM pg_stat_all_tables\nWHERE format('%s.%s', schemaname, relname) = {relation};"
            )
            .into(),
        ),
    };
    let questions = Questions {
        worst_case: "Autovacuum reads a sample of the table more often, and statements are planned anew each time.".into(),
        survivable: "Yes: an analysis takes a light lock and can be cancelled.".into(),
        worth_it: "Plans are made from numbers that are younger.".into(),
        detect_and_recover: "The check query shows how much changed since the last analysis; the rollback script takes it back."
            .into(),
    };
    let failure_modes = if is_stale {
        vec![format!("It happens again with the next load: analyse after each, or have autovacuum come sooner: {often}").into()]
    } else {
        vec![
            "A value that the table had of its own is lost; note it before.".into(),
            "A partitioned table has no such setting, its partitions have; the script then fails and changes nothing.".into(),
        ]
    };
    Advice { scripts, questions: Some(questions), failure_modes }
}

/// What would help against a cause; otherwise why there is no script.
fn remedy(event: &Event, about: &About) -> Result<Remedy, &'static str> {
    match event.kind {
        ChangeKind::Ddl if event.is_index("dropped") => index::create_again(event),
        ChangeKind::Ddl if event.is_index("created") => Err(
            "a new index was followed by the new plan; whether other statements need the index has to be found out first.",
        ),
        ChangeKind::Ddl => Err("what was changed in the table has to be weighed against what needed it."),
        ChangeKind::Analyze | ChangeKind::StatisticsStale | ChangeKind::TableRewrite | ChangeKind::Vacuum => {
            analyze(event)
        }
        ChangeKind::Setting => setting::take_back(event, about),
        ChangeKind::Version => Err("a change of version is not taken back for one statement."),
        _ => Err("nothing that was seen can be undone by a script."),
    }
}

fn analyze(event: &Event) -> Result<Remedy, &'static str> {
    let table = event
        .table
        .as_deref()
        .and_then(object)
        .ok_or("the name of the table cannot be taken apart with certainty.")?;
    Ok(Remedy {
        forward: format!("ANALYZE (VERBOSE) {table};"),
        rollback: format!(
            "-- An analysis cannot be taken back; another one replaces it. If a larger sample was set for it:\n-- ALTER TABLE {table} ALTER COLUMN <column> SET STATISTICS -1;"
        ),
        worst_case: "All statements on the table are planned anew, and another one gets a worse plan.".to_owned(),
        failure_modes: vec![
            "The sample is too small for the column the planner is wrong about: then raise its target, ALTER TABLE … ALTER COLUMN … SET STATISTICS 1000, and analyse again.".to_owned(),
            "The new plan follows from right statistics; then the old one was luck, and the statement or its indexes need work.".to_owned(),
        ],
    })
}

/// The numbers of the statement as the server has them now. Database and role go by their names: what was recorded has no object id of
/// a database, and another collector's records have none of a role.
fn check(about: &About) -> String {
    let key = &about.key;
    format!(
        "SELECT calls, total_exec_time / nullif(calls, 0) AS ms_per_call,\n  (shared_blks_hit + shared_blks_read + local_blks_hit + local_blks_read + temp_blks_read + temp_blks_written)\n    / nullif(calls, 0)::float8 AS blocks_per_call,\n  rows / nullif(calls, 0)::float8 AS rows_per_call\nFROM pg_stat_statements\nWHERE queryid = {}\n  AND userid = (SELECT oid FROM pg_roles WHERE rolname = {})\n  AND dbid = (SELECT oid FROM pg_database WHERE datname = {});",
        key.query_id,
        literal(&key.user),
        literal(&key.database)
    )
}

#[cfg(test)]
mod tests;
