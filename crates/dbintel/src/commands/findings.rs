//! `findings`: the review queue, read from the store and decided in it, whether a collector runs or not.

use std::fmt::Write as _;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use dbintel_config::{Environment as _, ProcessEnvironment};
use dbintel_model::finding::{
    Chart, Decision, DecisionAction, FindingKind, FindingState, Lock, Questions, SimilarCase, TimeLost,
    TrackRecord, digits, digits_or, similar_cases,
};
use dbintel_model::{Clock as _, Finding, SystemClock, Text};
use dbintel_pipeline::memory::MemoryAccounts;
use dbintel_pipeline::telemetry::Registry;
use dbintel_store::{Filter, Instance, OnDamage, Place, Store, StoreContext};
use tokio::runtime::Builder;

use super::control::table;
use super::print;
use crate::assembly::Checked;
use crate::cli::{Choice, FindingAction, ListFindings};

/// Digits of an id in a list; any that tell it from the others name it.
const SHOWN_DIGITS: usize = 12;
/// The steps of a chart in a line of text.
const STEPS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Points of a chart before and after, at most.
const CHART_POINTS: usize = 36;

/// Runs the command on the store of this configuration.
pub fn findings(checked: &Checked, action: FindingAction) -> anyhow::Result<()> {
    let config = checked.assembly.store.clone().ok_or_else(|| {
        anyhow!("no store is configured, so there are no findings to read; set extensions.store and name it in service.extensions")
    })?;
    if let Place::Sqlite(path) = &config.place
        && matches!(path.try_exists(), Ok(false))
    {
        // An empty store made here would say that no finding is open, whatever the collector's has.
        return Err(anyhow!(
            "there is no store at {}: run this where the collector runs, as its user (in Kubernetes by kubectl exec in its \
             container); it makes the file when it starts",
            path.display()
        ));
    }
    let runtime = Builder::new_current_thread().enable_all().build().context("the runtime")?;
    runtime.block_on(async {
        let cx = StoreContext {
            clock: Arc::new(SystemClock::default()),
            registry: Registry::default(),
            accounts: MemoryAccounts::default(),
            instance: Instance { id: "command".into(), host: Text::default() },
            on_damage: OnDamage::Fail,
        };
        let (store, _writer) = Store::open(config, cx).await?;
        let done = run(&store, action).await;
        store.close().await;
        done
    })
}

async fn run(store: &Store, action: FindingAction) -> anyhow::Result<()> {
    match action {
        FindingAction::List(options) => list(store, &options).await,
        FindingAction::Show(options) => {
            let finding = store.finding(store.find(&options.id).await?).await?;
            if options.json {
                return print(&as_json(&finding)?);
            }
            let similar = similar_cases(&finding, &store.past_cases().await?);
            print(&(card(&finding) + &past(&similar)))
        }
        FindingAction::Accept(choice) => decide(store, DecisionAction::Accept, choice).await,
        FindingAction::Reject(choice) => decide(store, DecisionAction::Reject, choice).await,
    }
}

async fn list(store: &Store, options: &ListFindings) -> anyhow::Result<()> {
    let named = |name: &Option<String>, known: Vec<&str>| match name {
        Some(name) if !known.contains(&name.as_str()) => {
            Err(anyhow!("`{name}` is none of {}", known.join(", ")))
        }
        _ => Ok(()),
    };
    named(&options.kind, FindingKind::ALL.iter().map(|kind| kind.as_str()).collect())?;
    named(&options.state, FindingState::ALL.iter().map(|state| state.as_str()).collect())?;
    let filter = Filter {
        kind: options.kind.as_deref().and_then(FindingKind::from_name),
        state: options.state.as_deref().and_then(FindingState::from_name),
        open_only: !options.all && options.state.is_none(),
        limit: options.limit,
        ..Filter::default()
    };
    let listed = store.findings(&filter).await?;
    if options.json {
        for finding in &listed.findings {
            print(&as_json(finding)?)?;
        }
    } else if listed.findings.is_empty() {
        print(if filter.open_only { "no finding is open\n" } else { "no finding is so\n" })?;
    } else {
        print(&overview(&listed.findings))?;
    }
    if !options.json {
        print(&success(&store.track_records().await?))?;
    }
    let mut notes = String::new();
    if listed.more {
        notes.push_str("there are more; see --limit\n");
    }
    if listed.unreadable > 0 {
        // Writing to a string cannot fail.
        let _ = writeln!(notes, "{} damaged rows were passed over", listed.unreadable);
    }
    std::io::Write::write_all(&mut std::io::stderr(), notes.as_bytes()).context("standard error")
}

