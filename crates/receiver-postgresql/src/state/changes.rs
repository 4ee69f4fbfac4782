//! Changes of the server: restart, failover, version, resets, settings, extensions, and what happened to tables.
//!
//! Each function compares what was seen before with what is seen now, and says what happened in between. The first
//! sight of anything is a baseline.

use std::collections::BTreeMap;

use dbintel_model::{Attribute, Change, ChangeKind, Node, ROLE_FACT, Record, Text, Timestamp};

/// Settings that are compared. Their number is that of `pg_settings`, about 400.
pub const MAX_SETTINGS: usize = 2_000;
/// Settings of roles and databases that are compared.
pub const MAX_ROLE_SETTINGS: usize = 10_000;
/// Tables whose maintenance is followed per database.
pub const MAX_TABLES: usize = 10_000;
/// What leaves instead of a value that can hold a secret.
const REDACTED: Text = Text::Static("[redacted]");
/// Characters of a setting's value that leave.
pub const MAX_VALUE_CHARS: usize = 200;

/// Settings and extension versions of one database or of the server: name to value.
pub type Values = BTreeMap<Text, Text>;

/// Settings that roles have in databases.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct RoleSettings {
    /// By database, role (each empty where it is for all) and name.
    pub values: BTreeMap<(Text, Text, Text), RoleSetting>,
    /// Whether there are more.
    pub is_cut: bool,
}

/// A setting of a role or database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleSetting {
    /// Its value; `None` for a setting that the server does not define: anything can be in it.
    pub value: Option<Text>,
    /// Hash of name and value, which never leaves.
    pub hash: i64,
}

/// When statistics were last reset: view (and database) to time.
pub type Resets = BTreeMap<Text, Option<Timestamp>>;

/// What is known of one table's maintenance.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Table {
    /// Last analysis, by hand or by autovacuum.
    pub analyzed_at: Option<Timestamp>,
    /// Last vacuum, by hand or by autovacuum.
    pub vacuumed_at: Option<Timestamp>,
    /// Rows changed since the last analysis.
    pub modified_since_analyze: i64,
    /// Rows, by the planner's estimate; -1 when unknown.
    pub reltuples: f64,
    /// Pages, by the planner's estimate.
    pub relpages: i64,
    /// Number of the table's file.
    pub relfilenode: i64,
}

/// Tables of one database, as `schema.table`.
pub type Tables = BTreeMap<Text, Table>;

/// What happened to the node between two polls.
#[must_use]
pub fn of_node(before: &Node, now: &Node) -> Vec<Change> {
    let mut changes = Vec::new();
    let another = differ(before.system_identifier, now.system_identifier) || before.address != now.address;
    let promoted = differ(before.timeline, now.timeline) || before.in_recovery != now.in_recovery;
    if another || promoted {
        let mut change = Change::new(ChangeKind::Failover);
        change.before = Some(describe(before));
        change.after = Some(describe(now));
        changes.push(change);
    } else if before.started_at != now.started_at {
        let mut change = Change::new(ChangeKind::Restart);
        change.at = Some(now.started_at);
        changes.push(change);
    }
    if before.version != now.version {
        let mut change = Change::new(ChangeKind::Version);
        change.before = Some(before.version.clone());
        change.after = Some(now.version.clone());
        changes.push(change);
    }
    changes
}

/// What was not known before, for want of a privilege, has not changed by being known now.
fn differ<T: PartialEq>(before: Option<T>, now: Option<T>) -> bool {
    before.zip(now).is_some_and(|(before, now)| before != now)
}

fn describe(node: &Node) -> Text {
    let role = if node.in_recovery { "standby" } else { "primary" };
    let address = node.address.as_deref().unwrap_or("local socket");
    let timeline = node.timeline.map_or_else(String::new, |timeline| format!(" timeline {timeline}"));
    let system = node.system_identifier.map_or_else(String::new, |id| format!(" system {id}"));
    format!("{role} at {address}{timeline}{system}").into()
}

/// First version in which statistics that were never reset have no time of reset. Before, they have that of their
/// creation, which comes with the first use of a database.
const UNDATED_UNTIL_RESET_SINCE: u32 = 150_000;

/// What a reading found, and when it was, by the server's clock.
pub type Known<T> = Option<(T, Timestamp)>;

/// Changes as records. Of those that the server does not date it is known that they came after the reading before, which was at
/// `not_before`; but not of rows that a transaction modifies, which count when it has ended.
pub fn records(changes: Vec<Change>, not_before: Option<Timestamp>) -> impl Iterator<Item = Record> {
    changes.into_iter().map(move |mut change| {
        let is_known = change.at.is_none() && change.kind != ChangeKind::StatisticsStale;
        change.not_before = not_before.filter(|_| is_known);
        Record::Change(Box::new(change))
    })
}

