//! The `tracing` layer that records spans.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use dbintel_model::{Clock, Monotonic, Timestamp};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Filtered;
use tracing_subscriber::layer::{Context, Filter};
use tracing_subscriber::registry::LookupSpan;

use super::{FIELD_BYTES_MAX, FIELDS_ALLOWED, FinishedSpan, SpanStore};

/// Records spans into a [`SpanStore`].
#[derive(Debug)]
pub struct TracezLayer {
    store: SpanStore,
    clock: Arc<dyn Clock>,
}

/// Lets through what [`TracezLayer`] looks at: dbintel's own spans, and its errors, which mark the span around them.
#[derive(Clone, Copy, Debug, Default)]
pub struct TracezFilter;

/// What is held of a span while it runs.
struct Running {
    started: Timestamp,
    began: Monotonic,
    fields: Fields,
}

/// The allowed fields as text, and whether a field says that the span failed.
#[derive(Default)]
struct Fields {
    text: String,
    failed: bool,
}

/// Whether this is a span of dbintel's own modules at level debug or above.
#[must_use]
pub fn is_own_span(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && *metadata.level() <= Level::DEBUG && is_own(metadata)
}

fn is_own(metadata: &Metadata<'_>) -> bool {
    let rest = metadata.target().strip_prefix("dbintel");
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::") || rest.starts_with('_'))
}

// === impl TracezLayer ===

impl TracezLayer {
    /// The layer with its filter, to be added to the subscriber.
    #[must_use]
    pub fn filtered<S>(store: SpanStore, clock: Arc<dyn Clock>) -> Filtered<Self, TracezFilter, S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        Self { store, clock }.with_filter(TracezFilter)
    }
}

impl<S> Layer<S> for TracezLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, cx: Context<'_, S>) {
        let Some(span) = cx.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        self.store.begin(span.name());
        span.extensions_mut().replace(Running {
            started: self.clock.now(),
            began: self.clock.monotonic(),
            fields,
        });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, cx: Context<'_, S>) {
        let Some(span) = cx.span(id) else { return };
        if let Some(running) = span.extensions_mut().get_mut::<Running>() {
            values.record(&mut running.fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, cx: Context<'_, S>) {
        if *event.metadata().level() != Level::ERROR {
            return;
        }
        let Some(span) = cx.event_span(event) else { return };
        if let Some(running) = span.extensions_mut().get_mut::<Running>() {
            running.fields.failed = true;
        }
    }

    fn on_close(&self, id: Id, cx: Context<'_, S>) {
        let Some(span) = cx.span(&id) else { return };
        let Some(running) = span.extensions_mut().remove::<Running>() else {
            return;
        };
        let finished = FinishedSpan {
            started: running.started,
            duration: self.clock.monotonic().since(running.began),
            failed: running.fields.failed,
            fields: running.fields.text.into(),
        };
        self.store.end(span.name(), finished);
    }
}

// === impl TracezFilter ===

impl TracezFilter {
    fn admits(metadata: &Metadata<'_>) -> bool {
        let is_error = metadata.is_event() && *metadata.level() == Level::ERROR && is_own(metadata);
        is_error || is_own_span(metadata)
    }
}

impl<S> Filter<S> for TracezFilter {
    fn enabled(&self, metadata: &Metadata<'_>, _cx: &Context<'_, S>) -> bool {
        Self::admits(metadata)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if Self::admits(metadata) { Interest::always() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::DEBUG)
    }
}

// === impl Fields ===

impl Fields {
    fn keep(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        if !FIELDS_ALLOWED.contains(&field.name()) || self.text.len() >= FIELD_BYTES_MAX {
            return;
        }
        if !self.text.is_empty() {
            self.text.push(' ');
        }
        // Writing to a string cannot fail.
        let _ = write!(self.text, "{}={value}", field.name());
        if self.text.len() > FIELD_BYTES_MAX {
            let end = self.text.floor_char_boundary(FIELD_BYTES_MAX);
            self.text.truncate(end);
        }
    }

    /// A failure is told by OpenTelemetry's fields, or by a field `error` that is anything but `false`.
    fn note_failure(&mut self, field: &Field, text: Option<&str>) {
        let failed = match field.name() {
            "error" | "error.type" => true,
            "otel.status_code" => text.is_some_and(|text| text.eq_ignore_ascii_case("error")),
            _ => false,
        };
        self.failed |= failed;
    }
}

impl Visit for Fields {
    fn record_bool(&mut self, field: &Field, value: bool) {
        if value {
            self.note_failure(field, None);
        }
        self.keep(field, format_args!("{value}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.note_failure(field, Some(value));
        self.keep(field, format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.note_failure(field, None);
        self.keep(field, format_args!("{value:?}"));
    }
}