async fn decide(store: &Store, action: DecisionAction, choice: Choice) -> anyhow::Result<()> {
    let person = |name| ProcessEnvironment.variable(name).ok().filter(|name: &String| !name.is_empty());
    let by = choice.by.or_else(|| person("USER")).or_else(|| person("LOGNAME")).unwrap_or_default();
    let now = SystemClock::default().now();
    let decision = Decision::try_new(action, &by, now, choice.reason.as_deref())
        .map_err(|error| anyhow!("{error}; see --by and --reason"))?;
    let changed = store.decide(store.find(&choice.id).await?, decision).await?;
    print(&format!("{} was {} and is {} now\n", short(&changed.finding), changed.from, changed.finding.state))
}

/// A finding as a line of JSON.
pub fn as_json(finding: &Finding) -> anyhow::Result<String> {
    Ok(serde_json::to_string(finding).context("a finding as JSON")? + "\n")
}

fn short(finding: &Finding) -> String {
    finding.id.to_string().chars().take(SHOWN_DIGITS).collect()
}

fn overview(findings: &[Finding]) -> String {
    let rows = findings.iter().map(|finding| {
        let database = finding.subject.database.as_deref().unwrap_or("-");
        [
            short(finding),
            finding.state.to_string(),
            finding.category.to_string(),
            finding.kind.to_string(),
            plain(database),
            finding.time_lost.as_ref().map_or_else(|| "-".to_owned(), TimeLost::in_short),
            plain(&finding.summary),
        ]
    });
    table(["ID", "STATE", "EVIDENCE", "KIND", "DATABASE", "LOST/DAY", "WHAT"], rows)
}

/// What came of what was done, by kind of finding; nothing before any of it was measured.
fn success(records: &[TrackRecord]) -> String {
    if records.is_empty() {
        return String::new();
    }
    let rows = records.iter().map(|record| {
        let TrackRecord { kind, confirmed, no_effect, harmful, inconclusive } = *record;
        let counts = [confirmed, no_effect, harmful, inconclusive].map(|count| count.to_string());
        let [confirmed, no_effect, harmful, inconclusive] = counts;
        [kind.to_string(), record.success(), confirmed, no_effect, harmful, inconclusive]
    });
    format!(
        "\n{}",
        table(["DONE ABOUT", "SUCCESS", "CONFIRMED", "NO EFFECT", "HARMFUL", "INCONCLUSIVE"], rows)
    )
}

/// All a DBA needs at night, the most important first.
fn card(finding: &Finding) -> String {
    let mut text = String::new();
    let mut line = |words: String| {
        text.push_str(&words);
        text.push('\n');
    };
    line(format!("finding {}  {}  {}", finding.id, finding.kind, finding.state));
    line(plain(&finding.summary));
    line(format!("evidence: {}", finding.certainty()));
    let subject = &finding.subject;
    let names = finding.names().map(|(name, value)| format!("{name} {}", plain(value)));
    line(format!("\n{}", names.collect::<Vec<_>>().join("  ")));
    if let Some(id) = subject.query_id {
        line(format!("query {id}  {}", plain(subject.query_text.as_deref().unwrap_or("(text not known)"))));
    }
    if let Some(flip) = &finding.flip {
        let tied = finding.attribution.map_or_else(String::new, |tied| format!("; the change is {tied}"));
        line(format!("plan {} -> {} at {} ({}){tied}", flip.old, flip.new, flip.at, flip.rung.as_str()));
    }
    measured(finding, &mut line);
    for chart in &finding.charts {
        line(sparks(chart));
    }
    section(&mut line, "probable causes, the best first", finding.causes.iter().map(|cause| &cause.sentence));
    if !finding.locks.is_empty() {
        line("\nwhat was asked of the evidence".to_owned());
        let mut in_order: Vec<&Lock> = finding.locks.iter().collect();
        in_order.sort_by_key(|lock| lock.reading_order());
        in_order.into_iter().for_each(|lock| line(asked(lock)));
    }
    for (name, script) in finding.scripts.named() {
        line(format!("\n{name}:\n{}", plain(script)));
    }
    for (index, (question, answer)) in finding.questions.iter().flat_map(Questions::answered).enumerate() {
        let apart = if index == 0 { "\n" } else { "" };
        line(format!("{apart}{question}: {}", plain(answer)));
    }
    section(&mut line, "wrong if", &finding.failure_modes);
    lived(finding, &mut line);
    text
}

