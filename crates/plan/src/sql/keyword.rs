//! The keywords that masking, classification and summaries care about, and those that cannot be identifiers.

/// A keyword with a meaning for this module, or [`Keyword::Unnamed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keyword {
    /// A keyword that is listed for its properties, or so that it does not pass for a name.
    Unnamed,
    Abort,
    Alter,
    Analyze,
    Array,
    As,
    Begin,
    Call,
    Checkpoint,
    Close,
    Cluster,
    Comment,
    Commit,
    Concurrently,
    Copy,
    Create,
    Deallocate,
    Declare,
    Default,
    Delete,
    Discard,
    Distinct,
    Do,
    Drop,
    End,
    Except,
    Execute,
    Exists,
    Explain,
    False,
    Fetch,
    For,
    Freeze,
    From,
    Full,
    Global,
    Grant,
    Group,
    Having,
    If,
    Import,
    In,
    Index,
    Insert,
    Intersect,
    Into,
    Join,
    Lateral,
    Limit,
    Listen,
    Local,
    Lock,
    Mapping,
    Materialized,
    Merge,
    Move,
    Not,
    Notify,
    Null,
    Offset,
    On,
    Only,
    Or,
    Order,
    Prepare,
    Reassign,
    Recursive,
    Refresh,
    Reindex,
    Release,
    Replace,
    Reset,
    Returning,
    Revoke,
    Role,
    Rollback,
    Savepoint,
    Schema,
    Security,
    Select,
    Sequence,
    Set,
    Show,
    Start,
    Table,
    Temp,
    Temporary,
    Transaction,
    True,
    Truncate,
    Union,
    Unique,
    Unlisten,
    Unlogged,
    Update,
    User,
    Using,
    Vacuum,
    Values,
    Verbose,
    View,
    Where,
    Window,
    With,
}

/// One keyword of the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    name: &'static str,
    pub(super) keyword: Keyword,
    /// Whether `"name"` in quotes is something else than `name` without. True for every keyword that PostgreSQL
    /// 12 to 18 reserve in some way (reserved, type or function name, column name); unreserved keywords are
    /// plain identifiers wherever an identifier may stand.
    pub(super) reserved: bool,
    /// Whether an operand follows, so that a `-` after the keyword is a sign and not a subtraction.
    pub(super) before_operand: bool,
}

impl Entry {
    const fn before_operand(self) -> Self {
        Self { before_operand: true, ..self }
    }
}

const fn reserved(name: &'static str, keyword: Keyword) -> Entry {
    Entry { name, keyword, reserved: true, before_operand: false }
}

const fn plain(name: &'static str, keyword: Keyword) -> Entry {
    Entry { name, keyword, reserved: false, before_operand: false }
}

/// The entry of `word`, which must be in lower case.
pub(super) fn lookup(word: &[u8]) -> Option<&'static Entry> {
    let slot = slot(word)?;
    let mut next = INDEX.first.get(slot).copied().unwrap_or(END_OF_CHAIN);
    while let Some(entry) = TABLE.get(usize::from(next)) {
        if entry.name.as_bytes() == word {
            return Some(entry);
        }
        next = INDEX.next.get(usize::from(next)).copied().unwrap_or(END_OF_CHAIN);
    }
    None
}

/// Where the entries of the table are by first letter and length, which leaves most words with nothing to
/// compare and the others with one or two entries.
struct Index {
    /// The first entry with that letter and length, or [`END_OF_CHAIN`].
    first: [u16; SLOTS],
    /// For each entry, the next one with the same letter and length, or [`END_OF_CHAIN`].
    next: [u16; TABLE.len()],
}

const MIN_LENGTH: usize = 2;
const MAX_LENGTH: usize = 17;
const LENGTHS: usize = MAX_LENGTH - MIN_LENGTH + 1;
const SLOTS: usize = 26 * LENGTHS;
const END_OF_CHAIN: u16 = u16::MAX;

static INDEX: Index = build_index();

const fn slot(word: &[u8]) -> Option<usize> {
    match word {
        [letter @ b'a'..=b'z', ..] if word.len() >= MIN_LENGTH && word.len() <= MAX_LENGTH => {
            Some((*letter - b'a') as usize * LENGTHS + word.len() - MIN_LENGTH)
        }
        _ => None,
    }
}

