//! Control: a person looks at breakers and sets overrides while the collector runs.
//!
//! Promises:
//! * the service of `proto/dbintel/v1/control.proto` is on a Unix socket that only our user can open; over TCP every call
//!   needs a token, also on loopback, since the containers of a pod share it;
//! * every override has a reason and an end, is logged when it is set, cleared and over, and shows in health, on servicez
//!   and in `dbintel_override_seconds_left`;
//! * with a state directory overrides survive a restart: one file, replaced atomically. Without one they are in memory
//!   only, and whoever sets one is told.

pub mod client;
mod config;
mod convert;
mod listener;
mod service;
mod socket;
mod state;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use dbintel_model::Text;
use dbintel_pipeline::overrides::{Bypass, Circuit, Override, Scope};
use dbintel_pipeline::status::{ComponentKind, State, StatusHandle};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{AdminContext, AdminError, definitions};

pub use config::{ControlConfig, ControlSettings, ControlTcp};
pub use dbintel_proto::v1::control_client::ControlClient;
pub use listener::{CONTROL_CALL_TIME_MAX, CONTROL_CONNECTIONS_MAX, CONTROL_MESSAGE_BYTES_MAX};
pub use socket::{MAX_SOCKET_PATH_BYTES, default_sockets};
pub use state::{MAX_STATE_BYTES, STATE_FILE, StateFile, StateFileError};

/// Messages of the service.
pub mod proto {
    pub use dbintel_proto::v1::*;
}

/// How often overrides are looked at for those that are over.
const EXPIRY_CHECK: Duration = Duration::from_secs(1);

/// What can be controlled, as the program knows it. Called on the admin thread: it must not wait.
pub trait Controls: Send + Sync {
    /// Every breaker.
    fn circuits(&self) -> Vec<CircuitView>;

    /// Holds a breaker.
    ///
    /// # Errors
    /// Why there is no such breaker.
    fn hold(&self, circuit: &Circuit, reason: &Text, lasts: Duration) -> Result<(), Text>;

    /// Ends the hold of a breaker; harmless if there is none.
    fn release(&self, circuit: &Circuit);

    /// Whether there is such a part, and it may be switched off.
    ///
    /// # Errors
    /// Why not, and what to do instead.
    fn check(&self, bypass: &Bypass) -> Result<(), Text>;
}

/// A breaker.
#[derive(Clone, Debug, PartialEq)]
pub struct CircuitView {
    /// The receiver before whose server it stands.
    pub receiver: Text,
    /// Which of its breakers.
    pub scope: Scope,
    /// `closed`, `open` or `half_open`.
    pub state: &'static str,
    /// For how long.
    pub since: Duration,
    /// The class of failures that opened it.
    pub class: Option<&'static str>,
    /// When the next probe may go.
    pub next_probe: Option<Duration>,
}

/// Control, bound and not yet served.
pub(crate) struct Control {
    cx: AdminContext,
    file: Option<Arc<StateFile>>,
    sockets: Vec<listener::Socket>,
    status: StatusHandle,
}

// === impl Control ===

impl Control {
    /// Binds what is configured. A default socket that cannot be had is a warning: the collector works without.
    pub(crate) fn bind(config: &ControlConfig, cx: &AdminContext) -> Result<Option<Self>, AdminError> {
        if !config.enabled {
            return Ok(None);
        }
        let mut sockets = Vec::new();
        match (socket::bind(config.socket.as_deref()), &config.socket) {
            (Ok(socket), _) => sockets.push(socket),
            (Err(error), Some(path)) => {
                return Err(AdminError::Socket { path: path.clone(), reason: error.to_string() });
            }
            (Err(error), None) => {
                tracing::warn!(
                    %error,
                    "no control socket: `dbintel circuits` and `dbintel bypass` cannot reach this process; set \
                     extensions.control.socket"
                );
            }
        }
        if let Some(tcp) = &config.tcp {
            sockets.push(listener::Socket::tcp(tcp)?);
        }
        for socket in &sockets {
            tracing::info!(address = %socket, "control listens");
        }
        let status = cx.board.register(ComponentKind::Extension, "control".into(), cx.clock.now());
        let file =
            config.state_directory.as_ref().map(|directory| Arc::new(StateFile::in_directory(directory)));
        let control = Self { cx: cx.clone(), file, sockets, status };
        control.show();
        Ok(Some(control))
    }

    /// Serves until `stop` is cancelled.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let service = service::ControlService::new(
            self.cx.overrides.clone(),
            Arc::clone(&self.cx.controls),
            self.file.clone(),
        );
        let mut tasks = JoinSet::new();
        for socket in self.sockets {
            tasks.spawn(socket.serve(service.clone(), self.cx.registry.clone(), stop.clone()));
        }
        let shown = Shown { cx: self.cx, status: self.status, parts: Vec::new() };
        tasks.spawn(watch(service, shown, stop.clone()));
        while tasks.join_next().await.is_some() {}
    }

    fn show(&self) {
        self.status.set(State::Ok, self.cx.clock.now());
    }
}

/// What was last shown of overrides.
struct Shown {
    cx: AdminContext,
    status: StatusHandle,
    /// Orders on the status board and in metrics.
    parts: Vec<Text>,
}

/// Ends overrides in time and keeps health and metrics up to date.
async fn watch(service: service::ControlService, mut shown: Shown, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(EXPIRY_CHECK);
    // What is over ends in time, however long the disk takes.
    let mut saves = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if service.expire() {
            saves.spawn(service.clone().save_and_tell());
        }
        while saves.try_join_next().is_some() {}
        shown.refresh();
    }
}

impl Shown {
    fn refresh(&mut self) {
        let (now, list) = (self.cx.clock.now(), self.cx.overrides.list());
        let part = |entry: &Override| Text::from(entry.order.to_string());
        let parts: Vec<Text> = list.iter().map(|(entry, _)| part(entry)).collect();
        for gone in self.parts.iter().filter(|part| !parts.contains(part)) {
            self.status.delivered(gone);
            self.cx.registry.forget("override", gone);
        }
        for (entry, left) in &list {
            let part = part(entry);
            let detail = format!("until {}: {}", entry.until, entry.reason).into();
            self.status.missing(&part, "override", &detail, entry.set_at);
            let labels = vec![("override", part), ("level", Text::Static(entry.level()))];
            self.cx.registry.gauge(&definitions::OVERRIDE_SECONDS_LEFT, labels).set(left.as_secs_f64());
        }
        if parts != self.parts {
            let state = match parts.len() {
                0 => State::Ok,
                1 => State::Degraded("one override is in force".into()),
                many => State::Degraded(format!("{many} overrides are in force").into()),
            };
            self.status.set(state, now);
        }
        self.parts = parts;
    }
}
