//! What an answer means: delivered, try again, or never.
//!
//! Pure functions over status, headers and body, by the letter of the OTLP specification 1.11:
//! * gRPC: `CANCELLED`, `DEADLINE_EXCEEDED`, `ABORTED`, `OUT_OF_RANGE`, `UNAVAILABLE` and `DATA_LOSS` are retried,
//!   `RESOURCE_EXHAUSTED` only with `RetryInfo`; every other code is permanent;
//! * HTTP: 429, 502, 503 and 504 are retried, after `Retry-After` where it is given; every other error is permanent,
//!   redirects included;
//! * a partial success is never retried; without rejected records it is a warning.
//!
//! Bounds: at most [`RESPONSE_BYTES_MAX`] of an answer are read; texts of a server are cut to [`TEXT_CHARS_MAX`]
//! characters and freed of control characters and of our own secrets; a server can hold us off for
//! [`THROTTLE_MAX`] at most. Nothing a server sends makes these functions panic.

mod grpc;
mod http;
mod message;
mod text;

use std::time::Duration;

pub use self::grpc::{GrpcStatus, of_grpc};
pub use self::http::{HttpAnswer, of_http};
pub use self::text::TEXT_CHARS_MAX;
pub(crate) use self::text::clean;

/// Bytes of an answer that are read at most, as the specification recommends.
pub const RESPONSE_BYTES_MAX: usize = 4 << 20;
/// Longest pause that a server's hint can demand. A hint is not a reason to stop for a day.
pub const THROTTLE_MAX: Duration = Duration::from_secs(3_600);

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The backend took it.
    Delivered {
        /// Records it did not take; they are lost and must not be sent again.
        rejected: u64,
        /// What it says about them, or a warning.
        message: Option<String>,
    },
    /// It may succeed later.
    Retry {
        /// Not before this time has passed.
        after: Option<Duration>,
        /// Why.
        reason: Reason,
    },
    /// It will never succeed.
    Permanent {
        /// Why.
        reason: Reason,
    },
}

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {text}", kind.as_str())]
pub struct Reason {
    /// The kind, for metrics.
    pub kind: FailureKind,
    /// What happened, for people.
    pub text: String,
}

/// Kinds of failure: a closed set, for labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// No connection: name, address, refused, reset.
    Connection,
    /// The certificates do not agree.
    Tls,
    /// No answer in time.
    Timeout,
    /// The backend asks for less.
    Throttled,
    /// The backend has a problem that may pass.
    Unavailable,
    /// The backend does not know us, or does not allow it.
    Unauthorized,
    /// Nobody answers at this address or path.
    NotFound,
    /// The request is larger than the backend takes.
    TooLarge,
    /// The backend does not accept the content.
    Rejected,
    /// The answer is not one of this protocol.
    Protocol,
}

// === impl Outcome ===

impl Outcome {
    /// Delivered, all of it.
    pub(crate) const DELIVERED: Self = Self::Delivered { rejected: 0, message: None };

    pub(crate) const fn retry(kind: FailureKind, text: String) -> Self {
        Self::Retry { after: None, reason: Reason { kind, text } }
    }

    /// Delivered, with something to say about it.
    pub(crate) const fn warning(text: String) -> Self {
        Self::Delivered { rejected: 0, message: Some(text) }
    }
}

// === impl FailureKind ===

impl FailureKind {
    /// The kind as a label: closed set, lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Throttled => "throttled",
            Self::Unavailable => "unavailable",
            Self::Unauthorized => "unauthorized",
            Self::NotFound => "not_found",
            Self::TooLarge => "too_large",
            Self::Rejected => "rejected",
            Self::Protocol => "protocol",
        }
    }
}

#[cfg(test)]
mod tests;
