//! `circuits` and `bypass`: clients of a running collector.

use std::fmt::Write as _;
use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use dbintel_admin::control::client::{Client, Reach as Address, connect};
use dbintel_admin::control::default_sockets;
use dbintel_admin::control::proto::active_override::Order;
use dbintel_admin::control::proto::circuit_scope::{Level, Server, Whole};
use dbintel_admin::control::proto::{
    ActiveOverride, Circuit, CircuitScope, ClearBypassRequest, HoldCircuitRequest, ListCircuitsRequest,
    ListOverridesRequest, OverrideResponse, Position, ReleaseCircuitRequest, SetBypassRequest,
};
use dbintel_config::values::Secret;
use dbintel_config::{Environment as _, ProcessEnvironment};
use dbintel_model::{Clock as _, SystemClock, Timestamp};
use tokio::runtime::Builder;

use super::print;
use crate::cli::{self, BypassAction, BypassOptions, CircuitAction, Circuits, Reach, Why};

/// Where the token of control over TCP is.
const TOKEN: &str = "DBINTEL_CONTROL_TOKEN";

/// `circuits`.
pub fn circuits(options: Circuits) -> anyhow::Result<()> {
    with_collector(options.reach, async move |mut client| match options.action {
        CircuitAction::List => {
            let answer = client.list_circuits(ListCircuitsRequest {}).await.map_err(refused)?;
            print(&circuit_table(answer.into_inner().circuits))
        }
        CircuitAction::Open { scope, why } => hold(client, scope, Position::Open, why).await,
        CircuitAction::Close { scope, why } => hold(client, scope, Position::Closed, why).await,
        CircuitAction::Release { scope } => {
            let request = ReleaseCircuitRequest { scope: Some(breaker(scope)?) };
            told("released", client.release_circuit(request).await.map_err(refused)?.into_inner())
        }
    })
}

/// `bypass`.
pub fn bypass(options: BypassOptions) -> anyhow::Result<()> {
    with_collector(options.reach, async move |mut client| match options.action {
        BypassAction::List => {
            let answer = client.list_overrides(ListOverridesRequest {}).await.map_err(refused)?;
            print(&override_table(&answer.into_inner().overrides))
        }
        BypassAction::Set { what, why } => {
            let for_seconds = why.lasts.as_secs();
            let request = SetBypassRequest { bypass: what, reason: why.reason, for_seconds };
            told("off", client.set_bypass(request).await.map_err(refused)?.into_inner())
        }
        BypassAction::Clear { what } => {
            let request = ClearBypassRequest { bypass: what };
            told("on again", client.clear_bypass(request).await.map_err(refused)?.into_inner())
        }
    })
}

fn with_collector<Called>(reach: Reach, call: impl FnOnce(Client) -> Called) -> anyhow::Result<()>
where
    Called: Future<Output = anyhow::Result<()>>,
{
    let address = match reach.endpoint {
        Some(endpoint) => {
            let token = ProcessEnvironment.variable(TOKEN).map_err(|_| anyhow!("{TOKEN} is not set"))?;
            Address::Tcp(endpoint, Secret::new(token))
        }
        None => Address::Socket(reach.socket.unwrap_or_else(default_socket)),
    };
    let runtime = Builder::new_current_thread().enable_all().build().context("no runtime")?;
    runtime.block_on(async { call(connect(&address).await?).await })
}

fn default_socket() -> PathBuf {
    let all = default_sockets(std::env::var_os("XDG_RUNTIME_DIR").as_deref());
    let found = all.iter().find(|path| path.exists()).or(all.first());
    found.cloned().unwrap_or_default()
}

#[allow(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn refused(status: tonic::Status) -> anyhow::Error {
    anyhow!("{}", status.message())
}

async fn hold(
    mut client: Client,
    scope: cli::CircuitScope,
    position: Position,
    why: Why,
) -> anyhow::Result<()> {
    let request = HoldCircuitRequest {
        scope: Some(breaker(scope)?),
        position: position.into(),
        reason: why.reason,
        for_seconds: why.lasts.as_secs(),
    };
    told("held", client.hold_circuit(request).await.map_err(refused)?.into_inner())
}

