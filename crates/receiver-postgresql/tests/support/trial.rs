//! A receiver whose server gets into trouble, and one whose server does not: what the guard of the first did and when,
//! what it cost, and that the second took no notice. `make trials` keeps the tables in `docs/trials.md`.

use std::fmt::Write as _;
use std::time::Duration;

use dbintel_admission::{FailureClass, Level, NodeTransition, Purpose, State};
use dbintel_model::{Clock as _, SystemClock, Timestamp};
use dbintel_receiver_postgresql::query::connection::DEADLINE_MARGIN;
use dbintel_testkit::postgres::{Cluster, Major, Options};

use super::Watched;
use super::settings::{cluster, yaml};

/// A guard with waits that a test can wait for.
pub const IMPATIENT: &str = "{limits: {budget: 12s}, max_backoff: 2s}";
/// Polls of the server in no trouble while the other one is in it.
const POLLS_MEANWHILE: f64 = 3.0;
/// How often each database is read (`object_collection`).
const INTERVAL: Duration = Duration::from_secs(1);
/// A database that keeps its cadence is read at least every other time: the rest is for a machine that is busy.
const CADENCE_KEPT: f64 = 0.5;
/// Where the tables go, a file each, if it is set.
const DIRECTORY: &str = "DBINTEL_TRIALS";
/// Tenths of a second that something may take; the budget alone looks back for a minute.
const PATIENCE_TENTHS: u32 = 1_200;
/// Statements under way in one database at most, and a probe.
const PLACES: u32 = 5;
const POLLS: (&str, [(&str, &str); 1]) = ("dbintel_polls_total", [("loop", "server")]);

/// How often a database was read from its first reading on.
struct Cadence {
    readings: usize,
    over: Duration,
    /// Between two readings, or since the last one.
    longest: Duration,
}

/// See the module.
pub struct Trial {
    name: &'static str,
    pub watched: Watched,
    bystander: Watched,
    _healthy: Cluster,
}

impl Trial {
    /// Watches a server with this configuration and this guard, and another server beside it.
    pub async fn start(name: &'static str, config: &str, guard: &str) -> Self {
        let healthy = cluster(Major::V17, Options::new()).await;
        let bystander = Watched::start_guarded(&yaml(healthy.port(), &[]), IMPATIENT);
        Self { name, watched: Watched::start_guarded(config, guard), bystander, _healthy: healthy }
    }

    /// Waits until the server's breaker is in this state.
    pub async fn until_server(&self, state: State) {
        self.until(|watched| watched.guard.view().breaker.state == state).await;
    }

