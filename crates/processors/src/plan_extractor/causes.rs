//! What else happened to the server lately, for the question what may have changed a plan.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use dbintel_model::{
    ACTION_FACT, Change, ChangeKind, DdlObject, MAX_PLAN_CAUSES, OBJECT_FACT, PlanCause, PlanObservation,
    PlanSpan, PlanTable, QueryKey, ROLE_FACT, TABLE_FACT, Text, Timestamp,
};
use dbintel_plan::tree::Plan;

/// Changes that are remembered for one server.
pub const MAX_RECENT_CHANGES: usize = 1_024;
/// How long they are remembered, by the server's clock.
pub const CHANGES_REMEMBERED_FOR: Duration = Duration::from_secs(24 * 3_600);
/// Bytes of each text of a change that are remembered.
pub const CAUSE_TEXT_BYTES_MAX: usize = 256;
/// Under which kind a setting is told that only the plans themselves show.
const PLAN_SETTING: Text = Text::Static("plan_setting");

/// Changes in the order in which they were told.
#[derive(Debug, Default)]
pub(super) struct RecentChanges {
    changes: VecDeque<Recent>,
}

/// What is remembered of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Recent {
    pub(super) kind: Text,
    /// When it happened, or else when it was noticed.
    pub(super) at: Timestamp,
    pub(super) database: Option<Text>,
    /// The table, where it is about one or about what is on one.
    pub(super) table: Option<Text>,
    /// The index, where it is about one.
    pub(super) index: Option<Text>,
    /// The role, where it is about one.
    pub(super) role: Option<Text>,
    pub(super) description: Text,
}

// === impl RecentChanges ===

impl RecentChanges {
    /// Remembers a change that can have a part in planning. Says whether another had to go for it before its time.
    pub(super) fn note(&mut self, change: &Change, noticed_at: Timestamp) -> bool {
        if change.kind == ChangeKind::StatisticsReset {
            return false;
        }
        let at = change.at.unwrap_or(noticed_at);
        let is_of_index = change.text_fact(OBJECT_FACT).is_some_and(|of| **of == *DdlObject::Index.as_str());
        let short = |text: &Text| Text::from(cut(text).to_owned());
        self.push(Recent {
            kind: Text::Static(change.kind.as_str()),
            at,
            database: change.database.clone(),
            table: change.table().map(short),
            index: change.subject.as_ref().filter(|_| is_of_index).map(short),
            role: change.text_fact(ROLE_FACT).map(short),
            description: describe(change, at).into(),
        })
    }

    /// What happened from the last time of the old plan to now and may concern one of the plans.
    pub(super) fn between(
        &self,
        window: PlanSpan,
        observation: &PlanObservation,
        old: &Plan<'_>,
        new: &Plan<'_>,
    ) -> Causes {
        let (mut causes, key) = (Causes::default(), &observation.key);
        let named = Named::by([old, new], observation);
        for change in settings_between(old, new) {
            causes.add(change);
        }
        for change in self.changes.iter().rev() {
            let in_time = change.at >= window.first && change.at <= window.last;
            if in_time && change.is_of(key) && change.concerns(&named) {
                let description = change.description.clone();
                causes.add(PlanCause { kind: change.kind.clone(), description });
            }
        }
        causes
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &Recent> {
        self.changes.iter()
    }

    pub(super) fn push(&mut self, change: Recent) -> bool {
        let now = change.at;
        self.changes.push_back(change);
        while self.changes.front().is_some_and(|oldest| now.since(oldest.at) > CHANGES_REMEMBERED_FOR) {
            self.changes.pop_front();
        }
        let is_full = self.changes.len() > MAX_RECENT_CHANGES;
        if is_full {
            self.changes.pop_front();
        }
        is_full
    }
}

fn describe(change: &Change, at: Timestamp) -> String {
    let mut text = change.kind.as_str().replace('_', " ");
    let fact = |key| change.text_fact(key);
    for word in [fact(OBJECT_FACT), change.subject.as_ref(), fact(ACTION_FACT)].into_iter().flatten() {
        text.push(' ');
        text.push_str(cut(word));
    }
    for (word, name) in [(" on ", fact(TABLE_FACT)), (" of role ", fact(ROLE_FACT))] {
        if let Some(name) = name {
            text.push_str(word);
            text.push_str(cut(name));
        }
    }
    let side = |side: &Option<Text>| side.as_deref().map(|text| cut(text).to_owned());
    match (side(&change.before), side(&change.after)) {
        (Some(before), Some(after)) => text.push_str(&format!(": {before} -> {after}")),
        (None, Some(after)) => text.push_str(&format!(": now {after}")),
        (Some(before), None) => text.push_str(&format!(": was {before}")),
        (None, None) => {}
    }
    let word = if change.at.is_some() { "at" } else { "noticed at" };
    text.push_str(&format!(", {word} {}", at.to_rfc3339().as_str()));
    text
}

fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(CAUSE_TEXT_BYTES_MAX)).unwrap_or_default()
}

