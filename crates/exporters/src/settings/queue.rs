//! `sending_queue`: what may wait for the backend, and how records become requests.

use std::time::Duration as StdDuration;

use dbintel_config::values::{ByteSize, Duration};
use dbintel_otlp::encode::RequestBytes;
use dbintel_pipeline::QueueLimits;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Unsupported;
use dbintel_config::Checks;

/// Bytes of encoded requests of one signal that may wait, unless set.
const QUEUE_BYTES_DEFAULT: u64 = 16 << 20;
/// Requests of one signal that may wait, unless set.
const QUEUE_REQUESTS_DEFAULT: u64 = 1_000;
/// Requests of one signal that may wait at most.
const QUEUE_REQUESTS_MAX: usize = 100_000;
/// Smallest queue: one large request must find room.
const QUEUE_BYTES_MIN: u64 = 4 << 20;
/// Requests of one signal under way at the same time, unless set.
const CONSUMERS_DEFAULT: usize = 4;
/// Requests of one signal under way at the same time at most.
const CONSUMERS_MAX: usize = 64;
/// How long records wait for others before they are sent, unless set.
pub(crate) const FLUSH_TIMEOUT_DEFAULT: StdDuration = StdDuration::from_millis(200);
const FLUSH_TIMEOUT_MAX: StdDuration = StdDuration::from_secs(60);

/// What may wait for the backend. Metrics and logs have a queue each, with these settings. When one is full, its oldest
/// requests are dropped and counted.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QueueSettings {
    /// Must be true: lanes never wait for a backend.
    pub enabled: bool,
    /// Requests under way at the same time, from 1 to 64. Each holds a request beside those in the queue.
    pub num_consumers: usize,
    /// How much may wait, counted as `sizer` says. Default 1000 requests.
    pub queue_size: Option<u64>,
    /// What `queue_size` counts.
    pub sizer: QueueSizer,
    /// Bytes that may wait, whatever `queue_size` counts. Default 16 MiB. (dbintel only)
    pub max_bytes: Option<ByteSize>,
    /// How records become requests.
    pub batch: BatchSettings,
    /// Not supported when true: lanes never wait for a backend.
    pub block_on_overflow: bool,
    /// Not supported when true: lanes never wait for a backend.
    pub wait_for_result: bool,
    /// Not supported: the queue is in memory.
    pub storage: Option<Unsupported>,
}

/// What the size of a queue counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum QueueSizer {
    /// Requests.
    #[default]
    Requests,
    /// Not supported: points and log records.
    Items,
    /// Bytes of encoded requests.
    Bytes,
}

/// How records become requests.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BatchSettings {
    /// How long records wait for others before they are sent. Default 200ms.
    pub flush_timeout: Option<Duration>,
    /// Bytes of a request, before compression, at which it is sent without waiting. Default `max_size`.
    pub min_size: Option<u64>,
    /// Bytes of a request at most, before compression, from 16 KiB to 2 MiB. Default 1 MiB.
    pub max_size: Option<u64>,
    /// What the sizes count: `bytes`.
    pub sizer: Option<BatchSizer>,
    /// Not supported: there is no request metadata here.
    pub partition: Option<Unsupported>,
}

/// What the sizes of a request count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BatchSizer {
    /// Not supported: points and log records.
    Items,
    /// Bytes before compression.
    Bytes,
}

/// Valid settings of the queue.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Queueing {
    pub(crate) limits: QueueLimits,
    pub(crate) consumers: usize,
    pub(crate) flush_timeout: StdDuration,
    pub(crate) flush_bytes: usize,
    pub(crate) request_bytes: RequestBytes,
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            num_consumers: CONSUMERS_DEFAULT,
            queue_size: None,
            sizer: QueueSizer::default(),
            max_bytes: None,
            batch: BatchSettings::default(),
            block_on_overflow: false,
            wait_for_result: false,
            storage: None,
        }
    }
}

