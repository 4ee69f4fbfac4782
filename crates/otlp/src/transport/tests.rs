//! Against the testkit's backend, a real server on loopback.

use std::fs;
use std::path::PathBuf;

use ::http::StatusCode;
use dbintel_model::{Batch, Gap, GapReason, Record, Server, SystemClock, Target, Text, Timestamp};
use dbintel_testkit::otlp_sink::{Behaviour, Encoding, Malformed, Options, OtlpSink, RetryHint};
use tempfile::TempDir;

use super::*;
use crate::compress::{Compressor, GzipLevel, ZstdLevel};
use crate::encode::{LogsEncoder, RequestBytes};
use crate::outcome::FailureKind;

const GZIP: Compression = Compression::Gzip(GzipLevel::try_new(1).unwrap());
const ZSTD: Compression = Compression::Zstd(ZstdLevel::try_new(1).unwrap());

fn grpc(sink: &OtlpSink) -> Protocol {
    Protocol::Grpc(GrpcEndpoint::parse(&sink.grpc_endpoint(), false).unwrap())
}

fn http_with(sink: &OtlpSink, format: Format) -> Protocol {
    let below = |signal| HttpEndpoint::below(&sink.http_endpoint(), signal).unwrap();
    Protocol::Http { metrics: below(Signal::Metrics), logs: below(Signal::Logs), format }
}

fn protocols(sink: &OtlpSink) -> [Protocol; 3] {
    [grpc(sink), http_with(sink, Format::Protobuf), http_with(sink, Format::Json)]
}

fn settings(protocol: Protocol) -> Settings {
    Settings {
        protocol,
        tls: TlsSettings::default(),
        headers: HeaderMap::new(),
        compression: Compression::None,
        timeout: Duration::from_secs(5),
    }
}

fn client(settings: Settings) -> Client {
    Client::new(settings, Arc::new(SystemClock::default())).unwrap()
}

/// One log record, long enough to be compressed.
fn body(format: Format) -> Vec<u8> {
    let server = Server {
        receiver: Text::Static("postgresql"),
        system: Text::Static("postgresql"),
        address: Text::Static("db"),
        port: 5432,
        resource: Vec::new(),
    };
    let gap = Gap {
        what: Text::Static("statements"),
        database: None,
        from: None,
        to: Timestamp::from_nanos(1),
        reason: GapReason::LockTimeout,
        detail: "x".repeat(100_000).into(),
    };
    let batch = Batch {
        target: Arc::new(Target::server(Arc::new(server))),
        node: None,
        observed_at: Timestamp::from_nanos(1),
        server_clock: None,
        records: vec![Record::Gap(Box::new(gap))],
    };
    let mut encoder = LogsEncoder::new(format, RequestBytes::default());
    encoder.push_batch(&batch, |_| true, &mut Vec::new());
    encoder.finish().unwrap().body
}

async fn send(client: &Client) -> Outcome {
    let body = body(client.settings.protocol.format());
    let mut compressor = Compressor::new(client.settings.compression);
    let compressed = compressor.compress(body).await.unwrap();
    client.send(Signal::Logs, compressed.body).await
}

fn kind(outcome: &Outcome) -> (&'static str, Option<FailureKind>) {
    match outcome {
        Outcome::Delivered { message: None, .. } => ("delivered", None),
        Outcome::Delivered { message: Some(_), .. } => ("warned", None),
        Outcome::Retry { reason, .. } => ("retry", Some(reason.kind)),
        Outcome::Permanent { reason } => ("permanent", Some(reason.kind)),
    }
}

#[tokio::test]
async fn every_protocol_with_every_compression_is_understood() {
    let sink = OtlpSink::start().await;
    let mut sent = 0;
    for protocol in protocols(&sink) {
        for (compression, encoding) in
            [(Compression::None, Encoding::Identity), (GZIP, Encoding::Gzip), (ZSTD, Encoding::Zstd)]
        {
            let mut settings = Settings { compression, ..settings(protocol.clone()) };
            settings.headers.insert("api-key", secret_header("secret-key").unwrap());
            assert_eq!(send(&client(settings)).await, Outcome::DELIVERED, "{protocol:?} {compression:?}");
            sent += 1;
            let received = sink.received();
            let attempt = received.attempts.last().unwrap();
            assert_eq!((attempt.encoding, attempt.items), (encoding, Some(1)));
            assert_eq!(attempt.headers["api-key"], "secret-key");
            assert_eq!(attempt.headers["user-agent"], USER_AGENT);
        }
    }
    let received = sink.received();
    assert_eq!(received.accepted(), sent);
    received.assert_no_violations();
}

