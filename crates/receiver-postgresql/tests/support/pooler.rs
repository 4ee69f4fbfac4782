//! PgBouncer before a cluster, in transaction mode and with a single server connection per database: whatever a client
//! leaves behind in a session, the next one would find.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use dbintel_testkit::ports::ReservedPort;
use dbintel_testkit::postgres::Cluster;
use tempfile::TempDir;
use tokio::net::TcpStream;

/// The user of the servers when the tests run as root, which neither PostgreSQL nor PgBouncer accepts.
const SERVER_USER: &str = "dbintel-test";
/// A start that takes longer has failed.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// A running pooler. It ends when this is dropped, and when the test process does.
pub struct Pooler {
    port: ReservedPort,
    shell: Child,
    directory: TempDir,
}

impl Pooler {
    pub async fn start(cluster: &Cluster) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        // The pooler's user must be able to read what is in it.
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755))
            .expect("own directory");
        let port = ReservedPort::reserve();
        write_configuration(directory.path(), cluster, port.get());
        let shell = start(directory.path());
        let pooler = Self { port, shell, directory };
        pooler.until_ready().await;
        pooler
    }

    pub fn port(&self) -> u16 {
        self.port.get()
    }

    async fn until_ready(&self) {
        let answering = async {
            while TcpStream::connect(self.port.address()).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let started = tokio::time::timeout(START_TIMEOUT, answering).await;
        let log = || std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
        started.unwrap_or_else(|_| {
            panic!("pgbouncer did not start; is it installed? run: make setup\n{}", log())
        });
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        // Its standard input ends with it, and the shell ends the pooler.
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

fn write_configuration(directory: &Path, cluster: &Cluster, port: u16) {
    let configuration = format!(
        "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
         unix_socket_dir =\nauth_type = trust\nauth_file = {}\npool_mode = transaction\ndefault_pool_size = 1\n",
        cluster.port(),
        directory.join("users").display()
    );
    std::fs::write(directory.join("pgbouncer.ini"), configuration).expect("own directory");
    std::fs::write(directory.join("users"), "\"dbintel\" \"\"\n\"postgres\" \"\"\n").expect("own directory");
}

fn start(directory: &Path) -> Child {
    let is_root = std::fs::metadata("/proc/self")
        .is_ok_and(|process| std::os::unix::fs::MetadataExt::uid(&process) == 0);
    let user = if is_root { format!("--user {SERVER_USER}") } else { String::new() };
    let script = format!(
        "PATH=$PATH:/usr/sbin; pgbouncer {user} \"$1/pgbouncer.ini\" >\"$1/log\" 2>&1 & read -r _; kill $!; wait"
    );
    Command::new("sh")
        .args(["-c", &script, "sh"])
        .arg(directory)
        .stdin(Stdio::piped())
        .spawn()
        .expect("the program sh")
}
