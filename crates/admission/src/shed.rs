//! What this process gives up when it runs short itself: first plans, then sessions, then sizes, then statements, and only
//! then everything.
//!
//! Load comes from the cgroup, or the machine where there is none. A signal that is not known sheds nothing: this protects
//! us and our neighbours, while the database is protected by the other gates. Up at once, down one level at a time.

use std::time::Duration;

use dbintel_model::Monotonic;

use crate::vocabulary::CostClass;

/// How short of memory the process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum MemoryPressure {
    /// Not at all, or not known.
    #[default]
    None,
    /// Above the soft mark: the door refuses.
    Soft,
    /// Above the hard mark: caches are emptied.
    Hard,
}

/// The load of the process.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct ProcessLoad {
    /// CPU used, as a share of what the process may use, 0 to 1; `None` where it could not be read.
    pub cpu_share: Option<f64>,
    /// Memory.
    pub memory: MemoryPressure,
}

/// What has been given up. Each level includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum ShedLevel {
    /// Nothing.
    #[default]
    Nothing,
    /// Plans.
    Plans,
    /// Sessions too.
    Sessions,
    /// Sizes and objects too.
    Sizes,
    /// Statements too: only connections and probes are left.
    Statements,
    /// Everything: the process's own breaker is open.
    Everything,
}

/// Settings of shedding. Shares are of the CPU that the process may use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ShedConfig {
    /// Marks at which plans, sessions, sizes and statements go. Default 0.70, 0.80, 0.90, 0.95.
    pub cpu_marks: [f64; 4],
    /// A level is left once the share is this far below its mark. Default 0.10.
    pub cpu_hysteresis: f64,
    /// Down one level at most once in this time. Default 10 s.
    pub hold: Duration,
    /// With statements given up and the load unchanged for this long, everything goes. Default 30 s.
    pub open_after: Duration,
}

/// What the process says to a request: [`ServerTree::admit`](crate::ServerTree::admit) takes it as one of the gates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ProcessVerdict {
    /// What has been given up.
    pub level: ShedLevel,
    /// The process-wide rate limit is used up for so long. The caller checks it before and takes from it after a grant.
    pub rate_exhausted: Option<Duration>,
}

/// Decides what is given up.
#[derive(Clone, Debug)]
pub struct Shedder {
    config: ShedConfig,
    level: ShedLevel,
    changed: Monotonic,
}

// === impl MemoryPressure ===

impl MemoryPressure {
    /// The pressure as a label: closed set, lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Soft => "soft",
            Self::Hard => "hard",
        }
    }

    const fn level(self) -> ShedLevel {
        match self {
            Self::None => ShedLevel::Nothing,
            Self::Soft => ShedLevel::Plans,
            Self::Hard => ShedLevel::Statements,
        }
    }
}

// === impl ShedLevel ===

impl ShedLevel {
    /// Every level, the least first.
    pub const ALL: [Self; 6] =
        [Self::Nothing, Self::Plans, Self::Sessions, Self::Sizes, Self::Statements, Self::Everything];

    /// The level as a label: closed set, lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Plans => "plans",
            Self::Sessions => "sessions",
            Self::Sizes => "sizes",
            Self::Statements => "statements",
            Self::Everything => "everything",
        }
    }

    /// Whether work of the class is given up.
    #[must_use]
    pub fn sheds(self, class: CostClass) -> bool {
        self >= match class {
            CostClass::Plans => Self::Plans,
            CostClass::Sessions => Self::Sessions,
            CostClass::Sizes => Self::Sizes,
            CostClass::Statements => Self::Statements,
            CostClass::Connection => Self::Everything,
        }
    }

    fn below(self) -> Self {
        Self::ALL.into_iter().rev().find(|level| *level < self).unwrap_or_default()
    }
}

// === impl ShedConfig ===

impl Default for ShedConfig {
    fn default() -> Self {
        Self {
            cpu_marks: [0.70, 0.80, 0.90, 0.95],
            cpu_hysteresis: 0.10,
            hold: Duration::from_secs(10),
            open_after: Duration::from_secs(30),
        }
    }
}

// === impl Shedder ===

impl Shedder {
    /// Nothing given up.
    #[must_use]
    pub const fn new(config: ShedConfig, now: Monotonic) -> Self {
        Self { config, level: ShedLevel::Nothing, changed: now }
    }

