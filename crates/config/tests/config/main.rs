//! The crate as the binary uses it: load, read each component, check the service, print.

#![allow(
    clippy::unwrap_used,
    reason = "all of this is tests, which clippy sees only in functions marked as such"
)]

mod canary;
mod fixtures;
#[allow(dead_code, reason = "settings are read and compared with nothing")]
mod sample;
