//! The parts of a request around the records: resources, scopes, metrics.

use crate::json::{Json, Malformed};

/// What a line is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    Logs,
    Metrics,
    Traces,
}

/// Who takes the parts of a request.
pub(crate) trait Visitor<'a> {
    /// A resource; the scopes that follow are of it.
    fn resource(&mut self, json: &mut Json<'a>) -> Result<(), Malformed>;

    /// The scopes of a resource.
    fn scopes(&mut self, signal: Signal, json: &mut Json<'a>) -> Result<(), Malformed>;
}

/// Reads a line: a request, or a resource that stands alone.
pub(crate) fn read<'a>(json: &mut Json<'a>, visitor: &mut dyn Visitor<'a>) -> Result<(), Malformed> {
    let (mut whole, mut is_alone) = (*json, false);
    json.object(|json, key| match key {
        b"resourceLogs" | b"resourceMetrics" | b"resourceSpans" => json.array(|json| resource(json, visitor)),
        _ => {
            is_alone |= signal_of(key).is_some();
            json.skip()
        }
    })?;
    if is_alone { resource(&mut whole, visitor) } else { Ok(()) }
}

/// A resource with its scopes. Where these stand before it, they are read when it is known.
fn resource<'a>(json: &mut Json<'a>, visitor: &mut dyn Visitor<'a>) -> Result<(), Malformed> {
    let (mut is_known, mut waiting) = (false, Vec::new());
    json.object(|json, key| match signal_of(key) {
        _ if key == b"resource" => {
            is_known = true;
            visitor.resource(json)
        }
        Some(signal) if is_known => visitor.scopes(signal, json),
        Some(signal) => {
            waiting.push((signal, *json));
            json.skip()
        }
        None => json.skip(),
    })?;
    if !is_known {
        visitor.resource(&mut Json::new(b"{}"))?;
    }
    waiting.into_iter().try_for_each(|(signal, mut json)| visitor.scopes(signal, &mut json))
}

fn signal_of(key: &[u8]) -> Option<Signal> {
    match key {
        b"scopeLogs" => Some(Signal::Logs),
        b"scopeMetrics" => Some(Signal::Metrics),
        b"scopeSpans" => Some(Signal::Traces),
        _ => None,
    }
}

/// How many data points the scopes of metrics have.
pub(crate) fn data_points(scopes: &mut Json<'_>) -> Result<u64, Malformed> {
    let mut points = 0;
    each_item(scopes, b"metrics", &mut |json| {
        json.object(|json, _| {
            // What holds the points, whatever kind of metric it is named for, is the only object in it.
            if json.peek() != Some(b'{') {
                return json.skip();
            }
            json.object(|json, key| match key {
                b"dataPoints" => json.array(|json| {
                    points += 1;
                    json.skip()
                }),
                _ => json.skip(),
            })
        })
    })?;
    Ok(points)
}

/// How many spans there are in their scopes.
pub(crate) fn spans(scopes: &mut Json<'_>) -> Result<u64, Malformed> {
    let mut spans = 0;
    each_item(scopes, b"spans", &mut |json| {
        spans += 1;
        json.skip()
    })?;
    Ok(spans)
}

/// Calls `each` with every item of an array of scopes, in the list of this name.
pub(crate) fn each_item<'a>(
    scopes: &mut Json<'a>,
    list: &[u8],
    each: &mut dyn FnMut(&mut Json<'a>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    scopes
        .array(|json| json.object(|json, key| if key == list { json.array(&mut *each) } else { json.skip() }))
}
