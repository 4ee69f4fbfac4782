//! Control over real sockets, and the file over which overrides survive.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use dbintel_config::values::Secret;
use dbintel_model::ManualClock;
use dbintel_pipeline::overrides::{Order, Overrides, Position};
use dbintel_proto::v1::{
    ClearBypassRequest, HoldCircuitRequest, ListCircuitsRequest, ListOverridesRequest, SetBypassRequest,
};
use tempfile::TempDir;
use tonic::Code;

use super::client::{Client, Reach, connect};
use super::*;
use crate::config::{AdminConfig, Listen};
use crate::fixture::empty_context;
use crate::{Admin, AdminHandle};

const TOKEN: &str = "a token of the test";

struct Fixture {
    _admin: AdminHandle,
    cx: AdminContext,
    clock: ManualClock,
    directory: TempDir,
}

fn config(directory: &Path) -> ControlConfig {
    ControlConfig {
        enabled: true,
        socket: Some(directory.join("control.sock")),
        tcp: None,
        state_directory: Some(directory.to_owned()),
    }
}

fn start_with(config: impl FnOnce(&Path) -> ControlConfig) -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let (cx, clock) = empty_context();
    let config = AdminConfig::try_new(None, None, None, config(directory.path())).unwrap();
    let admin = Admin::start(&config, cx.clone()).unwrap();
    Fixture { _admin: admin, cx, clock, directory }
}

impl Fixture {
    fn socket(&self) -> Reach {
        Reach::Socket(self.directory.path().join("control.sock"))
    }

    async fn client(&self) -> Client {
        connect(&self.socket()).await.unwrap()
    }
}

fn set(what: &str, reason: &str, for_seconds: u64) -> SetBypassRequest {
    SetBypassRequest { bypass: what.into(), reason: reason.into(), for_seconds }
}

#[tokio::test]
async fn only_our_user_can_open_the_socket_and_a_left_over_one_is_replaced() {
    let left_over = |directory: &Path| {
        drop(std::os::unix::net::UnixListener::bind(directory.join("control.sock")).unwrap());
        config(directory)
    };
    let fixture = start_with(left_over);
    let path = fixture.directory.path().join("control.sock");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(fixture.client().await.list_overrides(ListOverridesRequest {}).await.is_ok());
    // A second process does not take it from the first.
    let (cx, _) = empty_context();
    let config = AdminConfig::try_new(None, None, None, config(fixture.directory.path())).unwrap();
    let error = Admin::start(&config, cx).unwrap_err().to_string();
    assert!(
        error.contains("another process answers") && error.contains("extensions.control.socket"),
        "{error}"
    );
    // What is not a socket is not removed.
    let other = fixture.directory.path().join("file");
    fs::write(&other, "precious").unwrap();
    assert!(socket::bind(Some(&other)).is_err());
    assert_eq!(fs::read_to_string(&other).unwrap(), "precious");
}

#[tokio::test]
async fn over_tcp_every_call_needs_the_token() {
    let listen = |directory: &Path| {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        fs::write(directory.join("port"), port.to_string()).unwrap();
        let tcp = ControlTcp { listen: Listen::loopback(port), token: Secret::new(TOKEN) };
        ControlConfig { tcp: Some(tcp), ..config(directory) }
    };
    let fixture = start_with(listen);
    let port: u16 = fs::read_to_string(fixture.directory.path().join("port")).unwrap().parse().unwrap();
    let with = |token: &str| Reach::Tcp(([127, 0, 0, 1], port).into(), Secret::new(token));
    let mut known = connect(&with(TOKEN)).await.unwrap();
    assert!(known.list_circuits(ListCircuitsRequest {}).await.is_ok());
    for wrong in ["", "a token of the tesT", "a token of the test and more", "a token of the tes"] {
        let mut client = connect(&with(wrong)).await.unwrap();
        let refused = client.set_bypass(set("system", "harm", 60)).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{wrong}");
    }
    assert!(fixture.cx.overrides.is_empty());
    let labels = [("endpoint", "control"), ("reason", "token")];
    assert_eq!(fixture.cx.registry.value("dbintel_admin_refused_total", &labels), Some(4.0));
}

#[tokio::test]
async fn a_bypass_is_set_shown_kept_and_cleared() {
    let fixture = start_with(config);
    let mut client = fixture.client().await;
    let answer = client.set_bypass(set("exporters/otlp", "it bills", 60)).await.unwrap().into_inner();
    assert_eq!((answer.entry.unwrap().level.as_str(), answer.notices.len()), ("component", 0));
    assert!(fixture.cx.overrides.is_exporter_off(&"otlp".into()));
    let kept = StateFile::in_directory(fixture.directory.path()).load().unwrap();
    assert_eq!(kept[0].order.to_string(), "exporters/otlp");
    let list = client.list_overrides(ListOverridesRequest {}).await.unwrap().into_inner().overrides;
    assert_eq!((list.len(), list[0].reason.as_str()), (1, "it bills"));
    let clear = ClearBypassRequest { bypass: "exporters/otlp".into() };
    client.clear_bypass(clear.clone()).await.unwrap();
    assert!(fixture.cx.overrides.is_empty());
    assert!(StateFile::in_directory(fixture.directory.path()).load().unwrap().is_empty());
    assert_eq!(client.clear_bypass(clear).await.unwrap_err().code(), Code::NotFound);
}

