//! `/debug/queryz`: the statements of each server that lose the most time per day, then those that take the most, each with its last week
//! by the hour.
//!
//! The lanes are asked, once each, and bound what they answer. At most [`QUERY_SERVERS_MAX`] servers are on the page, those further down
//! are a link away.

use std::time::Duration;

use dbintel_model::Timestamp;
use dbintel_model::finding::digits_or;
use dbintel_pipeline::{Command, GivenUpView, HourView, StatementView, StatementsView};

use super::format::{self, UNKNOWN};
use super::html::{Cell, Chart, Page, Point, Shape, Size, Tone};
use super::verifiers::{Answer, Verifiers};
use crate::AdminContext;

/// Servers on one page.
pub const QUERY_SERVERS_MAX: usize = 3;
/// Statements of one server on one page.
pub const STATEMENTS_LISTED_MAX: usize = 20;

pub(super) async fn page(cx: &AdminContext, receiver: Option<&str>) -> String {
    let subtitle = "What loses the most time, then what takes the most, in the last week by the hour and the server's clock. \
                    Literals are masked.";
    let mut page = Page::begin(cx, "queryz", "Statements", subtitle);
    let verifiers = Verifiers::of(cx, receiver, QUERY_SERVERS_MAX);
    verifiers.warn(&mut page);
    if !verifiers.lanes.is_empty() {
        page.sentence(
            "Grey around the mean: one standard deviation of single executions to either side. Dashed: the plan changed. The last \
             hour may not be over.",
        );
    }
    for answer in verifiers.ask(cx, &Command::Statements).await {
        page.section(&format!("Server {} of {}", answer.server, answer.lane));
        answer.or_silence(&mut page);
        server(&mut page, answer);
    }
    verifiers.elsewhere(&mut page, "queryz");
    page.finish()
}

fn server(page: &mut Page, answer: Answer) {
    let Answer { lane, replies, .. } = answer;
    let Some(replies) = replies else { return };
    for view in replies.into_iter().filter_map(|(_, reply)| reply.statements) {
        let StatementsView { statements, further, hour_seconds } = &*view;
        if statements.is_empty() {
            page.sentence("No statement was seen yet.");
            continue;
        }
        let heads = [
            "statement",
            "#lost per day",
            "#time, last day",
            "#calls per hour",
            "#mean, ms",
            "calls",
            "mean time",
        ];
        let rows = statements.iter().take(STATEMENTS_LISTED_MAX);
        page.table(heads, rows.map(|statement| row(&lane, statement, *hour_seconds)));
        let further = further + statements.len().saturating_sub(STATEMENTS_LISTED_MAX);
        if further > 0 {
            page.sentence(&format!("And {further} more that take less."));
        }
    }
}

fn row(lane: &str, statement: &StatementView, hour_seconds: f64) -> [Cell; 7] {
    let lost = statement.time_lost.map_or_else(|| UNKNOWN.to_owned(), |lost| lost.in_short());
    let calls =
        statement.calls_per_hour.map_or_else(|| UNKNOWN.to_owned(), |calls| digits_or(Some(calls), UNKNOWN));
    [
        name(lane, statement),
        Cell::number(lost),
        Cell::number(format::seconds(statement.seconds_last_day)),
        Cell::number(calls),
        Cell::number(digits_or(statement.mean_ms, UNKNOWN)),
        Cell::chart(&chart(statement, hour_seconds, Shape::Bars)),
        Cell::chart(&chart(statement, hour_seconds, Shape::Line)),
    ]
}

/// Which statement it is, and where there is more about it.
fn name(lane: &str, statement: &StatementView) -> Cell {
    let id = &statement.query_id;
    let text = statement.text.as_deref().unwrap_or("text not known");
    let who = format!("{} as {}, query {id}", statement.database, statement.user);
    let plans = Cell::link("planz", &[("receiver", lane), ("statement", id)], "its plans");
    let mut name = Cell::text(text).above(&Cell::text(who)).above(&plans);
    if let Some(GivenUpView { since, at, others }) = statement.trial_given_up {
        let (since, at) = (format::clock_time(since), format::clock_time(at));
        let why = format!(
            "what happened at {since} is not judged: its trial was given up at {at}, because {others} others lost more time or had a finding"
        );
        name = name.above(&Cell::toned(Tone::Warn, why));
    }
    match statement.finding {
        Some(finding) => {
            let arguments = [("receiver", lane), ("finding", &finding.to_string())];
            name.above(&Cell::link("findingz", &arguments, "its finding"))
        }
        None => name,
    }
}

fn chart(statement: &StatementView, hour_seconds: f64, shape: Shape) -> Chart<'static> {
    let length = Duration::try_from_secs_f64(hour_seconds).unwrap_or_default();
    let point = |hour: &HourView| Point {
        start: hour.start,
        end: hour.start.plus(length),
        value: if shape == Shape::Bars { hour.calls } else { hour.mean_ms },
        band: hour
            .deviation_ms
            .map(|deviation| ((hour.mean_ms - deviation).max(0.0), hour.mean_ms + deviation)),
    };
    let change = |at: &Timestamp| (*at, "plan changed");
    let (title, unit) =
        if shape == Shape::Bars { ("calls by hour", "calls") } else { ("mean by hour", "ms") };
    Chart {
        title: title.into(),
        unit,
        shape,
        size: Size::Small,
        points: statement.hours.iter().map(point).collect(),
        marks: statement.plan_changes.iter().map(change).collect(),
    }
}
