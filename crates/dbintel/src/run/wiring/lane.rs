//! One lane and its receiver. Both can be stopped and started again while everything else goes on; the receiver also
//! while its own lane goes on.
//!
//! Promises:
//! * a receiver that is started again begins with a baseline: nothing is counted twice;
//! * what the lane's processors ask for while the receiver is stopped waits for the next one, up to a bound, and is
//!   counted as lost beyond it;
//! * a lane that is stopped passes on what it has accepted, or, past the time it is given, counts that as lost.

use std::sync::Arc;
use std::time::Duration;

use dbintel_model::Server;
use dbintel_pipeline::admission::Admission;
use dbintel_pipeline::memory::MemoryAccount;
use dbintel_pipeline::status::ComponentKind;
use dbintel_pipeline::{Lane, LaneContext, LaneHandle, ReceiverContext, Requests, Supervised, Turn};
use dbintel_processors::circuit_breaker::Guard;
use tokio_util::sync::CancellationToken;

use super::Commons;
use crate::components::ReceiverPlan;

/// Shares of the shutdown deadline: receivers stop, lanes drain, exporters flush, what is left is cut off.
const RECEIVERS_SHARE: u32 = 4;
const LANES_SHARE: u32 = 4;

/// See the module.
pub(super) struct RunningLane {
    pub(super) handle: LaneHandle,
    commons: Commons,
    source: Source,
    /// `None` while it is stopped.
    receiver: Option<Supervised>,
    /// Shows the bytes that wait at the door for as long as the lane runs.
    _account: MemoryAccount,
}

/// What a receiver is built from.
pub(super) struct Source {
    pub(super) plan: ReceiverPlan,
    pub(super) server: Arc<Server>,
    pub(super) guard: Guard,
    pub(super) requests: Requests,
    pub(super) turn: Turn,
}

impl RunningLane {
    /// A lane and its receiver, started.
    pub(super) fn new(cx: LaneContext, source: Source, commons: &Commons) -> Self {
        let account = format!("lane {} queue", cx.id).into();
        let handle = Lane::start(cx, &commons.supervisor);
        let account = commons.accounts.open(account, handle.queue_bytes());
        let mut lane = Self { handle, commons: commons.clone(), source, receiver: None, _account: account };
        lane.start_receiver();
        lane
    }

    /// Starts the receiver if it is stopped.
    pub(super) fn start_receiver(&mut self) {
        if self.receiver.is_some() {
            return;
        }
        let Commons { clock, registry, board, supervisor, accounts, .. } = &self.commons;
        let Source { plan, server, guard, requests, turn } = &self.source;
        let turn = *turn;
        let name = server.receiver.clone();
        let component = format!("receiver/{name}").into();
        let status = board.register(ComponentKind::Receiver, name, clock.now());
        let shutdown = CancellationToken::new();
        let (plan, server, requests) = (plan.clone(), Arc::clone(server), requests.clone());
        let (door, clock) = (self.handle.door(), Arc::clone(clock));
        let (registry, accounts) = (registry.clone(), accounts.clone());
        let admission: Arc<dyn Admission> = Arc::new(guard.clone());
        let (of_receiver, stop) = (status.clone(), shutdown.clone());
        let run = move || {
            let cx = ReceiverContext {
                door: door.clone(),
                admission: Arc::clone(&admission),
                requests: requests.clone(),
                accounts: accounts.clone(),
                clock: Arc::clone(&clock),
                registry: registry.clone(),
                status: of_receiver.clone(),
                shutdown: stop.clone(),
            };
            plan.build(Arc::clone(&server), turn).run(cx)
        };
        self.receiver = Some(supervisor.start(component, status, shutdown, run));
    }

    /// Stops the receiver if it runs; past the time it is ended where it stands.
    pub(super) async fn stop_receiver(&mut self, within: Duration) {
        if let Some(receiver) = self.receiver.take() {
            receiver.stop(within).await;
        }
    }

    /// Stops the receiver, and lets the lane pass on what it has accepted. The deadline is that of the whole program.
    pub(super) async fn stop(mut self, deadline: Duration) {
        self.stop_receiver(deadline / RECEIVERS_SHARE).await;
        self.handle.drain(deadline / LANES_SHARE).await;
    }
}
