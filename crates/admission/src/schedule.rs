//! Windows of the week in a time zone: when other limits hold, and when heavy work may run.
//!
//! The decision is by what a clock on the wall shows at the instant. So where daylight saving skips an hour, a window within
//! it does not happen that day, and where an hour comes twice, a window within it happens twice; an instant is never both
//! in and out. A window belongs to the day it begins on: Friday 22:00 to 06:00 ends on Saturday. The end is exclusive.
//! The database of time zones is the bundled one, so that a container without `/usr/share/zoneinfo` decides the same.

use std::time::Duration;

use dbintel_model::{Text, Timestamp};
use jiff::tz::TimeZone;

/// Most windows of a schedule.
pub const MAX_WINDOWS: usize = 64;
/// How far [`Schedule::next_change`] looks: a week repeats, and a change of daylight saving can hide one window of it.
const HORIZON: Duration = Duration::from_secs(15 * 86_400);
const MINUTES_A_DAY: u16 = 1_440;
/// Most steps of [`Schedule::next_change`]: every boundary, midnight and a change of offset, on each day up to the horizon.
const MAX_STEPS: usize = (2 * MAX_WINDOWS + 2) * 16;

/// Days of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Days(u8);

/// A minute of the day, 00:00 to 24:00.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay(u16);

/// From one time to another, on some days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The days it begins on.
    pub days: Days,
    /// Its first minute.
    pub from: TimeOfDay,
    /// The minute after its last. Not after `from`: of the next day. 24:00 is the midnight that ends the day; from 00:00
    /// to 00:00 is the whole day.
    pub to: TimeOfDay,
}

/// Windows in a time zone.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    zone: TimeZone,
    windows: Vec<Window>,
}

/// Why a schedule cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// The zone is not known.
    #[error("time zone \"{0}\" is not in the IANA database; write a name like Europe/Berlin, or UTC")]
    UnknownZone(Text),
    /// A text is no time of day.
    #[error("\"{0}\" is no time of day; write HH:MM between 00:00 and 24:00")]
    NotATime(Text),
    /// The window of this number has no minute.
    #[error(
        "window {0} begins and ends at the same time, or begins at 24:00, or has no day; for a whole day write 00:00 to 24:00"
    )]
    EmptyWindow(usize),
    /// There are too many.
    #[error("{0} windows are more than {MAX_WINDOWS}")]
    TooMany(usize),
}

// === impl Days ===

impl Days {
    /// All seven.
    pub const ALL: Self = Self(0b111_1111);
    /// Monday to Friday.
    pub const WORKDAYS: Self = Self(0b001_1111);

    /// With the day of this number too, Monday being 0; a number above 6 adds nothing.
    #[must_use]
    pub const fn with(self, monday_based: u8) -> Self {
        if monday_based > 6 { self } else { Self(self.0 | (1 << monday_based)) }
    }

    /// Whether the day of this number, Monday being 0, is one of them.
    #[must_use]
    pub const fn has(self, monday_based: u8) -> bool {
        monday_based <= 6 && self.0 & (1 << monday_based) != 0
    }
}

// === impl TimeOfDay ===

impl TimeOfDay {
    /// From `HH:MM`, 00:00 to 24:00.
    ///
    /// # Errors
    /// [`ScheduleError::NotATime`].
    pub fn try_parse(text: &str) -> Result<Self, ScheduleError> {
        let digits = |part: &str| -> Option<u16> {
            (part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit())).then(|| part.parse().ok())?
        };
        let parts = text.split_once(':').and_then(|(hour, minute)| Some((digits(hour)?, digits(minute)?)));
        match parts {
            Some((hour, minute)) if minute < 60 && hour * 60 + minute <= MINUTES_A_DAY => {
                Ok(Self(hour * 60 + minute))
            }
            _ => Err(ScheduleError::NotATime(text.to_owned().into())),
        }
    }
}

// === impl Window ===

impl Window {
    fn is_empty(self) -> bool {
        let whole_day = self.from.0 == 0 && self.to.0 == 0;
        self.days == Days::default() || self.from.0 == MINUTES_A_DAY || (self.from == self.to && !whole_day)
    }

