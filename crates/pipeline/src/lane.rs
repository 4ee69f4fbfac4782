//! A lane: one chain of processors for one server.
//!
//! Promises:
//! * batches are worked on one after the other, in the order of acceptance;
//! * processors are ticked every second, batches or not;
//! * what takes them longer is done in parts, between batches: a batch that comes meanwhile waits for one part at most;
//! * a panic in a processor loses the batch it happened in, counted, and nothing else: the chain is built anew and the
//!   queue goes on;
//! * once its queue is closed, the lane works off what it holds and ends, also if it has just failed and waits to be started again.

mod chain;

use std::sync::Arc;
use std::time::Duration;

use dbintel_model::{Batch, Clock, Text};
use parking_lot::Mutex;
use tokio::sync::{Mutex as AsyncMutex, mpsc, oneshot};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::door::Waiting;
use crate::exporter::{ExporterInput, ExporterTelemetry, Signals};
use crate::memory::MemoryState;
use crate::overrides::Overrides;
use crate::status::{State, StatusHandle};
use crate::telemetry::{Counter, Registry, definitions};
use crate::{
    Command, ComponentError, Door, Processor, QueueLimits, Reply, Request, RestoreError, StateStore,
    Supervised, Supervisor, WeightedQueue,
};
use chain::{Chain, count_lost};

/// How often processors are ticked.
pub const TICK: Duration = Duration::from_secs(1);
/// How long what the store kept is waited for once the lane is to end: the time it has for that is short.
const DRAINING_RESTORE_MAX: Duration = Duration::from_secs(1);
/// Commands that may wait for a lane.
const MAX_WAITING_COMMANDS: usize = 16;

/// Bounds of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneLimits {
    /// What may wait at the door.
    pub queue: QueueLimits,
}

/// The chain of a lane by itself, for what was recorded: batches go through it one by one, on the caller's thread and by the clock
/// of its context. There is no door and no queue, and ticks are the caller's.
pub struct LaneChain(Chain);

/// Makes a processor, at the start and after a panic.
#[derive(Clone)]
pub struct ProcessorFactory {
    /// The processor's id in the configuration.
    pub id: Text,
    /// Builds it from its validated configuration.
    pub build: Arc<dyn Fn() -> Box<dyn Processor> + Send + Sync>,
}

/// An exporter as a lane sees it.
#[derive(Clone, Debug)]
pub struct Sink {
    /// Its input.
    pub input: ExporterInput,
    /// The signals it gets from this lane.
    pub signals: Signals,
    /// Counts what its input had no room for.
    pub telemetry: ExporterTelemetry,
}

/// What a lane is built from.
#[derive(Clone)]
pub struct LaneContext {
    /// Name of the lane: the id of its receiver.
    pub id: Text,
    /// Its bounds.
    pub limits: LaneLimits,
    /// Its processors, in order.
    pub chain: Vec<ProcessorFactory>,
    /// Where its records go.
    pub sinks: Vec<Sink>,
    /// Where requests of its processors go: to its receiver, as [`crate::Requests`].
    pub requests: mpsc::Sender<Request>,
    /// Where state changes of its processors go; without a store they are counted as lost.
    pub store: Option<Arc<dyn StateStore>>,
    /// Memory pressure, shared by all doors.
    pub memory: MemoryState,
    /// What a person has switched off.
    pub overrides: Overrides,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Self-metrics.
    pub registry: Registry,
    /// Its entry on the status board.
    pub status: StatusHandle,
    /// Seed of the processors' randomness.
    pub seed: u64,
}

/// A lane, before it is started.
pub struct Lane;

/// A running lane.
#[derive(Debug)]
pub struct LaneHandle {
    door: Door,
    queue: Arc<WeightedQueue<Waiting>>,
    controls: LaneCommands,
    draining: CancellationToken,
    task: Supervised,
    id: Text,
    registry: Registry,
}

/// Asks the processors of a lane, for as long as it runs.
#[derive(Clone, Debug)]
pub struct LaneCommands(mpsc::Sender<Control>);

enum Control {
    Command(Command, oneshot::Sender<Vec<(Text, Reply)>>),
    Replace(Vec<ProcessorFactory>, oneshot::Sender<Vec<RestoreError>>),
}

/// What a lane does next.
enum Next {
    Batch(Waiting),
    Tick,
    Control(Control),
    /// The next part of what was begun.
    Part,
    /// Its queue is closed and empty.
    End,
}

