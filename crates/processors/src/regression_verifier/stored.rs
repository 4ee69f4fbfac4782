//! The state as bytes: one value for each thing that changes by itself, each with its layout before it.
//!
//! | key | value |
//! |---|---|
//! | `about/<statement>` | which statement it is, its plans, waits, repaired hours and time-outs |
//! | `day/<statement>/<day>` | the hours of one day, the open hour and the open short block as they are, and the time it took |
//! | `short/<statement>` | short blocks |
//! | `trial/<statement>` | a trial with what was before |
//! | `watch/<statement>` | what every interval adds to a trial |
//! | `finding/<id>` | the finding as a JSON document |
//! | `follow/<id>` | to whom the finding belongs and what may have caused it |
//! | `ended/…` | when a finding came to its end; from one process to the next only |
//! | `told` | subjects in their cool-down |
//! | `control` | the control in hours |
//! | `events` | what happened lately |
//!
//! A statement's intervals change its day always, and its `about` only where executions were timed out or sessions were seen running it, so that
//! what is written after each interval is a day's hours, half a kilobyte. A trial has ten of them, of which an interval changes little.

use dbintel_evidence::unprompted::{PlansSeen, TimedOut};
use dbintel_evidence::{ControlPoint, WaitHours};
use dbintel_model::finding::FindingKind;
use dbintel_model::{
    ChangeKind, FindingId, PlanCause, PlanFingerprint, PlanRung, PlanTimes, PlanTimesSource, QueryKey, Text,
    Timestamp,
};

use super::changes::{ChangeTimes, GivenUp};
use super::cured::Cured;
use super::events::Event;
use super::hours::{
    HOURS_MAX, HOURS_REACH, History, Hour, Open, Packed, SHORTS_MAX, SHORTS_REACH, Short, TRIAL_SHORTS_MAX,
    read_place,
};
use super::statement::{About, Plans, Statement};
use super::sums::Sums;
use super::trial::{Flip, Repaired, Trial};
use super::waits;
use crate::codec::{Damaged, Reader, Writer};

/// First byte of every value; another layout gets another one.
const LAYOUT: u8 = 1;
/// That of statements, of trials and of what every interval adds to these, which have waits by hour of day.
const LAYOUT_WITH_WAITS: u8 = 3;
/// The same before waits were kept by hour of day.
const LAYOUT_WITH_LATEST_WAITS: u8 = 2;
/// Systems whose statements a value can name.
const SYSTEMS: [&str; 1] = ["postgresql"];
/// Lists that are read back have at most this many entries.
const ENTRIES_MAX: usize = 8_192;
/// Hours of a day.
pub(super) const DAY_BLOCKS: i64 = 24;
/// Bytes of an hour in a value, of a short block in one, and of all else in that of a day.
const HOUR_BYTES: usize = 16;
const SHORT_BYTES: usize = 12;
const OPEN_BYTES: usize = 1 + 2 * 8 + 2 * 8 * 8 + 8;

/// Which day an hour belongs to.
pub(super) fn day_of(hour: i64) -> i64 {
    hour.div_euclid(DAY_BLOCKS)
}

/// Begins a value.
pub(super) fn begin() -> Writer {
    let mut out = Writer::default();
    out.u8(LAYOUT);
    out
}

/// Begins what has waits.
fn begin_with_waits() -> Writer {
    let mut out = Writer::default();
    out.u8(LAYOUT_WITH_WAITS);
    out
}

/// What follows the layout of what has waits, and how these are stored there.
fn enter_with_waits(bytes: &[u8]) -> Result<(Reader<'_>, StoredWaits), Damaged> {
    let mut from = Reader(bytes);
    match from.u8()? {
        LAYOUT_WITH_WAITS => Ok((from, StoredWaits::ByHourOfDay)),
        LAYOUT_WITH_LATEST_WAITS => Ok((from, StoredWaits::Latest)),
        LAYOUT => Ok((from, StoredWaits::Sums)),
        _ => Err(Damaged),
    }
}

