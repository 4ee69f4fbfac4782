//! A recorded week for `dbintel replay`: what our `file` exporter writes of statements that are read once a minute.
//!
//! It is made on the way to the program, which reads it from a pipe: a week of 1,000 statements is some twenty gigabytes of text.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use dbintel_model::{
    Batch, Interval, Moments, PlanFingerprint, PlanReference, PlanRung, Query, Record, Timestamp,
};
use dbintel_otlp::encode::{Encoded, Format, LogsEncoder, RequestBytes};

use crate::fixtures;

/// Bytes of the texts of statements.
const TEXT_BYTES: usize = 300;
/// Between two readings.
const MINUTE: Duration = Duration::from_secs(60);
/// When the week begins: a Monday, at midnight.
const BEGINS: Timestamp = Timestamp::from_nanos(1_794_787_200_000_000_000);

/// Writes what a collector would have, reading by reading.
#[derive(Debug)]
pub struct Recording {
    batch: Batch,
    encoder: LogsEncoder,
    random: u64,
}

impl Recording {
    /// Of so many statements.
    #[must_use]
    pub fn new(statements: usize) -> Self {
        let batch = fixtures::queries(statements, TEXT_BYTES);
        Self { batch, encoder: LogsEncoder::new(Format::Json, RequestBytes::default()), random: 1 }
    }

    /// Writes so many readings.
    ///
    /// # Errors
    /// If whoever reads has gone.
    pub fn write(&mut self, readings: u32, out: &mut dyn Write) -> io::Result<()> {
        let mut full: Vec<Encoded> = Vec::new();
        for reading in 0..readings {
            let start = BEGINS.plus(MINUTE * reading);
            self.refresh(Interval { start, end: start.plus(MINUTE) });
            self.encoder.push_batch(&self.batch, |_| true, &mut full);
            full.extend(self.encoder.finish());
            for request in full.drain(..) {
                out.write_all(&request.body)?;
                out.write_all(b"\n")?;
                self.encoder.recycle(request.body);
            }
        }
        out.flush()
    }

    fn refresh(&mut self, interval: Interval) {
        let Self { batch, random, .. } = self;
        batch.observed_at = interval.end;
        batch.server_clock = Some(interval.end);
        let mut records = std::mem::take(&mut batch.records);
        for (index, record) in records.iter_mut().enumerate() {
            if let Record::Query(query) = record {
                *random ^= *random << 13;
                *random ^= *random >> 7;
                *random ^= *random << 17;
                change(query, index, *random, interval);
            }
        }
        batch.records = records;
    }

    /// The server whose statements they are.
    #[must_use]
    pub fn server(&self) -> String {
        Arc::clone(&self.batch.target.server).to_string()
    }
}

/// Numbers of another interval: the same work, in a time that is not always the same.
#[allow(clippy::cast_precision_loss, reason = "a few digits of randomness")]
fn change(query: &mut Query, index: usize, random: u64, interval: Interval) {
    let chance = (random >> 40) as f64 / f64::from(1 << 24);
    let calls = 20 + (random & 0x3f).cast_signed();
    let mean_ms = (0.05 + index as f64 / 100.0) * (0.8 + 0.4 * chance);
    query.interval = interval;
    query.calls = calls;
    query.total_time_ms = mean_ms * calls as f64;
    query.moments = Some(Moments { mean_ms, variance_ms2: Some((mean_ms * 0.3).powi(2)) });
    let fingerprint = PlanFingerprint { shape: index as u128, exact: index as u128 };
    query.plan = Some(PlanReference { fingerprint, rung: PlanRung::Generic });
    query.rank = u32::try_from(index + 1).ok();
}
