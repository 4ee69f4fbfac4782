//! One component of a running assembly is stopped and started again, and the others do not notice.

use std::env::VarError;
use std::io;
use std::path::{Path, PathBuf};

use dbintel_admission::ShedLevel;
use dbintel_config::Environment;
use dbintel_model::{Batch, Change, ChangeKind, ManualClock, Record, SystemClock, Target, Timestamp};
use dbintel_pipeline::RefuseReason;
use dbintel_pipeline::status::State;
use dbintel_testkit::otlp_sink::{Behaviour, OtlpSink};
use dbintel_testkit::ports::ReservedPort;

use super::*;
use crate::assembly;

/// How long a component may take to stop; in the tests none needs it.
const WITHIN: Duration = Duration::from_secs(20);
const PATIENCE: Duration = Duration::from_secs(60);

/// One file, and no variables.
struct OneFile(String);

impl Environment for OneFile {
    fn variable(&self, _: &str) -> Result<String, VarError> {
        Err(VarError::NotPresent)
    }

    fn read_file(&self, _: &Path, _: usize) -> io::Result<Vec<u8>> {
        Ok(self.0.clone().into_bytes())
    }
}

/// Two lanes, each to two backends.
struct World {
    assembly: Assembly,
    wiring: Wiring,
    one: OtlpSink,
    two: OtlpSink,
    /// Where nobody listens.
    _nobody: ReservedPort,
}

/// Two servers nobody listens at; `receivers` is what is set besides.
async fn world(receivers: &str) -> World {
    let (one, two) = (OtlpSink::start().await, OtlpSink::start().await);
    let nobody = ReservedPort::reserve();
    let address = nobody.address();
    let receiver = format!("{{endpoint: '{address}', username: u, tls: {{insecure: true}}, {receivers}}}");
    let exporter = |sink: &OtlpSink| {
        let endpoint = sink.http_endpoint();
        format!(
            "{{endpoint: '{endpoint}', tls: {{insecure: true}}, retry_on_failure: {{initial_interval: 20ms, \
             max_interval: 50ms}}, sending_queue: {{batch: {{flush_timeout: 20ms}}}}}}"
        )
    };
    let text = format!(
        "\
receivers: {{postgresql/a: {receiver}, postgresql/b: {receiver}}}
exporters: {{otlphttp/one: {}, otlphttp/two: {}}}
service:
  pipelines:
    logs: {{receivers: [postgresql/a, postgresql/b], exporters: [otlphttp/one, otlphttp/two]}}
",
        exporter(&one),
        exporter(&two)
    );
    let checked = assembly::load(vec![PathBuf::from("t.yaml")], Vec::new(), None, &OneFile(text));
    let assembly =
        checked.map_err(|errors| errors.to_string()).unwrap_or_else(|text| panic!("{text}")).assembly;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let monitor = ResourceMonitor::new(Arc::clone(&clock), None);
    let overrides = Overrides::new(Arc::clone(&clock));
    let mut wiring = Wiring::new(clock, Registry::default(), &monitor, overrides);
    let limits = MemoryLimits { soft_bytes: u64::MAX, hard_bytes: u64::MAX };
    wiring.start(&assembly, limits, &monitor);
    World { assembly, wiring, one, two, _nobody: nobody }
}

/// Receivers that offer nothing of their own.
const SILENT: &str = "initial_delay: 1h";
/// Receivers that poll again and again, in vain.
const BUSY: &str = "initial_delay: 0s, collection_interval: 1s";

impl World {
    /// Offers so many batches of one record at the door of each of these lanes.
    fn offer(&self, lanes: &[&str], batches: usize) {
        for lane in lanes {
            let door = self.wiring.lanes.get(*lane).unwrap().handle.door();
            for _ in 0..batches {
                door.offer(self.batch(lane)).unwrap();
            }
        }
    }