/// How waits are stored. Of the former ways they are passed over: what a day was like is known again after a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StoredWaits {
    ByHourOfDay,
    Latest,
    Sums,
}

impl StoredWaits {
    fn read(self, from: &mut Reader<'_>) -> Result<WaitHours, Damaged> {
        match self {
            Self::ByHourOfDay => return waits::read(from),
            Self::Latest => waits::skip_former(from)?,
            Self::Sums => (0..3).try_for_each(|_| from.u32().map(drop))?,
        }
        Ok(WaitHours::default())
    }
}

/// What follows the layout.
pub(super) fn enter(bytes: &[u8]) -> Result<Reader<'_>, Damaged> {
    let mut from = Reader(bytes);
    if from.u8()? == LAYOUT { Ok(from) } else { Err(Damaged) }
}

// === Statements ===

pub(super) fn about(statement: &Statement) -> Vec<u8> {
    let About { key, fingerprint, node, .. } = &*statement.about;
    let mut out = begin_with_waits();
    out.u64(*node);
    out.maybe(*fingerprint, Writer::u64);
    write_key(&mut out, key);
    out.f64(statement.weight_ms);
    let Plans { seen, changed_at, query_id: _ } = statement.plans;
    out.u128(seen.last);
    out.u8(seen.rung);
    out.maybe(changed_at, Writer::time);
    out.i64(seen.day);
    seen.changes.iter().for_each(|changes| out.u32(*changes));
    out.maybe(statement.waits.as_deref(), |out, hours| waits::write(hours, out));
    out.maybe(statement.plan_changes.as_deref(), |out, changes| changes.write(out));
    out.maybe(statement.cured.as_deref(), |out, cured| cured.write(out));
    out.maybe(statement.timed_out.as_deref(), write_timed_out);
    out.maybe(statement.given_up(), |out, given_up| given_up.write(out));
    out.0
}

pub(super) fn read_about(id: u64, bytes: &[u8]) -> Result<Statement, Damaged> {
    let (mut from, stored_waits) = enter_with_waits(bytes)?;
    let node = from.u64()?;
    let fingerprint = from.maybe(Reader::u64)?;
    let key = read_key(&mut from)?;
    let mut statement = Statement::new(id, About { key, text: None, fingerprint, node });
    statement.weight_ms = sound(from.f64()?)?;
    let (last, rung, changed_at) = (from.u128()?, from.u8()?, from.maybe(Reader::time)?);
    let seen = PlansSeen { last, rung, day: read_place(&mut from)?, changes: [from.u32()?, from.u32()?] };
    statement.plans = Plans { seen, changed_at, query_id: None };
    if stored_waits == StoredWaits::Sums {
        stored_waits.read(&mut from)?;
        // The first values of that layout end here.
        if !from.0.is_empty() {
            statement.plan_changes = from.maybe(ChangeTimes::read)?.map(Box::new);
        }
        return Ok(statement);
    }
    statement.waits = from.maybe(|from| stored_waits.read(from))?.map(Box::new);
    statement.plan_changes = from.maybe(ChangeTimes::read)?.map(Box::new);
    statement.cured = from.maybe(Cured::read)?.map(Box::new);
    // The first values of this layout end here.
    if !from.0.is_empty() {
        statement.timed_out = from.maybe(read_timed_out)?.map(Box::new);
    }
    // And those of dbintel before it said whose trial was given up here.
    if !from.0.is_empty()
        && let Some(given_up) = from.maybe(GivenUp::read)?
    {
        statement.note_given_up(given_up);
    }
    Ok(statement)
}

fn write_timed_out(out: &mut Writer, timed_out: &TimedOut) {
    out.length(timed_out.hours().count());
    for (hour, executions) in timed_out.hours() {
        out.i64(hour);
        out.u32(executions);
    }
}

fn read_timed_out(from: &mut Reader<'_>) -> Result<TimedOut, Damaged> {
    let mut timed_out = TimedOut::new(0);
    for _ in 0..from.length()? {
        let hour = read_place(from)?;
        timed_out.note(hour, from.u32()?.into());
    }
    Ok(timed_out)
}

