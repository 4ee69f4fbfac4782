//! What a finding is about.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::wire::{hex_u64, text_i64};
use crate::{Node, QueryKey, QueryText, Server, Text, ValueRef};

/// Which server it is, for every collector that watches it, whatever name it reaches it by.
///
/// `id:<system identifier>/<timeline>` of a primary; `…/standby@<address>` of a standby, which has the identifier of its
/// primary and work of its own; `endpoint:<address>:<port>` where the role may not read the identifier.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ServerIdentity(Text);

/// What a finding is about: a statement, or an object of a database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// Value of `db.system.name`.
    pub system: Text,
    /// The server.
    pub server: ServerIdentity,
    /// Address and port by which the collector that opened the finding reaches it.
    pub endpoint: Text,
    /// Database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<Text>,
    /// Role that runs the statement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Text>,
    /// Object id of the role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_id: Option<u32>,
    /// Query identifier: signed 64 bits, as the server prints it.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "text_i64")]
    pub query_id: Option<i64>,
    /// Whether a client sends the statement (`true`) or a function runs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub toplevel: Option<bool>,
    /// Own fingerprint of the statement's normalised text.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "hex_u64")]
    pub fingerprint: Option<u64>,
    /// Operations and targets of the statement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query_summary: Option<Text>,
    /// Masked text of the statement, where its kind may leave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query_text: Option<Text>,
    /// The table, index or statistics object, as `schema.name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<Text>,
}

// === impl ServerIdentity ===

impl ServerIdentity {
    /// The identity of a server; `node` is the one that answers there.
    #[must_use]
    pub fn of(server: &Server, node: Option<&Node>) -> Self {
        let identity = match node.and_then(|node| node.system_identifier.map(|id| (node, id))) {
            None => format!("endpoint:{server}"),
            Some((node, id)) => {
                let timeline = node.timeline.map_or_else(|| "-".to_owned(), |timeline| timeline.to_string());
                match (&node.address, node.in_recovery) {
                    (_, false) => format!("id:{id}/{timeline}"),
                    (Some(address), true) => format!("id:{id}/{timeline}/standby@{address}"),
                    // Over a Unix socket the server sees no address of its own.
                    (None, true) => format!("id:{id}/{timeline}/standby@{server}"),
                }
            }
        };
        Self(identity.into())
    }

    /// The identity as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl From<Text> for ServerIdentity {
    fn from(text: Text) -> Self {
        Self(text)
    }
}

impl fmt::Display for ServerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

// === impl Subject ===

impl Subject {
    /// A whole server.
    #[must_use]
    pub fn of_server(server: &Server, node: Option<&Node>) -> Self {
        Self {
            system: server.system.clone(),
            server: ServerIdentity::of(server, node),
            endpoint: server.to_string().into(),
            database: None,
            role: None,
            role_id: None,
            query_id: None,
            toplevel: None,
            fingerprint: None,
            query_summary: None,
            query_text: None,
            object: None,
        }
    }

    /// A statement.
    #[must_use]
    pub fn of_query(server: &Server, node: Option<&Node>, key: &QueryKey, text: Option<&QueryText>) -> Self {
        let shared = |text: &std::sync::Arc<str>| Text::Shared(std::sync::Arc::clone(text));
        Self {
            database: Some(key.database.clone()),
            role: Some(key.user.clone()),
            role_id: Some(key.user_id),
            query_id: Some(key.query_id),
            toplevel: key.toplevel,
            fingerprint: text.map(|text| text.fingerprint),
            query_summary: text.and_then(|text| text.summary.as_ref()).map(shared),
            query_text: text.and_then(|text| text.masked.as_ref()).map(shared),
            ..Self::of_server(server, node)
        }
    }

    /// An object of a database.
    #[must_use]
    pub fn of_object(server: &Server, node: Option<&Node>, database: Text, object: Text) -> Self {
        Self { database: Some(database), object: Some(object), ..Self::of_server(server, node) }
    }

    /// Calls `visit` with every attribute that is known; the names are those of `db.server.top_query`.
    pub(super) fn for_each_attribute(&self, visit: &mut dyn FnMut(&str, ValueRef<'_>)) {
        visit("db.system.name", ValueRef::Text(&self.system));
        visit("dbintel.finding.server", ValueRef::Text(self.server.as_str()));
        let texts = [("db.namespace", &self.database), ("postgresql.rolname", &self.role)];
        visit_texts(&texts, visit);
        if let Some(role_id) = self.role_id {
            visit("userid", ValueRef::Text(itoa::Buffer::new().format(role_id)));
        }
        if let Some(query_id) = self.query_id {
            visit("postgresql.queryid", ValueRef::Text(itoa::Buffer::new().format(query_id)));
        }
        if let Some(toplevel) = self.toplevel {
            visit("dbintel.query.toplevel", ValueRef::Bool(toplevel));
        }
        visit_texts(&[("db.query.text", &self.query_text), ("db.query.summary", &self.query_summary)], visit);
        if let Some(fingerprint) = self.fingerprint {
            visit("dbintel.query.fingerprint", ValueRef::Text(&format!("{fingerprint:016x}")));
        }
        visit_texts(&[("dbintel.finding.object", &self.object)], visit);
    }

    pub(super) fn weight_bytes(&self) -> usize {
        let texts = [&self.database, &self.role, &self.query_summary, &self.query_text, &self.object];
        texts.into_iter().flatten().map(|text| text.len()).sum::<usize>()
            + self.server.as_str().len()
            + self.endpoint.len()
    }
}

fn visit_texts(texts: &[(&str, &Option<Text>)], visit: &mut dyn FnMut(&str, ValueRef<'_>)) {
    for (name, text) in texts {
        if let Some(text) = text {
            visit(name, ValueRef::Text(text));
        }
    }
}
