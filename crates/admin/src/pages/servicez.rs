//! `/debug/servicez`: the process.

use std::time::Duration;

use dbintel_model::Text;
use dbintel_pipeline::overrides::Override;
use dbintel_pipeline::status::{ComponentStatus, State};
use dbintel_pipeline::telemetry::definitions;

use super::format::{self, UNKNOWN};
use super::html::{Cell, Page, Tone};
use crate::AdminContext;
use crate::heartbeat::not_alive;

/// Memory accounts listed: the largest ones.
const ACCOUNTS_SHOWN_MAX: usize = 50;

pub(super) fn page(cx: &AdminContext) -> String {
    let subtitle = format!("dbintel {}, {}", cx.version, format::clock_time(cx.clock.now()));
    let mut page = Page::begin(cx, "servicez", "Service", &subtitle);
    condition(&mut page, cx);
    page.section("Resources");
    page.facts(resources(cx));
    overrides(&mut page, cx);
    accounts(&mut page, cx);
    components(&mut page, cx);
    configuration(&mut page, cx);
    page.finish()
}

fn condition(page: &mut Page, cx: &AdminContext) {
    let (board, now) = (&cx.board, cx.clock.monotonic());
    if let Some(reason) = not_alive(&cx.heartbeat, board, now) {
        page.news(Tone::Bad, &format!("Not alive: {reason}."));
    } else if board.is_shutting_down() {
        page.news(Tone::Warn, "Shutting down.");
    } else if !board.is_ready() {
        page.news(Tone::Warn, "Starting: not every lane and exporter has been started.");
    } else {
        let components = board.components();
        let complaints = components.iter().filter(|component| component.state.reason().is_some());
        match complaints.count() {
            0 => page.news(Tone::Good, "Alive and ready; no component complains."),
            1 => page.news(Tone::Warn, "Alive and ready; one component is degraded, see below."),
            many => {
                let text = format!("Alive and ready; {many} components are degraded, see below.");
                page.news(Tone::Warn, &text);
            }
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "sizes, for display")]
fn resources(cx: &AdminContext) -> Vec<(String, Cell)> {
    let (usage, limits) = (cx.monitor.sample(), cx.monitor.limits());
    let unknown = || UNKNOWN.to_owned();
    let memory = match (usage.rss_bytes, limits.memory) {
        (Some(used), Some(bound)) => format!(
            "{} resident, {} of {} ({})",
            format::bytes(used as f64),
            format::percent(used as f64, bound.bytes as f64),
            format::bytes(bound.bytes as f64),
            bound.source.as_str()
        ),
        (Some(used), None) => format!("{} resident, limit unknown", format::bytes(used as f64)),
        (None, _) => "unknown: /proc/self/statm cannot be read".to_owned(),
    };
    let heap = usage
        .heap_bytes
        .map_or_else(unknown, |heap| format!("{} handed out by the allocator", format::bytes(heap as f64)));
    let cpu = usage.cpu_percent.map_or_else(unknown, |percent| format!("{percent:.1} % of one CPU"));
    let cpu_time = usage.cpu_seconds.map_or_else(unknown, format::seconds);
    let cpus =
        limits.cpus.map_or_else(|| "no limit".to_owned(), |cpus| format!("{cpus:.2} CPUs (control group)"));
    let started = format::moment(cx.started_at, cx.clock.now());
    let heartbeat = cx.heartbeat.age(cx.clock.monotonic());
    [
        ("started", started),
        ("memory", memory),
        ("heap", heap),
        ("CPU now", cpu),
        ("CPU time so far", cpu_time),
        ("CPU limit", cpus),
        ("main runtime", format!("last sign of life {} ago", format::span(heartbeat))),
    ]
    .map(|(name, value)| (name.to_owned(), Cell::text(value)))
    .into()
}

/// What a person has switched off or holds; no section while there is nothing.
fn overrides(page: &mut Page, cx: &AdminContext) {
    let list = cx.overrides.list();
    if list.is_empty() {
        return;
    }
    page.section("Overrides");
    let row = |(entry, left): &(Override, Duration)| {
        [
            Cell::toned(Tone::Warn, entry.order.to_string()),
            Cell::text(entry.level()),
            Cell::text(format!("{} ago", format::ago(entry.set_at, cx.clock.now()))),
            Cell::text(format!("in {}", format::span(*left))),
            Cell::text(&entry.reason),
        ]
    };
    page.table(["order", "level", "set", "ends", "reason"], list.iter().map(row));
}

/// Who holds how many bytes.
fn accounts(page: &mut Page, cx: &AdminContext) {
    let balances = balances(cx);
    if balances.is_empty() {
        return;
    }
    page.part("Queues, caches and tables");
    let total: f64 = balances.iter().map(|(_, bytes)| bytes).sum();
    let rows = balances.iter().take(ACCOUNTS_SHOWN_MAX);
    page.table(
        ["account", "#bytes"],
        rows.map(|(name, bytes)| [Cell::text(name), Cell::number(format::bytes(*bytes))]),
    );
    let more = match balances.len().saturating_sub(ACCOUNTS_SHOWN_MAX) {
        0 => String::new(),
        hidden => format!(", {hidden} of them smaller than these"),
    };
    page.sentence(&format!("{} in {} accounts{more}.", format::bytes(total), balances.len()));
}

/// Every account with its bytes, the largest first.
fn balances(cx: &AdminContext) -> Vec<(Text, f64)> {
    let readings = cx.registry.read();
    let of_accounts =
        readings.into_iter().filter(|reading| reading.metric.name == definitions::MEMORY_ACCOUNT_BYTES.name);
    let mut balances: Vec<(Text, f64)> = of_accounts
        .flat_map(|reading| reading.series)
        .filter_map(|(labels, bytes)| {
            let (_, name) = labels.into_iter().find(|(label, _)| *label == "account")?;
            Some((name, bytes))
        })
        .collect();
    balances.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    balances
}

fn components(page: &mut Page, cx: &AdminContext) {
    page.section("Components");
    let (now, components) = (cx.clock.now(), cx.board.components());
    let row = |component: &ComponentStatus| {
        let reason = component.state.reason().map_or("", |reason| reason.as_str());
        let last_success = component
            .last_success
            .map_or_else(|| "never".to_owned(), |at| format!("{} ago", format::ago(at, now)));
        [
            Cell::text(component.kind.as_str()),
            Cell::text(&component.id),
            state(&component.state),
            Cell::text(format!("{} ago", format::ago(component.since, now))),
            Cell::text(last_success),
            Cell::text(reason),
        ]
    };
    page.table(["kind", "id", "state", "since", "last success", "reason"], components.iter().map(row));
}

/// A state as a word with a tone.
pub(super) fn state(state: &State) -> Cell {
    match state {
        State::Ok => Cell::toned(Tone::Good, state.as_str()),
        State::Starting | State::Stopped => Cell::text(state.as_str()),
        State::Degraded(_) => Cell::toned(Tone::Warn, state.as_str()),
        State::Failed(_) => Cell::toned(Tone::Bad, state.as_str()),
    }
}

fn configuration(page: &mut Page, cx: &AdminContext) {
    let service = cx.pages.service();
    page.section("Configuration");
    let files =
        if service.config_files.is_empty() { "none".to_owned() } else { service.config_files.join(", ") };
    let environment = service.environment.map_or_else(|| "none".to_owned(), |name| name.to_string());
    page.facts([
        ("files, in order".to_owned(), Cell::text(files)),
        ("environment".to_owned(), Cell::text(environment)),
        ("command line".to_owned(), Cell::text(service.command_line.join(" "))),
    ]);
    match service.warnings.len() {
        0 => page.sentence("The configuration gave no warnings."),
        number => {
            let warnings =
                if number == 1 { "One warning:".to_owned() } else { format!("{number} warnings:") };
            page.news(Tone::Warn, &warnings);
            page.list(service.warnings.iter().map(Cell::text));
        }
    }
    page.section("Build");
    let version = ("version".to_owned(), Cell::text(&cx.version));
    let build = service.build.iter();
    let build = build.map(|(name, value)| (name.to_string(), Cell::text(value)));
    page.facts(std::iter::once(version).chain(build));
}
