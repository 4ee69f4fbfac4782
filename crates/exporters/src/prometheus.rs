//! The exporter `prometheus`: the metrics of the databases, for Prometheus to scrape.
//!
//! Promises:
//! * the page at `/metrics` has the latest point of every series, as text 0.0.4 or, where the scraper asks for it,
//!   OpenMetrics 1.0;
//! * names follow OpenTelemetry's rules for Prometheus: dots become underscores, units and `_total` are appended;
//! * every series says by `server_address` and `server_port` which server it is about; all attributes of the server's
//!   resource are on `target_info`, which has the same two labels;
//! * there are at most `max_series` series; a point of a further one is counted as lost and as a limit reached;
//! * a series without a point for `metric_expiration` is dropped, so that what is gone does not look alive;
//! * bound to loopback, it answers requests only that name one of its own hosts ([`Hosts`]);
//! * at most [`CONNECTIONS_MAX`] connections and [`PAGES_MAX`] pages at a time; only `GET` and `HEAD`, no request
//!   bodies are read.
//!
//! Our own metrics are elsewhere: at `:8888`.

mod config;
mod names;
mod page;
mod server;
mod store;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dbintel_config::hosts::Hosts;
use dbintel_model::Signal;
use dbintel_pipeline::status::State;
use dbintel_pipeline::telemetry::{Counter, definitions};
use dbintel_pipeline::{ComponentError, Delivery, Exporter, ExporterContext, LossReason, Signals};
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::time::MissedTickBehavior;

pub use self::config::{Config, Conversion, Settings, validate};
use self::page::Pages;
pub use self::server::{CONNECTIONS_MAX, PAGES_MAX};
use self::store::Store;
use crate::ledger::{Ledger, LeftInInput};
use crate::quiet::Quiet;

/// The signals this exporter takes.
pub const SIGNALS: Signals = Signals { metrics: true, logs: false, traces: false };

/// How often stale series are looked for.
const EXPIRE_INTERVAL: Duration = Duration::from_secs(10);

/// Shows the latest points to Prometheus.
#[derive(Debug)]
pub struct PrometheusExporter {
    config: Config,
}

impl PrometheusExporter {
    /// An exporter that listens when it runs.
    #[must_use]
    pub const fn new(config: Config) -> Self {
        Self { config }
    }
}

#[async_trait]
impl Exporter for PrometheusExporter {
    async fn run(self: Box<Self>, cx: ExporterContext) -> Result<(), ComponentError> {
        let (listener, address) = bind(&self.config).await?;
        let hosts = Hosts::of(address, &self.config.host);
        let _input = LeftInInput::new(&cx);
        let store = Arc::new(Mutex::new(Store::new(self.config.store.clone())));
        let pages = Arc::new(Pages::new(Arc::clone(&store), &self.config));
        cx.status.set(State::Ok, cx.clock.now());
        let intake = Intake::new(&cx, &store);
        tokio::select! {
            () = intake.run() => {}
            () = server::serve(listener, pages, hosts) => {}
            () = cx.abort.cancelled() => {}
        }
        Ok(())
    }
}

async fn bind(config: &Config) -> Result<(TcpListener, SocketAddr), ComponentError> {
    let (host, port) = (config.host.as_str(), config.port);
    let bound = async {
        let listener = TcpListener::bind((host, port)).await?;
        let address = listener.local_addr()?;
        Ok::<_, std::io::Error>((listener, address))
    };
    bound.await.map_err(|error| ComponentError(format!("cannot listen on {host}:{port}: {error}").into()))
}

/// From the input to the store.
struct Intake<'a> {
    cx: &'a ExporterContext,
    store: &'a Arc<Mutex<Store>>,
    ledger: Ledger,
    refused: Counter,
    full: Quiet,
}

impl<'a> Intake<'a> {
    fn new(cx: &'a ExporterContext, store: &'a Arc<Mutex<Store>>) -> Self {
        let labels = vec![("exporter", cx.id.clone()), ("limit", "prometheus_series".into())];
        Self {
            cx,
            store,
            ledger: Ledger::new(cx.telemetry.clone()),
            refused: cx.registry.counter(&definitions::LIMIT_REACHED, labels),
            full: Quiet::default(),
        }
    }

    async fn run(&self) {
        let mut expire = tokio::time::interval(EXPIRE_INTERVAL);
        expire.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                delivery = self.cx.input.pop() => match delivery {
                    Some(delivery) => self.take(&delivery).await,
                    None => break,
                },
                _ = expire.tick() => self.expire().await,
            }
        }
    }

    /// The store may be locked for as long as a large page takes to be written, so it is used off the async threads.
    async fn take(&self, delivery: &Delivery) {
        if !delivery.signals.metrics {
            return;
        }
        let (points, _) = delivery.items();
        self.ledger.take(Signal::Metrics, points);
        let (store, batch, now) =
            (Arc::clone(self.store), Arc::clone(&delivery.batch), self.cx.clock.monotonic());
        match tokio::task::spawn_blocking(move || store.lock().update(&batch, now)).await {
            Ok(stored) => {
                self.ledger.sent(Signal::Metrics, stored.points);
                self.refuse(stored.refused);
                self.cx.status.succeeded(self.cx.clock.now());
            }
            Err(_panic) => self.ledger.lost(Signal::Metrics, points, LossReason::Panic),
        }
    }

    async fn expire(&self) {
        let (store, now) = (Arc::clone(self.store), self.cx.clock.monotonic());
        // A panic there is seen with the next delivery too.
        drop(tokio::task::spawn_blocking(move || store.lock().expire(now)).await);
    }

    fn refuse(&self, points: u64) {
        if points == 0 {
            return;
        }
        self.refused.add(points);
        self.ledger.lost(Signal::Metrics, points, LossReason::QueueFull);
        if let Some(left_out) = self.full.permit(self.cx.clock.monotonic()) {
            tracing::warn!(exporter = %self.cx.id, points, left_out, "points of new series refused: max_series is reached");
        }
    }
}

#[cfg(test)]
mod tests;
