//! Changes: something that happened to the server, to which a later plan change or finding can point.

use crate::{Attribute, Text, Timestamp, Value, ValueRef};

/// Something that happened to the server.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// What happened, from a closed list.
    pub kind: ChangeKind,
    /// When it happened, by the server's clock, where the server says so.
    pub at: Option<Timestamp>,
    /// Where the server does not say when: the reading before, by its clock, at which it had not happened yet. It lies between this and
    /// the time at which it was noticed. Not known of a failover, a version, and statistics that are stale.
    pub not_before: Option<Timestamp>,
    /// The database concerned; `None` for the whole server.
    pub database: Option<Text>,
    /// The object concerned: a setting, an extension; a table, index or statistics object as `schema.name`.
    pub subject: Option<Text>,
    /// The value before, where there is one.
    pub before: Option<Text>,
    /// The value after, where there is one.
    pub after: Option<Text>,
    /// Further facts under catalogue names, for instance `postgresql.table.reltuples`.
    pub facts: Vec<Attribute>,
}

/// What can happen to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// The server process started anew.
    Restart,
    /// Another node answers: other system identifier, address, or role.
    Failover,
    /// The server's version changed.
    Version,
    /// Statistics were reset.
    StatisticsReset,
    /// A setting has another value.
    Setting,
    /// An extension was installed, removed or updated.
    Extension,
    /// A table was analysed: the planner has new statistics.
    Analyze,
    /// A table was vacuumed.
    Vacuum,
    /// A table got a new file: `TRUNCATE`, `VACUUM FULL`, `CLUSTER` or a rewriting `ALTER TABLE`.
    TableRewrite,
    /// Most rows of a table were modified since it was last analysed: its statistics describe what is no longer there.
    StatisticsStale,
    /// A table, index or statistics object was created, dropped or altered: [`OBJECT_FACT`], [`ACTION_FACT`] and
    /// [`TABLE_FACT`] say which and what.
    Ddl,
}

/// Fact of [`ChangeKind::Ddl`]: what kind of object it is, see [`DdlObject`].
pub const OBJECT_FACT: &str = "dbintel.change.object";
/// Fact of [`ChangeKind::Ddl`]: what was done to it, see [`DdlAction`].
pub const ACTION_FACT: &str = "dbintel.change.action";
/// Fact of [`ChangeKind::Ddl`]: the table, as `schema.table`, that an index or a statistics object is on.
pub const TABLE_FACT: &str = "dbintel.change.table";
/// Fact of [`ChangeKind::Setting`]: the role that has it of its own (`ALTER ROLE … SET`).
pub const ROLE_FACT: &str = "postgresql.rolname";

/// What kind of object was created, dropped or altered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DdlObject {
    /// A table, partition, materialized view or foreign table.
    Table,
    /// An index.
    Index,
    /// A statistics object (`CREATE STATISTICS`).
    Statistics,
}

/// What was done to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DdlAction {
    /// It is there and was not.
    Created,
    /// It was there and is not.
    Dropped,
    /// It is another than it was.
    Altered,
}

impl DdlObject {
    /// The object as an attribute value: closed set, lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Index => "index",
            Self::Statistics => "statistics",
        }
    }
}

impl DdlAction {
    /// The action as an attribute value: closed set, lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Dropped => "dropped",
            Self::Altered => "altered",
        }
    }
}

impl ChangeKind {
    /// Every kind.
    pub const ALL: [Self; 11] = [
        Self::Restart,
        Self::Failover,
        Self::Version,
        Self::StatisticsReset,
        Self::Setting,
        Self::Extension,
        Self::Analyze,
        Self::Vacuum,
        Self::TableRewrite,
        Self::StatisticsStale,
        Self::Ddl,
    ];

    /// The kind as an attribute value: closed set, lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Failover => "failover",
            Self::Version => "version",
            Self::StatisticsReset => "statistics_reset",
            Self::Setting => "setting",
            Self::Extension => "extension",
            Self::Analyze => "analyze",
            Self::Vacuum => "vacuum",
            Self::TableRewrite => "table_rewrite",
            Self::StatisticsStale => "statistics_stale",
            Self::Ddl => "ddl",
        }
    }
}

impl Change {
    /// A change of which only the kind is known.
    #[must_use]
    pub const fn new(kind: ChangeKind) -> Self {
        Self {
            kind,
            at: None,
            not_before: None,
            database: None,
            subject: None,
            before: None,
            after: None,
            facts: Vec::new(),
        }
    }

    /// A fact that is a text.
    #[must_use]
    pub fn text_fact(&self, key: &str) -> Option<&Text> {
        let fact = self.facts.iter().find(|fact| &*fact.key == key)?;
        if let Value::Text(text) = &fact.value { Some(text) } else { None }
    }

    /// The table concerned, as `schema.table`; `None` where it is about none.
    #[must_use]
    pub fn table(&self) -> Option<&Text> {
        match self.kind {
            ChangeKind::Analyze
            | ChangeKind::Vacuum
            | ChangeKind::TableRewrite
            | ChangeKind::StatisticsStale => self.subject.as_ref(),
            ChangeKind::Ddl => self.text_fact(TABLE_FACT).or(self.subject.as_ref()),
            _ => None,
        }
    }

    /// Calls `visit` with every attribute of the `dbintel.change` event that is known.
    pub fn for_each_attribute(&self, visit: &mut dyn FnMut(&str, ValueRef<'_>)) {
        visit("dbintel.change.kind", ValueRef::Text(self.kind.as_str()));
        for (key, at) in [("dbintel.change.time", self.at), ("dbintel.change.not_before", self.not_before)] {
            if let Some(at) = at {
                visit(key, ValueRef::Text(at.to_rfc3339().as_str()));
            }
        }
        let texts = [
            ("db.namespace", &self.database),
            ("dbintel.change.subject", &self.subject),
            ("dbintel.change.before", &self.before),
            ("dbintel.change.after", &self.after),
        ];
        for (key, text) in texts {
            if let Some(text) = text {
                visit(key, ValueRef::Text(text));
            }
        }
        for fact in &self.facts {
            visit(&fact.key, fact.value.as_ref());
        }
    }

    /// Bytes this record keeps alive beyond its own size.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        let texts = [&self.database, &self.subject, &self.before, &self.after];
        texts.iter().filter_map(|text| text.as_ref().map(|text| text.len())).sum::<usize>()
            + self.facts.iter().map(Attribute::weight_bytes).sum::<usize>()
    }
}
