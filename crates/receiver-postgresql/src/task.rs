//! The receiver's task: four loops (server, sessions, databases, plans) that share connections, gaps and the door.

mod connections;
mod databases;
mod doctor;
mod families;
mod held_plans;
mod log_errors;
mod password;
mod plan_log;
mod plans;
mod samples;
mod schedule;
mod schema;
mod server_poll;
mod sessions;
mod shared;
mod statements;
mod stored_plans;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dbintel_model::{Attribute, Server, Text};
use dbintel_pipeline::status::State;
use dbintel_pipeline::{ComponentError, Receiver, ReceiverContext, Request, Turn};
use uuid::Uuid;

use self::databases::DatabasesLoop;
pub use self::doctor::{Advice, Examination, examine};
use self::plans::PlansLoop;
use self::schedule::run_every;
use self::server_poll::ServerLoop;
use self::sessions::SessionsLoop;
use self::shared::Shared;
use crate::config::Config;

/// Namespace of `service.instance.id`, the one OpenTelemetry contrib uses.
const INSTANCE_NAMESPACE: Uuid = Uuid::from_u128(0x4d63_009a_8d0f_11ee_aad7_4c79_6ed8_e320);

/// A receiver for one server.
#[derive(Debug)]
pub struct PostgresqlReceiver {
    config: Arc<Config>,
    server: Arc<Server>,
    turn: Turn,
}

/// The server a configuration is about. `resource` is what the whole process says of itself (`service.*`, `k8s.*`); the
/// server's own attributes win over it, the user's tags over all.
#[must_use]
pub fn server(config: &Config, receiver: Text, resource: &[Attribute]) -> Arc<Server> {
    let (address, port) = (Text::from(config.connect.host.clone()), config.connect.port);
    let instance = Uuid::new_v5(&INSTANCE_NAMESPACE, format!("{address}:{port}").as_bytes());
    let mut attributes: Vec<Attribute> = Vec::new();
    let own = [
        Attribute::new("db.system.name", "postgresql"),
        Attribute::new("server.address", address.clone()),
        Attribute::new("server.port", i64::from(port)),
        Attribute::new("service.instance.id", instance.to_string()),
    ];
    for attribute in resource.iter().chain(&own).chain(&config.resource) {
        attributes.retain(|held| held.key != attribute.key);
        attributes.push(attribute.clone());
    }
    Arc::new(Server { receiver, system: "postgresql".into(), address, port, resource: attributes })
}

impl PostgresqlReceiver {
    /// A receiver, built from validated values.
    #[must_use]
    pub fn new(config: Config, server: Arc<Server>) -> Self {
        Self { config: Arc::new(config), server, turn: Turn::ALONE }
    }

    /// Polls that are spread over the interval: those of other receivers have their own places in it.
    #[must_use]
    pub fn in_turn(mut self, turn: Turn) -> Self {
        self.turn = turn;
        self
    }
}

#[async_trait]
impl Receiver for PostgresqlReceiver {
    async fn run(self: Box<Self>, cx: ReceiverContext) -> Result<(), ComponentError> {
        let ReceiverContext { door, admission, requests, accounts, clock, registry, status, shutdown } = cx;
        status.set(State::Ok, clock.now());
        let shared = Shared::new(
            Arc::clone(&self.config),
            Arc::clone(&self.server),
            door,
            admission,
            clock,
            registry,
            accounts,
            status,
        );
        let config = &self.config;
        let mut server = ServerLoop::new(&shared);
        let mut sessions = SessionsLoop::new(&shared);
        let mut databases = DatabasesLoop::new(&shared);
        let server_interval = server.interval();
        let delay = config.initial_delay + self.turn.delay(server_interval);
        let server_loop = run_every(&shared, "server", delay, server_interval, &shutdown, &mut server);
        let databases_loop = async {
            // Which databases there are is found out by the first poll of the server.
            tokio::select! {
                () = shared.databases.known() => {}
                () = shutdown.cancelled() => return,
            }
            let interval = config.object_interval;
            run_every(&shared, "databases", Duration::ZERO, interval, &shutdown, &mut databases).await;
        };
        let sessions_loop = async {
            if let Some(sample) = &config.query_sample {
                let delay = config.initial_delay + self.turn.delay(sample.interval);
                run_every(&shared, "sessions", delay, sample.interval, &shutdown, &mut sessions).await;
            }
        };
        let requests_loop = async {
            while let Some(Request::Plan(key)) = requests.recv().await {
                shared.plans.lock().request(key, shared.clock.monotonic());
            }
        };
        let plans_loop = async {
            if let Some(collection) = &config.plans {
                let mut plans = PlansLoop::new(&shared);
                run_every(&shared, "plans", delay, collection.interval, &shutdown, &mut plans).await;
            }
        };
        tokio::select! {
            _ = futures_util::future::join4(server_loop, databases_loop, sessions_loop, plans_loop) => {}
            () = async { requests_loop.await; std::future::pending::<()>().await } => {}
        }
        Ok(())
    }
}
