//! Files that are damaged, and disks that are full.

use std::fs;

use futures_util::FutureExt as _;

use super::*;
use crate::database::sqlite::SET_ASIDE_MAX;
use crate::database::{Database, Durability};

/// Damaged copies that are tried.
const CASES: u64 = 150;

/// Files beside the store that were set aside.
fn set_aside(fixture: &Fixture) -> Vec<String> {
    let names = fs::read_dir(fixture.path().parent().unwrap()).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name.contains(".corrupt-") && name.ends_with('Z')).collect();
    names.sort();
    names
}

/// A sound file with something of everything in it.
async fn sound() -> Vec<u8> {
    let fixture = Fixture::sqlite();
    let opened = fixture.open().await;
    for number in 0..40 {
        let (ids, mut fresh) = finding(number, NOW);
        fresh.summary = "x".repeat(3_000).into();
        opened.store.open_finding(ids, &fresh).await.unwrap();
        opened.store.decide(ids.id, decision(DecisionAction::Accept)).await.unwrap();
        opened.put(&format!("key/{number}"), Some(&[number as u8; 2_000]));
    }
    opened.writer.flush().await.unwrap();
    opened.store.watch(Text::from("id:1/1").into());
    opened.writer.beat().await;
    opened.store.close().await;
    fs::read(fixture.path()).unwrap()
}

fn damaged(mut bytes: Vec<u8>, random: &mut fastrand::Rng) -> Vec<u8> {
    match random.u8(0..5) {
        0 => bytes.truncate(random.usize(0..bytes.len())),
        1 => bytes.truncate(random.usize(0..bytes.len() / 4_096) * 4_096),
        2 => {
            // A page that was written where another belongs.
            let pages = bytes.len() / 4_096;
            let (from, to) = (random.usize(0..pages) * 4_096, random.usize(0..pages) * 4_096);
            bytes.copy_within(from..from + 4_096, to);
        }
        kind => {
            // Half of the flips are where the structure is dense: the header and the schema.
            let end = if kind == 3 { 4_096.min(bytes.len()) } else { bytes.len() };
            for _ in 0..random.usize(1..12) {
                bytes[random.usize(0..end)] ^= 1 << random.u8(0..8);
            }
        }
    }
    bytes
}