/// A disk that hangs: who would not be answered would be taken for dead, and killed.
#[tokio::test]
async fn health_is_answered_while_the_file_cannot_be_written() {
    let directory = tempfile::tempdir().unwrap();
    // Opening it for writing waits for a reader.
    let fifo = directory.path().join("overrides.json.new");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let health: crate::config::HealthCheckSettings =
        dbintel_config::from_yaml("{endpoint: '127.0.0.1:0'}").unwrap();
    let (cx, _) = empty_context();
    let health = Some(health.validate().unwrap());
    let config = AdminConfig::try_new(health, None, None, config(directory.path())).unwrap();
    let admin = Admin::start(&config, cx.clone()).unwrap();
    let address = admin.addresses().health.unwrap();
    let mut client = connect(&Reach::Socket(directory.path().join("control.sock"))).await.unwrap();
    let answered = async {
        until(|| !cx.overrides.is_empty()).await;
        let live = crate::client::HealthProbe::Live;
        let check = move || crate::client::health_check(address, live, Duration::from_secs(5));
        tokio::task::spawn_blocking(check).await.unwrap()
    };
    let answered = tokio::select! {
        set = client.set_bypass(set("system", "load", 60)) => panic!("it was kept: {set:?}"),
        answered = answered => answered,
    };
    // Now it can be written, though not kept, and the thread ends.
    let read = tokio::task::spawn_blocking(move || fs::read(fifo)).await.unwrap().unwrap();
    assert!(String::from_utf8(read).unwrap().contains("system"));
    answered.unwrap();
}

#[tokio::test]
async fn an_override_that_is_over_leaves_every_place_where_it_was_shown() {
    let fixture = start_with(config);
    let mut client = fixture.client().await;
    client.set_bypass(set("system", "load", 60)).await.unwrap();
    let seconds_left = || {
        fixture
            .cx
            .registry
            .value("dbintel_override_seconds_left", &[("override", "system"), ("level", "system")])
    };
    let missing = || {
        let components = fixture.cx.board.components();
        components
            .iter()
            .find(|component| component.id.as_str() == "control")
            .map(|component| component.missing.len())
    };
    until(|| seconds_left() == Some(60.0) && missing() == Some(1)).await;
    fixture.clock.advance(Duration::from_secs(60));
    until(|| seconds_left().is_none() && missing() == Some(0)).await;
    assert!(StateFile::in_directory(fixture.directory.path()).load().unwrap().is_empty());
}

