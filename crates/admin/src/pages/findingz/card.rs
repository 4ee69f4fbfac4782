//! A finding in full, in the order in which it is needed at night: what happened and how sure that is, what it rests on, what may have
//! caused it, what can be done and undone, how it may be wrong, what was decided.

use dbintel_model::finding::{
    Category, Chart as Course, ChartPoint, Effect, Evidence, FindingKind, Lock, SimilarCase, Step, digits,
    digits_or,
};
use dbintel_model::{Finding, Text, Timestamp};

use crate::AdminContext;
use crate::pages::format::{self, UNKNOWN};
use crate::pages::html::{Cell, Chart, Page, Point, Shape, Size, Tone};

/// Digits of an id in a list; any that tell it from the others name it.
pub(super) const SHOWN_DIGITS: usize = 12;
/// The band of a chart: the shares of the hours before that lie below and above it.
const BAND_SHARE: f64 = 0.1;
/// Hours before without which there is no band.
const BAND_HOURS_MIN: usize = 5;

pub(super) fn card(
    page: &mut Page,
    cx: &AdminContext,
    (lane, finding): (&str, &Finding),
    similar: &[SimilarCase],
) {
    let short: String = finding.id.to_string().chars().take(SHOWN_DIGITS).collect();
    page.section(&format!("{short} on {lane}: {}, {}", kind(finding.kind), finding.state));
    page.news(tone(finding.category), &first_line(finding));
    subject(page, lane, finding);
    measured(page, finding);
    locks(page, &finding.locks);
    if !finding.charts.is_empty() {
        page.part("Before and since");
        page.sentence("Dashed: the change. Grey: where eight of ten hours before it were.");
    }
    for course in &finding.charts {
        page.chart(&chart(course, finding.flip.map(|flip| flip.at)));
    }
    sentences(page, "Probable causes, the best first", finding.causes.iter().map(|cause| &cause.sentence));
    scripts(page, finding);
    sentences(page, "Wrong if", &finding.failure_modes);
    if let Some(questions) = &finding.questions {
        page.part("Before you do it");
        let answered = questions.answered();
        page.facts(answered.map(|(question, answer)| (format!("{question}?"), Cell::text(answer))));
    }
    life(page, cx, finding);
    numbers(page, finding);
    past(page, cx, similar);
}

/// Context at the end, apart from everything that was weighed.
fn past(page: &mut Page, cx: &AdminContext, similar: &[SimilarCase]) {
    if similar.is_empty() {
        return;
    }
    page.part("Similar past cases");
    page.sentence("By words of the statement, names of objects and kinds of causes. They are context, no evidence: nothing above rests on them.");
    let row = |case: &SimilarCase| {
        [
            Cell::text(case.id.to_string()),
            Cell::text(format::moment(case.opened_at, cx.clock.now())),
            Cell::text(kind(case.kind)),
            Cell::text(&case.summary),
            Cell::text(case.cause.as_deref().unwrap_or(UNKNOWN)),
            Cell::text(&case.end),
            Cell::number(digits(case.likeness)),
        ]
    };
    page.table(
        ["finding", "opened", "kind", "what", "cause", "how it ended", "#alike"],
        similar.iter().map(row),
    );
}

/// What happened to which statement, how sure that is, what it costs, why.
fn first_line(finding: &Finding) -> String {
    let lost = finding.time_lost.map_or_else(|| "not known".to_owned(), |lost| lost.in_full());
    let cause = finding.causes.first().map_or_else(
        || "No cause is known.".to_owned(),
        |cause| format!("Most probable cause: {}", cause.sentence),
    );
    format!("{} Evidence: {}. Time lost per day: {lost}. {cause}", finding.summary, finding.certainty())
}

