//! The processors of a lane.
//!
//! Promises:
//! * no I/O and no clock of their own: readings, time and randomness are handed in;
//! * each has serde settings, a pure `validate` to a comparable configuration, and a processor built from that;
//! * every bound has a name.

#![forbid(unsafe_code)]

pub mod adaptive_sampler;
pub mod circuit_breaker;
mod codec;
pub mod definitions;
mod hashed;
pub mod memory_limiter;
pub mod plan_extractor;
pub mod regression_verifier;
pub mod verification;