/// What it costs is known of findings about many statements as well, which have no single effect.
fn measured(finding: &Finding, line: &mut impl FnMut(String)) {
    let number = |value: Option<f64>| digits_or(value, "?");
    if let Some(effect) = &finding.effect {
        line(format!(
            "time per call {} ms -> {} ms  ({}x, from {}x to {}x)  t {}  executions {} -> {}",
            number(effect.before_ms),
            number(effect.after_ms),
            number(effect.ratio),
            number(effect.ratio_low),
            number(effect.ratio_high),
            number(effect.t),
            number(effect.calls_before),
            number(effect.calls_after),
        ));
    }
    if let Some(time) = &finding.time_lost {
        line(format!("lost per day: {}", time.in_short()));
    }
}

fn asked(lock: &Lock) -> String {
    let mark = lock.answer();
    let number = |value: Option<f64>| digits_or(value, "-");
    let numbers = format!("{} against {}", number(lock.value), number(lock.threshold));
    // Of one that holds the numbers say it all.
    let sentence = if lock.passed == Some(true) { String::new() } else { plain(&lock.sentence) };
    format!("  {mark:<9}  {:<22} {numbers:<24} {sentence}", plain(&lock.name)).trim_end().to_owned()
}

fn section<'a>(line: &mut impl FnMut(String), title: &str, sentences: impl IntoIterator<Item = &'a Text>) {
    for (index, sentence) in sentences.into_iter().enumerate() {
        if index == 0 {
            line(format!("\n{title}"));
        }
        line(format!("  {}. {}", index + 1, plain(sentence)));
    }
}

fn lived(finding: &Finding, line: &mut impl FnMut(String)) {
    line(format!("\nopened {}, changed {}", finding.opened_at, finding.updated_at));
    for decision in &finding.decisions {
        let reason = decision.reason.as_deref().map_or_else(String::new, |why| format!(": {}", plain(why)));
        line(format!("{} {} by {}{reason}", decision.at, decision.action, plain(&decision.by)));
    }
    if let Some(applied) = &finding.applied {
        line(format!("{} applied: {}", applied.at, plain(&applied.how)));
    }
    if let Some(at) = finding.rolled_back_at {
        line(format!("{at} undone"));
    }
    if let Some(outcome) = &finding.outcome {
        line(format!("{} {}: {}", outcome.at, outcome.verdict, plain(&outcome.sentence)));
    }
}

/// Context, apart from what was weighed.
fn past(similar: &[SimilarCase]) -> String {
    let mut text = String::new();
    for (index, case) in similar.iter().enumerate() {
        if index == 0 {
            text.push_str("\nsimilar past cases (context, no evidence)\n");
        }
        let cause = case.cause.as_deref().unwrap_or("no known cause");
        let SimilarCase { id, kind, opened_at, summary, end, likeness, .. } = case;
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "  {}. {id}  {kind}  opened {opened_at}  {} alike\n     {}\n     cause: {}\n     {}",
            index + 1,
            digits(*likeness),
            plain(summary),
            plain(cause),
            plain(end),
        );
    }
    text
}

/// The course in a line, before and after.
fn sparks(chart: &Chart) -> String {
    let before = chart.before.iter().rev().take(CHART_POINTS).rev();
    let values: Vec<_> =
        before.chain(chart.after.iter().take(CHART_POINTS)).map(|point| point.mean).collect();
    let known = || values.iter().flatten().copied().filter(|value| value.is_finite());
    let (least, most) =
        known().fold((f64::INFINITY, 0.0_f64), |(least, most), value| (least.min(value), most.max(value)));
    let step = |value: &Option<f64>| {
        let share = value.filter(|value| value.is_finite() && most > 0.0).map(|value| value / most);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 7")]
        let step = share.map(|share| (share * 7.0).round().clamp(0.0, 7.0) as usize);
        step.and_then(|step| STEPS.get(step)).copied().unwrap_or(' ')
    };
    let shown = chart.before.len().min(CHART_POINTS);
    let (before, after) = values.split_at(shown.min(values.len()));
    let line = |values: &[Option<f64>]| values.iter().map(step).collect::<String>();
    let range = if least.is_finite() {
        format!("{least:.1} to {most:.1} {}", chart.unit)
    } else {
        "nothing known".to_owned()
    };
    format!("{:<16} {}|{}  {range}", plain(&chart.name), line(before), line(after))
}

/// What somebody wrote, without what a terminal would obey.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests;
