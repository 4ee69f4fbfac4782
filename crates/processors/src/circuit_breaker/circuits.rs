//! The breakers of all servers, for a person who looks at them and holds them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dbintel_admission::{Override, Scope, TreeView};
use dbintel_model::Text;
use dbintel_pipeline::overrides::{Circuit, Order, Overrides, Position};
use parking_lot::RwLock;

use super::Guard;

/// The guards of the process, by receiver. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Circuits(Arc<RwLock<BTreeMap<Text, Guard>>>);

// === impl Circuits ===

impl Circuits {
    /// Adds the guard of a receiver, and holds what overrides of before say about it.
    pub fn add(&self, receiver: &Text, guard: Guard, overrides: &Overrides) {
        self.0.write().insert(receiver.clone(), guard);
        for (entry, left) in overrides.list() {
            if let Order::Hold(circuit) = &entry.order
                && circuit.receiver == *receiver
                && let Err(problem) = self.hold(circuit, &entry.reason, left)
            {
                tracing::error!(order = %entry.order, %problem, "override of before is not in force");
            }
        }
    }

    /// How the breakers of every server stand, by receiver.
    #[must_use]
    pub fn views(&self) -> Vec<(Text, TreeView)> {
        self.0.read().iter().map(|(receiver, guard)| (receiver.clone(), guard.view())).collect()
    }

    /// Holds a breaker.
    ///
    /// # Errors
    /// Why there is no such breaker.
    pub fn hold(&self, circuit: &Circuit, reason: &Text, lasts: Duration) -> Result<(), Text> {
        let guard = self.guard(&circuit.receiver)?;
        let until = guard.now().plus(lasts);
        let reason = reason.clone();
        let order = match circuit.position {
            Position::Open => Override::Open { reason, until },
            Position::Closed => Override::Closed { reason, until },
        };
        guard.order(&circuit.scope, order)
    }

    /// Ends the hold of a breaker; harmless if there is none.
    pub fn release(&self, receiver: &Text, scope: &Scope) {
        if let Ok(guard) = self.guard(receiver) {
            // The only error is a table without room, in which there is nothing to release.
            let _ = guard.order(scope, Override::Release);
        }
    }

    fn guard(&self, receiver: &Text) -> Result<Guard, Text> {
        let guards = self.0.read();
        guards.get(receiver).cloned().ok_or_else(|| {
            let known: Vec<&str> = guards.keys().map(Text::as_str).collect();
            format!("there is no receiver `{receiver}`; there are {}", known.join(", ")).into()
        })
    }
}
