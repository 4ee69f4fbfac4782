//! Tables, indexes and statistics objects of one database, and what was done to them between two readings.
//!
//! A reading has a mark of every object: a number that is another one as soon as one of the object's rows in the catalogue
//! is. Only of those whose mark is another one the definition is read.
//!
//! Promises:
//! * the first reading is a baseline; after it, what is told leads from what was known before to what is known now;
//! * what is not told yet, because its definition has not been read or [`MAX_TOLD`] is reached, stays as it was before, so
//!   that the next reading tells it; a reading that fails changes nothing;
//! * of a reading that was cut at [`MAX_OBJECTS`], what lies behind the cut is neither dropped nor created;
//! * a name that stands for the same definition is the same object, whatever file and number it has: an index that was
//!   built anew under its name is none that was dropped.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use dbintel_model::{
    ACTION_FACT, Attribute, Change, ChangeKind, DdlAction, DdlObject, OBJECT_FACT, TABLE_FACT, Text,
};

/// Objects of one database that are followed, the first ones by name.
pub const MAX_OBJECTS: usize = 20_000;
/// Objects whose definitions are read at once.
pub const MAX_DEFINITIONS_PER_READ: usize = 1_000;
/// Rows of definitions that are read at once; a table has one for each column.
pub const MAX_DEFINITION_ROWS: usize = 50_000;
/// Bytes of definitions that are held of one database. What comes after is told, but not what it was before.
pub const MAX_HELD_BYTES: usize = 16 * 1024 * 1024;
/// Changes that one reading tells; further ones are told by the next.
pub const MAX_TOLD: usize = 500;
/// Characters of a definition that leave.
const MAX_TEXT_CHARS: usize = 1_000;
/// Said of a part that is another one although its masked text is not.
const OTHER_VALUES: &str = " (other values)";

/// Names are unique within one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Space {
    /// Tables and indexes.
    Relations,
    /// Statistics objects.
    Statistics,
}

/// The name of an object, in the order in which readings are cut.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectName {
    /// What it is unique in.
    pub space: Space,
    /// Its schema.
    pub schema: Text,
    /// Its name in the schema.
    pub name: Text,
}

/// The number of an object.
pub type ObjectId = (Space, i64);

/// An object as a reading sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Its number, by which its definition is asked for.
    pub id: i64,
    /// Of which kind it is.
    pub object: DdlObject,
    /// Another one as soon as anything of the object is.
    pub mark: i64,
}

/// Every object, as far as was read.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Reading {
    /// By name.
    pub marks: BTreeMap<ObjectName, Mark>,
    /// Whether there are more.
    pub is_cut: bool,
}

/// What an object is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// Of which kind.
    pub object: DdlObject,
    /// The table it is on, as `schema.table`.
    pub table: Option<Text>,
    /// Its parts, by name.
    pub parts: BTreeMap<Text, Part>,
}

/// A part of a definition: a column, a constraint, or under no name what it is as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// In words, literals masked.
    pub text: Text,
    /// Hash of what was masked; it is compared and never leaves.
    pub values: u64,
}

/// Definitions that were read.
pub type Definitions = HashMap<ObjectId, Definition>;

/// What is known of a database.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Schema {
    objects: BTreeMap<ObjectName, Known>,
    /// The last name that the last reading spoke of; `None` if it spoke of all.
    until: Option<ObjectName>,
    bytes: usize,
}

/// What is known of an object.
#[derive(Clone, Debug, PartialEq)]
struct Known {
    mark: Mark,
    /// `None` until it has been read, or if there was no room.
    definition: Option<Arc<Definition>>,
}

/// What a reading leads to.
#[derive(Debug, Default)]
pub struct Step {
    /// What is known now.
    pub schema: Schema,
    /// What happened in between.
    pub changes: Vec<Change>,
    /// What has happened as well and is told by the next reading.
    pub left: usize,
}

/// One step while it is made.
struct Walk<'a> {
    database: &'a Text,
    definitions: &'a Definitions,
    step: Step,
}

// === impl Schema ===

