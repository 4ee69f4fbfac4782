//! Every statement that can be sent to a server, for people to read before they let us in.

use dbintel_model::MetricDefinition;

use super::connection::{Limits, UNTRACKED, begin_text};
use super::facts::{self, Facts};
use super::family_table::FAMILIES;
use super::meter::{Rows, metered};
use super::sessions::SessionsPlan;
use super::statements::StatementsPlan;
use super::{distress, node, objects, planning, plans, schema, tracking};

/// A statement as it is sent. Values are bound as `$1`, `$2`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// What it reads.
    pub name: String,
    /// The text.
    pub text: String,
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
    let plain = |name: &str, text: String| Template { name: name.to_owned(), text };
    let read = |name: &str, text: &str, rows| plain(name, metered(text, rows));
    let mut templates = Vec::new();
    for (name, extra) in [("begin", ""), ("begin without being tracked", UNTRACKED)] {
        let begin = begin_text(limits, extra);
        let anew = format!("ROLLBACK; {begin}");
        templates.extend([plain(name, begin), plain(&format!("{name}, after an error"), anew)]);
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
            .extend(in_plans.map(|(name, extra)| plain(name, begin_text(plans::plan_limits(limits), extra))));
        templates.extend(plans::texts(facts).into_iter().map(|(name, text, rows)| read(name, &text, rows)));
        templates.extend(plans::blocks(facts).into_iter().map(|(name, text)| plain(name, text.to_owned())));
    }
    let of_samples = if with_samples { plans::sample_texts(facts) } else { Vec::new() };
    if !of_samples.is_empty() {
        let begin = [
            ("begin to explain a sample", ""),
            ("begin to explain a sample without being tracked", UNTRACKED),
        ];
        let limits = plans::sample_limits(limits);
        templates.extend(begin.map(|(name, extra)| plain(name, begin_text(limits, extra))));
    }
    templates.extend(of_samples.into_iter().map(|(name, text, rows)| read(name, &text, rows)));
    templates.push(read("sessions", SessionsPlan::new(facts).text(), Rows::Perhaps));
    templates.push(read("doctor: what the server measures", tracking::TRACKING, Rows::Always));
    if with_plans {
        templates.push(read("doctor: what the server logs", tracking::LOG_SETTINGS, Rows::Always));
    }
    let explain = format!("{}…", planning::EXPLAIN);
    templates.push(plain("how long a statement above is planned that began late twice", explain));
    templates.push(plain("end", "ROLLBACK".to_owned()));
    templates
}
