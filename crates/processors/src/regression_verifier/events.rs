//! What else happened to the server lately: to name causes, to write advice, and to see that advice was followed.

mod named;

use self::named::names_table;
use std::collections::VecDeque;

use dbintel_model::{
    ACTION_FACT, Change, ChangeKind, OBJECT_FACT, QueryKey, QueryText, ROLE_FACT, Text, Timestamp, Value,
};

/// Changes that are remembered for one server.
pub const MAX_EVENTS: usize = 1_024;
/// Bytes of each of their texts that are remembered. A definition that is cut is no definition.
pub const EVENT_TEXT_BYTES_MAX: usize = 1_024;

/// Changes in the order in which they were told.
#[derive(Debug, Default)]
pub(super) struct Events {
    events: VecDeque<Event>,
}

/// What is remembered of a change.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Event {
    pub(super) kind: ChangeKind,
    /// When it happened, or else when it was noticed.
    pub(super) at: Timestamp,
    pub(super) database: Option<Text>,
    /// The setting, or the table, index or statistics object as `schema.name`.
    pub(super) subject: Option<Text>,
    /// The table, where it is about one or about what is on one.
    pub(super) table: Option<Text>,
    pub(super) role: Option<Text>,
    /// `table`, `index` or `statistics`, and `created`, `dropped` or `altered`.
    pub(super) object: Option<Text>,
    pub(super) action: Option<Text>,
    pub(super) before: Option<Text>,
    pub(super) after: Option<Text>,
    /// Rows changed since the analysis before, and rows of the table, as it says.
    pub(super) modified: Option<f64>,
    pub(super) rows: Option<f64>,
}

// === impl Events ===

impl Events {
    /// Remembers a change. Says whether another had to go for it.
    pub(super) fn note(&mut self, change: &Change, noticed_at: Timestamp) -> bool {
        let text = |text: Option<&Text>| text.filter(|text| text.len() <= EVENT_TEXT_BYTES_MAX).cloned();
        let number = |name: &str| {
            change.facts.iter().find(|fact| &*fact.key == name).and_then(|fact| number(&fact.value))
        };
        self.push(Event {
            kind: change.kind,
            at: change.at.unwrap_or(noticed_at),
            database: change.database.clone(),
            subject: text(change.subject.as_ref()),
            table: text(change.table()),
            role: text(change.text_fact(ROLE_FACT)),
            object: text(change.text_fact(OBJECT_FACT)),
            action: text(change.text_fact(ACTION_FACT)),
            before: text(change.before.as_ref()),
            after: text(change.after.as_ref()),
            modified: number("postgresql.table.modified_since_analyze"),
            rows: number("postgresql.table.reltuples"),
        })
    }

    pub(super) fn push(&mut self, event: Event) -> bool {
        self.events.push_back(event);
        let is_full = self.events.len() > MAX_EVENTS;
        if is_full {
            self.events.pop_front();
        }
        is_full
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &Event> + DoubleEndedIterator {
        self.events.iter()
    }

    /// Those of a span of time, the latest first.
    pub(super) fn between(&self, first: Timestamp, last: Timestamp) -> impl Iterator<Item = &Event> {
        self.events.iter().rev().filter(move |event| event.at >= first && event.at <= last)
    }

    /// Whether the table of a change was analysed between it and this time.
    pub(super) fn is_analysed_between(&self, event: &Event, last: Timestamp) -> bool {
        self.between(event.at, last)
            .any(|later| later.kind == ChangeKind::Analyze && later.is_of_same_table(event))
    }

    /// Whether a setting is again what it was before it was set to answer a cause, wherever that was: none in the database, for instance, after
    /// one of its own. `event` is the change that was told last.
    pub(super) fn takes_back(&self, event: &Event, cause: &Event) -> bool {
        let is_there = |set: &&Event| {
            (&set.subject, &set.role, &set.database) == (&event.subject, &event.role, &event.database)
        };
        let since = self.events.iter().filter(|set| set.at > cause.at && set.at < event.at);
        let answer = since.filter(is_there).find(|set| set.kind == ChangeKind::Setting && set.answers(cause));
        event.kind == ChangeKind::Setting && answer.is_some_and(|set| set.before == event.after)
    }

    /// By how much a table had grown at this analysis, compared with the one before, as far as that is remembered.
    pub(super) fn growth(&self, analysis: &Event) -> Option<f64> {
        let rows = analysis.rows.filter(|rows| *rows > 0.0)?;
        let is_before = |event: &&Event| {
            event.at < analysis.at
                && event.kind == ChangeKind::Analyze
                && event.database == analysis.database
                && event.subject == analysis.subject
        };
        let before = self.events.iter().rev().find(is_before)?.rows.filter(|rows| *rows > 0.0)?;
        Some(rows / before)
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Int(number) => Some(*number as f64),
        Value::Double(number) => Some(*number),
        _ => None,
    }
    .filter(|number| number.is_finite())
}

// === impl Event ===

impl Event {
    /// Whether it is an index of the `action`.
    pub(super) fn is_index(&self, action: &str) -> bool {
        self.kind == ChangeKind::Ddl
            && self.object.as_deref() == Some("index")
            && self.action.as_deref() == Some(action)
    }