#[tokio::test]
async fn answers_are_understood() {
    let sink = OtlpSink::start().await;
    let second = Duration::from_secs(1);
    for protocol in protocols(&sink) {
        let client = client(settings(protocol));
        let after = async |behaviour| {
            sink.next(behaviour);
            send(&client).await
        };
        let outcome = after(Behaviour::partial(1, "too old")).await;
        assert_eq!(outcome, Outcome::Delivered { rejected: 1, message: Some("too old".to_owned()) });
        let outcome = after(Behaviour::partial(0, "slow down")).await;
        assert_eq!(outcome, Outcome::warning("slow down".to_owned()));
        assert_eq!(kind(&after(Behaviour::unavailable()).await), ("retry", Some(FailureKind::Unavailable)));
        assert_eq!(kind(&after(Behaviour::invalid()).await), ("permanent", Some(FailureKind::Rejected)));
        assert_eq!(
            kind(&after(Behaviour::refuse_http(403)).await),
            ("permanent", Some(FailureKind::Unauthorized))
        );
        assert_eq!(
            kind(&after(Behaviour::refuse_http(404)).await),
            ("permanent", Some(FailureKind::NotFound))
        );
        assert_eq!(kind(&after(Behaviour::DropConnection).await), ("retry", Some(FailureKind::Connection)));
        for behaviour in [Behaviour::throttle, Behaviour::exhausted] {
            match after(behaviour(RetryHint::After(second))).await {
                Outcome::Retry { after, reason } => {
                    assert_eq!((after, reason.kind), (Some(second), FailureKind::Throttled));
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(after(Behaviour::Accept).await, Outcome::DELIVERED);
    }
    sink.received().assert_no_violations();
}

/// The status decides what it can decide; nothing panics and nothing hangs.
#[tokio::test]
async fn answers_that_are_not_otlp_are_judged_by_their_status() {
    let sink = OtlpSink::start().await;
    let bad_gateway = Malformed::ProxyPage(StatusCode::BAD_GATEWAY);
    let redirect = Malformed::ProxyPage(StatusCode::TEMPORARY_REDIRECT);
    for protocol in protocols(&sink) {
        let is_grpc = matches!(protocol, Protocol::Grpc(_));
        let client = client(settings(protocol));
        let check = async |malformed, over_http, over_grpc| {
            sink.next(Behaviour::Malformed(malformed));
            let outcome = send(&client).await;
            let expected = if is_grpc { over_grpc } else { over_http };
            assert_eq!(kind(&outcome), expected, "{malformed:?}: {outcome:?}");
        };
        let warned = ("warned", None);
        let rejected = ("permanent", Some(FailureKind::Rejected));
        let unavailable = ("retry", Some(FailureKind::Unavailable));
        check(Malformed::GarbageBody, warned, warned).await;
        check(Malformed::HtmlPage, warned, rejected).await;
        check(bad_gateway, unavailable, unavailable).await;
        check(redirect, ("permanent", Some(FailureKind::Protocol)), rejected).await;
        check(Malformed::OversizedBody(5 << 20), warned, warned).await;
    }
}

#[tokio::test]
async fn a_request_without_an_answer_ends_at_its_timeout_and_its_connection_is_not_used_again() {
    let sink = OtlpSink::start().await;
    for protocol in protocols(&sink) {
        let timeout = Duration::from_millis(300);
        let client = client(Settings { timeout, ..settings(protocol) });
        assert_eq!(send(&client).await, Outcome::DELIVERED);
        sink.next(Behaviour::Accept.after(Duration::from_secs(30)));
        assert_eq!(kind(&send(&client).await), ("retry", Some(FailureKind::Timeout)));
        assert_eq!(client.pool.generation(), 1);
        assert_eq!(send(&client).await, Outcome::DELIVERED);
    }
}

#[tokio::test]
async fn a_backend_that_is_down_is_reached_again_when_it_is_back() {
    let sink = OtlpSink::start().await;
    for protocol in protocols(&sink) {
        let client = client(settings(protocol));
        assert_eq!(send(&client).await, Outcome::DELIVERED);
        sink.stop().await;
        for _ in 0..3 {
            assert_eq!(kind(&send(&client).await), ("retry", Some(FailureKind::Connection)));
        }
        sink.start_again().await;
        assert_eq!(send(&client).await, Outcome::DELIVERED);
    }
}

#[tokio::test]
async fn a_backends_text_does_not_repeat_our_secrets() {
    let sink = OtlpSink::start().await;
    for protocol in protocols(&sink) {
        let mut settings = settings(protocol);
        settings.headers.insert("authorization", secret_header("Bearer 0123456789").unwrap());
        let client = client(settings);
        sink.next(Behaviour::partial(0, "who is 0123456789?"));
        assert_eq!(send(&client).await, Outcome::warning("who is ***?".to_owned()));
        assert!(!format!("{:?}", client.settings).contains("0123456789"));
    }
}

struct Files {
    directory: TempDir,
}

impl Files {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

#[tokio::test]
async fn certificates_are_verified() {
    let sink = OtlpSink::start_with(Options::new().tls()).await;
    let files = Files::new();
    let right = files.write("right.pem", &sink.authority().certificate_pem());
    let wrong = files.write("wrong.pem", &dbintel_testkit::tls::Authority::new().certificate_pem());
    let trusting =
        |ca_file: &PathBuf| TlsSettings { ca_file: Some(ca_file.clone()), ..TlsSettings::default() };
    for protocol in protocols(&sink) {
        let outcome = async |tls| {
            let client = client(Settings { tls, ..settings(protocol.clone()) });
            let outcome = send(&client).await;
            kind(&outcome)
        };
        let distrusted = ("retry", Some(FailureKind::Tls));
        let delivered = ("delivered", None);
        assert_eq!(outcome(trusting(&right)).await, delivered);
        assert_eq!(outcome(trusting(&wrong)).await, distrusted);
        assert_eq!(outcome(TlsSettings::default()).await, distrusted);
        let name = |name: &str| Some(name.to_owned());
        assert_eq!(
            outcome(TlsSettings { server_name_override: name("other"), ..trusting(&right) }).await,
            distrusted
        );
        assert_eq!(
            outcome(TlsSettings { server_name_override: name("127.0.0.1"), ..trusting(&right) }).await,
            delivered
        );
        assert_eq!(outcome(TlsSettings { include_system_roots: true, ..trusting(&right) }).await, delivered);
        assert_eq!(outcome(TlsSettings { skip_verify: true, ..TlsSettings::default() }).await, delivered);
    }
    sink.received().assert_no_violations();
}

#[tokio::test]
async fn a_backend_may_demand_a_client_certificate() {
    let sink = OtlpSink::start_with(Options::new().mutual_tls()).await;
    let files = Files::new();
    let identity = sink.authority().client("dbintel");
    let stranger = dbintel_testkit::tls::Authority::new().client("dbintel");
    let shown = |name: &str, identity: &dbintel_testkit::tls::Identity| ClientCertificate {
        cert_file: files.write(&format!("{name}.crt"), &identity.certificate_pem),
        key_file: files.write(&format!("{name}.key"), &identity.key_pem),
    };
    let tls = |client| TlsSettings {
        ca_file: Some(files.write("ca.pem", &sink.authority().certificate_pem())),
        client,
        ..TlsSettings::default()
    };
    for protocol in protocols(&sink) {
        let outcome = async |tls| {
            let client = client(Settings { tls, ..settings(protocol.clone()) });
            send(&client).await
        };
        assert_eq!(outcome(tls(Some(shown("ours", &identity)))).await, Outcome::DELIVERED);
        for stranger in [None, Some(shown("stranger", &stranger))] {
            let refused = outcome(tls(stranger)).await;
            assert!(matches!(refused, Outcome::Retry { .. }), "{refused:?}");
        }
    }
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let files = Files::new();
    let authority = dbintel_testkit::tls::Authority::new();
    let identity = authority.client("dbintel");
    let cert_file = files.write("client.crt", &identity.certificate_pem);
    let key_file = files.write("client.key", &identity.key_pem);
    let empty = files.write("empty.pem", "");
    let large = files.write("large.pem", &"x".repeat(usize::try_from(PEM_BYTES_MAX).unwrap() + 1));
    let client = |cert_file: &PathBuf, key_file: &PathBuf| {
        let client = ClientCertificate { cert_file: cert_file.clone(), key_file: key_file.clone() };
        TlsSettings { client: Some(client), skip_verify: true, ..TlsSettings::default() }
    };
    let ca = |ca_file: &PathBuf| TlsSettings { ca_file: Some(ca_file.clone()), ..TlsSettings::default() };
    let check = |settings: TlsSettings, expected: &str| {
        let text = settings.load().unwrap_err().to_string();
        assert!(text.contains(expected), "{text}");
        assert!(!text.contains("BEGIN"), "{text}");
    };
    assert!(client(&cert_file, &key_file).load().is_ok());
    check(ca(&PathBuf::from("/nowhere/ca.pem")), "cannot read /nowhere/ca.pem");
    check(ca(&empty), "empty.pem has no PEM certificate");
    check(ca(&key_file), "client.key has no PEM certificate");
    check(ca(&large), "large.pem is larger than");
    check(client(&key_file, &key_file), "client.key has no PEM certificate");
    check(client(&cert_file, &cert_file), "client.crt has no unencrypted PEM private key");
    let other = files.write("other.key", &authority.client("other").key_pem);
    check(client(&cert_file, &other), "client.crt and its key cannot be used");
    let name = TlsSettings { server_name_override: Some("not a name".to_owned()), ..TlsSettings::default() };
    assert!(matches!(name.server_name(), Err(TlsError::ServerName)));
}
