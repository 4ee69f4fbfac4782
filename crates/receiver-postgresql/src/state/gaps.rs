//! What is missing at present, part by part, so that a gap is told when it opens, now and then while it lasts, and when
//! it closes, instead of at every poll.

use std::collections::BTreeMap;
use std::time::Duration;

use dbintel_model::{Gap, GapReason, Monotonic, Text, Timestamp};

/// How often a gap that lasts is told again.
pub const REPEAT_AFTER: Duration = Duration::from_secs(300);
/// Parts that can be missing at once per receiver; a database has about ten parts.
pub const MAX_OPEN_GAPS: usize = 10_000;

/// A part of what a receiver delivers: what, and of which database.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part {
    /// The database; `None` for the whole server.
    pub database: Option<Text>,
    /// What, for instance `statements`.
    pub what: Text,
}

/// The open gaps.
#[derive(Debug, Default)]
pub struct Gaps {
    parts: BTreeMap<Part, PartState>,
}

#[derive(Debug)]
struct PartState {
    last_delivered: Option<Timestamp>,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    reason: GapReason,
    detail: Text,
    told_at: Monotonic,
}

impl Part {
    /// A part of the whole server.
    pub fn server(what: impl Into<Text>) -> Self {
        Self { database: None, what: what.into() }
    }

    /// A part of a database.
    pub fn database(database: &Text, what: impl Into<Text>) -> Self {
        Self { database: Some(database.clone()), what: what.into() }
    }

    /// The part as status pages name it.
    #[must_use]
    pub fn name(&self) -> Text {
        match &self.database {
            Some(database) => format!("{database}: {}", self.what).into(),
            None => self.what.clone(),
        }
    }
}

impl Gaps {
    /// Notes that a part could not be read. Gives the gap record if it is time to tell.
    pub fn missing(
        &mut self,
        part: &Part,
        reason: GapReason,
        detail: &Text,
        now: Timestamp,
        monotonic: Monotonic,
    ) -> Option<Gap> {
        if !self.parts.contains_key(part) && self.parts.len() >= MAX_OPEN_GAPS {
            return None;
        }
        let state = self.parts.entry(part.clone()).or_insert(PartState { last_delivered: None, open: None });
        let quiet = state
            .open
            .as_ref()
            .is_some_and(|open| open.reason == reason && monotonic.since(open.told_at) < REPEAT_AFTER);
        if quiet {
            return None;
        }
        state.open = Some(Open { reason, detail: detail.clone(), told_at: monotonic });
        Some(gap(part, state.last_delivered, now, reason, detail))
    }

    /// Notes that a part was read. Gives the closing gap record if it was missing.
    pub fn delivered(&mut self, part: &Part, now: Timestamp) -> Option<Gap> {
        if let Some(state) = self.parts.get_mut(part) {
            let closed = state.open.take();
            let from = state.last_delivered.replace(now);
            return closed.map(|open| gap(part, from, now, open.reason, &open.detail));
        }
        if self.parts.len() < MAX_OPEN_GAPS {
            self.parts.insert(part.clone(), PartState { last_delivered: Some(now), open: None });
        }
        None
    }

    /// Forgets the parts of databases that are gone, and gives those that were missing.
    pub fn retain_databases(&mut self, exists: impl Fn(&Text) -> bool) -> Vec<Part> {
        let mut missing = Vec::new();
        self.parts.retain(|part, state| {
            let stays = part.database.as_ref().is_none_or(&exists);
            if !stays && state.open.is_some() {
                missing.push(part.clone());
            }
            stays
        });
        missing
    }
}

fn gap(part: &Part, from: Option<Timestamp>, to: Timestamp, reason: GapReason, detail: &Text) -> Gap {
    Gap { what: part.what.clone(), database: part.database.clone(), from, to, reason, detail: detail.clone() }
}

#[cfg(test)]
mod tests {
    use dbintel_model::{Clock, ManualClock};

    use super::*;

    #[test]
    fn a_gap_is_told_when_it_opens_now_and_then_and_when_it_closes() {
        let clock = ManualClock::at(Timestamp::from_nanos(1_000));
        let (mut gaps, part) = (Gaps::default(), Part::server("statements"));
        let detail = Text::from("waited for a lock");
        let mut missing =
            |reason| gaps.missing(&part, reason, &detail, clock.now(), clock.monotonic()).is_some();
        assert!(missing(GapReason::LockTimeout));
        assert!(!missing(GapReason::LockTimeout));
        assert!(missing(GapReason::StatementTimeout));
        clock.advance(REPEAT_AFTER);
        assert!(missing(GapReason::StatementTimeout));
        let closed = gaps.delivered(&part, clock.now()).unwrap();
        assert_eq!((closed.reason, closed.from, closed.to), (GapReason::StatementTimeout, None, clock.now()));
        assert_eq!(gaps.delivered(&part, clock.now()), None);
        let from = clock.now();
        clock.advance(REPEAT_AFTER);
        let opened =
            gaps.missing(&part, GapReason::LockTimeout, &detail, clock.now(), clock.monotonic()).unwrap();
        assert_eq!(opened.from, Some(from));
    }
}