/// Takes in what a reading found, and tells what happened since the one before.
pub fn learn<T>(
    known: &mut Known<T>,
    now: T,
    at: Timestamp,
    told: &mut Vec<Record>,
    compare: impl FnOnce(&T, &T) -> Vec<Change>,
) {
    if let Some((before, not_before)) = known {
        told.extend(records(compare(before, &now), Some(*not_before)));
    }
    *known = Some((now, at));
}

/// Which statistics were reset. A database that is new has none that were.
#[must_use]
pub fn of_resets(version_number: u32, before: &Resets, now: &Resets) -> Vec<Change> {
    let reset = |(what, at): (&Text, &Option<Timestamp>)| {
        let held = before.get(what)?;
        let told = version_number >= UNDATED_UNTIL_RESET_SINCE || held.is_some();
        let mut change = Change::new(ChangeKind::StatisticsReset);
        change.at = *at;
        change.subject = Some(what.clone());
        (told && at.is_some() && held != at).then_some(change)
    };
    now.iter().filter_map(reset).collect()
}

/// What happened to settings or extensions. A name that appears or disappears is a change as well.
#[must_use]
pub fn of_values(kind: ChangeKind, database: Option<&Text>, before: &Values, now: &Values) -> Vec<Change> {
    let names = before.keys().chain(now.keys().filter(|name| !before.contains_key(*name)));
    let changed = names.filter(|name| before.get(*name) != now.get(*name));
    let change = |name: &Text| Change {
        database: database.cloned(),
        subject: Some(name.clone()),
        before: before.get(name).map(|value| shorten(name, value)),
        after: now.get(name).map(|value| shorten(name, value)),
        ..Change::new(kind)
    };
    changed.map(change).collect()
}

/// What happened to the settings of roles and databases. Where a reading was cut, nothing is said of what only the other one
/// has.
#[must_use]
pub fn of_role_settings(before: &RoleSettings, now: &RoleSettings) -> Vec<Change> {
    let is_cut = before.is_cut || now.is_cut;
    let new = now.values.keys().filter(|key| !before.values.contains_key(*key));
    let changed = before.values.keys().chain(new).filter(|key| {
        let (held, seen) = (before.values.get(*key), now.values.get(*key));
        held != seen && (!is_cut || held.is_some() && seen.is_some())
    });
    let change = |key: &(Text, Text, Text)| {
        let (database, role, name) = key;
        let known = |name: &Text| Some(name.clone()).filter(|name| !name.is_empty());
        Change {
            database: known(database),
            subject: Some(name.clone()),
            before: before.values.get(key).map(|setting| setting.shown(name)),
            after: now.values.get(key).map(|setting| setting.shown(name)),
            facts: known(role).into_iter().map(|role| Attribute::new(ROLE_FACT, role)).collect(),
            ..Change::new(ChangeKind::Setting)
        }
    };
    changed.map(change).collect()
}

impl RoleSetting {
    fn shown(&self, name: &str) -> Text {
        self.value.as_ref().map_or(REDACTED, |value| shorten(name, value))
    }
}

/// Values that can hold a secret or a command line leave as a mark only.
fn shorten(name: &str, value: &Text) -> Text {
    const UNSAFE: [&str; 11] = [
        "conninfo",
        "command",
        "passphrase",
        "password",
        "secret",
        "key_file",
        "keyfile",
        "token",
        "salt",
        "credential",
        "_key",
    ];
    let is_url_with_password = || value.split_once("://").is_some_and(|(_, rest)| rest.contains('@'));
    if UNSAFE.iter().any(|part| name.contains(part)) || value.contains("password") || is_url_with_password() {
        return REDACTED;
    }
    match value.char_indices().nth(MAX_VALUE_CHARS) {
        Some((end, _)) => format!("{}…", value.get(..end).unwrap_or_default()).into(),
        None => value.clone(),
    }
}

/// Share of a table's rows that were modified since its last analysis, from which on its statistics are called stale.
const STALE_SHARE_MIN: f64 = 0.5;
/// So many rows at least: of a small table a handful is much, and autovacuum does not come sooner whatever it is told.
const STALE_ROWS_MIN: i64 = 1_000;

