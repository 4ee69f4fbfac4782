//! From the settings as written to a configuration that cannot be invalid. Pure: no file, no network.

use std::time::Duration;

use dbintel_config::values::Headers;
use dbintel_model::Signal;
use dbintel_otlp::compress::{Compression, GzipLevel, ZstdLevel};
use dbintel_otlp::encode::Format;
use dbintel_otlp::transport::{
    GrpcEndpoint, HttpEndpoint, Protocol, Settings, is_reserved_header, secret_header,
};
use http::{HeaderMap, HeaderName};

use super::OtlpConfig;
use super::settings::{CompressionName, CompressionParams, Encoding, OtlpHttpSettings, OtlpSettings};
use crate::settings::{Unsupported, policy, queueing, tls};
use dbintel_config::{Checks, Complaint, Validated};

const TIMEOUT_MIN: Duration = Duration::from_millis(10);
const TIMEOUT_MAX: Duration = Duration::from_secs(600);
const CREDENTIALS: &str = "write credentials as headers, with the value from the environment";

/// Validates the settings of `otlp`.
///
/// # Errors
/// Every field that is wrong.
pub fn validate(settings: &OtlpSettings) -> Result<Validated<OtlpConfig>, Vec<Complaint>> {
    let mut checks = Checks::default();
    let endpoint = GrpcEndpoint::parse(&settings.endpoint, settings.tls.insecure);
    let endpoint = endpoint.map_err(|error| checks.error("endpoint", error.to_string())).ok();
    if let Some(endpoint) = &endpoint {
        clear_text(&mut checks, &settings.headers, endpoint.is_secure());
    }
    checks.unsupported("auth", settings.auth.as_ref(), CREDENTIALS);
    checks.unsupported("authority", settings.authority.as_ref(), "the endpoint's host is the authority");
    ignore(
        &mut checks,
        "there is one connection, which is made anew when it fails",
        &[
            ("balancer_name", settings.balancer_name),
            ("keepalive", settings.keepalive),
            ("wait_for_ready", settings.wait_for_ready),
        ],
    );
    ignore(
        &mut checks,
        "buffers need no tuning here",
        &[("read_buffer_size", settings.read_buffer_size), ("write_buffer_size", settings.write_buffer_size)],
    );
    let parts = Parts {
        transport: Transport {
            tls: tls(&settings.tls, &mut checks),
            headers: headers(&settings.headers, &mut checks),
            compression: compression(settings.compression, settings.compression_params, &mut checks),
            timeout: timeout(settings.timeout.get(), &mut checks),
        },
        queueing: queueing(&settings.sending_queue, &mut checks),
        retry: policy(&settings.retry_on_failure, &mut checks),
    };
    let config = endpoint.map(|endpoint| parts.with(Protocol::Grpc(endpoint)));
    checks.finish(config)
}

/// Validates the settings of `otlphttp`.
///
/// # Errors
/// Every field that is wrong.
pub fn validate_http(settings: &OtlpHttpSettings) -> Result<Validated<OtlpConfig>, Vec<Complaint>> {
    let mut checks = Checks::default();
    let protocol = http_protocol(settings, &mut checks);
    for (field, value, message) in [
        ("auth", settings.auth, CREDENTIALS),
        ("proxy_url", settings.proxy_url, "connections are direct"),
        ("cookies", settings.cookies, "the protocol has no use for them"),
        ("middlewares", settings.middlewares, "there are none"),
    ] {
        checks.unsupported(field, value.as_ref(), message);
    }
    ignore_http(settings, &mut checks);
    let parts = Parts {
        transport: Transport {
            tls: tls(&settings.tls, &mut checks),
            headers: headers(&settings.headers, &mut checks),
            compression: compression(settings.compression, settings.compression_params, &mut checks),
            timeout: timeout(settings.timeout.get(), &mut checks),
        },
        queueing: queueing(&settings.sending_queue, &mut checks),
        retry: policy(&settings.retry_on_failure, &mut checks),
    };
    checks.finish(protocol.map(|protocol| parts.with(protocol)))
}

fn ignore_http(settings: &OtlpHttpSettings, checks: &mut Checks) {
    ignore(checks, "there are no traces", &[("traces_endpoint", settings.traces_endpoint)]);
    ignore(
        checks,
        "buffers need no tuning here",
        &[("read_buffer_size", settings.read_buffer_size), ("write_buffer_size", settings.write_buffer_size)],
    );
    ignore(
        checks,
        "there are as many connections as requests under way, kept for 30s",
        &[
            ("idle_conn_timeout", settings.idle_conn_timeout),
            ("max_idle_conns", settings.max_idle_conns),
            ("max_idle_conns_per_host", settings.max_idle_conns_per_host),
            ("max_conns_per_host", settings.max_conns_per_host),
            ("disable_keep_alives", settings.disable_keep_alives),
        ],
    );
    ignore(
        checks,
        "HTTP/2 is used where the server offers it; what does not answer is given up",
        &[
            ("http2_read_idle_timeout", settings.http2_read_idle_timeout),
            ("http2_ping_timeout", settings.http2_ping_timeout),
            ("force_attempt_http2", settings.force_attempt_http2),
        ],
    );
}

