//! `make bench`, second part: the whole process. See the library.
//!
//! ```text
//! dbintel-bench [quick|full] [start] [idle] [known] [steady] [databases] [fleet] [overload]
//! ```
//!
//! Without names, every scenario. Results go to standard output and to `bench.json` in the target directory.

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
use dbintel_benches::{collector, micro};

const SCENARIOS: [&str; 7] = ["start", "idle", "known", "steady", "databases", "fleet", "overload"];
/// Servers of the fleet.
const FLEET: usize = 10;
/// Statements that run in each interval on a server as they usually are, and on each server of the fleet, where all of
/// them would be the machine's own load.
const SOME_ACTIVE: u32 = 500;
/// Databases beyond the two for which connections are kept.
const MORE_DATABASES: usize = 5;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let (extent, chosen) = arguments();
    let wanted = |name: &str| chosen.iter().any(|it| it == name);
    let program = collector::program();
    assert!(program.is_file(), "no {}: run scripts/bench.sh", program.display());
    let target = target_directory();
    let mut servers = server::loaded(1).await;
    let versions = servers[0].cluster.versions().await;
    let postgresql = format!(
        "PostgreSQL {} with pg_stat_statements {}",
        versions.server_version, versions.pg_stat_statements
    );
    let machine = Machine::describe(&program, postgresql).await;
    let mut report = Report::new(machine, extent, micro::read(&target.join("criterion"), &program));

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
        let window = Window { polls: extent.choose(6, 18), active: SOME_ACTIVE };
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

fn arguments() -> (Extent, Vec<String>) {
    let (mut extent, mut chosen) = (Extent::Quick, Vec::new());
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "quick" => extent = Extent::Quick,
            "full" => extent = Extent::Full,
            name if SCENARIOS.contains(&name) => chosen.push(argument),
            other => panic!("{other} is neither quick nor full nor one of {SCENARIOS:?}"),
        }
    }
    if chosen.is_empty() {
        chosen = SCENARIOS.map(str::to_owned).to_vec();
    }
    (extent, chosen)
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
