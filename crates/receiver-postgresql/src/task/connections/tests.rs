use dbintel_model::{ManualClock, Timestamp};
use dbintel_testkit::postgres::{Cluster, Major, Options, OwnStatements};
use futures_util::FutureExt as _;
use tokio::sync::oneshot;

use super::*;
use crate::config::{Settings, validate};

struct Fixture {
    connections: Connections,
    clock: Arc<ManualClock>,
    app: Text,
}

fn fixture(max_open: usize) -> Fixture {
    let yaml = format!("username: otel\nconnection_pool: {{max_open: {max_open}}}");
    let settings: Settings = dbintel_config::from_yaml(&yaml).unwrap();
    let config = Arc::new(validate(&settings).unwrap().config);
    let clock = Arc::new(ManualClock::at(Timestamp::default()));
    let time = Arc::clone(&clock) as Arc<dyn Clock>;
    let connections = Connections::new(config, time, Gauge::default(), Gauge::default());
    Fixture { connections, clock, app: "app".into() }
}

impl Fixture {
    /// What is said when a place for a connection to a database is asked for.
    async fn ask(&self, database: &'static str) -> Result<Option<OwnedSemaphorePermit>, GapReason> {
        self.connections.slot(&database.into()).await.map_err(|error| error.reason)
    }

    /// A connection on which the server answers when the sender is used or dropped.
    async fn hold(&self, slot: Option<OwnedSemaphorePermit>) -> oneshot::Sender<()> {
        let (answer, answered) = oneshot::channel::<()>();
        let farewell = answered.map(drop).boxed();
        self.connections.hold(&self.app, Some(7), slot, farewell).await;
        answer
    }

    fn shown(&self) -> (f64, f64) {
        (self.connections.open_gauge.get(), self.connections.held_gauge.get())
    }
}

#[tokio::test(start_paused = true)]
async fn a_held_connection_keeps_its_place_until_the_server_answers() {
    let fixture = fixture(2);
    let slot = fixture.ask("app").await.unwrap();
    let answer = fixture.hold(slot).await;
    assert_eq!(fixture.shown(), (0.0, 1.0));
    assert_eq!(fixture.ask("app").await.unwrap_err(), GapReason::DeadlineExceeded);
    let other = fixture.ask("other").await.unwrap();
    assert!(other.is_some());
    assert_eq!(fixture.ask("third").await.unwrap_err(), GapReason::LimitReached);
    answer.send(()).unwrap();
    let again = fixture.ask("app").await.unwrap();
    assert!(again.is_some());
    assert_eq!(fixture.connections.held.lock().await.all.len(), 0);
}

/// Each connection that goes beyond and is not answered may be a backend that stays until somebody ends it.
#[tokio::test(start_paused = true)]
async fn a_database_that_lets_nobody_in_is_tried_less_and_less_while_the_server_answers() {
    let fixture = fixture(3);
    let of_the_server = fixture.ask("other").await.unwrap();
    let slot = fixture.ask("app").await.unwrap();
    let mut answers = vec![fixture.hold(slot).await];
    let mut tried_at = Vec::new();
    for probe in 1..=u32::try_from(PROBE_INTERVAL_MAX.as_secs() * 7 / 30).unwrap() {
        fixture.clock.advance(PROBE_INTERVAL);
        if let Ok(beyond) = fixture.ask("app").await {
            assert!(beyond.is_none());
            answers.push(fixture.hold(beyond).await);
            tried_at.push(probe);
        }
    }
    // 30 s, 1 min, 2 min and so on, then once a day.
    assert_eq!(tried_at.get(..5).unwrap(), [1, 3, 7, 15, 31]);
    assert!((15..=20).contains(&tried_at.len()), "in a week: {tried_at:?}");
    // Nobody is answered any more: perhaps another server is there by now.
    answers.push(fixture.hold(of_the_server).await);
    fixture.clock.advance(PROBE_INTERVAL);
    assert!(fixture.ask("app").await.unwrap().is_none());
    drop(answers);
    assert!(fixture.ask("app").await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn one_connection_goes_beyond_now_and_then_and_never_a_second() {
    let fixture = fixture(2);
    let slots = [fixture.ask("app").await.unwrap(), fixture.ask("app").await.unwrap()];
    let mut answers = Vec::new();
    for slot in slots {
        answers.push(fixture.hold(slot).await);
    }
    assert_eq!(fixture.ask("app").await.unwrap_err(), GapReason::DeadlineExceeded);
    for _ in 0..3 {
        fixture.clock.advance(PROBE_INTERVAL);
        let beyond = fixture.ask("app").await.unwrap();
        assert!(beyond.is_none());
        // Nobody else meanwhile, and not right after it was held as well.
        assert_eq!(fixture.ask("app").await.unwrap_err(), GapReason::DeadlineExceeded);
        answers.push(fixture.hold(beyond).await);
        assert_eq!(fixture.ask("app").await.unwrap_err(), GapReason::DeadlineExceeded);
        assert_eq!(fixture.shown(), (0.0, 3.0));
    }
    drop(answers);
    assert!(fixture.ask("app").await.unwrap().is_some());
    assert_eq!(fixture.connections.held.lock().await.all.len(), 0);
}

/// Our clock stands still, so whatever connecting is said to have cost, the server has measured.
#[tokio::test]
async fn what_a_connection_is_asked_costs_what_the_server_says() {
    let cluster = Cluster::start(Major::V17, Options::new()).await;
    let role = cluster.create_monitor_role(OwnStatements::Tracked).await;
    let yaml = format!(
        "endpoint: 127.0.0.1:{}\nusername: {}\npassword: {}\ntls: {{insecure: true}}",
        cluster.port(),
        role.name,
        role.password
    );
    let settings: Settings = dbintel_config::from_yaml(&yaml).unwrap();
    let config = Arc::new(validate(&settings).unwrap().config);
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(Timestamp::default()));
    let connections = Connections::new(config, clock, Gauge::default(), Gauge::default());
    let mut took = Duration::ZERO;
    let leased = connections.open(&"postgres".into(), &mut took).await.unwrap();
    assert!(took > Duration::ZERO);
    // It is booked already, and not once more with the next statement.
    assert_eq!(leased.connection.meter().take(), None);
    connections.close(leased).await;
}