fn subject(page: &mut Page, lane: &str, finding: &Finding) {
    let mut facts: Vec<(String, Cell)> =
        finding.names().map(|(name, value)| (name.to_owned(), Cell::text(value))).collect();
    let subject = &finding.subject;
    if let Some(id) = subject.query_id {
        let id = id.to_string();
        let plans = [("receiver", lane), ("statement", id.as_str())];
        let text = subject.query_text.as_ref().or(subject.query_summary.as_ref());
        let text = text.map_or("text not known", |text| text.as_str());
        let link = Cell::link("planz", &plans, format!("plans of query {id}"));
        facts.push(("statement".to_owned(), Cell::text(text).above(&link)));
    }
    if let Some(flip) = &finding.flip {
        let change = format!(
            "{} → {} at {} ({})",
            flip.old,
            flip.new,
            format::clock_time(flip.at),
            flip.rung.as_str()
        );
        facts.push(("plan".to_owned(), Cell::text(change)));
    }
    if let Some(attribution) = finding.attribution {
        facts.push(("change of plan is held responsible".to_owned(), Cell::text(attribution.as_str())));
    }
    page.facts(facts);
}

fn measured(page: &mut Page, finding: &Finding) {
    let Some(effect) = &finding.effect else { return };
    let Effect { before_ms, after_ms, ratio, ratio_low, ratio_high, t, degrees_of_freedom, .. } = *effect;
    let number = |value| Cell::number(digits_or(value, UNKNOWN));
    let calls = |value| Cell::number(format::count_or_unknown(value));
    page.part("Evidence");
    page.table(
        ["", "#before", "#since"],
        [
            [Cell::text("executions"), calls(effect.calls_before), calls(effect.calls_after)],
            [Cell::text("mean time, ms"), number(before_ms), number(after_ms)],
        ],
    );
    let bound = |value| digits_or(value, UNKNOWN);
    let ratio = format!("{} ({} to {})", bound(ratio), bound(ratio_low), bound(ratio_high));
    page.facts([
        ("times as long per execution".to_owned(), Cell::text(ratio)),
        ("t".to_owned(), number(t)),
        ("degrees of freedom".to_owned(), number(degrees_of_freedom)),
    ]);
}

fn locks(page: &mut Page, locks: &[Lock]) {
    if locks.is_empty() {
        return;
    }
    page.part("What was asked of the evidence");
    let row = |lock: &Lock| {
        let answer = match lock.passed {
            Some(true) => Cell::toned(Tone::Good, lock.answer()),
            Some(false) => Cell::toned(Tone::Bad, lock.answer()),
            None => Cell::toned(Tone::Warn, lock.answer()),
        };
        [
            answer,
            Cell::text(&lock.name),
            Cell::number(digits_or(lock.value, UNKNOWN)),
            Cell::number(digits_or(lock.threshold, UNKNOWN)),
            Cell::text(lock.caps_at.map_or("", Category::as_str)),
            Cell::text(&lock.sentence),
        ]
    };
    let mut in_order: Vec<&Lock> = locks.iter().collect();
    in_order.sort_by_key(|lock| lock.reading_order());
    page.table(["", "lock", "#value", "#threshold", "lowers to", "in words"], in_order.into_iter().map(row));
}

/// The course before and since; the band says where the hours before were.
fn chart(course: &Course, change: Option<Timestamp>) -> Chart<'_> {
    let band = band(&course.before);
    let all = course.before.iter().chain(&course.after);
    let point = |point: &ChartPoint| {
        Some(Point {
            start: point.start,
            end: point.end,
            value: point.mean?,
            band: point.p10.zip(point.p90).or(band),
        })
    };
    let at = change.or_else(|| course.after.first().map(|point| point.start));
    Chart {
        title: course.name.replace('_', " ").into(),
        unit: &course.unit,
        shape: Shape::Line,
        size: Size::Large,
        points: all.filter_map(point).collect(),
        marks: at
            .map(|at| (at, if change.is_some() { "plan changed" } else { "since" }))
            .into_iter()
            .collect(),
    }
}

