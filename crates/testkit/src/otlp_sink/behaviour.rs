//! How the sink answers: one [`Behaviour`] per request, from a queue first, then a default.

use std::collections::VecDeque;
use std::time::Duration;

use http::StatusCode;
use tonic::Code;

use super::signal::Signal;

/// Most behaviours that may wait in the queue: more is a mistake of the test.
const QUEUE_MAX: usize = 100_000;

/// What happens to one request that follows the protocol.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Behaviour {
    /// Record it and answer success.
    #[default]
    Accept,
    /// Record nothing but the attempt and answer an error.
    Refuse(Refusal),
    /// An error that says when to come back.
    Throttle {
        /// The error.
        refusal: Refusal,
        /// When to come back.
        hint: RetryHint,
    },
    /// Record it and answer success with `partial_success`. The protocol forbids the client to send it again.
    Partial {
        /// Items that the backend did not take; 0 makes it a mere warning.
        rejected: i64,
        /// `error_message`
        message: String,
    },
    /// Wait, then do something else. A client that goes away meanwhile is recorded as [`super::Outcome::Abandoned`].
    Delay(Duration, Box<Self>),
    /// Read the request, then close the connection without an answer.
    DropConnection,
    /// Record the request, then close the connection without an answer: the client cannot know.
    AcceptThenDrop,
    /// Record nothing and answer what no OTLP server may answer.
    Malformed(Malformed),
}

/// An error in both protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Status of the HTTP answer.
    pub http: StatusCode,
    /// Status of the gRPC answer.
    pub grpc: Code,
}

/// When a refused client may come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RetryHint {
    /// `RetryInfo` in gRPC, rounded up to seconds in `Retry-After`.
    After(Duration),
    /// The same in gRPC; an HTTP date in `Retry-After`, which has whole seconds and so may come up to one late.
    AtDate(Duration),
    /// This text in `Retry-After`; `RetryInfo` without a delay in gRPC.
    Nonsense(String),
}

/// Answers that are not OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Success, and a body that does not decode.
    GarbageBody,
    /// Status 200 with an HTML page, as a captive portal or a login page answers.
    HtmlPage,
    /// This HTTP status with an HTML page, as a proxy in front of the backend answers, also to gRPC.
    ProxyPage(StatusCode),
    /// The body ends before its announced length.
    TruncatedBody,
    /// Success with this many bytes of `error_message`; the protocol recommends clients a limit of 4 MiB.
    OversizedBody(usize),
    /// gRPC: a message without `grpc-status`. HTTP: success without a content type.
    MissingStatus,
}

/// What comes next.
#[derive(Debug, Default)]
pub(crate) struct Script {
    queue: VecDeque<Behaviour>,
    of_signal: Vec<(Signal, Behaviour)>,
    otherwise: Behaviour,
}

// === impl Behaviour ===

impl Behaviour {
    /// 503 / UNAVAILABLE: to be retried.
    pub fn unavailable() -> Self {
        Self::refuse_grpc(Code::Unavailable)
    }

    /// 400 / `INVALID_ARGUMENT`: never to be retried.
    pub fn invalid() -> Self {
        Self::refuse_grpc(Code::InvalidArgument)
    }

    /// Refuses with this HTTP status, and with the code in gRPC that proxies translate it to.
    pub fn refuse_http(status: u16) -> Self {
        Self::Refuse(Refusal::of_http(StatusCode::from_u16(status).expect("an HTTP status")))
    }

    /// Refuses with this gRPC code, and with the HTTP status that google.rpc assigns to it.
    pub fn refuse_grpc(code: Code) -> Self {
        Self::Refuse(Refusal::of_grpc(code))
    }

    /// 429 with `Retry-After` / UNAVAILABLE with `RetryInfo`.
    pub fn throttle(hint: RetryHint) -> Self {
        let refusal = Refusal { http: StatusCode::TOO_MANY_REQUESTS, grpc: Code::Unavailable };
        Self::Throttle { refusal, hint }
    }

    /// 429 with `Retry-After` / `RESOURCE_EXHAUSTED` with `RetryInfo`: retried only because of the hint.
    pub fn exhausted(hint: RetryHint) -> Self {
        Self::Throttle { refusal: Refusal::of_grpc(Code::ResourceExhausted), hint }
    }

    /// Success that rejects `rejected` items.
    pub fn partial(rejected: i64, message: &str) -> Self {
        Self::Partial { rejected, message: message.to_owned() }
    }

    /// This behaviour, later.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        Self::Delay(delay, Box::new(self))
    }
}

// === impl Refusal ===

impl Refusal {
    /// As gRPC's `http-grpc-status-mapping.md` says.
    pub fn of_http(http: StatusCode) -> Self {
        let grpc = match http.as_u16() {
            400 => Code::Internal,
            401 => Code::Unauthenticated,
            403 => Code::PermissionDenied,
            404 => Code::Unimplemented,
            429 | 502 | 503 | 504 => Code::Unavailable,
            _ => Code::Unknown,
        };
        Self { http, grpc }
    }

    /// As the comments in `google/rpc/code.proto` say.
    pub fn of_grpc(grpc: Code) -> Self {
        let http = match grpc {
            Code::Ok => 200,
            Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => 400,
            Code::Unauthenticated => 401,
            Code::PermissionDenied => 403,
            Code::NotFound => 404,
            Code::AlreadyExists | Code::Aborted => 409,
            Code::ResourceExhausted => 429,
            Code::Cancelled => 499,
            Code::Unknown | Code::Internal | Code::DataLoss => 500,
            Code::Unimplemented => 501,
            Code::Unavailable => 503,
            Code::DeadlineExceeded => 504,
        };
        Self { http: StatusCode::from_u16(http).expect("an HTTP status"), grpc }
    }
}

// === impl Script ===

impl Script {
    pub(crate) fn push(&mut self, behaviour: Behaviour) {
        assert!(self.queue.len() < QUEUE_MAX, "{QUEUE_MAX} behaviours are queued");
        self.queue.push_back(behaviour);
    }

    /// From now on, for everything: forgets what was set for single signals, keeps the queue.
    pub(crate) fn always(&mut self, behaviour: Behaviour) {
        self.of_signal.clear();
        self.otherwise = behaviour;
    }

    pub(crate) fn always_for(&mut self, signal: Signal, behaviour: Behaviour) {
        self.of_signal.retain(|(of, _)| *of != signal);
        self.of_signal.push((signal, behaviour));
    }

    pub(crate) fn clear_queue(&mut self) {
        self.queue.clear();
    }

    pub(crate) fn take(&mut self, signal: Signal) -> Behaviour {
        if let Some(behaviour) = self.queue.pop_front() {
            return behaviour;
        }
        let of_signal = self.of_signal.iter().find(|(of, _)| *of == signal);
        of_signal.map_or_else(|| self.otherwise.clone(), |(_, behaviour)| behaviour.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_comes_before_the_signal_before_the_default() {
        let mut script = Script::default();
        assert_eq!(script.take(Signal::Logs), Behaviour::Accept);
        script.always(Behaviour::unavailable());
        script.always_for(Signal::Logs, Behaviour::DropConnection);
        script.push(Behaviour::invalid());
        assert_eq!(script.take(Signal::Logs), Behaviour::invalid());
        assert_eq!(script.take(Signal::Logs), Behaviour::DropConnection);
        assert_eq!(script.take(Signal::Metrics), Behaviour::unavailable());
    }
}
