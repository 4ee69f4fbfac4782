//! Named rules for what everybody wants, and their expansion in the configuration.
//!
//! A template stands for exactly one rule, so that the place of a rule in the list stays what it was. What is written
//! beside `template` wins. [`expanded`] does the same to the tree of the configuration, for `print-config`.

use dbintel_config::{Entry, Map, Node, Origin, Position, Scalar, Value};
use schemars::JsonSchema;
use serde::Deserialize;

use super::config::{ConditionSettings, RuleSettings};
use super::rule::{Literal, Operator};

/// Milliseconds from which a statement is slow for the template `slow_queries`.
pub const SLOW_QUERY_MS: i64 = 2_000;
/// Slow queries kept in any minute at most by the template `slow_queries`.
pub const SLOW_QUERIES_PER_MINUTE: u32 = 3_000;

/// A template of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TemplateName {
    /// Sessions that wait for others. Critical.
    BlockedSessions,
    /// Sessions that others wait for. Critical.
    RootBlockers,
    /// Sessions whose transaction has failed and was not ended. Critical.
    Errors,
    /// Sessions that wait for a lock.
    LockWaits,
    /// Sessions whose statement has been running for two seconds or longer; at most 3000 per minute.
    SlowQueries,
    /// Every other session, at the adaptive rate.
    EverythingElse,
}

struct Template {
    word: &'static str,
    name: TemplateName,
    priority: i32,
    critical: bool,
    sample_rate: Option<f64>,
    max_per_minute: Option<u32>,
    condition: Option<(&'static str, Operator, Fixed)>,
}

/// A value of a template.
#[derive(Clone, Copy)]
enum Fixed {
    Nothing,
    Text(&'static str),
    Int(i64),
}

/// In the order in which they are asked.
const TEMPLATES: [Template; 6] = [
    Template {
        word: "blocked_sessions",
        name: TemplateName::BlockedSessions,
        priority: 1_000,
        critical: true,
        sample_rate: Some(1.0),
        max_per_minute: None,
        condition: Some(("postgresql.blocking.pids", Operator::Exists, Fixed::Nothing)),
    },
    Template {
        word: "root_blockers",
        name: TemplateName::RootBlockers,
        priority: 900,
        critical: true,
        sample_rate: Some(1.0),
        max_per_minute: None,
        condition: Some(("dbintel.blocking.blocked_sessions", Operator::Gt, Fixed::Int(0))),
    },
    Template {
        word: "errors",
        name: TemplateName::Errors,
        priority: 800,
        critical: true,
        sample_rate: Some(1.0),
        max_per_minute: None,
        condition: Some(("postgresql.state", Operator::Eq, Fixed::Text("idle in transaction (aborted)"))),
    },
    Template {
        word: "lock_waits",
        name: TemplateName::LockWaits,
        priority: 700,
        critical: false,
        sample_rate: Some(1.0),
        max_per_minute: None,
        condition: Some(("postgresql.wait_event_type", Operator::Eq, Fixed::Text("Lock"))),
    },
    Template {
        word: "slow_queries",
        name: TemplateName::SlowQueries,
        priority: 600,
        critical: false,
        sample_rate: Some(1.0),
        max_per_minute: Some(SLOW_QUERIES_PER_MINUTE),
        condition: Some(("postgresql.total_exec_time", Operator::Gte, Fixed::Int(SLOW_QUERY_MS))),
    },
    Template {
        word: "everything_else",
        name: TemplateName::EverythingElse,
        priority: -1_000,
        critical: false,
        sample_rate: None,
        max_per_minute: None,
        condition: None,
    },
];

/// The rules of a sampler that is configured without any: every template.
pub(super) fn default_rules() -> Vec<RuleSettings> {
    let rule =
        |template: &Template| RuleSettings { template: Some(template.name), ..RuleSettings::default() };
    TEMPLATES.iter().map(rule).collect()
}

// === impl RuleSettings ===

impl RuleSettings {
    /// The rule with everything in it that its template says.
    #[must_use]
    pub fn expanded(&self) -> Self {
        let template = TEMPLATES.iter().find(|template| Some(template.name) == self.template);
        let Some(template) = template else { return self.clone() };
        Self {
            template: None,
            name: self.name.clone().or_else(|| Some(template.word.to_owned())),
            priority: self.priority.or(Some(template.priority)),
            critical: self.critical.or(Some(template.critical)),
            sample_rate: self.sample_rate.or(template.sample_rate),
            max_per_minute: self.max_per_minute.or(template.max_per_minute),
            conditions: self.conditions.clone().or_else(|| Some(template.conditions())),
        }
    }
}

// === impl Template ===

impl Template {
    fn conditions(&self) -> Vec<ConditionSettings> {
        let condition = self.condition.map(|(attribute, operator, value)| ConditionSettings {
            attribute: attribute.to_owned(),
            operator,
            value: match value {
                Fixed::Nothing => None,
                Fixed::Text(text) => Some(Literal::of_text(text)),
                Fixed::Int(int) => Some(Literal::of_int(int)),
            },
        });
        condition.into_iter().collect()
    }

