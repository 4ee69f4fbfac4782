//! Findings from being opened to being deleted.

use dbintel_model::finding::{
    Applied, FindingEvent, FindingNews, FindingState, IllegalStep, Outcome, PastCase, Step, TrackRecord,
    Verdict,
};

use futures_util::FutureExt as _;

use super::*;
use crate::database::{Durability, transaction};
use crate::findings::Opened as Known;

on_every_database!(
    a_finding_is_opened_once_by_either_of_its_ids,
    a_finding_lives_and_its_life_is_kept,
    of_two_decisions_at_once_one_is_told_what_happened,
    lists_and_prefixes_find_what_is_asked_for,
    what_is_over_is_deleted_and_the_audit_stays,
    a_row_that_is_damaged_is_passed_over,
    a_finding_that_is_too_large_is_refused,
    what_a_lane_tells_is_written_in_its_order,
    decisions_since_a_time_come_in_their_order,
    past_cases_are_those_that_ended_last,
);

async fn a_finding_is_opened_once_by_either_of_its_ids(fixture: Fixture) {
    let (first, second) = (fixture.open().await, fixture.open_as("theirs").await.unwrap());
    let (ids, mut known) = finding(1, NOW);
    known.summary = "stale".into();
    let opened = first.store.open_finding(ids, &known).await.unwrap();
    assert_eq!(opened, Known::New(Box::new(known.clone())));
    let again = Finding { summary: "seen later".into(), ..known.clone() };
    assert_eq!(second.store.open_finding(ids, &again).await.unwrap(), Known::Known(Box::new(known.clone())));
    // Another collector saw it on the other side of a border.
    let (other, mut beyond) = finding(2, NOW);
    beyond.id = other.id;
    let ids = FindingIds { id: other.id, neighbour: Some(known.id) };
    assert_eq!(second.store.open_finding(ids, &beyond).await.unwrap(), Known::Known(Box::new(known)));
    assert_eq!(first.store.findings(&Filter::default()).await.unwrap().findings.len(), 1);
    first.store.show_open().await;
    let labels = [("kind", "statistics_stale"), ("category", "careful")];
    assert_eq!(first.value("dbintel_findings_open", &labels), Some(1.0));
    assert_eq!(
        first.value("dbintel_findings_total", &[("kind", "statistics_stale"), ("state", "open")]),
        Some(1.0)
    );
    assert_eq!(
        second.value("dbintel_findings_total", &[("kind", "statistics_stale"), ("state", "open")]),
        None
    );
}

async fn a_finding_lives_and_its_life_is_kept(fixture: Fixture) {
    let opened = fixture.open().await;
    let store = &opened.store;
    let (ids, fresh) = finding(1, NOW);
    store.open_finding(ids, &fresh).await.unwrap();
    let changed = store.decide(ids.id, decision(DecisionAction::Accept)).await.unwrap();
    assert_eq!((changed.from, changed.finding.state), (FindingState::Open, FindingState::Accepted));
    let applied = Applied { at: NOW, how: "analysed".into() };
    store.apply(ids.id, applied, NOW.plus(DAY)).await.unwrap();
    store
        .revise(ids.id, |finding| {
            finding.summary = "measured".into();
            finding.state = FindingState::Open;
            finding.decisions.clear();
        })
        .await
        .unwrap();
    let outcome = Outcome {
        verdict: Verdict::Harmful,
        at: NOW.plus(2 * DAY),
        measured_from: NOW,
        measured_to: NOW,
        ratio: Some(1.5),
        ratio_low: None,
        ratio_high: Some(f64::INFINITY),
        time_lost: None,
        sentence: "slower".into(),
    };
    store.measure(ids.id, outcome).await.unwrap();
    store.close().await;

    let opened = fixture.open().await;
    let store = &opened.store;
    let read = store.finding(ids.id).await.unwrap();
    assert_eq!(
        (read.state, read.summary.as_str(), read.decisions.len()),
        (FindingState::Harmful, "measured", 1)
    );
    assert_eq!(read.outcome.unwrap().ratio_high, None);
    let audit = store.decisions(None).await.unwrap();
    let expected =
        AuditEntry { finding: ids.id, kind: fresh.kind, decision: decision(DecisionAction::Accept) };
    assert_eq!(audit, [expected]);
    let records = store.track_records().await.unwrap();
    assert_eq!(records, [TrackRecord { harmful: 1, ..TrackRecord::new(fresh.kind) }]);
    let refused = store.decide(ids.id, decision(DecisionAction::Reject)).await;
    let expected = IllegalStep { state: FindingState::Harmful, step: Step::Reject };
    assert!(matches!(refused, Err(StoreError::Step(step)) if step == expected), "{refused:?}");
    assert_eq!(store.decisions(Some(ids.id)).await.unwrap().len(), 1);
    let missing = store.decide(finding(9, NOW).0.id, decision(DecisionAction::Accept)).await;
    assert!(matches!(missing, Err(StoreError::NotFound(_))), "{missing:?}");
}

