//! Classes of histories. Each is the model, and something more.

mod batch;
mod cold;
mod deploy;
mod locks;
mod resets;
mod weekly;

use super::events::{self, Events};
use super::statement::{Population, Statement};
use crate::rng::Rng;

/// What histories are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// The model of the text, at the rates of the requirement.
    Model,
    /// Every statement has a Pareto tail of index 1.5 to 3.
    Pareto,
    /// Days of the week on which more is asked.
    Weekly,
    /// A restart, after which every page is read again.
    ColdCache,
    /// Storms of locks.
    LockStorm,
    /// The statement is part of a batch job.
    BatchJob,
    /// A deployment changes what is asked.
    Deploy,
    /// Counters are reset, entries are evicted, readings fail.
    Resets,
    /// Every statement is a mixture, and the mixture shifts for good exactly at the flip.
    MixtureShift,
    /// Twice the load, incidents in 60 %, lasting time shifts in 30 %.
    Stress,
    /// The model at the rates of the text, 2 to a million calls an hour: to compare with its tables.
    Text,
}

// === impl Class ===

impl Class {
    /// Classes whose neutral flips count for the gate.
    pub const GATED: [Self; 8] = [
        Self::Model,
        Self::Pareto,
        Self::Weekly,
        Self::ColdCache,
        Self::LockStorm,
        Self::BatchJob,
        Self::Deploy,
        Self::Resets,
    ];

    /// The row of the table.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Model => "the model",
            Self::Pareto => "Pareto tails of index 1.5 to 3",
            Self::Weekly => "weekly rhythm",
            Self::ColdCache => "cache-cold restarts",
            Self::LockStorm => "lock storms",
            Self::BatchJob => "batch jobs",
            Self::Deploy => "deploys",
            Self::Resets => "resets and evictions",
            Self::MixtureShift => "every mixture shifts at the flip",
            Self::Stress => "stress: twice the load, incidents in 60 %",
            Self::Text => "the model at 2 to 1,000,000 calls an hour, 3 days, 6 looks",
        }
    }

    /// Shares and ranges.
    #[must_use]
    pub fn population(self) -> Population {
        let model = Population::MODEL;
        match self {
            Self::Pareto => Population { pareto: 1.0, pareto_index: (1.5, 3.0), mixtures: 0.0, ..model },
            Self::MixtureShift => Population { mixtures: 1.0, mixture_shifts: 0.0, ..model },
            Self::Stress => Population { load: 2.0, incidents: 0.6, time_shifts: 0.3, ..model },
            Self::Text => Population { calls_per_hour: (2.0, 1_000_000.0), ..model },
            _ => model,
        }
    }

    /// What happens because of the class. Gives the hours from the flip to a lasting shift of the mixture, where the class
    /// makes one.
    pub(super) fn apply(self, rng: &mut Rng, statement: &mut Statement, events: &mut Events) -> Option<f64> {
        match self {
            Self::Weekly => weekly::apply(rng, statement, events),
            Self::ColdCache => cold::apply(rng, statement, events),
            Self::LockStorm => locks::apply(rng, events),
            Self::BatchJob => batch::apply(rng, events),
            Self::Deploy => deploy::apply(rng, events),
            Self::Resets => resets::apply(rng, events),
            Self::MixtureShift => return Some(events::shift_mixture(rng, events.flip(), events)),
            Self::Model | Self::Pareto | Self::Stress | Self::Text => {}
        }
        None
    }
}
