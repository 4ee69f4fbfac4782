//! `/debug/planz`: the plans of statements, those that changed last first; of one statement each plan as a tree, beside
//! the one before where there was one.
//!
//! The lanes are asked, so a page costs each of them one answer. At most [`SERVERS_MAX`] servers are on the page, those
//! further down are a link away; of each at most [`PLANS_LISTED_MAX`] plans are listed.

use dbintel_model::{Text, Timestamp};
use dbintel_pipeline::{Command, MissingPlanView, PlanDetails, PlanView};

use super::ask::LaneReplies;
use super::format;
use super::html::{Cell, Page};
use crate::AdminContext;

/// Servers on one page.
pub const SERVERS_MAX: usize = 10;
/// Plans of one server on one page.
pub const PLANS_LISTED_MAX: usize = 200;
/// What marks a costly node in a tree.
const COSTLY: &str = " << ";

pub(super) async fn page(cx: &AdminContext, receiver: Option<&str>, statement: Option<&str>) -> String {
    let all = cx.pages.pipelines().into_iter().map(|pipeline| pipeline.receiver);
    let mut lanes: Vec<Text> =
        all.filter(|lane| receiver.is_none_or(|wanted| lane.as_str() == wanted)).collect();
    let hidden = lanes.split_off(lanes.len().min(SERVERS_MAX));
    let command = Command::Plans { statement: statement.map(|statement| statement.to_owned().into()) };
    let replies = match cx.pages.lanes() {
        Some(asker) => asker.ask(&lanes, &command).await,
        None => vec![None; lanes.len()],
    };
    let subtitle = "The plan of each statement on each rung, as it was last obtained, by the server's clock. Literals \
                    are masked.";
    let mut page = Page::begin(cx, "planz", "Plans", subtitle);
    for (lane, replies) in lanes.iter().zip(replies) {
        page.section(&format!("Server of {lane}"));
        match replies {
            None => page.sentence("The lane gave no answer within a second."),
            Some(replies) => server(&mut page, cx, lane, replies, statement.is_some()),
        }
    }
    if !hidden.is_empty() {
        page.section("Further servers");
        page.list(hidden.iter().map(|lane| Cell::link("planz", &[("receiver", lane)], lane)));
    }
    page.finish()
}

fn server(page: &mut Page, cx: &AdminContext, lane: &str, replies: LaneReplies, in_full: bool) {
    let (mut plans, mut without) = (Vec::new(), Vec::new());
    for (_, reply) in replies {
        plans.extend(reply.plans);
        without.extend(reply.without_plan);
    }
    let further = plans.len().saturating_sub(PLANS_LISTED_MAX);
    plans.truncate(PLANS_LISTED_MAX);
    if plans.is_empty() {
        page.sentence("No plan is known, or none of what was asked for.");
        return missing(page, cx, &without);
    }
    let heads = [
        "statement",
        "database",
        "role",
        "rung",
        "#cost",
        "plan",
        "since",
        "last seen",
        "#changes",
        "last change",
    ];
    page.table(heads, plans.iter().map(|plan| row(cx, lane, plan)));
    if further > 0 {
        page.sentence(&format!("And {further} more."));
    }
    missing(page, cx, &without);
    if in_full {
        for plan in &plans {
            details(page, plan);
        }
    }
}

/// Top statements without a plan, and why.
fn missing(page: &mut Page, cx: &AdminContext, without: &[MissingPlanView]) {
    if without.is_empty() {
        return;
    }
    page.part("Top statements without a plan");
    page.table(
        ["statement", "database", "role", "query id", "reason", "meaning", "last tried"],
        without.iter().take(PLANS_LISTED_MAX).map(|statement| {
            [
                Cell::text(statement.summary.as_ref().unwrap_or(&statement.query_id)),
                Cell::text(&statement.database),
                Cell::text(&statement.user),
                Cell::text(&statement.query_id),
                Cell::text(statement.missing.reason),
                Cell::text(statement.missing.meaning),
                Cell::text(format!("{} ago", format::ago(statement.at, cx.clock.now()))),
            ]
        }),
    );
    if let Some(further @ 1..) = without.len().checked_sub(PLANS_LISTED_MAX) {
        page.sentence(&format!("And {further} more."));
    }
}

fn row(cx: &AdminContext, lane: &str, plan: &PlanView) -> [Cell; 10] {
    let name = plan.summary.as_ref().unwrap_or(&plan.query_id);
    let ago = |at: Timestamp| Cell::text(format!("{} ago", format::ago(at, cx.clock.now())));
    [
        Cell::link("planz", &[("receiver", lane), ("statement", &plan.statement)], name),
        Cell::text(&plan.database),
        Cell::text(&plan.user),
        Cell::text(plan.rung),
        Cell::number(plan.cost.map_or_else(|| format::UNKNOWN.to_owned(), |cost| format!("{cost:.2}"))),
        Cell::text(&plan.fingerprint),
        ago(plan.first_seen),
        ago(plan.last_seen),
        Cell::number(plan.changes.to_string()),
        plan.changed_at.map_or_else(|| Cell::text("never"), ago),
    ]
}

fn details(page: &mut Page, plan: &PlanView) {
    let Some(details) = &plan.details else { return };
    let PlanDetails { tree, previous, difference, earlier } = details;
    page.section(&format!("Query {}, {} plan {}", plan.query_id, plan.rung, plan.fingerprint));
    if !difference.is_empty() {
        page.part("What is different from the plan before");
        page.list(difference.iter().map(Cell::text));
    }
    match previous {
        Some(previous) => page.side_by_side(&[("Before", previous), ("Now", tree)], COSTLY),
        None => page.side_by_side(&[("Now", tree)], COSTLY),
    }
    if !earlier.is_empty() {
        page.part("Plans it had, by the server's clock");
        page.facts(earlier.iter().map(|(plan, times)| (plan.to_string(), Cell::text(times))));
    }
}
