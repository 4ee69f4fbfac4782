//! One request from its header to its answer: read, inspect, ask the script, act.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::future;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode, request::Parts};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tonic::body::Body;
use xxhash_rust::xxh3::xxh3_128;

use super::behaviour::{Behaviour, Malformed, Refusal, RetryHint};
use super::body::MESSAGE_BYTES_MAX;
use super::received::{Encoding, Format, Outcome, Transport};
use super::shared::{OpenAttempt, Shared};
use super::signal::{Export, PartialSuccess, Signal};
use super::{grpc, http1};

/// A request that follows the protocol.
pub(crate) struct Call {
    pub(crate) signal: Signal,
    pub(crate) format: Format,
    pub(crate) parts: Parts,
    pub(crate) body: Bytes,
}

/// Why a request was turned away before the script was asked.
#[derive(Debug)]
pub(crate) struct Rejection {
    pub(crate) refusal: Refusal,
    pub(crate) text: String,
    /// The client broke the protocol; else this backend just does not offer something.
    pub(crate) is_violation: bool,
}

/// What is answered; each transport puts it into its own form.
pub(crate) enum Reply {
    Success(Option<PartialSuccess>),
    Error { refusal: Refusal, message: String, hint: Option<RetryHint> },
    Malformed(Malformed),
}

// === impl Rejection ===

impl Rejection {
    pub(crate) fn violation(http: StatusCode, grpc: Code, text: impl Into<String>) -> Self {
        Self { refusal: Refusal { http, grpc }, text: text.into(), is_violation: true }
    }

    pub(crate) fn undecodable(text: impl Into<String>) -> Self {
        Self::violation(StatusCode::BAD_REQUEST, Code::InvalidArgument, text)
    }

    fn not_offered(encoding: Encoding) -> Self {
        let refusal = Refusal { http: StatusCode::UNSUPPORTED_MEDIA_TYPE, grpc: Code::Unimplemented };
        Self { refusal, text: format!("encoding {encoding:?} is not offered here"), is_violation: false }
    }
}

/// The service behind both ports. `closer` ends the connection without an answer.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    transport: Transport,
    closer: CancellationToken,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let (parts, body) = request.into_parts();
    let mut open = OpenAttempt::new(&shared, transport, &parts);
    let body = match Limited::new(body, MESSAGE_BYTES_MAX).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return Ok(unreadable(open, &closer, error.as_ref()).await),
    };
    open.attempt.wire_bytes = body.len();
    open.attempt.message_bytes = body.len();
    let inspected = match transport {
        Transport::Http => http1::inspect(&shared, &mut open, &parts, &body),
        Transport::Grpc => grpc::inspect(&shared, &mut open, &parts, &body),
    };
    let (signal, content) = match inspected {
        Ok(inspected) => inspected,
        Err(rejection) => return Ok(reject(open, rejection)),
    };
    open.attempt.items = content.as_ref().map(Export::items);
    open.publish();
    let format = open.attempt.format;
    let behaviour = shared.script.lock().take(signal);
    let call = Call { signal, format, parts, body };
    Ok(act(open, behaviour, content, call, &closer).await)
}

/// Fills in what a decompressed message tells. Both transports call it as soon as they have one.
pub(crate) fn note_message(open: &mut OpenAttempt, message: &[u8]) {
    open.attempt.message_bytes = message.len();
    open.attempt.message_hash = xxh3_128(message);
}

/// The encoding named by a header. `Err` where this sink was told not to take it.
pub(crate) fn encoding(
    shared: &Shared,
    open: &mut OpenAttempt,
    parts: &Parts,
    header: &str,
) -> Result<Encoding, Rejection> {
    let named = parts.headers.get(header).map(http::HeaderValue::as_bytes);
    let encoding = match named {
        None | Some(b"identity") => Encoding::Identity,
        Some(b"gzip") => Encoding::Gzip,
        Some(b"zstd") => Encoding::Zstd,
        Some(_) => Encoding::Other,
    };
    open.attempt.encoding = encoding;
    if encoding == Encoding::Other {
        let text = format!("{header} {:?}", parts.headers.get(header));
        return Err(Rejection::violation(StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::Unimplemented, text));
    }
    if shared.options.refused_encodings.contains(&encoding) {
        return Err(Rejection::not_offered(encoding));
    }
    Ok(encoding)
}

async fn act(
    open: OpenAttempt,
    mut behaviour: Behaviour,
    content: Option<Export>,
    call: Call,
    closer: &CancellationToken,
) -> Response<Body> {
    while let Behaviour::Delay(delay, then) = behaviour {
        tokio::time::sleep(delay).await;
        behaviour = *then;
    }
    let (outcome, reply) = match behaviour {
        Behaviour::Accept | Behaviour::Delay(..) => (Outcome::Accepted, Reply::Success(None)),
        Behaviour::Partial { rejected, message } => {
            (Outcome::Partial(rejected), Reply::Success(Some(PartialSuccess { rejected, message })))
        }
        Behaviour::Refuse(refusal) => (Outcome::Refused(refusal), scripted_error(refusal, None)),
        Behaviour::Throttle { refusal, hint } => {
            (Outcome::Throttled(refusal), scripted_error(refusal, Some(hint)))
        }
        Behaviour::Malformed(kind) => (Outcome::Malformed, Reply::Malformed(kind)),
        Behaviour::DropConnection => {
            open.finish(Outcome::Dropped, None);
            return hang_up(closer).await;
        }
        Behaviour::AcceptThenDrop => {
            open.finish(Outcome::AcceptedThenDropped, content);
            return hang_up(closer).await;
        }
    };
    let response = match open.attempt.transport {
        Transport::Http => http1::render(reply, call.signal, call.format),
        Transport::Grpc => grpc::render(&open, reply, call).await,
    };
    open.finish(outcome, content);
    response
}

fn scripted_error(refusal: Refusal, hint: Option<RetryHint>) -> Reply {
    Reply::Error { refusal, message: "refused by the script of the test".to_owned(), hint }
}

fn reject(open: OpenAttempt, rejection: Rejection) -> Response<Body> {
    if rejection.is_violation {
        open.violation(&rejection.text);
    }
    let reply = Reply::Error { refusal: rejection.refusal, message: rejection.text, hint: None };
    let response = match open.attempt.transport {
        Transport::Http => http1::render(reply, Signal::Metrics, open.attempt.format),
        Transport::Grpc => grpc::render_error(&reply),
    };
    open.finish(Outcome::Rejected(rejection.refusal), None);
    response
}

/// Too long: answered. Broken off: the client is gone, or its length header lied.
async fn unreadable(
    open: OpenAttempt,
    closer: &CancellationToken,
    error: &(dyn StdError + Send + Sync + 'static),
) -> Response<Body> {
    if error.is::<LengthLimitError>() {
        let text = format!("a body over {MESSAGE_BYTES_MAX} bytes");
        return reject(
            open,
            Rejection::violation(StatusCode::PAYLOAD_TOO_LARGE, Code::ResourceExhausted, text),
        );
    }
    open.finish(Outcome::Abandoned, None);
    hang_up(closer).await
}

/// Ends the connection, and with it this future.
async fn hang_up(closer: &CancellationToken) -> Response<Body> {
    closer.cancel();
    future::pending().await
}