/// Eight of ten hours before lie between the two.
fn band(before: &[ChartPoint]) -> Option<(f64, f64)> {
    let mut means: Vec<f64> =
        before.iter().filter_map(|point| point.mean).filter(|mean| mean.is_finite()).collect();
    if means.len() < BAND_HOURS_MIN {
        return None;
    }
    means.sort_by(f64::total_cmp);
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "a place in a list of hundreds"
    )]
    let aside = (means.len() as f64 * BAND_SHARE) as usize;
    Some((*means.get(aside)?, *means.iter().rev().nth(aside)?))
}

fn scripts(page: &mut Page, finding: &Finding) {
    for (name, script) in finding.scripts.named() {
        page.part(&format!("Script to {name} it"));
        if !page.script(script) {
            page.news(Tone::Warn, "It does not fit a page whole:");
            page.script(&format!("dbintel findings show {} --config FILE", finding.id));
        }
    }
}

fn sentences<'a>(page: &mut Page, title: &str, sentences: impl IntoIterator<Item = &'a Text>) {
    let mut sentences = sentences.into_iter().peekable();
    if sentences.peek().is_some() {
        page.part(title);
        page.list(sentences.map(Cell::text));
    }
}

fn life(page: &mut Page, cx: &AdminContext, finding: &Finding) {
    page.part("Its life so far");
    let at = |at: Timestamp| format::moment(at, cx.clock.now());
    let mut facts = vec![
        ("opened".to_owned(), Cell::text(at(finding.opened_at))),
        ("changed last".to_owned(), Cell::text(at(finding.updated_at))),
    ];
    for decision in &finding.decisions {
        let why = decision.reason.as_deref().unwrap_or("no reason given");
        let text = format!("{} by {}: {why}", at(decision.at), decision.by);
        facts.push((decision.action.as_str().to_owned(), Cell::text(text)));
    }
    if let Some(applied) = &finding.applied {
        facts.push(("applied".to_owned(), Cell::text(format!("{}: {}", at(applied.at), applied.how))));
    }
    if let Some(undone) = finding.rolled_back_at {
        facts.push(("undone".to_owned(), Cell::text(at(undone))));
    }
    if let Some(outcome) = &finding.outcome {
        facts.push((
            outcome.verdict.to_string(),
            Cell::text(format!("{}: {}", at(outcome.at), outcome.sentence)),
        ));
    }
    page.facts(facts);
    let id = finding.id;
    let mut commands = format!("dbintel findings show {id} --config FILE");
    for (step, action) in [(Step::Accept, "accept"), (Step::Reject, "reject")] {
        if finding.state.transition(step).is_ok() {
            commands.push_str(&format!("\ndbintel findings {action} {id} --config FILE --reason \"…\""));
        }
    }
    page.script(&commands);
}

fn numbers(page: &mut Page, finding: &Finding) {
    if finding.evidence.is_empty() {
        return;
    }
    page.part("All numbers");
    let row = |number: &Evidence| {
        [
            Cell::text(&number.name),
            Cell::number(number.value.map_or_else(|| UNKNOWN.to_owned(), digits)),
            Cell::text(&number.unit),
            Cell::text(number.source.as_str()),
            Cell::text(&number.detail),
        ]
    };
    page.table(["number", "#value", "unit", "source", "what exactly"], finding.evidence.iter().map(row));
    if finding.left_out > 0 {
        page.sentence(&format!("{} more entries of this finding found no room in it.", finding.left_out));
    }
}

/// A kind as a person would say it.
pub(super) const fn kind(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::PlanRegression => "slower since its plan changed",
        FindingKind::RegressionWithoutPlanChange => "slower without a known change of plan",
        FindingKind::PlanImprovement => "faster since its plan changed",
        FindingKind::PlanFlapping => "goes back and forth between plans",
        FindingKind::SlowSinglePlan => "slow with its only plan",
        FindingKind::StatementVanished => "hardly in the statistics any more",
        FindingKind::StatisticsStale => "statistics older than the data",
    }
}

/// What deserves an eye first.
const fn tone(category: Category) -> Tone {
    match category {
        Category::Insufficient | Category::Careful => Tone::Warn,
        Category::Manual | Category::Auto => Tone::Bad,
    }
}
