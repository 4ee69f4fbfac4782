//! `replay`: what was recorded goes through the processors again, on the clock of the records.
//!
//! Promises:
//! * the processors are those of a lane that runs, made by the same code; there is no receiver, no exporter and no store, and no
//!   connection is opened;
//! * time is what the records say: the clock stands at the server clock of the batch that is worked on, and goes back where the
//!   next file begins earlier. Processors are ticked before a batch if a second or more has passed since the last tick, once,
//!   however long that was: what they do at a tick depends on the time that has passed, and what they do in parts they
//!   finish with the same batch;
//! * the same files give the same findings.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use dbintel_admin::resources::ResourceMonitor;
use dbintel_config::values::ComponentId;
use dbintel_model::{Batch, Clock as _, Finding, FindingEvent, ManualClock, Server, Timestamp};
use dbintel_pipeline::overrides::Overrides;
use dbintel_pipeline::telemetry::Registry;
use dbintel_pipeline::{LaneChain, StateChange, StateRefused, StateStore, TICK};
use dbintel_replay::{Counts, Kind, Reader};
use tokio::sync::mpsc;

use super::wiring::Wiring;
use crate::assembly::{self, Checked};
use crate::commands::{as_json, print, report_warnings};
use crate::components::ProcessorPlan;

/// Findings that one batch can open or change; further ones are lost, counted and told.
const FINDINGS_PER_BATCH_MAX: usize = 4_096;
/// The processor without which nothing is found.
const VERIFIER: &str = "regression_verifier";

type Chain = [(ComponentId, ProcessorPlan)];

/// Sends the files through the processors of this configuration, or through the default ones.
///
/// # Errors
/// If nothing could be read, or standard output cannot be written.
pub fn replay(checked: Option<&Checked>, files: &[PathBuf]) -> anyhow::Result<()> {
    if let Some(checked) = checked {
        report_warnings(checked)?;
    }
    let mut player = Player::new(checked);
    let mut reader = Reader::default();
    let mut failed = None;
    let mut take = |batch: Batch| {
        if failed.is_none() {
            failed = player.take(batch).err();
        }
    };
    for file in files {
        reader.read(file, &mut take);
    }
    reader.finish(&mut take);
    if let Some(error) = failed {
        return Err(error);
    }
    let counts = reader.counts();
    let text = summary(&counts, &player);
    std::io::stderr().lock().write_all(text.as_bytes()).context("standard error")?;
    if counts.used() == 0 {
        return Err(anyhow!("nothing in these files is for the processors; see the summary above"));
    }
    Ok(())
}

/// The processors of every server, and their clock.
struct Player<'a> {
    checked: Option<&'a Checked>,
    default: Vec<(ComponentId, ProcessorPlan)>,
    clock: ManualClock,
    wiring: Wiring,
    lanes: Vec<Playing>,
    findings: mpsc::Receiver<FindingEvent>,
    sink: Arc<Found>,
    opened: u64,
    changed: u64,
}

/// The processors of one server.
struct Playing {
    server: Arc<Server>,
    chain: LaneChain,
    ticked: Timestamp,
}

/// Takes what is found where a store would. State of processors stays with them.
#[derive(Debug)]
struct Found(mpsc::Sender<FindingEvent>);

impl StateStore for Found {
    fn put(&self, _change: StateChange) -> Result<(), StateRefused> {
        Ok(())
    }

    fn finding(&self, event: &FindingEvent) -> Result<(), StateRefused> {
        self.0.try_send(event.clone()).map_err(|_| StateRefused::Full)
    }
}

// === impl Player ===

impl<'a> Player<'a> {
    fn new(checked: Option<&'a Checked>) -> Self {
        let clock = ManualClock::at(Timestamp::default());
        let shared: Arc<dyn dbintel_model::Clock> = Arc::new(clock.clone());
        let monitor = ResourceMonitor::new(Arc::clone(&shared), None);
        let overrides = Overrides::new(Arc::clone(&shared));
        let (sender, findings) = mpsc::channel(FINDINGS_PER_BATCH_MAX);
        Self {
            wiring: Wiring::new(shared, Registry::default(), &monitor, overrides),
            default: assembly::default_chain(),
            lanes: Vec::new(),
            sink: Arc::new(Found(sender)),
            checked,
            clock,
            findings,
            opened: 0,
            changed: 0,
        }
    }

