//! `make bench`, second part: the whole process. See the library.
//!
//! ```text
//! dbintel-bench [quick|full] [--minutes N] [--runs N] [chain] [again] [plans] [histories] [replay] [start] [idle] [known] [steady] [databases] [fleet] [overload]
//! ```
//!
//! Without names, every scenario but `again`. `--minutes` is how long the chain is watched with the statements of polls at half
//! of the load that is asked of it; usually half a minute. `again` does the like several times from the
//! beginning, `--runs` says how often; usually three times half a minute. Results go to standard output and to `bench.json` in the target directory.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a program for people to look at, not part of the product"
)]

use std::path::PathBuf;
use std::time::Duration;

use dbintel_benches::machine::{self, Machine};
use dbintel_benches::report::Report;
use dbintel_benches::scenario::server::{self, STATEMENTS, Server};
use dbintel_benches::scenario::steady::Window;
use dbintel_benches::scenario::{Extent, idle, overload, start, steady};
use dbintel_benches::{chain, collector, histories, micro, plans, replay};

/// That of the product.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const SCENARIOS: [&str; 12] = [
    "chain",
    "again",
    "plans",
    "histories",
    "replay",
    "start",
    "idle",
    "known",
    "steady",
    "databases",
    "fleet",
    "overload",
];
/// How often `again` repeats the load.
const RUNS: u32 = 3;
/// Servers of the fleet.
const FLEET: usize = 10;
/// Statements that run in each interval on a server as they usually are, and on each server of the fleet, where all of
/// them would be the machine's own load.
const SOME_ACTIVE: u32 = 500;
/// Databases beyond the two for which connections are kept.
const MORE_DATABASES: usize = 5;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let Arguments { extent, minutes, runs, chosen } = Arguments::read();
    let wanted = |name: &str| chosen.iter().any(|it| it == name);
    let program = collector::program();
    assert!(program.is_file(), "no {}: run scripts/bench.sh", program.display());
    let target = target_directory();
    // Before there are servers, which would share the cores.
    let passed = if wanted("chain") {
        say("chain: every processor on, one core");
        tokio::task::spawn_blocking(move || chain::measure(extent, minutes)).await.expect("the chain's bench")
    } else {
        Vec::new()
    };
    let again = if wanted("again") {
        say("again: the chain from the beginning, several times");
        let length = Duration::from_secs(minutes.map_or(30, |minutes| 60 * u64::from(minutes)));
        let again = move || chain::again::measure(chain::ASKED, runs, length);
        Some(tokio::task::spawn_blocking(again).await.expect("the chain's bench"))
    } else {
        None
    };
    let planned = if wanted("plans") {
        say("plans: read, summarised, fingerprinted and redacted, run by run");
        Some(tokio::task::spawn_blocking(move || plans::measure(extent)).await.expect("the plans' bench"))
    } else {
        None
    };
    let held = if wanted("histories") {
        say("histories: 10,000 statements with all that is kept of them");
        Some(tokio::task::spawn_blocking(histories::measure).await.expect("the histories' bench"))
    } else {
        None
    };
    let replayed = if wanted("replay") {
        say("replay: a week of 1,000 statements, one reading a minute");
        Some(tokio::task::spawn_blocking(replay::measure).await.expect("the replay's bench"))
    } else {
        None
    };
    let alone = ["chain", "again", "plans", "histories", "replay"];
    let with_servers = chosen.iter().any(|name| !alone.contains(&name.as_str()));
    let mut servers = server::loaded(usize::from(with_servers)).await;
    let postgresql = match servers.first() {
        Some(server) => {
            let versions = server.cluster.versions().await;
            format!(
                "PostgreSQL {} with pg_stat_statements {}",
                versions.server_version, versions.pg_stat_statements
            )
        }
        None => "no server".to_owned(),
    };
    let machine = Machine::describe(&program, postgresql).await;
    let mut report = Report::new(machine, extent, micro::read(&target.join("criterion"), &program));
    report.chain = passed;
    report.again = again;
    report.plans = planned;
    report.histories = held;
    report.replay = replayed;

    if wanted("start") {
        say("start: from the process to ready and to first data");
        report.start = Some(start::measure(&servers[0], extent).await);
    }
    if wanted("idle") {
        say("idle: one database, nothing but the collector");
        report.idle = Some(idle::measure(extent).await);
    }
    if wanted("known") {
        say("known: one server, 5,000 statements known, 500 active in every interval");
        let window = Window { polls: extent.choose(12, 36), active: SOME_ACTIVE };
        report.known = Some(steady::measure(&servers, window).await);
    }
    if wanted("steady") {
        say("steady: one server, 5,000 statements active in every interval");
        let window = Window { polls: extent.choose(6, 18), active: STATEMENTS };
        report.one_server = Some(steady::measure(&servers, window).await);
    }
    if wanted("overload") {
        say("overload: a backend that takes half of it");
        report.overload = Some(overload::measure(&servers, extent).await);
    }
    if wanted("databases") {
        say("databases: the same server with five databases more");
        more_databases(&servers[0]).await;
        let window = Window { polls: 6, active: STATEMENTS };
        report.many_databases = Some(steady::measure(&servers, window).await);
    }
    if wanted("fleet") {
        say("fleet: ten servers, each a process tree of its own, in one collector");
        servers.truncate(0);
        let fleet = server::loaded(FLEET).await;
        let window = Window { polls: 6, active: SOME_ACTIVE };
        report.ten_servers = Some(steady::measure(&fleet, window).await);
    }
    report.machine.load_after = machine::load();
    report.conclude();
    println!("{}", report.text());
    let json = target.join("bench.json");
    std::fs::write(&json, serde_json::to_string_pretty(&report).unwrap()).unwrap();
    println!("all figures: {}", json.display());
}

/// What is to be measured.
struct Arguments {
    extent: Extent,
    minutes: Option<u32>,
    runs: u32,
    chosen: Vec<String>,
}

impl Arguments {
    fn read() -> Self {
        let mut it = Self { extent: Extent::Quick, minutes: None, runs: RUNS, chosen: Vec::new() };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "quick" => it.extent = Extent::Quick,
                "full" => it.extent = Extent::Full,
                "--minutes" => {
                    let minutes = arguments.next().and_then(|number| number.parse().ok());
                    let minutes = minutes.filter(|minutes| *minutes > 0);
                    it.minutes = Some(minutes.expect("--minutes wants a number above 0"));
                }
                "--runs" => {
                    let runs = arguments.next().and_then(|number| number.parse().ok());
                    it.runs = runs.filter(|runs| *runs > 0).expect("--runs wants a number above 0");
                }
                name if SCENARIOS.contains(&name) => it.chosen.push(argument),
                other => panic!(
                    "{other} is neither quick nor full nor --minutes nor --runs nor one of {SCENARIOS:?}"
                ),
            }
        }
        if it.chosen.is_empty() {
            // What repeats another one is asked for by name.
            it.chosen =
                SCENARIOS.iter().filter(|name| **name != "again").map(|name| (*name).to_owned()).collect();
        }
        it
    }
}

async fn more_databases(server: &Server) {
    for number in 0..MORE_DATABASES {
        server.cluster.create_database(&format!("more_{number}")).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
}

/// This program lies in `target/PROFILE`.
fn target_directory() -> PathBuf {
    let own = std::env::current_exe().expect("the path of this program");
    own.ancestors().nth(2).expect("a directory in a target directory").to_owned()
}

fn say(what: &str) {
    println!("bench: {what} …");
}