/// The hours of one day, and the open hour if it is of that day.
pub(super) fn day(statement: &Statement, day: i64) -> Vec<u8> {
    // A thousand of these are written in a second, between batches: room is asked for once.
    let mut out = Writer::with_room(OPEN_BYTES + HOUR_BYTES * statement.hours.len().min(DAY_BLOCKS as usize));
    out.u8(LAYOUT);
    let first = day.saturating_mul(DAY_BLOCKS);
    statement.hours.write_part(&mut out, first..first.saturating_add(DAY_BLOCKS));
    let open = (day_of(statement.hour.place) == day).then_some(statement.hour);
    write_open(&mut out, open.unwrap_or_default());
    write_open(&mut out, statement.short);
    out.f64(statement.weight_ms);
    out.0
}

/// Adds the hours of a day to a statement.
pub(super) fn read_day(statement: &mut Statement, bytes: &[u8]) -> Result<(), Damaged> {
    let mut from = enter(bytes)?;
    let hours = History::<Hour>::read(&mut from, HOURS_MAX)?;
    let open = read_open(&mut from)?;
    // Days are read in order; an hour that was open on an earlier one is over.
    let earlier = std::mem::take(&mut statement.hour);
    statement.hours.add(earlier.place, &earlier.sums, HOURS_MAX, HOURS_REACH);
    statement.hours.take_over(hours, HOURS_MAX, HOURS_REACH);
    statement.hour = open;
    statement.short = read_open(&mut from)?;
    // The first values of this layout end here: then it is as the statement said, once a day.
    if !from.0.is_empty() {
        statement.weight_ms = sound(from.f64()?)?;
    }
    Ok(())
}

pub(super) fn shorts(statement: &Statement) -> Vec<u8> {
    let mut out = Writer::with_room(1 + 2 * 8 + SHORT_BYTES * statement.shorts.len());
    out.u8(LAYOUT);
    statement.shorts.write(&mut out);
    out.0
}

pub(super) fn read_shorts(statement: &mut Statement, bytes: &[u8]) -> Result<(), Damaged> {
    let mut from = enter(bytes)?;
    let shorts = History::<Short>::read(&mut from, SHORTS_MAX)?;
    statement.shorts.take_over(shorts, SHORTS_MAX, SHORTS_REACH);
    // The open one came with the hours, which are written more often; it may have been closed since.
    if statement.shorts.span().is_some_and(|(_, last)| last >= statement.short.place) {
        statement.short = Open::default();
    }
    Ok(())
}

// === Trials ===

pub(super) fn trial(trial: &Trial) -> Vec<u8> {
    let mut out = begin_with_waits();
    out.maybe(trial.flip.as_deref(), write_flip);
    out.time(trial.at);
    [trial.hour, trial.short].into_iter().for_each(|place| out.i64(place));
    trial.before.write(&mut out);
    trial.shorts_before.write(&mut out);
    trial.shorts_after.write(&mut out);
    trial.seen.into_iter().for_each(|count| out.u32(count));
    waits::write(&trial.waits_before, &mut out);
    waits::write(&trial.waits, &mut out);
    out.f64(trial.lost_ms);
    out.maybe(trial.finding, |out, id| out.u128(id.as_u128()));
    out.maybe(trial.regression, |out, (step, work)| {
        out.f64(step);
        out.maybe(work, Writer::f64);
    });
    out.maybe(trial.repair.map(|repair| repair.from), Writer::i64);
    trial.timed.into_iter().for_each(|times| out.maybe(times, write_times));
    out.maybe(trial.repair.map(|repair| repair.until), Writer::i64);
    out.0
}