/// What survives a restart of the lane's task.
struct Shared {
    cx: LaneContext,
    queue: Arc<WeightedQueue<Waiting>>,
    /// Cancelled once the lane is to end.
    draining: CancellationToken,
    factories: Mutex<Vec<ProcessorFactory>>,
    controls: AsyncMutex<mpsc::Receiver<Control>>,
    batches: Counter,
}

// === impl Lane ===

impl Lane {
    /// Starts a lane.
    #[must_use]
    pub fn start(cx: LaneContext, supervisor: &Supervisor) -> LaneHandle {
        let queue = Arc::new(WeightedQueue::new(cx.limits.queue));
        observe_queue(&cx, &queue);
        let door = Door::new(Arc::clone(&queue), cx.memory.clone(), cx.registry.clone(), cx.id.clone());
        let (controls, receiver) = mpsc::channel(MAX_WAITING_COMMANDS);
        let component = format!("lane/{}", cx.id).into();
        let (status, labels) = (cx.status.clone(), vec![("receiver", cx.id.clone())]);
        let (id, registry, draining) = (cx.id.clone(), cx.registry.clone(), CancellationToken::new());
        let shared = Arc::new(Shared {
            batches: cx.registry.counter(&definitions::LANE_BATCHES, labels),
            factories: Mutex::new(cx.chain.clone()),
            queue: Arc::clone(&queue),
            draining: draining.clone(),
            controls: AsyncMutex::new(receiver),
            cx,
        });
        let run = move || Arc::clone(&shared).run();
        let task = supervisor.start(component, status, CancellationToken::new(), run);
        LaneHandle { door, queue, controls: LaneCommands(controls), draining, task, id, registry }
    }
}

fn observe_queue(cx: &LaneContext, queue: &Arc<WeightedQueue<Waiting>>) {
    let labels = || vec![("receiver", cx.id.clone())];
    let max_bytes = cx.limits.queue.max_bytes;
    let (batches, bytes) = (Arc::clone(queue), Arc::clone(queue));
    cx.registry.observe(&definitions::LANE_QUEUE_BATCHES, labels(), move || Some(as_f64(batches.len())));
    cx.registry.observe(&definitions::LANE_QUEUE_BYTES, labels(), move || Some(as_f64(bytes.len_bytes())));
    cx.registry.observe(&definitions::LANE_QUEUE_BYTES_MAX, labels(), move || Some(as_f64(max_bytes)));
}

#[allow(clippy::cast_precision_loss, reason = "a queue length, for display")]
const fn as_f64(length: usize) -> f64 {
    length as f64
}

// === impl LaneChain ===

impl LaneChain {
    /// Builds the processors.
    #[must_use]
    pub fn new(cx: &LaneContext) -> Self {
        Self(Chain::build(&cx.chain, cx))
    }

    /// Sends a batch through all processors, and has them do all that it entails.
    pub fn process(&mut self, batch: Batch) {
        self.0.process(batch);
        while self.0.go_on() {}
    }

    /// Ticks every processor, and has them do all that it entails.
    pub fn tick(&mut self) {
        self.0.tick();
        while self.0.go_on() {}
    }
}

impl std::fmt::Debug for LaneChain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LaneChain").finish_non_exhaustive()
    }
}

// === impl LaneHandle ===

impl LaneHandle {
    /// The door for the lane's receiver.
    #[must_use]
    pub fn door(&self) -> Door {
        self.door.clone()
    }

    /// Asks every processor; answers by processor id. Empty if the lane does not answer.
    pub async fn command(&self, command: Command) -> Vec<(Text, Reply)> {
        self.controls.command(command).await.unwrap_or_default()
    }

    /// The same, for somebody who does not hold the lane.
    #[must_use]
    pub fn commands(&self) -> LaneCommands {
        self.controls.clone()
    }

