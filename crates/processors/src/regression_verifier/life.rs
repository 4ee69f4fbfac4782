//! Findings that are open, and what keeps them from being too many.
//!
//! Caps are enforced after the decision: what is above them was judged like everything else, is counted with the reason, and stays a
//! candidate. The same subject gets no second finding of a kind within the cool-down, whether the first is still open or not.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use dbintel_model::finding::{FindingKind, FindingState};
use dbintel_model::{Finding, FindingId, Timestamp};

use super::config::CapSettings;
use super::events::Event;

/// Findings that can be open for one server.
pub const MAX_OPEN_FINDINGS: usize = 256;
/// Subjects that are remembered as told.
pub const MAX_TOLD: usize = 4_096;
/// Findings that came to their end, which are remembered so that a decision that comes after it is counted, and none is opened with their id.
pub const MAX_ENDED: usize = 1_024;
const HOUR: Duration = Duration::from_secs(3_600);

/// The findings of a server.
#[derive(Debug)]
pub(super) struct Findings {
    open: BTreeMap<FindingId, Kept>,
    told: BTreeMap<(FindingKind, u64), Timestamp>,
    /// Those that ended lately, the latest last.
    ended: VecDeque<Ended>,
    ended_forgotten: u64,
    /// When findings were opened within the last hour.
    lately: VecDeque<Timestamp>,
    caps: CapSettings,
    cool_down: Duration,
    expire_after: Duration,
    hour: Duration,
}

/// A finding that came to its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    pub(super) id: FindingId,
    pub(super) at: Timestamp,
    /// Whether a decision about it would be a late one: not where it is known already, nor in a process that began since.
    awaits_decision: bool,
}

/// An open finding.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) finding: Finding,
    /// The statement, or a hash of the object.
    pub(super) subject: u64,
    /// What happened before it, so that its answer is recognised.
    pub(super) cause: Option<Event>,
}

// === impl Kept ===

impl Kept {
    /// Whether both are about one object: the table that the first cause of both is about, as with all statements that one dropped index made
    /// slower, or else the same statement.
    fn is_of_object(&self, subject: u64, cause: Option<&Event>) -> bool {
        let is_of_table = |(own, other): (&Event, &Event)| own.is_of_same_table(other);
        self.subject == subject || self.cause.as_ref().zip(cause).is_some_and(is_of_table)
    }
}

// === impl Findings ===

impl Findings {
    pub(super) fn new(
        caps: CapSettings,
        cool_down: Duration,
        expire_after: Duration,
        acceleration: f64,
    ) -> Self {
        Self {
            open: BTreeMap::new(),
            told: BTreeMap::new(),
            ended: VecDeque::new(),
            ended_forgotten: 0,
            lately: VecDeque::new(),
            caps,
            cool_down,
            expire_after,
            hour: HOUR.div_f64(acceleration.max(1.0)),
        }
    }