    fn batch(&self, lane: &str) -> Batch {
        let (id, plan) = self.plan(lane);
        let server = plan.receiver.server(id.to_string().into(), &[]);
        Batch {
            target: Arc::new(Target::server(server)),
            node: None,
            observed_at: self.wiring.clock().now(),
            server_clock: None,
            records: vec![Record::Change(Box::new(Change::new(ChangeKind::Restart)))],
        }
    }

    fn plan(&self, lane: &str) -> (&ComponentId, &LanePlan) {
        self.assembly.lanes.iter().find(|(id, _)| id.to_string() == lane).unwrap()
    }

    fn exporter(&mut self, id: &str) -> &mut RunningExporter {
        self.wiring.exporters.get_mut(&id.parse::<ComponentId>().unwrap()).unwrap()
    }

    fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.wiring.registry().value(name, labels).unwrap_or_default()
    }

    /// Log records of this exporter that were lost before they were in its queue.
    fn lost(&self, exporter: &str, reason: &str) -> f64 {
        let labels = [("exporter", exporter), ("reason", reason)];
        self.value("otelcol_exporter_enqueue_failed_log_records", &labels)
    }

    fn polls(&self, receiver: &str) -> f64 {
        self.value("dbintel_polls_total", &[("receiver", receiver), ("loop", "server")])
    }

    fn state(&self, kind: ComponentKind, id: &str) -> State {
        let components = self.wiring.board().components();
        components.into_iter().find(|c| c.kind == kind && c.id.as_str() == id).unwrap().state
    }

    async fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let waiting = async {
            while !condition(self) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "waited in vain: {what}");
    }

    /// Waits until the backend has so many records, none of them twice.
    async fn until_received(&self, sink: &OtlpSink, records: usize) {
        self.until("records", |_| sink.received().log_records().count() >= records).await;
        assert_eq!(sink.received().log_records().count(), records);
    }
}

const A: &str = "postgresql/a";
const B: &str = "postgresql/b";

/// What the process can use is bounded by its quota and by its workers, whichever is less; so a machine of any size sees it short.
#[test]
fn a_process_at_its_limit_is_short_of_cpu_on_any_machine() {
    assert_eq!([0.5, 1.0, 2.0].map(|cpus| cpu_share(cpus * 100.0, cpus)), [1.0; 3]);
    assert_eq!([4.0, 64.0].map(|cpus| cpu_share(200.0, cpus)), [1.0; 2]);
    assert_eq!(cpu_share(50.0, 64.0), 0.25);
    assert!(cpu_share(50.0, 0.0).is_finite());
}

/// What the memory watch finds decides what the process gives up. Time stands still, so that no use of CPU is known.
#[test]
fn a_process_short_of_memory_gives_up_work() {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(Timestamp::from_nanos(0)));
    let monitor = ResourceMonitor::new(Arc::clone(&clock), None);
    let (limits, memory) = (MemoryLimits { soft_bytes: 80, hard_bytes: 100 }, MemoryState::default());
    for (used, given_up) in [(80, ShedLevel::Nothing), (81, ShedLevel::Plans), (101, ShedLevel::Statements)] {
        let gate = process_gate(&clock, &monitor, &memory);
        memory.update(&limits, used);
        assert_eq!(gate.level(), given_up, "{used} bytes");
    }
}

#[tokio::test]
async fn an_exporter_is_stopped_and_started_while_lanes_and_the_other_exporter_go_on() {
    let mut world = world(SILENT).await;
    world.offer(&[A, B], 10);
    world.until_received(&world.two, 20).await;
    // What it has is shipped before it ends.
    world.exporter("otlphttp/one").stop(WITHIN).await;
    world.until_received(&world.one, 20).await;
    assert_eq!(world.state(ComponentKind::Exporter, "otlphttp/one"), State::Stopped);
    assert!(world.wiring.board().is_ready());
    // What comes meanwhile is counted as lost, and goes to the other one.
    world.offer(&[A, B], 5);
    world.until_received(&world.two, 30).await;
    world.until("the losses", |world| world.lost("otlphttp/one", "stopped") >= 10.0).await;
    world.exporter("otlphttp/one").start();
    world.offer(&[A, B], 7);
    world.until_received(&world.two, 44).await;
    world.until_received(&world.one, 34).await;
    assert_eq!(world.lost("otlphttp/one", "stopped"), 10.0);
    assert_eq!(world.lost("otlphttp/two", "stopped"), 0.0);
    world.wiring.stop(WITHIN).await;
}