#[allow(clippy::indexing_slicing, reason = "runs at compile time, where a wrong index is a build error")]
const fn build_index() -> Index {
    let mut index = Index { first: [END_OF_CHAIN; SLOTS], next: [END_OF_CHAIN; TABLE.len()] };
    let mut at = TABLE.len();
    while at > 0 {
        at -= 1;
        let Some(slot) = slot(TABLE[at].name.as_bytes()) else { continue };
        index.next[at] = index.first[slot];
        index.first[slot] = at as u16;
    }
    index
}

/// In alphabetical order.
const TABLE: &[Entry] = &[
    plain("abort", Keyword::Abort),
    reserved("all", Keyword::Unnamed).before_operand(),
    plain("alter", Keyword::Alter),
    reserved("analyse", Keyword::Analyze),
    reserved("analyze", Keyword::Analyze),
    reserved("and", Keyword::Unnamed).before_operand(),
    reserved("any", Keyword::Unnamed),
    reserved("array", Keyword::Array),
    reserved("as", Keyword::As),
    reserved("asc", Keyword::Unnamed),
    reserved("asymmetric", Keyword::Unnamed).before_operand(),
    reserved("authorization", Keyword::Unnamed),
    plain("begin", Keyword::Begin),
    reserved("between", Keyword::Unnamed).before_operand(),
    reserved("bigint", Keyword::Unnamed),
    reserved("binary", Keyword::Unnamed),
    reserved("bit", Keyword::Unnamed),
    reserved("boolean", Keyword::Unnamed),
    reserved("both", Keyword::Unnamed),
    plain("by", Keyword::Unnamed).before_operand(),
    plain("call", Keyword::Call),
    reserved("case", Keyword::Unnamed).before_operand(),
    reserved("cast", Keyword::Unnamed),
    plain("chain", Keyword::Unnamed),
    reserved("char", Keyword::Unnamed),
    reserved("character", Keyword::Unnamed),
    reserved("check", Keyword::Unnamed),
    plain("checkpoint", Keyword::Checkpoint),
    plain("close", Keyword::Close),
    plain("cluster", Keyword::Cluster),
    reserved("coalesce", Keyword::Unnamed),
    reserved("collate", Keyword::Unnamed),
    reserved("collation", Keyword::Unnamed),
    reserved("column", Keyword::Unnamed),
    plain("comment", Keyword::Comment),
    plain("commit", Keyword::Commit),
    reserved("concurrently", Keyword::Concurrently),
    reserved("constraint", Keyword::Unnamed),
    plain("copy", Keyword::Copy),
    reserved("create", Keyword::Create),
    reserved("cross", Keyword::Unnamed),
    reserved("current_catalog", Keyword::Unnamed),
    reserved("current_date", Keyword::Unnamed),
    reserved("current_role", Keyword::Unnamed),
    reserved("current_schema", Keyword::Unnamed),
    reserved("current_time", Keyword::Unnamed),
    reserved("current_timestamp", Keyword::Unnamed),
    reserved("current_user", Keyword::Unnamed),
    plain("deallocate", Keyword::Deallocate),
    reserved("dec", Keyword::Unnamed),
    reserved("decimal", Keyword::Unnamed),
    plain("declare", Keyword::Declare),
    reserved("default", Keyword::Default).before_operand(),
    reserved("deferrable", Keyword::Unnamed),
    plain("delete", Keyword::Delete),
    reserved("desc", Keyword::Unnamed),
    plain("discard", Keyword::Discard),
    reserved("distinct", Keyword::Distinct).before_operand(),
    reserved("do", Keyword::Do),
    plain("drop", Keyword::Drop),
    reserved("else", Keyword::Unnamed).before_operand(),
    reserved("end", Keyword::End),
    reserved("except", Keyword::Except),
    plain("execute", Keyword::Execute),
    reserved("exists", Keyword::Exists),
    plain("explain", Keyword::Explain),
    reserved("extract", Keyword::Unnamed),
    reserved("false", Keyword::False),
    reserved("fetch", Keyword::Fetch).before_operand(),
    reserved("float", Keyword::Unnamed),
    reserved("for", Keyword::For).before_operand(),
    reserved("foreign", Keyword::Unnamed),
    reserved("freeze", Keyword::Freeze),
    reserved("from", Keyword::From).before_operand(),
    reserved("full", Keyword::Full),
    plain("global", Keyword::Global),
    reserved("grant", Keyword::Grant),
    reserved("greatest", Keyword::Unnamed),
    reserved("group", Keyword::Group),
    reserved("grouping", Keyword::Unnamed),
    reserved("having", Keyword::Having).before_operand(),
    plain("if", Keyword::If),
    reserved("ilike", Keyword::Unnamed).before_operand(),
    plain("import", Keyword::Import),
    reserved("in", Keyword::In).before_operand(),
    plain("index", Keyword::Index),
    reserved("initially", Keyword::Unnamed),
    reserved("inner", Keyword::Unnamed),
    reserved("inout", Keyword::Unnamed),
    plain("insert", Keyword::Insert),
    reserved("int", Keyword::Unnamed),
    reserved("integer", Keyword::Unnamed),
    reserved("intersect", Keyword::Intersect),
    reserved("interval", Keyword::Unnamed),
    reserved("into", Keyword::Into),
    reserved("is", Keyword::Unnamed),
    reserved("isnull", Keyword::Unnamed),
    reserved("join", Keyword::Join),
    reserved("json", Keyword::Unnamed),
    reserved("json_array", Keyword::Unnamed),
    reserved("json_arrayagg", Keyword::Unnamed),
    reserved("json_exists", Keyword::Unnamed),
    reserved("json_object", Keyword::Unnamed),
    reserved("json_objectagg", Keyword::Unnamed),
    reserved("json_query", Keyword::Unnamed),
    reserved("json_scalar", Keyword::Unnamed),
    reserved("json_serialize", Keyword::Unnamed),
    reserved("json_table", Keyword::Unnamed),
    reserved("json_value", Keyword::Unnamed),
    reserved("lateral", Keyword::Lateral),
    reserved("leading", Keyword::Unnamed),
    reserved("least", Keyword::Unnamed),
    reserved("left", Keyword::Unnamed),
    reserved("like", Keyword::Unnamed).before_operand(),
    reserved("limit", Keyword::Limit).before_operand(),
    plain("listen", Keyword::Listen),
    plain("local", Keyword::Local),
    reserved("localtime", Keyword::Unnamed),
    reserved("localtimestamp", Keyword::Unnamed),
    plain("lock", Keyword::Lock),
    plain("mapping", Keyword::Mapping),
    plain("materialized", Keyword::Materialized),
    plain("merge", Keyword::Merge),
    reserved("merge_action", Keyword::Unnamed),
    plain("move", Keyword::Move),
    reserved("national", Keyword::Unnamed),
    reserved("natural", Keyword::Unnamed),
    reserved("nchar", Keyword::Unnamed),
    plain("no", Keyword::Unnamed),
    reserved("none", Keyword::Unnamed),
    reserved("normalize", Keyword::Unnamed),
    reserved("not", Keyword::Not).before_operand(),
    plain("notify", Keyword::Notify),
    reserved("notnull", Keyword::Unnamed),
    reserved("null", Keyword::Null),
    reserved("nullif", Keyword::Unnamed),
    reserved("numeric", Keyword::Unnamed),
    reserved("offset", Keyword::Offset).before_operand(),
    reserved("on", Keyword::On).before_operand(),
    reserved("only", Keyword::Only),
    reserved("or", Keyword::Or).before_operand(),
    reserved("order", Keyword::Order),
    reserved("out", Keyword::Unnamed),
    reserved("outer", Keyword::Unnamed),
    reserved("overlaps", Keyword::Unnamed),
    reserved("overlay", Keyword::Unnamed),
    reserved("placing", Keyword::Unnamed),
    reserved("position", Keyword::Unnamed),
    reserved("precision", Keyword::Unnamed),
    plain("prepare", Keyword::Prepare),
    plain("prepared", Keyword::Unnamed),
    reserved("primary", Keyword::Unnamed),
    reserved("real", Keyword::Unnamed),
    plain("reassign", Keyword::Reassign),
    plain("recursive", Keyword::Recursive),
    reserved("references", Keyword::Unnamed),
    plain("refresh", Keyword::Refresh),
    plain("reindex", Keyword::Reindex),
    plain("release", Keyword::Release),
    plain("replace", Keyword::Replace),
    plain("reset", Keyword::Reset),
    reserved("returning", Keyword::Returning).before_operand(),
    plain("revoke", Keyword::Revoke),
    reserved("right", Keyword::Unnamed),
    plain("role", Keyword::Role),
    plain("rollback", Keyword::Rollback),
    reserved("row", Keyword::Unnamed),
    plain("savepoint", Keyword::Savepoint),
    plain("schema", Keyword::Schema),
    plain("security", Keyword::Security),
    reserved("select", Keyword::Select).before_operand(),
    plain("sequence", Keyword::Sequence),
    reserved("session_user", Keyword::Unnamed),
    plain("set", Keyword::Set),
    reserved("setof", Keyword::Unnamed),
    plain("show", Keyword::Show),
    reserved("similar", Keyword::Unnamed),
    reserved("smallint", Keyword::Unnamed),
    reserved("some", Keyword::Unnamed),
    plain("start", Keyword::Start),
    reserved("substring", Keyword::Unnamed),
    reserved("symmetric", Keyword::Unnamed).before_operand(),
    reserved("system_user", Keyword::Unnamed),
    reserved("table", Keyword::Table),
    reserved("tablesample", Keyword::Unnamed),
    plain("temp", Keyword::Temp),
    plain("temporary", Keyword::Temporary),
    reserved("then", Keyword::Unnamed).before_operand(),
    reserved("time", Keyword::Unnamed),
    reserved("timestamp", Keyword::Unnamed),
    reserved("to", Keyword::Unnamed).before_operand(),
    reserved("trailing", Keyword::Unnamed),
    plain("transaction", Keyword::Transaction),
    reserved("treat", Keyword::Unnamed),
    reserved("trim", Keyword::Unnamed),
    reserved("true", Keyword::True),
    plain("truncate", Keyword::Truncate),
    reserved("union", Keyword::Union),
    reserved("unique", Keyword::Unique),
    plain("unlisten", Keyword::Unlisten),
    plain("unlogged", Keyword::Unlogged),
    plain("update", Keyword::Update),
    reserved("user", Keyword::User),
    reserved("using", Keyword::Using).before_operand(),
    plain("vacuum", Keyword::Vacuum),
    reserved("values", Keyword::Values),
    reserved("varchar", Keyword::Unnamed),
    reserved("variadic", Keyword::Unnamed),
    reserved("verbose", Keyword::Verbose),
    plain("view", Keyword::View),
    reserved("when", Keyword::Unnamed).before_operand(),
    reserved("where", Keyword::Where).before_operand(),
    reserved("window", Keyword::Window),
    reserved("with", Keyword::With).before_operand(),
    plain("work", Keyword::Unnamed),
    reserved("xmlattributes", Keyword::Unnamed),
    reserved("xmlconcat", Keyword::Unnamed),
    reserved("xmlelement", Keyword::Unnamed),
    reserved("xmlexists", Keyword::Unnamed),
    reserved("xmlforest", Keyword::Unnamed),
    reserved("xmlnamespaces", Keyword::Unnamed),
    reserved("xmlparse", Keyword::Unnamed),
    reserved("xmlpi", Keyword::Unnamed),
    reserved("xmlroot", Keyword::Unnamed),
    reserved("xmlserialize", Keyword::Unnamed),
    reserved("xmltable", Keyword::Unnamed),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_is_found_by_its_name() {
        for entry in TABLE {
            let found = lookup(entry.name.as_bytes()).expect(entry.name);
            assert_eq!(found.name, entry.name);
        }
    }

    #[test]
    fn the_table_is_in_order_and_without_duplicates() {
        assert!(TABLE.is_sorted_by(|a, b| a.name < b.name));
    }

    #[test]
    fn other_words_are_not_found() {
        for word in ["", "a", "selec", "selects", "Select", "zz", "\u{e9}t\u{e9}", "current_timestamps", "1a"]
        {
            assert!(lookup(word.as_bytes()).is_none(), "{word}");
        }
    }
}