/// Settings that the plans tell of and that are not the same in both.
fn settings_between(old: &Plan<'_>, new: &Plan<'_>) -> Vec<PlanCause> {
    let value = |plan: &Plan<'_>, name: &str| {
        let setting = plan.settings.iter().find(|(held, _)| held == name);
        setting.map_or_else(|| "default".to_owned(), |(_, value)| cut(value).to_owned())
    };
    let mut names: Vec<&str> =
        [old, new].iter().flat_map(|plan| &plan.settings).map(|(name, _)| &**name).collect();
    names.sort_unstable();
    names.dedup();
    let differing = names.into_iter().filter_map(|name| {
        let (before, after) = (value(old, name), value(new, name));
        let description = format!("setting {} of the plan: {before} -> {after}", cut(name));
        (before != after).then(|| PlanCause { kind: PLAN_SETTING, description: description.into() })
    });
    differing.collect()
}

// === impl Recent ===

impl Recent {
    /// Whether it is about every database and role or about those of this statement.
    fn is_of(&self, key: &QueryKey) -> bool {
        let is = |of: &Option<Text>, own: &Text| of.as_ref().is_none_or(|of| **of == *cut(own));
        self.database.as_ref().is_none_or(|of| *of == key.database) && is(&self.role, &key.user)
    }

    /// Whether it is about no table or index, or about one of these names of a plan, which names them without their schema.
    fn concerns(&self, named: &Named<'_>) -> bool {
        let Some(table) = self.table.as_deref() else { return true };
        [Some(table), self.index.as_deref()]
            .into_iter()
            .flatten()
            .any(|name| named.has(name) || name.rsplit_once('.').is_some_and(|(_, name)| named.has(name)))
    }
}

/// Names of tables and indexes that plans are about.
struct Named<'a>(HashSet<Cow<'a, str>>);

// === impl Named ===

impl<'a> Named<'a> {
    /// What the plans name, and what that is a part of: a plan names partitions only. Where it is not known what they are
    /// partitions of, what the statement names.
    fn by(plans: [&'a Plan<'a>; 2], observation: &'a PlanObservation) -> Self {
        let nodes = plans.into_iter().flat_map(Plan::nodes);
        let names = nodes.flat_map(|node| [node.relation.name.as_deref(), node.index.as_deref()]);
        let mut named = Self(names.flatten().map(Cow::Borrowed).collect());
        named.add_parents(&observation.tables);
        if observation.tables.is_empty() {
            let text = observation.text.as_ref().and_then(|text| text.masked.as_deref());
            let words = text.unwrap_or_default().split(|c: char| !c.is_alphanumeric() && c != '_');
            named.0.extend(words.map(|word| Cow::Owned(word.to_ascii_lowercase())));
        }
        named
    }

    fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    /// What tables with these names are partitions of, and what that is, by their whole names.
    fn add_parents(&mut self, tables: &'a [PlanTable]) {
        let by_name: HashMap<String, &PlanTable> =
            tables.iter().map(|table| (table.qualified(), table)).collect();
        for table in tables.iter().filter(|table| self.has(&table.name)).collect::<Vec<_>>() {
            let mut parent = table.parent.as_deref();
            // It ends at one that is there, so that a circle, which no catalogue has, is none either.
            while let Some(name) = parent.filter(|name| !self.has(name)) {
                self.0.insert(Cow::Borrowed(name));
                parent = by_name.get(name).and_then(|table| table.parent.as_deref());
            }
        }
    }
}

/// Causes, as many as are listed.
#[derive(Debug, Default)]
pub(super) struct Causes {
    pub(super) listed: Vec<PlanCause>,
    pub(super) not_listed: u32,
}

impl Causes {
    fn add(&mut self, cause: PlanCause) {
        if self.listed.len() < MAX_PLAN_CAUSES {
            self.listed.push(cause);
        } else {
            self.not_listed = self.not_listed.saturating_add(1);
        }
    }
}
