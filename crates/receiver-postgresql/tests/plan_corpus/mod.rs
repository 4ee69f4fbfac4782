//! Real plans: a schema, statements that provoke every node type, and ways of asking for their plans.

pub mod schema;
pub mod statements;

use dbintel_testkit::postgres::Cluster;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};

pub use schema::shop;

/// Plans of one cluster, in transactions that are always rolled back.
pub struct Planner {
    connection: PgConnection,
}

impl Planner {
    pub async fn of(cluster: &Cluster) -> Self {
        Self { connection: cluster.connect("postgres").await }
    }

    /// What `EXPLAIN` says with these options. Panics with the server's error.
    pub async fn explain(&mut self, settings: &[&str], options: &str, sql: &str) -> String {
        let mut transaction = self.connection.begin().await.unwrap();
        for setting in settings {
            let set = format!("SET LOCAL {setting}");
            transaction.execute(sqlx::raw_sql(AssertSqlSafe(set))).await.unwrap();
        }
        let explain = format!("EXPLAIN (FORMAT JSON{options}) {sql}");
        let row = sqlx::raw_sql(AssertSqlSafe(explain)).fetch_one(&mut *transaction).await;
        let row = row.unwrap_or_else(|error| panic!("{error} in: {sql}"));
        let plan: String = row.try_get_unchecked(0).unwrap();
        transaction.rollback().await.unwrap();
        plan
    }

    /// Runs SQL that stays.
    pub async fn execute(&mut self, sql: &str) {
        let result = self.connection.execute(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await;
        if let Err(error) = result {
            panic!("{error} in: {sql}");
        }
    }
}