    /// Ends on the day after the one it begins on. From 00:00 to 00:00 does so at its first minute.
    fn wraps(self) -> bool {
        self.to <= self.from
    }

    fn holds(self, day: u8, minute: u16) -> bool {
        let begins_today =
            self.days.has(day) && minute >= self.from.0 && (self.wraps() || minute < self.to.0);
        let began_yesterday = self.wraps() && self.days.has((day + 6) % 7) && minute < self.to.0;
        begins_today || began_yesterday
    }
}

// === impl Schedule ===

impl Schedule {
    /// A schedule in an IANA zone, for instance `Europe/Berlin`.
    ///
    /// # Errors
    /// [`ScheduleError`].
    pub fn try_new(zone: &str, windows: Vec<Window>) -> Result<Self, ScheduleError> {
        if windows.len() > MAX_WINDOWS {
            return Err(ScheduleError::TooMany(windows.len()));
        }
        if let Some(empty) = windows.iter().position(|window| window.is_empty()) {
            return Err(ScheduleError::EmptyWindow(empty));
        }
        let zone = TimeZone::get(zone).map_err(|_| ScheduleError::UnknownZone(zone.to_owned().into()))?;
        Ok(Self { zone, windows })
    }

    /// The first window that holds the instant.
    #[must_use]
    pub fn active(&self, at: Timestamp) -> Option<usize> {
        let local = self.local(at)?;
        self.windows.iter().position(|window| window.holds(local.day, local.minute))
    }

    /// The first instant after `at` at which [`Self::active`] gives another answer; `None` if there is none within two
    /// weeks. Goes from boundary to boundary, so it costs a few conversions a day: for a page or a wait, not for every
    /// statement.
    #[must_use]
    pub fn next_change(&self, at: Timestamp) -> Option<Timestamp> {
        let (answer, end) = (self.active(at), at.plus(HORIZON));
        let mut instant = at;
        for _ in 0..MAX_STEPS {
            instant = self.next_boundary(instant)?;
            if instant > end {
                return None;
            }
            if self.active(instant) != answer {
                return Some(instant);
            }
        }
        None
    }

    /// The next instant at which the local minute is an end of a window or midnight, or the offset changes.
    fn next_boundary(&self, at: Timestamp) -> Option<Timestamp> {
        let local = self.local(at)?;
        let ends = self.windows.iter().flat_map(|window| [window.from.0, window.to.0]);
        let minutes = ends
            .chain([0])
            .map(|end| match (end % MINUTES_A_DAY + MINUTES_A_DAY - local.minute) % MINUTES_A_DAY {
                0 => MINUTES_A_DAY,
                ahead => ahead,
            })
            .min()?;
        let boundary =
            at.plus(Duration::from_secs(u64::from(minutes) * 60).saturating_sub(local.into_minute));
        let change =
            self.zone.following(instant_of(at)?).next().map(|change| change.timestamp().as_nanosecond());
        let change = change.and_then(|nanos| u64::try_from(nanos).ok()).map(Timestamp::from_nanos);
        Some(change.map_or(boundary, |change| change.min(boundary)))
    }

    fn local(&self, at: Timestamp) -> Option<Local> {
        let local = self.zone.to_datetime(instant_of(at)?);
        let into_minute = Duration::new(
            u64::try_from(local.second()).unwrap_or(0),
            u32::try_from(local.subsec_nanosecond()).unwrap_or(0),
        );
        Some(Local {
            day: u8::try_from(local.weekday().to_monday_zero_offset()).ok()?,
            minute: u16::try_from(i16::from(local.hour()) * 60 + i16::from(local.minute())).ok()?,
            into_minute,
        })
    }
}

/// What a clock on the wall shows.
struct Local {
    /// Monday is 0.
    day: u8,
    minute: u16,
    into_minute: Duration,
}

fn instant_of(at: Timestamp) -> Option<jiff::Timestamp> {
    jiff::Timestamp::from_nanosecond(i128::from(at.as_nanos())).ok()
}

#[cfg(test)]
mod tests;
