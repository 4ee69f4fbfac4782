//! A process that is killed loses nothing that it was told is there.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use super::*;

/// Where the child's store is.
const CHILD: &str = "DBINTEL_STORE_TEST_CHILD";
/// How often a child is killed.
const KILLS: u64 = 12;

/// The child: this test binary, run again by the test below. By itself it has nothing to do.
#[tokio::test]
async fn child() {
    let Some(round) = std::env::var_os(CHILD) else { return };
    let (round, yaml) = round
        .to_str()
        .unwrap()
        .split_once(' ')
        .map(|(n, y)| (n.parse::<u64>().unwrap(), y.to_owned()))
        .unwrap();
    let registry = Registry::default();
    let cx = StoreContext {
        clock: Arc::new(ManualClock::at(NOW)),
        accounts: MemoryAccounts::new(registry.clone()),
        registry,
        instance: Instance { id: format!("child {round}").into(), host: "here".into() },
        on_damage: OnDamage::Fail,
    };
    let (store, writer) = Store::open(config(&yaml), cx).await.unwrap();
    let state = store.state_of("db:5432".into());
    for number in round * 1_000_000.. {
        let (ids, fresh) = finding(number, NOW);
        store.open_finding(ids, &fresh).await.unwrap();
        println!("opened {number}");
        if number % 3 == 0 {
            store.decide(ids.id, decision(DecisionAction::Accept)).await.unwrap();
            println!("decided {number}");
        }
        if number % 5 == 0 {
            let key = format!("key/{}", number % 7);
            state.put(StateChange { key: key.into(), value: Some(number.to_le_bytes().to_vec()) }).unwrap();
            writer.flush().await.unwrap();
            println!("flushed {number}");
        }
    }
}

/// Runs a child and kills it somewhere; gives the lines it wrote before.
fn run_and_kill(round: u64, yaml: &str, after_lines: usize, then: Duration) -> Vec<(String, u64)> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["tests::killed::child", "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, format!("{round} {yaml}"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut written = Vec::new();
    let mut keep = |line: String| {
        // The first one stands behind the name of the test.
        let words: Vec<&str> = line.split_whitespace().rev().take(2).collect();
        if let [number, word @ ("opened" | "decided" | "flushed")] = words.as_slice()
            && let Ok(number) = number.parse()
        {
            written.push(((*word).to_owned(), number));
        }
    };
    for line in lines.by_ref().take(after_lines) {
        keep(line.unwrap());
    }
    std::thread::scope(|scope| {
        let killer = scope.spawn(|| {
            #[allow(clippy::disallowed_methods, reason = "a thread of its own waits for another process")]
            std::thread::sleep(then);
            child.kill().unwrap();
            child.wait().unwrap();
        });
        // A line that was cut in the middle was not said.
        lines.by_ref().map_while(Result::ok).for_each(&mut keep);
        killer.join().unwrap();
    });
    written
}

async fn nothing_acknowledged_is_lost(fixture: Fixture) {
    let mut random = fastrand::Rng::with_seed(7);
    let (mut opened, mut decided, mut flushed) = (Vec::new(), Vec::new(), BTreeMap::new());
    for round in 1..=KILLS {
        let (lines, micros) = (random.usize(5..60), random.u64(0..20_000));
        let yaml = fixture.yaml();
        let written = tokio::task::spawn_blocking(move || {
            run_and_kill(round, &yaml, lines, Duration::from_micros(micros))
        });
        for (what, number) in written.await.unwrap() {
            match what.as_str() {
                "opened" => opened.push(number),
                "decided" => decided.push(number),
                _ => drop(flushed.insert(format!("key/{}", number % 7), number)),
            }
        }
        let found = fixture.open_with("look", OnDamage::Fail).await.unwrap();
        for number in &opened {
            let finding = found.store.finding(finding(*number, NOW).0.id).await.unwrap();
            assert!(!decided.contains(number) || finding.decisions.len() == 1, "the decision about {number}");
        }
        assert!(found.store.decisions(None).await.unwrap().len() >= decided.len().min(MAX_LISTED as usize));
        let baselines: BTreeMap<String, Vec<u8>> = found.restored().await.into_iter().collect();
        for (key, number) in &flushed {
            let held = u64::from_le_bytes(baselines[key].as_slice().try_into().unwrap());
            assert!(held >= *number, "{key}: {held} is older than {number}");
        }
        found.store.close().await;
    }
    println!(
        "{} findings, {} decisions and {} baselines outlived {KILLS} kills",
        opened.len(),
        decided.len(),
        flushed.len()
    );
    assert!(opened.len() > 50 && decided.len() > 10 && !flushed.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_killed_loses_nothing_on_sqlite() {
    nothing_acknowledged_is_lost(Fixture::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_killed_loses_nothing_on_postgresql() {
    nothing_acknowledged_is_lost(Fixture::postgres(Major::V18).await).await;
}
