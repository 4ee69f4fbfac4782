//! Builds `db.query.summary`: the operations of a statement text, each followed by the names it works on.
//!
//! The OpenTelemetry form is `{operation} {target} {operation} {target} …` in the order of the text, without
//! aliases and values. This is read off the tokens, not parsed, so it is a best effort: the names of common table
//! expressions and functions in `FROM` count as targets. Names are written as in the text, quotes included.

use super::{
    keyword::{Entry, Keyword},
    kind::StatementKind,
    masker::Previous,
};

/// The most bytes of a summary. OpenTelemetry allows 255 characters; whatever does not fit as a whole is left out.
pub const MAX_SUMMARY_BYTES: usize = 255;

#[derive(Debug, Default)]
pub(super) struct Summary {
    /// UTF-8, because names are whole tokens.
    text: Vec<u8>,
    /// Whether something did not fit. Nothing is added from then on.
    full: bool,
    /// Where the current statement's part begins.
    statement_start: usize,
    mode: Mode,
    expected: Expected,
    /// The bracket depths at which an operation stands, so that `FROM` there is its clause and not an argument as
    /// in `extract(year FROM t)`.
    queries: Depths,
    /// The bracket depths at which a comma separates targets.
    target_lists: Depths,
}

/// What kind of statement the words belong to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mode {
    /// Before the first keyword.
    #[default]
    Start,
    /// Operations with clauses that name targets.
    Query,
    /// One operation, the type of an object and its name.
    Object,
    /// Nothing more to be had from this statement.
    Done,
}

/// What the next name would be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Expected {
    #[default]
    Nothing,
    /// A target, possibly after a bracket as in `FROM (a JOIN b ON …)`.
    Target,
    /// A target, unless a bracket comes first as in `JOIN b USING (id)`.
    TargetOutsideBrackets,
    /// A dot that continues a qualified name that begins here.
    Dot { name_start: usize },
    /// The next part of a qualified name that begins here.
    Part { name_start: usize },
}

/// A set of bracket depths. Depths beyond 63 are not kept, so names that deep are not found.
#[derive(Clone, Copy, Debug, Default)]
struct Depths(u64);

impl Depths {
    const fn contains(self, depth: u32) -> bool {
        self.0 & Self::bit(depth) != 0
    }

    const fn insert(&mut self, depth: u32) {
        self.0 |= Self::bit(depth);
    }

    const fn remove(&mut self, depth: u32) {
        self.0 &= !Self::bit(depth);
    }

    const fn bit(depth: u32) -> u64 {
        match 1_u64.checked_shl(depth) {
            Some(bit) => bit,
            None => 0,
        }
    }
}

impl Summary {
    /// The summary of the whole text, of which `first_kind` is the first statement's kind.
    pub(super) fn finish(self, first_kind: StatementKind, text_may_leave: bool) -> String {
        if !text_may_leave {
            return first_kind.operation_name().unwrap_or_default().to_owned();
        }
        String::from_utf8(self.text).unwrap_or_default()
    }

    pub(super) fn end_statement(&mut self, kind: StatementKind) {
        if self.text.len() == self.statement_start
            && let Some(operation) = kind.operation_name()
        {
            self.add(operation.as_bytes());
        }
        self.statement_start = self.text.len();
        self.mode = Mode::Start;
        self.expected = Expected::Nothing;
        self.queries = Depths::default();
        self.target_lists = Depths::default();
    }

    /// A word that is in the table of keywords. Returns whether it may be used as a name here.
    #[inline]
    pub(super) fn keyword(&mut self, entry: &Entry, previous: Previous, depth: u32) -> bool {
        if self.mode == Mode::Start {
            self.mode = self.first_keyword(entry.keyword);
        }
        let consumed = match self.mode {
            Mode::Query => self.query_keyword(entry.keyword, previous, depth),
            Mode::Object => self.object_keyword(entry.keyword, previous, depth),
            Mode::Start | Mode::Done => true,
        };
        if !consumed && entry.reserved {
            self.other();
        }
        !consumed && !entry.reserved
    }

    #[inline]
    pub(super) fn expects_name(&self) -> bool {
        self.expected != Expected::Nothing
    }