async fn until(is_true: impl Fn() -> bool) {
    for _ in 0..600 {
        if is_true() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it did not become true");
}

#[tokio::test]
async fn a_wrong_call_is_answered_in_words_and_changes_nothing() {
    let fixture = start_with(|directory| ControlConfig { state_directory: None, ..config(directory) });
    let mut client = fixture.client().await;
    for (request, words) in [
        (set("system", "", 60), "say why"),
        (set("system", "load", 0), "1 second to 7 days"),
        (set("system", "load", 8 * 86_400), "1 second to 7 days"),
        (set("everything", "load", 60), "names nothing that can be bypassed"),
    ] {
        let refused = client.set_bypass(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().contains(words), "{}", refused.message());
    }
    let nothing = HoldCircuitRequest { scope: None, position: 1, reason: "load".into(), for_seconds: 60 };
    assert_eq!(client.hold_circuit(nothing).await.unwrap_err().code(), Code::InvalidArgument);
    // The fixture has no breaker: an order that cannot be carried out is not in force.
    let scope = dbintel_proto::v1::CircuitScope {
        receiver: "postgresql".into(),
        level: Some(dbintel_proto::v1::circuit_scope::Level::Database("app".into())),
        feature: String::new(),
    };
    let hold = HoldCircuitRequest { scope: Some(scope), position: 1, reason: "load".into(), for_seconds: 60 };
    assert_eq!(client.hold_circuit(hold).await.unwrap_err().code(), Code::NotFound);
    assert!(fixture.cx.overrides.is_empty());
    let answer = client.set_bypass(set("system", "load", 60)).await.unwrap().into_inner();
    assert!(answer.notices[0].contains("state_directory"), "{:?}", answer.notices);
}

#[test]
fn what_is_kept_is_what_was_in_force() {
    let directory = tempfile::tempdir().unwrap();
    let file = StateFile::in_directory(directory.path());
    assert!(file.load().unwrap().is_empty());
    let clock = Arc::new(ManualClock::at(dbintel_model::Timestamp::from_nanos(1_700_000_000_000_000_000)));
    let overrides = Overrides::new(clock);
    let hold = |scope, position| Order::Hold(Circuit { receiver: "postgresql".into(), scope, position });
    let orders = [
        Order::Bypass(Bypass::System),
        Order::Bypass(Bypass::Feature { receiver: "postgresql/a".into(), feature: "statements".into() }),
        hold(Scope::Server, Position::Closed),
        hold(Scope::Database(None), Position::Open),
        hold(Scope::Feature(Some("app".into()), "family table".into()), Position::Open),
    ];
    for order in orders {
        overrides.set(order, "why", Duration::from_secs(60), false).unwrap();
    }
    overrides
        .set(Order::Bypass(Bypass::Exporter("otlp".into())), "why", Duration::from_secs(60), true)
        .unwrap();
    let entries: Vec<Override> = overrides.list().into_iter().map(|(entry, _)| entry).collect();
    file.save(&entries).unwrap();
    let kept = file.load().unwrap();
    let of_command_line = |entry: &&Override| entry.startup;
    assert_eq!(entries.iter().filter(of_command_line).count(), 1);
    assert!(entries.iter().filter(|entry| !entry.startup).eq(&kept));
    let positions = |entries: &[Override]| -> Vec<String> {
        entries.iter().filter(|entry| !entry.startup).map(|entry| entry.order.to_string()).collect()
    };
    assert_eq!(positions(&kept), positions(&entries));
}

#[test]
fn a_damaged_file_is_told_and_put_out_of_the_way() {
    let directory = tempfile::tempdir().unwrap();
    let (file, path) = (StateFile::in_directory(directory.path()), directory.path().join(STATE_FILE));
    let huge = vec![b' '; 1 + usize::try_from(MAX_STATE_BYTES).unwrap()];
    let cases: [&[u8]; 5] = [
        b"",
        b"{\"version\":2,\"overrides\":[]}",
        b"{\"version\":1,\"overrides\":[{\"bypass\":\"all\",\"reason\":\"x\",\"set_at_unix_nano\":0,\"until_unix_nano\":0}]}",
        b"\xff\xfe",
        &huge,
    ];
    for damaged in cases {
        fs::write(&path, damaged).unwrap();
        let error = file.load().unwrap_err().to_string();
        assert!(error.contains("overrides.json.damaged") && error.contains("not in force"), "{error}");
        assert!(!path.exists() && file.load().unwrap().is_empty());
    }
    let nowhere = StateFile::in_directory(&directory.path().join("missing"));
    assert!(nowhere.save(&[]).unwrap_err().to_string().contains("overrides.json"));
}

#[test]
fn settings_that_would_let_anybody_in_are_refused() {
    let paths = |yaml: &str| -> Vec<String> {
        let settings: ControlSettings = dbintel_config::from_yaml(yaml).unwrap();
        settings.validate().err().into_iter().flatten().map(|error| error.path).collect()
    };
    assert_eq!(paths("{endpoint: '127.0.0.1:13134'}"), ["token"]);
    assert_eq!(paths("{endpoint: '127.0.0.1:13134', token: short}"), ["token"]);
    assert_eq!(paths("{token: 0123456789abcdef}"), ["token"]);
    assert_eq!(paths("{socket: control.sock, state_directory: state}"), ["socket", "state_directory"]);
    assert!(paths("{endpoint: '127.0.0.1:13134', token: 0123456789abcdef}").is_empty());
}

#[test]
fn a_directory_in_tmp_that_others_can_enter_is_not_trusted() {
    let parent = tempfile::Builder::new().prefix("dbintel-control-").tempdir_in("/tmp").unwrap();
    let socket = parent.path().join("made").join("control.sock");
    socket::own_directory(&socket).unwrap();
    let mode = || fs::metadata(socket.parent().unwrap()).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(), 0o700);
    socket::own_directory(&socket).unwrap();
    fs::set_permissions(socket.parent().unwrap(), fs::Permissions::from_mode(0o750)).unwrap();
    let refused = socket::own_directory(&socket).unwrap_err().to_string();
    assert!(refused.contains("closed to others"), "{refused}");
    // Anybody could have made a link there, too.
    let elsewhere = tempfile::tempdir().unwrap();
    let link = parent.path().join("link");
    std::os::unix::fs::symlink(elsewhere.path(), &link).unwrap();
    assert!(socket::own_directory(&link.join("control.sock")).is_err());
}

#[test]
fn the_default_socket_is_where_its_client_looks_for_it() {
    let of_session = default_sockets(Some("/run/user/1000".as_ref()));
    assert_eq!(of_session[0], Path::new("/run/user/1000/dbintel/control.sock"));
    let of_service = default_sockets(None);
    assert!(of_service.iter().all(|path| of_session.contains(path)), "{of_session:?} {of_service:?}");
    assert_eq!(default_sockets(Some("relative".as_ref())), of_service);
}
