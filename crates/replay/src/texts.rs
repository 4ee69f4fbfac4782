//! Texts of statements, shared by all records that have the same.

use std::collections::HashMap;
use std::sync::Arc;

use dbintel_model::QueryText;
use dbintel_plan::sql::{MaskLimits, StatementKind, mask};

use crate::attributes::{Attribute, Read};
use crate::fields::Field;
use crate::json::Raw;

/// Texts that are remembered; with one more, all are forgotten, which costs copies and nothing else.
pub const TEXTS_MAX: usize = 65_536;

/// Texts by their fingerprint, or by themselves where they have none.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    by_fingerprint: HashMap<u64, Known>,
    by_text: HashMap<Box<[u8]>, Arc<QueryText>>,
}

/// A text with its attributes as they stood in the line.
#[derive(Debug)]
struct Known {
    parts: [Option<Box<[u8]>>; 4],
    text: Arc<QueryText>,
}

/// The attributes of a text.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Parts<'a> {
    fingerprint: Option<u64>,
    masked: Option<Raw<'a>>,
    summary: Option<Raw<'a>>,
    operation: Option<Raw<'a>>,
    kind: Option<Raw<'a>>,
    is_truncated: bool,
}

// === impl Parts ===

impl<'a> Parts<'a> {
    /// Takes the attribute if it is one of a text.
    pub(crate) fn take(&mut self, attribute: &Attribute<'a>) -> bool {
        let value: Read<'a> = attribute.value;
        match attribute.field {
            Field::Fingerprint => self.fingerprint = value.hash64(),
            Field::Text => self.masked = value.raw(),
            Field::Summary => self.summary = value.raw(),
            Field::Operation => self.operation = value.raw(),
            Field::Kind => self.kind = value.raw(),
            Field::Truncated => self.is_truncated = value.truth() == Some(true),
            _ => return false,
        }
        true
    }

    fn raws(&self) -> [Option<Raw<'a>>; 4] {
        [self.masked, self.summary, self.operation, self.kind]
    }
}

// === impl Texts ===

impl Texts {
    /// The text of these attributes; `None` where there is none.
    pub(crate) fn get(&mut self, parts: &Parts<'_>) -> Option<Arc<QueryText>> {
        match (parts.fingerprint, parts.masked) {
            (Some(fingerprint), _) => Some(self.of_ours(fingerprint, parts)),
            (None, Some(text)) => Some(self.of_others(text)),
            (None, None) => None,
        }
    }

    fn of_ours(&mut self, fingerprint: u64, parts: &Parts<'_>) -> Arc<QueryText> {
        if let Some(known) = self.by_fingerprint.get(&fingerprint)
            && known.is(parts)
        {
            return Arc::clone(&known.text);
        }
        if self.by_fingerprint.len() >= TEXTS_MAX {
            self.by_fingerprint.clear();
        }
        let kind = parts.kind.and_then(|kind| kind_of(&kind.text())).unwrap_or(StatementKind::Other);
        let operation = kind.operation_name();
        let shared = |raw: Option<Raw<'_>>| raw.map(|raw| Arc::from(raw.text()));
        let text = Arc::new(QueryText {
            masked: shared(parts.masked),
            fingerprint,
            kind: kind.as_str(),
            operation: operation.filter(|name| parts.operation.is_some_and(|raw| raw.text() == *name)),
            summary: shared(parts.summary),
            truncated: parts.is_truncated,
        });
        let raws = parts.raws().map(|raw| raw.map(|raw| raw.bytes.into()));
        self.by_fingerprint.insert(fingerprint, Known { parts: raws, text: Arc::clone(&text) });
        text
    }

    /// A text that another collector has masked in its own way is masked as ours are, which also gives it a fingerprint.
    fn of_others(&mut self, raw: Raw<'_>) -> Arc<QueryText> {
        if let Some(known) = self.by_text.get(raw.bytes) {
            return Arc::clone(known);
        }
        if self.by_text.len() >= TEXTS_MAX {
            self.by_text.clear();
        }
        let masked = mask(&raw.text(), MaskLimits::default());
        let may_leave = masked.text_may_leave();
        let text = Arc::new(QueryText {
            fingerprint: masked.fingerprint.as_u64(),
            kind: masked.kind.as_str(),
            operation: masked.kind.operation_name(),
            truncated: masked.truncated,
            summary: (may_leave && !masked.summary.is_empty()).then(|| masked.summary.into()),
            masked: may_leave.then(|| masked.text.into()),
        });
        self.by_text.insert(raw.bytes.into(), Arc::clone(&text));
        text
    }
}

// === impl Known ===

impl Known {
    fn is(&self, parts: &Parts<'_>) -> bool {
        self.text.truncated == parts.is_truncated
            && self
                .parts
                .iter()
                .zip(parts.raws())
                .all(|(known, raw)| known.as_deref() == raw.map(|raw| raw.bytes))
    }
}

/// The kind of this name.
fn kind_of(name: &str) -> Option<StatementKind> {
    StatementKind::ALL.into_iter().find(|kind| kind.as_str() == name)
}