pub(super) fn read_trial(statement: u64, bytes: &[u8]) -> Result<Trial, Damaged> {
    let (mut from, stored_waits) = enter_with_waits(bytes)?;
    let from = &mut from;
    let mut trial = Trial {
        statement,
        flip: from.maybe(read_flip)?.map(Box::new),
        at: from.time()?,
        hour: read_place(from)?,
        short: read_place(from)?,
        before: read_history(from, HOURS_MAX, HOURS_REACH)?,
        shorts_before: read_history(from, SHORTS_MAX, SHORTS_REACH)?,
        shorts_after: read_history(from, TRIAL_SHORTS_MAX, SHORTS_REACH)?,
        seen: [from.u32()?, from.u32()?],
        waits_before: stored_waits.read(from)?,
        waits: stored_waits.read(from)?,
        lost_ms: sound(from.f64()?)?,
        last: None,
        judged: None,
        timed: [None; 2],
        finding: from.maybe(|from| from.u128().map(FindingId::from_u128))?,
        regression: from.maybe(|from| Ok((from.f64()?, from.maybe(Reader::f64)?)))?,
        repair: from.maybe(read_place)?.map(|from| Repaired { until: from - 1, from }),
    };
    // The first values of this layout end here.
    if !from.0.is_empty() {
        trial.timed = read_timed(from, trial.flip.as_deref())?;
    }
    // And those of dbintel before it knew between which times something had happened here.
    if !from.0.is_empty()
        && let Some((until, repair)) = from.maybe(read_place)?.zip(trial.repair.as_mut())
    {
        repair.until = until.min(repair.from);
    }
    Ok(trial)
}

/// What every interval adds to a trial: of all else in it nothing changes until a block is over.
pub(super) fn watch(trial: &Trial) -> Vec<u8> {
    let mut out = begin_with_waits();
    out.time(trial.at);
    trial.seen.into_iter().for_each(|count| out.u32(count));
    waits::write(&trial.waits, &mut out);
    trial.timed.into_iter().for_each(|times| out.maybe(times, write_times));
    out.0
}

/// Adds it again. What is of another trial of the same statement was of one before.
pub(super) fn read_watch(trial: &mut Trial, bytes: &[u8]) -> Result<(), Damaged> {
    let mut from = Reader(bytes);
    let layout = from.u8()?;
    // Of one in a former layout the trial has all but the last seconds.
    if layout == LAYOUT || from.time()? != trial.at {
        return Ok(());
    }
    if layout != LAYOUT_WITH_WAITS {
        return Err(Damaged);
    }
    let (seen, waits) = ([from.u32()?, from.u32()?], waits::read(&mut from)?);
    let timed = read_timed(&mut from, trial.flip.as_deref())?;
    (trial.seen, trial.waits, trial.timed) = (seen, waits, timed);
    Ok(())
}

fn read_timed(from: &mut Reader<'_>, flip: Option<&Flip>) -> Result<[Option<PlanTimes>; 2], Damaged> {
    let [old, new] = flip.map_or([0; 2], |flip| [flip.old.exact, flip.new.exact]);
    Ok([from.maybe(|from| read_times(from, old))?, from.maybe(|from| read_times(from, new))?])
}

fn write_times(out: &mut Writer, times: PlanTimes) {
    out.u8(u8::from(times.source == PlanTimesSource::Extension));
    out.u64(times.executions);
    out.f64(times.mean_ms);
    out.f64(times.squared_deviations_ms2);
}

fn read_times(from: &mut Reader<'_>, plan: u128) -> Result<PlanTimes, Damaged> {
    let source = match from.u8()? {
        0 => PlanTimesSource::ServerLog,
        1 => PlanTimesSource::Extension,
        _ => return Err(Damaged),
    };
    let (executions, mean_ms) = (from.u64()?, sound(from.f64()?)?);
    Ok(PlanTimes { plan, source, executions, mean_ms, squared_deviations_ms2: sound(from.f64()?)? })
}

fn read_history<P: Packed>(from: &mut Reader<'_>, max: usize, reach: i64) -> Result<History<P>, Damaged> {
    let mut history = History::default();
    history.take_over(History::<P>::read(from, max)?, max, reach);
    Ok(history)
}