    /// A name: quoted, or a word that is no keyword here.
    pub(super) fn name(&mut self, raw: &[u8], depth: u32) {
        match self.expected {
            Expected::Nothing => {}
            Expected::Target | Expected::TargetOutsideBrackets => {
                if self.mode == Mode::Query || depth == 0 {
                    let name_start = self.text.len();
                    self.add(raw);
                    self.expected = Expected::Dot { name_start };
                }
            }
            Expected::Dot { .. } => self.expected = Expected::Nothing,
            Expected::Part { name_start } => {
                self.add_part(raw, name_start);
                self.expected = Expected::Dot { name_start };
            }
        }
    }

    #[inline]
    pub(super) fn dot(&mut self) {
        if self.expected != Expected::Nothing {
            self.expected_dot();
        }
    }

    fn expected_dot(&mut self) {
        self.expected = match self.expected {
            Expected::Dot { name_start } => {
                self.add_part(b".", name_start);
                Expected::Part { name_start }
            }
            _ => Expected::Nothing,
        };
    }

    #[inline]
    pub(super) fn comma(&mut self, depth: u32) {
        if self.mode == Mode::Query {
            let next_target = self.target_lists.contains(depth);
            self.expected = if next_target { Expected::Target } else { Expected::Nothing };
        }
    }

    /// An opening bracket; `depth` is the depth inside it.
    pub(super) fn open(&mut self, depth: u32) {
        self.queries.remove(depth);
        self.target_lists.remove(depth);
        match self.expected {
            // FROM (a JOIN b …): the JOIN in there has a target.
            Expected::Target if self.mode == Mode::Query => self.queries.insert(depth),
            // VACUUM (…) t
            Expected::Target => {}
            _ => self.expected = Expected::Nothing,
        }
    }

    /// A closing bracket; `depth` is the depth inside it.
    pub(super) fn close(&mut self, depth: u32) {
        self.queries.remove(depth);
        self.target_lists.remove(depth);
        if self.mode == Mode::Query {
            self.expected = Expected::Nothing;
        }
    }

    /// Any other token.
    #[inline]
    pub(super) fn other(&mut self) {
        if self.mode == Mode::Query {
            self.expected = Expected::Nothing;
        }
    }

    fn first_keyword(&mut self, keyword: Keyword) -> Mode {
        let (operation, mode) = match keyword {
            Keyword::Select | Keyword::Insert | Keyword::Update | Keyword::Delete | Keyword::Merge => {
                return Mode::Query;
            }
            Keyword::With => return Mode::Query,
            Keyword::Values => (b"VALUES".as_slice(), Mode::Query),
            Keyword::Table => (b"TABLE".as_slice(), Mode::Object),
            Keyword::Explain => (b"EXPLAIN".as_slice(), Mode::Query),
            Keyword::Prepare => (b"PREPARE".as_slice(), Mode::Query),
            Keyword::Declare => (b"DECLARE".as_slice(), Mode::Query),
            Keyword::Create => (b"CREATE".as_slice(), Mode::Object),
            Keyword::Alter => (b"ALTER".as_slice(), Mode::Object),
            Keyword::Drop => (b"DROP".as_slice(), Mode::Object),
            Keyword::Truncate => (b"TRUNCATE".as_slice(), Mode::Object),
            Keyword::Reindex => (b"REINDEX".as_slice(), Mode::Object),
            Keyword::Cluster => (b"CLUSTER".as_slice(), Mode::Object),
            Keyword::Refresh => (b"REFRESH".as_slice(), Mode::Object),
            Keyword::Lock => (b"LOCK".as_slice(), Mode::Object),
            Keyword::Vacuum => (b"VACUUM".as_slice(), Mode::Object),
            Keyword::Analyze => (b"ANALYZE".as_slice(), Mode::Object),
            Keyword::Call => (b"CALL".as_slice(), Mode::Object),
            _ => return Mode::Done,
        };
        self.add(operation);
        if mode == Mode::Object {
            self.expected = Expected::Target;
        }
        mode
    }

