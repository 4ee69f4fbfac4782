//! Texts as the server normalises them that it does not parse, made into ones that it does and that have the same plan.
//!
//! Where a literal was part of the grammar (`interval '1 day'`) a parameter is an error of syntax, and where a literal
//! had no type of its own (`1 + 2`) a parameter may have none either. Types that are guessed do not change the plan: the
//! value is unknown anyway.

use std::collections::{BTreeSet, HashMap};

use dbintel_plan::sql::{Lexeme, LexemeKind, lexemes};

/// Types that can stand before a literal: `date '2020-01-01'`.
const TYPES: [&str; 44] = [
    "interval",
    "date",
    "time",
    "timestamp",
    "timestamptz",
    "timetz",
    "numeric",
    "json",
    "jsonb",
    "inet",
    "cidr",
    "uuid",
    "bytea",
    "bool",
    "boolean",
    "int4",
    "int8",
    "float8",
    "point",
    "text",
    "money",
    "xml",
    "int",
    "integer",
    "bigint",
    "smallint",
    "int2",
    "float4",
    "real",
    "varchar",
    "bit",
    "varbit",
    "box",
    "circle",
    "line",
    "lseg",
    "path",
    "polygon",
    "macaddr",
    "tsquery",
    "tsvector",
    "daterange",
    "tsrange",
    "tstzrange",
];
/// Fields that can follow the literal of an interval.
const FIELDS: [&str; 7] = ["year", "month", "day", "hour", "minute", "second", "to"];
/// Functions that take anything, so that nothing says what type a parameter has.
const OF_ANY: [&str; 14] = [
    "count",
    "jsonb_build_object",
    "json_build_object",
    "jsonb_build_array",
    "json_build_array",
    "concat",
    "concat_ws",
    "format",
    "to_json",
    "to_jsonb",
    "row_to_json",
    "array_agg",
    "jsonb_agg",
    "json_agg",
];
/// Functions that take numbers of several types.
const OF_NUMBERS: [&str; 10] =
    ["sum", "avg", "min", "max", "abs", "round", "generate_series", "sign", "ceil", "floor"];
/// What ends a list after `GROUP BY` or `ORDER BY`.
const ENDS: [&str; 11] =
    ["having", "order", "limit", "offset", "fetch", "union", "intersect", "except", "window", "for", "rows"];
/// Operators of arithmetic.
const ARITHMETIC: [&str; 10] = ["+", "-", "*", "/", "%", "&", "|", "#", "<<", ">>"];
/// What can follow an item of a list of results.
const AFTER_ITEM: [&str; 6] = ["as", "from", "union", "intersect", "except", "where"];

/// How far a text is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guesses {
    /// Only where a parameter cannot have a type without it.
    Needed,
    /// Also where it can: results that are a parameter alone, and the second operand of arithmetic, are numbers.
    Bold,
}

/// The text with all that is known to help, and its highest parameter; `None` if nothing is.
pub(super) fn rewrite(text: &str, parameters: u32, guesses: Guesses) -> Option<(String, u32)> {
    // Expressions that were one are made so first, so that they stay so.
    let (grouped, _) = pass(text, parameters, |rewriter| {
        for place in 0..rewriter.all.len() {
            rewriter.repeated_after(place);
        }
    })
    .unzip();
    let typed = pass(grouped.as_deref().unwrap_or(text), parameters, |rewriter| {
        for place in 0..rewriter.all.len() {
            rewriter.look_at(place, guesses);
        }
    });
    let (rewritten, _) = typed.or_else(|| grouped.map(|text| (text, parameters))).unzip();
    // `PREPARE` wants a type of every parameter up to the highest, of those that do not occur as well.
    let (dense, parameters) = dense(rewritten.as_deref().unwrap_or(text));
    dense.or(rewritten).map(|text| (text, parameters))
}

