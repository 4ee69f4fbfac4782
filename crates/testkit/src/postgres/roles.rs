//! What a cluster gets before a collector may look at it: extension, role, databases.

use super::cluster::Cluster;

/// A role as our documentation tells people to create it.
#[derive(Clone, Debug)]
pub struct MonitorRole {
    /// Its name.
    pub name: String,
    /// Its password; asked for only where the cluster runs with `Options::scram`.
    pub password: String,
}

/// Whether the collector's own statements appear in `pg_stat_statements`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnStatements {
    /// As by default.
    Tracked,
    /// `ALTER ROLE … SET pg_stat_statements.track = 'none'`.
    Untracked,
}

impl Cluster {
    /// Creates a role with `pg_monitor` and nothing else.
    pub async fn create_monitor_role(&self, own_statements: OwnStatements) -> MonitorRole {
        let role = MonitorRole { name: "dbintel".to_owned(), password: "monitor-of-the-test".to_owned() };
        let MonitorRole { name, password } = &role;
        let mut sql = format!("CREATE ROLE {name} LOGIN PASSWORD '{password}'; GRANT pg_monitor TO {name};");
        if own_statements == OwnStatements::Untracked {
            sql += &format!("ALTER ROLE {name} SET pg_stat_statements.track = 'none';");
        }
        self.execute("postgres", &sql).await;
        role
    }

    /// URL of that role over TCP.
    pub fn monitor_url(&self, role: &MonitorRole, database: &str) -> String {
        self.url(&role.name, &role.password, database)
    }

    /// `CREATE EXTENSION` in one database.
    pub async fn create_extension(&self, database: &str, name: &str) {
        self.execute(database, &format!("CREATE EXTENSION \"{name}\"")).await;
    }

    /// `CREATE DATABASE`.
    pub async fn create_database(&self, name: &str) {
        self.execute("postgres", &format!("CREATE DATABASE \"{name}\"")).await;
    }
}
