//! Whether a text may be explained at all, and what it names. Decided on its tokens, before the server sees it.

use std::collections::BTreeSet;

use dbintel_plan::sql::{Lexeme, LexemeKind, MaskLimits, StatementKind, lexemes, mask};

use crate::state::plans::MissingPlan;

/// Names in one text that are looked up in the catalogue.
const MAX_NAMES: usize = 500;
/// Operators that stand in texts as words (`LIKE`, `IN`, `BETWEEN`, `NULLIF`, `CASE x WHEN`, `SIMILAR TO`) or as other signs (`!=`), and
/// are looked up on the search path as all are.
pub(super) const UNWRITTEN_OPERATORS: [&str; 12] =
    ["=", "<>", "<", "<=", ">", ">=", "~", "!~", "~~", "!~~", "~~*", "!~~*"];
/// Bytes of a name; the server cuts off what is beyond them.
const NAME_BYTES: usize = 63;
/// Functions of the catalogue that are `STABLE` or `IMMUTABLE` and read whole tables, so that planning could: what ends
/// or begins like this.
const WHOLE_TABLE_FUNCTIONS: [&str; 3] = ["_to_xml", "_to_xmlschema", "_to_xml_and_xmlschema"];

/// What a text names, as far as its tokens tell; rather too much than too little.
#[derive(Default)]
pub(super) struct Vetted {
    /// Everything that can be a table, a schema or a function, which can be called as if it were a column.
    pub(super) names: Vec<String>,
    /// Operators, with all [`UNWRITTEN_OPERATORS`].
    pub(super) operators: Vec<String>,
    /// The highest parameter.
    pub(super) parameters: u32,
}

/// Lets one complete statement of a kind that has a plan through.
pub(super) fn vet(text: &str) -> Result<Vetted, MissingPlan> {
    let (mut all, problems) = lexemes(text);
    if !problems.is_empty() {
        return Err(MissingPlan::TextUnreadable);
    }
    while all.last().is_some_and(|last| last.kind == LexemeKind::Semicolon) {
        all.pop();
    }
    if all.iter().any(|lexeme| lexeme.kind == LexemeKind::Semicolon) {
        return Err(MissingPlan::SeveralStatements);
    }
    let masked = mask(text, MaskLimits { max_text_bytes: text.len() * 2 + 64, max_input_bytes: text.len() });
    if !masked.problems.is_empty() || masked.truncated {
        return Err(MissingPlan::TextUnreadable);
    }
    let kinds = [
        StatementKind::Select,
        StatementKind::Insert,
        StatementKind::Update,
        StatementKind::Delete,
        StatementKind::Merge,
        StatementKind::Values,
        StatementKind::Table,
    ];
    if !kinds.contains(&masked.kind) || !begins_well(&all) || selects_into(&all) {
        return Err(MissingPlan::StatementKind);
    }
    names(&all)
}

