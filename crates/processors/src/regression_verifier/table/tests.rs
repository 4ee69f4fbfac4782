use super::*;
use crate::regression_verifier::sums::Sums;

fn key(query_id: i64) -> QueryKey {
    QueryKey {
        system: "postgresql",
        database: "shop".into(),
        database_id: 5,
        user: "app".into(),
        user_id: 10,
        query_id,
        toplevel: Some(true),
    }
}

fn text(fingerprint: u64) -> Arc<QueryText> {
    Arc::new(QueryText {
        masked: None,
        fingerprint,
        kind: "select",
        operation: None,
        summary: None,
        truncated: false,
    })
}

fn table(max: usize) -> Statements {
    let mut table = Statements::new(max);
    table.enter_node(0);
    table
}

fn sums(calls: f64) -> Sums {
    Sums::closed(calls, calls, calls, calls, None)
}

fn see(table: &mut Statements, query_id: i64, fingerprint: Option<u64>, hour: i64, calls: f64) -> u64 {
    let text = fingerprint.map(text);
    let statement = table.enter(&key(query_id), text.as_ref()).unwrap();
    statement.add_to_hour(hour, &sums(calls));
    statement.id
}

fn calls(table: &Statements, id: u64) -> Vec<(i64, f64)> {
    let statement = table.get(id).unwrap();
    let open = Some((statement.hour.place, statement.hour.sums)).filter(|(_, sums)| !sums.is_empty());
    statement.hours.iter().chain(open).map(|(place, sums)| (place, sums.calls)).collect()
}

/// An upgrade, or a temporary table of the same name, gives the statement another identifier.
#[test]
fn one_text_is_one_statement_under_any_identifier() {
    let mut table = table(10);
    let first = see(&mut table, 1, Some(7), 100, 3.0);
    assert_eq!(see(&mut table, 2, Some(7), 100, 4.0), first);
    assert_eq!((calls(&table, first), table.len()), (vec![(100, 7.0)], 1));
    let mut other = key(1);
    other.user = "report".into();
    other.user_id = 11;
    assert_ne!(table.enter(&other, Some(&text(7))).unwrap().id, first);
    let nested = QueryKey { toplevel: Some(false), ..key(1) };
    assert_ne!(table.enter(&nested, Some(&text(7))).unwrap().id, first);
}

#[test]
fn what_was_seen_before_the_text_is_not_lost() {
    let mut table = table(10);
    let provisional = see(&mut table, 1, None, 100, 3.0);
    let known = see(&mut table, 1, Some(7), 101, 4.0);
    assert_ne!(provisional, known);
    assert_eq!((calls(&table, known), table.len()), (vec![(100, 3.0), (101, 4.0)], 1));
    // Another identifier without a text, which turns out to be the same.
    see(&mut table, 2, None, 101, 5.0);
    see(&mut table, 3, Some(9), 101, 1.0);
    assert_eq!(see(&mut table, 2, Some(7), 102, 6.0), known);
    assert_eq!((calls(&table, known), table.len()), (vec![(100, 3.0), (101, 9.0), (102, 6.0)], 2));
    assert_eq!(see(&mut table, 3, None, 102, 1.0), see(&mut table, 3, Some(9), 102, 1.0));
    assert_eq!(table.take_forgotten().len(), 2);
}

#[test]
fn a_standby_is_another_and_a_promoted_one_is_the_primary() {
    let node =
        |in_recovery, timeline| Node { system_identifier: Some(7), in_recovery, timeline, ..Node::default() };
    let number = |in_recovery, timeline| node_number(Some(&node(in_recovery, timeline)));
    assert_eq!(number(false, Some(1)), number(false, Some(2)));
    assert_ne!(number(false, Some(1)), number(true, Some(1)));
    let mut table = table(10);
    let first = see(&mut table, 1, Some(7), 100, 3.0);
    table.enter_node(number(true, None));
    assert_ne!(see(&mut table, 1, Some(7), 100, 3.0), first);
    table.enter_node(0);
    assert_eq!(see(&mut table, 1, Some(7), 101, 3.0), first);
}

#[test]
fn those_that_took_the_least_time_are_forgotten_unless_they_are_under_trial() {
    let mut table = table(8);
    let ids: Vec<u64> = (0..8).map(|n| see(&mut table, n, Some(n as u64), 100, 1.0 + n as f64)).collect();
    table.get_mut(ids[0]).unwrap().is_under_trial = true;
    let ninth = see(&mut table, 9, Some(9), 100, 1.0);
    let forgotten: Vec<u64> = table.take_forgotten().iter().map(|of| of.id).collect();
    assert_eq!(forgotten, [ids[1]]);
    assert!(table.get(ids[0]).is_some() && table.get(ninth).is_some());
    assert_eq!(table.len(), 8);
    // Every place and every identifier still leads to its own.
    for (n, id) in ids.iter().enumerate().skip(2) {
        assert_eq!(see(&mut table, n as i64, Some(n as u64), 100, 1.0), *id);
    }
}
