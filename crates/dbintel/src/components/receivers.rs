//! Receivers.

use std::sync::Arc;
use std::time::Duration;

use dbintel_config::{Component, ConfigErrors, Warnings};
use dbintel_model::{Attribute, Server, Text};
use dbintel_pipeline::{Receiver, Turn};
use dbintel_receiver_postgresql as postgresql;
use dbintel_receiver_postgresql::query::plans::{create_script, drop_script};

use super::{Factory, settled};
use crate::cli::PlanFunctionScript;

/// Every receiver.
pub const RECEIVERS: &[Factory<ReceiverPlan>] = &[Factory {
    kind: "postgresql",
    aliases: &[],
    description: "Polls PostgreSQL 13 to 18: statements, sessions, metrics and changes.",
    schema: || schemars::schema_for!(postgresql::config::Settings),
    prepare: prepare_postgresql,
}];

/// A receiver that can be built.
#[derive(Clone, Debug, PartialEq)]
pub enum ReceiverPlan {
    /// PostgreSQL.
    Postgresql(Box<postgresql::config::Config>),
}

impl ReceiverPlan {
    /// The server it watches; `resource` is what the process says of itself.
    pub fn server(&self, receiver: Text, resource: &[Attribute]) -> Arc<Server> {
        match self {
            Self::Postgresql(config) => postgresql::server(config, receiver, resource),
        }
    }

    /// What a person wants to know before it runs.
    ///
    /// # Errors
    /// Why it does not get in.
    pub async fn examine(&self) -> Result<postgresql::Examination, postgresql::query::error::QueryError> {
        match self {
            Self::Postgresql(config) => postgresql::examine(config).await,
        }
    }

    /// SQL of the function that gives it plans, or of its removal.
    pub fn plan_function(&self, script: PlanFunctionScript) -> String {
        let Self::Postgresql(config) = self;
        match script {
            PlanFunctionScript::Create => create_script(&config.connect.username),
            PlanFunctionScript::Drop => drop_script(&config.connect.username),
        }
    }

    /// Host and port of the server.
    pub fn address(&self) -> String {
        match self {
            Self::Postgresql(config) => format!("{}:{}", config.connect.host, config.connect.port),
        }
    }

    /// The configured time-out of a statement.
    pub fn statement_timeout(&self) -> Duration {
        match self {
            Self::Postgresql(config) => config.limits.statement_timeout,
        }
    }

    /// Builds it, with its turn among all receivers.
    pub fn build(&self, server: Arc<Server>, turn: Turn) -> Box<dyn Receiver> {
        match self {
            Self::Postgresql(config) => {
                let receiver = postgresql::PostgresqlReceiver::new((**config).clone(), server);
                Box::new(receiver.in_turn(turn))
            }
        }
    }
}

fn prepare_postgresql(component: &Component, warnings: &mut Warnings) -> Result<ReceiverPlan, ConfigErrors> {
    let settings = component.read_noting(warnings)?;
    let config = settled(component, warnings, postgresql::config::validate(&settings))?;
    Ok(ReceiverPlan::Postgresql(Box::new(config)))
}
