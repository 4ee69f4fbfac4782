//! The admin thread over real sockets: what it answers, what it turns away, and that nothing holds it up.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use dbintel_model::ManualClock;

use super::*;
use crate::client::{HealthCheckError, HealthProbe, health_check};
use crate::config::HealthCheckSettings;
use crate::control::ControlConfig;
use crate::fixture::{empty_context, fleet};

const SOON: Duration = Duration::from_secs(10);

struct Fixture {
    handle: AdminHandle,
    cx: AdminContext,
    clock: ManualClock,
}

const NO_CONTROL: ControlConfig =
    ControlConfig { enabled: false, socket: None, tcp: None, state_directory: None };

fn any_port() -> AdminConfig {
    let health: HealthCheckSettings = dbintel_config::from_yaml("{endpoint: '127.0.0.1:0'}").unwrap();
    let other = || Some(Listen::loopback(0));
    AdminConfig::try_new(Some(health.validate().unwrap()), other(), other(), NO_CONTROL).unwrap()
}

fn start() -> Fixture {
    let (cx, clock) = empty_context();
    fleet(&cx);
    let handle = Admin::start(&any_port(), cx.clone()).unwrap();
    Fixture { handle, cx, clock }
}

fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    // A server that turns a request away may close before it has read all of it.
    let _ = stream.read_to_string(&mut answer);
    answer
}

fn get(address: SocketAddr, path: &str) -> String {
    exchange(address, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
}

impl Fixture {
    fn health(&self) -> SocketAddr {
        self.handle.addresses().health.unwrap()
    }

    fn refused(&self, endpoint: &str, reason: &str) -> Option<f64> {
        let labels = [("endpoint", endpoint), ("reason", reason)];
        self.cx.registry.value("dbintel_admin_refused_total", &labels)
    }
}

#[test]
fn each_endpoint_answers_for_itself() {
    let fixture = start();
    let addresses = fixture.handle.addresses();
    let metrics = get(addresses.metrics.unwrap(), "/metrics");
    assert!(metrics.starts_with("HTTP/1.1 200"), "{metrics}");
    assert!(metrics.contains("content-type: text/plain; version=0.0.4"), "{metrics}");
    assert!(metrics.contains("\ndbintel_heartbeat_age_seconds 0\n"), "{metrics}");
    assert!(get(addresses.metrics.unwrap(), "/").starts_with("HTTP/1.1 404"));
    let page = get(addresses.zpages.unwrap(), "/debug/servicez");
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("content-type: text/html"), "{page}");
    assert!(get(addresses.zpages.unwrap(), "/").contains("location: /debug/servicez"));
    assert!(get(fixture.health(), "/health").contains("\"healthy\":false"));
    for header in ["nosniff", "no-store", "default-src 'none'", "DENY"] {
        assert!(page.contains(header), "{header}");
    }
}

#[test]
fn only_reading_is_possible_and_only_by_a_loopback_name() {
    let fixture = start();
    let answer = |request: &str| exchange(fixture.health(), request);
    assert!(answer("POST /health HTTP/1.1\r\nHost: localhost\r\n\r\n").starts_with("HTTP/1.1 405"));
    assert!(answer("DELETE / HTTP/1.1\r\nHost: localhost\r\n\r\n").starts_with("HTTP/1.1 405"));
    assert!(answer("GET /health HTTP/1.1\r\nHost: evil.example\r\n\r\n").starts_with("HTTP/1.1 403"));
    assert!(answer("GET /health HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 403"));
    assert!(answer("GET /health/live HTTP/1.0\r\n\r\n").starts_with("HTTP/1.0 200"));
    let head = answer("HEAD /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"), "{head}");
    assert_eq!(fixture.refused("health_check", "method"), Some(2.0));
    assert_eq!(fixture.refused("health_check", "host"), Some(2.0));
}

#[test]
fn oversized_requests_are_turned_away_and_a_connection_carries_one_request() {
    let fixture = start();
    let long = "x".repeat(HEADER_BYTES_MAX + 1);
    let answer =
        exchange(fixture.health(), &format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {long}\r\n\r\n"));
    assert!(answer.starts_with("HTTP/1.1 431") || answer.is_empty(), "{answer}");
    let many = "x: y\r\n".repeat(HEADERS_MAX + 1);
    let answer = exchange(fixture.health(), &format!("GET / HTTP/1.1\r\nHost: localhost\r\n{many}\r\n"));
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    let two = "GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(2);
    assert_eq!(exchange(fixture.health(), &two).matches("HTTP/1.1 200").count(), 1);
}

#[test]
fn silent_connections_do_not_keep_others_out_for_ever() {
    let fixture = start();
    let silent: Vec<_> =
        (0..CONNECTIONS_MAX).map(|_| TcpStream::connect(fixture.health()).unwrap()).collect();
    // Silence is cut after HEADER_TIME_MAX; then the one that waited is answered.
    let answer = get(fixture.health(), "/health/live");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let waited = fixture.cx.registry.value("dbintel_limit_reached_total", &[("limit", "admin_connections")]);
    assert!(waited.is_some());
    drop(silent);
}

#[test]
fn the_exec_probe_gets_the_same_answers() {
    let fixture = start();
    let check = |probe| health_check(fixture.health(), probe, SOON);
    assert!(check(HealthProbe::Live).unwrap().contains("alive"));
    assert!(check(HealthProbe::Ready).unwrap().contains("degraded"));
    fixture.clock.advance(Duration::from_secs(31));
    let error = check(HealthProbe::Live).unwrap_err();
    assert!(matches!(error, HealthCheckError::Unhealthy { status: 503, .. }), "{error}");
}

#[test]
fn it_answers_while_the_main_runtime_is_wedged_and_stops_when_asked() {
    let fixture = start();
    let main = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (health, zpages) = (fixture.health(), fixture.handle.addresses().zpages.unwrap());
    main.block_on(async {
        // The only thread of the main runtime is busy with this very check.
        assert!(get(health, "/health/live").starts_with("HTTP/1.1 200"));
        assert!(fixture.handle.stop(SOON).await);
    });
    assert!(TcpStream::connect(health).is_err() && TcpStream::connect(zpages).is_err());
    let components = fixture.cx.board.components();
    let stopped = components.iter().filter(|component| component.kind == ComponentKind::Extension);
    assert!(stopped.clone().count() == 3 && stopped.clone().all(|it| it.state == State::Stopped));
}

#[test]
fn an_address_in_use_is_named_with_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let config = AdminConfig::try_new(None, None, Some(Listen::loopback(port)), NO_CONTROL).unwrap();
    let error = Admin::start(&config, empty_context().0).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains(&format!("127.0.0.1:{port}")) && text.contains("extensions.zpages.endpoint"),
        "{text}"
    );
    let elsewhere = AdminConfig::try_new(None, Some(Listen::new("192.0.2.1", 0)), None, NO_CONTROL).unwrap();
    let text = Admin::start(&elsewhere, empty_context().0).unwrap_err().to_string();
    assert!(text.contains("no such address"), "{text}");
}