    /// Whether a finding with this cause may be opened now, after `opened` others of the same run.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn may_open(
        &mut self,
        finding: &Finding,
        (subject, cause): (u64, Option<&Event>),
        opened: usize,
        now: Timestamp,
    ) -> Result<(), &'static str> {
        while self.lately.front().is_some_and(|first| now.since(*first) >= self.hour) {
            self.lately.pop_front();
        }
        let of_object = self.open.values().filter(|kept| kept.is_of_object(subject, cause)).count();
        let is_told = self.is_told(finding.kind, subject, now);
        match () {
            () if is_told || self.has(finding.kind, subject) => Err("cool_down"),
            () if of_object >= self.caps.per_object => Err("per_object"),
            () if opened >= self.caps.per_run => Err("per_run"),
            () if self.lately.len() >= self.caps.per_hour => Err("per_hour"),
            () if self.open.len() >= MAX_OPEN_FINDINGS => Err("open_limit"),
            () => Ok(()),
        }
    }

    /// Whether the same was told within the cool-down.
    pub(super) fn is_told(&self, kind: FindingKind, subject: u64, now: Timestamp) -> bool {
        self.told.get(&(kind, subject)).is_some_and(|told| now.since(*told) < self.cool_down)
    }

    pub(super) fn open(&mut self, kept: Kept, now: Timestamp) {
        self.tell(kept.finding.kind, kept.subject, now);
        self.lately.push_back(now);
        self.open.insert(kept.finding.id, kept);
    }

    pub(super) fn tell(&mut self, kind: FindingKind, subject: u64, now: Timestamp) {
        if self.told.len() >= MAX_TOLD && !self.told.contains_key(&(kind, subject)) {
            let cool_down = self.cool_down;
            self.told.retain(|_, told| now.since(*told) < cool_down);
            let oldest = self.told.iter().min_by_key(|(_, told)| **told).map(|(subject, _)| *subject);
            if let Some(oldest) = oldest.filter(|_| self.told.len() >= MAX_TOLD) {
                self.told.remove(&oldest);
            }
        }
        self.told.insert((kind, subject), now);
    }

    /// Takes a finding out that has come to its end. Its cool-down begins anew.
    pub(super) fn close(&mut self, id: FindingId, now: Timestamp) -> Option<Kept> {
        let kept = self.open.remove(&id)?;
        self.tell(kept.finding.kind, kept.subject, now);
        self.note_ended(Ended { id, at: now, awaits_decision: true });
        Some(kept)
    }

    /// Remembers one that has ended, in the order of time.
    fn note_ended(&mut self, ended: Ended) {
        let place = self.ended.partition_point(|other| other.at <= ended.at);
        self.ended.insert(place, ended);
        if self.ended.len() > MAX_ENDED
            && let Some(forgotten) = self.ended.pop_front()
        {
            self.ended_forgotten += u64::from(forgotten.awaits_decision);
        }
    }

    /// Remembers one that has ended at once, or before this process began.
    pub(super) fn restore_ended(&mut self, id: FindingId, at: Timestamp) {
        self.note_ended(Ended { id, at, awaits_decision: false });
    }

    /// Those that ended lately.
    pub(super) fn ended(&self) -> impl ExactSizeIterator<Item = &Ended> {
        self.ended.iter()
    }

    /// The id under which this one can be opened: the same thing may have been told within its span, which the store takes for one.
    pub(super) fn free_id(&self, mut id: FindingId) -> FindingId {
        while self.open.contains_key(&id) || self.ended.iter().any(|ended| ended.id == id) {
            id = id.again();
        }
        id
    }

    /// Whether a finding ended lately about which no decision is known; asked again, one is.
    pub(super) fn take_ended(&mut self, id: FindingId) -> bool {
        let ended = self.ended.iter_mut().find(|ended| ended.id == id);
        ended.is_some_and(|ended| std::mem::take(&mut ended.awaits_decision))
    }

    /// Ended findings that found no room since this was asked last.
    pub(super) fn take_ended_forgotten(&mut self) -> u64 {
        std::mem::take(&mut self.ended_forgotten)
    }

    /// Whether there is an open one of this kind.
    pub(super) fn has(&self, kind: FindingKind, subject: u64) -> bool {
        self.open.values().any(|kept| kept.subject == subject && kept.finding.kind == kind)
    }

    /// Those whose time is over. What was done about one is measured first.
    pub(super) fn expired(&self, now: Timestamp) -> Vec<FindingId> {
        let is_over = |kept: &&Kept| {
            kept.finding.state != FindingState::Applied
                && now.since(kept.finding.opened_at) >= self.expire_after
        };
        self.open.values().filter(is_over).map(|kept| kept.finding.id).collect()
    }

    pub(super) fn get(&self, id: FindingId) -> Option<&Kept> {
        self.open.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: FindingId) -> Option<&mut Kept> {
        self.open.get_mut(&id)
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &Kept> {
        self.open.values()
    }

    /// What was told, for the store.
    pub(super) fn told(&self) -> impl ExactSizeIterator<Item = (FindingKind, u64, Timestamp)> + '_ {
        self.told.iter().map(|((kind, subject), at)| (*kind, *subject, *at))
    }

    pub(super) fn restore_told(&mut self, kind: FindingKind, subject: u64, at: Timestamp) {
        self.tell(kind, subject, at);
    }

    pub(super) fn restore(&mut self, kept: Kept) {
        if self.open.len() < MAX_OPEN_FINDINGS {
            self.open.insert(kept.finding.id, kept);
        }
    }

    pub(super) fn bytes(&self) -> usize {
        let open = self.open.values().map(|kept| size_of::<Kept>() + kept.finding.weight_bytes());
        open.sum::<usize>()
            + self.told.len() * size_of::<(FindingKind, u64, Timestamp)>()
            + self.ended.capacity() * size_of::<Ended>()
    }
}

#[cfg(test)]
mod tests;
