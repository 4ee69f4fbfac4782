//! The tables of the kinds with inputs of their own.

use std::fmt::Write as _;

use super::{percent, share, thousands};
use crate::bounds::upper;
use crate::kinds::{Line, Meaning, STALE};
use crate::tally::{Counts, Tally};

/// How often the plan of a statement is reported wrongly in the sentence about stale statistics, in days.
const WRONG_REPORT_DAYS: f64 = 6.0;

/// All of them.
pub(super) fn tables(tally: &Tally, rule: usize) -> String {
    let of = |wanted: &[Meaning]| -> Vec<&Line> {
        tally.kinds.iter().filter(|line| wanted.contains(&line.meaning)).collect()
    };
    let days = |title: &str, lines: &[&Line]| {
        let head = "statement-days | findings | per 10,000 statement-days | at most";
        table(title, head, lines, |line| {
            let rate = |share: f64| format!("{:.2}", share * 10_000.0);
            (rate(line.found as f64 / line.of.max(1) as f64), rate(upper(line.found, line.of)))
        })
    };
    let shares = |title: &str, head: &str, lines: &[&Line]| {
        table(title, head, lines, |line| (share(line.found, line.of), percent(upper(line.found, line.of))))
    };
    let flips = of(&[Meaning::FalseOfFlips]);
    days("Nothing happened, and what is reported is right", &of(&[Meaning::False]))
        + &days("Nothing else happened, and what is reported is as stated", &of(&[Meaning::FalseOfWrong]))
        + &shares("Flips with a finding about the plan", "flips | findings | % | at most, %", &flips)
        + &stale(tally, rule, &flips)
        + &shares("True events", "events | found | % | at most, %", &of(&[Meaning::True]))
}

fn table(title: &str, head: &str, lines: &[&Line], cells: impl Fn(&Line) -> (String, String)) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let mut text = format!("### {title}\n\n| kind | population | {head} |\n|---|---|--:|--:|--:|--:|\n");
    for line in lines {
        let (rate, bound) = cells(line);
        let (of, found) = (thousands(line.of), thousands(line.found));
        let _ = writeln!(text, "| {} | {} | {of} | {found} | {rate} | {bound} |", line.kind, line.what);
    }
    text + "\n"
}

/// How often stale statistics are told without a flip: only with a finding about a plan that did not flip.
fn stale(tally: &Tally, rule: usize, flips: &[&Line]) -> String {
    let mut text = format!("Without a report of a flip there is no {STALE}, by construction.");
    let Counts { histories, ever: [careful, ..], .. } = tally.pooled(rule);
    if let Some(line) = flips.first().filter(|_| histories > 0) {
        let bound = upper(line.found, line.of) * upper(careful, histories) / WRONG_REPORT_DAYS;
        let _ = write!(
            text,
            " With a wrong report of one for every statement once in {WRONG_REPORT_DAYS:.0} days, there are at most {:.4} in 10,000 \
             statement-days.",
            bound * 10_000.0
        );
    }
    if flips.is_empty() { String::new() } else { text + "\n\n" }
}
