//! The window by itself.

use std::sync::Arc;
use std::time::Duration;

use dbintel_model::{Server, Session, Target};

use super::super::decision::Identities;
use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn config(max_entries: usize) -> DedupConfig {
    DedupConfig { window: 10 * SECOND, retention: 60 * SECOND, max_entries }
}

fn key(pid: i64) -> Key {
    let server = Server {
        receiver: "postgresql".into(),
        system: "postgresql".into(),
        address: "db".into(),
        port: 5432,
        resource: Vec::new(),
    };
    let mut identities = Identities::new("adaptive_sampler");
    identities.begin(&Target::server(Arc::new(server)));
    (identities.of(&Session { pid, ..Session::default() }), 0)
}

fn bucket(number: u64) -> TimeBucket {
    let mut batch = super::super::tests::batch(Vec::new());
    batch.server_clock = Some(dbintel_model::Timestamp::from_nanos(number * 1_000_000_000));
    TimeBucket::of(&batch, SECOND)
}

fn at(seconds: u32) -> Monotonic {
    Monotonic::default().plus(SECOND * seconds)
}

#[test]
fn equal_records_within_the_window_are_duplicates_and_their_number_is_told_once() {
    let mut dedup = Dedup::new(config(8));
    assert!(!dedup.is_duplicate(key(1), bucket(0), at(0)));
    assert!(!dedup.is_duplicate(key(1), bucket(0), at(0)), "only a kept record is remembered");
    assert_eq!(dedup.keep(key(1), bucket(0), at(0)), 0);
    assert!(dedup.is_duplicate(key(1), bucket(0), at(1)));
    assert!(dedup.is_duplicate(key(1), bucket(0), at(9)));
    assert!(!dedup.is_duplicate((key(1).0, 1), bucket(0), at(9)), "another rule makes its own draw");
    assert!(!dedup.is_duplicate(key(1), bucket(1), at(9)), "the next time bucket makes its own draw");
    assert!(!dedup.is_duplicate(key(1), bucket(0), at(10)));
    assert_eq!(dedup.keep(key(1), bucket(0), at(10)), 2);
    assert_eq!(dedup.keep(key(1), bucket(0), at(20)), 0);
    assert_eq!(dedup.take_counts(), (7, 2));
}

#[test]
fn the_window_is_bounded_and_forgets_the_oldest() {
    let mut dedup = Dedup::new(config(8));
    for round in 0..1_000 {
        dedup.keep(key(round % 11), bucket(0), at(0));
        assert!(dedup.len() <= 8 && dedup.order.len() <= 17, "{} {}", dedup.len(), dedup.order.len());
    }
    let mut held: Vec<i64> = Vec::new();
    for pid in 0..11 {
        if dedup.is_duplicate(key(pid), bucket(0), at(0)) {
            held.push(pid);
        }
    }
    // The last one kept was 999 % 11 = 9.
    assert_eq!(held, [2, 3, 4, 5, 6, 7, 8, 9]);
}

#[test]
fn a_record_kept_over_and_over_does_not_grow_the_queue() {
    let mut dedup = Dedup::new(config(4));
    for second in 0..10_000 {
        dedup.keep(key(1), bucket(0), at(second));
        dedup.expire(at(second));
    }
    assert!(dedup.len() == 1 && dedup.order.len() <= 9, "{}", dedup.order.len());
    dedup.expire(at(20_000));
    assert!(dedup.len() == 0 && dedup.order.is_empty());
}
