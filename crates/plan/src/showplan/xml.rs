//! Elements one after the other, within bounds.

use std::borrow::Cow;

use quick_xml::{
    Reader,
    errors::Error,
    events::{Event, attributes::Attributes},
};

use super::{
    attribute::{Attribute, Rule},
    value,
};
use crate::{Budget, PlanProblems, ProblemKind};

/// The most elements that may be open at once. A node takes two, and expressions nest within.
pub const MAX_OPEN_ELEMENTS: usize = 4 * crate::MAX_PLAN_DEPTH;

/// The most attributes of one element that are read. The schema has about forty for a statement.
pub const MAX_ATTRIBUTES: usize = 96;

/// What comes next.
pub(super) enum Item<'a> {
    Open(Tag<'a>),
    Close,
    End,
}

/// The start of an element.
#[derive(Clone, Copy)]
pub(super) struct Tag<'a> {
    /// What is between the angle brackets.
    text: &'a str,
    name_end: usize,
    pub(super) at: usize,
}

impl<'a> Tag<'a> {
    /// The name without a prefix. All elements of a showplan are in one namespace; queries over plans put prefixes before.
    pub(super) fn name(&self) -> &'a str {
        let name = self.text.get(..self.name_end).unwrap_or_default();
        name.rsplit_once(':').map_or(name, |(_, local)| local)
    }

    /// Hands each known attribute and its value to `take`; what is wrong with the others is noted.
    pub(super) fn attributes(
        &self,
        problems: &mut PlanProblems,
        mut take: impl FnMut(Attribute, Cow<'a, str>, &mut PlanProblems),
    ) {
        let mut attributes = Attributes::new(self.text, self.name_end);
        // The reader's own check compares names; below, a bit for each known one does.
        attributes.with_checks(false);
        let mut met = [0_u64; WORDS_OF_BITS];
        for (count, attribute) in attributes.enumerate() {
            if count >= MAX_ATTRIBUTES {
                return problems.add(ProblemKind::TooManyAttributes, self.at);
            }
            let Ok(attribute) = attribute else {
                return problems.add(ProblemKind::Malformed, self.at);
            };
            let name = attribute.key.0;
            if name == "xmlns" || name.starts_with("xmlns:") || name.starts_with("xsi:") {
                continue;
            }
            let Some(known) = Attribute::lookup(name) else {
                problems.add_unknown_key(name, self.at);
                continue;
            };
            if !is_first(known, &mut met) {
                problems.add(ProblemKind::Malformed, self.at);
                continue;
            }
            match value::unescaped(attribute.value) {
                Some(value) if known.property() == Rule::Name => take(known, value::name(value), problems),
                Some(value) => take(known, value, problems),
                None => problems.add(ProblemKind::UnknownEntity, self.at),
            }
        }
    }
}

/// Words of bits that are enough for all attributes of the schema.
const WORDS_OF_BITS: usize = 8;

/// Whether the attribute was not met before.
#[inline]
fn is_first(attribute: Attribute, met: &mut [u64; WORDS_OF_BITS]) -> bool {
    let number = attribute as usize;
    let Some(word) = met.get_mut(number / 64) else { return false };
    let bit = 1 << (number % 64);
    let first = *word & bit == 0;
    *word |= bit;
    first
}

pub(super) struct Xml<'a, 'b> {
    text: &'a str,
    reader: Reader<&'a [u8]>,
    budget: &'b mut Budget,
    depth: usize,
    /// Whether the element that was opened last has no content, so that its end comes next.
    is_empty: bool,
    has_root: bool,
}

impl<'a, 'b> Xml<'a, 'b> {
    pub(super) fn new(text: &'a str, budget: &'b mut Budget) -> Self {
        Self { text, reader: Reader::from_str(text), budget, depth: 0, is_empty: false, has_root: false }
    }

    pub(super) fn at(&self) -> usize {
        usize::try_from(self.reader.buffer_position()).unwrap_or(self.text.len())
    }

    /// How many elements are open.
    pub(super) const fn depth(&self) -> usize {
        self.depth
    }

    pub(super) fn next(&mut self) -> Result<Item<'a>, ProblemKind> {
        loop {
            if self.is_empty {
                self.is_empty = false;
                self.depth -= 1;
                return Ok(Item::Close);
            }
            let start = self.at();
            let event = self.reader.read_event().map_err(|error| problem(&error))?;
            let end = self.at();
            if !self.budget.spend(end.saturating_sub(start)) {
                return Err(ProblemKind::BudgetExhausted);
            }
            match event {
                Event::Start(tag) => return self.open(start, end.saturating_sub(1), tag.name().0.len()),
                Event::Empty(tag) => {
                    let item = self.open(start, end.saturating_sub(2), tag.name().0.len());
                    self.is_empty = item.is_ok();
                    return item;
                }
                Event::End(_) => {
                    self.depth = self.depth.saturating_sub(1);
                    return Ok(Item::Close);
                }
                Event::DocType(_) => return Err(ProblemKind::DocumentType),
                Event::Eof if self.depth > 0 => return Err(ProblemKind::CutShort),
                Event::Eof => return Ok(Item::End),
                // A showplan has no text between its tags; what is there is not looked at.
                Event::Text(_)
                | Event::CData(_)
                | Event::Comment(_)
                | Event::Decl(_)
                | Event::PI(_)
                | Event::GeneralRef(_) => {}
            }
        }
    }

    fn open(&mut self, start: usize, end: usize, name_end: usize) -> Result<Item<'a>, ProblemKind> {
        if self.depth == 0 && self.has_root {
            return Err(ProblemKind::TrailingBytes);
        }
        if self.depth >= MAX_OPEN_ELEMENTS {
            return Err(ProblemKind::TooDeep);
        }
        self.has_root = true;
        self.depth += 1;
        let text = self.text.get(start + 1..end).unwrap_or_default();
        Ok(Item::Open(Tag { text, name_end, at: start }))
    }

    /// Reads past the end of the element that was opened last.
    pub(super) fn skip(&mut self) -> Result<(), ProblemKind> {
        let outside = self.depth.saturating_sub(1);
        while self.depth > outside {
            self.next()?;
        }
        Ok(())
    }

    /// The next element within the one that was opened when `outside` others were; `None` past its end.
    pub(super) fn within(&mut self, outside: usize) -> Result<Option<Tag<'a>>, ProblemKind> {
        loop {
            match self.next()? {
                Item::Open(tag) => return Ok(Some(tag)),
                Item::Close if self.depth <= outside => return Ok(None),
                Item::Close => {}
                Item::End => return Ok(None),
            }
        }
    }
}

/// Tags that never close are what is left where a plan was cut.
const fn problem(error: &Error) -> ProblemKind {
    match error {
        Error::Syntax(_) => ProblemKind::CutShort,
        _ => ProblemKind::Malformed,
    }
}
