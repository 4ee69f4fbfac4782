//! Every statement that can be sent to a server, for people to read before they let us in.

use std::time::Duration;

use dbintel_model::MetricDefinition;

use super::connection::{Limits, UNTRACKED, begin_with};
use super::facts::{self, Facts};
use super::family_table::FAMILIES;
use super::meter::{Rows, metered};
use super::sessions::SessionsPlan;
use super::statements::StatementsPlan;
use super::{distress, node, objects, planning, plans, schema, tracking};

/// The longest `max_timeout` that `circuit_breaker` takes.
const LONGEST: Duration = Duration::from_secs(60);
/// Stands in a text for the digits of a time-out that follows what our queries take.
pub const MILLISECONDS: &str = "<milliseconds>";

/// Statements that only some servers are sent, or only now and then: by name, and when.
pub const SELDOM: [(&str, &str); 9] = [
    ("begin without being tracked", MAY_UNTRACK),
    ("begin without being tracked, after an error", MAY_UNTRACK),
    ("begin to explain without being tracked", MAY_UNTRACK),
    ("begin to explain a sample without being tracked", MAY_UNTRACK),
    ("parameter privileges", "from PostgreSQL 15 on, where our role is no superuser"),
    ("backends of ours", "while the server owes an answer on another connection of ours"),
    ("plan: format of pg_store_plans", STORED_PLANS),
    ("plan: plans of pg_store_plans", STORED_PLANS),
    ("planning time of a statement above", "when it has begun late twice in a row"),
];
const MAY_UNTRACK: &str = "where our role may set pg_stat_statements.track";
const STORED_PLANS: &str = "where the extension pg_store_plans is there, from its version 1.6 on";

/// A statement as it is sent. Values are bound as `$1`, `$2`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// What it reads.
    pub name: String,
    /// The text, with [`MILLISECONDS`] where they vary.
    pub text: String,
    /// When it is sent, if [`SELDOM`].
    pub when: Option<&'static str>,
    /// What varies in the text, and between which bounds.
    pub varies: Option<String>,
}

/// Every statement that can be sent to a server that has this, in the order of a poll. `wanted` says which metrics are
/// switched on, `with_plans` whether plans are asked for, and `with_samples` also those of running sessions' texts: the text
/// of a statement is bound like any value. What the driver itself sends is among them: nothing but the start of the session.
#[must_use]
pub fn templates(
    facts: &Facts,
    database: &str,
    limits: Limits,
    wanted: impl Fn(&MetricDefinition) -> bool,
    with_plans: bool,
    with_samples: bool,
) -> Vec<Template> {
    let read = |name: &str, text: &str, rows| Template::plain(name, metered(text, rows));
    let mut templates = Vec::new();
    for (name, extra) in [("begin", ""), ("begin without being tracked", UNTRACKED)] {
        let begin = Template::begin(name, extra, limits, |limits| limits);
        let (name, text) = (format!("{name}, after an error"), format!("ROLLBACK; {}", begin.text));
        let anew = Template { varies: begin.varies.clone(), ..Template::plain(&name, text) };
        templates.extend([begin, anew]);
    }
    templates.extend(facts::TEXTS.iter().map(|(name, text)| read(name, text, Rows::Always)));
    templates.push(read("node", &node::text(facts), Rows::Always));
    templates.push(read("distress", distress::DISTRESS, Rows::Always));
    templates.extend(objects::texts().iter().map(|(name, text, rows)| read(name, text, *rows)));
    templates.extend(schema::texts(facts).iter().map(|(name, text, rows)| read(name, text, *rows)));
    for family in FAMILIES {
        if let Ok(plan) = family.plan(facts, &wanted) {
            templates.push(read(&format!("family {}", family.name), &plan.text, family.rows));
        }
    }
    if let Ok(plan) = StatementsPlan::new(facts, database) {
        templates.extend(plan.texts().into_iter().map(|(name, text, rows)| read(name, text, rows)));
    }
    if with_plans {
        let in_plans = [("begin to explain", ""), ("begin to explain without being tracked", UNTRACKED)];
        templates
            .extend(in_plans.map(|(name, extra)| Template::begin(name, extra, limits, plans::plan_limits)));
        templates.extend(plans::texts(facts).into_iter().map(|(name, text, rows)| read(name, &text, rows)));
        templates.extend(
            plans::blocks(facts).into_iter().map(|(name, text)| Template::plain(name, text.to_owned())),
        );
    }
    let of_samples = if with_samples { plans::sample_texts(facts) } else { Vec::new() };
    if !of_samples.is_empty() {
        let begin = [
            ("begin to explain a sample", ""),
            ("begin to explain a sample without being tracked", UNTRACKED),
        ];
        templates
            .extend(begin.map(|(name, extra)| Template::begin(name, extra, limits, plans::sample_limits)));
    }
    templates.extend(of_samples.into_iter().map(|(name, text, rows)| read(name, &text, rows)));
    templates.push(read("sessions", SessionsPlan::new(facts).text(), Rows::Perhaps));
    templates.push(read("doctor: what the server measures", tracking::TRACKING, Rows::Always));
    if with_plans {
        templates.push(read("doctor: what the server logs", tracking::LOG_SETTINGS, Rows::Always));
    }
    let explain = format!("{}…", planning::EXPLAIN);
    templates.push(Template::plain("planning time of a statement above", explain));
    templates.push(Template::plain("end", "ROLLBACK".to_owned()));
    templates
}

// === impl Template ===

impl Template {
    fn plain(name: &str, text: String) -> Self {
        let when = SELDOM.iter().find(|(seldom, _)| *seldom == name).map(|(_, when)| *when);
        Self { name: name.to_owned(), text, when, varies: None }
    }

    /// What begins a transaction whose limits are made `of` the ordinary ones. The time-out among those is the shortest.
    fn begin(name: &str, extra: &str, limits: Limits, of: fn(Limits) -> Limits) -> Self {
        let (shortest, longest) = (of(limits), of(Limits { statement_timeout: LONGEST, ..limits }));
        let [from, to] = [shortest, longest].map(|limits| limits.statement_timeout.as_millis().to_string());
        let varies = (from != to).then(|| {
            format!(
                "{MILLISECONDS}: follows what our queries take, from {from}, the receiver's timeout, up to max_timeout of \
                 circuit_breaker, {to} at most"
            )
        });
        let written = if varies.is_some() { MILLISECONDS } else { from.as_str() };
        Self { varies, ..Self::plain(name, begin_with(written, shortest.lock_timeout, extra)) }
    }
}