async fn of_two_decisions_at_once_one_is_told_what_happened(fixture: Fixture) {
    // A collector and a command have connections of their own.
    let (first, second) = (fixture.open().await, fixture.open_with("command", OnDamage::Fail).await.unwrap());
    for number in 0..20 {
        let (ids, fresh) = finding(number, NOW);
        first.store.open_finding(ids, &fresh).await.unwrap();
        let (accept, reject) = (decision(DecisionAction::Accept), decision(DecisionAction::Reject));
        let accepting = first.store.decide(ids.id, accept);
        let rejecting = second.store.decide(ids.id, reject);
        let (accepted, rejected) = tokio::join!(accepting, rejecting);
        // What was accepted can still be rejected, not the other way round.
        let rejected = rejected.unwrap();
        let expected = match (&accepted, rejected.from) {
            (Ok(changed), FindingState::Accepted) if changed.from == FindingState::Open => 2,
            (Err(StoreError::Step(step)), FindingState::Open) if step.state == FindingState::Rejected => 1,
            other => panic!("{other:?}"),
        };
        let read = second.store.finding(ids.id).await.unwrap();
        assert_eq!((read.state, read.decisions.len()), (FindingState::Rejected, expected));
        assert_eq!(first.store.decisions(Some(ids.id)).await.unwrap().len(), expected);
    }
}

async fn lists_and_prefixes_find_what_is_asked_for(fixture: Fixture) {
    let opened = fixture.open().await;
    let store = &opened.store;
    for number in 0..10 {
        let (ids, fresh) = finding(number, NOW.plus(Duration::from_secs(number)));
        store.open_finding(ids, &fresh).await.unwrap();
        if number % 2 == 0 {
            store.resolve(ids.id, NOW.plus(DAY + Duration::from_secs(number))).await.unwrap();
        }
    }
    let count = async |filter: Filter| {
        let listed = store.findings(&filter).await.unwrap();
        (listed.findings.len(), listed.more)
    };
    assert_eq!(count(Filter::default()).await, (10, false));
    assert_eq!(count(Filter { open_only: true, ..Filter::default() }).await, (5, false));
    assert_eq!(
        count(Filter { state: Some(FindingState::Resolved), limit: Some(3), ..Filter::default() }).await,
        (3, true)
    );
    assert_eq!(
        count(Filter { kind: Some(FindingKind::PlanFlapping), ..Filter::default() }).await,
        (0, false)
    );
    let server = finding(0, NOW).1.subject.server;
    assert_eq!(count(Filter { server: Some(server), ..Filter::default() }).await, (10, false));
    let other = Text::from("endpoint:x:1").into();
    assert_eq!(count(Filter { server: Some(other), ..Filter::default() }).await, (0, false));
    let latest = store.findings(&Filter::default()).await.unwrap().findings;
    assert_eq!(latest[0].id, finding(8, NOW.plus(Duration::from_secs(8))).0.id);

    let id = latest[3].id.to_string();
    assert_eq!(store.find(&id).await.unwrap(), latest[3].id);
    assert_eq!(store.find(&id[..12]).await.unwrap(), latest[3].id);
    for wrong in ["", "abc", "zzzz", "%%%%", &"0".repeat(40)] {
        assert!(matches!(store.find(wrong).await, Err(StoreError::NotFound(_))), "{wrong}");
    }
}

