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
#[allow(clippy::disallowed_methods, reason = "a test on a thread of its own may sleep")]
mod tests {
    use super::*;
    use std::time::Duration;

    fn decay_ms() -> Vec<isize> {
        (0..arenas::narenas::read().unwrap())
            .filter_map(|arena| format!("arena.{arena}.dirty_decay_ms\0").as_str().name().read().ok())
            .collect()
    }

    fn stay(decay_ms: isize) {
        for arena in 0..arenas::narenas::read().unwrap() {
            // Arenas that do not exist yet refuse it.
            let _ = format!("arena.{arena}.dirty_decay_ms\0").as_str().name().write(decay_ms);
        }
    }

    /// Other tests of this program allocate at the same time, and the background thread may be purging just now, which
    /// makes one purge return early: so it is tried again, while without a purge free pages are told to stay for ever.
    #[test]
    fn a_purge_gives_free_pages_back_and_leaves_the_settings_as_they_were() {
        const FOR_EVER: isize = -1;
        let resident = || {
            epoch::advance().unwrap();
            stats::resident::read().unwrap()
        };
        let settings = decay_ms();
        stay(FOR_EVER);
        let (block, piece) = (256 << 20, 64 << 10);
        let blocks: Vec<Vec<u8>> = (0..block / piece).map(|_| vec![1; piece]).collect();
        let full = resident();
        drop(blocks);
        assert!(resident() + block / 2 > full, "gone without a purge: {full} before, {} after", resident());
        let gone = (0..100).any(|attempt| {
            std::thread::sleep(Duration::from_millis(if attempt == 0 { 0 } else { 100 }));
            assert!(purge() > 0);
            resident() + block / 2 < full
        });
        assert!(decay_ms().iter().all(|decay| *decay == FOR_EVER), "{:?}", decay_ms());
        stay(settings[0]);
        assert!(gone, "{full} before, {} after", resident());
    }
}
