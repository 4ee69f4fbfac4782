//! What a statement does, and whether its masked text may leave the process.

use std::fmt;

/// What a statement does, by its main verb.
///
/// A `WITH` statement has the kind of the verb after its common table expressions, as in PostgreSQL's command
/// tag: `WITH gone AS (DELETE …) SELECT …` is a [`Select`](Self::Select).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StatementKind {
    /// `SELECT`, also in parentheses, as a set operation, or `SELECT … INTO`.
    Select,
    /// `INSERT`
    Insert,
    /// `UPDATE`
    Update,
    /// `DELETE`
    Delete,
    /// `MERGE`
    Merge,
    /// `VALUES`
    Values,
    /// `TABLE t`, the short form of `SELECT * FROM t`.
    Table,
    /// `EXPLAIN` of one of the kinds above.
    Explain,
    /// `EXPLAIN` of anything else (`EXECUTE`, `CREATE TABLE AS`, …), or cut before that is known.
    ExplainOther,
    /// `BEGIN` or `START TRANSACTION`.
    Begin,
    /// `COMMIT`, `END` or `COMMIT PREPARED`.
    Commit,
    /// `ROLLBACK`, `ABORT`, `ROLLBACK TO` or `ROLLBACK PREPARED`.
    Rollback,
    /// `SAVEPOINT`
    Savepoint,
    /// `RELEASE`
    Release,
    /// `PREPARE TRANSACTION`
    PrepareTransaction,
    /// `SET` in all its forms.
    Set,
    /// `RESET`
    Reset,
    /// `SHOW`
    Show,
    /// `DISCARD`
    Discard,
    /// `COPY`
    Copy,
    /// `DO`
    Do,
    /// `CALL`
    Call,
    /// `CREATE ROLE`, `CREATE USER` or `CREATE GROUP`.
    CreateRole,
    /// `ALTER ROLE`, `ALTER USER` or `ALTER GROUP`.
    AlterRole,
    /// `COMMENT ON`
    Comment,
    /// Data definition in which only literals can hold values: `CREATE` and `ALTER` of tables, indexes, views,
    /// materialized views, sequences and schemas, any `DROP`, `TRUNCATE`, `REINDEX`, `CLUSTER` and `REFRESH`.
    Ddl,
    /// Every other `CREATE` and `ALTER`, `REASSIGN`, and those above with an `EXECUTE` in them.
    DdlOther,
    /// `GRANT`
    Grant,
    /// `REVOKE`
    Revoke,
    /// `LOCK`
    Lock,
    /// `VACUUM`
    Vacuum,
    /// `ANALYZE`
    Analyze,
    /// `CHECKPOINT`
    Checkpoint,
    /// `PREPARE` of a statement.
    Prepare,
    /// `EXECUTE`
    Execute,
    /// `DEALLOCATE`
    Deallocate,
    /// `DECLARE` of a cursor.
    Declare,
    /// `FETCH`
    Fetch,
    /// `MOVE`
    Move,
    /// `CLOSE`
    Close,
    /// `LISTEN`
    Listen,
    /// `UNLISTEN`
    Unlisten,
    /// `NOTIFY`
    Notify,
    /// `SECURITY LABEL`
    SecurityLabel,
    /// `IMPORT FOREIGN SCHEMA`
    Import,
    /// Anything not known, which includes statements cut before their main verb and bare PL/pgSQL expressions.
    Other,
    /// No statement: an empty text, or one of comments and semicolons.
    Empty,
}

impl StatementKind {
    /// Every kind, in the order of declaration.
    pub const ALL: [Self; 47] = [
        Self::Select,
        Self::Insert,
        Self::Update,
        Self::Delete,
        Self::Merge,
        Self::Values,
        Self::Table,
        Self::Explain,
        Self::ExplainOther,
        Self::Begin,
        Self::Commit,
        Self::Rollback,
        Self::Savepoint,
        Self::Release,
        Self::PrepareTransaction,
        Self::Set,
        Self::Reset,
        Self::Show,
        Self::Discard,
        Self::Copy,
        Self::Do,
        Self::Call,
        Self::CreateRole,
        Self::AlterRole,
        Self::Comment,
        Self::Ddl,
        Self::DdlOther,
        Self::Grant,
        Self::Revoke,
        Self::Lock,
        Self::Vacuum,
        Self::Analyze,
        Self::Checkpoint,
        Self::Prepare,
        Self::Execute,
        Self::Deallocate,
        Self::Declare,
        Self::Fetch,
        Self::Move,
        Self::Close,
        Self::Listen,
        Self::Unlisten,
        Self::Notify,
        Self::SecurityLabel,
        Self::Import,
        Self::Other,
        Self::Empty,
    ];