impl Schema {
    /// Of which objects the definition is to be read: first of those that are new or another one, then of those it has not
    /// been read of yet, at most [`MAX_DEFINITIONS_PER_READ`].
    #[must_use]
    pub fn wanted(before: Option<&Self>, reading: &Reading) -> Vec<ObjectId> {
        let known = |name| before.and_then(|before| before.objects.get(name));
        let is_new = |name, mark: &Mark| known(name).is_none_or(|known: &Known| known.mark != *mark);
        let has_room = before.is_none_or(|before| before.bytes < MAX_HELD_BYTES);
        let unread = |name| known(name).is_some_and(|known| known.definition.is_none());
        let marks = || reading.marks.iter();
        let news = marks().filter(|(name, mark)| is_new(name, mark));
        let unread = marks().filter(|(name, mark)| has_room && !is_new(name, mark) && unread(name));
        let wanted = news.chain(unread).map(|(name, mark)| (name.space, mark.id));
        wanted.take(MAX_DEFINITIONS_PER_READ).collect()
    }

    /// Whether the reading is what is known.
    #[must_use]
    pub fn is(&self, reading: &Reading) -> bool {
        let marks = self.objects.iter().map(|(name, known)| (name, &known.mark));
        self.objects.len() == reading.marks.len()
            && self.until == reading.until()
            && marks.eq(reading.marks.iter())
    }

    /// From what was known `before`, `None` at first, to what the reading says.
    #[must_use]
    pub fn step(
        before: Option<&Self>,
        database: &Text,
        reading: &Reading,
        definitions: &Definitions,
    ) -> Step {
        let schema = before.cloned().unwrap_or_default();
        let mut walk = Walk { database, definitions, step: Step { schema, ..Step::default() } };
        let until = reading.until();
        if let Some(before) = before {
            for (name, known) in &before.objects {
                if !reading.marks.contains_key(name) {
                    walk.gone(name, known, until.as_ref().is_some_and(|until| name > until));
                }
            }
        }
        for (name, mark) in &reading.marks {
            match before.and_then(|before| before.objects.get(name)) {
                Some(known) => walk.still_there(name, known, *mark),
                None => walk.there(name, *mark, before.is_some_and(|before| before.spoke_of(name))),
            }
        }
        walk.step.schema.until = until;
        walk.step
    }

    /// Bytes held, about.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        self.bytes + self.objects.len() * size_of::<(ObjectName, Known)>()
    }

    /// Whether there is no room for further definitions.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.bytes >= MAX_HELD_BYTES
    }

    fn spoke_of(&self, name: &ObjectName) -> bool {
        self.until.as_ref().is_none_or(|until| name <= until)
    }

    fn set(&mut self, name: &ObjectName, mark: Mark, definition: Option<&Definition>) {
        self.forget(name);
        let definition = definition.filter(|_| self.bytes < MAX_HELD_BYTES).cloned().map(Arc::new);
        self.bytes += name.weight_bytes() + definition.as_deref().map_or(0, Definition::weight_bytes);
        self.objects.insert(name.clone(), Known { mark, definition });
    }

    fn forget(&mut self, name: &ObjectName) {
        if let Some(known) = self.objects.remove(name) {
            let definition = known.definition.as_deref().map_or(0, Definition::weight_bytes);
            self.bytes = self.bytes.saturating_sub(name.weight_bytes() + definition);
        }
    }
}

// === impl Walk ===