fn http_protocol(settings: &OtlpHttpSettings, checks: &mut Checks) -> Option<Protocol> {
    let metrics = settings.metrics_endpoint.as_deref();
    let metrics = http_endpoint(settings, Signal::Metrics, metrics, checks);
    let logs = http_endpoint(settings, Signal::Logs, settings.logs_endpoint.as_deref(), checks);
    let (metrics, logs) = (metrics?, logs?);
    clear_text(checks, &settings.headers, metrics.is_secure() && logs.is_secure());
    let format = match settings.encoding {
        Encoding::Proto => Format::Protobuf,
        Encoding::Json => Format::Json,
    };
    Some(Protocol::Http { metrics, logs, format })
}

fn http_endpoint(
    settings: &OtlpHttpSettings,
    signal: Signal,
    own: Option<&str>,
    checks: &mut Checks,
) -> Option<HttpEndpoint> {
    let (field, endpoint) = match (own, settings.endpoint.as_deref()) {
        (Some(own), _) => (format!("{}_endpoint", signal.as_str()), HttpEndpoint::parse(own)),
        (None, Some(base)) => ("endpoint".to_owned(), HttpEndpoint::below(base, signal)),
        (None, None) => {
            let message = "missing; write the backend's URL, such as https://otlp.example:4318";
            checks.error_once("endpoint", message);
            return None;
        }
    };
    endpoint.map_err(|error| checks.error_once(&field, &error.to_string())).ok()
}

/// What both exporters have beside their endpoints.
struct Parts {
    transport: Transport,
    queueing: crate::settings::Queueing,
    retry: Option<super::RetryPolicy>,
}

struct Transport {
    tls: dbintel_otlp::transport::TlsSettings,
    headers: HeaderMap,
    compression: Compression,
    timeout: Duration,
}

impl Parts {
    fn with(self, protocol: Protocol) -> OtlpConfig {
        OtlpConfig {
            transport: Settings {
                protocol,
                tls: self.transport.tls,
                headers: self.transport.headers,
                compression: self.transport.compression,
                timeout: self.transport.timeout,
            },
            queueing: self.queueing,
            retry: self.retry,
        }
    }
}

fn ignore(checks: &mut Checks, message: &str, fields: &[(&str, Option<Unsupported>)]) {
    for (field, value) in fields {
        checks.ignored(field, value.as_ref(), message);
    }
}

/// Headers are where credentials are.
fn clear_text(checks: &mut Checks, headers: &Headers, secure: bool) {
    if !secure && !headers.is_empty() {
        checks.notice("headers", "sent in clear text: the endpoint is not encrypted");
    }
}

fn headers(headers: &Headers, checks: &mut Checks) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in headers.iter() {
        let field = format!("headers.{name}");
        let parsed = HeaderName::from_bytes(name.as_bytes()).ok();
        match (parsed, secret_header(value.expose())) {
            (Some(parsed), _) if is_reserved_header(&parsed) => {
                checks.error(&field, "the protocol sets this header itself");
            }
            (Some(parsed), Some(value)) => {
                map.insert(parsed, value);
            }
            _ => checks.error(&field, "not a header: a name of letters, digits and `-`, a value of one line"),
        }
    }
    map
}

fn compression(name: CompressionName, params: CompressionParams, checks: &mut Checks) -> Compression {
    let (compression, max) = match (name, params.level) {
        (CompressionName::None, level) => {
            checks.ignored("compression_params.level", level.as_ref(), "compression is none");
            return Compression::None;
        }
        (CompressionName::Gzip, None) => (Some(Compression::Gzip(GzipLevel::default())), 9),
        (CompressionName::Gzip, Some(level)) => (GzipLevel::try_new(level).map(Compression::Gzip), 9),
        (CompressionName::Zstd, None) => (Some(Compression::Zstd(ZstdLevel::default())), 11),
        (CompressionName::Zstd, Some(level)) => (ZstdLevel::try_new(level).map(Compression::Zstd), 11),
    };
    compression.unwrap_or_else(|| {
        checks.error("compression_params.level", format!("must be from 1 to {max}"));
        Compression::None
    })
}

fn timeout(timeout: Duration, checks: &mut Checks) -> Duration {
    if timeout < TIMEOUT_MIN || timeout > TIMEOUT_MAX {
        checks.error("timeout", "must be from 10ms to 10m");
    }
    timeout
}
