//! The same suite on SQLite and on real PostgreSQL servers, and what only one of them can suffer.

mod damage;
mod findings;
mod instances;
mod killed;
mod state;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use dbintel_model::finding::{
    Category, Decision, DecisionAction, Finding, FindingIds, FindingKind, Identity, Subject,
};
use dbintel_model::{ManualClock, Server, Text, Timestamp};
use dbintel_pipeline::memory::MemoryAccounts;
use dbintel_pipeline::telemetry::Registry;
use dbintel_pipeline::{StateChange, StateStore as _};
use dbintel_testkit::postgres::{Cluster, Major, Options};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::*;

const NOW: Timestamp = Timestamp::from_nanos(1_795_236_205_000_000_000);
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// A place for stores; it goes when this is dropped.
struct Fixture {
    directory: TempDir,
    /// URL of a database of its own.
    url: Option<String>,
    clock: ManualClock,
}

/// An open store with its metrics.
struct Opened {
    store: Store,
    writer: Writer,
    registry: Registry,
}

impl Fixture {
    fn sqlite() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), url: None, clock: ManualClock::at(NOW) }
    }

    async fn postgres(major: Major) -> Self {
        // Only the product's main installs it.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        // One server for all tests of a major; the watchdog ends it with this process.
        static SERVERS: [OnceCell<Cluster>; 2] = [const { OnceCell::const_new() }; 2];
        static DATABASES: AtomicU32 = AtomicU32::new(0);
        let server = &SERVERS[usize::from(major == Major::V18)];
        let cluster = server.get_or_init(|| Cluster::start(major, Options::new())).await;
        let name = format!("state_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        cluster.execute("postgres", &format!("CREATE DATABASE {name}")).await;
        Self { url: Some(cluster.admin_url(&name)), ..Self::sqlite() }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("state/dbintel.db")
    }

    fn yaml(&self) -> String {
        match &self.url {
            Some(url) => format!("{{url: '{url}', tls: {{insecure: true}}}}"),
            None => format!("path: {}", self.path().display()),
        }
    }

    async fn open(&self) -> Opened {
        self.open_as("ours").await.unwrap()
    }

    async fn open_as(&self, instance: &'static str) -> Result<Opened, StoreError> {
        self.open_with(instance, OnDamage::SetAside).await
    }

    async fn open_with(&self, instance: &'static str, on_damage: OnDamage) -> Result<Opened, StoreError> {
        self.open_at(&self.yaml(), instance, on_damage).await
    }

    async fn open_at(
        &self,
        yaml: &str,
        instance: &'static str,
        on_damage: OnDamage,
    ) -> Result<Opened, StoreError> {
        let registry = Registry::default();
        let cx = StoreContext {
            clock: Arc::new(self.clock.clone()),
            accounts: MemoryAccounts::new(registry.clone()),
            registry: registry.clone(),
            instance: Instance { id: instance.into(), host: "here".into() },
            on_damage,
        };
        let (store, writer) = Store::open(config(yaml), cx).await?;
        Ok(Opened { store, writer, registry })
    }
}

impl Opened {
    fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.registry.value(name, labels)
    }

    fn put(&self, key: &str, value: Option<&[u8]>) {
        let state = self.store.state_of("db:5432".into());
        state.put(StateChange { key: key.to_owned().into(), value: value.map(<[u8]>::to_vec) }).unwrap();
    }

    async fn restored(&self) -> Vec<(String, Vec<u8>)> {
        let mut all = Vec::new();
        let take = |batch: Vec<StateChange>| {
            all.extend(batch.into_iter().map(|change| (change.key.to_string(), change.value.unwrap())));
        };
        self.store.restore("db:5432", take).await.unwrap();
        all.sort();
        all
    }
}

fn config(yaml: &str) -> StoreConfig {
    dbintel_config::from_yaml::<StoreSettings>(yaml).unwrap().validate().unwrap().config
}

fn server() -> Server {
    Server {
        receiver: "postgresql".into(),
        system: "postgresql".into(),
        address: "db".into(),
        port: 5432,
        resource: Vec::new(),
    }
}

/// The finding of this number, and its ids.
fn finding(number: u64, at: Timestamp) -> (FindingIds, Finding) {
    let object = Text::from(format!("public.t{number}"));
    let subject = Subject::of_object(&server(), None, "orders".into(), object);
    let kind = FindingKind::StatisticsStale;
    let ids = Identity { kind, subject: &subject, plan: None }.at(at);
    (ids, Finding::new(ids.id, kind, Category::Careful, subject, at))
}

fn decision(action: DecisionAction) -> Decision {
    Decision::try_new(action, "eve", NOW.plus(DAY), Some("because")).unwrap()
}

/// Makes a test of each function for every database.
macro_rules! on_every_database {
    ($($name:ident),* $(,)?) => {
        $(
            mod $name {
                use crate::tests::Fixture;

                #[tokio::test]
                async fn sqlite() {
                    super::$name(Fixture::sqlite()).await;
                }

                #[tokio::test]
                async fn postgresql_14() {
                    super::$name(Fixture::postgres(dbintel_testkit::postgres::Major::V14).await).await;
                }

                #[tokio::test]
                async fn postgresql_18() {
                    super::$name(Fixture::postgres(dbintel_testkit::postgres::Major::V18).await).await;
                }
            }
        )*
    };
}

use on_every_database;