#[tokio::test]
async fn with_any_damage_the_collector_runs_on() {
    let sound = sound().await;
    let mut random = fastrand::Rng::with_seed(11);
    let (mut put_aside, mut kept) = (0, 0);
    for case in 0..CASES {
        let fixture = Fixture::sqlite();
        fs::create_dir_all(fixture.path().parent().unwrap()).unwrap();
        fs::write(fixture.path(), damaged(sound.clone(), &mut random)).unwrap();
        let opened = fixture.open_as("ours").await.unwrap_or_else(|error| panic!("case {case}: {error}"));
        let store = &opened.store;
        // Reading finds what is left, or sets the file aside while it runs.
        let _ = store.findings(&Filter::default()).await;
        let _ = store.restore("db:5432", |_| {}).await;
        opened.put("after", Some(b"value"));
        for number in [0, 77] {
            let (ids, fresh) = finding(number, NOW.plus(DAY));
            let done = store.open_finding(ids, &fresh).await;
            assert!(done.is_ok() || matches!(done, Err(StoreError::Unreadable(_))), "case {case}: {done:?}");
        }
        opened.writer.flush().await.unwrap_or_else(|error| panic!("case {case}: {error}"));
        opened.writer.beat().await;
        opened.writer.delete().await;
        let (ids, fresh) = finding(78, NOW.plus(DAY));
        store.open_finding(ids, &fresh).await.unwrap();
        assert_eq!(store.finding(ids.id).await.unwrap(), fresh, "case {case}");
        assert!(opened.restored().await.iter().any(|(key, _)| key == "after"), "case {case}");
        let counted = opened.value("dbintel_store_set_aside_total", &[]).unwrap();
        assert_eq!(set_aside(&fixture).len() as f64, counted, "case {case}");
        if counted > 0.0 {
            put_aside += 1;
        } else {
            kept += 1;
        }
        store.close().await;
    }
    println!("of {CASES} damaged files {put_aside} were set aside, {kept} opened");
    assert!(put_aside > 20 && kept > 0);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_set_aside_and_only_so_many_are_kept() {
    let fixture = Fixture::sqlite();
    fs::create_dir_all(fixture.path().parent().unwrap()).unwrap();
    for _ in 0..SET_ASIDE_MAX + 3 {
        fs::write(fixture.path(), "no database at all, and long enough to have a header of one".repeat(100))
            .unwrap();
        // A command says so and leaves the file.
        let refused = fixture.open_with("command", OnDamage::Fail).await;
        assert!(matches!(refused, Err(StoreError::Corrupt(_))));
        let opened = fixture.open().await;
        assert_eq!(opened.value("dbintel_store_set_aside_total", &[]), Some(1.0));
        let (ids, fresh) = finding(1, NOW);
        opened.store.open_finding(ids, &fresh).await.unwrap();
        opened.store.close().await;
        fixture.clock.advance(Duration::from_secs(1));
    }
    assert_eq!(set_aside(&fixture).len(), SET_ASIDE_MAX);
    let newest = NOW.plus(Duration::from_secs(SET_ASIDE_MAX as u64 + 2));
    let stamp = newest.to_rfc3339().as_str().replace(['-', ':'], "");
    assert!(set_aside(&fixture).last().unwrap().ends_with(&stamp));
}

#[tokio::test]
async fn a_file_that_is_damaged_while_it_is_open_is_set_aside_and_values_go_into_the_new_one() {
    let fixture = Fixture::sqlite();
    fs::create_dir_all(fixture.path().parent().unwrap()).unwrap();
    fs::write(fixture.path(), sound().await).unwrap();
    let opened = fixture.open().await;
    let length = fs::metadata(fixture.path()).unwrap().len() as usize;
    fs::write(fixture.path(), vec![0xa5; length]).unwrap();
    opened.put("after", Some(b"value"));
    opened.writer.flush().await.unwrap();
    let (ids, fresh) = finding(1, NOW);
    opened.store.open_finding(ids, &fresh).await.unwrap();
    assert_eq!(opened.value("dbintel_store_set_aside_total", &[]), Some(1.0));
    assert_eq!(opened.restored().await, [("after".to_owned(), b"value".to_vec())]);
    assert_eq!(opened.store.finding(ids.id).await.unwrap(), fresh);
}

#[tokio::test]
async fn on_a_full_disk_values_wait_and_findings_are_refused() {
    let fixture = Fixture::sqlite();
    let opened = fixture.open().await;
    let limit = async |pages: &'static str| {
        let run = |database: Arc<Database>| {
            async move {
                let Database::Sqlite(sqlite) = &*database else { panic!() };
                for durability in [Durability::Durable, Durability::Soon] {
                    sqlx::query(pages).execute(sqlite.pool(durability)).await?;
                }
                Ok(())
            }
            .boxed()
        };
        opened.store.on(run).await.unwrap();
    };
    opened.put("small", Some(b"1"));
    opened.writer.flush().await.unwrap();
    limit("PRAGMA max_page_count = 40").await;
    for number in 0..100 {
        opened.put(&format!("key/{number}"), Some(&[1; 4_096]));
    }
    assert!(matches!(opened.writer.flush().await, Err(StoreError::Full)));
    let (ids, mut large) = finding(1, NOW);
    large.summary = "x".repeat(200_000).into();
    assert!(matches!(opened.store.open_finding(ids, &large).await, Err(StoreError::Full)));
    assert!(opened.value("dbintel_store_errors_total", &[("reason", "full")]).unwrap() >= 2.0);
    assert_eq!(opened.value("dbintel_store_set_aside_total", &[]), Some(0.0));
    assert_eq!(opened.restored().await.len(), 1);
    limit("PRAGMA max_page_count = 4294967294").await;
    opened.writer.flush().await.unwrap();
    assert_eq!(opened.restored().await.len(), 101);
    opened.store.open_finding(ids, &large).await.unwrap();
}

#[tokio::test]
async fn a_place_that_cannot_be_used_is_told_and_nothing_is_set_aside() {
    let fixture = Fixture::sqlite();
    fs::create_dir_all(fixture.path()).unwrap();
    let refused = fixture.open_with("command", OnDamage::Fail).await;
    assert!(matches!(refused, Err(StoreError::Open { .. })));
    assert_eq!(set_aside(&fixture), Vec::<String>::new());
}

