//! A server without processor time: all of its processes share one processor with others that never rest and weigh hundreds
//! of times as much together, so that the kernel's own shares make every statement slow, on any machine and whatever else it does. The
//! other processors, and with them the test and other servers, have nothing of it.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use dbintel_testkit::postgres::Cluster;
use tokio::task::JoinSet;

/// Processes that never rest.
const BURNERS: usize = 4;
/// The smallest weight there is.
const NICEST: &str = "19";
/// How often new processes of the server are looked for.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Load that ends when this is dropped.
pub struct Starved {
    burners: Vec<Child>,
    _looking: JoinSet<()>,
}

impl Starved {
    pub fn start(cluster: &Cluster) -> Self {
        let (processor, postmaster) = (last_processor(), cluster.pid());
        let mut starved = BTreeSet::new();
        starve_new(postmaster, &processor, &mut starved);
        let mut looking = JoinSet::new();
        let pinned = processor.clone();
        looking.spawn(async move {
            loop {
                tokio::time::sleep(LOOK_INTERVAL).await;
                starve_new(postmaster, &pinned, &mut starved);
            }
        });
        // They end by themselves should the test be killed.
        let burn = r#"while kill -0 "$1" 2>/dev/null; do :; done"#;
        let test = std::process::id().to_string();
        let burner = || {
            // A session each: where the kernel groups by session, a group weighs as much as one process.
            let arguments = ["taskset", "-c", &processor, "sh", "-c", burn, "burner", &test];
            Command::new("setsid")
                .args(arguments)
                .stdin(Stdio::null())
                .spawn()
                .expect("taskset of util-linux")
        };
        Self { burners: (0..BURNERS).map(|_| burner()).collect(), _looking: looking }
    }
}

impl Drop for Starved {
    fn drop(&mut self) {
        for burner in &mut self.burners {
            let _ = burner.kill();
            let _ = burner.wait();
        }
    }
}

/// Takes weight and all processors but one from the server's processes that were not seen before.
fn starve_new(postmaster: u32, processor: &str, starved: &mut BTreeSet<u32>) {
    let children = fs::read_to_string(format!("/proc/{postmaster}/task/{postmaster}/children"));
    let children = children.unwrap_or_default();
    let children = children.split_whitespace().filter_map(|pid| pid.parse().ok());
    for pid in children.chain([postmaster]) {
        if starved.insert(pid) {
            let pid = pid.to_string();
            quietly("taskset", &["-c", "-p", processor, &pid]);
            quietly("renice", &["-n", NICEST, "-p", &pid]);
            // Each backend is a session. Where the kernel groups by session, the group's weight is what counts.
            let _ = fs::write(format!("/proc/{pid}/autogroup"), NICEST);
        }
    }
}

/// A process may be gone by now.
fn quietly(program: &str, arguments: &[&str]) {
    let mut command = Command::new(program);
    let _ = command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
}

/// The last of the processors that we may use.
fn last_processor() -> String {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).expect("Linux");
    list.rsplit([',', '-']).next().expect("one at least").trim().to_owned()
}
