//! The sockets of control and their connections: gRPC, so HTTP/2 without TLS.
//!
//! The service is tonic's; what carries it is hyper, which tonic's own server uses too. That server bounds the requests of a
//! connection, but neither how many connections there are nor how long one may last whatever goes on in it, and it has no place
//! to count who had to wait: here both bounds have a name and a counter, and one loop serves both kinds of socket.

use std::fmt;
use std::io;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dbintel_config::values::Secret;
use dbintel_model::Text;
use dbintel_pipeline::telemetry::{Registry, definitions as shared};
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Status};

use super::config::ControlTcp;
use super::service::ControlService;
use crate::{AdminError, definitions};
use dbintel_proto::v1::control_server::ControlServer;

/// Connections to one socket at once; further ones wait in the kernel's backlog, which is counted.
pub const CONTROL_CONNECTIONS_MAX: usize = 8;
/// How long a connection may last. A call takes milliseconds.
pub const CONTROL_CALL_TIME_MAX: Duration = Duration::from_secs(30);
/// Bytes of a message at most.
pub const CONTROL_MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// Bytes of all headers of a call at most.
const HEADER_BYTES_MAX: u32 = 16 * 1024;
/// Calls of one connection at once.
const STREAMS_MAX: u32 = 8;
/// How long to wait after a connection could not be accepted, usually for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A bound socket.
pub(super) enum Socket {
    Unix(UnixListener, PathBuf),
    Tcp(std::net::TcpListener, std::net::SocketAddr, Secret),
}

enum Listening {
    Unix(tokio::net::UnixListener),
    Tcp(tokio::net::TcpListener, Secret),
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

// === impl Socket ===

impl Socket {
    pub(super) fn tcp(config: &ControlTcp) -> Result<Self, AdminError> {
        let bound = config.listen.resolve().and_then(|address| {
            let socket = std::net::TcpListener::bind(address)?;
            socket.set_nonblocking(true)?;
            let address = socket.local_addr()?;
            Ok((socket, address))
        });
        let (socket, address) = bound.map_err(|source| AdminError::Bind {
            what: "control",
            setting: "extensions.control.endpoint",
            listen: config.listen.clone(),
            source,
        })?;
        if !address.ip().is_loopback() {
            tracing::warn!(
                %address,
                "control is reachable from the network, and its token travels in the clear; bind \
                 extensions.control.endpoint to 127.0.0.1"
            );
        }
        Ok(Self::Tcp(socket, address, config.token.clone()))
    }

    /// Serves until `stop` is cancelled, and removes a Unix socket then.
    pub(super) async fn serve(self, service: ControlService, registry: Registry, stop: CancellationToken) {
        let name = self.to_string();
        let (listening, path) = match self {
            Self::Unix(socket, path) => {
                (tokio::net::UnixListener::from_std(socket).map(Listening::Unix), Some(path))
            }
            Self::Tcp(socket, _, token) => {
                (tokio::net::TcpListener::from_std(socket).map(|socket| Listening::Tcp(socket, token)), None)
            }
        };
        match listening {
            Ok(listening) => listening.run(&name, service, &registry, &stop).await,
            Err(error) => tracing::error!(address = name, %error, "control is not served"),
        }
        if let Some(path) = path {
            // Whoever finds it gone has removed it; a left-over one is replaced at the next start.
            let _ = std::fs::remove_file(path);
        }
    }
}

impl fmt::Display for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(_, path) => write!(f, "{}", path.display()),
            Self::Tcp(_, address, _) => address.fmt(f),
        }
    }
}

// === impl Listening ===

impl Listening {
    async fn run(self, name: &str, service: ControlService, registry: &Registry, stop: &CancellationToken) {
        let slots = Arc::new(Semaphore::new(CONTROL_CONNECTIONS_MAX));
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                Some(_ended) = connections.join_next() => continue,
                accepted = self.accept(&slots, registry) => accepted,
            };
            match accepted {
                Ok((stream, slot)) => {
                    let serving = serve(stream, service.clone(), self.token(), registry.clone());
                    connections.spawn(async move {
                        // A client that breaks off or stays too long is its own affair.
                        let _ = tokio::time::timeout(CONTROL_CALL_TIME_MAX, serving).await;
                        drop(slot);
                    });
                }
                Err(error) => {
                    tracing::warn!(address = name, %error, "control connection not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn accept(
        &self,
        slots: &Arc<Semaphore>,
        registry: &Registry,
    ) -> io::Result<(Box<dyn Stream>, tokio::sync::OwnedSemaphorePermit)> {
        let slot = match Arc::clone(slots).try_acquire_owned() {
            Ok(slot) => slot,
            Err(_none_free) => {
                let labels = vec![("limit", Text::Static("control_connections"))];
                registry.counter(&shared::LIMIT_REACHED, labels).increment();
                Arc::clone(slots).acquire_owned().await.map_err(io::Error::other)?
            }
        };
        let stream: Box<dyn Stream> = match self {
            Self::Unix(socket) => Box::new(socket.accept().await?.0),
            Self::Tcp(socket, _) => Box::new(socket.accept().await?.0),
        };
        Ok((stream, slot))
    }

    fn token(&self) -> Option<Secret> {
        match self {
            Self::Unix(_) => None,
            Self::Tcp(_, token) => Some(token.clone()),
        }
    }
}

async fn serve(stream: Box<dyn Stream>, service: ControlService, token: Option<Secret>, registry: Registry) {
    let server = ControlServer::new(service)
        .max_decoding_message_size(CONTROL_MESSAGE_BYTES_MAX)
        .max_encoding_message_size(usize::MAX);
    let check = move |request: Request<()>| match &token {
        Some(token) if !is_known(&request, token) => {
            let labels = vec![("endpoint", Text::Static("control")), ("reason", Text::Static("token"))];
            registry.counter(&definitions::ADMIN_REFUSED, labels).increment();
            Err(Status::unauthenticated("the metadata `authorization: Bearer <token>` is missing or wrong"))
        }
        _ => Ok(request),
    };
    let guarded = tonic::service::interceptor::InterceptedService::new(server, check);
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_header_list_size(HEADER_BYTES_MAX)
        .max_concurrent_streams(STREAMS_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(guarded));
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a control connection broke off");
    }
}

fn is_known(request: &Request<()>, token: &Secret) -> bool {
    let given = request.metadata().get("authorization").and_then(|value| value.to_str().ok());
    let given = given.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    is_equal(given.as_bytes(), token.expose().as_bytes())
}

/// In a time that does not tell how many bytes are right.
fn is_equal(given: &[u8], known: &[u8]) -> bool {
    let different = given.iter().zip(known).fold(0, |different, (a, b)| different | (a ^ b));
    given.len() == known.len() && std::hint::black_box(different) == 0
}