    /// Takes a measurement in; to be called every second or so.
    pub fn update(&mut self, now: Monotonic, load: ProcessLoad) -> ShedLevel {
        let wanted = self.level_of(load, 0.0);
        let kept = self.level_of(load, self.config.cpu_hysteresis);
        let since = now.since(self.changed);
        let next = if wanted == ShedLevel::Statements && self.level >= ShedLevel::Statements {
            let open = self.level == ShedLevel::Everything || since >= self.config.open_after;
            if open { ShedLevel::Everything } else { ShedLevel::Statements }
        } else if wanted > self.level {
            wanted
        } else if kept < self.level && since >= self.config.hold {
            self.level.below()
        } else {
            self.level
        };
        if next != self.level {
            (self.level, self.changed) = (next, now);
        }
        self.level
    }

    /// What is given up.
    #[must_use]
    pub const fn level(&self) -> ShedLevel {
        self.level
    }

    /// The level whose mark, lowered by `slack`, the load reaches; at most [`ShedLevel::Statements`].
    fn level_of(&self, load: ProcessLoad, slack: f64) -> ShedLevel {
        let share = load.cpu_share.unwrap_or(0.0);
        let marks = self.config.cpu_marks.iter().zip(ShedLevel::ALL.into_iter().skip(1));
        let cpu = marks.filter(|(mark, _)| share >= **mark - slack).map(|(_, level)| level).max();
        cpu.unwrap_or_default().max(load.memory.level())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(secs: u64) -> Monotonic {
        Monotonic::default().plus(Duration::from_secs(secs))
    }

    fn cpu(share: f64) -> ProcessLoad {
        ProcessLoad { cpu_share: Some(share), memory: MemoryPressure::None }
    }

    #[test]
    fn work_goes_in_order_and_everything_goes_last() {
        let mut shedder = Shedder::new(ShedConfig::default(), at(0));
        let order =
            [(0.5, "nothing"), (0.7, "plans"), (0.8, "sessions"), (0.9, "sizes"), (0.99, "statements")];
        for (share, expected) in order {
            assert_eq!(shedder.update(at(1), cpu(share)).as_str(), expected);
        }
        assert_eq!(shedder.update(at(30), cpu(0.99)), ShedLevel::Statements);
        assert_eq!(shedder.update(at(31), cpu(0.99)), ShedLevel::Everything);
        assert_eq!(shedder.update(at(32), cpu(0.1)), ShedLevel::Everything, "held");
        let down: Vec<_> = (1..=6).map(|n| shedder.update(at(32 + n * 10), cpu(0.1)).as_str()).collect();
        assert_eq!(down, ["statements", "sizes", "sessions", "plans", "nothing", "nothing"]);
    }

    #[test]
    fn a_level_is_left_only_well_below_its_mark() {
        let mut shedder = Shedder::new(ShedConfig::default(), at(0));
        shedder.update(at(0), cpu(0.75));
        assert_eq!(shedder.update(at(100), cpu(0.61)), ShedLevel::Plans);
        assert_eq!(shedder.update(at(200), cpu(0.59)), ShedLevel::Nothing);
    }

    #[test]
    fn memory_counts_too_and_the_unknown_sheds_nothing() {
        let mut shedder = Shedder::new(ShedConfig::default(), at(0));
        assert_eq!(shedder.update(at(0), ProcessLoad::default()), ShedLevel::Nothing);
        assert_eq!(shedder.update(at(0), cpu(f64::NAN)), ShedLevel::Nothing);
        let load = |memory| ProcessLoad { cpu_share: None, memory };
        assert_eq!(shedder.update(at(0), load(MemoryPressure::Soft)), ShedLevel::Plans);
        assert_eq!(shedder.update(at(0), load(MemoryPressure::Hard)), ShedLevel::Statements);
        assert_eq!(shedder.update(at(30), load(MemoryPressure::Hard)), ShedLevel::Everything);
    }

    proptest! {
        /// A class is given up only with all before it, and the process opens only after statements were given up.
        #[test]
        fn levels_nest_and_everything_comes_after_statements(
            loads in prop::collection::vec((0u64..40, 0.0f64..1.2), 1..100),
        ) {
            let (mut shedder, mut now) = (Shedder::new(ShedConfig::default(), at(0)), at(0));
            for (secs, share) in loads {
                now = now.plus(Duration::from_secs(secs));
                let before = shedder.level();
                let level = shedder.update(now, cpu(share));
                prop_assert!(CostClass::ALL.map(|class| level.sheds(class)).is_sorted_by(|a, b| a >= b));
                prop_assert!(level < ShedLevel::Everything || before >= ShedLevel::Statements);
                prop_assert!(level >= before.below());
            }
        }
    }
}
