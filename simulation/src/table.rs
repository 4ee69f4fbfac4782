//! Tables in Markdown.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::bounds::upper;
use crate::gate::{self, Standing};
use crate::history::Shift;
use crate::rule::{Level, Repaired};
use crate::tally::{Counts, Findings, Repairs, Row, SOON_HOURS, Section, Tally};

mod kinds;

/// A column of the tables of power: a rule at a level.
struct Column<'a> {
    title: String,
    rule: usize,
    level: usize,
    tally: &'a Tally,
}

/// What kinds there can be without a flip.
const NOTE_WITHOUT_FLIP: &str = "
No plan changes in these histories, and none is reported to have changed. So no finding about a plan can be here, by construction: \
plan_regression, plan_flapping, and statistics_stale, which comes with a plan_regression. statement_vanished needs errors in the server's \
log. Kinds with inputs of their own have tables of their own.

";

/// The kind whose findings are told apart by what shifted for good.
const STEP_KIND: &str = "regression_without_plan_change";

/// The sections of the table of power, in their order.
const SECTIONS: [Section; 10] = [
    Section::Outside,
    Section::Inside,
    Section::NoBlocks,
    Section::Quiet,
    Section::Busy,
    Section::All,
    Section::Days(1),
    Section::Days(2),
    Section::Days(4),
    Section::Recorded,
];

/// Everything: `names` are the columns, in the order of the tally.
#[must_use]
pub fn all(tally: &Tally, names: &[&str]) -> String {
    let mut text = String::new();
    for (rule, name) in names.iter().enumerate() {
        text += &alarms(tally, rule, name);
    }
    text += &power(tally, names);
    for (rule, name) in names.iter().enumerate() {
        text += &without_flip(tally, rule, name);
        text += &if *name == "ours" { kinds::tables(tally, rule) } else { String::new() };
        text += &repairs(tally, rule, name);
    }
    text
}

/// Neutral flips of one rule.
fn alarms(tally: &Tally, rule: usize, name: &str) -> String {
    let line = |label: &str, counts: &Counts| {
        let cells = counts.ever.map(|events| {
            format!("{} | {}", share(events, counts.histories), percent(upper(events, counts.histories)))
        });
        format!("| {label} | {} | {} |\n", thousands(counts.histories), cells.join(" | "))
    };
    let of = |wanted: fn(&Row) -> Option<&String>| -> String {
        tally.rows(rule).filter_map(|(row, counts)| Some(line(wanted(row)?, counts))).collect()
    };
    let gated = of(|row| if let Row::Neutral(class) = row { Some(class) } else { None });
    let apart = of(|row| if let Row::Apart(what) = row { Some(what) } else { None });
    if gated.is_empty() && apart.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "### False alarms: {name}\n\nShare of neutral flips called so at any look, in %; beside it, the 95 % upper bound.\n\n\
         | histories | flips | ≥ careful | at most | ≥ manual | at most | auto | at most |\n|---|--:|--:|--:|--:|--:|--:|--:|\n"
    );
    text += &gated;
    if !gated.is_empty() {
        text += &line("**all of the above**", &tally.pooled(rule));
    }
    text += &apart;
    text + "\n"
}

/// True regressions, all rules side by side.
fn power(tally: &Tally, names: &[&str]) -> String {
    let columns: Vec<Column<'_>> =
        names.iter().enumerate().flat_map(|(rule, name)| columns(tally, rule, name)).collect();
    let ratios: BTreeSet<(Section, u32)> = tally
        .rows(0)
        .filter_map(
            |(row, _)| if let Row::Found(section, ratio) = row { Some((*section, *ratio)) } else { None },
        )
        .collect();
    if ratios.is_empty() {
        return String::new();
    }
    let titles: Vec<&str> = columns.iter().map(|column| column.title.as_str()).collect();
    let mut text = format!(
        "### Power\n\nShare of true regressions found within {SOON_HOURS} hours / at any look, in %.\n\n\
         | regressions | ratio | histories | {} |\n|---|--:|--:|{}\n",
        titles.join(" | "),
        "--:|".repeat(titles.len())
    );
    for section in SECTIONS {
        for (_, ratio) in ratios.iter().filter(|(found, _)| *found == section) {
            let row = Row::Found(section, *ratio);
            let cells: Vec<String> = columns.iter().map(|column| column.cell(&row)).collect();
            let histories = thousands(tally.row(&row, 0).histories);
            let ratio = f64::from(*ratio) / 100.0;
            let _ =
                writeln!(text, "| {} | ×{ratio} | {histories} | {} |", section.label(), cells.join(" | "));
        }
    }
    text + "\n"
}

/// A rule that knows one level has one column; the others one for each level that was ever reached.
fn columns<'a>(tally: &'a Tally, rule: usize, name: &str) -> Vec<Column<'a>> {
    let mut sum = Counts::default();
    tally
        .rows(rule)
        .filter(|(row, _)| matches!(row, Row::Found(..)))
        .for_each(|(_, counts)| sum.merge(counts));
    let mut columns = Vec::new();
    for (level, said) in Level::SAID.iter().enumerate() {
        let of = |level: usize| sum.ever.get(level).copied().unwrap_or_default();
        let is_new = level == 0 || of(level) != of(level - 1);
        if is_new && (level == 0 || of(level) > 0) {
            let title = format!("{name}: {}", format!("{said:?}").to_lowercase());
            columns.push(Column { title, rule, level, tally });
        }
    }
    if let [only] = columns.as_mut_slice() {
        only.title = name.to_owned();
    }
    columns
}

