//! Answers over gRPC.

use std::time::Duration;

use ::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::message::{PartialSuccess, RpcStatus};
use super::text::with_text;
use super::{FailureKind, Outcome, Reason, THROTTLE_MAX, clean};

/// What a server says at the end of a call.
///
/// Not `tonic::Status`: its reader panics where `grpc-status-details-bin` is not base64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrpcStatus {
    code: u8,
    message: String,
    details: Vec<u8>,
}

/// Binary headers may come with and without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Names of the codes, by number.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];
const OK: u8 = 0;
const CANCELLED: u8 = 1;
const UNKNOWN: u8 = 2;
const DEADLINE_EXCEEDED: u8 = 4;
const NOT_FOUND: u8 = 5;
const PERMISSION_DENIED: u8 = 7;
const RESOURCE_EXHAUSTED: u8 = 8;
const ABORTED: u8 = 10;
const OUT_OF_RANGE: u8 = 11;
const UNIMPLEMENTED: u8 = 12;
const INTERNAL: u8 = 13;
const UNAVAILABLE: u8 = 14;
const DATA_LOSS: u8 = 15;
const UNAUTHENTICATED: u8 = 16;

// === impl GrpcStatus ===

impl GrpcStatus {
    /// A status; a code that does not exist is `UNKNOWN`.
    #[must_use]
    pub fn new(code: u8, message: &str, details: Vec<u8>) -> Self {
        let code = if usize::from(code) < CODES.len() { code } else { UNKNOWN };
        Self { code, message: message.to_owned(), details }
    }

    /// The status in trailers, or in headers where the answer has no body; `None` if there is none.
    #[must_use]
    pub fn of_headers(headers: &HeaderMap) -> Option<Self> {
        let code = headers.get("grpc-status")?;
        let code = code.to_str().ok().and_then(|code| code.parse().ok()).unwrap_or(UNKNOWN);
        let message = headers.get("grpc-message").map(|message| percent_decoded(message.as_bytes()));
        let details = headers.get("grpc-status-details-bin");
        let details = details.and_then(|details| BASE64.decode(details.as_bytes()).ok());
        Some(Self::new(code, &message.unwrap_or_default(), details.unwrap_or_default()))
    }

    /// The status for an answer that is not of gRPC, as gRPC's `http-grpc-status-mapping.md` says.
    #[must_use]
    pub fn of_http(status: StatusCode) -> Self {
        let code = match status.as_u16() {
            400 => INTERNAL,
            401 => UNAUTHENTICATED,
            403 => PERMISSION_DENIED,
            404 => UNIMPLEMENTED,
            429 | 502 | 503 | 504 => UNAVAILABLE,
            _ => UNKNOWN,
        };
        Self::new(code, &format!("HTTP status {status} instead of a gRPC answer"), Vec::new())
    }

    fn name(&self) -> &'static str {
        CODES.get(usize::from(self.code)).copied().unwrap_or("UNKNOWN")
    }
}

/// What this status, with this message before it, means.
#[must_use]
pub fn of_grpc(status: &GrpcStatus, message: &[u8], secrets: &[String]) -> Outcome {
    if status.code == OK {
        return delivered(message, secrets);
    }
    let details = RpcStatus::parse(&status.details).unwrap_or_default();
    let text = with_text(format_args!("gRPC status {}", status.name()), &status.message, secrets);
    let retryable = match status.code {
        CANCELLED | DEADLINE_EXCEEDED | ABORTED | OUT_OF_RANGE | UNAVAILABLE | DATA_LOSS => true,
        RESOURCE_EXHAUSTED => details.retry_delay.is_some(),
        _ => false,
    };
    let after = details.retry_delay.filter(|delay| *delay > Duration::ZERO);
    let reason = Reason { kind: kind(status.code, after), text };
    if retryable {
        let after = after.map(|delay| delay.min(THROTTLE_MAX));
        Outcome::Retry { after, reason }
    } else {
        Outcome::Permanent { reason }
    }
}

/// Success, in full or in part. A message that cannot be read changes nothing about that.
pub(super) fn delivered(message: &[u8], secrets: &[String]) -> Outcome {
    match PartialSuccess::of_response(message) {
        Ok(None) => Outcome::DELIVERED,
        Ok(Some(partial)) => {
            let message = clean(&partial.message, secrets);
            Outcome::Delivered {
                rejected: partial.rejected,
                message: (!message.is_empty()).then_some(message),
            }
        }
        Err(_) => Outcome::warning("the backend's answer could not be read".to_owned()),
    }
}

const fn kind(code: u8, after: Option<Duration>) -> FailureKind {
    match code {
        DEADLINE_EXCEEDED => FailureKind::Timeout,
        RESOURCE_EXHAUSTED => FailureKind::Throttled,
        UNAVAILABLE if after.is_some() => FailureKind::Throttled,
        CANCELLED | ABORTED | UNAVAILABLE | DATA_LOSS => FailureKind::Unavailable,
        UNAUTHENTICATED | PERMISSION_DENIED => FailureKind::Unauthorized,
        UNIMPLEMENTED | NOT_FOUND => FailureKind::NotFound,
        _ => FailureKind::Rejected,
    }
}

/// Percent-encoded UTF-8; what is neither stays or is replaced.
fn percent_decoded(bytes: &[u8]) -> String {
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((byte, after)) = rest.split_first() {
        if *byte == b'%'
            && let Some(([high, low], beyond)) = after.split_first_chunk::<2>()
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            decoded.push(high << 4 | low);
            rest = beyond;
        } else {
            decoded.push(*byte);
            rest = after;
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}
