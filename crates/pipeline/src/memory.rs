//! Memory: what the process uses, and when lanes must refuse.
//!
//! The figure is the resident set size the kernel reports, handed in by whoever reads it; this module only decides.
//! Above the soft limit every door refuses, and it takes records again as soon as the figure is at or below the soft
//! limit. Above the hard limit caches are asked to empty themselves as well: [`MemoryAccounts::shrink`].

mod accounts;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

pub use accounts::{ACCOUNTS_MAX, Freed, Holding, MemoryAccount, MemoryAccounts};

/// The two limits, in bytes of resident memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimits {
    /// Above it, lanes refuse records.
    pub soft_bytes: u64,
    /// Above it, caches are dropped too. Never below the soft limit.
    pub hard_bytes: u64,
}

/// How the process stands to its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pressure {
    /// Below the soft limit.
    None,
    /// Above the soft limit: refuse.
    Soft,
    /// Above the hard limit: refuse and drop caches.
    Hard,
}

/// The present pressure, shared by all doors.
#[derive(Clone, Debug, Default)]
pub struct MemoryState(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    pressure: AtomicU8,
    used_bytes: AtomicU64,
}

impl MemoryLimits {
    /// The pressure at this use.
    #[must_use]
    pub const fn pressure(&self, used_bytes: u64) -> Pressure {
        if used_bytes > self.hard_bytes {
            Pressure::Hard
        } else if used_bytes > self.soft_bytes {
            Pressure::Soft
        } else {
            Pressure::None
        }
    }
}

impl MemoryState {
    /// Takes a new reading; gives the pressure before and now.
    pub fn update(&self, limits: &MemoryLimits, used_bytes: u64) -> (Pressure, Pressure) {
        let now = limits.pressure(used_bytes);
        self.0.used_bytes.store(used_bytes, Ordering::Relaxed);
        let before = self.0.pressure.swap(now as u8, Ordering::Relaxed);
        (Pressure::from_code(before), now)
    }

    /// The present pressure.
    #[must_use]
    pub fn pressure(&self) -> Pressure {
        Pressure::from_code(self.0.pressure.load(Ordering::Relaxed))
    }

    /// The last reading, in bytes; zero before the first one.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.0.used_bytes.load(Ordering::Relaxed)
    }
}

impl Pressure {
    const fn from_code(code: u8) -> Self {
        match code {
            0 => Self::None,
            1 => Self::Soft,
            _ => Self::Hard,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_above_soft_and_takes_again_at_or_below_it() {
        let limits = MemoryLimits { soft_bytes: 80, hard_bytes: 100 };
        let state = MemoryState::default();
        let check = |used, expected| {
            state.update(&limits, used);
            assert_eq!((state.pressure(), state.used_bytes()), (expected, used));
        };
        check(80, Pressure::None);
        check(81, Pressure::Soft);
        check(100, Pressure::Soft);
        check(101, Pressure::Hard);
        check(80, Pressure::None);
    }
}
