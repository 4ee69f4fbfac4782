//! One listening socket and its connections.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use dbintel_model::Text;
use dbintel_pipeline::telemetry::definitions as shared;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::guard::Guard;
use super::{CONNECTION_TIME_MAX, CONNECTIONS_MAX, HEADER_BYTES_MAX, HEADER_TIME_MAX, HEADERS_MAX};

/// How long to wait after a connection could not be accepted, usually for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A bound endpoint.
pub(super) struct Listener {
    socket: std::net::TcpListener,
    address: SocketAddr,
    router: Router,
    guard: Guard,
}

// === impl Listener ===

impl Listener {
    pub(super) fn bind(
        address: SocketAddr,
        router: Router,
        guard: impl FnOnce(SocketAddr) -> Guard,
    ) -> io::Result<Self> {
        let socket = std::net::TcpListener::bind(address)?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        Ok(Self { socket, address, router, guard: guard(address) })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) const fn name(&self) -> &'static str {
        self.guard.endpoint()
    }

    /// Serves until `stop` is cancelled, then lets open connections come to their end.
    pub(super) async fn run(self, stop: CancellationToken) {
        let socket = match tokio::net::TcpListener::from_std(self.socket) {
            Ok(socket) => socket,
            Err(error) => {
                tracing::error!(endpoint = self.guard.endpoint(), %error, "admin endpoint is not served");
                return;
            }
        };
        let service = Service { router: self.router, guard: self.guard };
        let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(ended) = connections.join_next() => service.note_end(ended),
                accepted = service.accept(&socket, &slots) => match accepted {
                    Ok((stream, slot)) => {
                        connections.spawn(service.clone().serve(stream, slot));
                    }
                    Err(error) => {
                        tracing::warn!(endpoint = service.guard.endpoint(), %error, "connection not accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop(socket);
        while connections.join_next().await.is_some() {}
    }
}

#[derive(Clone)]
struct Service {
    router: Router,
    guard: Guard,
}

impl Service {
    /// Waits for a free slot, then for a connection.
    async fn accept(
        &self,
        socket: &tokio::net::TcpListener,
        slots: &Arc<Semaphore>,
    ) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
        let slot = match Arc::clone(slots).try_acquire_owned() {
            Ok(slot) => slot,
            Err(_none_free) => {
                let labels = vec![("limit", Text::Static("admin_connections"))];
                self.guard.registry().counter(&shared::LIMIT_REACHED, labels).increment();
                let slots = Arc::clone(slots);
                slots.acquire_owned().await.map_err(io::Error::other)?
            }
        };
        let (stream, _peer) = socket.accept().await?;
        Ok((stream, slot))
    }

    async fn serve(self, stream: TcpStream, slot: OwnedSemaphorePermit) {
        let service = service_fn(|request| self.guard.answer(self.router.clone(), request));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIME_MAX)
            .keep_alive(false)
            .max_buf_size(HEADER_BYTES_MAX)
            .max_headers(HEADERS_MAX)
            .serve_connection(TokioIo::new(stream), service);
        // A client that breaks off or sends nonsense is its own affair.
        let _ = tokio::time::timeout(CONNECTION_TIME_MAX, connection).await;
        drop(slot);
    }

    fn note_end(&self, ended: Result<(), tokio::task::JoinError>) {
        if ended.is_err_and(|error| error.is_panic()) {
            let labels = vec![("component", Text::Static("admin"))];
            self.guard.registry().counter(&shared::PANICS, labels).increment();
            tracing::error!(endpoint = self.guard.endpoint(), "an admin page panicked; please report it");
        }
    }
}