fn write_flip(out: &mut Writer, flip: &Flip) {
    out.u8(PlanRung::ALL.iter().position(|rung| *rung == flip.rung).unwrap_or(0) as u8);
    out.u8(u8::from(flip.is_proven));
    for plan in [flip.old, flip.new] {
        out.u128(plan.shape);
        out.u128(plan.exact);
    }
    out.time(flip.old_last_seen);
    out.maybe(flip.old_cost, Writer::f64);
    out.maybe(flip.new_cost, Writer::f64);
    out.u8(u8::from(flip.was_seen_before));
    out.text(&flip.difference);
    out.length(flip.causes.len());
    for cause in &flip.causes {
        out.text(&cause.kind);
        out.text(&cause.description);
    }
    out.u32(flip.causes_not_listed);
}

fn read_flip(from: &mut Reader<'_>) -> Result<Flip, Damaged> {
    let rung = PlanRung::ALL.get(usize::from(from.u8()?)).copied().ok_or(Damaged)?;
    let is_proven = from.u8()? != 0;
    let mut plan = || Ok(PlanFingerprint { shape: from.u128()?, exact: from.u128()? });
    let (old, new) = (plan()?, plan()?);
    Ok(Flip {
        rung,
        is_proven,
        old,
        new,
        old_last_seen: from.time()?,
        old_cost: from.maybe(Reader::f64)?,
        new_cost: from.maybe(Reader::f64)?,
        was_seen_before: from.u8()? != 0,
        difference: from.text()?,
        causes: list(from, |from| Ok(PlanCause { kind: from.text()?, description: from.text()? }))?,
        causes_not_listed: from.u32()?,
    })
}

// === Findings and the rest ===

/// To whom a finding belongs, and what may have caused it.
pub(super) fn follow(subject: u64, cause: Option<&Event>) -> Vec<u8> {
    let mut out = begin();
    out.u64(subject);
    out.maybe(cause, write_event);
    out.0
}

pub(super) fn read_follow(bytes: &[u8]) -> Result<(u64, Option<Event>), Damaged> {
    let mut from = enter(bytes)?;
    Ok((from.u64()?, from.maybe(read_event)?))
}

/// When a finding came to its end. Only in what one process hands to the next; the store has these findings themselves.
pub(super) fn ended(at: Timestamp) -> Vec<u8> {
    let mut out = begin();
    out.time(at);
    out.0
}

pub(super) fn read_ended(bytes: &[u8]) -> Result<Timestamp, Damaged> {
    enter(bytes)?.time()
}

pub(super) fn told(told: impl ExactSizeIterator<Item = (FindingKind, u64, Timestamp)>) -> Vec<u8> {
    let mut out = begin();
    out.length(told.len());
    for (kind, subject, at) in told {
        out.text(kind.as_str());
        out.u64(subject);
        out.time(at);
    }
    out.0
}

pub(super) fn read_told(bytes: &[u8]) -> Result<Vec<(FindingKind, u64, Timestamp)>, Damaged> {
    list(&mut enter(bytes)?, |from| {
        Ok((FindingKind::from_name(from.str()?).ok_or(Damaged)?, from.u64()?, from.time()?))
    })
}

pub(super) fn control(hours: &[ControlPoint], shorts: &[ControlPoint]) -> Vec<u8> {
    let mut out = begin();
    for points in [hours, shorts] {
        out.length(points.len());
        for point in points {
            out.i64(point.block);
            out.f64(point.log_ratio);
            out.u32(point.statements);
        }
    }
    out.0
}

/// The points of hours, and those of short blocks.
pub(super) fn read_control(bytes: &[u8]) -> Result<[Vec<ControlPoint>; 2], Damaged> {
    let mut from = enter(bytes)?;
    let mut points = || {
        let points = list(&mut from, |from| {
            Ok(ControlPoint { block: read_place(from)?, log_ratio: from.f64()?, statements: from.u32()? })
        })?;
        if points.is_sorted_by(|a, b| a.block < b.block) { Ok(points) } else { Err(Damaged) }
    };
    Ok([points()?, points()?])
}