    /// The template's own values, by key, in the order in which a rule is written.
    fn nodes(&self, at: &Position) -> Vec<(&'static str, Node)> {
        let plain = |text: String| scalar(&text, at);
        let conditions = self.condition.map(|(attribute, operator, value)| {
            let value = match value {
                Fixed::Nothing => None,
                Fixed::Text(text) => Some(scalar(text, at)),
                Fixed::Int(int) => Some(plain(int.to_string())),
            };
            let entries = [
                ("attribute", Some(scalar(attribute, at))),
                ("operator", Some(scalar(operator.as_str(), at))),
            ];
            map(entries.into_iter().chain([("value", value)]), at)
        });
        let conditions = Node::new(Value::Seq(conditions.into_iter().collect()), at.clone());
        let keys = [
            ("name", Some(scalar(self.word, at))),
            ("priority", Some(plain(self.priority.to_string()))),
            ("critical", Some(plain(self.critical.to_string()))),
            ("sample_rate", self.sample_rate.map(|rate| plain(rate.to_string()))),
            ("max_per_minute", self.max_per_minute.map(|max| plain(max.to_string()))),
            ("conditions", Some(conditions)),
        ];
        keys.into_iter().filter_map(|(key, node)| node.map(|node| (key, node))).collect()
    }
}

// === the tree of the configuration ===

/// The settings of a sampler with every template written out, rules that are there without being written included.
/// What came from elsewhere by reference stays a reference.
#[must_use]
pub fn expanded(settings: &Node) -> Node {
    let at = settings.position();
    let map = match settings.value() {
        _ if settings.origin() != Origin::Inline => return settings.clone(),
        Value::Null => Map::default(),
        Value::Map(map) => map.clone(),
        Value::Scalar(_) | Value::Seq(_) => return settings.clone(),
    };
    let rules = match map.get("rules") {
        Some(rules) if !rules.is_null() => expanded_list(rules),
        _ => {
            let rules = TEMPLATES.iter().map(|template| rule(template, &Map::default(), at));
            Node::new(Value::Seq(rules.collect()), at.clone())
        }
    };
    let others = map.iter().filter(|entry| &*entry.key != "rules").cloned();
    let entries = others.chain([entry("rules", rules, at)]);
    Node::new(Value::Map(entries.collect()), at.clone())
}

fn expanded_list(rules: &Node) -> Node {
    let Some(items) = rules.as_seq().filter(|_| rules.origin() == Origin::Inline) else {
        return rules.clone();
    };
    let items = items.iter().map(|item| {
        let word = item.get("template").and_then(Node::text);
        let template = TEMPLATES.iter().find(|template| Some(template.word) == word);
        match (template, item.as_map()) {
            (Some(template), Some(written)) if item.origin() == Origin::Inline => {
                rule(template, written, item.position())
            }
            _ => item.clone(),
        }
    });
    Node::new(Value::Seq(items.collect()), rules.position().clone())
}

/// A rule as the template and what is written beside it say.
fn rule(template: &Template, written: &Map, at: &Position) -> Node {
    let own = template.nodes(at);
    let is_own = |key: &str| own.iter().any(|(own, _)| *own == key);
    let more = written.iter().filter(|entry| &*entry.key != "template" && !is_own(&entry.key)).cloned();
    let entries: Vec<Entry> = own
        .iter()
        .map(|(key, node)| {
            let written = written.entry(key).filter(|entry| !entry.value.is_null());
            written.cloned().unwrap_or_else(|| entry(key, node.clone(), at))
        })
        .chain(more)
        .collect();
    Node::new(Value::Map(entries.into_iter().collect()), at.clone())
}

fn map(entries: impl Iterator<Item = (&'static str, Option<Node>)>, at: &Position) -> Node {
    let entries = entries.filter_map(|(key, node)| node.map(|node| entry(key, node, at)));
    Node::new(Value::Map(entries.collect()), at.clone())
}

fn entry(key: &str, value: Node, at: &Position) -> Entry {
    Entry { key: key.into(), key_position: at.clone(), value }
}

fn scalar(text: &str, at: &Position) -> Node {
    Node::new(Value::Scalar(Scalar::new(text, false)), at.clone())
}

#[cfg(test)]
mod tests;
