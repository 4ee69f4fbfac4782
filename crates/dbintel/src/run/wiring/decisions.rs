//! Decisions of persons: told to the lanes ([`watch`]), and laid over what a lane shows of its findings.
//!
//! A decision is made in the store, by a command that needs no running collector, and the lane hears of it a few seconds later. A page
//! shows what was decided at once.

pub(super) mod watch;

use std::time::Duration;

use dbintel_admin::pages::LaneReplies;
use dbintel_model::Finding;
use dbintel_model::finding::{PastCase, similar_cases};
use dbintel_pipeline::FindingsView;
use dbintel_store::{AuditEntry, PastCases, Store, StoreError, StoreTrouble};

/// How long a page waits for the store. It waits a second for the lane and this together.
const READING_TIME_MAX: Duration = Duration::from_millis(500);

/// The answers of a lane with what the store knows. Where it cannot be read, they stay as they are, and say so.
pub(super) async fn decided(store: &Store, past: &PastCases, mut replies: LaneReplies) -> LaneReplies {
    for view in replies.iter_mut().filter_map(|(_, reply)| reply.findings.as_mut()) {
        view.records = past.records();
    }
    let views = || replies.iter().filter_map(|(_, reply)| reply.findings.as_ref());
    if views().all(|view| view.findings.is_empty() && view.further.is_empty()) {
        return replies;
    }
    let decisions = tokio::time::timeout(READING_TIME_MAX, store.decisions(None)).await;
    let decisions = decisions.unwrap_or_else(|_| {
        let after = READING_TIME_MAX.as_millis();
        Err(StoreError::Unavailable(format!("no answer within {after} ms")))
    });
    let trouble = decisions.as_ref().err().map(StoreTrouble::of);
    if let Some(trouble) = &trouble {
        tracing::warn!(%trouble, "decisions could not be read; findings are shown without them");
    }
    let past = past.get();
    for view in replies.iter_mut().filter_map(|(_, reply)| reply.findings.as_mut()) {
        lay_over(view, decisions.as_deref().unwrap_or_default());
        compare(view, &past);
        view.store_trouble = trouble.as_ref().map(|trouble| trouble.to_string().into());
    }
    replies
}

/// Past cases beside the findings in full. They are shown, and nothing else is done with them.
fn compare(view: &mut FindingsView, past: &[PastCase]) {
    let similar = view.findings.iter().map(|finding| (finding.id, similar_cases(finding, past)));
    view.similar = similar.filter(|(_, cases)| !cases.is_empty()).collect();
}

/// `decisions` are the latest first.
fn lay_over(view: &mut FindingsView, decisions: &[AuditEntry]) {
    for entry in decisions.iter().rev() {
        let finding = view.findings.iter_mut().find(|finding| finding.id == entry.finding);
        if let Some(finding) = finding {
            decide(finding, entry);
        } else if let Some(line) = view.further.iter_mut().find(|line| line.id == entry.finding)
            && let Ok(next) = line.state.transition(entry.decision.action.step())
        {
            line.state = next;
        }
    }
}

fn decide(finding: &mut Finding, entry: &AuditEntry) {
    let decision = &entry.decision;
    if finding.decisions.contains(decision) {
        return;
    }
    // What happened since stands; that somebody decided is told all the same.
    if finding.decide(decision.clone()).is_err() {
        finding.decisions.push(decision.clone());
    }
}

#[cfg(test)]
mod tests {
    use dbintel_model::finding::{
        Applied, Category, Decision, DecisionAction, FindingKind, FindingState, ServerIdentity, Subject,
    };
    use dbintel_model::{FindingId, Server, Timestamp};
    use dbintel_pipeline::FindingLine;

    use super::*;

    fn finding(id: u128) -> Finding {
        let server = Server {
            receiver: "postgresql".into(),
            system: "postgresql".into(),
            address: "localhost".into(),
            port: 5432,
            resource: Vec::new(),
        };
        let subject =
            Subject { server: ServerIdentity::of(&server, None), ..Subject::of_server(&server, None) };
        let at = Timestamp::from_nanos(1);
        Finding::new(FindingId::from_u128(id), FindingKind::PlanRegression, Category::Careful, subject, at)
    }

    fn entry(id: u128, action: DecisionAction, second: u64) -> AuditEntry {
        let at = Timestamp::from_nanos(second * 1_000_000_000);
        let decision = Decision::try_new(action, "anna", at, Some("because")).unwrap();
        AuditEntry { finding: FindingId::from_u128(id), kind: FindingKind::PlanRegression, decision }
    }

    #[test]
    fn what_was_decided_is_shown_and_what_happened_since_stands() {
        let mut applied = finding(2);
        applied
            .apply(Applied { at: Timestamp::default(), how: "an index".into() }, Timestamp::default())
            .unwrap();
        let mut view = FindingsView {
            findings: vec![finding(1), applied],
            further: [3, 4].map(|id| FindingLine::of(&finding(id))).into(),
            ..FindingsView::default()
        };
        // The latest first.
        let decisions = [
            entry(1, DecisionAction::Reject, 9),
            entry(3, DecisionAction::Reject, 8),
            entry(2, DecisionAction::Accept, 7),
            entry(1, DecisionAction::Accept, 6),
            entry(77, DecisionAction::Accept, 5),
        ];
        for _ in 0..2 {
            // A second time it changes nothing.
            lay_over(&mut view, &decisions);
            let [first, second] = &view.findings[..] else { panic!() };
            assert_eq!((first.state, first.decisions.len()), (FindingState::Rejected, 2));
            assert_eq!((second.state, second.decisions.len()), (FindingState::Applied, 1));
            let states: Vec<_> = view.further.iter().map(|line| line.state).collect();
            assert_eq!(states, [FindingState::Rejected, FindingState::Open]);
        }
    }

    #[test]
    fn past_cases_stand_beside_a_finding_and_change_nothing_in_it() {
        let alike = |id| Finding {
            subject: Subject { object: Some("public.orders".into()), ..finding(id).subject },
            ..finding(id)
        };
        let mut past = alike(9);
        past.expire(Timestamp::default()).unwrap();
        let past = [PastCase::of(&past).unwrap()];
        let findings = vec![alike(1), finding(2)];
        let mut view = FindingsView { findings: findings.clone(), ..FindingsView::default() };
        compare(&mut view, &past);
        let similar: Vec<_> = view.similar.iter().map(|(id, cases)| (id.as_u128(), cases.len())).collect();
        assert_eq!((similar, view.findings), (vec![(1, 1)], findings));
    }
}