    /// Whether the masked text of a statement of this kind may leave the process. Otherwise only its kind and
    /// fingerprint may.
    ///
    /// The list is closed: a kind is on it only where literals and comments are the only places for values, so
    /// that masking has removed them. `docs/masking.md` gives the reason for each kind that is not.
    #[must_use]
    pub const fn text_may_leave(self) -> bool {
        match self {
            Self::Select
            | Self::Insert
            | Self::Update
            | Self::Delete
            | Self::Merge
            | Self::Values
            | Self::Table
            | Self::Explain
            | Self::Begin
            | Self::Commit
            | Self::Rollback
            | Self::Savepoint
            | Self::Release
            | Self::PrepareTransaction
            | Self::Reset
            | Self::Show
            | Self::Discard
            | Self::Call
            | Self::Ddl
            | Self::Grant
            | Self::Revoke
            | Self::Lock
            | Self::Vacuum
            | Self::Analyze
            | Self::Checkpoint
            | Self::Prepare
            | Self::Deallocate
            | Self::Declare
            | Self::Fetch
            | Self::Move
            | Self::Close
            | Self::Empty => true,
            Self::ExplainOther
            | Self::Set
            | Self::Copy
            | Self::Do
            | Self::CreateRole
            | Self::AlterRole
            | Self::Comment
            | Self::DdlOther
            | Self::Execute
            | Self::Listen
            | Self::Unlisten
            | Self::Notify
            | Self::SecurityLabel
            | Self::Import
            | Self::Other => false,
        }
    }

    /// The name for attributes and metrics, in lower snake case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Select => "select",
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Merge => "merge",
            Self::Values => "values",
            Self::Table => "table",
            Self::Explain => "explain",
            Self::ExplainOther => "explain_other",
            Self::Begin => "begin",
            Self::Commit => "commit",
            Self::Rollback => "rollback",
            Self::Savepoint => "savepoint",
            Self::Release => "release",
            Self::PrepareTransaction => "prepare_transaction",
            Self::Set => "set",
            Self::Reset => "reset",
            Self::Show => "show",
            Self::Discard => "discard",
            Self::Copy => "copy",
            Self::Do => "do",
            Self::Call => "call",
            Self::CreateRole => "create_role",
            Self::AlterRole => "alter_role",
            Self::Comment => "comment",
            Self::Ddl => "ddl",
            Self::DdlOther => "ddl_other",
            Self::Grant => "grant",
            Self::Revoke => "revoke",
            Self::Lock => "lock",
            Self::Vacuum => "vacuum",
            Self::Analyze => "analyze",
            Self::Checkpoint => "checkpoint",
            Self::Prepare => "prepare",
            Self::Execute => "execute",
            Self::Deallocate => "deallocate",
            Self::Declare => "declare",
            Self::Fetch => "fetch",
            Self::Move => "move",
            Self::Close => "close",
            Self::Listen => "listen",
            Self::Unlisten => "unlisten",
            Self::Notify => "notify",
            Self::SecurityLabel => "security_label",
            Self::Import => "import",
            Self::Other => "other",
            Self::Empty => "empty",
        }
    }

    /// The value of `db.operation.name`, where the kind says it: not for kinds of several verbs or of none.
    #[must_use]
    pub const fn operation_name(&self) -> Option<&'static str> {
        Some(match self {
            Self::Select => "SELECT",
            Self::Insert => "INSERT",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Merge => "MERGE",
            Self::Values => "VALUES",
            Self::Table => "TABLE",
            Self::Explain | Self::ExplainOther => "EXPLAIN",
            Self::Begin => "BEGIN",
            Self::Commit => "COMMIT",
            Self::Rollback => "ROLLBACK",
            Self::Savepoint => "SAVEPOINT",
            Self::Release => "RELEASE",
            Self::PrepareTransaction => "PREPARE TRANSACTION",
            Self::Set => "SET",
            Self::Reset => "RESET",
            Self::Show => "SHOW",
            Self::Discard => "DISCARD",
            Self::Copy => "COPY",
            Self::Do => "DO",
            Self::Call => "CALL",
            Self::CreateRole => "CREATE ROLE",
            Self::AlterRole => "ALTER ROLE",
            Self::Comment => "COMMENT",
            Self::Grant => "GRANT",
            Self::Revoke => "REVOKE",
            Self::Lock => "LOCK",
            Self::Vacuum => "VACUUM",
            Self::Analyze => "ANALYZE",
            Self::Checkpoint => "CHECKPOINT",
            Self::Prepare => "PREPARE",
            Self::Execute => "EXECUTE",
            Self::Deallocate => "DEALLOCATE",
            Self::Declare => "DECLARE",
            Self::Fetch => "FETCH",
            Self::Move => "MOVE",
            Self::Close => "CLOSE",
            Self::Listen => "LISTEN",
            Self::Unlisten => "UNLISTEN",
            Self::Notify => "NOTIFY",
            Self::SecurityLabel => "SECURITY LABEL",
            Self::Import => "IMPORT FOREIGN SCHEMA",
            Self::Ddl | Self::DdlOther | Self::Other | Self::Empty => return None,
        })
    }

    /// Whether the names of this kind of statement are made up by drivers for one use (savepoints), so that they
    /// are masked like literals. PostgreSQL 17 does the same in `pg_stat_statements`.
    pub(super) const fn names_are_generated(self) -> bool {
        matches!(self, Self::Savepoint | Self::Release | Self::Rollback)
    }
}

impl fmt::Display for StatementKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
