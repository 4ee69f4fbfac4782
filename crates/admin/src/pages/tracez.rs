//! `/debug/tracez`: what dbintel itself has been doing: recent, slow and failed spans.

use dbintel_model::Timestamp;

use super::format;
use super::html::{Cell, Page, Tone};
use crate::AdminContext;
use crate::spans::{BUCKET_SPANS_MAX, BUCKET_STARTS, BUCKETS, ERRORS, Family, FinishedSpan};

/// Spans in each of the two lists on the first page.
const LISTED_MAX: usize = 15;
/// Name, running, buckets.
const COLUMNS: usize = 2 + BUCKETS;

type Families = [(&'static str, Family)];

pub(super) fn page(cx: &AdminContext, span: Option<&str>, bucket: Option<usize>) -> String {
    let families = cx.spans.families();
    let now = cx.clock.now();
    let subtitle = format!(
        "Finished spans of dbintel itself since the start, by duration; the last {BUCKET_SPANS_MAX} of each bucket are \
         kept. {}",
        format::clock_time(now)
    );
    let mut page = Page::begin(cx, "tracez", "Traces", &subtitle);
    overview(&mut page, &families);
    match span {
        Some(name) => selection(&mut page, &families, name, bucket, now),
        None => {
            latest_failures(&mut page, &families, now);
            slowest(&mut page, &families, now);
        }
    }
    page.finish()
}

fn overview(page: &mut Page, families: &Families) {
    if families.is_empty() {
        page.sentence("No span has been seen yet.");
        return;
    }
    let titles: Vec<String> = (0..BUCKETS).map(|bucket| format!("#{}", bucket_title(bucket))).collect();
    let mut heads = [""; COLUMNS];
    let all = ["span", "#running"].into_iter().chain(titles.iter().map(String::as_str));
    for (head, title) in heads.iter_mut().zip(all) {
        *head = title;
    }
    page.table(heads, families.iter().map(|(name, family)| row(name, family)));
}

fn bucket_title(bucket: usize) -> String {
    match BUCKET_STARTS.get(bucket) {
        Some(start) if start.is_zero() => "< 10 µs".to_owned(),
        Some(start) => format!("≥ {}", short(start.as_micros())),
        None => "failed".to_owned(),
    }
}

fn short(micros: u128) -> String {
    match micros {
        60_000_000.. => format!("{} min", micros / 60_000_000),
        1_000_000.. => format!("{} s", micros / 1_000_000),
        1_000.. => format!("{} ms", micros / 1_000),
        _ => format!("{micros} µs"),
    }
}

fn row(name: &str, family: &Family) -> [Cell; COLUMNS] {
    std::array::from_fn(|column| match column {
        0 => Cell::link("tracez", &[("span", name)], name),
        1 => Cell::number(family.running.to_string()),
        column => bucket_cell(name, family, column - 2),
    })
}

fn bucket_cell(name: &str, family: &Family, bucket: usize) -> Cell {
    match family.counts.get(bucket) {
        None | Some(0) => Cell::number("0"),
        Some(count) => {
            let arguments = [("span", name), ("bucket", &bucket.to_string())];
            Cell::link("tracez", &arguments, grouped(*count)).numeric()
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "a count, for display")]
fn grouped(count: u64) -> String {
    format::count(count as f64)
}

fn selection(page: &mut Page, families: &Families, name: &str, bucket: Option<usize>, now: Timestamp) {
    page.section(&match bucket {
        Some(bucket) => format!("{name}, {}", bucket_title(bucket)),
        None => name.to_owned(),
    });
    let Some((name, family)) = families.iter().find(|(known, _)| *known == name) else {
        page.sentence("No such span.");
        return;
    };
    let kept = family.kept.iter().enumerate();
    let wanted = kept.filter(|(index, _)| bucket.is_none_or(|bucket| bucket == *index));
    let mut spans: Vec<_> = wanted.flat_map(|(_, kept)| kept).map(|span| (*name, span)).collect();
    spans.sort_by_key(|(_, span)| std::cmp::Reverse(span.started));
    table(page, &spans, now);
}

fn latest_failures(page: &mut Page, families: &Families, now: Timestamp) {
    page.section("Latest failures");
    let mut spans: Vec<_> = kept(families).filter(|(_, span)| span.failed).collect();
    if spans.is_empty() {
        page.sentence("None.");
        return;
    }
    spans.sort_by_key(|(_, span)| std::cmp::Reverse(span.started));
    spans.truncate(LISTED_MAX);
    table(page, &spans, now);
}

fn slowest(page: &mut Page, families: &Families, now: Timestamp) {
    page.section("Slowest of those kept");
    let mut spans: Vec<_> = kept(families).collect();
    spans.sort_by_key(|(_, span)| std::cmp::Reverse(span.duration));
    spans.truncate(LISTED_MAX);
    table(page, &spans, now);
}

fn kept(families: &Families) -> impl Iterator<Item = (&'static str, &FinishedSpan)> {
    families.iter().flat_map(|(name, family)| family.kept.iter().flatten().map(|span| (*name, span)))
}

fn table(page: &mut Page, spans: &[(&str, &FinishedSpan)], now: Timestamp) {
    page.table(
        ["started", "span", "#duration", "", "fields"],
        spans.iter().map(|(name, span)| {
            let outcome = if span.failed { Cell::toned(Tone::Bad, "failed") } else { Cell::text("") };
            [
                Cell::text(format::moment(span.started, now)),
                Cell::text(name),
                Cell::number(format::span(span.duration)),
                outcome,
                Cell::text(&span.fields),
            ]
        }),
    );
}

const _: () = assert!(ERRORS < BUCKETS);
