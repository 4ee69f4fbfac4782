//! The chain of a lane without receiver, exporter and runtime: for `dbintel replay`.

use std::sync::Arc;
use std::time::Duration;

use dbintel_config::values::ComponentId;
use dbintel_model::{Server, Text};
use dbintel_pipeline::status::ComponentKind;
use dbintel_pipeline::{LaneChain, LaneContext, LaneLimits, StateStore};
use tokio::sync::mpsc;

use super::{LANE_QUEUE, Wiring};
use crate::components::ProcessorPlan;

/// Of the guard of a server to which no statement is sent.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(1);
/// Two replays of the same files find the same.
const SEED: u64 = 0;

impl Wiring {
    /// The processors of a lane, made as those of one that runs. What they want from a receiver ends here; what they find goes to
    /// `store`.
    pub fn alone(
        &mut self,
        server: &Server,
        chain: &[(ComponentId, ProcessorPlan)],
        store: Arc<dyn StateStore>,
    ) -> LaneChain {
        self.make_plan_caches(chain.iter());
        let name = Text::from(server.to_string());
        let guard = self.guard(&name, chain, name.clone(), STATEMENT_TIMEOUT);
        let (requests, _nobody) = mpsc::channel(1);
        let processors = chain.iter().filter_map(|(id, plan)| self.processor(&name, id, plan, &guard));
        LaneChain::new(&LaneContext {
            limits: LaneLimits { queue: LANE_QUEUE },
            chain: processors.collect(),
            sinks: Vec::new(),
            requests,
            store: Some(store),
            memory: self.memory.clone(),
            overrides: self.overrides.clone(),
            clock: self.clock(),
            registry: self.registry(),
            status: self.commons.board.register(ComponentKind::Lane, name.clone(), self.commons.clock.now()),
            seed: SEED,
            id: name,
        })
    }
}