/// What happened to the tables of a database.
#[must_use]
pub fn of_tables(database: &Text, before: &Tables, now: &Tables) -> Vec<Change> {
    let mut changes = Vec::new();
    for (name, table) in now {
        let Some(earlier) = before.get(name) else { continue };
        let change = |kind, at| Change {
            at,
            database: Some(database.clone()),
            subject: Some(name.clone()),
            facts: table.facts(earlier.modified_since_analyze),
            ..Change::new(kind)
        };
        if table.analyzed_at > earlier.analyzed_at {
            changes.push(change(ChangeKind::Analyze, table.analyzed_at));
        }
        if table.vacuumed_at > earlier.vacuumed_at {
            changes.push(change(ChangeKind::Vacuum, table.vacuumed_at));
        }
        if table.relfilenode != earlier.relfilenode {
            changes.push(change(ChangeKind::TableRewrite, None));
        }
        // A transaction that loads and analyses counts what it loaded when it ends, after the analysis that saw it.
        let is_analysed = table.analyzed_at > earlier.analyzed_at;
        if table.is_stale() && !earlier.is_stale() && !is_analysed {
            changes.push(Change {
                after: Some(table.how_stale()),
                facts: table.facts(table.modified_since_analyze),
                ..change(ChangeKind::StatisticsStale, None)
            });
        }
    }
    changes
}

impl Table {
    /// Whether most of its rows were modified since it was last analysed. One that was never analysed has no statistics at all.
    fn is_stale(&self) -> bool {
        self.modified_since_analyze >= STALE_ROWS_MIN
            && self.modified_since_analyze as f64 >= STALE_SHARE_MIN * self.reltuples.max(0.0)
    }

    fn how_stale(&self) -> Text {
        let modified = self.modified_since_analyze;
        match self.analyzed_at {
            Some(_) => format!("{modified} rows modified since its last analysis, {} known", self.reltuples),
            None => format!("{modified} rows modified since its statistics began, never analysed"),
        }
        .into()
    }

