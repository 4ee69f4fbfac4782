//! Records histories of statements on a real PostgreSQL 17, as files that `make evidence` reads
//! (`docs/evidence-histories.md`).
//!
//! ```text
//! record-histories DIR [BLOCKS] [SEED]
//! ```
//!
//! Counters of `pg_stat_statements` are read once a second, and what was done in a second is written as if it had been done
//! in a block of ten minutes: time is divided by 600. So a day takes 144 seconds, and its rhythm, too, is that fast. What
//! a server does by its own clock is not: checkpoints and autovacuum come as often per second as they always do, which
//! is 600 times as rarely per block. Nobody changes a plan, and nothing is changed for good.
//!
//! * [`statements`]: what is asked, and with which parameters;
//! * [`traffic`]: how often, by the hour of a day that lasts 144 seconds;
//! * [`trouble`]: what else happens: reports, batch jobs, locks, maintenance;
//! * [`reading`]: counters and sessions; [`files`]: what was recorded, as files.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a program that makes material for tests, not part of the product"
)]

mod files;
mod reading;
mod statements;
mod traffic;
mod trouble;

use std::path::PathBuf;
use std::time::Duration;

use dbintel_testkit::postgres::{Cluster, Major, Options};
use dbintel_testkit::workload::{Shop, Size};
use tokio::time::{MissedTickBehavior, interval};

use self::reading::{Reader, Sampler};
use self::traffic::{Rates, Traffic};
use self::trouble::Trouble;

/// Blocks of ten minutes of a day.
const PER_DAY: usize = 144;
/// What a block takes.
const BLOCK: Duration = Duration::from_secs(1);
/// Blocks that are recorded unless told otherwise: a week.
const BLOCKS: usize = 7 * PER_DAY;
/// Blocks before the first one that is recorded, until caches are warm and plans of prepared statements have settled.
const WARM_UP: usize = 40;
/// The seed unless told otherwise.
const SEED: u64 = 1;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let directory = PathBuf::from(arguments.next().expect("usage: record-histories DIR [BLOCKS] [SEED]"));
    let mut number = |usual: u64| {
        arguments.next().map_or(usual, |text| text.parse().expect("BLOCKS and SEED are numbers"))
    };
    let (blocks, seed) = (number(BLOCKS as u64) as usize, number(SEED));
    let cluster = Cluster::start(Major::V17, Options::new().setting("track_io_timing", "on")).await;
    let shop = Shop::install(&cluster, Size::MEDIUM).await;
    cluster.create_extension(shop.database(), "pg_stat_statements").await;
    let mut reader = Reader::new(cluster.connect(shop.database()).await);
    let sampler = Sampler::start(cluster.connect(shop.database()).await);
    let mut rates = Rates::new(seed);
    let traffic = Traffic::start(&cluster, shop.database(), &rates, seed);
    let mut trouble = Trouble::new(&cluster, shop.database(), seed);
    let mut ticks = interval(BLOCK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for block in 0..WARM_UP + blocks + 1 {
        rates.turn_to(block);
        ticks.tick().await;
        if block >= WARM_UP {
            reader.read(&sampler).await;
            trouble.look(block);
        }
        if block % PER_DAY == 0 {
            println!("block {block} of {}", WARM_UP + blocks);
        }
    }
    traffic.stop().await;
    trouble.end().await;
    let kept = files::write(&reader.into_recorded(), &directory).expect("the directory can be written");
    println!("{kept} files in {}", directory.display());
}
