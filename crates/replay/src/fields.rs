//! Which attribute a name stands for.
//!
//! The encoder of a collector writes the attributes of an event in one order. So the name at a place is first compared with the
//! one that was there last, and looked up only if it is another.

use std::collections::HashMap;

use dbintel_model::catalogue::STATEMENT_COUNTERS;

/// Places whose last name is remembered. Events have fewer attributes.
const PLACES_MAX: usize = 128;

/// An attribute that records are made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    /// One that no record is made from by itself.
    Unknown,
    /// A counter of a statement, by its place among those of the catalogue.
    Counter(usize),
    EventName,
    System,
    Namespace,
    Role,
    UserId,
    QueryId,
    SessionQueryId,
    Toplevel,
    Text,
    Summary,
    Operation,
    Fingerprint,
    Kind,
    Truncated,
    Calls,
    TotalTime,
    Mean,
    Variance,
    Exactness,
    IntervalStart,
    IntervalEnd,
    Rank,
    Failed,
    TimedOut,
    Rung,
    Plan,
    Shape,
    PlanIdentity,
    PlanTime,
    OldPlan,
    OldShape,
    Cost,
    OldCost,
    OldFirst,
    OldLast,
    PreviouslyFirst,
    PreviouslyLast,
    Difference,
    CauseKinds,
    Causes,
    /// What follows from others: the level of a change of plan, and whether the plan was seen before.
    Derived,
    ChangeKind,
    ChangeTime,
    ChangeNotBefore,
    Subject,
    Before,
    After,
    Pid,
    LeaderPid,
    SessionUser,
    Application,
    ClientAddress,
    ClientPort,
    ClientHostname,
    State,
    WaitEventType,
    WaitEvent,
    BackendStart,
    TransactionStart,
    QueryStart,
    StateChange,
    BlockingPids,
    BlockingDepth,
    BlockingRoot,
    BlockedSessions,
    BlockingStart,
    BlockerTransaction,
    BlockingDuration,
    LockMode,
    LockType,
    LockRelation,
}

/// Every name but those of the counters.
const NAMES: &[(&str, Field)] = &[
    ("event.name", Field::EventName),
    ("db.system.name", Field::System),
    ("db.namespace", Field::Namespace),
    ("postgresql.rolname", Field::Role),
    ("userid", Field::UserId),
    ("postgresql.queryid", Field::QueryId),
    ("postgresql.query_id", Field::SessionQueryId),
    ("dbintel.query.toplevel", Field::Toplevel),
    ("db.query.text", Field::Text),
    ("db.query.summary", Field::Summary),
    ("db.operation.name", Field::Operation),
    ("dbintel.query.fingerprint", Field::Fingerprint),
    ("dbintel.query.kind", Field::Kind),
    ("dbintel.query.text.truncated", Field::Truncated),
    ("postgresql.calls", Field::Calls),
    ("postgresql.total_exec_time", Field::TotalTime),
    ("dbintel.query.mean_exec_time", Field::Mean),
    ("dbintel.query.variance_exec_time", Field::Variance),
    ("dbintel.query.exactness", Field::Exactness),
    ("dbintel.interval.start", Field::IntervalStart),
    ("dbintel.interval.end", Field::IntervalEnd),
    ("dbintel.query.rank", Field::Rank),
    ("dbintel.query.failed", Field::Failed),
    ("dbintel.query.timed_out", Field::TimedOut),
    ("dbintel.plan.rung", Field::Rung),
    ("dbintel.plan.fingerprint", Field::Plan),
    ("dbintel.plan.shape", Field::Shape),
    ("dbintel.plan.identity", Field::PlanIdentity),
    ("dbintel.plan.time", Field::PlanTime),
    ("dbintel.plan.old.fingerprint", Field::OldPlan),
    ("dbintel.plan.old.shape", Field::OldShape),
    ("dbintel.plan.cost", Field::Cost),
    ("dbintel.plan.old.cost", Field::OldCost),
    ("dbintel.plan.old.first_seen", Field::OldFirst),
    ("dbintel.plan.old.last_seen", Field::OldLast),
    ("dbintel.plan.previously.first_seen", Field::PreviouslyFirst),
    ("dbintel.plan.previously.last_seen", Field::PreviouslyLast),
    ("dbintel.plan.change.difference", Field::Difference),
    ("dbintel.plan.change.cause_kinds", Field::CauseKinds),
    ("dbintel.plan.change.causes", Field::Causes),
    ("dbintel.plan.change.level", Field::Derived),
    ("dbintel.plan.change.seen_before", Field::Derived),
    ("dbintel.change.kind", Field::ChangeKind),
    ("dbintel.change.time", Field::ChangeTime),
    ("dbintel.change.not_before", Field::ChangeNotBefore),
    ("dbintel.change.subject", Field::Subject),
    ("dbintel.change.before", Field::Before),
    ("dbintel.change.after", Field::After),
    ("postgresql.pid", Field::Pid),
    ("dbintel.session.leader_pid", Field::LeaderPid),
    ("user.name", Field::SessionUser),
    ("postgresql.application_name", Field::Application),
    ("network.peer.address", Field::ClientAddress),
    ("network.peer.port", Field::ClientPort),
    ("postgresql.client_hostname", Field::ClientHostname),
    ("postgresql.state", Field::State),
    ("postgresql.wait_event_type", Field::WaitEventType),
    ("postgresql.wait_event", Field::WaitEvent),
    ("postgresql.backend.connection.start", Field::BackendStart),
    ("dbintel.session.transaction_start", Field::TransactionStart),
    ("postgresql.query_start", Field::QueryStart),
    ("dbintel.session.state_change", Field::StateChange),
    ("postgresql.blocking.pids", Field::BlockingPids),
    ("dbintel.blocking.depth", Field::BlockingDepth),
    ("dbintel.blocking.root_pid", Field::BlockingRoot),
    ("dbintel.blocking.blocked_sessions", Field::BlockedSessions),
    ("postgresql.blocking.start_time", Field::BlockingStart),
    ("postgresql.blocking.transaction.start_time", Field::BlockerTransaction),
    ("postgresql.blocking.wait_duration", Field::BlockingDuration),
    ("postgresql.blocking.lock.mode", Field::LockMode),
    ("postgresql.blocking.lock.type", Field::LockType),
    ("postgresql.blocking.lock.relation", Field::LockRelation),
];