async fn what_is_over_is_deleted_and_the_audit_stays(fixture: Fixture) {
    let opened = fixture.open().await;
    let store = &opened.store;
    for number in 0..700 {
        let (ids, fresh) = finding(number, NOW);
        store.open_finding(ids, &fresh).await.unwrap();
        if number >= 100 {
            store.decide(ids.id, decision(DecisionAction::Reject)).await.unwrap();
        }
    }
    opened.put("old", Some(b"1"));
    opened.writer.flush().await.unwrap();
    fixture.clock.advance(60 * DAY);
    opened.put("new", Some(b"2"));
    opened.writer.flush().await.unwrap();
    opened.writer.delete().await;
    assert_eq!(opened.restored().await, [("new".to_owned(), b"2".to_vec())]);
    assert_eq!(store.findings(&Filter::default()).await.unwrap().findings.len(), 700);

    fixture.clock.advance(60 * DAY);
    opened.writer.delete().await;
    // Open findings stay, however old.
    let left = store.findings(&Filter::default()).await.unwrap();
    assert!(
        left.findings.len() == 100 && left.findings.iter().all(|finding| finding.state == FindingState::Open)
    );
    assert_eq!(store.decisions(None).await.unwrap().len(), 600);
    assert_eq!(opened.value("dbintel_store_deleted_total", &[("table", "findings")]), Some(600.0));
    assert!(opened.value("dbintel_store_bytes", &[]).unwrap() > 0.0);

    fixture.clock.advance(400 * DAY);
    opened.writer.delete().await;
    assert_eq!(store.decisions(None).await.unwrap(), []);
}

async fn a_row_that_is_damaged_is_passed_over(fixture: Fixture) {
    let opened = fixture.open().await;
    for number in 0..3 {
        let (ids, fresh) = finding(number, NOW);
        opened.store.open_finding(ids, &fresh).await.unwrap();
        opened.put(&format!("key/{number}"), Some(b"value"));
    }
    opened.writer.flush().await.unwrap();
    let damaged = finding(1, NOW).0.id;
    opened
        .store
        .on(|database| async move {
            transaction!(database, Durability::Durable, connection => {
                let text = "UPDATE dbintel_findings SET document = replace(document, 'public.t1', 'public.t7') WHERE id = $1";
                sqlx::query(text).bind(damaged.to_string()).execute(&mut *connection).await?;
                let text = "UPDATE dbintel_baselines SET bytes = $1 WHERE key = $2";
                sqlx::query(text).bind(&b"other"[..]).bind(&b"key/2"[..]).execute(&mut *connection).await?;
            });
            Ok(())
        }.boxed())
        .await
        .unwrap();
    let listed = opened.store.findings(&Filter::default()).await.unwrap();
    assert_eq!((listed.findings.len(), listed.unreadable), (2, 1));
    assert!(matches!(opened.store.finding(damaged).await, Err(StoreError::Unreadable(_))));
    // What a lane tells of it keeps nothing else from being written.
    let told =
        FindingEvent { news: FindingNews::Changed { from: FindingState::Open }, finding: finding(1, NOW).1 };
    opened.store.state_of("db:5432".into()).finding(&told).unwrap();
    opened.put("key/3", Some(b"after"));
    opened.writer.flush().await.unwrap();
    let keys: Vec<String> = opened.restored().await.into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["key/0", "key/1", "key/3"]);
    let unreadable = |table| opened.value("dbintel_store_unreadable_total", &[("table", table)]);
    assert_eq!((unreadable("findings"), unreadable("baselines")), (Some(2.0), Some(1.0)));
}

