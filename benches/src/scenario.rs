//! What is measured of the whole program, one scenario after the other.
//!
//! * [`start`]: how long until it is ready, and until its first data arrive.
//! * [`idle`]: what it needs beside a server on which nothing happens.
//! * [`steady`]: servers with 5,000 known statements, polled every 10 s: memory, CPU, time on the database.
//! * [`overload`]: twice as much as the backend takes.

pub mod idle;
pub mod overload;
pub mod server;
pub mod start;
pub mod steady;

use std::time::Duration;

/// How long everything takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Extent {
    /// Enough to see that all is as it should be: about five minutes.
    Quick,
    /// Enough to quote: about a quarter of an hour.
    Full,
}

impl Extent {
    /// One value for each extent.
    pub const fn choose<T: Copy>(self, quick: T, full: T) -> T {
        match self {
            Self::Quick => quick,
            Self::Full => full,
        }
    }

    /// The same for seconds.
    #[must_use]
    pub const fn seconds(self, quick: u64, full: u64) -> Duration {
        Duration::from_secs(self.choose(quick, full))
    }
}