    /// Whether it is about every database and role, or about those of this statement.
    pub(super) fn is_of(&self, key: &QueryKey) -> bool {
        self.database.as_ref().is_none_or(|database| *database == key.database)
            && self.role.as_ref().is_none_or(|role| *role == key.user)
    }

    /// Whether the text names the table that it is about; what is about none concerns every statement, and of a statement
    /// without a text nothing is known.
    pub(super) fn may_be_named_in(&self, text: Option<&QueryText>) -> bool {
        let Some((table, text)) = self.table.as_deref().zip(text.and_then(|text| text.masked.as_deref()))
        else {
            return true;
        };
        let name = table.rsplit_once('.').map_or(table, |(_, name)| name);
        let mut words = text.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '$');
        words.any(|word| word.eq_ignore_ascii_case(name))
    }

    /// Whether it is about the same table.
    pub(super) fn is_of_same_table(&self, other: &Self) -> bool {
        self.database == other.database && self.table.is_some() && self.table == other.table
    }

    /// Whether it says what the planner's statistics of a table are.
    pub(super) fn explains_statistics(&self) -> bool {
        matches!(self.kind, ChangeKind::Analyze | ChangeKind::StatisticsStale)
    }

    /// Whether the text has the table that it is about where a table stands, and not a column or an alias of that name.
    pub(super) fn is_table_of(&self, text: &QueryText) -> bool {
        let Some((table, text)) = self.table.as_deref().zip(text.masked.as_deref()) else { return false };
        names_table(text, table)
    }

    /// Whether it answers the other one: an index on the table again, or none again, or another value of the setting. An analysis
    /// answers nothing else than stale statistics by itself, since the server makes them all the time; one that brings another plan is told
    /// with that plan.
    pub(super) fn answers(&self, cause: &Self) -> bool {
        if self.database != cause.database && self.database.is_some() && cause.database.is_some() {
            return false;
        }
        let same_table = cause.table.is_some() && self.table == cause.table;
        match cause.kind {
            ChangeKind::Ddl if cause.is_index("dropped") => self.is_index("created") && same_table,
            ChangeKind::Ddl if cause.is_index("created") => self.is_index("dropped") && same_table,
            ChangeKind::StatisticsStale => self.kind == ChangeKind::Analyze && same_table,
            ChangeKind::Setting => self.kind == ChangeKind::Setting && self.subject == cause.subject,
            _ => false,
        }
    }

    /// Whether it is the same again, and takes back what answered that: the index dropped or created once more, or the setting with the
    /// value it had.
    pub(super) fn repeats(&self, cause: &Self) -> bool {
        let is_index = |action| cause.is_index(action) && self.is_index(action);
        match cause.kind {
            ChangeKind::Ddl => (is_index("dropped") || is_index("created")) && self.is_of_same_table(cause),
            ChangeKind::Setting => {
                self.kind == ChangeKind::Setting
                    && (&self.subject, &self.role, &self.database)
                        == (&cause.subject, &cause.role, &cause.database)
                    && self.after == cause.after
            }
            _ => false,
        }
    }

    /// What it was, in few words: those with which a cause of a plan change begins, as `plan_extractor` tells it.
    pub(super) fn said(&self) -> String {
        let mut text = self.kind.as_str().replace('_', " ");
        for word in [&self.object, &self.subject, &self.action].into_iter().flatten() {
            text.push(' ');
            text.push_str(word);
        }
        let table = self.table.as_ref().filter(|table| Some(*table) != self.subject.as_ref());
        for (word, name) in [(" on ", table), (" of role ", self.role.as_ref())] {
            if let Some(name) = name {
                text.push_str(word);
                text.push_str(name);
            }
        }
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => text.push_str(&format!(": {before} -> {after}")),
            (None, Some(after)) if self.kind == ChangeKind::Setting => {
                text.push_str(&format!(": now {after}"));
            }
            (Some(before), None) if self.kind == ChangeKind::Setting => {
                text.push_str(&format!(": was {before}"));
            }
            _ => {}
        }
        text
    }
}
