//! A finding in the words that the command line and the pages share.

use super::{Finding, Lock, Questions, Scripts, TimeLost};
use crate::Text;

/// Three digits or so that say something.
#[must_use]
pub fn digits(value: f64) -> String {
    match value.abs() {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// The same, or a sign for a number nobody has.
#[must_use]
pub fn digits_or(value: Option<f64>, unknown: &str) -> String {
    value.map_or_else(|| unknown.to_owned(), digits)
}

fn minutes(seconds: f64) -> String {
    if seconds.abs() < 60.0 { format!("{seconds:.0} s") } else { format!("{:.0} min", seconds / 60.0) }
}

// === impl TimeLost ===

impl TimeLost {
    /// Time per day, as its lower bound has it where there is one.
    #[must_use]
    pub fn in_short(&self) -> String {
        match (self.low, self.seconds_per_day) {
            // What is gained, by its lower bound as well.
            _ if self.high.is_some_and(|high| high < 0.0) => {
                format!("gains ≥ {}", minutes(-self.high.unwrap_or_default()))
            }
            (Some(low), _) => format!("≥ {}", minutes(low)),
            (None, Some(estimate)) => format!("≈ {}", minutes(estimate)),
            (None, None) => "-".to_owned(),
        }
    }

    /// The estimate with its interval, as far as they are known.
    #[must_use]
    pub fn in_full(&self) -> String {
        let Some(estimate) = self.seconds_per_day.or(self.low) else { return "not known".to_owned() };
        match (self.low, self.high) {
            (Some(low), Some(high)) => {
                format!("about {} ({} to {})", minutes(estimate), minutes(low), minutes(high))
            }
            (Some(low), None) => format!("about {} (at least {})", minutes(estimate), minutes(low)),
            (None, Some(high)) => format!("about {} (at most {})", minutes(estimate), minutes(high)),
            (None, None) => format!("about {}", minutes(estimate)),
        }
    }

    /// By which losses are put in order: the lower bound, or what is known instead of it.
    #[must_use]
    pub fn least(&self) -> f64 {
        let known = self.low.or(self.seconds_per_day);
        known.filter(|seconds| seconds.is_finite()).unwrap_or(0.0)
    }
}

// === impl Lock ===

impl Lock {
    /// Whether it holds, in a word; one that does not is in capitals, so that it stands out in a list.
    #[must_use]
    pub const fn answer(&self) -> &'static str {
        match self.passed {
            Some(true) => "passed",
            Some(false) => "FAILED",
            None => "not asked",
        }
    }

    /// The place in a list: what does not hold says what is not known, and is read first.
    #[must_use]
    pub const fn reading_order(&self) -> u8 {
        match self.passed {
            Some(false) => 0,
            None => 1,
            Some(true) => 2,
        }
    }
}

// === impl Scripts ===

impl Scripts {
    /// Those there are, by what they are for, in the order in which they are wanted.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, &Text)> {
        let all = [("do", &self.forward), ("undo", &self.rollback), ("check", &self.check)];
        all.into_iter().filter_map(|(name, script)| Some((name, script.as_ref()?)))
    }
}

// === impl Questions ===

impl Questions {
    /// The four questions with their answers.
    #[must_use]
    pub fn answered(&self) -> [(&'static str, &Text); 4] {
        [
            ("at worst", &self.worst_case),
            ("can it be survived", &self.survivable),
            ("is it worth it", &self.worth_it),
            ("how it shows, and the way back", &self.detect_and_recover),
        ]
    }
}

// === impl Finding ===

impl Finding {
    /// How sure it is: the category, what t alone would allow, and whether a person has to look.
    #[must_use]
    pub fn certainty(&self) -> String {
        let review = if self.for_review { "; waits for review" } else { "" };
        format!("{} (t alone would allow {}){review}", self.category, self.ceiling)
    }

    /// What it is about, as far as that is known: the name of each part and the part.
    pub fn names(&self) -> impl Iterator<Item = (&'static str, &Text)> {
        let subject = &self.subject;
        let names = [
            ("server", Some(&subject.endpoint)),
            ("database", subject.database.as_ref()),
            ("role", subject.role.as_ref()),
            ("object", subject.object.as_ref()),
        ];
        names.into_iter().filter_map(|(name, value)| Some((name, value?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_lost_is_told_as_far_as_it_is_known() {
        let lost = |seconds_per_day, low, high| TimeLost { seconds_per_day, low, high, confidence: None };
        let all = lost(Some(3_600.0), Some(1_800.0), Some(7_200.0));
        assert_eq!(
            (all.in_short().as_str(), all.in_full().as_str()),
            ("≥ 30 min", "about 60 min (30 min to 120 min)")
        );
        assert_eq!(lost(Some(90.0), Some(50.0), None).in_full(), "about 2 min (at least 50 s)");
        assert_eq!(lost(Some(90.0), None, None).in_short(), "≈ 2 min");
        let nothing = TimeLost::default();
        assert_eq!((nothing.in_short(), nothing.in_full()), ("-".to_owned(), "not known".to_owned()));
        assert_eq!(
            (all.least(), nothing.least(), lost(Some(f64::NAN), None, None).least()),
            (1_800.0, 0.0, 0.0)
        );
    }

    #[test]
    fn numbers_have_as_many_digits_as_say_something() {
        assert_eq!([0.012_34, 1.234, 12.34, 1_234.5].map(digits), ["0.012", "1.23", "12.3", "1234"]);
        assert_eq!(digits_or(None, "?"), "?");
    }
}
