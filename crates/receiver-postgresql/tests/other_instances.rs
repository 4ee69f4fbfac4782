//! A second collector on the same server is found by its sessions; nothing else that has our name is taken for one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests, which clippy sees only in functions marked as such"
)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use dbintel_model::{Clock, Monotonic, SystemClock, Timestamp};
use dbintel_receiver_postgresql::config::{Settings, validate};
use dbintel_receiver_postgresql::examine;
use dbintel_receiver_postgresql::query::connection::APPLICATION_NAME;
use dbintel_receiver_postgresql::state::other_instances::WATCHED_FOR;
use dbintel_testkit::postgres::{Cluster, Major, Options};
use parking_lot::Mutex;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection, Row as _};
use support::Watched;
use support::client::pid;
use support::settings::{SAMPLES, cluster, yaml};

const SESSIONS: &str = "dbintel_other_instance_sessions";
const PLANS: (&str, &str) =
    ("plan_collection", "{enabled: true, collection_interval: 1s, max_per_collection: 100}");
/// Shorter than what the guard takes for a slow statement: one may be under way.
const STEP: Duration = Duration::from_secs(10);
/// Steps of more than the time after which a session counts.
const STEPS: u64 = WATCHED_FOR.as_secs() / STEP.as_secs() + 3;

/// The clocks of the machine, and what the test adds.
#[derive(Debug, Default)]
struct Shifted {
    clock: SystemClock,
    by: Mutex<Duration>,
}

impl Shifted {
    fn step(&self) {
        *self.by.lock() += STEP;
    }
}

impl Clock for Shifted {
    fn now(&self) -> Timestamp {
        self.clock.now().plus(*self.by.lock())
    }

    fn monotonic(&self) -> Monotonic {
        self.clock.monotonic().plus(*self.by.lock())
    }
}

/// A session that does nothing any more, as a collector leaves it whose end the network has not told.
async fn left_behind(cluster: &Cluster) -> PgConnection {
    let url = format!("postgres://dbintel@127.0.0.1:{}/postgres?sslmode=disable", cluster.port());
    let options: PgConnectOptions = url.parse().unwrap();
    PgConnection::connect_with(&options.application_name(APPLICATION_NAME)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_collector_is_noticed_after_minutes_and_forgotten_when_it_ends() {
    let cluster = cluster(Major::V17, Options::new()).await;
    let (clock, config) = (Arc::new(Shifted::default()), yaml(cluster.port(), &[SAMPLES]));
    let mut ours = Watched::start_by(&config, &(Arc::clone(&clock) as Arc<dyn Clock>));
    let began = clock.monotonic();
    // A pool of its own, as that of another process.
    let mut theirs = Watched::start(&config);
    ours.baseline().await;
    theirs.baseline().await;
    for _ in 0..STEPS {
        let told = ours.own(SESSIONS, &[]) != Some(0.0);
        assert!(!told || clock.monotonic().since(began) >= WATCHED_FOR, "told before its time");
        clock.step();
        ours.catch_up().await;
    }
    ours.until_own(SESSIONS, &[], |sessions| sessions >= 1.0).await;

    // The name is there for anybody, and what the session does is not.
    cluster.execute("postgres", "CREATE ROLE anybody LOGIN").await;
    let mut anybody = cluster.connect_as("anybody", "postgres").await;
    let named = "SELECT count(*), count(state_change) FROM pg_stat_get_activity(NULL) WHERE application_name = 'dbintel'";
    let row = sqlx::query(named).fetch_one(&mut anybody).await.unwrap();
    assert!(row.get::<i64, _>(0) >= 2 && row.get::<i64, _>(1) == 0);

    theirs.stop().await;
    ours.until_own(SESSIONS, &[], |sessions| sessions == 0.0).await;
    ours.stop().await;
}

/// All loops have connections of their own, which are closed and opened anew; a doctor comes and goes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_own_sessions_commands_and_what_was_left_behind_are_no_collector() {
    let cluster = cluster(Major::V17, Options::new()).await;
    let mut left = left_behind(&cluster).await;
    let (clock, yaml) = (Arc::new(Shifted::default()), yaml(cluster.port(), &[SAMPLES, PLANS]));
    let mut ours = Watched::start_by(&yaml, &(Arc::clone(&clock) as Arc<dyn Clock>));
    ours.baseline().await;
    let settings: Settings = dbintel_config::from_yaml(&yaml).unwrap();
    let config = validate(&settings).unwrap().config;
    let end = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'dbintel' AND pid <> {}",
        pid(&mut left).await
    );
    for step in 0..2 * STEPS {
        if step == STEPS / 2 {
            cluster.execute("postgres", &end).await;
        }
        clock.step();
        examine(&config).await.unwrap();
        ours.catch_up().await;
        assert_eq!(ours.own(SESSIONS, &[]), Some(0.0), "step {step}");
    }
    left.close().await.unwrap();
    ours.stop().await;
}
