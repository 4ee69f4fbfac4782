//! `make endurance`. See `dbintel_benches::endurance`.
//!
//! ```text
//! dbintel-endurance MINUTES [MAJOR] [FILE]
//! ```
//!
//! Writes the table to FILE. Ends with an error if the budget was exceeded in any minute, or if the collector left a trace.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a program for people to look at, not part of the product"
)]

use std::process::ExitCode;

use dbintel_benches::{collector, endurance};
use dbintel_testkit::postgres::Major;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let minutes = arguments.next().and_then(|minutes| minutes.parse().ok()).expect("the number of minutes");
    let wanted = arguments.next().map(|major| major.parse::<u16>().expect("a major version"));
    let major = Major::ALL.into_iter().find(|major| wanted.is_none_or(|wanted| major.number() == wanted));
    let major = if wanted.is_none() { Some(Major::V17) } else { major };
    let major = major.expect("a major version there is");
    assert!(collector::program().is_file(), "no program: run scripts/endurance.sh");
    let result = endurance::run(major, minutes).await;
    let text = result.markdown();
    println!("\n{text}");
    if let Some(file) = arguments.next() {
        std::fs::write(file, &text).expect("the document is written");
    }
    if result.failures().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
