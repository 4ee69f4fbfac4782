//! What the allocator says of this process: how often it was asked, and how much is in use.
//!
//! A program that wants to know has jemalloc as its allocator, as the product has. Otherwise everything is 0.

use tikv_jemalloc_ctl::{Access, AsName, epoch, stats};

/// Requests for memory, of all arenas together (number 4096 stands for that): small ones and large ones.
const REQUESTS: [&str; 2] = ["stats.arenas.4096.small.nrequests\0", "stats.arenas.4096.large.nrequests\0"];

/// The allocator at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Allocations {
    /// Requests since the start.
    pub requests: u64,
    /// Bytes in use.
    pub live_bytes: u64,
}

impl Allocations {
    /// As of now. What threads keep for themselves is known to the last few hundred requests of each size.
    #[must_use]
    pub fn now() -> Self {
        // The figures are those of the moment at which the epoch was advanced last.
        let _ = epoch::advance();
        let requests = |name: &&str| -> u64 { name.name().read().unwrap_or_default() };
        Self {
            requests: REQUESTS.iter().map(requests).sum(),
            live_bytes: stats::allocated::read().map_or(0, |bytes| bytes as u64),
        }
    }
}
