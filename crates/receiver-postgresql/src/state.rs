//! What the receiver remembers between polls, as pure state: differences, start times, changes.

pub mod blocking;
pub mod changes;
pub mod gaps;
pub mod held_plans;
pub mod log_errors;
pub mod other_instances;
pub mod plan_log;
pub mod plan_times;
pub mod plans;
pub mod rest;
pub mod samples;
pub mod schema;
pub mod start_times;
pub mod statements;
pub mod texts;
