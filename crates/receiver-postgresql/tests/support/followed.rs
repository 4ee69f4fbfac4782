//! A statement whose plan is probed again and again, and what is told of it.

use std::collections::BTreeSet;
use std::time::Duration;

use dbintel_model::{PlanChange, PlanObservation, QueryKey};
use dbintel_testkit::postgres::Cluster;
use sqlx::postgres::PgConnection;

use super::settings::yaml;
use super::{Watched, plan_changes};

/// Every statement has a turn each second.
pub const PLANS: (&str, &str) =
    ("plan_collection", "{enabled: true, collection_interval: 1s, max_per_collection: 100}");
/// Probes within which a change must show.
const MAX_PROBES: usize = 2;
/// How long the test waits between two looks.
pub const PAUSE: Duration = Duration::from_millis(20);
/// How long it waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// One statement whose plan is followed.
pub struct Followed {
    pub watched: Watched,
    pub key: QueryKey,
}

impl Followed {
    /// Of a statement with parameters that are numbers, which the role `web` runs.
    pub async fn start(cluster: &Cluster, statement: &'static str) -> Self {
        let mut watched = Watched::start_extracting(&yaml(cluster.port(), &[PLANS]));
        watched.baseline().await;
        execute(&mut cluster.connect_as("web", "postgres").await, statement, 1).await;
        let part = statement.split('$').next().expect("a text");
        let key = watched.query(part).await.key;
        let mut followed = Self { watched, key };
        // The first plan, and one more, by which the catalogue has been read.
        followed.probe().await;
        followed.watched.readings(2).await;
        followed.probe().await;
        assert_eq!(followed.changes(), []);
        followed
    }

    /// Plans the lane got.
    pub fn plans(&self) -> Vec<PlanObservation> {
        let plans = self.watched.plans.lock();
        plans.iter().filter(|plan| plan.key.query_id == self.key.query_id).cloned().collect()
    }

    /// Changes that were told.
    pub fn changes(&self) -> Vec<PlanChange> {
        let own = |change: &&PlanChange| change.key.query_id == self.key.query_id;
        plan_changes(self.watched.batches()).filter(own).cloned().collect()
    }

    /// One more plan, as the lane gets it. What came of it is there as well then.
    pub async fn probe(&mut self) {
        let before = self.plans().len();
        self.watched.request_plan(self.key.clone()).await;
        let waiting = async {
            while self.plans().len() == before {
                tokio::time::sleep(PAUSE).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("a plan comes");
        self.watched.catch_up().await;
    }

    /// Does it, probes at once, and gives the one change that comes of it. The plan that waits for its causes is the first
    /// one or the second.
    pub async fn change(&mut self, cluster: &Cluster, what: &[&str]) -> PlanChange {
        let before = self.changes().len();
        for statement in what {
            cluster.execute("postgres", statement).await;
        }
        let mut probes = 0;
        while self.changes().len() == before {
            assert!(probes < MAX_PROBES, "{what:?}: no change within {MAX_PROBES} probes");
            self.probe().await;
            probes += 1;
        }
        self.probe().await;
        let changes = self.changes();
        assert_eq!(changes.len(), before + 1, "{what:?}: {changes:#?}");
        changes[before].clone()
    }
}

/// As a client with a prepared statement does it.
pub async fn execute(client: &mut PgConnection, statement: &'static str, times: usize) {
    for _ in 0..times {
        let parameters = 0..statement.matches('$').count();
        let query = parameters.fold(sqlx::query(statement), |query, _| query.bind(0_i32));
        query.fetch_all(&mut *client).await.unwrap();
    }
}

/// Kinds of the causes.
pub fn kinds(change: &PlanChange) -> BTreeSet<&str> {
    change.causes.iter().map(|cause| &*cause.kind).collect()
}

/// A cause of this kind whose description begins so.
#[track_caller]
pub fn assert_cause(change: &PlanChange, kind: &str, description: &str) {
    let is =
        change.causes.iter().any(|cause| &*cause.kind == kind && cause.description.starts_with(description));
    assert!(is, "no {kind} {description}: {:#?}", change.causes);
}