impl Walk<'_> {
    /// A name that was there and is not among those read.
    fn gone(&mut self, name: &ObjectName, known: &Known, is_behind_the_cut: bool) {
        if is_behind_the_cut {
            self.step.schema.forget(name);
        } else if self.may_tell(1) {
            self.tell(DdlAction::Dropped, name, known.mark.object, known.definition.as_deref(), None);
            self.step.schema.forget(name);
        }
    }

    /// A name that is among those read and was not known.
    fn there(&mut self, name: &ObjectName, mark: Mark, is_new: bool) {
        let definition = self.definitions.get(&(name.space, mark.id));
        if !is_new {
            self.step.schema.set(name, mark, definition);
        } else if definition.is_none() {
            self.step.left += 1;
        } else if self.may_tell(1) {
            self.tell(DdlAction::Created, name, mark.object, None, definition);
            self.step.schema.set(name, mark, definition);
        }
    }

    fn still_there(&mut self, name: &ObjectName, known: &Known, mark: Mark) {
        let definition = self.definitions.get(&(name.space, mark.id));
        let before = known.definition.as_deref();
        match (before, definition) {
            (_, None) if known.mark == mark => {}
            (_, None) => self.step.left += 1,
            (Some(before), Some(now)) if before == now => self.step.schema.set(name, mark, definition),
            (Some(before), Some(now)) if before.is_same_kind(now) => {
                if self.may_tell(1) {
                    self.tell(DdlAction::Altered, name, now.object, Some(before), Some(now));
                    self.step.schema.set(name, mark, definition);
                }
            }
            (Some(before), Some(now)) => {
                if self.may_tell(2) {
                    self.tell(DdlAction::Dropped, name, before.object, Some(before), None);
                    self.tell(DdlAction::Created, name, now.object, None, Some(now));
                    self.step.schema.set(name, mark, definition);
                }
            }
            (None, Some(_)) => self.step.schema.set(name, mark, definition),
        }
    }

    /// Whether so many more changes may be told; if not, they are left.
    const fn may_tell(&mut self, changes: usize) -> bool {
        let may = self.step.changes.len() + changes <= MAX_TOLD;
        if !may {
            self.step.left += 1;
        }
        may
    }

    fn tell(
        &mut self,
        action: DdlAction,
        name: &ObjectName,
        object: DdlObject,
        before: Option<&Definition>,
        now: Option<&Definition>,
    ) {
        let mut facts = vec![
            Attribute::new(OBJECT_FACT, Text::Static(object.as_str())),
            Attribute::new(ACTION_FACT, Text::Static(action.as_str())),
        ];
        let table = now.or(before).and_then(|definition| definition.table.clone());
        facts.extend(table.map(|table| Attribute::new(TABLE_FACT, table)));
        self.step.changes.push(Change {
            database: Some(self.database.clone()),
            subject: Some(name.qualified()),
            before: before.and_then(|before| before.text(now)),
            after: now.and_then(|now| now.text_after(before)),
            facts,
            ..Change::new(ChangeKind::Ddl)
        });
    }
}

// === impl Reading ===

impl Reading {
    fn until(&self) -> Option<ObjectName> {
        let last = self.marks.last_key_value().filter(|_| self.is_cut);
        last.map(|(name, _)| name.clone())
    }
}

// === impl ObjectName ===

impl ObjectName {
    /// As every change names it, `schema.name`.
    #[must_use]
    pub fn qualified(&self) -> Text {
        format!("{}.{}", self.schema, self.name).into()
    }

    fn weight_bytes(&self) -> usize {
        self.schema.len() + self.name.len()
    }
}

// === impl Definition ===

impl Definition {
    /// What is another object is not the same one altered.
    fn is_same_kind(&self, other: &Self) -> bool {
        self.object == other.object && self.table == other.table
    }

    /// The parts that are not the same in the other one, or all parts if there is no other one.
    fn text(&self, other: Option<&Self>) -> Option<Text> {
        let differs =
            |name: &Text, part: &Part| other.is_none_or(|other| other.parts.get(name) != Some(part));
        let differing = self.parts.iter().filter(|(name, part)| differs(name, part));
        join(differing.map(|(name, part)| part.named(name)))
    }

    /// The same of what is now, where a text that does not show what is another one says so.
    fn text_after(&self, before: Option<&Self>) -> Option<Text> {
        let Some(before) = before else { return self.text(None) };
        let differing = self.parts.iter().filter_map(|(name, part)| match before.parts.get(name) {
            Some(held) if held == part => None,
            Some(held) if held.text == part.text => Some(part.named(name) + OTHER_VALUES),
            _ => Some(part.named(name)),
        });
        join(differing)
    }

    fn weight_bytes(&self) -> usize {
        let parts =
            self.parts.iter().map(|(name, part)| size_of::<(Text, Part)>() + name.len() + part.text.len());
        size_of::<Self>() + parts.sum::<usize>() + self.table.as_ref().map_or(0, |table| table.len())
    }
}

// === impl Part ===

impl Part {
    fn named(&self, name: &str) -> String {
        if name.is_empty() { self.text.to_string() } else { format!("{name} {}", self.text) }
    }
}

fn join(parts: impl Iterator<Item = String>) -> Option<Text> {
    let text = parts.collect::<Vec<_>>().join("; ");
    if text.is_empty() {
        return None;
    }
    match text.char_indices().nth(MAX_TEXT_CHARS) {
        Some((end, _)) => Some(format!("{}…", text.get(..end).unwrap_or_default()).into()),
        None => Some(text.into()),
    }
}

#[cfg(test)]
mod tests;
