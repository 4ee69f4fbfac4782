//! The state of an extractor as bytes, so that a chain that is built anew does not tell every plan again.
//!
//! Texts of statements are left out: they come back with the next plan. What is read back is held to the same bounds.

use std::collections::VecDeque;
use std::sync::Arc;

use dbintel_model::{PlanFingerprint, PlanIdentity, PlanNews, PlanRung, PlanSpan, QueryKey};

use super::causes::{Recent, RecentChanges};
use super::nodes::{Identity, Known, MAX_NODES, Nodes};
use super::statements::{Earlier, MAX_EARLIER_PLANS, Statement, StatementKey, Statements, Track};
use super::stored::StoredPlan;
use crate::codec::{Damaged, Reader, Writer};

/// First byte of a snapshot; another layout gets another one.
const LAYOUT: u8 = 3;
/// Systems whose statements a snapshot can name.
const SYSTEMS: [&str; 1] = ["postgresql"];
/// The largest plan that is read back, before compression.
const PLAN_BYTES_MAX: usize = 4 * dbintel_plan::MAX_PLAN_BYTES;

/// What is known, as bytes.
pub(super) fn write(nodes: &Nodes, changes: &RecentChanges, statements: &Statements) -> Vec<u8> {
    let mut out = Writer::default();
    out.u8(LAYOUT);
    out.length(nodes.known().len());
    nodes.known().for_each(|known| write_node(&mut out, known));
    out.length(changes.iter().len());
    changes.iter().for_each(|change| write_change(&mut out, change));
    for (key, statement) in statements.iter() {
        if let Some(system) = SYSTEMS.iter().position(|system| *system == statement.key.system) {
            write_statement(&mut out, system, key, statement);
        }
    }
    out.0
}

/// What a predecessor knew; statements go into the table given.
pub(super) fn read(bytes: &[u8], statements: &mut Statements) -> Result<(Nodes, RecentChanges), Damaged> {
    let mut from = Reader(bytes);
    if from.u8()? != LAYOUT {
        return Err(Damaged);
    }
    let mut nodes = Vec::new();
    for _ in 0..from.length()? {
        nodes.push(read_node(&mut from)?);
        if nodes.len() > MAX_NODES {
            return Err(Damaged);
        }
    }
    let mut changes = RecentChanges::default();
    for _ in 0..from.length()? {
        changes.push(read_change(&mut from)?);
    }
    while !from.0.is_empty() {
        let (key, statement) = read_statement(&mut from)?;
        statements.restore(key, statement);
    }
    Ok((Nodes::restored(nodes), changes))
}

fn write_node(out: &mut Writer, known: &Known) {
    let Identity { system_identifier, timeline, in_recovery, address, major } = &known.identity;
    out.u32(known.number);
    out.maybe(*system_identifier, Writer::u64);
    out.maybe(*timeline, Writer::u32);
    out.u8(u8::from(*in_recovery));
    out.maybe(address.as_deref(), Writer::text);
    out.u32(*major);
    out.u8(known.news as u8);
}

fn read_node(from: &mut Reader<'_>) -> Result<Known, Damaged> {
    let number = from.u32()?;
    let identity = Identity {
        system_identifier: from.maybe(Reader::u64)?,
        timeline: from.maybe(Reader::u32)?,
        in_recovery: from.u8()? != 0,
        address: from.maybe(Reader::text)?,
        major: from.u32()?,
    };
    Ok(Known { number, identity, news: one_of(&PlanNews::ALL, from)? })
}

fn write_change(out: &mut Writer, change: &Recent) {
    out.text(&change.kind);
    out.time(change.at);
    out.maybe(change.database.as_deref(), Writer::text);
    for name in [&change.table, &change.index, &change.role] {
        out.maybe(name.as_deref(), Writer::text);
    }
    out.text(&change.description);
}

fn read_change(from: &mut Reader<'_>) -> Result<Recent, Damaged> {
    Ok(Recent {
        kind: from.text()?,
        at: from.time()?,
        database: from.maybe(Reader::text)?,
        table: from.maybe(Reader::text)?,
        index: from.maybe(Reader::text)?,
        role: from.maybe(Reader::text)?,
        description: from.text()?,
    })
}

fn write_statement(out: &mut Writer, system: usize, key: &StatementKey, statement: &Statement) {
    out.length(system);
    let QueryKey { system: _, database, database_id, user, user_id, query_id, toplevel } = &statement.key;
    out.u32(key.node);
    out.u64(key.names);
    out.text(database);
    out.u32(*database_id);
    out.text(user);
    out.u32(*user_id);
    out.u64(query_id.cast_unsigned());
    out.maybe(*toplevel, |out, toplevel| out.u8(u8::from(toplevel)));
    for track in &statement.tracks {
        out.maybe(track.as_deref(), write_track);
    }
}