    /// Replaces the chain between two batches. State goes over by processor id.
    ///
    /// # Errors
    /// The states that could not be taken over; those processors start without one.
    pub async fn replace_chain(&self, chain: Vec<ProcessorFactory>) -> Result<(), Vec<RestoreError>> {
        let (reply, answer) = oneshot::channel();
        if self.controls.0.send(Control::Replace(chain, reply)).await.is_err() {
            return Ok(());
        }
        match answer.await {
            Ok(errors) if !errors.is_empty() => Err(errors),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Closes the door, lets the lane work off what it holds, and waits for it. Says whether it ended in time; if not,
    /// what still waits is lost and counted.
    ///
    /// A batch that a processor is at work on is not counted: nothing can interrupt it, and it goes to the exporters if the processor
    /// comes to an end before the program does.
    pub async fn drain(self, within: Duration) -> bool {
        self.draining.cancel();
        self.queue.close();
        if self.task.join(within).await {
            return true;
        }
        let (mut batches, mut records) = (0_u64, 0);
        while let Some(waiting) = self.queue.try_pop() {
            batches += 1;
            records += waiting.batch.records.len() as u64;
        }
        if records > 0 {
            count_lost(&self.registry, &self.id, "shutdown", records);
        }
        tracing::error!(lane = %self.id, batches, records, "a lane did not drain before the deadline: what waited is lost");
        false
    }

    /// Reads the bytes that wait at the door, for as long as anybody asks.
    pub fn queue_bytes(&self) -> impl Fn() -> usize + Send + Sync + 'static {
        let queue = Arc::clone(&self.queue);
        move || queue.len_bytes()
    }
}

// === impl LaneCommands ===

impl LaneCommands {
    /// Asks every processor; answers by processor id. `None` if the lane does not answer.
    pub async fn command(&self, command: Command) -> Option<Vec<(Text, Reply)>> {
        let (reply, answer) = oneshot::channel();
        self.0.send(Control::Command(command, reply)).await.ok()?;
        answer.await.ok()
    }
}

// === impl Shared ===

impl Shared {
    async fn run(self: Arc<Self>) -> Result<(), ComponentError> {
        let mut controls = self.controls.lock().await;
        let mut chain = Chain::build(&self.factories.lock(), &self.cx);
        self.restore(&mut chain).await;
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        self.cx.status.set(State::Ok, self.cx.clock.now());
        let mut has_more = false;
        loop {
            // Each of these has its turn, however many of another one wait.
            let next = async {
                tokio::select! {
                    waiting = self.queue.pop() => waiting.map_or(Next::End, Next::Batch),
                    _ = tick.tick() => Next::Tick,
                    Some(control) = controls.recv() => Next::Control(control),
                }
            };
            let next = tokio::select! {
                biased;
                next = next => next,
                // Others on this thread have their turn between two parts.
                () = tokio::task::yield_now(), if has_more => Next::Part,
            };
            self.cx.status.working(self.cx.clock.monotonic());
            let is_batch = matches!(next, Next::Batch(_));
            match next {
                Next::Batch(waiting) => {
                    self.batches.increment();
                    chain.process(waiting.batch);
                }
                Next::Tick => chain.tick(),
                Next::Control(control) => self.control(&mut chain, control),
                Next::Part => {}
                Next::End => break,
            }
            has_more = chain.go_on();
            if is_batch {
                self.cx.status.idle(self.cx.clock.now());
            } else {
                self.cx.status.rests();
            }
        }
        chain.finish();
        self.cx.status.rests();
        Ok(())
    }

    /// What the store kept goes to the processors before the first batch does, which waits at the door meanwhile.
    async fn restore(&self, chain: &mut Chain) {
        let Some(store) = &self.cx.store else { return };
        let kept = tokio::select! {
            kept = store.load() => kept,
            () = self.draining_for(DRAINING_RESTORE_MAX) => {
                tracing::warn!(lane = %self.cx.id, "the lane ends before the store could be read: nothing is written over what was kept");
                return chain.forget_store();
            }
        };
        let (values, errors) = chain.restore_kept(&kept);
        if values > 0 {
            tracing::info!(lane = %self.cx.id, values, "what the store kept was taken over");
        }
        for error in errors {
            tracing::error!(lane = %self.cx.id, "{error}; it begins without");
        }
    }

    async fn draining_for(&self, time: Duration) {
        self.draining.cancelled().await;
        tokio::time::sleep(time).await;
    }

    fn control(&self, chain: &mut Chain, control: Control) {
        // Whoever asked may have gone; then nobody wants the answer.
        match control {
            Control::Command(command, reply) => drop(reply.send(chain.command(&command))),
            Control::Replace(factories, reply) => {
                // What waits to be stored goes now: the successors know what is, and not what of it the store lacks.
                chain.finish();
                let snapshots = chain.snapshots();
                *chain = Chain::build(&factories, &self.cx);
                *self.factories.lock() = factories;
                drop(reply.send(chain.restore(&snapshots)));
            }
        }
    }
}

#[cfg(test)]
mod tests;