/// All names, and those of the record before by their places.
#[derive(Debug)]
pub(crate) struct Fields {
    by_name: HashMap<&'static [u8], Field>,
    places: Vec<(&'static [u8], Field)>,
    next: usize,
}

impl Default for Fields {
    fn default() -> Self {
        let counters = STATEMENT_COUNTERS.iter().enumerate();
        let counters = counters
            .filter_map(|(place, counter)| Some((counter.attribute?.as_bytes(), Field::Counter(place))));
        let names = NAMES.iter().map(|(name, field)| (name.as_bytes(), *field));
        Self { by_name: names.chain(counters).collect(), places: Vec::new(), next: 0 }
    }
}

impl Fields {
    /// A record begins.
    pub(crate) fn begin(&mut self) {
        self.next = 0;
    }

    /// The attribute of this name, the next one of its record.
    pub(crate) fn of(&mut self, name: &[u8]) -> Field {
        let place = self.next;
        self.next += 1;
        if let Some((known, field)) = self.places.get(place)
            && *known == name
        {
            return *field;
        }
        let Some((known, field)) = self.by_name.get_key_value(name) else { return Field::Unknown };
        if place >= self.places.len() && place < PLACES_MAX {
            self.places.resize(place + 1, (&[], Field::Unknown));
        }
        if let Some(last) = self.places.get_mut(place) {
            *last = (*known, *field);
        }
        *field
    }
}

#[cfg(test)]
mod tests {
    use dbintel_model::catalogue::{CHANGE, PLAN_CHANGE, QUERY_SAMPLE, TOP_QUERY};

    use super::*;

    /// Attributes that a record does not have back: a closed list of the receiver, a sampler's decision, facts.
    const LEFT_OUT: [&str; 4] = [
        "dbintel.plan.missing",
        "dbintel.sampling.probability",
        "dbintel.sampling.suppressed",
        "postgresql.table.",
    ];

    #[test]
    fn every_attribute_of_the_catalogue_is_known() {
        let mut fields = Fields::default();
        for event in [&TOP_QUERY, &QUERY_SAMPLE, &CHANGE, &PLAN_CHANGE] {
            fields.begin();
            for (name, _) in event.attributes {
                let is_left_out = LEFT_OUT.iter().any(|out| name.starts_with(out))
                    || (event.name == CHANGE.name && name.matches('.').count() == 2);
                let field = fields.of(name.as_bytes());
                assert!(field != Field::Unknown || is_left_out, "{}: {name}", event.name);
            }
        }
    }

    #[test]
    fn a_name_is_found_at_any_place() {
        let mut fields = Fields::default();
        for _ in 0..3 {
            for names in [["userid", "nobody's", "db.namespace"], ["db.namespace", "userid", "userid"]] {
                fields.begin();
                for name in names {
                    let field = fields.of(name.as_bytes());
                    match name {
                        "userid" => assert_eq!(field, Field::UserId),
                        "db.namespace" => assert_eq!(field, Field::Namespace),
                        _ => assert_eq!(field, Field::Unknown),
                    }
                }
            }
        }
    }
}
