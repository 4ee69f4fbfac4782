//! Results of the micro-benches, as criterion left them below `target/criterion`.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

/// One micro-bench.
#[derive(Clone, Debug, Serialize)]
pub struct Micro {
    /// Group and function.
    pub name: String,
    /// Median time of one iteration.
    pub median_ns: f64,
    /// Elements of one iteration per second, where it has elements.
    pub elements_per_second: Option<f64>,
    /// Bytes of one iteration per second, where it has bytes.
    pub bytes_per_second: Option<f64>,
}

#[derive(Deserialize)]
struct Benchmark {
    full_id: String,
    throughput: Option<Throughput>,
}

#[derive(Deserialize)]
enum Throughput {
    Bytes(u64),
    BytesDecimal(u64),
    Elements(u64),
    ElementsAndBytes { elements: u64, bytes: u64 },
    Bits(u64),
}

#[derive(Deserialize)]
struct Estimates {
    median: Estimate,
}

#[derive(Deserialize)]
struct Estimate {
    point_estimate: f64,
}

/// The groups of this crate's benches. Others lie below the same directory.
const GROUPS: [&str; 6] = ["otlp", "sql", "statements", "compression", "lane", "replay"];

/// Everything there is of our groups, by name. What is older than `program` was measured of another one and is left out.
#[must_use]
pub fn read(criterion: &Path, program: &Path) -> Vec<Micro> {
    let (mut found, built) = (Vec::new(), changed(program));
    for group in GROUPS {
        collect(&criterion.join(group), built, &mut found);
    }
    found
}

/// The bench of this name.
#[must_use]
pub fn find<'a>(all: &'a [Micro], name: &str) -> Option<&'a Micro> {
    all.iter().find(|micro| micro.name == name)
}

fn changed(file: &Path) -> Option<SystemTime> {
    fs::metadata(file).and_then(|file| file.modified()).ok()
}

fn collect(directory: &Path, built: Option<SystemTime>, found: &mut Vec<Micro>) {
    let mut children: Vec<_> =
        fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    children.sort();
    for child in children.iter().filter(|child| child.is_dir()) {
        if !child.ends_with("new") {
            collect(child, built, found);
        } else if changed(&child.join("estimates.json")) > built {
            found.extend(one(child));
        }
    }
}

fn one(directory: &Path) -> Option<Micro> {
    let text = |name: &str| fs::read_to_string(directory.join(name)).ok();
    let benchmark: Benchmark = serde_json::from_str(&text("benchmark.json")?).ok()?;
    let estimates: Estimates = serde_json::from_str(&text("estimates.json")?).ok()?;
    let median_ns = estimates.median.point_estimate;
    let (elements, bytes) = match benchmark.throughput {
        Some(Throughput::Bytes(bytes) | Throughput::BytesDecimal(bytes)) => (None, Some(bytes)),
        Some(Throughput::Elements(elements)) => (Some(elements), None),
        Some(Throughput::ElementsAndBytes { elements, bytes }) => (Some(elements), Some(bytes)),
        Some(Throughput::Bits(bits)) => (None, Some(bits / 8)),
        None => (None, None),
    };
    let per_second = |amount: u64| amount as f64 / median_ns * 1e9;
    Some(Micro {
        name: benchmark.full_id,
        median_ns,
        elements_per_second: elements.map(per_second),
        bytes_per_second: bytes.map(per_second),
    })
}