async fn a_finding_that_is_too_large_is_refused(fixture: Fixture) {
    let opened = fixture.open().await;
    let (ids, mut large) = finding(1, NOW);
    large.summary = "x".repeat(MAX_DOCUMENT_BYTES).into();
    let refused = opened.store.open_finding(ids, &large).await;
    assert!(matches!(refused, Err(StoreError::TooLarge { .. })), "{refused:?}");
    assert!(matches!(opened.store.finding(ids.id).await, Err(StoreError::NotFound(_))));
}

/// Told by a lane, and told again after a crash, in a store where a person has decided meanwhile.
async fn what_a_lane_tells_is_written_in_its_order(fixture: Fixture) {
    let Opened { store, writer, .. } = fixture.open().await;
    let state = store.state_of("lane".into());
    let (ids, fresh) = finding(1, NOW);
    let (_, unheard_of) = finding(2, NOW);
    let opened = FindingEvent { news: FindingNews::Opened, finding: fresh.clone() };
    state.finding(&opened).unwrap();
    writer.flush().await.unwrap();
    store.decide(ids.id, decision(DecisionAction::Accept)).await.unwrap();
    let raised = Finding { summary: "raised".into(), ..fresh.clone() };
    let from = FindingState::Open;
    let applied = Applied { at: NOW, how: "the index is back".into() };
    let done = Finding { state: FindingState::Applied, applied: Some(applied.clone()), ..raised.clone() };
    let events = [
        opened.clone(),
        FindingEvent { news: FindingNews::Changed { from }, finding: raised },
        FindingEvent { news: FindingNews::Changed { from }, finding: done },
        // Not possible any more, and no reason to keep the next one back.
        FindingEvent {
            news: FindingNews::Changed { from },
            finding: Finding { state: FindingState::Expired, ..fresh },
        },
        FindingEvent { news: FindingNews::Changed { from }, finding: unheard_of.clone() },
    ];
    for event in &events {
        state.finding(event).unwrap();
    }
    writer.flush().await.unwrap();
    let held = store.finding(ids.id).await.unwrap();
    assert_eq!((held.state, held.summary.as_str()), (FindingState::Applied, "raised"));
    assert_eq!((held.decisions.len(), held.applied), (1, Some(applied)));
    assert_eq!(store.finding(unheard_of.id).await.unwrap(), unheard_of);
    for _ in 0..MAX_PENDING_FINDINGS {
        state.finding(&opened).unwrap();
    }
    assert_eq!(state.finding(&opened), Err(dbintel_pipeline::StateRefused::Full));
}

#[tokio::test]
async fn findings_that_wait_are_bounded_in_bytes_and_accounted_for() {
    let fixture = Fixture::sqlite();
    let opened = fixture.open().await;
    let state = opened.store.state_of("lane".into());
    let account = || opened.value("dbintel_memory_account_bytes", &[("account", "store")]);
    let (_, mut large) = finding(1, NOW);
    large.summary = "x".repeat(400 << 10).into();
    let event = FindingEvent { news: FindingNews::Opened, finding: large };
    let taken = (0..MAX_PENDING_FINDINGS).take_while(|_| state.finding(&event).is_ok()).count();
    assert!(taken * (400 << 10) <= MAX_PENDING_FINDING_BYTES, "{taken}");
    assert!((taken + 2) * (400 << 10) > MAX_PENDING_FINDING_BYTES, "{taken}");
    assert!(account() >= Some((taken * (400 << 10)) as f64), "{:?}", account());
    opened.writer.flush().await.unwrap();
    assert_eq!(account(), Some(0.0));
    state.finding(&event).unwrap();
}

