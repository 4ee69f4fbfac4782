//! `db.server.query_sample` back to a session.

use dbintel_model::{Blocking, Session};

use crate::attributes::Attribute;
use crate::counts::PassedOver;
use crate::fields::Field;
use crate::query::Shared;
use crate::texts::Parts;

/// The session of these attributes.
pub(crate) fn session(attributes: &[Attribute<'_>], shared: &mut Shared) -> Result<Session, PassedOver> {
    let (mut session, mut text, mut is_known) = (Session::default(), Parts::default(), false);
    let mut blocking = Blocking::default();
    for attribute in attributes {
        is_known |= attribute.field == Field::Pid;
        let _ = text.take(attribute)
            || identity(&mut session, attribute, shared)
            || times(&mut session, attribute)
            || edge(&mut blocking, attribute, shared);
    }
    if !is_known {
        return Err(PassedOver::Incomplete("postgresql.pid"));
    }
    session.text = shared.texts.get(&text);
    session.blocking = (blocking != Blocking::default()).then(|| Box::new(blocking));
    Ok(session)
}

fn identity(session: &mut Session, attribute: &Attribute<'_>, shared: &mut Shared) -> bool {
    let value = attribute.value;
    let mut name = || value.raw().map(|raw| shared.names.get(raw));
    match attribute.field {
        Field::Pid => session.pid = value.whole().unwrap_or_default(),
        Field::LeaderPid => session.leader_pid = value.whole(),
        Field::Namespace => session.database = name(),
        Field::SessionUser => session.user = name(),
        Field::Application => session.application = name(),
        Field::ClientAddress => session.client_address = name(),
        Field::ClientPort => session.client_port = value.whole(),
        Field::ClientHostname => session.client_hostname = name(),
        Field::State => session.state = name(),
        Field::WaitEventType => session.wait_event_type = name(),
        Field::WaitEvent => session.wait_event = name(),
        Field::SessionQueryId => session.query_id = value.whole(),
        _ => return false,
    }
    true
}

fn times(session: &mut Session, attribute: &Attribute<'_>) -> bool {
    let value = attribute.value;
    match attribute.field {
        Field::BackendStart => session.backend_start = value.time(),
        Field::TransactionStart => session.transaction_start = value.time(),
        Field::QueryStart => session.query_start = value.time(),
        Field::StateChange => session.state_change = value.time(),
        Field::TotalTime => session.running_ms = value.number(),
        _ => return false,
    }
    true
}

fn edge(blocking: &mut Blocking, attribute: &Attribute<'_>, shared: &mut Shared) -> bool {
    let value = attribute.value;
    let mut name = || value.raw().map(|raw| shared.names.get(raw));
    match attribute.field {
        Field::BlockingPids => {
            let pids = value.text().unwrap_or_default();
            blocking.pids = pids.split(',').filter_map(|pid| pid.trim().parse().ok()).collect();
        }
        Field::BlockingDepth => blocking.depth = value.whole().unwrap_or_default(),
        Field::BlockingRoot => blocking.root_pid = value.whole(),
        Field::BlockedSessions => blocking.blocked_sessions = value.whole().unwrap_or_default(),
        Field::BlockingStart => blocking.wait_start = value.time(),
        Field::BlockerTransaction => blocking.blocker_transaction_start = value.time(),
        Field::BlockingDuration => blocking.wait_duration_ms = value.number(),
        Field::LockMode => blocking.lock_mode = name(),
        Field::LockType => blocking.lock_type = name(),
        Field::LockRelation => blocking.lock_relation = name(),
        _ => return false,
    }
    true
}
