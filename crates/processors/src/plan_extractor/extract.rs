//! From the bytes of a plan to what is kept and sent of it. A pure function of the bytes and the limits, so that a cache
//! of it changes cost and nothing else.

use std::sync::Arc;

use dbintel_model::{PlanFingerprint, PlanNumbers, Text};
use dbintel_plan::{Budget, PlanProblems, ProblemKind, ScanSummary, parse_postgresql, redact_postgresql};

use super::describe::{self, SUMMARY_SCANS_MAX};
use super::stored::StoredPlan;

/// What is kept of a plan.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Extracted {
    pub(super) fingerprint: PlanFingerprint,
    pub(super) numbers: PlanNumbers,
    /// Its first scans, and what else is in it.
    pub(super) scans: Box<[ScanSummary]>,
    pub(super) counts: Text,
    pub(super) rules: Text,
    pub(super) findings: Text,
    pub(super) plan: Arc<StoredPlan>,
}

/// Why bytes do not give a whole plan. Half a plan has the fingerprint of none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Unusable {
    /// More bytes than `max_plan_bytes`; they were not looked at.
    TooLarge,
    /// The steps were used up.
    StepBudget,
    /// So many problems that it is not known whether it is whole.
    TooManyProblems,
    /// Something is missing.
    Incomplete(ProblemKind),
}

/// Bounds of the work on one plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ExtractLimits {
    pub(super) bytes: usize,
    pub(super) steps: u64,
}

/// Problems that mean that a part was not read.
const INCOMPLETE: [ProblemKind; 6] = [
    ProblemKind::NoPlan,
    ProblemKind::Malformed,
    ProblemKind::CutShort,
    ProblemKind::TooLong,
    ProblemKind::TooDeep,
    ProblemKind::TooManyNodes,
];

/// Reads, identifies, summarises and redacts.
pub(super) fn extract(
    bytes: &[u8],
    limits: ExtractLimits,
) -> (Result<Arc<Extracted>, Unusable>, PlanProblems) {
    if bytes.len() > limits.bytes {
        return (Err(Unusable::TooLarge), PlanProblems::default());
    }
    let parsed = parse_postgresql(bytes, &mut Budget::steps(limits.steps));
    if let Some(unusable) = unusable(&parsed.problems) {
        return (Err(unusable), parsed.problems);
    }
    let redacted = redact_postgresql(bytes, &mut Budget::steps(limits.steps));
    if let Some(unusable) = unusable(&redacted.problems) {
        return (Err(unusable), redacted.problems);
    }
    let (plan, problems) = (parsed.plan, parsed.problems);
    let fingerprints = plan.fingerprints();
    let summary = plan.summary();
    let extracted = Extracted {
        fingerprint: PlanFingerprint {
            shape: fingerprints.shape.as_u128(),
            exact: fingerprints.exact.as_u128(),
        },
        numbers: PlanNumbers {
            total_cost: summary.total_cost,
            startup_cost: summary.startup_cost,
            estimated_rows: summary.estimated_rows,
            nodes: summary.nodes,
            depth: summary.depth,
        },
        counts: describe::counts(&summary).into(),
        rules: describe::rules(&summary).into(),
        findings: describe::findings(&plan, &summary).into(),
        scans: summary.scans.into_iter().take(SUMMARY_SCANS_MAX).collect(),
        plan: Arc::new(StoredPlan::new(redacted.json)),
    };
    (Ok(Arc::new(extracted)), problems)
}

fn unusable(problems: &PlanProblems) -> Option<Unusable> {
    if problems.contains(ProblemKind::BudgetExhausted) {
        return Some(Unusable::StepBudget);
    }
    if let Some(kind) = INCOMPLETE.into_iter().find(|kind| problems.contains(*kind)) {
        return Some(Unusable::Incomplete(kind));
    }
    (problems.not_listed() > 0).then_some(Unusable::TooManyProblems)
}

// === impl Extracted ===

impl Extracted {
    /// Bytes it takes.
    pub(super) fn weight_bytes(&self) -> usize {
        size_of::<Self>()
            + self.scans.iter().map(scan_bytes).sum::<usize>()
            + self.counts.len()
            + self.rules.len()
            + self.findings.len()
            + self.plan.weight_bytes()
    }
}

fn scan_bytes(scan: &ScanSummary) -> usize {
    let names = [&scan.schema, &scan.relation, &scan.index];
    size_of::<ScanSummary>() + names.into_iter().flatten().map(|name| name.len()).sum::<usize>()
}

// === impl Unusable ===

impl Unusable {
    /// As a label: closed set.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::StepBudget => "step_budget",
            Self::TooManyProblems => "too_many_problems",
            Self::Incomplete(kind) => kind.as_str(),
        }
    }
}
