//! What a lone, idle primary does not have: a standby, replication slots, archiving, transactions and snapshots that
//! somebody holds, maintenance that is running, and checksums of data pages.

use std::time::Duration;

use dbintel_testkit::postgres::{Cluster, Major, Options};
use sqlx::postgres::PgConnection;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::client::{Busy, send};
use super::settings::cluster;

/// A logical slot that nobody uses.
pub const LOGICAL_SLOT: &str = "decoded";
/// A table on which the idle transaction holds a ROW SHARE lock.
pub const LOCKED: &str = "locked";
/// Transaction ids that are used while snapshots are held.
pub const USED_IDS: i64 = 40;
/// Transactions that write WAL, twenty in a second.
const WRITER: &str =
    "DO $$ BEGIN LOOP INSERT INTO written VALUES (1); COMMIT; PERFORM pg_sleep(0.05); END LOOP; END $$";

/// A primary that is busy in every way, and its standby.
pub struct World {
    pub primary: Cluster,
    pub standby: Cluster,
    idle_in_transaction: Vec<PgConnection>,
    busy: Vec<Busy>,
}

impl World {
    pub async fn start(major: Major) -> Self {
        // Vacuum runs when the test says so.
        let options = Options::new()
            .data_checksums()
            .setting("wal_level", "logical")
            .setting("max_slot_wal_keep_size", "1GB")
            .setting("max_prepared_transactions", "4")
            .setting("archive_mode", "on")
            .setting("archive_command", "exit 0")
            .setting("wal_receiver_status_interval", "1s")
            .setting("track_functions", "all")
            .setting("autovacuum", "off");
        let primary = cluster(major, options).await;
        let tables = "CREATE TABLE public.written (n int); CREATE TABLE public.locked (n int); \
            CREATE TABLE public.prepared (n int)";
        primary.execute("postgres", tables).await;
        let standby = primary.standby().await;
        let slot = format!("SELECT pg_create_logical_replication_slot('{LOGICAL_SLOT}', 'pgoutput')");
        primary.execute("postgres", &slot).await;
        Self { primary, standby, idle_in_transaction: Vec::new(), busy: Vec::new() }
    }

    /// The slot by which the standby streams.
    pub fn physical_slot(&self) -> String {
        format!("standby_{}", self.standby.port())
    }

    /// A transaction that is idle, with a snapshot and a lock; one that is active; a prepared one; and transaction ids
    /// used after all of them.
    pub async fn hold(&mut self) {
        let mut idle = self.primary.connect("postgres").await;
        send(&mut idle, "BEGIN ISOLATION LEVEL REPEATABLE READ").await;
        send(&mut idle, "LOCK TABLE public.locked IN ROW SHARE MODE").await;
        send(&mut idle, "SELECT count(*) FROM public.orders").await;
        self.idle_in_transaction.push(idle);
        self.busy.push(Busy::start(&self.primary, "postgres", "SELECT", "SELECT pg_sleep(600)").await);
        let prepare = "BEGIN; INSERT INTO public.prepared VALUES (1); PREPARE TRANSACTION 'waiting'";
        send(&mut self.primary.connect("postgres").await, prepare).await;
        self.use_ids().await;
    }

    /// A transaction on the standby, with a snapshot.
    pub async fn hold_on_standby(&mut self) {
        let mut idle = self.standby.connect("postgres").await;
        send(&mut idle, "BEGIN ISOLATION LEVEL REPEATABLE READ").await;
        send(&mut idle, "SELECT count(*) FROM public.orders").await;
        self.idle_in_transaction.push(idle);
    }

    /// Ends the transactions that hold something.
    pub fn let_go(&mut self) {
        self.idle_in_transaction.clear();
    }

    /// Uses [`USED_IDS`] transaction ids.
    pub async fn use_ids(&self) {
        let mut client = self.primary.connect("postgres").await;
        for _ in 0..USED_IDS {
            send(&mut client, "SELECT txid_current()").await;
        }
    }

    /// Begins to write WAL.
    pub async fn write(&mut self) {
        self.busy.push(Busy::start(&self.primary, "postgres", "SELECT", WRITER).await);
    }

    /// Has a WAL file archived.
    pub async fn archive(&self) {
        self.primary.execute("postgres", "INSERT INTO written VALUES (2); SELECT pg_switch_wal()").await;
        let archived = "SELECT last_archived_time IS NOT NULL FROM pg_stat_archiver";
        while !self.primary.scalar::<bool>("postgres", archived).await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Changes settings of the standby that need no restart.
    pub async fn configure_standby(&self, settings: &[(&str, &str)]) {
        for (name, value) in settings {
            self.standby.execute("postgres", &format!("ALTER SYSTEM SET {name} = '{value}'")).await;
        }
        self.standby.execute("postgres", "SELECT pg_reload_conf()").await;
    }

    /// Runs a maintenance command in the background, after `before`.
    pub async fn maintain(&mut self, before: &str, command: &str) {
        self.busy.push(Busy::start(&self.primary, "postgres", before, command).await);
    }

    /// Builds an index on `orders`, for more than a minute.
    pub async fn build_index(&mut self) {
        let slowly = "CREATE FUNCTION public.slowly(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql \
            AS 'BEGIN PERFORM pg_sleep(0.1); RETURN n; END'";
        self.maintain(slowly, "CREATE INDEX orders_slowly ON public.orders (public.slowly(id))").await;
    }
}

/// A base backup whose reader does not read: the server waits with the first files sent.
pub async fn stalled_base_backup(cluster: &Cluster) -> TcpStream {
    let command = if cluster.major() >= Major::V15 {
        "BASE_BACKUP (LABEL 'stalled', CHECKPOINT 'fast', PROGRESS true)\0"
    } else {
        "BASE_BACKUP LABEL 'stalled' FAST PROGRESS\0"
    };
    let mut stream = TcpStream::connect(("127.0.0.1", cluster.port())).await.expect("a free slot");
    let startup = startup_message(&[("user", "postgres"), ("replication", "true")]);
    stream.write_all(&startup).await.expect("connected");
    let mut message = vec![b'Q'];
    message.extend(length_of(command.as_bytes()));
    message.extend(command.as_bytes());
    stream.write_all(&message).await.expect("connected");
    stream
}

/// The first message of version 3 of PostgreSQL's protocol.
fn startup_message(parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = (3_u32 << 16).to_be_bytes().to_vec();
    for (key, value) in parameters {
        body.extend([key.as_bytes(), b"\0", value.as_bytes(), b"\0"].concat());
    }
    body.push(0);
    [length_of(&body).to_vec(), body].concat()
}

/// The length that precedes a body, and counts itself.
fn length_of(body: &[u8]) -> [u8; 4] {
    u32::try_from(body.len() + 4).expect("short").to_be_bytes()
}
