//! How long until the program is ready, and until its first data have arrived at the backend.

use std::time::{Duration, Instant};

use dbintel_testkit::otlp_sink::{Options, OtlpSink};
use serde::Serialize;

use super::Extent;
use super::server::Server;
use crate::collector::{Collector, Plan};
use crate::watch::median;

/// How long the first data may take.
const FIRST_DATA_TIMEOUT: Duration = Duration::from_secs(20);

/// Times in milliseconds since before the process was made.
#[derive(Clone, Debug, Serialize)]
pub struct Start {
    /// Until `/health/ready` answered 200.
    pub ready_ms: Vec<f64>,
    /// Until the backend had accepted the first request, with `initial_delay: 0`; the exporter waits 200 ms for more
    /// records before it sends.
    pub first_data_ms: Vec<f64>,
}

impl Start {
    /// Median of the times to ready.
    #[must_use]
    pub fn ready_median_ms(&self) -> f64 {
        median(self.ready_ms.iter().copied())
    }

    /// The longest of them.
    #[must_use]
    pub fn ready_worst_ms(&self) -> f64 {
        self.ready_ms.iter().copied().fold(0.0, f64::max)
    }
}

/// Starts the program several times, beside a server with 5,000 statements.
pub async fn measure(server: &Server, extent: Extent) -> Start {
    let runs = extent.choose(7, 25);
    let mut start = Start { ready_ms: Vec::new(), first_data_ms: Vec::new() };
    for _ in 0..runs {
        let sink = OtlpSink::start_with(Options::new().counts_only()).await;
        let plan = Plan::new(vec![server.cluster.port()], &server.password, &sink.http_endpoint());
        let collector = Collector::start(&plan).await;
        start.ready_ms.push(millis(collector.start_to_ready));
        drop(collector);

        let begun = Instant::now();
        let collector = Collector::start(&plan.receiver("initial_delay: 0")).await;
        sink.wait_for(FIRST_DATA_TIMEOUT, |received| received.accepted() > 0).await;
        start.first_data_ms.push(millis(begun.elapsed()));
        drop(collector);
    }
    start
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