pub(crate) fn queueing(settings: &QueueSettings, checks: &mut Checks) -> Queueing {
    const NEVER_WAIT: &str = "lanes never wait for a backend; the oldest requests are dropped and counted";
    if !settings.enabled {
        checks.error(
            "sending_queue.enabled",
            "must be true: lanes never wait for a backend; set queue_size instead",
        );
    }
    let blocking = settings.block_on_overflow.then_some(());
    checks.unsupported("sending_queue.block_on_overflow", blocking.as_ref(), NEVER_WAIT);
    let waiting = settings.wait_for_result.then_some(());
    checks.unsupported("sending_queue.wait_for_result", waiting.as_ref(), NEVER_WAIT);
    checks.unsupported("sending_queue.storage", settings.storage.as_ref(), "the queue is in memory");
    if settings.num_consumers == 0 || settings.num_consumers > CONSUMERS_MAX {
        let message = format!("must be from 1 to {CONSUMERS_MAX}");
        checks.error("sending_queue.num_consumers", message);
    }
    let request_bytes = request_bytes(&settings.batch, checks);
    Queueing {
        limits: limits(settings, checks),
        consumers: settings.num_consumers,
        flush_timeout: flush_timeout(&settings.batch, checks),
        flush_bytes: flush_bytes(&settings.batch, request_bytes),
        request_bytes,
    }
}

fn limits(settings: &QueueSettings, checks: &mut Checks) -> QueueLimits {
    let mut requests = QUEUE_REQUESTS_DEFAULT;
    let mut bytes = settings.max_bytes.map_or(QUEUE_BYTES_DEFAULT, ByteSize::bytes);
    match (settings.sizer, settings.queue_size) {
        (QueueSizer::Items, _) => {
            checks.error("sending_queue.sizer", "not supported: write bytes or requests");
        }
        (QueueSizer::Requests, Some(size)) => requests = size,
        (QueueSizer::Bytes, Some(size)) => {
            if settings.max_bytes.is_some() {
                checks.error(
                    "sending_queue.max_bytes",
                    "queue_size counts bytes already; leave one of them out",
                );
            }
            (requests, bytes) = (QUEUE_REQUESTS_MAX as u64, size);
        }
        (QueueSizer::Requests | QueueSizer::Bytes, None) => {}
    }
    if requests == 0 || requests > QUEUE_REQUESTS_MAX as u64 {
        let message = format!("must be from 1 to {QUEUE_REQUESTS_MAX} requests");
        checks.error("sending_queue.queue_size", message);
    }
    if bytes < QUEUE_BYTES_MIN {
        let field = match settings.sizer {
            QueueSizer::Bytes => "sending_queue.queue_size",
            QueueSizer::Requests | QueueSizer::Items => "sending_queue.max_bytes",
        };
        checks.error(
            field,
            format!("must be at least {QUEUE_BYTES_MIN} bytes, so that every request finds room"),
        );
    }
    QueueLimits {
        max_bytes: usize::try_from(bytes).unwrap_or(usize::MAX),
        max_items: usize::try_from(requests).unwrap_or(QUEUE_REQUESTS_MAX),
    }
}

fn request_bytes(batch: &BatchSettings, checks: &mut Checks) -> RequestBytes {
    checks.unsupported(
        "sending_queue.batch.partition",
        batch.partition.as_ref(),
        "there is no request metadata",
    );
    let has_size = batch.min_size.is_some() || batch.max_size.is_some();
    if has_size && batch.sizer != Some(BatchSizer::Bytes) {
        checks.error(
            "sending_queue.batch.sizer",
            "requests are sized in bytes; write sizer: bytes beside the sizes",
        );
        return RequestBytes::default();
    }
    let Some(max_size) = batch.max_size else {
        return RequestBytes::default();
    };
    let found = usize::try_from(max_size).ok().and_then(RequestBytes::try_new);
    found.unwrap_or_else(|| {
        let (min, max) = (RequestBytes::MIN.get(), RequestBytes::MAX.get());
        checks.error("sending_queue.batch.max_size", format!("must be from {min} to {max} bytes"));
        RequestBytes::default()
    })
}

fn flush_bytes(batch: &BatchSettings, request_bytes: RequestBytes) -> usize {
    let min_size = batch.min_size.and_then(|bytes| usize::try_from(bytes).ok());
    min_size.unwrap_or(usize::MAX).min(request_bytes.get())
}

fn flush_timeout(batch: &BatchSettings, checks: &mut Checks) -> StdDuration {
    let timeout = batch.flush_timeout.map_or(FLUSH_TIMEOUT_DEFAULT, Duration::get);
    if timeout.is_zero() || timeout > FLUSH_TIMEOUT_MAX {
        checks.error("sending_queue.batch.flush_timeout", "must be above 0 and at most 60s");
    }
    timeout
}