async fn decisions_since_a_time_come_in_their_order(fixture: Fixture) {
    let opened = fixture.open().await;
    let store = &opened.store;
    let at = |minute: u64| NOW.plus(Duration::from_secs(60 * minute));
    // Written in another order than that in which they were made.
    for minute in [3, 1, 2] {
        let (ids, fresh) = finding(minute, NOW);
        store.open_finding(ids, &fresh).await.unwrap();
        let decision = Decision::try_new(DecisionAction::Reject, "eve", at(minute), Some("because")).unwrap();
        store.decide(ids.id, decision).await.unwrap();
    }
    let since = async |minute| {
        let found = store.decided_since(at(minute)).await.unwrap();
        let minutes = found.entries.iter().map(|entry| entry.decision.at.since(NOW).as_secs() / 60);
        (minutes.collect::<Vec<_>>(), found.more)
    };
    assert_eq!(since(0).await, (vec![1, 2, 3], false));
    assert_eq!(since(2).await, (vec![2, 3], false));
    assert_eq!(since(4).await, (Vec::new(), false));
    // Beyond the bound the latest are told.
    store
        .on(|database| {
            async move {
                transaction!(database, Durability::Durable, connection => {
                    for number in 0..MAX_LISTED {
                        let text = "INSERT INTO dbintel_decisions (finding, revision, kind, action, decided_by, decided_at) \
                                    VALUES ($1, 1, 'statistics_stale', 'accept', 'eve', $2)";
                        let insert = sqlx::query(text).bind(format!("{number:032x}"));
                        insert.bind(time::nanos(at(60))).execute(&mut *connection).await?;
                    }
                });
                Ok(())
            }
            .boxed()
        })
        .await
        .unwrap();
    let (minutes, more) = since(0).await;
    assert_eq!(
        (minutes.len(), more, minutes.iter().all(|minute| *minute == 60)),
        (MAX_LISTED as usize, true, true)
    );
}

async fn past_cases_are_those_that_ended_last(fixture: Fixture) {
    let opened = fixture.open().await;
    let store = &opened.store;
    assert_eq!(store.last_ended().await.unwrap(), None);
    for number in 0..6 {
        let (ids, fresh) = finding(number, NOW);
        store.open_finding(ids, &fresh).await.unwrap();
        if number > 0 {
            store.expire(ids.id, NOW.plus(Duration::from_secs(number))).await.unwrap();
        }
    }
    store
        .on(|database| {
            async move {
                transaction!(database, Durability::Durable, connection => {
                    let text = "UPDATE dbintel_findings SET document = '{}' WHERE id = $1";
                    let damage = sqlx::query(text).bind(finding(3, NOW).0.id.to_string());
                    damage.execute(&mut *connection).await?;
                });
                Ok(())
            }
            .boxed()
        })
        .await
        .unwrap();
    assert_eq!(store.last_ended().await.unwrap(), Some(NOW.plus(Duration::from_secs(5))));
    let past = PastCases::new(&MemoryAccounts::default());
    past.refresh(store).await.unwrap();
    // The open one is none, and the damaged one is passed over.
    let cases = store.past_cases().await.unwrap();
    let ended = |number| {
        let mut ended = finding(number, NOW).1;
        ended.expire(NOW.plus(Duration::from_secs(number))).unwrap();
        PastCase::of(&ended).unwrap()
    };
    assert_eq!(cases, [5, 4, 2, 1].map(ended));
    let unreadable = || opened.value("dbintel_store_unreadable_total", &[("table", "findings")]);
    assert_eq!((past.get().to_vec(), unreadable()), (cases, Some(2.0)));
    // They are read again only when another one has ended.
    past.refresh(store).await.unwrap();
    assert_eq!(unreadable(), Some(2.0));
    store.expire(finding(0, NOW).0.id, NOW.plus(DAY)).await.unwrap();
    past.refresh(store).await.unwrap();
    assert_eq!((past.get().len(), unreadable()), (5, Some(3.0)));
}