/// The text with the numbers from 1 and without gaps, if it has any, and how many there are.
fn dense(text: &str) -> (Option<String>, u32) {
    let (all, _) = lexemes(text);
    let number = |lexeme: &Lexeme<'_>| lexeme.text.get(1..).and_then(|digits| digits.parse::<u32>().ok());
    let used: BTreeSet<u32> =
        all.iter().filter(|lexeme| lexeme.kind == LexemeKind::Parameter).filter_map(number).collect();
    let count = u32::try_from(used.len()).unwrap_or(u32::MAX);
    if used.last().is_none_or(|last| *last == count) {
        return (None, count);
    }
    let places: HashMap<u32, usize> = used.iter().zip(1..).map(|(number, place)| (*number, place)).collect();
    let renumbered = pass(text, 0, |rewriter| {
        for place in 0..rewriter.all.len() {
            let parameter = rewriter.at(place).filter(|lexeme| lexeme.kind == LexemeKind::Parameter);
            if let Some(new) = parameter.and_then(number).and_then(|number| places.get(&number)) {
                rewriter.replace(place, place, format!("${new}"));
            }
        }
    });
    (renumbered.map(|(text, _)| text), count)
}

fn pass(text: &str, parameters: u32, collect: impl FnOnce(&mut Rewriter<'_>)) -> Option<(String, u32)> {
    let (all, _) = lexemes(text);
    let mut rewriter = Rewriter { all: &all, edits: Vec::new(), parameters };
    collect(&mut rewriter);
    let (mut edits, parameters) = (rewriter.edits, rewriter.parameters);
    if edits.is_empty() {
        return None;
    }
    edits.sort_by_key(|edit| edit.start);
    let (mut rewritten, mut at) = (String::with_capacity(text.len() + 64), 0);
    for edit in edits {
        // Of two edits of the same place the first one counts.
        if edit.start >= at {
            rewritten.push_str(text.get(at..edit.start)?);
            rewritten.push_str(&edit.to);
            at = edit.end;
        }
    }
    rewritten.push_str(text.get(at..)?);
    Some((rewritten, parameters))
}

struct Rewriter<'a> {
    all: &'a [Lexeme<'a>],
    edits: Vec<Edit>,
    parameters: u32,
}

struct Edit {
    start: usize,
    end: usize,
    to: String,
}

