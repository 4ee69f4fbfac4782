//! A recorded week for `dbintel replay`: what our `file` exporter writes of statements that are read once a minute.
//!
//! It is made on the way to the program, which reads it from a pipe: a week of 1,000 statements is some twenty-five
//! gigabytes of text.

use std::io::{self, BufWriter, Read as _, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use dbintel_model::catalogue::STATEMENT_COUNTERS;
use dbintel_model::{
    Batch, Counters, Interval, Moments, PlanFingerprint, PlanReference, PlanRung, Query, Record, Timestamp,
};
use dbintel_otlp::encode::{Encoded, Format, LogsEncoder, RequestBytes};
use serde::Serialize;

use crate::{collector, fixtures};

/// Statements of the server.
const STATEMENTS: usize = 1_000;
/// Readings of a week.
const READINGS: u32 = 7 * 24 * 60;
/// Bytes that go through the pipe at once.
const PIPE_BYTES: usize = 1 << 20;
/// Ticks of the kernel's clock in a second, as it counts the time of processes on every Linux machine.
const TICKS_PER_SECOND: f64 = 100.0;
/// Bytes of the texts of statements.
const TEXT_BYTES: usize = 300;
/// Between two readings.
const MINUTE: Duration = Duration::from_secs(60);
/// When the week begins: a Monday, at midnight.
const BEGINS: Timestamp = Timestamp::from_nanos(1_794_787_200_000_000_000);

/// What the replay of a week took.
#[derive(Clone, Debug, Serialize)]
pub struct Replayed {
    /// Statement intervals.
    pub intervals: u64,
    /// Bytes of the lines.
    pub bytes: u64,
    /// From the first byte to the end of the program. The other core makes the lines meanwhile, so it can be what this takes.
    pub seconds: f64,
    /// Time of the processor that the program took, of the kernel in its name included.
    pub cpu_seconds: f64,
}

/// Replays a week.
#[must_use]
pub fn measure() -> Replayed {
    let mut command = Command::new(collector::program());
    command.args(["replay", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let begun = Instant::now();
    let mut child = command.spawn().expect("the program");
    let stdin = child.stdin.take().expect("its standard input");
    let mut out = Counted { inner: BufWriter::with_capacity(PIPE_BYTES, stdin), bytes: 0 };
    Recording::new(STATEMENTS).write(READINGS, &mut out).expect("the program reads to the end");
    let bytes = out.bytes;
    drop(out);
    let (mut found, mut told) = (String::new(), String::new());
    child.stdout.take().expect("its output").read_to_string(&mut found).expect("text");
    child.stderr.take().expect("its summary").read_to_string(&mut told).expect("text");
    // It has ended and nobody has asked how, so that the kernel still has its times.
    let cpu_seconds = cpu_seconds(child.id());
    let status = child.wait().expect("its end");
    let seconds = begun.elapsed().as_secs_f64();
    let intervals = STATEMENTS as u64 * u64::from(READINGS);
    assert!(status.success() && told.contains(&format!("{intervals}  statement intervals")), "{told}");
    Replayed { intervals, bytes, seconds, cpu_seconds }
}

fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the times of the program");
    let after_name = stat.rsplit_once(')').expect("its name").1;
    let ticks = after_name.split_whitespace().skip(11).take(2);
    ticks.map(|ticks| ticks.parse::<f64>().expect("a number")).sum::<f64>() / TICKS_PER_SECOND
}

/// Counts what is written.
struct Counted<W> {
    inner: W,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

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
        let mut batch = fixtures::queries(statements, TEXT_BYTES);
        for (index, record) in batch.records.iter_mut().enumerate() {
            if let Record::Query(query) = record {
                query.counters = counters(index);
            }
        }
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
}

/// All of them find rows and blocks; one in three reads some, one in five writes. Most counters of a statement are zero, and most of
/// these are left out of its event.
fn counters(index: usize) -> Counters {
    let (reads, writes) = (index.is_multiple_of(3), index.is_multiple_of(5));
    let value = |column: &str| match column {
        "rows" | "shared_blks_hit" => 500 + index,
        "shared_blks_read" | "shared_blk_read_time" if reads => 40,
        "shared_blks_dirtied" | "wal_records" | "wal_bytes" if writes => 30 + index,
        _ => 0,
    };
    let values: Vec<f64> = STATEMENT_COUNTERS.iter().map(|counter| value(counter.column) as f64).collect();
    Counters::new(&STATEMENT_COUNTERS, &values)
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
