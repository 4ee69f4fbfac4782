//! Which other collectors use the store and watch the same servers.
//!
//! Clocks of other machines are not believed: an instance is alive when its row has changed between two of our looks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dbintel_model::finding::ServerIdentity;
use dbintel_model::{Text, Timestamp};
use sqlx::Row as _;

use crate::StoreError;
use crate::database::{Database, Durability, transaction};
use crate::time::nanos;

/// Servers that one process can say it watches.
pub const MAX_SERVERS: usize = 4_096;
/// Rows of others that are looked at.
const MAX_OTHERS: i64 = 4_096;

/// Another collector that watches a server we watch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OtherInstance {
    /// Its id.
    pub id: Text,
    /// The server both watch.
    pub server: Text,
    /// The machine it runs on.
    pub host: Text,
}

/// Who we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Unique for every process, for instance a random number.
    pub id: Text,
    /// The machine we run on.
    pub host: Text,
}

/// What is known of others.
#[derive(Debug, Default)]
pub(crate) struct Instances {
    servers: BTreeSet<ServerIdentity>,
    /// When each was last seen, by its own clock, at our last look.
    last_seen: BTreeMap<OtherInstance, i64>,
    alive: BTreeSet<OtherInstance>,
}

// === impl Instances ===

impl Instances {
    /// A server is watched from now on. `false` if there are too many.
    pub(crate) fn watch(&mut self, server: ServerIdentity) -> bool {
        let fits = self.servers.len() < MAX_SERVERS || self.servers.contains(&server);
        if fits {
            self.servers.insert(server);
        }
        fits
    }

    /// A server is not watched any more.
    pub(crate) fn forget(&mut self, server: &ServerIdentity) {
        self.servers.remove(server);
    }

    pub(crate) fn servers(&self) -> Vec<String> {
        self.servers.iter().map(|server| server.as_str().to_owned()).collect()
    }

    pub(crate) fn alive(&self) -> Vec<OtherInstance> {
        self.alive.iter().cloned().collect()
    }

    /// Takes in what a look has found. Gives those that were not known to be alive before.
    pub(crate) fn look(&mut self, rows: Vec<(OtherInstance, i64)>) -> Vec<OtherInstance> {
        let moved = |(other, seen): &(OtherInstance, i64)| {
            let before = self.last_seen.get(other);
            before.is_some_and(|before| before != seen).then(|| other.clone())
        };
        let alive: BTreeSet<OtherInstance> = rows.iter().filter_map(moved).collect();
        let news = alive.difference(&self.alive).cloned().collect();
        self.alive = alive;
        self.last_seen = rows.into_iter().collect();
        news
    }
}

/// Says that we are here, and gives the rows of others who watch the same.
pub(crate) async fn beat(
    database: Arc<Database>,
    own: &Instance,
    servers: &[String],
    (started_at, now): (Timestamp, Timestamp),
) -> Result<Vec<(OtherInstance, i64)>, StoreError> {
    let mut others = Vec::new();
    transaction!(database, Durability::Soon, connection => {
        for server in servers {
            let query = sqlx::query(
                "INSERT INTO dbintel_instances (id, server, host, started_at, last_seen) VALUES ($1, $2, $3, $4, $5) \
                 ON CONFLICT (id, server) DO UPDATE SET last_seen = excluded.last_seen",
            );
            query
                .bind(own.id.as_str())
                .bind(server.as_str())
                .bind(own.host.as_str())
                .bind(nanos(started_at))
                .bind(nanos(now))
                .execute(&mut *connection)
                .await?;
        }
        let query = sqlx::query(
            "SELECT id, server, host, last_seen FROM dbintel_instances WHERE id <> $1 \
             AND server IN (SELECT server FROM dbintel_instances WHERE id = $1) LIMIT $2",
        );
        let rows = query.bind(own.id.as_str()).bind(MAX_OTHERS).fetch_all(&mut *connection).await?;
        for row in rows {
            let (id, server, host, seen): (String, String, String, i64) =
                (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
            if servers.contains(&server) {
                others.push((OtherInstance { id: id.into(), server: server.into(), host: host.into() }, seen));
            }
        }
    });
    Ok(others)
}

/// Says that we are gone.
pub(crate) async fn leave(database: Arc<Database>, own: &Instance) -> Result<(), StoreError> {
    transaction!(database, Durability::Soon, connection => {
        let query = sqlx::query("DELETE FROM dbintel_instances WHERE id = $1");
        query.bind(own.id.as_str()).execute(&mut *connection).await?;
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_row_that_moves_is_of_a_living_instance() {
        let other = |id: &'static str| OtherInstance { id: id.into(), server: "s".into(), host: "h".into() };
        let mut instances = Instances::default();
        assert_eq!(instances.look(vec![(other("dead"), 5), (other("ahead"), 900)]), []);
        assert_eq!(
            instances.look(vec![(other("dead"), 5), (other("ahead"), 901), (other("new"), 1)]),
            [other("ahead")]
        );
        assert_eq!(instances.look(vec![(other("ahead"), 902), (other("new"), 2)]), [other("new")]);
        assert_eq!(instances.alive().len(), 2);
        assert_eq!(instances.look(vec![(other("ahead"), 902)]), []);
        assert_eq!(instances.alive(), []);
    }

    #[test]
    fn the_number_of_servers_is_bounded() {
        let mut instances = Instances::default();
        let server = |n: usize| ServerIdentity::from(Text::from(n.to_string()));
        assert!((0..MAX_SERVERS).all(|n| instances.watch(server(n))));
        assert!(!instances.watch(server(MAX_SERVERS)) && instances.watch(server(0)));
        instances.forget(&server(0));
        assert!(instances.watch(server(MAX_SERVERS)));
    }
}
