//! Expressions of SQL Server as shapes in the way conditions stand in the tree: columns by a short qualifier, names quoted
//! where they have to be, `?` for every literal and variable, and the numbers of the server's own columns left out, because
//! they differ from one compilation to the next.

use std::borrow::Cow;

use super::{
    qualifier::{Qualifiers, TableNames},
    tsql::{Kind, Token, tokens, unbracketed},
};

/// Parts of a name that are looked at: server, database, schema, table, column.
const MAX_NAME_PARTS: usize = 5;

/// The shape of an expression.
pub(super) fn shape(text: &str, qualifiers: &mut Qualifiers) -> String {
    let tokens: Vec<Token<'_>> = tokens(text).collect();
    let mut writing =
        Writing { out: String::with_capacity(text.len()), qualifiers, tight: true, after_name: false };
    let mut rest = tokens.as_slice();
    while let Some(after) = writing.step(rest) {
        rest = after;
    }
    writing.out
}

/// The shape of a single column.
pub(super) fn column(names: &TableNames<'_>, column: &str, qualifiers: &mut Qualifiers) -> String {
    let mut out = String::new();
    push_column(names, column, qualifiers, &mut out);
    out
}

struct Writing<'q> {
    out: String,
    qualifiers: &'q mut Qualifiers,
    /// Whether no space comes before the next token.
    tight: bool,
    /// Whether the last token may be the name of a function.
    after_name: bool,
}

impl Writing<'_> {
    fn step<'s, 't>(&mut self, rest: &'s [Token<'t>]) -> Option<&'s [Token<'t>]> {
        let (first, after) = rest.split_first()?;
        let after_name = std::mem::replace(&mut self.after_name, first.kind == Kind::Word);
        match first.kind {
            Kind::Value => self.push("?"),
            Kind::Name | Kind::Variable => return Some(self.name(rest)),
            // A name without brackets that is part of a longer one.
            Kind::Word if after.first().is_some_and(|next| next.kind == Kind::Dot) => {
                return Some(self.name(rest));
            }
            Kind::Word => {
                self.push(first.text);
                self.tight = after.first().is_some_and(|next| next.kind == Kind::Open);
            }
            Kind::Open => match after {
                // The server puts literals in brackets.
                [value, close, after @ ..]
                    if !after_name && value.kind == Kind::Value && close.kind == Kind::Close =>
                {
                    self.push("?");
                    return Some(after);
                }
                _ => {
                    self.push("(");
                    self.tight = true;
                }
            },
            Kind::Close | Kind::Comma => {
                self.out.push_str(first.text);
                self.tight = false;
            }
            Kind::Dot | Kind::Other => self.push(first.text),
        }
        Some(after)
    }

    fn push(&mut self, text: &str) {
        self.space();
        self.out.push_str(text);
    }

    fn space(&mut self) {
        if !self.tight {
            self.out.push(' ');
        }
        self.tight = false;
    }

    /// A name of one or more parts, and the name by alias that may stand after it.
    fn name<'s, 't>(&mut self, rest: &'s [Token<'t>]) -> &'s [Token<'t>] {
        let (parts, mut after) = parts(rest);
        let mut names = table_names(&parts);
        let mut column = parts.last().cloned().unwrap_or_default();
        if let [word, alias, dot, ..] = after
            && word.text.eq_ignore_ascii_case("as")
            && alias.kind == Kind::Name
            && dot.kind == Kind::Dot
        {
            let (by_alias, beyond) = self::parts(after.get(1..).unwrap_or_default());
            names.alias = by_alias.first().cloned().unwrap_or_default();
            column = by_alias.last().cloned().unwrap_or(column);
            after = beyond;
        }
        let is_call = after.first().is_some_and(|next| next.kind == Kind::Open);
        self.space();
        self.after_name = is_call;
        if is_call {
            push_name(&column, &mut self.out);
            self.tight = true;
        } else {
            push_column(&names, &column, self.qualifiers, &mut self.out);
        }
        after
    }
}

/// The parts of the name that begins here, and what follows it.
fn parts<'s, 't>(mut rest: &'s [Token<'t>]) -> (Vec<Cow<'t, str>>, &'s [Token<'t>]) {
    let mut parts = Vec::with_capacity(MAX_NAME_PARTS);
    while let Some((part, after)) = rest.split_first() {
        if !matches!(part.kind, Kind::Name | Kind::Word | Kind::Variable) {
            break;
        }
        if parts.len() >= MAX_NAME_PARTS {
            parts.remove(0);
        }
        parts.push(unbracketed(part.text));
        rest = after;
        match rest {
            [dot, next, ..]
                if dot.kind == Kind::Dot && matches!(next.kind, Kind::Name | Kind::Word | Kind::Variable) =>
            {
                rest = rest.get(1..).unwrap_or_default();
            }
            _ => break,
        }
    }
    (parts, rest)
}

fn table_names<'t>(parts: &[Cow<'t, str>]) -> TableNames<'t> {
    let from_end =
        |back: usize| parts.len().checked_sub(back).and_then(|at| parts.get(at)).cloned().unwrap_or_default();
    TableNames { database: from_end(4), schema: from_end(3), table: from_end(2), alias: Cow::Borrowed("") }
}

fn push_column(names: &TableNames<'_>, column: &str, qualifiers: &mut Qualifiers, out: &mut String) {
    if !names.table.is_empty() || !names.alias.is_empty() {
        push_name(&qualifiers.of(names), out);
        out.push('.');
        push_name(column, out);
    } else if column.starts_with('@') {
        out.push('?');
    } else {
        push_name(without_number(column), out);
    }
}

/// The name of one of the server's own columns without its number.
fn without_number(name: &str) -> &str {
    let stem = name.trim_end_matches(|char: char| char.is_ascii_digit());
    if stem.is_empty() { name } else { stem }
}

/// Appends a name in the way PostgreSQL writes one.
fn push_name(name: &str, out: &mut String) {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !name.starts_with(|char: char| char.is_ascii_digit())
        && !name.is_empty();
    if plain {
        return out.push_str(name);
    }
    out.push('"');
    for char in name.chars() {
        match char {
            '"' => out.push_str("\"\""),
            char if char.is_control() => out.push(' '),
            char => out.push(char),
        }
    }
    out.push('"');
}
