//! Plans that a statement goes back and forth between.
//!
//! Where plans depend on the values of parameters, a statement has several at the same time, and going to and fro between them
//! is how it runs. Such plans count for nothing here.

/// A plan that a statement was seen with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanSeen {
    /// Which one. 0 is none.
    pub plan: u128,
    /// How it was obtained: plans that were obtained differently are never compared.
    pub rung: u8,
    /// Whether a statement can have several plans at the same time there, by the values of its parameters.
    pub depends_on_values: bool,
}

/// The last plan of a statement, and how often it was another one lately.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlansSeen {
    /// The last one; 0 as long as none was seen.
    pub last: u128,
    /// How that was obtained.
    pub rung: u8,
    /// The day of the counts.
    pub day: i64,
    /// Changes on that day, and on the one before, of plans that do not depend on values.
    pub changes: [u32; 2],
}

// === impl PlansSeen ===

impl PlansSeen {
    /// The statement is seen with a plan. Says whether that is another one than before.
    pub fn see(&mut self, seen: PlanSeen, day: i64) -> bool {
        let is_other = self.last != 0 && self.rung == seen.rung && self.last != seen.plan;
        (self.last, self.rung) = (seen.plan, seen.rung);
        if is_other && !seen.depends_on_values {
            self.turn_to(day);
            let [today, _] = &mut self.changes;
            *today = today.saturating_add(1);
        }
        is_other
    }

    /// It is seen with a plan that says nothing about the one before.
    pub const fn begin(&mut self, seen: PlanSeen) {
        (self.last, self.rung) = (seen.plan, seen.rung);
    }

    /// Changes within the last day or so: those of today and of the day before.
    pub fn recent_changes(&mut self, day: i64) -> u32 {
        self.turn_to(day);
        self.changes.iter().fold(0, |all, changes| all.saturating_add(*changes))
    }

    /// How often the plan changed, where that is `limit` times or more.
    pub fn flapping(&mut self, day: i64, limit: u32) -> Option<u32> {
        let changes = self.recent_changes(day);
        (changes >= limit).then_some(changes)
    }

    /// Whether a statement that went back and forth does so no longer.
    pub fn is_steady(&mut self, day: i64) -> bool {
        self.recent_changes(day) == 0
    }

    fn turn_to(&mut self, day: i64) {
        match day.saturating_sub(self.day) {
            ..=0 => {}
            1 => self.changes = [0, self.changes.first().copied().unwrap_or(0)],
            _ => self.changes = [0, 0],
        }
        self.day = self.day.max(day);
    }
}

#[cfg(test)]
mod tests;