fn breaker(scope: cli::CircuitScope) -> anyhow::Result<CircuitScope> {
    let level = match (scope.database, scope.whole) {
        (Some(database), _) => Level::Database(database),
        (None, true) => Level::Whole(Whole {}),
        (None, false) if scope.query.is_some() => bail!("--query needs --database or --whole"),
        (None, false) => Level::Server(Server {}),
    };
    let feature = scope.query.unwrap_or_default();
    Ok(CircuitScope { receiver: scope.receiver, level: Some(level), feature })
}

fn told(what: &str, answer: OverrideResponse) -> anyhow::Result<()> {
    let entry = answer.entry.ok_or_else(|| anyhow!("the collector gave an empty answer"))?;
    let mut text = format!("{what}: {}", order(&entry));
    if what != "released" && what != "on again" {
        let _ = write!(text, ", for {}", span(left(&entry)));
    }
    text.push('\n');
    for notice in answer.notices {
        let _ = writeln!(text, "note: {notice}");
    }
    print(&text)
}

fn order(entry: &ActiveOverride) -> String {
    match &entry.order {
        Some(Order::Bypass(what)) => what.clone(),
        Some(Order::Hold(hold)) => {
            let position = match hold.position() {
                Position::Open => "open",
                Position::Closed => "closed",
                Position::Unspecified => "?",
            };
            let [receiver, place, query] = place(hold.scope.as_ref());
            format!("{receiver} {place} {query} {position}").split_whitespace().collect::<Vec<_>>().join(" ")
        }
        None => "?".to_owned(),
    }
}

/// Receiver, database, query.
fn place(scope: Option<&CircuitScope>) -> [String; 3] {
    let Some(scope) = scope else { return Default::default() };
    let database = match &scope.level {
        Some(Level::Database(name)) => name.clone(),
        Some(Level::Whole(_)) => "(whole)".to_owned(),
        Some(Level::Server(_)) | None => "(server)".to_owned(),
    };
    [scope.receiver.clone(), database, scope.feature.clone()]
}

fn circuit_table(mut circuits: Vec<Circuit>) -> String {
    circuits.sort_by_key(|circuit| {
        (circuit.state == "closed" && circuit.held.is_none(), place(circuit.scope.as_ref()))
    });
    let rows = circuits.iter().map(|circuit| {
        let [receiver, database, query] = place(circuit.scope.as_ref());
        let mut why = Vec::new();
        if !circuit.failure_class.is_empty() {
            why.push(circuit.failure_class.clone());
        }
        if let Some(seconds) = circuit.seconds_to_probe {
            why.push(format!("next probe in {}", span(Duration::from_secs(seconds))));
        }
        if let Some(held) = &circuit.held {
            why.push(format!("held for {} more: {}", span(left(held)), held.reason));
        }
        let since = span(Duration::from_secs(circuit.seconds_in_state));
        [receiver, database, query, circuit.state.clone(), since, why.join("; ")]
    });
    table(["RECEIVER", "DATABASE", "QUERY", "STATE", "FOR", "WHY"], rows)
}

fn override_table(overrides: &[ActiveOverride]) -> String {
    if overrides.is_empty() {
        return "no override is in force\n".to_owned();
    }
    let rows = overrides
        .iter()
        .map(|entry| [entry.level.clone(), order(entry), span(left(entry)), entry.reason.clone()]);
    table(["LEVEL", "WHAT", "ENDS IN", "REASON"], rows)
}

pub fn table<const N: usize>(head: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let rows: Vec<[String; N]> = std::iter::once(head.map(str::to_owned)).chain(rows).collect();
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in &rows {
        let cells: Vec<String> =
            row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn left(entry: &ActiveOverride) -> Duration {
    Timestamp::from_nanos(entry.until_unix_nano).since(SystemClock::default().now())
}

/// `2h 5m`, `5m 3s`, `12s`.
fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 3_600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m {seconds}s"),
        (hours, minutes, _) => format!("{hours}h {minutes}m"),
    }
}
