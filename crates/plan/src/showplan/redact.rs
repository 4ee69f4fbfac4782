//! Copies a showplan with nothing in it that could be data.
//!
//! An element is copied only if it is one of the published schema, in its place and order, and an attribute only if it is one
//! that has the form the schema gives it. Numbers, words of the server and identifiers are copied; expressions and statements
//! are masked by the lexer of Transact-SQL; values of parameters and constants become `?`; everything else, text between tags
//! included, is left out. The result is a showplan in the namespace of the schema, which is what viewers look for.

use super::{
    attribute::{Attribute, Rule},
    decode,
    element::{Element, Role},
    tsql, value,
    xml::{Item, Tag, Xml},
};
use crate::{Budget, PlanProblems, ProblemKind};

/// The namespace of all versions of the schema.
const NAMESPACE: &str = " xmlns=\"http://schemas.microsoft.com/sqlserver/2004/07/showplan\"";

/// A showplan that may leave the process.
#[derive(Clone, Debug, Default)]
pub struct RedactedShowplan {
    /// Well-formed XML. Where the original broke off, all that was open is closed; it is an empty `ShowPlanXML` where there
    /// was nothing.
    pub xml: String,
    /// Why it may not be the whole plan.
    pub problems: PlanProblems,
}

/// Redacts a showplan. Any bytes give well-formed XML.
///
/// ```
/// use dbintel_plan::{Budget, redact_sql_server};
///
/// let xml = br#"<ShowPlanXML><Predicate><ScalarOperator ScalarString="[t].[name]=N'bob'" New="bob"/></Predicate></ShowPlanXML>"#;
/// let redacted = redact_sql_server(xml, &mut Budget::unlimited());
/// assert!(redacted.xml.contains(r#"<Predicate><ScalarOperator ScalarString="[t].[name]=?"/></Predicate>"#));
/// ```
#[must_use]
pub fn redact_sql_server(bytes: &[u8], budget: &mut Budget) -> RedactedShowplan {
    let mut problems = PlanProblems::default();
    let text = decode::text(bytes, &mut problems);
    let mut redaction = Redaction {
        xml: Xml::new(&text, budget),
        out: String::with_capacity(text.len() + NAMESPACE.len()),
        masked: String::new(),
        open: Vec::with_capacity(64),
        tag_is_open: false,
        problems,
    };
    let result = redaction.document();
    let at = redaction.xml.at();
    while !redaction.open.is_empty() {
        redaction.close();
    }
    if let Err(problem) = result {
        redaction.problems.add(problem, at);
    }
    if redaction.out.is_empty() {
        redaction.out = format!("<ShowPlanXML{NAMESPACE}/>");
    }
    RedactedShowplan { xml: redaction.out, problems: redaction.problems }
}

struct Redaction<'a, 'b> {
    xml: Xml<'a, 'b>,
    out: String,
    /// Working memory.
    masked: String,
    open: Vec<Element>,
    /// Whether the tag of the innermost element has no closing bracket yet.
    tag_is_open: bool,
    problems: PlanProblems,
}

impl<'a> Redaction<'a, '_> {
    fn document(&mut self) -> Result<(), ProblemKind> {
        loop {
            match self.xml.next()? {
                Item::Open(tag) => match Element::lookup(tag.name()) {
                    Some(element) if element.property() != Role::Internal => self.open(element, &tag),
                    Some(_) => self.xml.skip()?,
                    None => {
                        self.problems.add_unknown_key(tag.name(), tag.at);
                        self.xml.skip()?;
                    }
                },
                Item::Close => self.close(),
                Item::End => return Ok(()),
            }
        }
    }

    fn open(&mut self, element: Element, tag: &Tag<'a>) {
        self.end_tag();
        self.out.push('<');
        self.out.push_str(element.as_str());
        if self.open.is_empty() {
            self.out.push_str(NAMESPACE);
        }
        let (out, masked) = (&mut self.out, &mut self.masked);
        tag.attributes(&mut self.problems, |attribute, text, problems| {
            masked.clear();
            let shown = show(attribute, &text, masked);
            match shown {
                Some(shown) => {
                    out.push(' ');
                    out.push_str(attribute.as_str());
                    out.push_str("=\"");
                    value::write(shown.unwrap_or(masked), out);
                    out.push('"');
                }
                None => problems.add(ProblemKind::UnexpectedType, tag.at),
            }
        });
        self.open.push(element);
        self.tag_is_open = true;
    }

    fn close(&mut self) {
        let Some(element) = self.open.pop() else { return };
        if std::mem::take(&mut self.tag_is_open) {
            self.out.push_str("/>");
            return;
        }
        self.out.push_str("</");
        self.out.push_str(element.as_str());
        self.out.push('>');
    }

    fn end_tag(&mut self) {
        if std::mem::take(&mut self.tag_is_open) {
            self.out.push('>');
        }
    }
}

/// What of the value is shown: itself, what stands in `masked` (an inner `None`), or nothing.
fn show<'t>(attribute: Attribute, text: &'t str, masked: &mut String) -> Option<Option<&'t str>> {
    let itself = |allowed: bool| allowed.then_some(Some(text));
    match attribute.property() {
        Rule::Plain => return itself(value::is_number(text) || value::flag(text).is_some()),
        Rule::Hash => return itself(value::is_hash(text)),
        Rule::Time => return itself(value::is_time(text)),
        Rule::Version => return itself(value::is_version(text)),
        Rule::Word => return itself(value::is_word(text)),
        Rule::Type => return itself(value::is_type(text)),
        Rule::Name if text.len() <= tsql::MAX_TSQL_NAME_BYTES => return itself(true),
        Rule::Expression => tsql::mask_expression(text, masked),
        Rule::Statement => masked.push_str(&tsql::mask_statement(text)),
        Rule::Name | Rule::Secret => masked.push('?'),
    }
    Some(None)
}
