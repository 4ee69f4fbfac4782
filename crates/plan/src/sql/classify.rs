//! Finds the kind of a statement from its first keywords.

use super::{keyword::Keyword, kind::StatementKind, masker::Previous};

/// What is known of the current statement's kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Classifier {
    /// Nothing but opening brackets so far.
    Start,
    /// After `WITH`, at this bracket depth, before the main verb.
    With {
        depth: u32,
    },
    /// After `EXPLAIN`, before the verb of the statement explained.
    Explain,
    /// After `PREPARE`.
    Prepare,
    /// After `CREATE` or `ALTER` and words that say nothing of the object's type.
    Define(Definition),
    /// After `CREATE USER` or `ALTER USER`, which `MAPPING` can follow.
    User(Definition),
    Known(StatementKind),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Definition {
    Create,
    Alter,
}

impl Definition {
    const fn of_role(self) -> StatementKind {
        match self {
            Self::Create => StatementKind::CreateRole,
            Self::Alter => StatementKind::AlterRole,
        }
    }
}

impl Classifier {
    /// Takes note of a word: its keyword, if it is one and stands where it can be one.
    #[inline]
    pub(super) fn word(&mut self, keyword: Option<Keyword>, previous: Previous, depth: u32) {
        match self {
            Self::Known(kind) if *kind != StatementKind::Ddl => {}
            _ => self.deciding_word(keyword, previous, depth),
        }
    }

    fn deciding_word(&mut self, keyword: Option<Keyword>, previous: Previous, depth: u32) {
        *self = match *self {
            Self::Start => Self::first_word(keyword, depth),
            Self::With { depth: at } => Self::after_with(keyword, previous, at, depth),
            Self::Explain => Self::after_explain(keyword),
            Self::Prepare if keyword == Some(Keyword::Transaction) => {
                Self::Known(StatementKind::PrepareTransaction)
            }
            Self::Prepare => Self::Known(StatementKind::Prepare),
            Self::Define(definition) => Self::object_type(keyword, definition),
            Self::User(_) if keyword == Some(Keyword::Mapping) => Self::Known(StatementKind::DdlOther),
            Self::User(definition) => Self::Known(definition.of_role()),
            // CREATE TABLE … AS EXECUTE has the arguments of a prepared statement in it.
            Self::Known(StatementKind::Ddl) if keyword == Some(Keyword::Execute) => {
                Self::Known(StatementKind::DdlOther)
            }
            Self::Known(kind) => Self::Known(kind),
        }
    }

    /// Takes note of an opening bracket; `depth` is the depth outside it.
    pub(super) fn open(&mut self, previous: Previous, depth: u32) {
        // The main query itself may stand in brackets: WITH … AS (…) ((SELECT …)).
        if *self == (Self::With { depth }) && matches!(previous, Previous::Close | Previous::Open) {
            *self = Self::With { depth: depth.saturating_add(1) };
        } else if !matches!(self, Self::Start) {
            self.other();
        }
    }

    /// Takes note of a token that is not a word, an opening bracket or a semicolon.
    #[inline]
    pub(super) fn other(&mut self) {
        match *self {
            Self::Start => *self = Self::Known(StatementKind::Other),
            Self::Prepare => *self = Self::Known(StatementKind::Prepare),
            Self::Define(_) => *self = Self::Known(StatementKind::DdlOther),
            Self::User(definition) => *self = Self::Known(definition.of_role()),
            Self::With { .. } | Self::Explain | Self::Known(_) => {}
        }
    }

    /// The kind, if the statement were to end here.
    pub(super) const fn kind(self) -> StatementKind {
        match self {
            Self::Start | Self::With { .. } => StatementKind::Other,
            Self::Explain => StatementKind::ExplainOther,
            Self::Prepare => StatementKind::Prepare,
            Self::Define(_) => StatementKind::DdlOther,
            Self::User(definition) => definition.of_role(),
            Self::Known(kind) => kind,
        }
    }

    /// Whether names are made up by drivers for one use, so that they are masked like literals.
    #[inline]
    pub(super) const fn names_are_generated(self) -> bool {
        matches!(self, Self::Known(kind) if kind.names_are_generated())
    }

    fn first_word(keyword: Option<Keyword>, depth: u32) -> Self {
        let Some(keyword) = keyword else {
            return Self::Known(StatementKind::Other);
        };
        match keyword {
            Keyword::With => Self::With { depth },
            Keyword::Explain => Self::Explain,
            Keyword::Prepare => Self::Prepare,
            Keyword::Create => Self::Define(Definition::Create),
            Keyword::Alter => Self::Define(Definition::Alter),
            _ => Self::Known(query_kind(keyword).unwrap_or_else(|| command_kind(keyword))),
        }
    }

