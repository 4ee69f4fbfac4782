//! What the program needs beside a server with one database and no statements but its own.

use std::time::{Duration, Instant};

use dbintel_testkit::otlp_sink::{Options, OtlpSink};
use serde::Serialize;

use super::Extent;
use super::server::Server;
use crate::collector::{Collector, Plan};
use crate::watch::{Watched, watch};

/// The watched time goes into this much at the end.
const WATCHED: Duration = Duration::from_secs(10);

/// Memory and CPU of an idle program.
#[derive(Clone, Debug, Serialize)]
pub struct Idle {
    /// How long it had been running when the watch began.
    pub after_seconds: f64,
    /// One poll interval.
    pub watched: Watched,
}

/// Default settings, for half a minute.
pub async fn measure(extent: Extent) -> Idle {
    let server = Server::bare().await;
    let sink = OtlpSink::start_with(Options::new().counts_only()).await;
    let plan = Plan::new(vec![server.cluster.port()], &server.password, &sink.http_endpoint());
    let collector = Collector::start(&plan).await;
    let warm_up = extent.seconds(12, 30);
    tokio::time::sleep(warm_up).await;
    let watched = watch(&collector, Instant::now() + WATCHED).await;
    assert!(sink.totals().accepted > 0, "nothing arrived:\n{}", collector.log());
    collector.stop().await;
    Idle { after_seconds: warm_up.as_secs_f64(), watched }
}