#[tokio::test]
async fn a_place_that_cannot_be_used_yet_is_used_as_soon_as_it_can() {
    let fixture = Fixture::sqlite();
    fs::create_dir_all(fixture.path()).unwrap();
    let opened = fixture.open().await;
    opened.put("a", Some(b"1"));
    let failed = opened.writer.flush().await.unwrap_err();
    assert!(matches!(failed, StoreError::Open { .. }), "{failed}");
    let trouble = StoreTrouble::of(&failed).to_string();
    assert!(trouble.starts_with("unavailable: ") && trouble.contains("what to do: check that the directory"));
    assert!(opened.value("dbintel_store_errors_total", &[("reason", "unavailable")]).unwrap() >= 2.0);
    fs::remove_dir(fixture.path()).unwrap();
    opened.writer.flush().await.unwrap();
    assert_eq!(opened.restored().await, [("a".to_owned(), b"1".to_vec())]);
    assert_eq!(opened.value("dbintel_store_set_aside_total", &[]), Some(0.0));
    opened.store.close().await;
}

/// A store that comes up after its collector: what begins anew would be written over what was kept.
#[tokio::test]
async fn what_was_kept_is_waited_for_while_the_place_cannot_be_used() {
    let fixture = Fixture::sqlite();
    let opened = fixture.open().await;
    opened.put("a", Some(b"1"));
    opened.writer.flush().await.unwrap();
    opened.store.close().await;
    let (place, away) = (fixture.path(), fixture.directory.path().join("away"));
    fs::rename(place.parent().unwrap(), &away).unwrap();
    fs::create_dir_all(&place).unwrap();
    let opened = fixture.open().await;
    let (of_ours, of_another) =
        (opened.store.state_of("db:5432".into()), opened.store.state_of("other:5432".into()));
    let back = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        fs::remove_dir_all(place.parent().unwrap()).unwrap();
        fs::rename(&away, place.parent().unwrap()).unwrap();
    };
    let (kept, none, ()) = tokio::join!(of_ours.load(), of_another.load(), back);
    assert_eq!(kept, [StateChange { key: "a".into(), value: Some(b"1".to_vec()) }]);
    assert_eq!(none, []);
    assert!(opened.value("dbintel_store_errors_total", &[("reason", "unavailable")]).unwrap() >= 2.0);
    assert_eq!(opened.value("dbintel_store_histories_begun_anew_total", &[]), Some(0.0));
}

/// Others that waited for their turn do not wait as long again.
#[tokio::test]
async fn a_place_that_cannot_be_used_for_long_is_given_up_once_for_all_who_wait() {
    let fixture = Fixture::sqlite();
    fs::create_dir_all(fixture.path()).unwrap();
    let opened = fixture.open().await;
    let states: Vec<_> =
        (0..50).map(|number| opened.store.state_of(format!("db{number}:5432").into())).collect();
    tokio::time::pause();
    let begun = tokio::time::Instant::now();
    let kept = futures_util::future::join_all(states.iter().map(ServerState::load)).await;
    assert!(kept.iter().all(Vec::is_empty));
    // Of the paused clock, which only the waits move.
    assert!((RESTORE_PATIENCE / 2..=RESTORE_PATIENCE).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    assert_eq!(opened.value("dbintel_store_histories_begun_anew_total", &[]), Some(50.0));
}

/// One that reads the first half and then meets what cannot be read has nothing.
#[tokio::test]
async fn half_of_what_was_kept_is_not_taken() {
    let fixture = Fixture::sqlite();
    let opened = fixture.open().await;
    for number in 0..2_000 {
        opened.put(&format!("key/{number:04}"), Some(&[7; 4_000]));
    }
    opened.writer.flush().await.unwrap();
    opened.store.close().await;
    let opened = fixture.open().await;
    // While it is open, so that looking through it at the start finds nothing.
    let file = fs::OpenOptions::new().write(true).open(fixture.path()).unwrap();
    let length = file.metadata().unwrap().len();
    let page = vec![0xa5; 4_096];
    for at in (length / 2 / 4_096..length / 4_096).map(|page| page * 4_096) {
        std::os::unix::fs::FileExt::write_all_at(&file, &page, at).unwrap();
    }
    let mut handed_out = 0;
    assert!(opened.store.restore("db:5432", |changes| handed_out += changes.len()).await.is_err());
    assert!(handed_out > 0);
    assert_eq!(opened.store.state_of("db:5432".into()).load().await, []);
    assert_eq!(opened.value("dbintel_store_histories_begun_anew_total", &[]), Some(1.0));
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_and_its_directory_are_for_our_user_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let fixture = Fixture::sqlite();
    let opened = fixture.open().await;
    opened.put("a", Some(b"1"));
    opened.writer.flush().await.unwrap();
    let directory = fixture.path().parent().unwrap().to_owned();
    assert_eq!(fs::metadata(&directory).unwrap().permissions().mode() & 0o777, 0o700);
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{:?}", entry.file_name());
    }
}