/// Findings of one rule without a flip.
fn without_flip(tally: &Tally, rule: usize, name: &str) -> String {
    let Findings { days, begun, after_shift, of_mixtures, shifts } = tally.findings(rule);
    if days == 0.0 {
        return String::new();
    }
    let mut text = format!(
        "### Without a flip: {name}\n\nFindings that began, in {} statement-days.\n\n\
         | kind | findings | per 10,000 statement-days |\n|---|--:|--:|\n",
        thousands(days as u64)
    );
    let mut line = |what: &str, count: u64| {
        let _ = writeln!(text, "| {what} | {} | {:.2} |", thousands(count), count as f64 / days * 10_000.0);
    };
    for (kind, count) in begun {
        line(kind, count);
        let of = |shift: Shift| after_shift.get(&(kind, shift)).copied().unwrap_or_default();
        let (mixture, time) = (of(Shift::Mixture), of(Shift::Time));
        if kind == STEP_KIND {
            line("– of a mixture that shifted for good in the 72 hours before", mixture);
            line("– of time that shifted for good in the 72 hours before, its work not", time);
            let wandering = of_mixtures.get(kind).copied().unwrap_or_default();
            line("– of no lasting step, a mixture that wanders: false", wandering);
            line("– of no lasting step, no mixture: false", count - mixture - time - wandering);
        }
    }
    let of = |shift: Shift| thousands(shifts.get(&shift).copied().unwrap_or_default());
    let _ = write!(
        text,
        "\nIn these days {} mixtures and the time of {} statements shifted for good.\n",
        of(Shift::Mixture),
        of(Shift::Time)
    );
    text + NOTE_WITHOUT_FLIP + &spurious(tally, rule) + "\n"
}

/// What reports of changes of plan that never were would do, from the neutral flips.
fn spurious(tally: &Tally, rule: usize) -> String {
    let Counts { histories, ever: [careful, ..], .. } = tally.pooled(rule);
    if histories == 0 {
        return String::new();
    }
    let bound = upper(careful, histories);
    format!(
        "A report of a change that never was is a neutral flip: {} of {} of these lead to a finding of the kind plan_regression, \
         at most {} %. With a wrong report for every statement once in {:.0} days, there is at most 1 such finding in {} statement-days.\n",
        thousands(careful),
        thousands(histories),
        percent(bound),
        (bound / gate::PLAN_FINDINGS_MAX).max(1.0).ceil(),
        thousands((1.0 / gate::PLAN_FINDINGS_MAX) as u64),
    )
}

/// Repairs without effect of one rule.
fn repairs(tally: &Tally, rule: usize, name: &str) -> String {
    let all = tally.all_repairs(rule);
    if all.made() == 0 {
        return String::new();
    }
    let line = |label: &str, repairs: &Repairs| {
        let said = Repaired::ALL.map(|said| thousands(repairs.said.get(&said).copied().unwrap_or_default()));
        let (wrong, made) = (repairs.wrong(), repairs.made());
        let shares = [share(wrong, made), percent(upper(wrong, made))];
        let (histories, made) = (thousands(repairs.histories), thousands(made));
        format!("| {label} | {histories} | {made} | {} | {} |\n", said.join(" | "), shares.join(" | "))
    };
    let mut text = format!(
        "### Repairs without effect: {name}\n\nMade 1 to 24 hours after a true regression was found, its finding still open.\n\n\
         | histories | regressions | repairs | confirmed | harmful | no effect | inconclusive | wrong, % | at most |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|\n"
    );
    tally.repairs(rule).for_each(|(class, repairs)| text += &line(class, repairs));
    text += &line("**all of the above**", &all);
    text + "\n"
}

/// What must hold for one rule.
#[must_use]
pub fn gate(tally: &Tally, rule: usize, name: &str) -> String {
    let mut text = format!(
        "### Limits: {name}\n\n| what | limit, % | seen | of | upper bound, % | |\n|---|--:|--:|--:|--:|---|\n"
    );
    for check in gate::checks(tally, rule) {
        let standing = match check.standing() {
            Standing::Holds => "holds",
            Standing::NotShown => "too few judged to say",
            Standing::Broken => "**broken**",
        };
        let bound = percent(upper(check.events, check.trials));
        let (limit, seen, of) = (percent(check.limit), thousands(check.events), thousands(check.trials));
        let _ = writeln!(text, "| {} | {limit} | {seen} | {of} | {bound} | {standing} |", check.what);
    }
    text + "\n"
}

/// Names of false alarms of one rule, to make them again.
#[must_use]
pub fn examples(tally: &Tally, rule: usize, name: &str) -> String {
    let mut text = String::new();
    for (row, counts) in tally.rows(rule) {
        if let Row::Neutral(class) = row
            && !counts.examples.is_empty()
        {
            let _ = writeln!(text, "* {class}: {}", counts.examples.join(", "));
        }
    }
    if text.is_empty() { text } else { format!("### Some false alarms: {name}\n\n{text}\n") }
}

// === impl Column ===

impl Column<'_> {
    fn cell(&self, row: &Row) -> String {
        let counts = self.tally.row(row, self.rule);
        let of =
            |events: &[u64; 3]| share(events.get(self.level).copied().unwrap_or_default(), counts.histories);
        format!("{} / {}", of(&counts.soon), of(&counts.ever))
    }
}

fn share(events: u64, of: u64) -> String {
    if of == 0 { "–".to_owned() } else { percent(events as f64 / of as f64) }
}

/// In percent, without the sign, to about three digits.
fn percent(part: f64) -> String {
    let value = part * 100.0;
    let digits = match value {
        0.0 => return "0".to_owned(),
        value if value >= 10.0 => 1,
        value if value >= 1.0 => 2,
        value if value >= 0.1 => 3,
        _ => 4,
    };
    format!("{value:.digits$}")
}

fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests;
