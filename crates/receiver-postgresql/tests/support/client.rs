//! Clients of the watched server: what they send, and what the server itself counts of it.

use dbintel_testkit::postgres::Cluster;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};
use tokio::task::JoinSet;

/// The statement whose executions tests count.
pub const MARKER: &str = "SELECT note FROM orders WHERE id = 1";

/// Sends a text by the simple protocol.
pub async fn send(client: &mut PgConnection, sql: &str) {
    let sent = client.execute(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await;
    sent.unwrap_or_else(|error| panic!("{error} in: {sql}"));
}

/// Executes [`MARKER`] so many times.
pub async fn mark(client: &mut PgConnection, times: usize) {
    for _ in 0..times {
        send(client, MARKER).await;
    }
}

/// The query id of the statement whose normalised text begins like this.
pub async fn query_id(cluster: &Cluster, beginning: &str) -> i64 {
    let sql = format!("SELECT max(queryid) FROM pg_stat_statements WHERE query LIKE '{beginning}%'");
    cluster.scalar::<Option<i64>>("postgres", &sql).await.expect("the statement was executed")
}

/// The query id of the statement whose normalised text is this.
pub async fn query_id_of(cluster: &Cluster, text: &str) -> i64 {
    let sql =
        format!("SELECT max(queryid) FROM pg_stat_statements WHERE query = '{}'", text.replace('\'', "''"));
    cluster.scalar::<Option<i64>>("postgres", &sql).await.expect("the statement was executed")
}

/// The query id of [`MARKER`], which was executed once for it.
pub async fn marker_id(cluster: &Cluster) -> i64 {
    cluster.execute("postgres", MARKER).await;
    query_id(cluster, "SELECT note FROM orders").await
}

/// Process id of a client's backend.
pub async fn pid(client: &mut PgConnection) -> i64 {
    sqlx::query_scalar("SELECT pg_backend_pid()::int8").fetch_one(client).await.expect("a process id")
}

/// A client that is busy with one statement, until it is dropped or the server is.
pub struct Busy {
    pub pid: i64,
    _running: JoinSet<()>,
}

impl Busy {
    /// Runs `before` to its end, and leaves `statement` running, as a superuser over TCP.
    pub async fn start(cluster: &Cluster, database: &str, before: &str, statement: &str) -> Self {
        let mut client = PgConnection::connect(&cluster.admin_url(database)).await.expect("a free slot");
        send(&mut client, before).await;
        let pid = pid(&mut client).await;
        let mut running = JoinSet::new();
        let statement = statement.to_owned();
        running.spawn(async move {
            // How it ends is no concern of the test.
            let _ = client.execute(sqlx::raw_sql(AssertSqlSafe(statement))).await;
        });
        Self { pid, _running: running }
    }
}
