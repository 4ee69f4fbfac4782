//! What ties it together: files in, batches out.

use std::path::Path;
use std::sync::Arc;

use dbintel_model::catalogue::{CHANGE, PLAN_CHANGE, QUERY_SAMPLE, TOP_QUERY};
use dbintel_model::{Attribute as ResourceAttribute, Batch, Record, Timestamp};

use crate::attributes::{self, Attribute, Read};
use crate::batches::Batches;
use crate::change::change;
use crate::counts::{Counts, Kind, PassedOver, What};
use crate::fields::{Field, Fields};
use crate::json::{Json, Malformed};
use crate::lines::{Lines, Next};
use crate::plan_change::plan_change;
use crate::query::{Shared, query};
use crate::request::{self, Signal, Visitor};
use crate::session::session;
use crate::sources::Sources;

/// Reads files, one after the other.
#[derive(Debug, Default)]
pub struct Reader {
    counts: Counts,
    sources: Sources,
    shared: Shared,
    batches: Batches,
    fields: Fields,
    resource_fields: Fields,
    line: Vec<u8>,
}

/// A line that is being read.
struct OfLine<'r, 'a> {
    counts: &'r mut Counts,
    sources: &'r mut Sources,
    shared: &'r mut Shared,
    batches: &'r mut Batches,
    fields: &'r mut Fields,
    resource_fields: &'r mut Fields,
    each: &'r mut dyn FnMut(Batch),
    /// The server of the resource that is being read.
    source: Option<usize>,
    attributes: Vec<Attribute<'a>>,
}

/// The fields of a log record beside its attributes.
#[derive(Clone, Copy, Debug, Default)]
struct Envelope<'a> {
    name: Option<&'a [u8]>,
    time: u64,
    observed: u64,
}

// === impl Reader ===

impl Reader {
    /// Reads a file to its end, or as far as it can be read, and calls `each` with every batch that is whole. What is wrong is
    /// among the problems of [`Self::counts`].
    pub fn read(&mut self, path: &Path, each: &mut dyn FnMut(Batch)) {
        let mut lines = match Lines::open(path) {
            Ok(lines) => lines,
            Err(error) => return self.counts.problem(path, 0, What::Unreadable(error.to_string())),
        };
        self.counts.files += 1;
        let (mut line, mut number) = (std::mem::take(&mut self.line), 0);
        loop {
            match lines.next(&mut line) {
                Ok(Some(Next::Line)) => {
                    number += 1;
                    if let Err(what) = self.line(&line, each) {
                        self.counts.problem(path, number, what);
                    }
                }
                Ok(Some(Next::TooLong)) => {
                    number += 1;
                    self.counts.problem(path, number, What::TooLong);
                }
                Ok(Some(Next::Damaged(why))) => {
                    number += 1;
                    self.counts.problem(path, number, What::DamagedFrame(why));
                }
                Ok(None) => break,
                Err(error) => {
                    self.counts.problem(path, number, What::Unreadable(error.to_string()));
                    break;
                }
            }
        }
        self.line = line;
    }

    /// Reads one line.
    ///
    /// # Errors
    /// Where it is damaged. What stood before that place is read.
    pub fn line(&mut self, line: &[u8], each: &mut dyn FnMut(Batch)) -> Result<(), What> {
        let mut json = Json::new(line);
        if json.is_at_end() {
            return Ok(());
        }
        self.counts.lines += 1;
        self.counts.bytes += line.len() as u64;
        let Self { counts, sources, shared, batches, fields, resource_fields, .. } = self;
        let (source, attributes) = (None, Vec::new());
        let mut of_line =
            OfLine { counts, sources, shared, batches, fields, resource_fields, each, source, attributes };
        let read = request::read(&mut json, &mut of_line);
        let read = match read {
            Ok(()) if !json.is_at_end() => Err(Malformed { expected: "the end of the line" }),
            read => read,
        };
        read.map_err(|Malformed { expected }| What::Damaged {
            expected,
            column: line.len() - json.left() + 1,
        })
    }

    /// After the last file: the batch that is left.
    pub fn finish(&mut self, each: &mut dyn FnMut(Batch)) {
        if let Some(batch) = self.batches.finish() {
            each(batch);
        }
    }

    /// What was read so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts { servers: self.sources.len(), ..self.counts.clone() }
    }
}

// === impl OfLine ===

impl<'a> Visitor<'a> for OfLine<'_, 'a> {
    fn resource(&mut self, json: &mut Json<'a>) -> Result<(), Malformed> {
        let raw = json.value_bytes()?;
        self.source = match self.sources.known(raw) {
            Some(place) => Some(place),
            None => self.sources.enter(raw, resource_attributes(raw, self.resource_fields)?),
        };
        Ok(())
    }

