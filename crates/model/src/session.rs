//! Sessions: what one backend of the server was doing when we looked.

use std::sync::Arc;

use crate::{QueryText, Sampling, Text, Timestamp, ValueRef};

/// One sampled session: active, waiting, or idle in a transaction while it blocks others.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Session {
    /// Process id of the backend.
    pub pid: i64,
    /// Process id of the parallel leader, where this backend is a parallel worker.
    pub leader_pid: Option<i64>,
    /// Database of the session.
    pub database: Option<Text>,
    /// Role of the session.
    pub user: Option<Text>,
    /// `application_name`, as the client set it.
    pub application: Option<Text>,
    /// Client address, without the port.
    pub client_address: Option<Text>,
    /// Client port; absent on a Unix socket.
    pub client_port: Option<i64>,
    /// Client host name, where `log_hostname` is on.
    pub client_hostname: Option<Text>,
    /// `active`, `idle in transaction`, …
    pub state: Option<Text>,
    /// Class of what it waits for; `None` while it runs on the CPU.
    pub wait_event_type: Option<Text>,
    /// What it waits for.
    pub wait_event: Option<Text>,
    /// Query identifier (PostgreSQL 14 and later, where `compute_query_id` is on). Signed 64 bits.
    pub query_id: Option<i64>,
    /// Masked text and own fingerprint.
    pub text: Option<Arc<QueryText>>,
    /// When the backend was started.
    pub backend_start: Option<Timestamp>,
    /// When its transaction was started.
    pub transaction_start: Option<Timestamp>,
    /// When its present or last statement was started.
    pub query_start: Option<Timestamp>,
    /// When its state changed last.
    pub state_change: Option<Timestamp>,
    /// How long the present statement has been running at the moment of the sample, in milliseconds, by the server's
    /// clock.
    pub running_ms: Option<f64>,
    /// Whom it waits for, if it waits for a lock.
    pub blocking: Option<Box<Blocking>>,
    /// What a sampler has decided; `None` where none has seen it.
    pub sampling: Option<Sampling>,
}

/// The edge from a waiting session to those that block it, and where it stands in the tree.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Blocking {
    /// Process ids that block this session; 0 stands for a prepared transaction.
    pub pids: Vec<i64>,
    /// The process at the root of the chain: one that blocks and does not wait itself.
    pub root_pid: Option<i64>,
    /// How many edges lie between this session and the root; 1 directly below it. Cycles are cut.
    pub depth: i64,
    /// How many sessions wait for this one, directly or not.
    pub blocked_sessions: i64,
    /// When the wait for the lock began (PostgreSQL 14 and later).
    pub wait_start: Option<Timestamp>,
    /// How long it has waited, in milliseconds, by the server's clock.
    pub wait_duration_ms: Option<f64>,
    /// Mode of the lock waited for.
    pub lock_mode: Option<Text>,
    /// Type of the lock waited for: `relation`, `transactionid`, …
    pub lock_type: Option<Text>,
    /// Relation of the lock waited for, as `schema.table` where it could be named.
    pub lock_relation: Option<Text>,
    /// Start of the transaction of the blocking session.
    pub blocker_transaction_start: Option<Timestamp>,
}

impl Session {
    /// Calls `visit` with every attribute of the `db.server.query_sample` event that is known.
    ///
    /// Names are those of OpenTelemetry contrib's receiver; what it lacks is below `dbintel.`.
    pub fn for_each_attribute(&self, visit: &mut dyn FnMut(&str, ValueRef<'_>)) {
        visit("db.system.name", ValueRef::Text("postgresql"));
        visit("postgresql.pid", ValueRef::Int(self.pid));
        let texts = [
            ("db.namespace", &self.database),
            ("user.name", &self.user),
            ("postgresql.application_name", &self.application),
            ("network.peer.address", &self.client_address),
            ("postgresql.client_hostname", &self.client_hostname),
            ("postgresql.state", &self.state),
            ("postgresql.wait_event_type", &self.wait_event_type),
            ("postgresql.wait_event", &self.wait_event),
        ];
        visit_texts(&texts, visit);
        if let Some(port) = self.client_port {
            visit("network.peer.port", ValueRef::Int(port));
        }
        if let Some(leader) = self.leader_pid {
            visit("dbintel.session.leader_pid", ValueRef::Int(leader));
        }
        if let Some(id) = self.query_id {
            visit("postgresql.query_id", ValueRef::Text(itoa::Buffer::new().format(id)));
        }
        if let Some(text) = &self.text {
            text.for_each_attribute(visit);
        }
        let times = [
            ("postgresql.backend.connection.start", self.backend_start),
            ("postgresql.query_start", self.query_start),
            ("dbintel.session.transaction_start", self.transaction_start),
            ("dbintel.session.state_change", self.state_change),
        ];
        visit_times(&times, visit);
        if let Some(running) = self.running_ms {
            visit("postgresql.total_exec_time", ValueRef::Double(running));
        }
        if let Some(blocking) = &self.blocking {
            blocking.for_each_attribute(visit);
        }
        if let Some(sampling) = &self.sampling {
            sampling.for_each_attribute(visit);
        }
    }

    /// Bytes this record keeps alive beyond its own size.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        let texts =
            [&self.database, &self.user, &self.application, &self.client_address, &self.client_hostname];
        texts.iter().filter_map(|text| text.as_ref().map(|text| text.len())).sum::<usize>()
            + self.text.as_ref().map_or(0, |text| text.weight_bytes())
            + self.blocking.as_ref().map_or(0, |blocking| size_of::<Blocking>() + blocking.pids.len() * 8)
    }
}

impl Blocking {
    fn for_each_attribute(&self, visit: &mut dyn FnMut(&str, ValueRef<'_>)) {
        if !self.pids.is_empty() {
            visit("postgresql.blocking.pids", ValueRef::Text(&comma_separated(&self.pids)));
            visit("dbintel.blocking.depth", ValueRef::Int(self.depth));
        }
        if let Some(root) = self.root_pid {
            visit("dbintel.blocking.root_pid", ValueRef::Int(root));
        }
        if self.blocked_sessions > 0 {
            visit("dbintel.blocking.blocked_sessions", ValueRef::Int(self.blocked_sessions));
        }
        let times = [
            ("postgresql.blocking.start_time", self.wait_start),
            ("postgresql.blocking.transaction.start_time", self.blocker_transaction_start),
        ];
        visit_times(&times, visit);
        if let Some(duration) = self.wait_duration_ms {
            #[allow(clippy::cast_possible_truncation, reason = "whole milliseconds, as contrib's type is")]
            visit("postgresql.blocking.wait_duration", ValueRef::Int(duration as i64));
        }
        let texts = [
            ("postgresql.blocking.lock.mode", &self.lock_mode),
            ("postgresql.blocking.lock.type", &self.lock_type),
            ("postgresql.blocking.lock.relation", &self.lock_relation),
        ];
        visit_texts(&texts, visit);
    }
}

fn comma_separated(pids: &[i64]) -> String {
    pids.iter().map(i64::to_string).collect::<Vec<_>>().join(",")
}

fn visit_texts(texts: &[(&str, &Option<Text>)], visit: &mut dyn FnMut(&str, ValueRef<'_>)) {
    for (key, text) in texts {
        if let Some(text) = text {
            visit(key, ValueRef::Text(text));
        }
    }
}

fn visit_times(times: &[(&str, Option<Timestamp>)], visit: &mut dyn FnMut(&str, ValueRef<'_>)) {
    for (key, time) in times {
        if let Some(time) = time {
            visit(key, ValueRef::Text(time.to_rfc3339().as_str()));
        }
    }
}
