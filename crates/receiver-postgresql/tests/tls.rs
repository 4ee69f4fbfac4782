//! Ways to the server: verified TLS, client certificates, passwords and commands that print them, a Unix socket. What
//! does not work says which setting to look at, and never the secret.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests, which clippy sees only in functions marked as such"
)]

mod support;

use std::sync::Arc;

use dbintel_model::{Batch, Gap, GapReason};
use dbintel_testkit::postgres::{Cluster, Major, Options};
use dbintel_testkit::tls::Authority;
use support::Watched;
use support::proxy::Proxy;
use support::settings::{cluster, yaml};

/// Writes a file beside the server's and gives its path.
fn file(cluster: &Cluster, name: &str, content: &str) -> String {
    let path = cluster.socket_directory().join(name);
    std::fs::write(&path, content).unwrap();
    path.display().to_string()
}

fn ca_file(cluster: &Cluster) -> String {
    file(cluster, "ca.pem", &cluster.authority().certificate_pem())
}

/// Data come with these settings.
async fn delivers(port: u16, changes: &[(&str, &str)]) {
    let mut watched = Watched::start(&yaml(port, changes));
    watched.still_delivers("postgresql.commits", &[]).await;
    watched.stop().await;
}

/// Nothing can be read with these settings; gives what is told.
async fn refused(port: u16, changes: &[(&str, &str)], reason: GapReason) -> Gap {
    let mut watched = Watched::start(&yaml(port, changes));
    let gap = watched.gap_because("server", reason).await;
    watched.stop().await;
    gap
}

fn check(gap: &Gap, parts: &[&str]) {
    for part in parts {
        assert!(gap.detail.contains(part), "{part} is not in: {}", gap.detail);
    }
}

/// With the authority of the server's certificate and the right host name the connection is encrypted, and SCRAM works.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verified_connection_is_encrypted() {
    let cluster = cluster(Major::V17, Options::new().require_tls().scram()).await;
    let tls = format!("{{ca_file: {}}}", ca_file(&cluster));
    let mut watched = Watched::start(&yaml(cluster.port(), &[("tls", &tls)]));
    watched.still_delivers("postgresql.commits", &[]).await;
    let encrypted = "SELECT bool_and(s.ssl) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) \
        WHERE a.application_name = 'dbintel'";
    assert!(cluster.scalar::<bool>("postgres", encrypted).await);
    watched.stop().await;
}

/// Whatever is wrong with certificates is told with the setting it concerns, and nothing is sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_certificates_is_told() {
    let cluster = cluster(Major::V17, Options::new().require_tls().scram()).await;
    let port = cluster.port();
    let stranger = file(&cluster, "stranger.pem", &Authority::new().certificate_pem());
    let wrong = format!("{{ca_file: {stranger}}}");
    let gap = refused(port, &[("tls", &wrong)], GapReason::ConnectionFailed).await;
    check(&gap, &["TLS", "invalid peer certificate", "tls.ca_file"]);
    // Without a file the public authorities are trusted, ours is none of them.
    let gap = refused(port, &[("tls", "{}")], GapReason::ConnectionFailed).await;
    check(&gap, &["TLS", "invalid peer certificate", "tls.ca_file"]);
    let gap = refused(port, &[("tls", "{ca_file: /nowhere/ca.pem}")], GapReason::ConnectionFailed).await;
    check(&gap, &["tls.ca_file", "/nowhere/ca.pem", "cannot be read"]);
    let nonsense = file(&cluster, "nonsense.pem", "canary-nonsense");
    let nonsense = format!("{{ca_file: {nonsense}}}");
    let gap = refused(port, &[("tls", &nonsense)], GapReason::ConnectionFailed).await;
    check(&gap, &["tls.ca_file", "not a PEM file"]);
    assert!(!gap.detail.contains("canary"));
}

/// A certificate for another host is refused, unless the check is switched off on purpose.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_host_name_is_checked_unless_told_otherwise() {
    let cluster = cluster(Major::V17, Options::new().require_tls().scram()).await;
    let proxy = Proxy::start_on("127.0.0.2", &[cluster.port()]).await;
    let endpoint = format!("127.0.0.2:{}", proxy.port());
    let tls = format!("{{ca_file: {}}}", ca_file(&cluster));
    let settings = [("endpoint", endpoint.as_str()), ("tls", &tls)];
    let gap = refused(0, &settings, GapReason::ConnectionFailed).await;
    check(&gap, &["TLS", "127.0.0.2", "endpoint"]);
    delivers(0, &[("endpoint", &endpoint), ("tls", "{insecure_skip_verify: true}")]).await;
}

