use dbintel_model::{Clock, ManualClock};
use tracing_subscriber::layer::SubscriberExt as _;

use super::*;

struct Fixture {
    store: SpanStore,
    clock: ManualClock,
    registry: Registry,
}

fn fixture() -> Fixture {
    let registry = Registry::default();
    Fixture {
        store: SpanStore::new(&registry),
        clock: ManualClock::at(Timestamp::from_nanos(5_000)),
        registry,
    }
}

impl Fixture {
    fn record(&self, work: impl FnOnce(&ManualClock)) {
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        let layer = TracezLayer::filtered(self.store.clone(), clock);
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || work(&self.clock));
    }

    fn family(&self, name: &str) -> Family {
        let families = self.store.families();
        families.into_iter().find(|(known, _)| *known == name).unwrap().1
    }
}

#[test]
fn spans_land_in_the_bucket_of_their_duration() {
    let check = |micros, bucket| {
        let span = FinishedSpan {
            started: Timestamp::default(),
            duration: Duration::from_micros(micros),
            failed: false,
            fields: Text::default(),
        };
        assert_eq!(span.bucket(), bucket, "{micros}");
        assert_eq!(FinishedSpan { failed: true, ..span }.bucket(), ERRORS);
    };
    check(0, 0);
    check(9, 0);
    check(10, 1);
    check(999, 2);
    check(1_000, 3);
    check(60_000_000, 8);
    check(3_600_000_000, 8);
}

#[test]
fn a_span_is_kept_with_its_time_and_its_allowed_fields_only() {
    let fixture = fixture();
    fixture.record(|clock| {
        let span = tracing::info_span!(
            target: "dbintel_receiver_postgresql::task",
            "poll",
            receiver = "postgresql/orders",
            rows = tracing::field::Empty,
            sql = "SELECT 'secret'",
            password = "secret"
        );
        clock.advance(Duration::from_millis(25));
        span.record("rows", 17);
        assert_eq!(fixture.family("poll").running, 1);
    });
    let family = fixture.family("poll");
    assert_eq!((family.running, family.counts[4]), (0, 1));
    assert_eq!(
        family.kept[4],
        [FinishedSpan {
            started: Timestamp::from_nanos(5_000),
            duration: Duration::from_millis(25),
            failed: false,
            fields: "receiver=postgresql/orders rows=17".into(),
        }]
    );
}

#[test]
fn failures_are_told_by_fields_and_by_errors_within() {
    let fixture = fixture();
    fixture.record(|_| {
        let target_free = |name: &str| name.to_owned();
        drop(tracing::info_span!(target: "dbintel::a", "ok", error = false));
        drop(tracing::info_span!(target: "dbintel::a", "flag", error = true));
        drop(tracing::info_span!(target: "dbintel::a", "text", error = %target_free("secret")));
        drop(tracing::info_span!(target: "dbintel::a", "status", otel.status_code = "ERROR"));
        tracing::info_span!(target: "dbintel::a", "event").in_scope(|| {
            tracing::error!(target: "dbintel::a", "went wrong");
        });
        tracing::info_span!(target: "dbintel::a", "warning").in_scope(|| {
            tracing::warn!(target: "dbintel::a", "not so good");
        });
    });
    let failed = |name| fixture.family(name).counts[ERRORS] == 1;
    for name in ["flag", "text", "status", "event"] {
        assert!(failed(name), "{name}");
    }
    assert!(!failed("ok") && !failed("warning"));
    assert_eq!(fixture.family("text").kept[ERRORS][0].fields.as_str(), "");
}

#[test]
fn foreign_and_trace_spans_are_not_seen() {
    let fixture = fixture();
    fixture.record(|_| {
        drop(tracing::info_span!(target: "hyper::proto", "foreign"));
        drop(tracing::info_span!(target: "dbintelligence", "foreign"));
        drop(tracing::trace_span!(target: "dbintel::a", "fine"));
        drop(tracing::debug_span!(target: "dbintel", "own"));
    });
    let names: Vec<_> = fixture.store.families().iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["own"]);
}

#[test]
fn spans_names_and_fields_are_bounded() {
    let fixture = fixture();
    fixture.record(|_| {
        for n in 0..BUCKET_SPANS_MAX + 5 {
            drop(tracing::info_span!(target: "dbintel::a", "many", attempt = n));
        }
        let long = "ä".repeat(1_000);
        drop(tracing::info_span!(target: "dbintel::a", "long", reason = long, part = "x"));
    });
    let many = fixture.family("many");
    assert_eq!((many.counts[0], many.kept[0].len()), (13, BUCKET_SPANS_MAX));
    assert_eq!(many.kept[0][0].fields.as_str(), "attempt=5");
    assert!(fixture.family("long").kept[0][0].fields.len() <= FIELD_BYTES_MAX);

    for n in 0..SPAN_NAMES_MAX {
        fixture.store.begin(Box::leak(n.to_string().into_boxed_str()));
    }
    assert_eq!(fixture.store.families().len(), SPAN_NAMES_MAX);
    let labels = [("reason", "too_many_names")];
    assert_eq!(fixture.registry.value("dbintel_tracez_spans_not_kept_total", &labels), Some(2.0));
}