    /// The main verb stands at the depth of `WITH`. A name of a common table expression, which may be a verb that
    /// is not reserved, follows `WITH`, `RECURSIVE` or a comma.
    fn after_with(keyword: Option<Keyword>, previous: Previous, at: u32, depth: u32) -> Self {
        let names_an_expression = previous == Previous::Comma
            || matches!(previous.keyword(), Some(Keyword::With | Keyword::Recursive));
        match keyword.and_then(query_kind) {
            Some(kind) if depth == at && !names_an_expression => Self::Known(kind),
            _ => Self::With { depth: at },
        }
    }

    /// Options, with or without brackets, come first; none of them is called like a verb.
    fn after_explain(keyword: Option<Keyword>) -> Self {
        match keyword {
            Some(Keyword::With) => Self::Known(StatementKind::Explain),
            Some(Keyword::Execute | Keyword::Create | Keyword::Declare | Keyword::Refresh) => {
                Self::Known(StatementKind::ExplainOther)
            }
            Some(keyword) if query_kind(keyword).is_some() => Self::Known(StatementKind::Explain),
            _ => Self::Explain,
        }
    }

    fn object_type(keyword: Option<Keyword>, definition: Definition) -> Self {
        match keyword {
            Some(
                Keyword::Or
                | Keyword::Replace
                | Keyword::Temp
                | Keyword::Temporary
                | Keyword::Global
                | Keyword::Local
                | Keyword::Unlogged
                | Keyword::Unique
                | Keyword::Materialized
                | Keyword::Recursive,
            ) => Self::Define(definition),
            Some(Keyword::Role | Keyword::Group) => Self::Known(definition.of_role()),
            Some(Keyword::User) => Self::User(definition),
            Some(Keyword::Table | Keyword::Index | Keyword::View | Keyword::Sequence | Keyword::Schema) => {
                Self::Known(StatementKind::Ddl)
            }
            _ => Self::Known(StatementKind::DdlOther),
        }
    }
}

/// The kind of a statement that can follow `WITH` or `EXPLAIN`.
const fn query_kind(keyword: Keyword) -> Option<StatementKind> {
    Some(match keyword {
        Keyword::Select => StatementKind::Select,
        Keyword::Insert => StatementKind::Insert,
        Keyword::Update => StatementKind::Update,
        Keyword::Delete => StatementKind::Delete,
        Keyword::Merge => StatementKind::Merge,
        Keyword::Values => StatementKind::Values,
        Keyword::Table => StatementKind::Table,
        _ => return None,
    })
}

/// The kind of a statement that its first word decides alone.
const fn command_kind(keyword: Keyword) -> StatementKind {
    match keyword {
        Keyword::Begin | Keyword::Start => StatementKind::Begin,
        Keyword::Commit | Keyword::End => StatementKind::Commit,
        Keyword::Rollback | Keyword::Abort => StatementKind::Rollback,
        Keyword::Savepoint => StatementKind::Savepoint,
        Keyword::Release => StatementKind::Release,
        Keyword::Set => StatementKind::Set,
        Keyword::Reset => StatementKind::Reset,
        Keyword::Show => StatementKind::Show,
        Keyword::Discard => StatementKind::Discard,
        Keyword::Copy => StatementKind::Copy,
        Keyword::Do => StatementKind::Do,
        Keyword::Call => StatementKind::Call,
        Keyword::Comment => StatementKind::Comment,
        Keyword::Drop | Keyword::Truncate | Keyword::Reindex | Keyword::Cluster | Keyword::Refresh => {
            StatementKind::Ddl
        }
        Keyword::Reassign => StatementKind::DdlOther,
        Keyword::Grant => StatementKind::Grant,
        Keyword::Revoke => StatementKind::Revoke,
        Keyword::Lock => StatementKind::Lock,
        Keyword::Vacuum => StatementKind::Vacuum,
        Keyword::Analyze => StatementKind::Analyze,
        Keyword::Checkpoint => StatementKind::Checkpoint,
        Keyword::Execute => StatementKind::Execute,
        Keyword::Deallocate => StatementKind::Deallocate,
        Keyword::Declare => StatementKind::Declare,
        Keyword::Fetch => StatementKind::Fetch,
        Keyword::Move => StatementKind::Move,
        Keyword::Close => StatementKind::Close,
        Keyword::Listen => StatementKind::Listen,
        Keyword::Unlisten => StatementKind::Unlisten,
        Keyword::Notify => StatementKind::Notify,
        Keyword::Security => StatementKind::SecurityLabel,
        Keyword::Import => StatementKind::Import,
        _ => StatementKind::Other,
    }
}