    fn take(&mut self, batch: Batch) -> anyhow::Result<()> {
        let at = batch.server_clock.unwrap_or(batch.observed_at);
        self.set_clock(at);
        let place = self.lane(&batch.target.server);
        if let Some(lane) = self.lanes.get_mut(place) {
            // A clock that went back begins to count anew.
            if at < lane.ticked || at.since(lane.ticked) >= TICK {
                lane.ticked = at;
                lane.chain.tick();
            }
            lane.chain.process(batch);
        }
        self.print()
    }

    fn set_clock(&self, at: Timestamp) {
        let now = self.clock.now();
        if at > now {
            self.clock.advance(at.since(now));
        } else {
            self.clock.set_wall(at);
        }
    }

    /// The place of the processors of this server, made if there are none yet.
    fn lane(&mut self, server: &Arc<Server>) -> usize {
        if let Some(place) = self.lanes.iter().position(|lane| Arc::ptr_eq(&lane.server, server)) {
            return place;
        }
        let plan = chain_of(self.checked, server).unwrap_or(&self.default);
        let chain = self.wiring.alone(server, plan, Arc::clone(&self.sink) as Arc<dyn StateStore>);
        let ticked = self.clock.now();
        self.lanes.push(Playing { server: Arc::clone(server), chain, ticked });
        self.lanes.len() - 1
    }

    fn print(&mut self) -> anyhow::Result<()> {
        while let Ok(event) = self.findings.try_recv() {
            let finding: &Finding = &event.finding;
            match event.news {
                dbintel_model::finding::FindingNews::Opened => self.opened += 1,
                dbintel_model::finding::FindingNews::Changed { .. } => self.changed += 1,
            }
            print(&as_json(finding)?)?;
        }
        Ok(())
    }

    /// Whether some server has processors that can find nothing.
    fn is_without_verifier(&self) -> bool {
        let has = |chain: &Chain| chain.iter().any(|(id, _)| id.kind() == VERIFIER);
        let chains = self.lanes.iter().map(|lane| chain_of(self.checked, &lane.server));
        chains.flatten().any(|chain| !has(chain))
    }
}

/// The chain by which this configuration watches the server; if it watches none at this address, that of its first receiver.
fn chain_of<'a>(checked: Option<&'a Checked>, server: &Server) -> Option<&'a Chain> {
    let lanes = &checked?.assembly.lanes;
    let watched = lanes.iter().find(|(id, lane)| {
        let of_lane = lane.receiver.server(id.to_string().into(), &[]);
        (&of_lane.address, of_lane.port) == (&server.address, server.port)
    });
    let lane = watched.or_else(|| lanes.iter().next());
    lane.map(|(_, lane)| lane.chain.as_slice())
}

/// What was read and found, for a person.
fn summary(counts: &Counts, player: &Player<'_>) -> String {
    let mut text = String::new();
    let mut line = |line: std::fmt::Arguments<'_>| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{line}");
    };
    for problem in &counts.first_problems {
        line(format_args!("{problem}"));
    }
    let not_shown = counts.problems.saturating_sub(counts.first_problems.len() as u64);
    if not_shown > 0 {
        line(format_args!("... and {not_shown} more problems"));
    }
    let Counts { files, lines, bytes, servers, problems, .. } = counts;
    line(format_args!(
        "read: {files} files, {lines} lines, {bytes} bytes, {servers} servers, {problems} problems"
    ));
    if let (Some(first), Some(last)) = (counts.first, counts.last) {
        line(format_args!("time: {first} to {last}"));
    }
    for (kind, records) in Kind::ALL.into_iter().zip(counts.records) {
        line(format_args!("  {records:>12}  {}", kind.as_str()));
    }
    for (why, records) in &counts.passed_over {
        line(format_args!("  {records:>12}  passed over: {why}"));
    }
    for (what, records) in &counts.unused {
        line(format_args!("  {records:>12}  not needed: {what}"));
    }
    if player.is_without_verifier() {
        line(format_args!("the configured processors have no {VERIFIER}, without which nothing is found"));
    }
    line(format_args!("findings: {} opened, {} changed", player.opened, player.changed));
    text
}
