//! The allocator: jemalloc, set to give memory back.
//!
//! Its settings are compiled in by `.cargo/config.toml`: pages that are free for one second go back to the system, a
//! background thread sees to it even when nothing is allocated, and two arenas keep the idle process small.

use tikv_jemalloc_ctl::{Access, AsName, arenas, epoch, stats};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Bytes handed out by the allocator now; `None` if it does not say.
pub fn allocated_bytes() -> Option<u64> {
    epoch::advance().ok()?;
    stats::allocated::read().ok().map(|bytes| bytes as u64)
}

/// Gives the pages that are free back to the system at once. Says from how many arenas.
pub fn purge() -> usize {
    let arenas = arenas::narenas::read().unwrap_or_default();
    (0..arenas).filter(|arena| purge_arena(*arena).is_ok()).count()
}

/// The interface that is safe to call has no purge, but free pages that may stay for no time at all are purged when that
/// is said; afterwards they may stay as long as before. An arena that does not exist yet gives an error.
fn purge_arena(arena: u32) -> tikv_jemalloc_ctl::Result<()> {
    let name = format!("arena.{arena}.dirty_decay_ms\0");
    let name = name.as_str().name();
    let decay_ms: isize = name.update(0)?;
    name.write(decay_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decay_ms(arena: u32) -> Option<isize> {
        format!("arena.{arena}.dirty_decay_ms\0").as_str().name().read().ok()
    }

    #[test]
    fn a_purge_gives_free_pages_back_and_leaves_the_settings_as_they_were() {
        let settings = || (0..arenas::narenas::read().unwrap()).map(decay_ms).collect::<Vec<_>>();
        let resident = || {
            epoch::advance().unwrap();
            stats::resident::read().unwrap()
        };
        // The pages that are freed would stay for a second otherwise.
        let (before, block) = (settings(), 64 << 20);
        let blocks: Vec<Vec<u8>> = (0..block / (64 << 10)).map(|_| vec![1; 64 << 10]).collect();
        let full = resident();
        drop(blocks);
        assert!(purge() > 0);
        assert!(resident() + block / 2 < full, "{full} before, {} after", resident());
        assert_eq!(settings(), before);
    }
}