    fn scopes(&mut self, signal: Signal, json: &mut Json<'a>) -> Result<(), Malformed> {
        match signal {
            Signal::Logs => request::each_item(json, b"logRecords", &mut |json| self.log_record(json)),
            Signal::Metrics => {
                let points = request::data_points(json)?;
                self.counts.unused("metric points", points);
                Ok(())
            }
            Signal::Traces => {
                let spans = request::spans(json)?;
                self.counts.unused("spans", spans);
                Ok(())
            }
        }
    }
}

impl<'a> OfLine<'_, 'a> {
    fn log_record(&mut self, json: &mut Json<'a>) -> Result<(), Malformed> {
        let mut envelope = Envelope::default();
        self.attributes.clear();
        let (attributes, fields) = (&mut self.attributes, &mut *self.fields);
        json.object(|json, key| {
            match key {
                b"timeUnixNano" => envelope.time = nanos(json)?,
                b"observedTimeUnixNano" => envelope.observed = nanos(json)?,
                b"eventName" => envelope.name = Some(json.string()?.bytes),
                b"attributes" => attributes::read_all(json, fields, attributes)?,
                _ => json.skip()?,
            }
            Ok(())
        })?;
        let attributes = std::mem::take(&mut self.attributes);
        self.event(envelope, &attributes);
        self.attributes = attributes;
        Ok(())
    }

    fn event(&mut self, envelope: Envelope<'a>, attributes: &[Attribute<'a>]) {
        // Where the name stood before OTLP had a field for it.
        let in_attributes = || {
            let named = attributes.iter().find(|attribute| attribute.field == Field::EventName)?;
            Some(named.value.raw()?.bytes)
        };
        let name = envelope.name.filter(|name| !name.is_empty()).or_else(in_attributes);
        let Some(kind) = kind_of(name.unwrap_or_default()) else {
            let name = name.map(String::from_utf8_lossy);
            return self.counts.unused(name.as_deref().unwrap_or("log records without a name"), 1);
        };
        if let Err(why) = self.record(kind, envelope, attributes) {
            self.counts.passed_over(why);
        }
    }

    fn record(
        &mut self,
        kind: Kind,
        envelope: Envelope<'_>,
        attributes: &[Attribute<'a>],
    ) -> Result<(), PassedOver> {
        let place = self.source.ok_or(PassedOver::TooManyServers)?;
        let source = self.sources.get_mut(place).ok_or(PassedOver::TooManyServers)?;
        let observed = if envelope.observed == 0 { envelope.time } else { envelope.observed };
        let time = if envelope.time == 0 { observed } else { envelope.time };
        let (time, observed) = (Timestamp::from_nanos(time), Timestamp::from_nanos(observed));
        let record = match kind {
            Kind::Query => {
                Record::Query(Box::new(query(attributes, time, self.shared, &mut source.contrib)?))
            }
            Kind::Session => Record::Session(Box::new(session(attributes, self.shared)?)),
            Kind::Change => Record::Change(Box::new(change(attributes)?)),
            Kind::PlanChange => Record::PlanChange(Box::new(plan_change(attributes, self.shared)?)),
        };
        self.counts.record(kind, time);
        let target = Arc::clone(&source.target);
        if let Some(batch) = self.batches.push((place, &target), (observed, time), record) {
            (self.each)(batch);
        }
        Ok(())
    }
}

fn kind_of(name: &[u8]) -> Option<Kind> {
    let is = |event: &str| name == event.as_bytes();
    match () {
        () if is(TOP_QUERY.name) => Some(Kind::Query),
        () if is(QUERY_SAMPLE.name) => Some(Kind::Session),
        () if is(CHANGE.name) => Some(Kind::Change),
        () if is(PLAN_CHANGE.name) => Some(Kind::PlanChange),
        () => None,
    }
}

/// A time in nanoseconds; one that is no number is none.
fn nanos(json: &mut Json<'_>) -> Result<u64, Malformed> {
    Ok(attributes::unsigned(json.number()?).unwrap_or(0))
}

fn resource_attributes(raw: &[u8], fields: &mut Fields) -> Result<Vec<ResourceAttribute>, Malformed> {
    let mut read = Vec::new();
    Json::new(raw).object(|json, key| match key {
        b"attributes" => attributes::read_all(json, fields, &mut read),
        _ => json.skip(),
    })?;
    let owned = |attribute: Attribute<'_>| {
        let value = Read::owned(attribute.value)?;
        let key = String::from_utf8_lossy(attribute.key).into_owned();
        Some(ResourceAttribute { key: key.into(), value })
    };
    Ok(read.into_iter().filter_map(owned).collect())
}

#[cfg(test)]
mod tests;
