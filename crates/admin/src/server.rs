//! The admin thread: its own runtime, its listeners, its end.
//!
//! Bounds, of each endpoint: [`CONNECTIONS_MAX`] connections at once (further ones wait in the kernel's backlog, which
//! is counted), [`HEADERS_MAX`] headers of [`HEADER_BYTES_MAX`] bytes together, which must arrive within
//! [`HEADER_TIME_MAX`]; [`REQUEST_TIME_MAX`] for an answer; [`CONNECTION_TIME_MAX`] for a connection as a whole. Bodies
//! of requests are not read. A connection carries one request.

mod guard;
mod listener;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use axum::Router;
use dbintel_pipeline::status::{ComponentKind, State, StatusHandle};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::AdminContext;
use crate::config::{AdminConfig, Listen};
use crate::control::Control;
use crate::{definitions, health, metrics, pages};
use guard::Guard;
use listener::Listener;

/// Connections to one endpoint at once.
pub const CONNECTIONS_MAX: usize = 32;
/// Bytes of one request's line and headers.
pub const HEADER_BYTES_MAX: usize = 16 * 1024;
/// Headers of one request.
pub const HEADERS_MAX: usize = 64;
/// How long a request's headers may take to arrive.
pub const HEADER_TIME_MAX: Duration = Duration::from_secs(5);
/// How long an answer may take to be made.
pub const REQUEST_TIME_MAX: Duration = Duration::from_secs(5);
/// How long a connection may last.
pub const CONNECTION_TIME_MAX: Duration = Duration::from_secs(15);
/// How long connections may go on after the end was asked for.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(1);

/// The endpoints, before they are started.
#[derive(Debug)]
pub struct Admin;

/// The running endpoints. Dropping it ends them without waiting.
#[derive(Debug)]
pub struct AdminHandle {
    addresses: AdminAddresses,
    stop: CancellationToken,
    ended: oneshot::Receiver<()>,
    statuses: Vec<StatusHandle>,
    cx: AdminContext,
}

/// Where the endpoints really listen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AdminAddresses {
    /// Health.
    pub health: Option<SocketAddr>,
    /// Self-metrics.
    pub metrics: Option<SocketAddr>,
    /// zPages.
    pub zpages: Option<SocketAddr>,
}

/// Why the endpoints could not be started.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The address cannot be listened on.
    #[error("{what} cannot listen on {listen}: {}", advice(.source.kind(), .setting))]
    Bind {
        /// Which endpoint.
        what: &'static str,
        /// The setting that says where.
        setting: &'static str,
        /// Where.
        listen: Listen,
        /// What the system says.
        source: io::Error,
    },
    /// The configured control socket cannot be had.
    #[error("the control socket {} cannot be had: {reason}; set extensions.control.socket to a path in a directory that the collector may write to", path.display())]
    Socket {
        /// Which.
        path: std::path::PathBuf,
        /// What the system says.
        reason: String,
    },
    /// The system gave no thread.
    #[error(
        "the admin thread could not be started: the system has no more threads or file descriptors for us"
    )]
    Thread(#[source] io::Error),
}

/// What to do about an address that cannot be listened on.
fn advice(kind: io::ErrorKind, setting: &str) -> String {
    match kind {
        io::ErrorKind::AddrInUse => format!(
            "another process, perhaps another dbintel, listens there already; end it, or set {setting} to another port"
        ),
        io::ErrorKind::AddrNotAvailable => {
            format!("this machine has no such address; set {setting} to 127.0.0.1 or to one it has")
        }
        io::ErrorKind::PermissionDenied => {
            format!("the process may not use this port; set {setting} to a port above 1023")
        }
        _ => format!("check {setting}"),
    }
}

/// One endpoint: what the operator calls it, and the setting that says where it is.
struct Endpoint<'a> {
    name: &'static str,
    setting: &'static str,
    listen: &'a Listen,
    router: Router,
}

// === impl Admin ===