fn read_statement(from: &mut Reader<'_>) -> Result<(StatementKey, Statement), Damaged> {
    let system = *SYSTEMS.get(from.length()?).ok_or(Damaged)?;
    let (node, names) = (from.u32()?, from.u64()?);
    let key = QueryKey {
        system,
        database: from.text()?,
        database_id: from.u32()?,
        user: from.text()?,
        user_id: from.u32()?,
        query_id: from.u64()?.cast_signed(),
        toplevel: from.maybe(|from| Ok(from.u8()? != 0))?,
    };
    let mut tracks = [const { None }; PlanRung::ALL.len()];
    for track in &mut tracks {
        *track = from.maybe(read_track)?.map(Box::new);
    }
    let QueryKey { database_id, user_id, query_id, .. } = key;
    Ok((StatementKey { node, database_id, user_id, query_id, names }, Statement::with(key, None, tracks)))
}

fn write_track(out: &mut Writer, track: &Track) {
    write_fingerprint(out, track.fingerprint);
    out.u8(u8::from(track.identity == PlanIdentity::Proven));
    out.maybe(track.cost, |out, cost| out.u64(cost.to_bits()));
    write_plan(out, &track.plan);
    write_span(out, track.span);
    out.time(track.known_since);
    out.maybe(track.previous.as_deref(), write_plan);
    out.length(track.earlier.len());
    for earlier in &track.earlier {
        write_fingerprint(out, earlier.fingerprint);
        write_span(out, earlier.span);
    }
    out.maybe(track.changed_at, Writer::time);
    out.u64(track.changes);
}

fn read_track(from: &mut Reader<'_>) -> Result<Track, Damaged> {
    Ok(Track {
        fingerprint: read_fingerprint(from)?,
        identity: if from.u8()? != 0 { PlanIdentity::Proven } else { PlanIdentity::Unproven },
        cost: from.maybe(|from| from.u64().map(f64::from_bits))?,
        plan: Arc::new(read_plan(from)?),
        tables: Arc::default(),
        span: read_span(from)?,
        form: None,
        known_since: from.time()?,
        previous: from.maybe(read_plan)?.map(Arc::new),
        earlier: read_earlier(from)?,
        changed_at: from.maybe(Reader::time)?,
        changes: from.u64()?,
    })
}

fn read_earlier(from: &mut Reader<'_>) -> Result<VecDeque<Earlier>, Damaged> {
    let mut all = VecDeque::new();
    for _ in 0..from.length()? {
        all.push_back(Earlier { fingerprint: read_fingerprint(from)?, span: read_span(from)? });
        if all.len() > MAX_EARLIER_PLANS {
            return Err(Damaged);
        }
    }
    Ok(all)
}

fn write_plan(out: &mut Writer, plan: &StoredPlan) {
    match plan {
        StoredPlan::Plain(json) => {
            out.u8(0);
            out.text(json);
        }
        StoredPlan::Compressed { bytes, length } => {
            out.u8(1);
            out.bytes(bytes);
            out.length(*length);
        }
    }
}

fn read_plan(from: &mut Reader<'_>) -> Result<StoredPlan, Damaged> {
    match from.u8()? {
        0 => Ok(StoredPlan::Plain(from.str()?.into())),
        1 => {
            let (bytes, length) = (from.bytes()?.into(), from.length()?);
            if length > PLAN_BYTES_MAX { Err(Damaged) } else { Ok(StoredPlan::Compressed { bytes, length }) }
        }
        _ => Err(Damaged),
    }
}

fn write_fingerprint(out: &mut Writer, fingerprint: PlanFingerprint) {
    out.u128(fingerprint.shape);
    out.u128(fingerprint.exact);
}

fn read_fingerprint(from: &mut Reader<'_>) -> Result<PlanFingerprint, Damaged> {
    Ok(PlanFingerprint { shape: from.u128()?, exact: from.u128()? })
}

fn write_span(out: &mut Writer, span: PlanSpan) {
    out.time(span.first);
    out.time(span.last);
}

fn read_span(from: &mut Reader<'_>) -> Result<PlanSpan, Damaged> {
    Ok(PlanSpan { first: from.time()?, last: from.time()? })
}

/// The value at a place in a closed list.
fn one_of<T: Copy>(all: &[T], from: &mut Reader<'_>) -> Result<T, Damaged> {
    all.get(usize::from(from.u8()?)).copied().ok_or(Damaged)
}