pub(super) fn events<'a>(events: impl ExactSizeIterator<Item = &'a Event>) -> Vec<u8> {
    let mut out = begin();
    out.length(events.len());
    events.for_each(|event| write_event(&mut out, event));
    out.0
}

pub(super) fn read_events(bytes: &[u8]) -> Result<Vec<Event>, Damaged> {
    list(&mut enter(bytes)?, read_event)
}

const KINDS: [ChangeKind; 11] = [
    ChangeKind::Restart,
    ChangeKind::Failover,
    ChangeKind::Version,
    ChangeKind::StatisticsReset,
    ChangeKind::Setting,
    ChangeKind::Extension,
    ChangeKind::Analyze,
    ChangeKind::Vacuum,
    ChangeKind::TableRewrite,
    ChangeKind::StatisticsStale,
    ChangeKind::Ddl,
];

fn write_event(out: &mut Writer, event: &Event) {
    out.text(event.kind.as_str());
    out.time(event.at);
    let Event { database, subject, table, role, object, action, before, after, .. } = event;
    for text in [database, subject, table, role, object, action, before, after] {
        out.maybe(text.as_deref(), Writer::text);
    }
    out.maybe(event.modified, Writer::f64);
    out.maybe(event.rows, Writer::f64);
}

fn read_event(from: &mut Reader<'_>) -> Result<Event, Damaged> {
    let name = from.str()?;
    let kind = KINDS.into_iter().find(|kind| kind.as_str() == name).ok_or(Damaged)?;
    let at = from.time()?;
    let mut text = || -> Result<Option<Text>, Damaged> { from.maybe(Reader::text) };
    let (database, subject, table, role) = (text()?, text()?, text()?, text()?);
    let (object, action, before, after) = (text()?, text()?, text()?, text()?);
    let (modified, rows) = (from.maybe(Reader::f64)?, from.maybe(Reader::f64)?);
    Ok(Event { kind, at, database, subject, table, role, object, action, before, after, modified, rows })
}

// === Parts ===

fn write_key(out: &mut Writer, key: &QueryKey) {
    out.u8(SYSTEMS.iter().position(|system| *system == key.system).unwrap_or(0) as u8);
    out.text(&key.database);
    out.u32(key.database_id);
    out.text(&key.user);
    out.u32(key.user_id);
    out.i64(key.query_id);
    out.maybe(key.toplevel, |out, toplevel| out.u8(u8::from(toplevel)));
}

fn read_key(from: &mut Reader<'_>) -> Result<QueryKey, Damaged> {
    Ok(QueryKey {
        system: SYSTEMS.get(usize::from(from.u8()?)).copied().ok_or(Damaged)?,
        database: from.text()?,
        database_id: from.u32()?,
        user: from.text()?,
        user_id: from.u32()?,
        query_id: from.i64()?,
        toplevel: from.maybe(Reader::u8)?.map(|toplevel| toplevel != 0),
    })
}

fn write_open(out: &mut Writer, open: Open) {
    out.i64(open.place);
    open.sums.numbers().into_iter().for_each(|number| out.f64(number));
}

fn read_open(from: &mut Reader<'_>) -> Result<Open, Damaged> {
    let place = read_place(from)?;
    let mut numbers = [0.0; 7];
    for number in &mut numbers {
        *number = from.f64()?;
    }
    Ok(Open { place, sums: Sums::from_numbers(numbers).ok_or(Damaged)? })
}

fn list<T>(
    from: &mut Reader<'_>,
    mut read: impl FnMut(&mut Reader<'_>) -> Result<T, Damaged>,
) -> Result<Vec<T>, Damaged> {
    let count = from.length()?;
    if count > ENTRIES_MAX {
        return Err(Damaged);
    }
    (0..count).map(|_| read(from)).collect()
}

/// A number that can be one of ours.
fn sound(number: f64) -> Result<f64, Damaged> {
    if number.is_finite() && number >= 0.0 { Ok(number) } else { Err(Damaged) }
}
