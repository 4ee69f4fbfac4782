//! Between the messages of the service and what the collector knows them as.

use std::time::Duration;

use dbintel_model::Text;
use dbintel_pipeline::overrides::{Circuit, Order, Override, Position, Scope};
use tonic::Status;

use super::CircuitView;
use dbintel_proto::v1::active_override::{Hold, Order as ProtoOrder};
use dbintel_proto::v1::circuit_scope::{Level, Server, Whole};
use dbintel_proto::v1::{ActiveOverride, Circuit as ProtoCircuit, CircuitScope, Position as ProtoPosition};

pub(super) fn scope(scope: Option<CircuitScope>) -> Result<(Text, Scope), Status> {
    let scope = scope.ok_or_else(|| Status::invalid_argument("scope is missing"))?;
    if scope.receiver.is_empty() {
        return Err(Status::invalid_argument("scope.receiver is missing"));
    }
    let database = match scope.level {
        None => return Err(Status::invalid_argument("scope.level is missing: server, whole or database")),
        Some(Level::Server(_)) if scope.feature.is_empty() => {
            return Ok((scope.receiver.into(), Scope::Server));
        }
        Some(Level::Server(_)) => {
            return Err(Status::invalid_argument(
                "a feature belongs to a database, or to the server as a whole",
            ));
        }
        Some(Level::Whole(_)) => None,
        Some(Level::Database(name)) => Some(Text::from(name)),
    };
    let scope_of_database = match scope.feature.is_empty() {
        true => Scope::Database(database),
        false => Scope::Feature(database, scope.feature.into()),
    };
    Ok((scope.receiver.into(), scope_of_database))
}

pub(super) fn position(position: i32) -> Result<Position, Status> {
    match ProtoPosition::try_from(position) {
        Ok(ProtoPosition::Open) => Ok(Position::Open),
        Ok(ProtoPosition::Closed) => Ok(Position::Closed),
        Ok(ProtoPosition::Unspecified) | Err(_) => {
            Err(Status::invalid_argument("position is missing: open or closed"))
        }
    }
}

pub(super) fn of_override(entry: &Override) -> ActiveOverride {
    let order = match &entry.order {
        Order::Bypass(bypass) => ProtoOrder::Bypass(bypass.to_string()),
        Order::Hold(circuit) => ProtoOrder::Hold(Hold {
            scope: Some(of_scope(&circuit.receiver, &circuit.scope)),
            position: match circuit.position {
                Position::Open => ProtoPosition::Open,
                Position::Closed => ProtoPosition::Closed,
            }
            .into(),
        }),
    };
    ActiveOverride {
        order: Some(order),
        level: entry.level().to_owned(),
        reason: entry.reason.to_string(),
        set_at_unix_nano: entry.set_at.as_nanos(),
        until_unix_nano: entry.until.as_nanos(),
    }
}

pub(super) fn of_circuit(view: &CircuitView, overrides: &[(Override, Duration)]) -> ProtoCircuit {
    let holds = |entry: &&(Override, Duration)| {
        matches!(&entry.0.order, Order::Hold(Circuit { receiver, scope, .. })
            if *receiver == view.receiver && *scope == view.scope)
    };
    ProtoCircuit {
        scope: Some(of_scope(&view.receiver, &view.scope)),
        state: view.state.to_owned(),
        seconds_in_state: view.since.as_secs(),
        failure_class: view.class.unwrap_or_default().to_owned(),
        seconds_to_probe: view.next_probe.map(|wait| wait.as_secs()),
        held: overrides.iter().find(holds).map(|(entry, _)| of_override(entry)),
    }
}

fn of_scope(receiver: &Text, scope: &Scope) -> CircuitScope {
    let level = |database: &Option<Text>| match database {
        Some(name) => Level::Database(name.to_string()),
        None => Level::Whole(Whole {}),
    };
    let (level, feature) = match scope {
        Scope::Server => (Level::Server(Server {}), String::new()),
        Scope::Database(database) => (level(database), String::new()),
        Scope::Feature(database, feature) => (level(database), feature.to_string()),
    };
    CircuitScope { receiver: receiver.to_string(), level: Some(level), feature }
}
