//! What is lost, and that it is counted: sent + lost = taken, whatever happens.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use dbintel_model::SystemClock;
use dbintel_pipeline::{Backoff, Payload, PushError, QueueLimits, Supervisor};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::harness::{context, gap, push};

const GIVE_UP_SOON: &str = "100ms";

#[tokio::test]
async fn a_full_queue_drops_the_oldest_and_counts_them() {
    let sink = OtlpSink::start().await;
    for config in both(&sink) {
        let mut config = config;
        config.queueing.limits = QueueLimits { max_bytes: 4 << 20, max_items: 3 };
        config.queueing.consumers = 1;
        sink.forget();
        sink.stop().await;
        let exporter = run(config);
        for number in 0..10 {
            exporter.push(numbered(&server(), number, 10, 0));
            until("encoded", || exporter.cx.input.is_empty()).await;
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
        sink.start_again().await;
        let cx = exporter.finish().await;
        let counts = counts(&cx);
        assert_eq!(counts.sent() + counts.lost(), 100);
        assert_eq!(counts.lost_by("queue_full"), counts.lost());
        assert!(counts.lost() >= 50, "{}", counts.lost());
        assert_eq!(sink.received().totals.accepted_items, counts.sent());
        // The newest are there.
        let last = format!("{:?}", sink.received().metrics.last().unwrap());
        assert!(last.contains("9/0"), "{last}");
    }
}

#[tokio::test]
async fn a_partial_success_is_not_sent_again() {
    let sink = OtlpSink::start().await;
    for config in both(&sink) {
        sink.forget();
        sink.next(Behaviour::partial(3, "too old"));
        sink.next(Behaviour::partial(1_000, "all of it"));
        sink.next(Behaviour::partial(0, "a warning"));
        let exporter = run(config);
        for number in 0..3 {
            exporter.push(numbered(&server(), number, 10, 0));
            sink.wait_for(PATIENCE, |received| received.attempts.len() == number + 1).await;
        }
        let cx = exporter.finish().await;
        assert_eq!((counts(&cx).sent(), counts(&cx).lost_by("partial_success")), (17, 13));
        assert_eq!(counts(&cx).lost(), 13);
        assert_eq!(sink.received().attempts.len(), 3);
        assert_eq!(state(&cx), State::Ok);
    }
}

#[tokio::test]
async fn a_permanent_error_is_not_sent_again() {
    let sink = OtlpSink::start().await;
    for config in both(&sink) {
        sink.forget();
        sink.next(Behaviour::invalid());
        let exporter = run(config);
        exporter.push(numbered(&server(), 0, 0, 10));
        until("lost", || counts(&exporter.cx).lost_by("permanent_error") == 10).await;
        assert!(matches!(state(&exporter.cx), State::Degraded(_)));
        let cx = exporter.finish().await;
        assert_eq!((counts(&cx).sent(), counts(&cx).lost(), sink.received().attempts.len()), (0, 10, 1));
    }
}

#[tokio::test]
async fn retries_end() {
    let sink = OtlpSink::start().await;
    sink.always(Behaviour::unavailable());
    let retry = json!({"initial_interval": "20ms", "max_interval": "50ms", "max_elapsed_time": GIVE_UP_SOON});
    let exporter = run(http(&sink, json!({"retry_on_failure": retry})));
    exporter.push(numbered(&server(), 0, 10, 0));
    let cx = exporter.finish().await;
    assert_eq!((counts(&cx).lost_by("retry_exhausted"), counts(&cx).lost()), (10, 10));
    assert!(sink.received().attempts.len() > 1);

    sink.forget();
    let exporter = run(http(&sink, json!({"retry_on_failure": {"enabled": false}})));
    exporter.push(numbered(&server(), 0, 10, 0));
    let cx = exporter.finish().await;
    assert_eq!((counts(&cx).lost_by("retry_exhausted"), sink.received().attempts.len()), (10, 1));
}

/// A backend that is throttled for longer than requests are tried: it loses none, and is left alone for as long as it says.
#[tokio::test]
async fn a_hint_longer_than_the_limit_empties_no_queue() {
    let sink = OtlpSink::start().await;
    let hint = Duration::from_secs(1);
    let retry = json!({"initial_interval": "20ms", "max_interval": "50ms", "max_elapsed_time": GIVE_UP_SOON});
    let settings = json!({"retry_on_failure": retry});
    for config in [grpc(&sink, settings.clone()), http(&sink, settings)] {
        let mut config = config;
        config.queueing.consumers = 1;
        sink.forget();
        sink.next(Behaviour::throttle(RetryHint::After(hint)));
        let exporter = run(config);
        for number in 0..3 {
            exporter.push(numbered(&server(), number, 10, 0));
            until("encoded", || exporter.cx.input.is_empty()).await;
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
        let cx = exporter.finish().await;
        assert_eq!((counts(&cx).sent(), counts(&cx).lost()), (30, 0));
        let attempts = sink.received().attempts;
        assert_eq!(attempts.len(), 4);
        assert!(attempts[1].at - attempts[0].at >= hint);
    }
}

/// The request that is given up takes none of those behind it along.
#[tokio::test]
async fn after_a_loss_the_backend_is_left_alone_for_as_long_as_it_says() {
    let sink = OtlpSink::start().await;
    let hint = Duration::from_secs(1);
    let mut config = http(&sink, json!({"retry_on_failure": {"enabled": false}}));
    config.queueing.consumers = 1;
    sink.next(Behaviour::throttle(RetryHint::After(hint)));
    let exporter = run(config);
    for number in 0..3 {
        exporter.push(numbered(&server(), number, 10, 0));
        until("encoded", || exporter.cx.input.is_empty()).await;
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
    sink.wait_for(PATIENCE, |received| received.attempts.len() == 3).await;
    let cx = exporter.finish().await;
    assert_eq!((counts(&cx).sent(), counts(&cx).lost_by("retry_exhausted")), (20, 10));
    let attempts = sink.received().attempts;
    assert!(attempts[1].at - attempts[0].at >= hint);
}

#[tokio::test]
async fn a_record_too_large_for_any_request_is_counted() {
    let sink = OtlpSink::start().await;
    let exporter = run(http(&sink, json!({})));
    let records = vec![gap("small"), gap(&"x".repeat(4 << 20)), gap("small")];
    exporter.push(batch(&server(), records));
    let cx = exporter.finish().await;
    assert_eq!((counts(&cx).sent(), counts(&cx).lost_by("too_large"), counts(&cx).lost()), (2, 1, 1));
}

/// The input, the encoder, the queue and the senders hold records when time is up.
#[tokio::test]
async fn what_cannot_be_sent_before_the_deadline_is_counted() {
    let sink = OtlpSink::start().await;
    for end_by_abort in [true, false] {
        for config in both(&sink) {
            sink.forget();
            sink.always(Behaviour::Accept.after(Duration::from_secs(60)));
            let exporter = run(config);
            for number in 0..20 {
                exporter.push(numbered(&server(), number, 10, 10));
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            sink.wait_for(PATIENCE, |received| !received.attempts.is_empty()).await;
            exporter.push(numbered(&server(), 99, 10, 10));
            let cx = exporter.cx.clone();
            if end_by_abort {
                cx.abort.cancel();
                exporter.finish().await;
            } else {
                // As the supervisor ends what does not end itself.
                exporter.task.abort();
                assert!(exporter.task.await.unwrap_err().is_cancelled());
            }
            assert_eq!(
                (counts(&cx).sent(), counts(&cx).lost_by("shutdown"), counts(&cx).lost()),
                (0, 420, 420)
            );
        }
    }
}

/// Panics once, when the third request is pushed.
#[derive(Debug)]
struct Fragile {
    queue: Arc<dyn ExportQueue>,
    pushed: AtomicUsize,
}

impl Fragile {
    fn new(config: &OtlpConfig) -> Self {
        Self { queue: Queues::in_memory(config).metrics, pushed: AtomicUsize::new(0) }
    }
}

#[async_trait]
impl ExportQueue for Fragile {
    fn push(&self, payload: Payload) -> Result<Vec<Payload>, (PushError, Payload)> {
        if self.pushed.fetch_add(1, Ordering::Relaxed) == 2 {
            panic!("on purpose");
        }
        self.queue.push(payload)
    }

    async fn pop(&self) -> Option<Payload> {
        self.queue.pop().await
    }

    fn close(&self) {
        self.queue.close();
    }

    fn len(&self) -> usize {
        self.queue.len()
    }

    fn len_bytes(&self) -> usize {
        self.queue.len_bytes()
    }

    fn limits(&self) -> QueueLimits {
        self.queue.limits()
    }
}

#[tokio::test]
async fn a_panic_loses_what_was_in_hand_and_nothing_else() {
    let sink = OtlpSink::start().await;
    let config = http(&sink, json!({}));
    let cx = context(Arc::new(SystemClock::default()));
    let fragile = Arc::new(Fragile::new(&config));
    let metrics: Arc<dyn ExportQueue> = Arc::<Fragile>::clone(&fragile);
    let queues = Queues { metrics, ..Queues::in_memory(&config) };
    let short = Duration::from_millis(1);
    let supervisor = Supervisor::new(Arc::clone(&cx.clock), cx.registry.clone())
        .with_backoff(Backoff::try_new(short, short, 1.0, 0.0).unwrap());
    let stop = CancellationToken::new();
    let running = supervisor.start("test".into(), cx.status.clone(), stop, {
        let cx = cx.clone();
        move || Box::new(OtlpExporter::with_queues(config.clone(), queues.clone())).run(cx.clone())
    });
    // Nothing can be sent until the panic has come, so that the queue holds what came before.
    sink.always(Behaviour::unavailable());
    for number in 0..10 {
        push(&cx.input, numbered(&server(), number, 10, 0));
        until("encoded", || cx.input.is_empty()).await;
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    assert!(fragile.pushed.load(Ordering::Relaxed) > 3);
    sink.always(Behaviour::Accept);
    cx.input.close();
    assert!(running.join(PATIENCE).await);
    let counts = counts(&cx);
    assert_eq!(counts.sent() + counts.lost(), 100);
    assert_eq!(counts.lost_by("panic"), counts.lost());
    assert!((10..=30).contains(&counts.lost()), "{}", counts.lost());
    assert_eq!(sink.received().totals.accepted_items, counts.sent());
}

/// Without queues that outlive the exporter, what they hold is lost with it, and counted.
#[tokio::test]
async fn a_panic_loses_queues_that_nobody_else_holds() {
    let sink = OtlpSink::start().await;
    sink.always(Behaviour::unavailable());
    let mut config = http(&sink, json!({}));
    config.queueing.consumers = 1;
    let fragile = Arc::new(Fragile::new(&config));
    let mut exporter = OtlpExporter::new(config);
    exporter.queues.metrics = fragile;
    let exporter = start(exporter);
    for number in 0..3 {
        exporter.push(numbered(&server(), number, 10, 0));
        until("encoded", || exporter.cx.input.is_empty()).await;
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
    assert!(exporter.task.await.unwrap_err().is_panic());
    assert_eq!((counts(&exporter.cx).sent(), counts(&exporter.cx).lost_by("panic")), (0, 30));
}

#[tokio::test]
async fn requests_of_one_signal_do_not_wait_for_those_of_the_other() {
    let sink = OtlpSink::start().await;
    sink.always_for(Signal::Logs, Behaviour::unavailable());
    let exporter = run(http(&sink, json!({})));
    for number in 0..10 {
        exporter.push(numbered(&server(), number, 10, 1));
        sink.wait_for(PATIENCE, |received| received.data_points() == (number + 1) * 10).await;
    }
    let State::Degraded(reason) = state(&exporter.cx) else { panic!("accepted metrics hide refused logs") };
    assert!(reason.starts_with("logs: unavailable"), "{reason}");
    sink.always(Behaviour::Accept);
    let cx = exporter.finish().await;
    assert_eq!((counts(&cx).sent(), counts(&cx).lost(), state(&cx)), (110, 0, State::Ok));
    let refused = sink.received().with_outcome(|outcome| matches!(outcome, Outcome::Refused(_))).count();
    assert!(refused > 0);
}