/// A server that demands TLS and one that has none are told apart, each with what to write.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_other_ideas_of_tls_is_told() {
    let demanding = cluster(Major::V17, Options::new().require_tls()).await;
    let gap = refused(demanding.port(), &[], GapReason::AuthenticationFailed).await;
    check(&gap, &["no encryption", "pg_hba.conf"]);
    let plain = cluster(Major::V13, Options::new()).await;
    let gap = refused(plain.port(), &[("tls", "{}")], GapReason::ConnectionFailed).await;
    check(&gap, &["does not support TLS", "tls.insecure: true"]);
}

/// A client certificate is enough to log in; none, or one for somebody else, is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_certificate_is_enough_to_log_in() {
    let cluster =
        cluster(Major::V17, Options::new().tls().access("hostssl all dbintel 127.0.0.1/32 cert")).await;
    let ca_file = ca_file(&cluster);
    let tls = |name: &str| {
        let identity = cluster.authority().client(name);
        let cert = file(&cluster, &format!("{name}.pem"), &identity.certificate_pem);
        let key = file(&cluster, &format!("{name}.key"), &identity.key_pem);
        format!("{{ca_file: {ca_file}, cert_file: {cert}, key_file: {key}}}")
    };
    delivers(cluster.port(), &[("tls", &tls("dbintel")), ("password", "")]).await;
    let gap = refused(cluster.port(), &[("tls", &tls("somebody"))], GapReason::AuthenticationFailed).await;
    check(&gap, &["certificate authentication failed"]);
    let without = format!("{{ca_file: {ca_file}}}");
    let gap = refused(cluster.port(), &[("tls", &without)], GapReason::AuthenticationFailed).await;
    check(&gap, &["client certificate"]);
    let other_key = format!("{{ca_file: {ca_file}, cert_file: {ca_file}, key_file: {ca_file}}}");
    let gap = refused(cluster.port(), &[("tls", &other_key)], GapReason::ConnectionFailed).await;
    assert!(!gap.detail.contains("BEGIN"), "{}", gap.detail);
}

/// A password that a command prints is asked for at every connect, so that it can be changed while we run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_command_is_run_at_every_connect() {
    let cluster = cluster(Major::V17, Options::new().scram()).await;
    let token = file(&cluster, "token", "monitor-of-the-test\n");
    let command = format!("[cat, {token}]");
    let proxy = Proxy::start(&[cluster.port()]).await;
    let settings = [("password", ""), ("password_command", command.as_str())];
    let mut watched = Watched::start(&yaml(proxy.port(), &settings));
    watched.still_delivers("postgresql.commits", &[]).await;
    cluster.execute("postgres", "ALTER ROLE dbintel PASSWORD 'canary-token'").await;
    proxy.cut();
    watched.gap_because("server", GapReason::AuthenticationFailed).await;
    std::fs::write(&token, "canary-token\n").unwrap();
    watched.still_delivers("postgresql.commits", &[]).await;
    watched.until_not_missing("server").await;
    assert!(!format!("{:?} {:?}", watched.batches(), watched.board).contains("canary"));
    watched.stop().await;
    let failing = "[sh, -c, 'echo canary; exit 1']";
    let settings = [("password", ""), ("password_command", failing)];
    let gap = refused(cluster.port(), &settings, GapReason::AuthenticationFailed).await;
    check(&gap, &["password_command", "exit status: 1"]);
    assert!(!gap.detail.contains("canary"));
}

/// A Unix socket needs no TLS and has no address of a node.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unix_socket_works() {
    let cluster = cluster(Major::V18, Options::new()).await;
    let endpoint = format!("{}:{}", cluster.socket_directory().display(), cluster.port());
    let settings = [("endpoint", endpoint.as_str()), ("transport", "unix"), ("tls", "")];
    let mut watched = Watched::start(&yaml(0, &settings));
    let node = |batches: &[Arc<Batch>]| batches.iter().find_map(|batch| batch.node.clone());
    let node = watched.until("a node", node).await;
    assert!(node.address.is_none() && node.system_identifier.is_some());
    watched.still_delivers("postgresql.table.count", &[("db.namespace", "postgres")]).await;
    watched.stop().await;
    let settings = [("endpoint", "/nowhere:5432"), ("transport", "unix"), ("tls", "")];
    let gap = refused(0, &settings, GapReason::ConnectionFailed).await;
    check(&gap, &["cannot reach the server"]);
}
