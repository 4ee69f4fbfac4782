//! The sampler in a real lane: the next processor sees everything, the exporter gets what is kept.

use std::sync::atomic::{AtomicUsize, Ordering};

use dbintel_model::{Clock, ManualClock};
use dbintel_pipeline::memory::MemoryState;
use dbintel_pipeline::status::{ComponentKind, StatusBoard};
use dbintel_pipeline::{
    Delivery, ExporterInput, ExporterTelemetry, Lane, LaneContext, LaneHandle, LaneLimits, ProcessorFactory,
    QueueLimits, Signals, Sink, Supervisor, WeightedQueue,
};
use tokio::sync::mpsc;

use super::*;

/// Counts the records it sees.
struct Extractor(Arc<AtomicUsize>);

impl Processor for Extractor {
    fn id(&self) -> &str {
        "extractor"
    }

    fn process(&mut self, _cx: &mut Context<'_>, batch: Batch, out: &mut Output) {
        self.0.fetch_add(batch.records.len(), Ordering::Relaxed);
        out.emit(batch);
    }
}

/// Answers with a state that is no sampler's.
struct Impostor;

impl Processor for Impostor {
    fn id(&self) -> &str {
        "adaptive_sampler"
    }

    fn process(&mut self, _cx: &mut Context<'_>, batch: Batch, out: &mut Output) {
        out.emit(batch);
    }

    fn snapshot(&self) -> Option<Vec<u8>> {
        Some(b"something else".to_vec())
    }
}

struct Fixture {
    lane: LaneHandle,
    logs: ExporterInput,
    metrics: ExporterInput,
    registry: Registry,
    seen: Arc<AtomicUsize>,
}

fn sampler(registry: &Registry) -> ProcessorFactory {
    let config = config(r#"{"rules": [{"name": "half", "sample_rate": 0.5, "conditions": []}]}"#);
    let registry = registry.clone();
    let build = move || -> Box<dyn Processor> {
        Box::new(AdaptiveSampler::new(
            "adaptive_sampler".into(),
            &config,
            "postgresql".into(),
            registry.clone(),
        ))
    };
    ProcessorFactory { id: "adaptive_sampler".into(), build: Arc::new(build) }
}

fn start() -> Fixture {
    let (registry, board) = (Registry::default(), StatusBoard::default());
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(Timestamp::from_nanos(START * 1_000_000_000)));
    let limits = QueueLimits { max_bytes: 64 << 20, max_items: 100 };
    let input = || Arc::new(WeightedQueue::<Delivery>::new(limits));
    let (logs, metrics, seen) = (input(), input(), Arc::new(AtomicUsize::new(0)));
    let sink = |name: &'static str, input: &ExporterInput, signals| Sink {
        input: Arc::clone(input),
        signals,
        telemetry: ExporterTelemetry::new(registry.clone(), name.into()),
    };
    let count = Arc::clone(&seen);
    let extractor = ProcessorFactory {
        id: "extractor".into(),
        build: Arc::new(move || Box::new(Extractor(Arc::clone(&count)))),
    };
    let cx = LaneContext {
        id: "postgresql".into(),
        limits: LaneLimits { queue: limits },
        chain: vec![sampler(&registry), extractor],
        sinks: vec![
            sink("debug", &logs, Signals::ALL),
            sink("prometheus", &metrics, Signals::only(dbintel_model::Signal::Metrics)),
        ],
        requests: mpsc::channel(1).0,
        store: None,
        memory: MemoryState::default(),
        overrides: dbintel_pipeline::overrides::Overrides::new(Arc::clone(&clock)),
        clock: Arc::clone(&clock),
        registry: registry.clone(),
        status: board.register(ComponentKind::Lane, "postgresql".into(), clock.now()),
        seed: 1,
    };
    let lane = Lane::start(cx, &Supervisor::new(clock, registry.clone()));
    Fixture { lane, logs, metrics, registry, seen }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_kept_is_seen_by_all_that_follows_and_leaves_by_no_exporter() {
    let fixture = start();
    let Fixture { lane, logs, metrics, registry, seen } = fixture;
    lane.door().offer(batch((0..1_000).map(cheap).collect())).unwrap();
    let change = Record::Change(Box::new(Change::new(ChangeKind::Restart)));
    lane.door().offer(batch(vec![change])).unwrap();
    assert!(lane.drain(Duration::from_secs(1)).await);
    assert_eq!(seen.load(Ordering::Relaxed), 1_001);
    let deliveries: Vec<Delivery> = std::iter::from_fn(|| logs.try_pop()).collect();
    let leaving: u64 = deliveries.iter().map(|delivery| delivery.items().1).sum();
    assert!((400..600).contains(&leaving), "{leaving}");
    // What does not leave does not weigh on the exporters either.
    assert_eq!(deliveries.iter().map(|delivery| delivery.batch.records.len() as u64).sum::<u64>(), leaving);
    for record in deliveries.iter().flat_map(|delivery| &delivery.batch.records) {
        assert!(matches!(record, Record::Change(_)) || mark(record).keep);
    }
    let withheld = |exporter| {
        let labels = [("exporter", exporter), ("reason", "sampled")];
        registry.value("dbintel_exporter_withheld_log_records", &labels)
    };
    assert_eq!(withheld("debug"), Some((1_001 - leaving) as f64));
    assert_eq!(withheld("prometheus"), None, "an exporter without logs was never to get them");
    assert!(metrics.try_pop().is_none());
    let lost = registry.read().iter().any(|reading| reading.metric.name.contains("failed"));
    assert!(!lost, "what is decided is no loss");
    let labels = [("processor", "adaptive_sampler"), ("receiver", "postgresql")];
    assert_eq!(registry.value("adaptive_sampler_records_processed_total", &labels), Some(1_000.0));
}

#[tokio::test(start_paused = true)]
async fn a_replaced_sampler_goes_on_with_the_rate_and_takes_no_foreign_state() {
    let fixture = start();
    let replace = |chain| fixture.lane.replace_chain(chain);
    replace(vec![sampler(&fixture.registry)]).await.unwrap();
    let impostor = ProcessorFactory { id: "adaptive_sampler".into(), build: Arc::new(|| Box::new(Impostor)) };
    replace(vec![impostor]).await.unwrap();
    let errors = replace(vec![sampler(&fixture.registry)]).await.unwrap_err();
    assert_eq!(
        errors[0].to_string(),
        "the state of processor adaptive_sampler could not be taken over: it is not of an adaptive_sampler"
    );
}