    /// Waits until the guard satisfies a condition.
    pub async fn until(&self, wanted: impl Fn(&Watched) -> bool) {
        for _ in 0..PATIENCE_TENTHS {
            if wanted(&self.watched) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{}: it did not come to it: {:#?}", self.name, self.watched.guard.describe());
    }

    /// The trouble goes on, and the other server is polled all the same, in all its databases.
    pub async fn others_go_on(&mut self) {
        let (name, labels) = POLLS;
        let before = self.bystander.own(name, &labels).unwrap_or(0.0);
        self.bystander.until_own(name, &labels, |now| now >= before + POLLS_MEANWHILE).await;
        let orders = [("db.namespace", "postgres|public"), ("db.collection.name", "orders")];
        self.bystander.still_delivers("postgresql.rows", &orders).await;
    }

    /// A database of the server in trouble was read as often as it should be, from the beginning until now.
    pub fn keeps_cadence(&self, database: &str) {
        Cadence::of(&self.watched, database).is_kept(database);
    }

    /// Changes of state of the breakers that concern more than one query.
    pub fn wide(&self) -> Vec<NodeTransition> {
        self.watched.guard.transitions().into_iter().filter(|done| done.level != Level::Feature).collect()
    }

    /// Changes of state of the breaker of one query.
    pub fn of_feature(&self, feature: &str) -> Vec<NodeTransition> {
        let is = |done: &NodeTransition| done.feature.as_deref() == Some(feature);
        self.watched.guard.transitions().into_iter().filter(is).collect()
    }

    /// Classes that opened a breaker.
    pub fn opened_by(&self) -> Vec<FailureClass> {
        let transitions = self.watched.guard.transitions().into_iter();
        let opened = transitions.filter(|done| done.transition.to == State::Open);
        opened.filter_map(|done| done.transition.class).collect()
    }

    /// Prints what happened and what it cost, checks what must hold of any trouble, and stops.
    #[allow(clippy::print_stdout, reason = "the table is for people to read, and shown when a test fails")]
    pub async fn end(self) {
        let table = self.table();
        println!("{table}");
        if let Some(directory) = std::env::var_os(DIRECTORY) {
            let file =
                std::path::Path::new(&directory).join(self.name.replace(' ', "-")).with_extension("md");
            std::fs::write(file, table).expect("the directory is there");
        }
        let done = self.watched.guard.transitions();
        let mut breakers: Vec<_> =
            done.iter().map(|done| (done.level, done.database.clone(), done.feature.clone())).collect();
        breakers.sort_unstable();
        breakers.dedup();
        for breaker in breakers {
            let of_it = done
                .iter()
                .filter(|done| (done.level, done.database.clone(), done.feature.clone()) == breaker);
            let mut state = State::Closed;
            for step in of_it.map(|done| &done.transition) {
                assert_eq!(step.from, state, "{breaker:?}: {done:#?}");
                let half_open = (step.from == State::Open) == (step.to == State::HalfOpen);
                assert!(half_open, "{breaker:?} closed without a probe: {done:#?}");
                state = step.to;
            }
        }
        let ours = self.watched.guard.view();
        assert_eq!(ours.breaker.state, State::Closed, "it recovered by itself");
        for node in &ours.nodes {
            assert_eq!(node.breaker.state, State::Closed, "{:?} recovered by itself", node.database);
            // What is beyond the budget is a statement in each place, and a probe. What a connection costs is ours to wait
            // for, and has the time of a statement neither as limit nor as measure.
            let longest = node.features.iter().map(|feature| feature.timeout).max().unwrap_or_default();
            let connecting = node.spent_by_purpose.iter().find(|(purpose, _)| *purpose == Purpose::Connect);
            let spent = node.spent.saturating_sub(connecting.map_or(Duration::ZERO, |(_, spent)| *spent));
            assert!(spent <= node.budget + (longest + DEADLINE_MARGIN) * PLACES, "{node:#?}");
        }
        Cadence::of(&self.bystander, "postgres").is_kept("of the other server");
        let theirs = self.bystander.guard.view();
        assert!(self.bystander.guard.transitions().is_empty(), "{:#?}", self.bystander.guard.transitions());
        assert!(theirs.nodes.iter().all(|node| node.pressure.stretch <= 1.0), "{theirs:#?}");
        self.watched.stop().await;
        self.bystander.stop().await;
    }

    /// What the breakers did and when, and what it all cost.
    fn table(&self) -> String {
        let mut text = format!("## {}\n\n", self.name);
        text.push_str(
            "| second | breaker | from | to | because of | next probe after |\n|---|---|---|---|---|---|\n",
        );
        for done in self.watched.guard.transitions() {
            let step = &done.transition;
            let place = match (done.level, &done.database, &done.feature) {
                (Level::Server | Level::Process, _, _) => "server".to_owned(),
                (_, database, feature) => {
                    let names = [database.as_deref().unwrap_or("(server)"), feature.as_deref().unwrap_or("")];
                    names.join(" ").trim_end().to_owned()
                }
            };
            let second = step.at.since(self.watched.started).as_secs_f64();
            let class = step.class.map_or("order", FailureClass::as_str);
            let wait = step.wait.map_or_else(String::new, |wait| format!("{:.1} s", wait.as_secs_f64()));
            let (from, to) = (step.from.as_str(), step.to.as_str());
            let _ = writeln!(text, "| {second:.1} | {place} | {from} | {to} | {class} | {wait} |");
        }
        text.push_str("\n| database | purpose | said by | ms since the start |\n|---|---|---|---|\n");
        for node in self.watched.guard.view().nodes {
            let name = node.database.as_deref().unwrap_or("(server)").to_owned();
            for (purpose, source, total) in node.totals {
                let (purpose, source, ms) = (purpose.as_str(), source.as_str(), total.as_secs_f64() * 1e3);
                let _ = writeln!(text, "| {name} | {purpose} | {source} | {ms:.1} |");
            }
        }
        text.push_str("\n| server | database | readings | seconds | longest without one, s |\n|---|---|---:|---:|---:|\n");
        for (server, watched) in [("in trouble", &self.watched), ("the other", &self.bystander)] {
            let databases: Vec<_> = watched.visits.lock().keys().cloned().collect();
            for database in databases {
                let Cadence { readings, over, longest } = Cadence::of(watched, &database);
                let (over, longest) = (over.as_secs_f64(), longest.as_secs_f64());
                let _ = writeln!(text, "| {server} | {database} | {readings} | {over:.0} | {longest:.1} |");
            }
        }
        text
    }
}

// === impl Cadence ===

impl Cadence {
    /// Of a database that has been read.
    fn of(watched: &Watched, database: &str) -> Self {
        let visits = watched.visits.lock();
        let visits: Vec<Timestamp> = visits
            .get(database)
            .into_iter()
            .flatten()
            .copied()
            .chain([SystemClock::default().now()])
            .collect();
        let pauses = visits.windows(2).map(|pair| pair[1].since(pair[0]));
        Self {
            readings: visits.len() - 1,
            over: visits[visits.len() - 1].since(visits[0]),
            longest: pauses.max().unwrap_or_default(),
        }
    }

    fn is_kept(&self, of: &str) {
        let Self { readings, over, .. } = *self;
        let due = over.as_secs_f64() / INTERVAL.as_secs_f64();
        assert!(
            readings > 0 && readings as f64 >= due * CADENCE_KEPT,
            "{of}: {readings} of {due:.0} readings"
        );
    }
}
