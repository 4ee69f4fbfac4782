//! Copies a plan with nothing in it that could be data.
//!
//! A member is copied only if its name is one that PostgreSQL writes and its value has the type PostgreSQL gives it.
//! Numbers, booleans, words of the server and identifiers are copied; expressions are masked by the lexer of statements;
//! everything else becomes `?` or is left out. So a plan of a version to come loses its new members and nothing else.

use std::borrow::Cow;

use super::{
    key::{Key, Rule},
    settings::{Showing, showing},
    words,
};
use crate::{
    Budget, MAX_PLAN_DEPTH, PlanProblems, ProblemKind,
    json::{Reader, Stop, Value, write_string},
    sql::{MaskLimits, Masker, mask_expression},
};

/// The longest identifier that is copied; a longer one becomes `?`. PostgreSQL's are at most 63 bytes unless it was
/// built otherwise; the names of subplans have a word before them.
pub const MAX_NAME_BYTES: usize = 256;

/// Objects and arrays that may be open at once: a node and its list of children for each level of nodes, and what is
/// around and inside them.
const MAX_OPEN: usize = 2 * MAX_PLAN_DEPTH + 16;

/// What a value becomes that is not shown.
const MASKED: &str = "\"?\"";

/// A plan that may leave the process.
#[derive(Clone, Debug, Default)]
pub struct Redacted {
    /// JSON with the structure and types of the original, without white space. Where the original broke off, all that
    /// was open is closed; it is `null` where there was nothing.
    pub json: String,
    /// Why it may not be the whole plan.
    pub problems: PlanProblems,
}

/// Redacts what `EXPLAIN (FORMAT JSON)` or auto_explain wrote. Any bytes give valid JSON.
///
/// ```
/// use dbintel_plan::{Budget, redact_postgresql};
///
/// let json = br#"[{"Plan": {"Node Type": "Seq Scan", "Filter": "(name = 'bob'::text)", "New": "bob"}}]"#;
/// let redacted = redact_postgresql(json, &mut Budget::unlimited());
/// assert_eq!(redacted.json, r#"[{"Plan":{"Node Type":"Seq Scan","Filter":"(name = ?::text)"}}]"#);
/// ```
#[must_use]
pub fn redact_postgresql(bytes: &[u8], budget: &mut Budget) -> Redacted {
    let mut problems = PlanProblems::default();
    let text = super::text(bytes, &mut problems);
    let mut redaction = Redaction {
        json: Reader::new(&text, budget),
        out: String::with_capacity(text.len()),
        masked: String::new(),
        open: Vec::with_capacity(32),
        problems,
    };
    let result = redaction.document();
    let at = redaction.json.at();
    if let Err(stop) = result {
        redaction.problems.add(stop.problem(), at);
        redaction.close_all();
    } else if !redaction.json.is_at_end() {
        redaction.problems.add(ProblemKind::TrailingBytes, at);
    }
    if redaction.out.is_empty() {
        redaction.out.push_str("null");
    }
    redaction.out.shrink_to_fit();
    Redacted { json: redaction.out, problems: redaction.problems }
}

struct Redaction<'a, 'b> {
    json: Reader<'a, 'b>,
    out: String,
    /// One masked expression.
    masked: String,
    open: Vec<Open>,
    problems: PlanProblems,
}

/// An object or array whose end has not been written.
#[derive(Clone, Copy)]
struct Open {
    is_object: bool,
    rule: Rule,
    /// Whether something was written into it.
    has_content: bool,
}