impl Admin {
    /// Binds every endpoint and starts the thread that serves them.
    ///
    /// # Errors
    /// [`AdminError`] when an address cannot be had. Nothing is served then.
    pub fn start(config: &AdminConfig, cx: AdminContext) -> Result<AdminHandle, AdminError> {
        let (mut addresses, bound) = (AdminAddresses::default(), Arc::new(OnceLock::new()));
        let mut listeners = Vec::new();
        let mut bind = |endpoint: Endpoint<'_>| {
            let listener = endpoint.bind(&cx)?;
            let address = listener.address();
            listeners.push(listener);
            Ok::<_, AdminError>(Some(address))
        };
        if let Some(health) = config.health() {
            addresses.health = bind(Endpoint {
                name: "health_check",
                setting: "extensions.health_check.endpoint",
                listen: health.listen(),
                router: health::router(health, cx.clone()),
            })?;
        }
        if let Some(listen) = config.metrics() {
            addresses.metrics = bind(Endpoint {
                name: "metrics",
                setting: "the prometheus reader of service.telemetry.metrics",
                listen,
                router: metrics::router(cx.registry.clone()),
            })?;
        }
        if let Some(listen) = config.zpages() {
            addresses.zpages = bind(Endpoint {
                name: "zpages",
                setting: "extensions.zpages.endpoint",
                listen,
                router: pages::router(Arc::clone(&bound), cx.clone()),
            })?;
        }
        let control = Control::bind(config.control(), &cx)?;
        // Nobody else sets it, so this cannot fail.
        let _ = bound.set(addresses);
        observe_heartbeat(&cx);
        spawn(listeners, control, addresses, cx)
    }
}

fn spawn(
    listeners: Vec<Listener>,
    control: Option<Control>,
    addresses: AdminAddresses,
    cx: AdminContext,
) -> Result<AdminHandle, AdminError> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(AdminError::Thread)?;
    let (end, ended) = oneshot::channel();
    let stop = CancellationToken::new();
    let statuses = listeners.iter().map(|listener| register(&cx, listener)).collect();
    let stopped = stop.clone();
    thread::Builder::new()
        .name("dbintel-admin".to_owned())
        .spawn(move || {
            runtime.block_on(serve(listeners, control, stopped));
            // Whoever waits may have gone.
            let _ = end.send(());
        })
        .map_err(AdminError::Thread)?;
    Ok(AdminHandle { addresses, stop, ended, statuses, cx })
}

async fn serve(listeners: Vec<Listener>, control: Option<Control>, stop: CancellationToken) {
    let mut tasks = JoinSet::new();
    for listener in listeners {
        tasks.spawn(listener.run(stop.clone()));
    }
    if let Some(control) = control {
        tasks.spawn(control.run(stop.clone()));
    }
    stop.cancelled().await;
    let drained = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN_TIME_MAX, drained).await.is_err() {
        tracing::debug!("admin connections were closed before their end");
    }
}

fn register(cx: &AdminContext, listener: &Listener) -> StatusHandle {
    let (now, id) = (cx.clock.now(), listener.name().into());
    let status = cx.board.register(ComponentKind::Extension, id, now);
    status.set(State::Ok, now);
    status
}

fn observe_heartbeat(cx: &AdminContext) {
    let (heartbeat, clock) = (cx.heartbeat.clone(), Arc::clone(&cx.clock));
    cx.registry.observe(&definitions::HEARTBEAT_AGE, Vec::new(), move || {
        Some(heartbeat.age(clock.monotonic()).as_secs_f64())
    });
}

// === impl Endpoint ===

impl Endpoint<'_> {
    fn bind(self, cx: &AdminContext) -> Result<Listener, AdminError> {
        let guard = |address| Guard::new(self.name, self.listen, address, &cx.registry);
        let bound = self.listen.resolve().and_then(|address| Listener::bind(address, self.router, guard));
        let listener = bound.map_err(|source| AdminError::Bind {
            what: self.name,
            setting: self.setting,
            listen: self.listen.clone(),
            source,
        })?;
        let address = listener.address();
        tracing::info!(endpoint = self.name, %address, "admin endpoint listens");
        if !address.ip().is_loopback() {
            tracing::warn!(
                endpoint = self.name,
                %address,
                setting = self.setting,
                "admin endpoint is reachable from the network and asks for no password; bind it to 127.0.0.1, or let \
                 a network policy protect it"
            );
        }
        Ok(listener)
    }
}

// === impl AdminHandle ===

impl AdminHandle {
    /// Where the endpoints listen.
    #[must_use]
    pub const fn addresses(&self) -> AdminAddresses {
        self.addresses
    }

    /// Ends the endpoints and waits for it. Says whether they ended in time.
    pub async fn stop(mut self, within: Duration) -> bool {
        self.stop.cancel();
        tokio::time::timeout(within, &mut self.ended).await.is_ok()
    }
}

impl Drop for AdminHandle {
    fn drop(&mut self) {
        self.stop.cancel();
        for status in &self.statuses {
            status.set(State::Stopped, self.cx.clock.now());
        }
    }
}

#[cfg(test)]
mod tests;
