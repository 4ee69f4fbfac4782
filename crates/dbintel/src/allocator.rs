//! The allocator: jemalloc, set to give memory back.
//!
//! Its settings are compiled in by `.cargo/config.toml`: pages that are free for one second go back to the system, a
//! background thread sees to it even when nothing is allocated, and two arenas keep the idle process small.

use tikv_jemalloc_ctl::{epoch, stats};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Bytes handed out by the allocator now; `None` if it does not say.
pub fn allocated_bytes() -> Option<u64> {
    epoch::advance().ok()?;
    stats::allocated::read().ok().map(|bytes| bytes as u64)
}
