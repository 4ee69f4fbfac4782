//! `/debug/findingz`: the review queue of all servers, what loses the most time first; the first findings in full, every other one a
//! link away. Apart from it, the statements that lose time without a finding.
//!
//! The lanes are asked, once each, and bound what they answer. A decision is made on the command line, never here.

mod card;

use std::collections::{BTreeMap, BTreeSet};

use dbintel_model::finding::{SimilarCase, TrackRecord};
use dbintel_model::{Finding, FindingId, Text};
use dbintel_pipeline::{Command, FindingLine, WatchedView};

use super::format::{self, UNKNOWN};
use super::html::{Cell, Page, Tone};
use super::verifiers::{Answer, Verifiers};
use crate::AdminContext;

/// Servers whose findings are on one page.
pub const FINDING_SERVERS_MAX: usize = 10;
/// Findings in the list of one page.
pub const FINDINGS_LISTED_MAX: usize = 200;
/// Findings in full on one page.
pub const FINDINGS_IN_FULL_MAX: usize = 8;
/// Watched statements on one page.
pub const WATCHED_LISTED_MAX: usize = 50;

/// Everything that was answered, by urgency.
#[derive(Default)]
struct Queue {
    lines: Vec<(Text, FindingLine)>,
    in_full: Vec<(Text, Finding)>,
    similar: BTreeMap<FindingId, Vec<SimilarCase>>,
    watched: Vec<(Text, WatchedView)>,
    watched_further: usize,
    /// All views have the same, since the store has it.
    records: Vec<TrackRecord>,
    /// What is wrong with the store, each thing once.
    store_trouble: BTreeSet<Text>,
}

pub(super) async fn page(cx: &AdminContext, receiver: Option<&str>, finding: Option<&str>) -> String {
    let subtitle = "What dbintel concluded, and waits for a person. It never acts by itself.";
    let mut page = Page::begin(cx, "findingz", "Findings", subtitle);
    let id: Option<Result<FindingId, _>> = finding.map(str::parse);
    if let Some(Err(problem)) = id {
        page.news(Tone::Warn, &format!("{problem}."));
        return page.finish();
    }
    let wanted = id.and_then(Result::ok);
    let verifiers = Verifiers::of(cx, receiver, FINDING_SERVERS_MAX);
    verifiers.warn(&mut page);
    let answers = verifiers.ask(cx, &Command::Findings { finding: wanted }).await;
    answers.iter().for_each(|answer| answer.or_silence(&mut page));
    let queue = Queue::of(answers);
    for trouble in &queue.store_trouble {
        page.news(
            Tone::Bad,
            &format!("The store could not be asked: what persons decided lately is not here. {trouble}."),
        );
    }
    match wanted {
        Some(id) => one(&mut page, cx, &queue, id),
        None if verifiers.lanes.is_empty() => {}
        None => all(&mut page, cx, &queue),
    }
    verifiers.elsewhere(&mut page, "findingz");
    page.finish()
}

fn one(page: &mut Page, cx: &AdminContext, queue: &Queue, id: FindingId) {
    page.list([Cell::link("findingz", &[], "all findings")]);
    for (lane, finding) in &queue.in_full {
        card::card(page, cx, (lane, finding), queue.similar(finding.id));
    }
    if queue.in_full.is_empty() {
        let why = if queue.lines.is_empty() {
            "No lane has this finding; it may have come to its end, or be of a server on another page."
        } else {
            "This finding is too large for a page."
        };
        page.news(Tone::Warn, why);
        page.script(&format!("dbintel findings show {id} --config FILE"));
    }
}

fn all(page: &mut Page, cx: &AdminContext, queue: &Queue) {
    list(page, cx, queue);
    // What a person has rejected is in the list, and nothing waits.
    let waiting = queue.in_full.iter().filter(|(_, finding)| !finding.state.is_final());
    for (lane, finding) in waiting.take(FINDINGS_IN_FULL_MAX) {
        card::card(page, cx, (lane, finding), queue.similar(finding.id));
    }
    watch_list(page, cx, queue);
    record(page, &queue.records);
}

