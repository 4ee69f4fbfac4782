//! The canonical form of an expression: without literals, aliases and what only versions or ways of planning differ in.

use super::{Names, names::Source};
use crate::sql::{Piece, PieceKind, pieces};

/// Words that continue the name of a type after its first word.
const TYPE_WORDS: [&str; 6] = ["varying", "precision", "without", "with", "time", "zone"];

/// Writes canonical forms, keeping its working memory between them.
#[derive(Default)]
pub(crate) struct Canonical<'t> {
    pieces: Vec<Piece<'t>>,
}

impl<'t> Canonical<'t> {
    /// Appends the canonical form of `text`, its pieces separated by spaces. Columns of `own` are not qualified: those
    /// of the node that reads them are only with `VERBOSE`.
    pub(crate) fn write(&mut self, text: &'t str, names: &Names<'_>, own: Option<Source>, out: &mut Vec<u8>) {
        self.pieces.clear();
        self.pieces.extend(pieces(text));
        let start = out.len();
        let mut writing = Writing { names, own, out, start };
        let mut rest = self.pieces.as_slice();
        while let Some(after) = writing.step(rest) {
            rest = after;
        }
    }
}

struct Writing<'w, 'n> {
    names: &'w Names<'n>,
    own: Option<Source>,
    out: &'w mut Vec<u8>,
    /// Where in `out` this expression begins.
    start: usize,
}

impl Writing<'_, '_> {
    /// Writes what begins at the first piece; returns what follows, or nothing at the end.
    #[inline]
    fn step<'s, 't>(&mut self, rest: &'s [Piece<'t>]) -> Option<&'s [Piece<'t>]> {
        use PieceKind::{Close, CloseSquare, Dot, Name, Open, Value};
        let (first, after) = rest.split_first()?;
        match (first.kind, after) {
            (Value, _) => {
                self.value();
                return Some(without_cast(after));
            }
            // What earlier versions write as `$0`: the result of a subplan that was computed before.
            (Open, [word, number, close, rest @ ..])
                if word.text == "InitPlan" && number.kind == Value && close.kind == Close =>
            {
                self.value();
                return Some(match rest {
                    [dot, column, rest @ ..] if dot.kind == Dot && column.kind == Name => rest,
                    _ => rest,
                });
            }
            // The number of a subplan says nothing.
            (Name, [number, rest @ ..]) if first.text == "SubPlan" && number.kind == Value => {
                self.push("SubPlan");
                return Some(rest);
            }
            // What earlier versions write without the word.
            (Name, [open, word, ..]) if first.text == "EXISTS" && open.kind == Open && is_subplan(word) => {}
            (Name, [dot, rest @ ..]) if dot.kind == Dot && !self.ends_with(b".") => {
                if let Some(source) = self.names.alias(&unquoted(first.text)) {
                    self.qualify(source);
                    return Some(rest);
                }
                self.push(first.text);
            }
            (Close, _) => {
                if self.close() {
                    return Some(without_cast(after));
                }
            }
            (CloseSquare, _) => {
                if self.close_array() {
                    return Some(without_cast(after));
                }
            }
            _ => self.push(first.text),
        }
        Some(after)
    }

    /// Writes which source the column that follows belongs to, unless that goes without saying.
    fn qualify(&mut self, source: Source) {
        if self.names.is_single() || self.own == Some(source) {
            return;
        }
        let (name, ordinal) = self.names.name(source);
        self.push(name);
        if ordinal > 1 {
            self.push(&format!("#{ordinal}"));
        }
        self.push(".");
    }

    fn ends_with(&self, end: &[u8]) -> bool {
        self.out.get(self.start..).unwrap_or_default().ends_with(end)
    }

    #[inline]
    fn push(&mut self, text: &str) {
        if self.out.len() > self.start {
            self.out.push(b' ');
        }
        self.out.extend_from_slice(text.as_bytes());
    }

    /// Writes the place of a value. In a list of values one stands for all.
    fn value(&mut self) {
        if self.ends_with(b"? ,") {
            self.out.truncate(self.out.len() - 2);
        } else {
            self.push("?");
        }
    }

    /// Writes a closing bracket. True if it closed around a single value, which then stands without brackets, unless
    /// the brackets are those of a call.
    fn close(&mut self) -> bool {
        let written = self.out.get(self.start..).unwrap_or_default();
        if let Some(before) = written.strip_suffix(b"( ?") {
            let last = before.trim_ascii_end().last();
            if !last.is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'"' | b'_')) {
                let length = self.start + before.trim_ascii_end().len();
                self.out.truncate(length);
                self.value();
                return true;
            }
        }
        self.push(")");
        false
    }

    /// Writes a closing square bracket. True if it closed an array of nothing but values, which is one value: planned with its values
    /// it is a constant.
    fn close_array(&mut self) -> bool {
        let written = self.out.get(self.start..).unwrap_or_default();
        if let Some(before) = written.strip_suffix(b"ARRAY [ ?")
            && before.last().is_none_or(|byte| *byte == b' ')
        {
            let length = self.start + before.trim_ascii_end().len();
            self.out.truncate(length);
            self.value();
            return true;
        }
        self.push("]");
        false
    }
}

fn is_subplan(piece: &Piece<'_>) -> bool {
    matches!(piece.text, "SubPlan" | "hashed")
}

/// Skips the type that a value is cast to: literals carry it, parameters mostly do not.
fn without_cast<'s, 't>(mut rest: &'s [Piece<'t>]) -> &'s [Piece<'t>] {
    while let [cast, name, after @ ..] = rest
        && cast.kind == PieceKind::Cast
        && name.kind == PieceKind::Name
    {
        rest = after_type(after);
    }
    rest
}

/// Skips what follows the first word of a type.
fn after_type<'s, 't>(mut rest: &'s [Piece<'t>]) -> &'s [Piece<'t>] {
    use PieceKind::{Close, CloseSquare, Dot, Name, Open, OpenSquare, Value};
    loop {
        rest = match rest {
            [dot, name, after @ ..] if dot.kind == Dot && name.kind == Name => after,
            [word, after @ ..] if word.kind == Name && TYPE_WORDS.contains(&word.text) => after,
            [open, value, close, after @ ..]
                if open.kind == Open && value.kind == Value && close.kind == Close =>
            {
                after
            }
            [open, close, after @ ..] if open.kind == OpenSquare && close.kind == CloseSquare => after,
            _ => return rest,
        };
    }
}

/// A name without its quotes.
fn unquoted(name: &str) -> std::borrow::Cow<'_, str> {
    match name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
        Some(inside) if inside.contains("\"\"") => inside.replace("\"\"", "\"").into(),
        Some(inside) => inside.into(),
        None => name.into(),
    }
}

#[cfg(test)]
mod tests;
