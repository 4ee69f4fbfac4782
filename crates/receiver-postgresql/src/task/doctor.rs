//! What a person wants to know before the collector runs beside a server: whether it gets in, what would be better, and
//! every statement it can send.

mod plan_log;

use std::sync::Arc;
use std::time::Duration;

use dbintel_model::{Clock, SystemClock};
use dbintel_pipeline::telemetry::{Registry, definitions};

use super::connections::{Connections, Leased};
use crate::config::Config;
use crate::query::error::QueryError;
use crate::query::facts::Facts;
use crate::query::node;
use crate::query::plans::{PlanFunction, logging, obstacle};
use crate::query::sql::{identifier, literal};
use crate::query::statements::StatementsPlan;
use crate::query::templates::{Template, templates};
use crate::query::tracking::{Tracking, log_settings, tracking};
use crate::state::samples::SampleFate;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examination {
    /// Which server answered, in words.
    pub server: String,
    /// What would be better.
    pub advice: Vec<Advice>,
    /// Every statement the collector can send to it.
    pub templates: Vec<Template>,
}

/// Something a person can change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// What is, and what follows from it.
    pub what: String,
    /// What to run, as whom.
    pub sql: Option<String>,
}

/// Connects as the collector does, looks, and leaves. Changes nothing.
///
/// # Errors
/// [`QueryError`] that says why it does not get in.
pub async fn examine(config: &Config) -> Result<Examination, QueryError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let gauge = || Registry::default().gauge(&definitions::CONNECTIONS, Vec::new());
    let connections = Connections::new(Arc::new(config.clone()), clock, gauge(), gauge());
    let mut took = Duration::ZERO;
    let mut leased = connections.open(&config.connect_database, &mut took).await?;
    let looked = look(config, &mut leased).await;
    match &looked {
        Ok(_) => connections.close(leased).await,
        Err(error) => connections.give_up(leased, error).await,
    }
    looked
}

async fn look(config: &Config, leased: &mut Leased) -> Result<Examination, QueryError> {
    let limits = config.limits;
    leased.begin(limits).await?;
    let Leased { connection, facts, .. } = &mut *leased;
    let (node, _) = node::read(connection, limits, facts).await?;
    let tracking = tracking(connection, limits).await?;
    let log = match &config.plans {
        Some(_) => Some(log_settings(connection, limits).await?),
        None => None,
    };
    let samples = config.plans.filter(|plans| plans.explain && plans.samples);
    let against_samples = match (samples, obstacle(facts)) {
        (None, _) => None,
        (Some(_), Some(fate)) => Some(fate),
        (Some(_), None) => logging(connection, limits).await?,
    };
    connection.end().await?;
    let unread = match &config.plan_log {
        Some(log) => plan_log::look_at_files(log).await,
        None => None,
    };
    let role = if node.in_recovery { "standby" } else { "primary" };
    let database = &config.connect_database;
    let mut advice = advice(config, facts, &tracking);
    if let Some(log) = log {
        advice.extend(plan_log::advice(config.plan_log.as_ref(), unread.as_ref(), facts, &log));
    }
    let against_samples = against_samples.and_then(SampleFate::obstacle);
    advice.extend(against_samples.map(|(_, what)| Advice { what: what.to_owned(), sql: None }));
    Ok(Examination {
        server: format!("PostgreSQL {}, {role}, as role {}", node.version, config.connect.username),
        advice,
        templates: templates(
            facts,
            database,
            limits,
            |metric| config.wants(metric),
            config.plans.is_some(),
            samples.is_some(),
        ),
    })
}

fn advice(config: &Config, facts: &Facts, tracking: &Tracking) -> Vec<Advice> {
    let role = identifier(&config.connect.username);
    let mut all = Vec::new();
    let mut advise = |what: String, sql: Option<String>| all.push(Advice { what, sql });
    if let Err(error) = StatementsPlan::new(facts, &config.connect_database) {
        advise(error.message.to_string(), None);
    }
    if !facts.may_read_all_stats {
        advise(
            "statements and sessions of other roles are hidden".to_owned(),
            Some(format!("GRANT pg_monitor TO {role};")),
        );
    }
    if !facts.may_read_control {
        advise(
            "the server's identity is hidden, so that a failover to a server with the same start time is not seen"
                .to_owned(),
            Some(format!(
                "GRANT EXECUTE ON FUNCTION pg_control_system(), pg_control_checkpoint() TO {role};"
            )),
        );
    }
    if facts.statements.is_some() && !facts.may_untrack && tracking.statements.as_deref() != Some("none") {
        let none = literal("none");
        advise(
            "our own statements are counted in pg_stat_statements, where they take the place of others"
                .to_owned(),
            Some(format!("ALTER ROLE {role} SET pg_stat_statements.track = {none}; -- as a superuser")),
        );
    }
    let on_plans = advice_on_plans(facts.plan_function, &config.connect_database);
    if let Some(what) = on_plans.filter(|_| config.plans.is_some()) {
        advise(what, None);
    }
    if !tracking.io_timing {
        advise(
            "track_io_timing is off: times of reading and writing blocks are not measured; pg_test_timing says what \
             it costs on the server's machine"
                .to_owned(),
            Some("ALTER SYSTEM SET track_io_timing = on; -- as a superuser; then reload the configuration".to_owned()),
        );
    }
    all
}

/// What is to be said of the function that explains in the one database that was looked at.
fn advice_on_plans(function: Option<PlanFunction>, database: &str) -> Option<String> {
    let is = match function {
        Some(PlanFunction::Usable) => return None,
        None => "is not there, so that plans need privileges on the tables of the statements",
        Some(PlanFunction::Different) => "is not used, since it is not the one of this version",
        Some(PlanFunction::OfSuperuser) => "is not used, since its owner is a superuser",
        Some(PlanFunction::NotGranted) => "is not used, since our role may not execute it",
    };
    Some(format!(
        "dbintel.explain {is} (looked at in database {database}; it is wanted in each); its SQL: dbintel doctor \
         --plan-function"
    ))
}