#[tokio::test]
async fn an_exporter_whose_backend_is_down_counts_what_it_cannot_ship_when_it_is_stopped() {
    let mut world = world(SILENT).await;
    world.one.always(Behaviour::unavailable());
    world.offer(&[A], 10);
    world.until_received(&world.two, 10).await;
    world.exporter("otlphttp/one").stop(Duration::from_millis(100)).await;
    let labels = [("exporter", "otlphttp/one"), ("reason", "shutdown")];
    assert_eq!(world.value("otelcol_exporter_send_failed_log_records", &labels), 10.0);
    world.one.always(Behaviour::Accept);
    world.exporter("otlphttp/one").start();
    world.offer(&[A], 3);
    world.until_received(&world.one, 3).await;
    world.until_received(&world.two, 13).await;
    world.wiring.stop(WITHIN).await;
}

#[tokio::test]
async fn a_receiver_is_stopped_and_started_while_its_lane_and_the_other_receiver_go_on() {
    let mut world = world(BUSY).await;
    world.until("polls of both", |world| world.polls(A) >= 1.0 && world.polls(B) >= 1.0).await;
    world.wiring.lanes.get_mut(A).unwrap().stop_receiver(WITHIN).await;
    assert_eq!(world.state(ComponentKind::Receiver, A), State::Stopped);
    let (of_a, of_b) = (world.polls(A), world.polls(B));
    world.until("more polls of the other", |world| world.polls(B) >= of_b + 2.0).await;
    assert_eq!(world.polls(A), of_a);
    assert_ne!(world.state(ComponentKind::Lane, A), State::Stopped);
    let before = world.two.received().log_records().count();
    world.offer(&[A], 4);
    world
        .until("what the lane was given", |world| world.two.received().log_records().count() >= before + 4)
        .await;
    world.wiring.lanes.get_mut(A).unwrap().start_receiver();
    world.until("polls after the start", |world| world.polls(A) > of_a).await;
    world.wiring.stop(WITHIN).await;
}

#[tokio::test]
async fn a_lane_is_stopped_and_started_while_the_other_lane_goes_on() {
    let mut world = world(SILENT).await;
    world.offer(&[A, B], 10);
    // What it has accepted is passed on before it ends.
    let lane = world.wiring.lanes.remove(A).unwrap();
    let door = lane.handle.door();
    lane.stop(WITHIN).await;
    assert_eq!(door.offer(world.batch(A)).unwrap_err().reason, RefuseReason::Closed);
    assert_eq!(world.state(ComponentKind::Lane, A), State::Stopped);
    world.until_received(&world.one, 20).await;
    let account = |world: &World, lane: &str| {
        let name = format!("lane {lane} queue");
        world.wiring.registry().value("dbintel_memory_account_bytes", &[("account", &name)])
    };
    assert_eq!((account(&world, A), account(&world, B)), (None, Some(0.0)));
    world.offer(&[B], 5);
    world.until_received(&world.one, 25).await;
    let (id, plan) = world.plan(A);
    let (id, plan) = (id.clone(), plan.clone());
    world.wiring.start_lane(&id, &plan, &world.assembly, Turn::ALONE);
    world.offer(&[A, B], 3);
    world.until_received(&world.one, 31).await;
    world.until_received(&world.two, 31).await;
    for (lane, reason) in [(A, "shutdown"), (B, "shutdown"), (A, "panic"), (B, "panic")] {
        assert_eq!(
            world.value("dbintel_lane_lost_records_total", &[("receiver", lane), ("reason", reason)]),
            0.0
        );
    }
    world.wiring.stop(WITHIN).await;
}