impl<'a> Redaction<'a, '_> {
    fn document(&mut self) -> Result<(), Stop> {
        match self.json.value()? {
            Value::Object => self.open(true, Rule::Container),
            Value::Array => self.open(false, Rule::Container),
            _ => {
                self.problems.add(ProblemKind::UnexpectedType, self.json.at());
                return Ok(());
            }
        }
        while let Some(open) = self.open.last().copied() {
            let more = if open.is_object { self.member(open.rule)? } else { self.element(open.rule)? };
            if !more {
                self.close();
            }
        }
        Ok(())
    }

    fn member(&mut self, rule: Rule) -> Result<bool, Stop> {
        let Some(name) = self.json.member()? else { return Ok(false) };
        if rule == Rule::Settings {
            self.setting(&name)?;
            return Ok(true);
        }
        let Some(key) = Key::lookup(&name) else {
            self.problems.add_unknown_key(&name, self.json.at());
            let value = self.json.value()?;
            self.json.skip(&value)?;
            return Ok(true);
        };
        let value = self.json.value()?;
        self.write(Some(key), key.rule(), value)?;
        Ok(true)
    }

    fn element(&mut self, rule: Rule) -> Result<bool, Stop> {
        if !self.json.element()? {
            return Ok(false);
        }
        let value = self.json.value()?;
        self.write(None, rule, value)?;
        Ok(true)
    }

    fn setting(&mut self, name: &str) -> Result<(), Stop> {
        let value = match self.json.value()? {
            Value::String(value) => value,
            other => {
                self.problems.add(ProblemKind::UnexpectedType, self.json.at());
                return self.json.skip(&other);
            }
        };
        let showing = showing(name, &value);
        if showing == Showing::Nothing {
            self.problems.add_unknown_key("setting", self.json.at());
            return Ok(());
        }
        self.separate();
        write_string(name, &mut self.out);
        self.out.push(':');
        match showing {
            Showing::Whole => write_string(&value, &mut self.out),
            Showing::Name | Showing::Nothing => self.out.push_str(MASKED),
        }
        Ok(())
    }

    /// Writes a member or an element as its rule allows, or leaves it out.
    #[inline]
    fn write(&mut self, key: Option<Key>, rule: Rule, value: Value<'a>) -> Result<(), Stop> {
        match (rule, value) {
            (Rule::Container | Rule::PlainOrContainer | Rule::Settings, Value::Object) => {
                return self.enter(key, true, rule);
            }
            (Rule::Container | Rule::Expression | Rule::Name | Rule::Word, Value::Array) => {
                return self.enter(key, false, rule);
            }
            (Rule::Plain | Rule::PlainOrContainer, Value::Number(number)) => {
                self.start(key);
                self.out.push_str(number);
            }
            (Rule::Plain | Rule::PlainOrContainer, Value::Bool(flag)) => {
                self.start(key);
                self.out.push_str(if flag { "true" } else { "false" });
            }
            (
                Rule::Word | Rule::Name | Rule::Expression | Rule::Statement | Rule::Secret,
                Value::String(text),
            ) => {
                self.start(key);
                self.text(rule, &text);
            }
            (_, value) => {
                self.problems.add(ProblemKind::UnexpectedType, self.json.at());
                self.json.skip(&value)?;
            }
        }
        Ok(())
    }

    #[allow(clippy::ptr_arg, reason = "whether it is borrowed says whether it had escapes")]
    fn text(&mut self, rule: Rule, text: &Cow<'a, str>) {
        // What was written without escapes needs none, and masking makes no characters that do.
        let is_plain = matches!(text, Cow::Borrowed(_));
        match rule {
            Rule::Word if words::is_known(text) => self.plain(text),
            Rule::Name if text.len() <= MAX_NAME_BYTES && is_plain => self.plain(text),
            Rule::Name if text.len() <= MAX_NAME_BYTES => write_string(text, &mut self.out),
            Rule::Expression if is_plain => {
                self.out.push('"');
                mask_expression(text, &mut self.out);
                self.out.push('"');
            }
            Rule::Expression => {
                self.masked.clear();
                mask_expression(text, &mut self.masked);
                write_string(&self.masked, &mut self.out);
            }
            Rule::Statement => {
                let masked = Masker::new(MaskLimits::default()).mask(text);
                write_string(masked.releasable_text().unwrap_or("?"), &mut self.out);
            }
            _ => self.out.push_str(MASKED),
        }
    }

    #[inline]
    fn plain(&mut self, text: &str) {
        self.out.push('"');
        self.out.push_str(text);
        self.out.push('"');
    }

    // --- structure --------------------------------------------------------------------------------------

    fn enter(&mut self, key: Option<Key>, is_object: bool, rule: Rule) -> Result<(), Stop> {
        if self.open.len() >= MAX_OPEN {
            return Err(Stop::TooDeep);
        }
        self.start(key);
        self.open(is_object, rule);
        Ok(())
    }

    fn open(&mut self, is_object: bool, rule: Rule) {
        self.out.push(if is_object { '{' } else { '[' });
        self.open.push(Open { is_object, rule, has_content: false });
    }

    fn close(&mut self) {
        if let Some(open) = self.open.pop() {
            self.out.push(if open.is_object { '}' } else { ']' });
        }
    }

    fn close_all(&mut self) {
        while !self.open.is_empty() {
            self.close();
        }
    }

    /// Writes what comes before a value: a comma after another one, and the key.
    #[inline]
    fn start(&mut self, key: Option<Key>) {
        self.separate();
        if let Some(key) = key {
            self.out.push('"');
            self.out.push_str(key.as_str());
            self.out.push_str("\":");
        }
    }

    #[inline]
    fn separate(&mut self) {
        if let Some(open) = self.open.last_mut() {
            if open.has_content {
                self.out.push(',');
            }
            open.has_content = true;
        }
    }
}
