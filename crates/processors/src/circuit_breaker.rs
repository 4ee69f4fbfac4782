//! `circuit_breaker`: stands between a receiver and its database: breakers, rates, a budget of database time.
//!
//! Promises:
//! * every lane has its [`Guard`], with defaults, whether or not this processor is in its chain: the processor only
//!   configures it and shows how it stands, and passes every batch on unchanged;
//! * no statement is sent without a permit of the guard; every permit is accounted for, also a lost one;
//! * what is held back is said: as a gap with its reason, in self-metrics and on pages.
//!
//! The rules are those of [`dbintel_admission`].

mod circuits;
mod config;
mod guard;
mod process;
mod published;

use dbintel_model::{Batch, Text};
use dbintel_pipeline::{Command, Context, Output, Processor, Reply};

pub use circuits::Circuits;
pub use config::{CircuitBreakerConfig, CircuitBreakerSettings, validate};
pub use guard::{Guard, GuardContext};
pub use process::{ProcessGate, ReadLoad, STATEMENT_BURST, STATEMENTS_PER_SECOND};

/// The processor.
#[derive(Debug)]
pub struct CircuitBreaker {
    id: Text,
    guard: Guard,
}

// === impl CircuitBreaker ===

impl CircuitBreaker {
    /// A processor that shows this guard.
    #[must_use]
    pub const fn new(id: Text, guard: Guard) -> Self {
        Self { id, guard }
    }
}

impl Processor for CircuitBreaker {
    fn id(&self) -> &str {
        &self.id
    }

    fn process(&mut self, _cx: &mut Context<'_>, batch: Batch, out: &mut Output) {
        out.emit(batch);
    }

    fn tick(&mut self, _cx: &mut Context<'_>, _out: &mut Output) {
        self.guard.publish();
    }

    fn command(&mut self, _cx: &mut Context<'_>, command: &Command, _out: &mut Output) -> Reply {
        match command {
            Command::Show => Reply { lines: self.guard.describe(), ..Reply::default() },
            Command::Plans { .. }
            | Command::Findings { .. }
            | Command::Statements
            | Command::Decisions(_) => Reply::default(),
        }
    }
}

#[cfg(test)]
mod tests;