    /// Returns false if the word may be a name.
    fn query_keyword(&mut self, keyword: Keyword, previous: Previous, depth: u32) -> bool {
        match keyword {
            Keyword::Select => self.operation(b"SELECT", depth),
            Keyword::Insert if begins_operation(previous) => self.operation(b"INSERT", depth),
            Keyword::Delete if begins_operation(previous) => self.operation(b"DELETE", depth),
            Keyword::Merge if begins_operation(previous) => self.operation(b"MERGE", depth),
            Keyword::Update if begins_operation(previous) => {
                self.operation(b"UPDATE", depth);
                self.expected = Expected::Target;
            }
            Keyword::From if previous.keyword() != Some(Keyword::Distinct) => {
                self.targets_follow(Expected::Target, depth);
            }
            Keyword::Using => self.targets_follow(Expected::TargetOutsideBrackets, depth),
            Keyword::Join | Keyword::Into if self.queries.contains(depth) => self.expected = Expected::Target,
            // Words that can stand between a clause's keyword and its target.
            Keyword::Only | Keyword::Lateral | Keyword::Temp | Keyword::Temporary | Keyword::Unlogged
                if self.expected == Expected::Target => {}
            Keyword::Table if previous.keyword() == Some(Keyword::Into) => {}
            Keyword::Where
            | Keyword::Group
            | Keyword::Having
            | Keyword::Window
            | Keyword::Order
            | Keyword::Limit
            | Keyword::Offset
            | Keyword::Fetch
            | Keyword::For
            | Keyword::Union
            | Keyword::Except
            | Keyword::Intersect
            | Keyword::Returning
            | Keyword::Set => {
                self.target_lists.remove(depth);
                self.expected = Expected::Nothing;
            }
            _ => return false,
        }
        true
    }

    fn operation(&mut self, operation: &[u8], depth: u32) {
        self.add(operation);
        self.queries.insert(depth);
        self.target_lists.remove(depth);
        self.expected = Expected::Nothing;
    }

    fn targets_follow(&mut self, expected: Expected, depth: u32) {
        self.expected = Expected::Nothing;
        if self.queries.contains(depth) {
            self.expected = expected;
            self.target_lists.insert(depth);
        }
    }

    /// Returns false if the word may be a name.
    fn object_keyword(&mut self, keyword: Keyword, previous: Previous, depth: u32) -> bool {
        let before_name = self.expected == Expected::Target && depth == 0;
        match keyword {
            Keyword::Select | Keyword::With => {
                self.mode = Mode::Query;
                return self.query_keyword(keyword, previous, depth);
            }
            Keyword::Table if before_name && !previous.begins_statement() => self.add(b"TABLE"),
            Keyword::Index if before_name => self.add(b"INDEX"),
            Keyword::Materialized if before_name => self.add(b"MATERIALIZED"),
            Keyword::View if before_name => self.add(b"VIEW"),
            Keyword::Sequence if before_name => self.add(b"SEQUENCE"),
            Keyword::Schema if before_name => self.add(b"SCHEMA"),
            Keyword::Or
            | Keyword::Replace
            | Keyword::Temp
            | Keyword::Temporary
            | Keyword::Global
            | Keyword::Local
            | Keyword::Unlogged
            | Keyword::Unique
            | Keyword::Recursive
            | Keyword::Concurrently
            | Keyword::If
            | Keyword::Not
            | Keyword::Exists
            | Keyword::Only
            | Keyword::On
            | Keyword::Full
            | Keyword::Freeze
            | Keyword::Verbose
            | Keyword::Analyze
                if before_name => {}
            // The verb itself.
            _ if previous.begins_statement() => {}
            _ => return false,
        }
        true
    }

    fn add(&mut self, entry: &[u8]) {
        let space = usize::from(!self.text.is_empty());
        if self.full || self.text.len() + space + entry.len() > MAX_SUMMARY_BYTES {
            self.full = true;
            return;
        }
        if space == 1 {
            self.text.push(b' ');
        }
        self.text.extend_from_slice(entry);
    }

    /// Continues the name that begins at `name_start`, or takes it back if it does not fit as a whole.
    fn add_part(&mut self, part: &[u8], name_start: usize) {
        if self.full {
            return;
        }
        if self.text.len() + part.len() > MAX_SUMMARY_BYTES {
            self.full = true;
            self.text.truncate(name_start);
            return;
        }
        self.text.extend_from_slice(part);
    }
}

/// Whether a verb that is not reserved begins an operation here, instead of being a clause (`FOR UPDATE`,
/// `DO UPDATE`, `THEN INSERT`) or a name.
const fn begins_operation(previous: Previous) -> bool {
    match previous {
        Previous::Nothing | Previous::Semicolon | Previous::Open | Previous::Close => true,
        Previous::Keyword(keyword) | Previous::KeywordBeforeOperand(keyword) => {
            matches!(keyword, Keyword::As | Keyword::Explain | Keyword::Analyze | Keyword::Verbose)
        }
        _ => false,
    }
}
