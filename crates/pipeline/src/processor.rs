//! Processors: pure steps of a lane.
//!
//! A processor does no I/O and has no clock or randomness of its own: both are in [`Context`]. What it produces goes to
//! [`Output`]: records, requests to the receiver, keyed state for the store. So each one can be tested on simulated
//! time and replayed from a seed.

mod view;

use std::sync::Arc;

use dbintel_model::finding::{Decision, FindingEvent};
use dbintel_model::{Batch, FindingId, Monotonic, PlanMissing, QueryKey, Text, Timestamp};
use futures_util::future::BoxFuture;

pub use self::view::{
    FindingLine, FindingsView, GivenUpView, HourView, StatementView, StatementsView, WatchedView,
};

/// Requests to the receiver that one call may make; further ones are counted as lost.
pub const MAX_REQUESTS_PER_CALL: usize = 256;
/// Changes of state that one call may give out; further ones are counted as lost.
pub const MAX_STATE_CHANGES_PER_CALL: usize = 4_096;

/// One step of a lane.
pub trait Processor: Send {
    /// Its id in the configuration, for instance `memory_limiter`.
    fn id(&self) -> &str;

    /// Works on a batch. What is to go on is given to `out`; what is not is dropped, and the processor counts it.
    fn process(&mut self, cx: &mut Context<'_>, batch: Batch, out: &mut Output);

    /// Called every second, also without batches, for what is short and goes by the clock. What takes longer is begun here or
    /// with a batch, and done by [`Self::go_on`].
    fn tick(&mut self, _cx: &mut Context<'_>, _out: &mut Output) {}

    /// Does the next part of what was begun, and says whether there is more.
    ///
    /// It is called as long as there is, while no batch waits, and once between two batches: a batch that comes meanwhile waits for
    /// one part. So a part should take a tenth of a millisecond.
    fn go_on(&mut self, _cx: &mut Context<'_>, _out: &mut Output) -> bool {
        false
    }

    /// Called before the lane ends or the chain is replaced: what was to be done little by little is now to be done by [`Self::go_on`], all of it.
    fn finish(&mut self) {}

    /// Answers an operator's command.
    fn command(&mut self, _cx: &mut Context<'_>, _command: &Command, _out: &mut Output) -> Reply {
        Reply::default()
    }

    /// Its state, to be handed to its successor or kept in the store. `None` where it has none.
    fn snapshot(&self) -> Option<Vec<u8>> {
        None
    }

    /// Takes over the state of its predecessor.
    ///
    /// # Errors
    /// [`RestoreError`] if the state is not of this processor; it then starts with none.
    fn restore(&mut self, _state: &[u8]) -> Result<(), RestoreError> {
        Ok(())
    }

    /// Takes over what it gave to the store before the process or the lane was started anew: keys without the processor's
    /// id, and values.
    ///
    /// # Errors
    /// [`RestoreError`] if nothing of it can be used; it then starts with none.
    fn restore_kept(&mut self, _kept: &[(&str, &[u8])]) -> Result<(), RestoreError> {
        Ok(())
    }
}

/// What a processor may know beyond the batch.
#[derive(Debug)]
pub struct Context<'a> {
    /// The wall clock.
    pub now: Timestamp,
    /// The clock for durations.
    pub monotonic: Monotonic,
    /// Seeded randomness.
    pub random: &'a mut fastrand::Rng,
}

/// What a processor gives out.
#[derive(Debug, Default)]
pub struct Output {
    batches: Vec<Batch>,
    requests: Vec<Request>,
    state: Vec<StateChange>,
    lost_requests: u64,
    lost_state: u64,
}

/// Something a processor wants from the receiver of its lane.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// The plan of this statement is wanted.
    Plan(QueryKey),
}

/// One keyed value for the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateChange {
    /// Processor and key.
    pub key: Text,
    /// The value; `None` removes it.
    pub value: Option<Vec<u8>>,
}

/// Where the state changes of one lane go. It never waits: the lane goes on whatever the store does.
pub trait StateStore: Send + Sync + std::fmt::Debug {
    /// Takes a change, to be written soon.
    ///
    /// # Errors
    /// [`StateRefused`] if it will not be written.
    fn put(&self, change: StateChange) -> Result<(), StateRefused>;

    /// Takes a finding, or what became of one, to be written soon. It leaves for backends all the same.
    ///
    /// # Errors
    /// [`StateRefused`] if it will not be written.
    fn finding(&self, _event: &FindingEvent) -> Result<(), StateRefused> {
        Err(StateRefused::Closed)
    }

    /// Everything that is kept, for processors that begin. What cannot be read is missing, and the store says so.
    fn load(&self) -> BoxFuture<'_, Vec<StateChange>> {
        Box::pin(std::future::ready(Vec::new()))
    }
}

/// Why a state change is not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StateRefused {
    /// Too much is waiting to be written already.
    Full,
    /// The value alone is larger than the store takes.
    TooLarge,
    /// The store has ended.
    Closed,
}

