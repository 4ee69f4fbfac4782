//! What a person can control, as this program wires it.

use std::time::Duration;

use dbintel_admin::control::{CircuitView, Controls};
use dbintel_admission::{BreakerView, Scope, TreeView};
use dbintel_model::{Clock, Monotonic, Text};
use dbintel_pipeline::overrides::{Bypass, Circuit};
use dbintel_processors::circuit_breaker::Circuits;

use crate::assembly::Assembly;

/// Processors that protect a database, a process or people's data, with what there is instead of switching them off.
const PROTECTING: [(&str, &str); 3] = [
    (
        "circuit_breaker",
        "it protects the database; hold one breaker closed with `dbintel circuits close`, which leaves rates and budgets \
         in force",
    ),
    ("memory_limiter", "it protects the process from being killed; change its limits in the configuration"),
    ("verification", "it keeps personal data in; change its settings in the configuration"),
];

/// Ids of everything that was assembled, and the breakers.
pub struct Controlled {
    receivers: Vec<Text>,
    processors: Vec<Text>,
    exporters: Vec<Text>,
    circuits: Circuits,
    clock: std::sync::Arc<dyn Clock>,
}

// === impl Controlled ===

impl Controlled {
    pub fn new(assembly: &Assembly, circuits: Circuits, clock: std::sync::Arc<dyn Clock>) -> Self {
        let text = |id: &dbintel_config::values::ComponentId| Text::from(id.to_string());
        let processors = assembly.lanes.values().flat_map(|lane| lane.chain.iter().map(|(id, _)| text(id)));
        let mut processors: Vec<Text> = processors.collect();
        processors.sort();
        processors.dedup();
        Self {
            receivers: assembly.lanes.keys().map(text).collect(),
            exporters: assembly.exporters.keys().map(text).collect(),
            processors,
            circuits,
            clock,
        }
    }

    /// Names of the queries a receiver has asked for.
    fn features(&self, receiver: &Text) -> Vec<Text> {
        let views = self.circuits.views();
        let nodes = views.iter().filter(|(name, _)| name == receiver).flat_map(|(_, view)| &view.nodes);
        let mut features: Vec<Text> =
            nodes.flat_map(|node| node.features.iter().map(|feature| feature.feature.clone())).collect();
        features.sort();
        features.dedup();
        features
    }
}

impl Controls for Controlled {
    fn circuits(&self) -> Vec<CircuitView> {
        let now = self.clock.monotonic();
        self.circuits.views().iter().flat_map(|(receiver, view)| circuits(now, receiver, view)).collect()
    }

    fn hold(&self, circuit: &Circuit, reason: &Text, lasts: Duration) -> Result<(), Text> {
        if let Scope::Feature(_, feature) = &circuit.scope {
            among(feature, "query", &self.features(&circuit.receiver))?;
        }
        self.circuits.hold(circuit, reason, lasts)
    }

    fn release(&self, circuit: &Circuit) {
        self.circuits.release(&circuit.receiver, &circuit.scope);
    }

    fn check(&self, bypass: &Bypass) -> Result<(), Text> {
        match bypass {
            Bypass::System => Ok(()),
            Bypass::Receiver(id) => among(id, "receiver", &self.receivers),
            Bypass::Exporter(id) => among(id, "exporter", &self.exporters),
            Bypass::Processor(id) => {
                among(id, "processor", &self.processors)?;
                let kind = id.split('/').next().unwrap_or_default();
                match PROTECTING.iter().find(|(name, _)| *name == kind) {
                    Some((_, instead)) => Err(format!("`{id}` cannot be switched off: {instead}").into()),
                    None => Ok(()),
                }
            }
            Bypass::Feature { receiver, feature } => {
                among(receiver, "receiver", &self.receivers)?;
                match self.features(receiver) {
                    // Before the first poll, and with the start, nothing is known of them.
                    known if known.is_empty() => Ok(()),
                    known => among(feature, "query", &known),
                }
            }
        }
    }
}

fn among(name: &Text, what: &str, known: &[Text]) -> Result<(), Text> {
    if known.contains(name) {
        return Ok(());
    }
    let known: Vec<&str> = known.iter().map(Text::as_str).collect();
    Err(format!("there is no {what} `{name}`; there are: {}", known.join(", ")).into())
}

fn circuits(now: Monotonic, receiver: &Text, view: &TreeView) -> Vec<CircuitView> {
    let circuit = |scope, breaker: &BreakerView| CircuitView {
        receiver: receiver.clone(),
        scope,
        state: breaker.state.as_str(),
        since: now.since(breaker.since),
        class: breaker.class.map(dbintel_admission::FailureClass::as_str),
        next_probe: breaker.next_probe.map(|at| at.since(now)),
    };
    let mut circuits = vec![circuit(Scope::Server, &view.breaker)];
    for node in &view.nodes {
        circuits.push(circuit(Scope::Database(node.database.clone()), &node.breaker));
        for feature in &node.features {
            let scope = Scope::Feature(node.database.clone(), feature.feature.clone());
            circuits.push(circuit(scope, &feature.breaker));
        }
    }
    circuits
}
