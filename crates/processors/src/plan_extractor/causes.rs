//! What else happened to the server lately, for the question what may have changed a plan.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use dbintel_model::{Change, ChangeKind, MAX_PLAN_CAUSES, PlanCause, PlanSpan, Text, Timestamp};
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
    /// The table, where it is about one.
    pub(super) table: Option<Text>,
    pub(super) description: Text,
}

// === impl RecentChanges ===

impl RecentChanges {
    /// Remembers a change that can have a part in planning. Says whether another had to go for it before its time.
    pub(super) fn note(&mut self, change: &Change, noticed_at: Timestamp) -> bool {
        let Some(is_of_table) = is_of_table(change.kind) else { return false };
        let at = change.at.unwrap_or(noticed_at);
        let table = change.subject.as_deref().filter(|_| is_of_table);
        let table = table.map(|table| cut(table).to_owned().into());
        let kind = Text::Static(change.kind.as_str());
        let description = describe(change, at).into();
        self.push(Recent { kind, at, database: change.database.clone(), table, description })
    }

    /// What happened from the last time of the old plan to now and may concern one of the plans.
    pub(super) fn between(&self, window: PlanSpan, database: &str, old: &Plan<'_>, new: &Plan<'_>) -> Causes {
        let mut causes = Causes::default();
        let tables: HashSet<&str> = [old, new]
            .into_iter()
            .flat_map(Plan::nodes)
            .filter_map(|node| node.relation.name.as_deref())
            .collect();
        for change in settings_between(old, new) {
            causes.add(change);
        }
        for change in self.changes.iter().rev() {
            let in_time = change.at >= window.first && change.at <= window.last;
            let of_database = change.database.as_deref().is_none_or(|of| of == database);
            if in_time && of_database && change.concerns(&tables) {
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

/// Whether a change of this kind is about one table; `None` where it has no part in planning.
const fn is_of_table(kind: ChangeKind) -> Option<bool> {
    match kind {
        ChangeKind::Analyze | ChangeKind::Vacuum | ChangeKind::TableRewrite => Some(true),
        ChangeKind::Restart
        | ChangeKind::Failover
        | ChangeKind::Version
        | ChangeKind::Setting
        | ChangeKind::Extension => Some(false),
        ChangeKind::StatisticsReset => None,
    }
}

fn describe(change: &Change, at: Timestamp) -> String {
    let mut text = change.kind.as_str().replace('_', " ");
    if let Some(subject) = &change.subject {
        text.push(' ');
        text.push_str(cut(subject));
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
    /// Whether it is about the whole server or about one of these tables. Plans name a table without its schema.
    fn concerns(&self, tables: &HashSet<&str>) -> bool {
        let Some(table) = self.table.as_deref() else { return true };
        tables.contains(table) || table.rsplit_once('.').is_some_and(|(_, name)| tables.contains(name))
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