/// An operator's command to the processors of a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Show what you are set to and what you hold.
    Show,
    /// Show the plans you know: of every statement in short, or of one in full.
    Plans {
        /// [`PlanView::statement`] of the one that is shown in full, or [`PlanView::query_id`] of those that are.
        statement: Option<Text>,
    },
    /// Show the findings that have not come to their end: the most urgent ones in full and what is watched, or one in full.
    Findings {
        /// Id of the one that is shown in full.
        finding: Option<FindingId>,
    },
    /// Show the statements that lose, or take, the most time.
    Statements,
    /// Take note of what persons decided, in this order. Decisions about findings of others may be among them, and each may
    /// come again.
    Decisions(Arc<[FindingDecision]>),
}

/// What a person decided about a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FindingDecision {
    /// The finding.
    pub finding: FindingId,
    /// The decision.
    pub decision: Decision,
}

/// A processor's answer to a command: names and values, for a page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reply {
    /// Lines of the answer.
    pub lines: Vec<(Text, Text)>,
    /// Plans, where these were asked for.
    pub plans: Vec<PlanView>,
    /// Statements that have none, where plans of all statements were asked for.
    pub without_plan: Vec<MissingPlanView>,
    /// Findings, where these were asked for; `None` of a processor that has none.
    pub findings: Option<Box<FindingsView>>,
    /// Statements, where these were asked for; `None` of a processor that keeps none.
    pub statements: Option<Box<StatementsView>>,
}

/// A statement that has no plan, for a page.
#[derive(Clone, Debug, PartialEq)]
pub struct MissingPlanView {
    /// Database.
    pub database: Text,
    /// Role.
    pub user: Text,
    /// Query identifier, as the server prints it.
    pub query_id: Text,
    /// The statement in short, where its text is known and may leave.
    pub summary: Option<Text>,
    /// Why.
    pub missing: PlanMissing,
    /// When it was last tried, by the server's clock.
    pub at: Timestamp,
}

/// The plan of a statement on one rung, for a page. Nothing in it is a literal of the statement.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PlanView {
    /// By what the statement is asked for.
    pub statement: Text,
    /// Database.
    pub database: Text,
    /// Role.
    pub user: Text,
    /// Query identifier, as the server prints it.
    pub query_id: Text,
    /// The statement in short, where its text is known and may leave.
    pub summary: Option<Text>,
    /// How the plan was obtained.
    pub rung: &'static str,
    /// Exact fingerprint, in hexadecimal.
    pub fingerprint: Text,
    /// The planner's cost.
    pub cost: Option<f64>,
    /// When the plan became the current one, by the server's clock.
    pub first_seen: Timestamp,
    /// When it was last seen.
    pub last_seen: Timestamp,
    /// When the plan changed last; `None` if it never did.
    pub changed_at: Option<Timestamp>,
    /// How often it changed.
    pub changes: u64,
    /// More, where this statement was asked for.
    pub details: Option<PlanDetails>,
}

/// A plan in full.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanDetails {
    /// The plan as a tree, the costly nodes marked.
    pub tree: Text,
    /// The plan before.
    pub previous: Option<Text>,
    /// What is different between the two.
    pub difference: Vec<Text>,
    /// Fingerprints the statement had before, with the times.
    pub earlier: Vec<(Text, Text)>,
}

/// A state that could not be taken over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the state of processor {id} could not be taken over: {reason}")]
pub struct RestoreError {
    /// The processor.
    pub id: Text,
    /// What is wrong with the state.
    pub reason: Text,
}

impl StateRefused {
    /// The reason as a label: closed set, lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "store_full",
            Self::TooLarge => "too_large",
            Self::Closed => "no_store",
        }
    }
}

impl StateStore for tokio::sync::mpsc::Sender<StateChange> {
    fn put(&self, change: StateChange) -> Result<(), StateRefused> {
        self.try_send(change).map_err(|error| match error {
            tokio::sync::mpsc::error::TrySendError::Full(_) => StateRefused::Full,
            tokio::sync::mpsc::error::TrySendError::Closed(_) => StateRefused::Closed,
        })
    }
}

impl Output {
    /// Passes a batch on to the next processor, or to the exporters after the last one.
    pub fn emit(&mut self, batch: Batch) {
        self.batches.push(batch);
    }

    /// Asks the receiver for something. Bounded by [`MAX_REQUESTS_PER_CALL`].
    pub fn request(&mut self, request: Request) {
        if self.requests.len() < MAX_REQUESTS_PER_CALL {
            self.requests.push(request);
        } else {
            self.lost_requests += 1;
        }
    }

    /// Changes a value in the store. Bounded by [`MAX_STATE_CHANGES_PER_CALL`].
    pub fn store(&mut self, change: StateChange) {
        if self.state.len() < MAX_STATE_CHANGES_PER_CALL {
            self.state.push(change);
        } else {
            self.lost_state += 1;
        }
    }

    /// Takes the batches out.
    pub fn take_batches(&mut self) -> Vec<Batch> {
        std::mem::take(&mut self.batches)
    }

    /// Takes the requests out, with the number of those that found no room.
    pub fn take_requests(&mut self) -> (Vec<Request>, u64) {
        (std::mem::take(&mut self.requests), std::mem::take(&mut self.lost_requests))
    }

    /// Takes the state changes out, with the number of those that found no room.
    pub fn take_state(&mut self) -> (Vec<StateChange>, u64) {
        (std::mem::take(&mut self.state), std::mem::take(&mut self.lost_state))
    }
}
