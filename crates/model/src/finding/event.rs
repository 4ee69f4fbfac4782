//! A finding as it leaves: flat attributes, without its charts, which only the store keeps.

use std::fmt::Write as _;

use super::{Category, Finding, FindingState};
use crate::catalogue::{self, EventDefinition};
use crate::{Text, ValueRef};

/// Severity numbers of OTLP logs, by category; above these only what did harm.
const SEVERITY_INFO: u8 = 9;
const SEVERITY_WARN: u8 = 13;
const SEVERITY_ERROR: u8 = 17;
const SEVERITY_ERROR2: u8 = 18;

/// That a finding was opened, or changed.
#[derive(Clone, Debug, PartialEq)]
pub struct FindingEvent {
    /// Which of the two.
    pub news: FindingNews,
    /// The finding as it is now.
    pub finding: Finding,
}

/// Why a finding leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FindingNews {
    /// It was opened.
    Opened,
    /// Its state changed.
    Changed {
        /// The state before.
        from: FindingState,
    },
}

// === impl FindingEvent ===

impl FindingEvent {
    /// The event as which it leaves.
    #[must_use]
    pub fn event(&self) -> &'static EventDefinition {
        match self.news {
            FindingNews::Opened => &catalogue::FINDING_OPENED,
            FindingNews::Changed { .. } => &catalogue::FINDING_CHANGED,
        }
    }

    /// Severity number of OTLP logs: of what is opened by its category, of what changes and of what is good that of information, but
    /// for harm.
    #[must_use]
    pub const fn severity(&self) -> u8 {
        match (self.news, self.finding.category, self.finding.state) {
            (FindingNews::Opened, _, FindingState::Resolved) => SEVERITY_INFO,
            (_, _, FindingState::Harmful) | (FindingNews::Opened, Category::Auto, _) => SEVERITY_ERROR2,
            (FindingNews::Opened, Category::Manual, _) => SEVERITY_ERROR,
            (FindingNews::Opened, Category::Careful, _) => SEVERITY_WARN,
            (FindingNews::Opened, Category::Insufficient, _) | (FindingNews::Changed { .. }, _, _) => {
                SEVERITY_INFO
            }
        }
    }

    /// Calls `visit` with every attribute of the event that is known.
    pub fn for_each_attribute(&self, visit: &mut dyn FnMut(&str, ValueRef<'_>)) {
        let finding = &self.finding;
        visit("dbintel.finding.id", ValueRef::Text(&finding.id.to_string()));
        visit("dbintel.finding.kind", ValueRef::Text(finding.kind.as_str()));
        visit("dbintel.finding.state", ValueRef::Text(finding.state.as_str()));
        if let FindingNews::Changed { from } = self.news {
            visit("dbintel.finding.previous_state", ValueRef::Text(from.as_str()));
        }
        visit("dbintel.finding.category", ValueRef::Text(finding.category.as_str()));
        visit("dbintel.finding.ceiling", ValueRef::Text(finding.ceiling.as_str()));
        visit("dbintel.finding.for_review", ValueRef::Bool(finding.for_review));
        visit("dbintel.finding.summary", ValueRef::Text(&finding.summary));
        visit("dbintel.finding.opened_at", ValueRef::Text(finding.opened_at.to_rfc3339().as_str()));
        finding.subject.for_each_attribute(visit);
        self.visit_flip(visit);
        self.visit_effect(visit);
        self.visit_lists(visit);
        if let Some(questions) = &finding.questions {
            questions.for_each_attribute(visit);
        }
        finding.scripts.for_each_attribute(visit);
        if matches!(self.news, FindingNews::Changed { .. }) {
            self.visit_life(visit);
        }
    }

    fn visit_flip(&self, visit: &mut dyn FnMut(&str, ValueRef<'_>)) {
        let Some(flip) = &self.finding.flip else { return };
        visit("dbintel.plan.rung", ValueRef::Text(flip.rung.as_str()));
        visit("dbintel.plan.time", ValueRef::Text(flip.at.to_rfc3339().as_str()));
        flip.new.visit(["dbintel.plan.fingerprint", "dbintel.plan.shape"], visit);
        flip.old.visit(["dbintel.plan.old.fingerprint", "dbintel.plan.old.shape"], visit);
        if let Some(attribution) = self.finding.attribution {
            visit("dbintel.finding.attribution", ValueRef::Text(attribution.as_str()));
        }
    }

    fn visit_effect(&self, visit: &mut dyn FnMut(&str, ValueRef<'_>)) {
        let effect = self.finding.effect.unwrap_or_default();
        let lost = self.finding.time_lost.unwrap_or_default();
        let numbers = [
            ("dbintel.finding.mean_exec_time.before", effect.before_ms),
            ("dbintel.finding.mean_exec_time.after", effect.after_ms),
            ("dbintel.finding.ratio", effect.ratio),
            ("dbintel.finding.ratio.low", effect.ratio_low),
            ("dbintel.finding.ratio.high", effect.ratio_high),
            ("dbintel.finding.t", effect.t),
            ("dbintel.finding.degrees_of_freedom", effect.degrees_of_freedom),
            ("dbintel.finding.calls.before", effect.calls_before),
            ("dbintel.finding.calls.after", effect.calls_after),
            ("dbintel.finding.time_lost", lost.seconds_per_day),
            ("dbintel.finding.time_lost.low", lost.low),
            ("dbintel.finding.time_lost.high", lost.high),
            ("dbintel.finding.time_lost.confidence", lost.confidence),
        ];
        visit_numbers(&numbers, visit);
    }

    fn visit_lists(&self, visit: &mut dyn FnMut(&str, ValueRef<'_>)) {
        let finding = &self.finding;
        let not_passed: Vec<&str> = finding.locks_not_passed().map(|lock| lock.name.as_str()).collect();
        if !finding.locks.is_empty() {
            visit("dbintel.finding.locks.not_passed", ValueRef::Text(&not_passed.join(",")));
        }
        visit_lines("dbintel.finding.locks", finding.locks.iter().map(|lock| &lock.sentence), visit);
        visit_lines("dbintel.finding.causes", finding.causes.iter().map(|cause| &cause.sentence), visit);
        visit_lines("dbintel.finding.failure_modes", &finding.failure_modes, visit);
        let evidence: Vec<Text> = finding.evidence.iter().map(|one| line(one).into()).collect();
        visit_lines("dbintel.finding.evidence", &evidence, visit);
        if finding.left_out > 0 {
            visit("dbintel.finding.left_out", ValueRef::Int(i64::from(finding.left_out)));
        }
    }

    fn visit_life(&self, visit: &mut dyn FnMut(&str, ValueRef<'_>)) {
        let finding = &self.finding;
        if let Some(decision) = finding.decisions.last() {
            visit("dbintel.finding.decision", ValueRef::Text(decision.action.as_str()));
            visit("dbintel.finding.decision.by", ValueRef::Text(&decision.by));
            visit("dbintel.finding.decision.time", ValueRef::Text(decision.at.to_rfc3339().as_str()));
            if let Some(reason) = &decision.reason {
                visit("dbintel.finding.decision.reason", ValueRef::Text(reason));
            }
        }
        if let Some(applied) = &finding.applied {
            visit("dbintel.finding.applied.time", ValueRef::Text(applied.at.to_rfc3339().as_str()));
            visit("dbintel.finding.applied.how", ValueRef::Text(&applied.how));
        }
        if let Some(at) = finding.rolled_back_at {
            visit("dbintel.finding.rolled_back.time", ValueRef::Text(at.to_rfc3339().as_str()));
        }
        if let Some(outcome) = &finding.outcome {
            visit("dbintel.finding.outcome", ValueRef::Text(&outcome.sentence));
            let numbers = [
                ("dbintel.finding.outcome.ratio", outcome.ratio),
                ("dbintel.finding.outcome.ratio.low", outcome.ratio_low),
                ("dbintel.finding.outcome.ratio.high", outcome.ratio_high),
            ];
            visit_numbers(&numbers, visit);
        }
    }
}

/// A number of the evidence in a line: `t = 212 1 (computed: Welch)`.
fn line(evidence: &super::Evidence) -> String {
    let mut line = format!("{} = ", evidence.name);
    // Writing to a string cannot fail.
    let _ = match evidence.value {
        Some(value) => write!(line, "{value} {}", evidence.unit),
        None => write!(line, "not known"),
    };
    let _ = write!(line, " ({}", evidence.source);
    if !evidence.detail.is_empty() {
        let _ = write!(line, ": {}", evidence.detail);
    }
    line.push(')');
    line
}

fn visit_lines<'a>(
    name: &str,
    lines: impl IntoIterator<Item = &'a Text>,
    visit: &mut dyn FnMut(&str, ValueRef<'_>),
) {
    let lines: Vec<&str> = lines.into_iter().map(Text::as_str).collect();
    if !lines.is_empty() {
        visit(name, ValueRef::Text(&lines.join("\n")));
    }
}

/// Numbers that are known and finite; no encoding has the others.
fn visit_numbers(numbers: &[(&str, Option<f64>)], visit: &mut dyn FnMut(&str, ValueRef<'_>)) {
    for (name, number) in numbers {
        if let Some(number) = number.filter(|number| number.is_finite()) {
            visit(name, ValueRef::Double(number));
        }
    }
}
