//! An OTLP backend that can fail in every way the protocol allows, and in some that it does not.
//!
//! Two ports on 127.0.0.1, as backends have them: gRPC, answered by the tonic servers of opentelemetry-proto, and
//! HTTP with protobuf or JSON bodies. gzip and zstd on both. What happens to each request is scripted:
//!
//! ```no_run
//! use std::time::Duration;
//! use dbintel_testkit::otlp_sink::{Behaviour, OtlpSink, RetryHint};
//!
//! # async fn example() {
//! let sink = OtlpSink::start().await;
//! sink.next(Behaviour::throttle(RetryHint::After(Duration::from_secs(1))));
//! // … point an exporter at sink.grpc_endpoint() …
//! let received = sink.wait_for(Duration::from_secs(10), |received| received.accepted() == 1).await;
//! assert_eq!(received.attempts.len(), 2);
//! assert_eq!(received.duplicates(), 0);
//! received.assert_no_violations();
//! # }
//! ```
//!
//! Promises:
//! * every request is an [`Attempt`] with an [`Outcome`], also one that was dropped, refused or abandoned;
//! * a request that breaks the protocol (content type, encoding, length, framing, `te: trailers`, path, JSON key
//!   style) is refused as a real server would, and listed in [`Received::violations`];
//! * the ports stay ours while the sink is stopped, and connections to them are then refused;
//! * waiting is on real time with an upper bound, and says what was seen when it was in vain.
//!
//! Limits: 64 MiB per message; details of 100,000 attempts ([`ATTEMPTS_KEPT_MAX`]), then only totals.

mod behaviour;
mod body;
mod exchange;
mod grpc;
mod http1;
mod listener;
mod options;
mod received;
mod shared;
mod signal;
mod status;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use self::behaviour::{Behaviour, Malformed, Refusal, RetryHint};
pub use self::options::Options;
use self::options::Tls;
pub use self::received::{
    ATTEMPTS_KEPT_MAX, Attempt, Encoding, Format, Outcome, Received, Totals, Transport,
};
use self::shared::Shared;
pub use self::signal::Signal;
pub use self::status::{RETRY_INFO_TYPE, RetryInfo, RpcAny, RpcDuration, RpcStatus};
use crate::ports::ReservedPort;
use crate::tls::Authority;

/// The backend. Dropping it closes the ports.
#[derive(Debug)]
pub struct OtlpSink {
    shared: Arc<Shared>,
    grpc: ReservedPort,
    http: ReservedPort,
    authority: Option<Authority>,
    running: Mutex<Option<Running>>,
}

/// Aborts its listeners when dropped.
#[derive(Debug)]
struct Running {
    stop: CancellationToken,
    listeners: JoinSet<()>,
}

impl OtlpSink {
    /// A sink that accepts everything, in plain text.
    pub async fn start() -> Self {
        Self::start_with(Options::new()).await
    }

    /// A sink with options.
    pub async fn start_with(options: Options) -> Self {
        let sink = Self {
            authority: (options.tls != Tls::Off).then(Authority::new),
            shared: Arc::new(Shared::new(options)),
            grpc: ReservedPort::reserve(),
            http: ReservedPort::reserve(),
            running: Mutex::new(None),
        };
        sink.start_again().await;
        sink
    }

    /// `http://127.0.0.1:PORT`, or `https://localhost:PORT`.
    pub fn grpc_endpoint(&self) -> String {
        self.endpoint(&self.grpc)
    }

    /// `http://127.0.0.1:PORT`, or `https://localhost:PORT`, without the path of a signal.
    pub fn http_endpoint(&self) -> String {
        self.endpoint(&self.http)
    }

    /// The authority of the server's certificate and, with mutual TLS, of the clients'. Panics without TLS.
    pub fn authority(&self) -> &Authority {
        self.authority.as_ref().expect("start the sink with Options::tls")
    }

    /// Queues a behaviour for one request. Whichever request comes first takes it.
    pub fn next(&self, behaviour: Behaviour) {
        self.shared.script.lock().push(behaviour);
    }

    /// Queues a behaviour for the next `times` requests.
    pub fn next_times(&self, times: usize, behaviour: &Behaviour) {
        let mut script = self.shared.script.lock();
        for _ in 0..times {
            script.push(behaviour.clone());
        }
    }

    /// What happens to every request for which nothing is queued.
    pub fn always(&self, behaviour: Behaviour) {
        self.shared.script.lock().always(behaviour);
    }

    /// The same for one signal only: a backend that takes metrics and refuses logs.
    pub fn always_for(&self, signal: Signal, behaviour: Behaviour) {
        self.shared.script.lock().always_for(signal, behaviour);
    }

    /// Forgets what is queued.
    pub fn clear_queue(&self) {
        self.shared.script.lock().clear_queue();
    }

    /// Everything seen so far. Requests are shared with the sink, the list of attempts is a copy.
    pub fn received(&self) -> Received {
        self.shared.received.lock().clone()
    }

    /// The totals alone.
    pub fn totals(&self) -> Totals {
        self.shared.received.lock().totals
    }

    /// Forgets what was seen; attempts count from 1 again. Only between requests.
    pub fn forget(&self) {
        *self.shared.received.lock() = Received::default();
    }

    /// Waits until `condition` holds and returns what was seen then. Panics after `timeout`, with the last attempts.
    /// The answer to the last request may still be on its way to the client. On a paused clock the timeout comes at
    /// once: use this with real time.
    pub async fn wait_for(&self, timeout: Duration, condition: impl Fn(&Received) -> bool) -> Received {
        let satisfied = async {
            loop {
                let changed = self.shared.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if condition(&self.shared.received.lock()) {
                    return self.received();
                }
                changed.await;
            }
        };
        match tokio::time::timeout(timeout, satisfied).await {
            Ok(received) => received,
            Err(_) => panic!("the sink waited {timeout:?} in vain: {}", self.received().summary()),
        }
    }

    /// Closes the ports and every connection at once. New connections are refused.
    pub async fn stop(&self) {
        let running = self.running.lock().take();
        if let Some(mut running) = running {
            running.stop.cancel();
            while running.listeners.join_next().await.is_some() {}
        }
    }

    /// Opens the same ports again. Panics when they are open.
    pub async fn start_again(&self) {
        assert!(self.running.lock().is_none(), "the sink is running");
        let stop = CancellationToken::new();
        let mut listeners = JoinSet::new();
        for (port, transport) in [(&self.grpc, Transport::Grpc), (&self.http, Transport::Http)] {
            let socket = TcpListener::bind(port.address()).await.expect("a reserved port");
            let authority = self.authority.as_ref();
            let tls = authority.map(|of| listener::acceptor(of, self.shared.options.tls, transport));
            listeners.spawn(listener::run(socket, transport, tls, Arc::clone(&self.shared), stop.clone()));
        }
        *self.running.lock() = Some(Running { stop, listeners });
    }

    /// Down for a while: [`Self::stop`], wait, [`Self::start_again`].
    pub async fn down_for(&self, time: Duration) {
        self.stop().await;
        tokio::time::sleep(time).await;
        self.start_again().await;
    }

    fn endpoint(&self, port: &ReservedPort) -> String {
        match self.authority {
            None => format!("http://127.0.0.1:{}", port.get()),
            Some(_) => format!("https://localhost:{}", port.get()),
        }
    }
}