fn list(page: &mut Page, cx: &AdminContext, queue: &Queue) {
    if queue.lines.is_empty() {
        page.news(
            Tone::Good,
            "No finding waits. Those that came to their end: dbintel findings list --all --config FILE.",
        );
        return;
    }
    page.section("Queue");
    let row = |(lane, line): &(Text, FindingLine)| {
        let short: String = line.id.to_string().chars().take(card::SHOWN_DIGITS).collect();
        let state =
            if line.for_review { format!("{}, for review", line.state) } else { line.state.to_string() };
        [
            Cell::link("findingz", &[("receiver", lane), ("finding", &line.id.to_string())], short),
            Cell::text(state),
            Cell::text(line.category.as_str()),
            Cell::text(line.kind.as_str()),
            Cell::text(lane),
            Cell::text(line.database.as_deref().unwrap_or(UNKNOWN)),
            Cell::number(line.time_lost.map_or_else(|| UNKNOWN.to_owned(), |lost| lost.in_short())),
            Cell::text(&line.summary),
        ]
    };
    page.table(
        ["finding", "state", "evidence", "kind", "server", "database", "#lost per day", "what"],
        queue.lines.iter().take(FINDINGS_LISTED_MAX).map(row),
    );
    if let Some(further @ 1..) = queue.lines.len().checked_sub(FINDINGS_LISTED_MAX) {
        page.sentence(&format!("And {further} more: dbintel findings list --config FILE."));
    }
    let now = format::clock_time(cx.clock.now());
    page.sentence(&format!("As of {now}. Below are the first in full; the others are behind their ids."));
}

/// Apart from the findings, and with nothing to do about any of it.
fn watch_list(page: &mut Page, cx: &AdminContext, queue: &Queue) {
    page.section("Watch list");
    page.sentence(
        "Statements that seem to lose time without a finding: too little, since too short a time, or too uncertain. There is \
         nothing to do about them yet.",
    );
    if queue.watched.is_empty() {
        return page.sentence("None.");
    }
    let number = |value: Option<f64>| dbintel_model::finding::digits_or(value, UNKNOWN);
    let row = |(lane, watched): &(Text, WatchedView)| {
        let effect = &watched.effect;
        let why = if watched.has_other_plan { "another plan" } else { "no known change of plan" };
        [
            Cell::text(watched.text.as_ref().unwrap_or(&watched.query_id)),
            Cell::text(lane),
            Cell::text(format!("{} as {}", watched.database, watched.user)),
            Cell::link("planz", &[("receiver", lane), ("statement", &watched.query_id)], &watched.query_id),
            Cell::number(watched.time_lost.in_full()),
            Cell::number(format!("{} → {} ms", number(effect.before_ms), number(effect.after_ms))),
            Cell::number(number(effect.t)),
            Cell::text(format!("{} ({why})", format::moment(watched.since, cx.clock.now()))),
            Cell::text(format!("{}, {}", watched.conclusion, watched.category)),
        ]
    };
    page.table(
        [
            "statement",
            "server",
            "database, role",
            "query id",
            "#lost per day",
            "#mean",
            "#t",
            "since",
            "said last",
        ],
        queue.watched.iter().take(WATCHED_LISTED_MAX).map(row),
    );
    let hidden = queue.watched.len().saturating_sub(WATCHED_LISTED_MAX) + queue.watched_further;
    if hidden > 0 {
        page.sentence(&format!("And {hidden} more that lose less."));
    }
}

/// Whether what was done helped, of all servers that share the store.
fn record(page: &mut Page, records: &[TrackRecord]) {
    if records.is_empty() {
        return;
    }
    page.section("What came of what was done");
    let row = |record: &TrackRecord| {
        let TrackRecord { kind, confirmed, no_effect, harmful, inconclusive } = *record;
        let count = |count: u64| Cell::number(count.to_string());
        [
            Cell::text(card::kind(kind)),
            Cell::number(record.success()),
            count(confirmed),
            count(no_effect),
            count(harmful),
            count(inconclusive),
        ]
    };
    page.table(
        ["findings", "#success", "#confirmed", "#no effect", "#harmful", "#inconclusive"],
        records.iter().map(row),
    );
}

// === impl Queue ===

impl Queue {
    fn similar(&self, finding: FindingId) -> &[SimilarCase] {
        self.similar.get(&finding).map_or(&[], Vec::as_slice)
    }

    fn of(answers: Vec<Answer>) -> Self {
        let mut queue = Self::default();
        for Answer { lane, replies, .. } in answers {
            for view in replies.into_iter().flatten().filter_map(|(_, reply)| reply.findings) {
                let lines = view.findings.iter().map(FindingLine::of).chain(view.further);
                queue.lines.extend(lines.map(|line| (lane.clone(), line)));
                queue.in_full.extend(view.findings.into_iter().map(|finding| (lane.clone(), finding)));
                queue.watched.extend(view.watched.into_iter().map(|watched| (lane.clone(), watched)));
                queue.watched_further += view.watched_further;
                queue.store_trouble.extend(view.store_trouble);
                queue.similar.extend(view.similar);
                queue.records = view.records;
            }
        }
        queue.lines.sort_by(|(_, one), (_, other)| one.by_urgency(other));
        queue
            .in_full
            .sort_by(|(_, one), (_, other)| FindingLine::of(one).by_urgency(&FindingLine::of(other)));
        let lost = |watched: &WatchedView| watched.time_lost.seconds_per_day.unwrap_or(0.0);
        queue.watched.sort_by(|(_, one), (_, other)| lost(other).total_cmp(&lost(one)));
        queue
    }
}