/// The verbs are found once more, independently of the classifier.
fn begins_well(all: &[Lexeme<'_>]) -> bool {
    const VERBS: [&str; 8] = ["select", "insert", "update", "delete", "merge", "values", "with", "table"];
    let first = all.iter().find(|lexeme| lexeme.kind != LexemeKind::Open);
    first.is_some_and(|first| VERBS.iter().any(|verb| first.is_word(verb)))
}

/// `SELECT … INTO t` makes a table. `INTO` follows `INSERT` and `MERGE` otherwise.
fn selects_into(all: &[Lexeme<'_>]) -> bool {
    let verb = |lexeme: &Lexeme<'_>| lexeme.is_word("insert") || lexeme.is_word("merge");
    let mut before = None;
    all.iter().any(|lexeme| {
        let into = lexeme.is_word("into") && !before.as_ref().is_some_and(verb);
        before = Some(*lexeme);
        into
    })
}

fn names(all: &[Lexeme<'_>]) -> Result<Vetted, MissingPlan> {
    let mut names = BTreeSet::new();
    let mut operators: BTreeSet<String> = UNWRITTEN_OPERATORS.map(str::to_owned).into();
    let mut parameters = 0;
    for (place, lexeme) in all.iter().enumerate() {
        match lexeme.kind {
            LexemeKind::Word | LexemeKind::QuotedIdentifier => {
                let name = name(lexeme).ok_or(MissingPlan::TextUnreadable)?;
                let is_called = all.get(place + 1).is_some_and(|next| next.kind == LexemeKind::Open);
                if is_called && WHOLE_TABLE_FUNCTIONS.iter().any(|suffix| name.ends_with(suffix)) {
                    return Err(MissingPlan::Function);
                }
                // As many bytes where texts are UTF-8, as many characters where each is a byte.
                names.insert(cut_off(&name));
                names.insert(name.chars().take(NAME_BYTES).collect());
            }
            LexemeKind::Operator => {
                operators.insert(lexeme.text.to_owned());
            }
            LexemeKind::Parameter => {
                let number = lexeme.text.get(1..).and_then(|digits| digits.parse().ok());
                parameters = parameters.max(number.ok_or(MissingPlan::TextUnreadable)?);
            }
            _ => {}
        }
    }
    if names.len() + operators.len() > MAX_NAMES {
        return Err(MissingPlan::TextTooLong);
    }
    let list = |set: BTreeSet<String>| set.into_iter().collect();
    Ok(Vetted { names: list(names), operators: list(operators), parameters })
}

/// The name as the catalogue has it; `None` for one with Unicode escapes, which nothing here resolves.
pub(super) fn name(lexeme: &Lexeme<'_>) -> Option<String> {
    if lexeme.kind == LexemeKind::Word {
        return Some(lexeme.text.to_ascii_lowercase());
    }
    let inside = lexeme.text.strip_prefix('"')?.strip_suffix('"')?;
    Some(inside.replace("\"\"", "\""))
}

/// The name without what the server cuts off.
pub(super) fn cut_off(name: &str) -> String {
    name.get(..name.floor_char_boundary(NAME_BYTES)).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_complete_statement_with_a_plan_is_let_through() {
        let check =
            |text: &str, expected: Option<MissingPlan>| assert_eq!(vet(text).err(), expected, "{text}");
        for text in [
            "SELECT $1",
            "select * from a where b = $1;",
            "(select 1) union (select 2)",
            "WITH x AS (DELETE FROM a RETURNING *) SELECT * FROM x",
            "with x as (select 1) insert into a select * from x",
            "insert into a values ($1) on conflict do nothing",
            "update a set b = $1",
            "delete from a",
            "MERGE INTO a USING b ON a.x = b.x WHEN MATCHED THEN DELETE",
            "values ($1, $2)",
            "TABLE a",
            "select * from a where b in ($1 /*, ... */)",
        ] {
            check(text, None);
        }
        check("select 1; drop table a", Some(MissingPlan::SeveralStatements));
        check("select ';' ; ; ", None);
        check("select 'cut", Some(MissingPlan::TextUnreadable));
        check("select /* cut", Some(MissingPlan::TextUnreadable));
        check(r"select 'a\' || b'", Some(MissingPlan::TextUnreadable));
        check(r#"select * from U&"d\0061t""#, Some(MissingPlan::TextUnreadable));
        for text in [
            "drop table a",
            "explain analyze delete from a",
            "explain select 1",
            "copy (select 1) to program $1",
            "create table a as select 1",
            "select 1 into a",
            "do $x$ begin end $x$",
            "call p()",
            "execute a",
            "prepare a as select 1",
            "analyze",
            "set a = b",
            "begin",
            "",
            "declare c cursor for select 1",
            "analyze select 1",
        ] {
            check(text, Some(MissingPlan::StatementKind));
        }
        check("select table_to_xml($1, true, true, '')", Some(MissingPlan::Function));
    }

    #[test]
    fn names_are_those_of_the_catalogue() {
        let Ok(vetted) = vet(r#"SELECT Fun(a.X) FROM "My ""T" a WHERE b === $12 AND "Q"($2)"#) else {
            panic!("it may be explained");
        };
        assert!(vetted.names.contains(&"My \"T".to_owned()) && vetted.names.contains(&"x".to_owned()));
        assert!(vetted.operators.contains(&"===".to_owned()) && vetted.operators.contains(&"~~".to_owned()));
        assert_eq!(vetted.parameters, 12);
    }

    #[test]
    fn names_are_as_long_as_the_server_lets_them_be() {
        let Ok(vetted) = vet(&format!("SELECT {}(), \"{}\"", "f".repeat(64), "ä".repeat(64))) else {
            panic!("it may be explained");
        };
        for name in ["f".repeat(63), "ä".repeat(31), "ä".repeat(63)] {
            assert!(vetted.names.contains(&name), "{name}");
        }
    }
}