    /// The table as it is now. How many rows were `modified` is told as it was before an analysis, which sets it to zero.
    fn facts(&self, modified: i64) -> Vec<Attribute> {
        vec![
            Attribute::new("postgresql.table.modified_since_analyze", modified),
            Attribute::new("postgresql.table.reltuples", self.reltuples),
            Attribute::new("postgresql.table.relpages", self.relpages),
            Attribute::new("postgresql.table.relfilenode", self.relfilenode),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node() -> Node {
        Node {
            system_identifier: Some(7),
            timeline: Some(1),
            started_at: Timestamp::from_nanos(100),
            in_recovery: false,
            address: Some("10.0.0.1:5432".into()),
            version: "17.10".into(),
            version_number: 170_010,
        }
    }

    #[test]
    fn a_restart_a_failover_and_an_upgrade_are_told_apart() {
        let kinds = |now: &Node| of_node(&node(), now).iter().map(|change| change.kind).collect::<Vec<_>>();
        assert_eq!(kinds(&node()), []);
        assert_eq!(kinds(&Node { started_at: Timestamp::from_nanos(9), ..node() }), [ChangeKind::Restart]);
        assert_eq!(kinds(&Node { timeline: Some(2), ..node() }), [ChangeKind::Failover]);
        assert_eq!(kinds(&Node { address: None, ..node() }), [ChangeKind::Failover]);
        assert_eq!(kinds(&Node { system_identifier: Some(8), ..node() }), [ChangeKind::Failover]);
        assert_eq!(kinds(&Node { system_identifier: None, timeline: None, ..node() }), []);
        let upgraded = Node { started_at: Timestamp::from_nanos(9), version: "18.4".into(), ..node() };
        assert_eq!(kinds(&upgraded), [ChangeKind::Restart, ChangeKind::Version]);
    }

    #[test]
    fn settings_are_compared_and_secrets_do_not_leave() {
        let values = |pairs: &[(&'static str, &'static str)]| -> Values {
            pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
        };
        let before = values(&[("work_mem", "4MB"), ("jit", "on"), ("primary_conninfo", "password=a")]);
        let now = values(&[("work_mem", "64MB"), ("jit", "on"), ("primary_conninfo", "password=b")]);
        let changes = of_values(ChangeKind::Setting, None, &before, &now);
        let told: Vec<_> = changes
            .iter()
            .map(|change| (change.subject.as_deref().unwrap(), change.after.as_deref().unwrap()))
            .collect();
        assert_eq!(told, [("primary_conninfo", "[redacted]"), ("work_mem", "64MB")]);
        let redacted = |name: &str, value: &'static str| &*shorten(name, &value.into()) == "[redacted]";
        assert!(redacted("ext.api_key", "abc") && redacted("ext.proxy", "http://me:abc@proxy"));
        assert!(redacted("ext.options", "host=a password=abc"));
        assert!(!redacted("ext.url", "http://proxy/") && !redacted("log_line_prefix", "%m [%p] "));
    }

    #[test]
    fn settings_of_roles_are_compared_and_only_those_of_the_server_are_shown() {
        let settings = |all: &[(&'static str, &'static str, &'static str, Option<&'static str>, i64)]| {
            let setting =
                |value: Option<&'static str>, hash| RoleSetting { value: value.map(Text::from), hash };
            let values = all.iter().map(|(database, role, name, value, hash)| {
                (((*database).into(), (*role).into(), (*name).into()), setting(*value, *hash))
            });
            RoleSettings { values: values.collect(), is_cut: false }
        };
        let before = settings(&[
            ("", "web", "work_mem", Some("4MB"), 1),
            ("app", "", "app.token", None, 2),
            ("app", "web", "search_path", Some("a"), 3),
        ]);
        let now = settings(&[
            ("", "web", "work_mem", Some("8MB"), 4),
            ("app", "", "app.token", None, 5),
            ("", "", "jit", Some("off"), 6),
        ]);
        let told = |before: &RoleSettings, now: &RoleSettings| -> Vec<String> {
            let text = |text: &Option<Text>| text.as_deref().unwrap_or("-").to_owned();
            let describe = |change: &Change| {
                let role = change.text_fact(ROLE_FACT).cloned();
                [&change.database, &role, &change.subject, &change.before, &change.after].map(text).join(" ")
            };
            of_role_settings(before, now).iter().map(describe).collect()
        };
        let altered = ["- web work_mem 4MB 8MB", "app - app.token [redacted] [redacted]"];
        assert_eq!(told(&before, &now), [altered[0], altered[1], "app web search_path a -", "- - jit - off"]);
        assert_eq!(told(&before, &RoleSettings { is_cut: true, ..now }), altered);
        assert_eq!(told(&before, &before), [""; 0]);
    }

    #[test]
    fn maintenance_of_tables_is_told_with_the_numbers_that_matter() {
        let table = Table { modified_since_analyze: 500, relfilenode: 1, ..Table::default() };
        let later = Table {
            analyzed_at: Some(Timestamp::from_nanos(5)),
            modified_since_analyze: 0,
            relfilenode: 2,
            ..Table::default()
        };
        let (before, now) = (Tables::from([("s.t".into(), table)]), Tables::from([("s.t".into(), later)]));
        let changes = of_tables(&"app".into(), &before, &now);
        let kinds: Vec<_> = changes.iter().map(|change| change.kind).collect();
        assert_eq!(kinds, [ChangeKind::Analyze, ChangeKind::TableRewrite]);
        assert_eq!(changes[0].facts[0], Attribute::new("postgresql.table.modified_since_analyze", 500_i64));
        assert_eq!(of_tables(&"app".into(), &Tables::new(), &now), []);
    }

    #[test]
    fn statistics_become_stale_once_until_the_next_analysis() {
        let told = |before: &Table, now: &Table| {
            let tables = |table: &Table| Tables::from([("s.t".into(), table.clone())]);
            let changes = of_tables(&"app".into(), &tables(before), &tables(now));
            changes.into_iter().map(|change| (change.kind, change.after)).collect::<Vec<_>>()
        };
        let at = Some(Timestamp::from_nanos(5));
        let table = |modified_since_analyze, reltuples| Table {
            analyzed_at: at,
            modified_since_analyze,
            reltuples,
            ..Table::default()
        };
        let (usual, loaded) = (table(999, 2_000.0), table(1_000, 2_000.0));
        let stale = |how: &'static str| [(ChangeKind::StatisticsStale, Some(Text::from(how)))];
        assert_eq!(told(&usual, &loaded), stale("1000 rows modified since its last analysis, 2000 known"));
        assert_eq!(told(&loaded, &table(9_000, 2_000.0)), []);
        assert_eq!(told(&usual, &table(1_000, 2_001.0)), []);
        // Loaded and analysed in one transaction.
        let analysed = Table { analyzed_at: Some(Timestamp::from_nanos(6)), ..table(40_000, 20_000.0) };
        assert_eq!(told(&usual, &analysed), [(ChangeKind::Analyze, None)]);
        // A handful of rows is much of a small table.
        assert_eq!(told(&table(0, 10.0), &table(999, 10.0)), []);
        let never = |modified| Table { analyzed_at: None, ..table(modified, -1.0) };
        let how = "5000 rows modified since its statistics began, never analysed";
        assert_eq!(told(&never(0), &never(5_000)), stale(how));
    }
}
