//! The definitions of one database: read when it is time, compared with what was known.

use std::sync::Arc;
use std::time::Duration;

use dbintel_model::{Monotonic, Record, Timestamp};
use dbintel_pipeline::admission::Purpose;
use dbintel_pipeline::telemetry::definitions;

use super::connections::Leased;
use super::families::Turn;
use super::shared::Shared;
use crate::query::error::QueryError;
use crate::query::schema as query;
use crate::state::changes;
use crate::state::schema::{Definitions, Reading, Schema};

/// After a reading the next one waits this many times as long as it took the server: a thousandth of one core at most,
/// however many objects there are.
const WAIT_PER_READ_DURATION: u32 = 1_000;
/// Of so many readings of the marks the shortest says what they take. The server says how long a reading took and not what it cost: one that had to
/// wait for a processor or a disk for half a second would put off the next one by eight minutes.
const READINGS_COMPARED: usize = 4;

/// However often the server says that nothing was written, the marks are read after this time, or this many readings: a session can
/// switch the server's counting off for itself, and one that goes on after what it wrote, as a procedure does that commits, counts it late.
const MARKS_AT_LEAST_EVERY: Duration = Duration::from_secs(300);
const MARKS_AT_LEAST_EVERY_READINGS: u32 = 10;

/// What is known of a database.
#[derive(Clone, Debug)]
pub(super) struct KnownSchema {
    pub(super) schema: Arc<Schema>,
    /// All that had happened until then, by the server's clock, is in it: the time of the last marks. While the definition of an object
    /// cannot be read for somebody's lock, of those before it was locked.
    until: Timestamp,
}

/// When the next reading may be, and whether it can be spared.
#[derive(Debug, Default)]
pub(super) struct SchemaDue {
    next: Option<Monotonic>,
    /// What the latest readings of the marks took.
    marks_took: [Option<Duration>; READINGS_COMPARED],
    /// Of the last reading that found nothing new: when it was, and how many rows had been written before it.
    settled: Option<(Monotonic, i64)>,
}

impl SchemaDue {
    pub(super) fn is_due(&self, now: Monotonic) -> bool {
        self.next.is_none_or(|next| next <= now)
    }

    fn was_read(&mut self, now: Monotonic, marks: Duration, definitions: Duration) {
        self.marks_took.rotate_right(1);
        if let Some(latest) = self.marks_took.first_mut() {
            *latest = Some(marks);
        }
        let shortest = self.marks_took.iter().flatten().min().copied().unwrap_or(marks);
        self.next = Some(now.plus((shortest + definitions).saturating_mul(WAIT_PER_READ_DURATION)));
    }

    /// Whether everything is as the last reading found it.
    fn is_settled(&self, now: Monotonic, written: Option<i64>, interval: Duration) -> bool {
        let least = MARKS_AT_LEAST_EVERY.min(interval.saturating_mul(MARKS_AT_LEAST_EVERY_READINGS));
        self.settled.is_some_and(|(at, before)| written == Some(before) && now.since(at) < least)
    }
}

/// Reads what is due to be read; gives what is known now, and adds to the records what happened since `before`. Runs in the
/// transaction that is open.
pub(super) async fn read(
    shared: &Shared,
    leased: &mut Leased,
    turn: &Turn<'_>,
    due: &mut SchemaDue,
    before: Option<&KnownSchema>,
    records: &mut Vec<Record>,
) -> Result<KnownSchema, QueryError> {
    let &Turn { target, limits, time, .. } = turn;
    // Before the marks: what is written meanwhile makes the next number another one.
    let written = if query::counts_writes(&leased.facts) {
        let ask = leased.ask(target, Purpose::Catalogue, "schema rows written");
        let asking = query::rows_written(&mut leased.connection, limits);
        shared.admitted(ask, asking, |_| 1).await?
    } else {
        None
    };
    let now = shared.clock.monotonic();
    if let Some(before) = before.filter(|_| due.is_settled(now, written, shared.config.catalogue_interval)) {
        return Ok(before.clone());
    }
    due.settled = None;
    let ask = leased.ask(target, Purpose::Catalogue, "schema marks");
    let reading = query::marks(&mut leased.connection, limits);
    let rows = |reading: &Reading| reading.marks.len();
    let (reading, marks_took) = shared.timed(ask, reading, rows).await?;
    if reading.is_cut {
        shared.count(&definitions::LIMIT_REACHED, "limit", "schema_objects", 1);
    }
    let wanted = Schema::wanted(before.map(|before| &*before.schema), &reading);
    let (mut found, mut definitions_took) = (Definitions::new(), Duration::ZERO);
    if !wanted.is_empty() {
        let ask = leased.ask(target, Purpose::Catalogue, "schema");
        let asking = query::definitions(&mut leased.connection, limits, &leased.facts, &wanted);
        (found, definitions_took) = shared.timed(ask, asking, Definitions::len).await?;
    }
    due.was_read(shared.clock.monotonic(), marks_took, definitions_took);
    if let Some(before) = before.filter(|before| found.is_empty() && before.schema.is(&reading)) {
        // A definition that somebody's lock has kept from us is still wanted.
        due.settled = written.filter(|_| wanted.is_empty()).map(|written| (now, written));
        return Ok(KnownSchema { schema: Arc::clone(&before.schema), until: time });
    }
    let step =
        Schema::step(before.map(|before| &*before.schema), &leased.connection.database, &reading, &found);
    let reached = [("schema_changes", step.left as u64), ("schema_bytes", u64::from(step.schema.is_full()))];
    for (limit, times) in reached.into_iter().filter(|(_, times)| *times > 0) {
        shared.count(&definitions::LIMIT_REACHED, "limit", limit, times);
    }
    let not_before = before.map(|before| before.until);
    records.extend(changes::records(step.changes, not_before));
    // What is left has happened, and is told by a later reading.
    let until = not_before.filter(|_| step.left > 0).unwrap_or(time);
    Ok(KnownSchema { schema: Arc::new(step.schema), until })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long the next reading waits after readings of the marks that took so many milliseconds, and definitions after the last of them.
    fn waits(marks_ms: &[u64], definitions_ms: u64) -> Duration {
        let (mut due, now) = (SchemaDue::default(), Monotonic::default());
        for (left, marks) in marks_ms.iter().enumerate().map(|(at, marks)| (marks_ms.len() - at, marks)) {
            let definitions = if left == 1 { definitions_ms } else { 0 };
            due.was_read(now, Duration::from_millis(*marks), Duration::from_millis(definitions));
        }
        due.next.expect("it was read").since(now)
    }

    #[test]
    fn a_thousandth_of_the_time_is_taken_whatever_one_reading_had_to_wait_for() {
        assert_eq!(waits(&[30], 0), Duration::from_secs(30));
        assert_eq!(waits(&[30], 50), Duration::from_secs(80));
        assert_eq!(waits(&[3, 3, 500], 0), Duration::from_secs(3));
        assert_eq!(waits(&[3, 40, 40, 40], 0), Duration::from_secs(3));
        assert_eq!(waits(&[3, 40, 40, 40, 40], 0), Duration::from_secs(40), "there is more to read now");
    }
}