impl<'a> Rewriter<'a> {
    fn at(&self, place: usize) -> Option<&Lexeme<'a>> {
        self.all.get(place)
    }

    fn is(&self, place: Option<usize>, kind: LexemeKind) -> bool {
        place.and_then(|place| self.at(place)).is_some_and(|lexeme| lexeme.kind == kind)
    }

    fn is_word(&self, place: Option<usize>, word: &str) -> bool {
        place.and_then(|place| self.at(place)).is_some_and(|lexeme| lexeme.is_word(word))
    }

    fn is_one_of(&self, place: Option<usize>, words: &[&str]) -> bool {
        words.iter().any(|word| self.is_word(place, word))
    }

    fn replace(&mut self, first: usize, last: usize, to: String) {
        if let (Some(first), Some(last)) = (self.at(first), self.at(last)) {
            let (start, end) = (first.start, last.end());
            self.edits.push(Edit { start, end, to });
        }
    }

    fn cast(&mut self, place: usize, to: &str) {
        if let Some(parameter) = self.at(place) {
            let to = format!("{}::{to}", parameter.text);
            self.replace(place, place, to);
        }
    }

    fn look_at(&mut self, place: usize, guesses: Guesses) {
        let (before, after) = (place.checked_sub(1), Some(place + 1));
        if !self.is(Some(place), LexemeKind::Parameter) || self.is(after, LexemeKind::Cast) {
            return;
        }
        if self.typed_literal(place) || self.extract(place) || self.is_null(place) {
            return;
        }
        if let Some(function) = self.function_of(place) {
            let first = self.is(before, LexemeKind::Open);
            if self.is_one_of(Some(function), &OF_ANY) {
                self.cast(place, "text");
            } else if self.is_one_of(Some(function), &["unnest", "array_length", "cardinality"]) && first {
                self.cast(place, "text[]");
            } else if self.is_one_of(Some(function), &OF_NUMBERS) && first {
                self.cast(place, "int4");
            }
        }
        let arithmetic = |place: Option<usize>| {
            self.is(place, LexemeKind::Operator)
                && place.and_then(|place| self.at(place)).is_some_and(|op| ARITHMETIC.contains(&op.text))
        };
        let needed = arithmetic(after) && self.is(Some(place + 2), LexemeKind::Parameter);
        let bold = guesses == Guesses::Bold && (arithmetic(before) || self.is_result(place));
        if needed || bold {
            self.cast(place, "int4");
        }
    }

    /// Whether the parameter alone is a value of `VALUES`, or of what a `SELECT` gives.
    fn is_result(&self, place: usize) -> bool {
        if let Some(name) = self.function_of(place) {
            return self.is_word(Some(name), "values") || self.is(Some(name), LexemeKind::Comma);
        }
        let before = place.checked_sub(1);
        let ends = self.at(place + 1).is_none()
            || self.is(Some(place + 1), LexemeKind::Comma)
            || self.is(Some(place + 1), LexemeKind::Close)
            || self.is_one_of(Some(place + 1), &AFTER_ITEM);
        ends && (self.is_one_of(before, &["select", "distinct", "all"])
            || self.is(before, LexemeKind::Comma) && self.is_in_results(place))
    }

    /// Whether the list around this place began with `SELECT`.
    fn is_in_results(&self, place: usize) -> bool {
        let mut depth = 0_usize;
        for at in (0..place).rev() {
            match self.at(at).map(|lexeme| lexeme.kind) {
                Some(LexemeKind::Close) => depth += 1,
                Some(LexemeKind::Open) if depth == 0 => return false,
                Some(LexemeKind::Open) => depth -= 1,
                _ if depth > 0 => {}
                _ if self.is_word(Some(at), "select") => return true,
                _ if self.is_one_of(Some(at), &["from", "where", "by", "set"]) => return false,
                _ => {}
            }
        }
        false
    }

    /// `interval $1 day`, `timestamp with time zone $1`, `date $1`.
    fn typed_literal(&mut self, place: usize) -> bool {
        let back = |steps: usize| place.checked_sub(steps);
        let zoned = self.is_word(back(1), "zone")
            && self.is_word(back(2), "time")
            && self.is_one_of(back(3), &["with", "without"])
            && self.is_one_of(back(4), &["time", "timestamp"]);
        let first = match (zoned, self.is_one_of(back(1), &TYPES)) {
            (true, _) => back(4),
            (false, true) => back(1),
            (false, false) => return false,
        };
        let qualified = first.and_then(|first| first.checked_sub(1));
        if self.is(qualified, LexemeKind::Dot) || self.is_word(qualified, "as") {
            return false;
        }
        let Some(first) = first else { return false };
        let (Some(from), Some(until), Some(parameter)) =
            (self.at(first), back(1).and_then(|last| self.at(last)), self.at(place))
        else {
            return false;
        };
        let words: Vec<&str> = self
            .all
            .iter()
            .filter(|l| (from.start..until.end()).contains(&l.start))
            .map(|l| l.text)
            .collect();
        let to = format!("{}::{}", parameter.text, words.join(" "));
        let mut last = place;
        while words.first().is_some_and(|word| word.eq_ignore_ascii_case("interval"))
            && self.is_one_of(Some(last + 1), &FIELDS)
        {
            last += 1;
        }
        self.replace(first, last, to);
        true
    }

    /// `extract($1 from c)` is `date_part($1::text, c)`; `extract(epoch from $1)` has a moment after `FROM`.
    fn extract(&mut self, place: usize) -> bool {
        let open = place.checked_sub(1);
        let name = place.checked_sub(2);
        if self.is(open, LexemeKind::Open)
            && self.is_word(name, "extract")
            && self.is_word(Some(place + 1), "from")
            && let (Some(name), Some(parameter)) = (name, self.at(place))
        {
            let to = format!("date_part({}::text,", parameter.text);
            self.replace(name, place + 1, to);
            // What is extracted from has no type either.
            if self.is(Some(place + 2), LexemeKind::Parameter) && self.is(Some(place + 3), LexemeKind::Close)
            {
                self.cast(place + 2, "timestamptz");
            }
            return true;
        }
        let from = place.checked_sub(1);
        let extracts = self.is_word(from, "from")
            && place.checked_sub(4).is_some_and(|function| self.is_word(Some(function), "extract"))
            && self.is(place.checked_sub(3), LexemeKind::Open);
        if extracts && !self.is(place.checked_sub(2), LexemeKind::Parameter) {
            self.cast(place, "timestamptz");
        }
        extracts
    }

    /// `$1 IS NULL` says nothing about a type: another parameter stands there, of which nothing is known either.
    fn is_null(&mut self, place: usize) -> bool {
        let negated = usize::from(self.is_word(Some(place + 2), "not"));
        if !self.is_word(Some(place + 1), "is") || !self.is_word(Some(place + 2 + negated), "null") {
            return false;
        }
        self.parameters += 1;
        self.replace(place, place, format!("${}::text", self.parameters));
        true
    }

    /// The place of the name of the function whose argument the parameter is, alone.
    fn function_of(&self, place: usize) -> Option<usize> {
        let before = place.checked_sub(1)?;
        let alone = (self.is(Some(before), LexemeKind::Open) || self.is(Some(before), LexemeKind::Comma))
            && (self.is(Some(place + 1), LexemeKind::Close) || self.is(Some(place + 1), LexemeKind::Comma));
        let mut depth = 0_usize;
        for at in (0..place).rev().filter(|_| alone) {
            match self.at(at)?.kind {
                LexemeKind::Close => depth += 1,
                LexemeKind::Open if depth == 0 => return at.checked_sub(1),
                LexemeKind::Open => depth -= 1,
                _ => {}
            }
        }
        None
    }

    /// In `SELECT f('x', c) … GROUP BY f('x', c)` the server sees one expression, and replaces only the first literal. The
    /// second expression gets the first one's parameters, also where it has its own.
    fn repeated_after(&mut self, place: usize) {
        if self.is_one_of(Some(place), &["group", "order"]) && self.is_word(Some(place + 1), "by") {
            self.repeated_in(place);
        }
    }

    /// Of the list after the `BY` that follows `clause`.
    fn repeated_in(&mut self, clause: usize) {
        let (mut depth, mut start, mut place) = (0_usize, clause + 2, clause + 2);
        loop {
            let kind = self.at(place).map(|lexeme| lexeme.kind);
            let ends = kind.is_none()
                || depth == 0 && (kind == Some(LexemeKind::Close) || self.is_one_of(Some(place), &ENDS));
            let direction = depth == 0 && self.is_one_of(Some(place), &["asc", "desc", "nulls", "using"]);
            if ends || direction || depth == 0 && kind == Some(LexemeKind::Comma) {
                self.same_numbers(start, place, clause);
                start = place + 1;
            }
            if ends {
                return;
            }
            match kind {
                Some(LexemeKind::Open) => depth += 1,
                Some(LexemeKind::Close) => depth = depth.saturating_sub(1),
                _ => {}
            }
            place += 1;
        }
    }

    /// Gives the values of `start..end` the parameters they are where the same expression stands before `limit`.
    fn same_numbers(&mut self, start: usize, end: usize, limit: usize) {
        let Some(item) = self.all.get(start..end).filter(|item| item.len() > 1) else { return };
        let value = |kind| matches!(kind, LexemeKind::Parameter | LexemeKind::Literal | LexemeKind::Number);
        let same = |there: &Lexeme<'_>, here: &Lexeme<'_>| {
            there.kind == LexemeKind::Parameter && value(here.kind)
                || there.kind == here.kind && there.text.eq_ignore_ascii_case(here.text)
        };
        let alike = |at: &usize| {
            let there = self.all.get(*at..*at + item.len()).unwrap_or_default();
            *at + item.len() <= limit
                && there.len() == item.len()
                && there.iter().zip(item).all(|(there, here)| same(there, here))
        };
        let Some(there) = (0..limit).find(alike) else { return };
        for offset in 0..item.len() {
            let parameter = self.at(there + offset).filter(|lexeme| lexeme.kind == LexemeKind::Parameter);
            if let Some(parameter) = parameter.map(|lexeme| lexeme.text.to_owned()) {
                self.replace(start + offset, start + offset, parameter);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        check_with(Guesses::Needed, text, expected);
    }

    fn check_with(guesses: Guesses, text: &str, expected: &str) {
        let rewritten = rewrite(text, 9, guesses).map(|(text, _)| text);
        assert_eq!(rewritten.as_deref().unwrap_or("as it is"), expected, "{text}");
    }

    #[test]
    fn bold_guesses_are_numbers() {
        let bold = |text: &str, expected: &str| check_with(Guesses::Bold, text, expected);
        bold("select a + $1 from t", "select a + $1::int4 from t");
        bold("with a as (select $1 as n) select n", "with a as (select $1::int4 as n) select n");
        bold("values ($1, $2), ($3, $4)", "values ($1::int4, $2::int4), ($3::int4, $4::int4)");
        bold("select a, $1 from t where b = $2", "select a, $1::int4 from t where b = $2");
        bold("select f(a, $1) from t where b in (1, $2)", "as it is");
        bold("select a from t order by b, $1", "as it is");
        bold("select $1 & $2", "select $1::int4 & $2::int4");
    }

    #[test]
    fn a_literal_with_its_type_before_it_becomes_a_cast() {
        check("select now() - interval $1", "select now() - $1::interval");
        check("select interval $1 day to hour, date $2", "select $1::interval, $2::date");
        check("where a > timestamp with time zone $1", "where a > $1::timestamp with time zone");
        check("select a.date, $1", "as it is");
        check("select $1::interval", "as it is");
    }

    #[test]
    fn extract_becomes_the_function_behind_it() {
        check("select extract($1 from c) from t", "select date_part($1::text, c) from t");
        check("select extract(epoch from $1)", "select extract(epoch from $1::timestamptz)");
        check("select extract($1 from $2)", "select date_part($1::text, $2::timestamptz)");
        check("select extract(epoch from c) from t", "as it is");
    }

    #[test]
    fn parameters_without_a_type_get_one() {
        check("select $1 + $2 + $3", "select $1::int4 + $2::int4 + $3");
        check("select a + $1", "as it is");
        check("select * from generate_series($1, $2)", "select * from generate_series($1::int4, $2)");
        check("select unnest($1)", "select unnest($1::text[])");
        check("select count($1), sum(a)", "select count($1::text), sum(a)");
        check(
            "select jsonb_build_object($1, a, $2, b)",
            "select jsonb_build_object($1::text, a, $2::text, b)",
        );
        check("where $1 is null or a = $1", "where $2::text is null or a = $1");
        check("where ($1 is not null and a = $2)", "where ($2::text is not null and a = $1)");
        check("where a in ($1 /*, ... */) limit $6", "where a in ($1 /*, ... */) limit $2");
    }

    #[test]
    fn an_expression_that_is_repeated_has_the_same_parameters() {
        check(
            "select date_trunc($1, c), count(*) from t group by date_trunc($2, c) order by 1",
            "select date_trunc($1, c), count(*) from t group by date_trunc($1, c) order by 1",
        );
        check(
            "select a / $1 * $2, b from t group by b, a / $3 * $4",
            "select a / $1::int4 * $2, b from t group by b, a / $1::int4 * $2",
        );
        check(
            "select date_trunc($1, c), n from t group by date_trunc('day', c), n order by date_trunc('day', c) desc, n",
            "select date_trunc($1, c), n from t group by date_trunc($1, c), n order by date_trunc($1, c) desc, n",
        );
        check(
            "select distinct a % $1 from t order by a % 7",
            "select distinct a % $1 from t order by a % $1",
        );
        check("select a from t group by a order by f($1, a)", "as it is");
    }
}
