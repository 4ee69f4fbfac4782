//! One plain sentence for a lock that failed.

use super::{Category, Lock, LockName, Outcome};
use crate::verdict::{Direction, Path, Verdict};

impl Verdict {
    /// What a lock saw, in a sentence, with its numbers.
    #[must_use]
    pub fn sentence(&self, lock: &Lock) -> String {
        let text = match lock.name {
            LockName::Executions
            | LockName::BlocksAfter
            | LockName::BlocksBefore
            | LockName::SameHourBlocks
            | LockName::BaselineDays
            | LockName::Control
            | LockName::Patience
            | LockName::TrialHours
            | LockName::TrialBefore => self.about_data(lock),
            LockName::Ceiling
            | LockName::NoOverlap
            | LockName::ErrorBar
            | LockName::IndependentBlocks
            | LockName::Effect
            | LockName::LostTime
            | LockName::TrialTime
            | LockName::TrialJump
            | LockName::TrialHistory => self.about_time(lock),
            LockName::Work
            | LockName::WorkNoOverlap
            | LockName::WorkErrorBar
            | LockName::Rows
            | LockName::ParameterSensitivity
            | LockName::NeverBefore
            | LockName::Cause
            | LockName::TrialWork
            | LockName::TrialGap => self.about_work(lock),
            LockName::OnsetBefore
            | LockName::OnsetAfter
            | LockName::OnsetNear
            | LockName::SwitchBack
            | LockName::SideBySide
            | LockName::TrialEarly
            | LockName::PlanEvidence
            | LockName::Acceleration => about_the_change(lock),
        };
        with_capital_and_stop(&text)
    }

    fn about_data(&self, lock: &Lock) -> String {
        let (have, need) = (plain(lock.value), plain(lock.threshold));
        match lock.name {
            LockName::Executions => format!("{have} of {need} executions seen"),
            LockName::BlocksAfter => format!("{have} of {need} {} seen", self.blocks()),
            LockName::BlocksBefore => format!("{have} of {need} {} before the change seen", self.blocks()),
            LockName::SameHourBlocks => format!("{have} of {need} same-hour blocks before the change"),
            LockName::BaselineDays => format!("{have} of {need} days before the change seen"),
            LockName::TrialBefore => {
                format!("{have} of {need} hours of short blocks before the change seen")
            }
            LockName::TrialHours => {
                format!("an early verdict is for the first {need} hours, {have} have passed")
            }
            LockName::Patience => format!("watched for {have} hours, {} needs {need}", next(lock)),
            _ => format!(
                "{have} of {need} statements without a change of plan: the load of the server cannot be divided out"
            ),
        }
    }

    fn about_time(&self, lock: &Lock) -> String {
        let (saw, need) = (plain(lock.value), plain(lock.threshold));
        match lock.name {
            LockName::Ceiling => format!("t is {saw}, {} needs more than {need}", next(lock)),
            LockName::NoOverlap => format!(
                "times overlap: the slowest tenth before was at {need} times the usual, the fastest tenth after at {saw} times"
            ),
            LockName::ErrorBar => {
                format!("the step is {saw} times its error between blocks, {need} times are needed")
            }
            LockName::IndependentBlocks => format!(
                "neighbouring blocks resemble each other: they are worth {saw} independent ones, manual needs {need}"
            ),
            LockName::Effect => {
                format!("at least {saw} times {}, {} needs {need} times", self.comparative(), next(lock))
            }
            LockName::LostTime => format!(
                "at least {} minutes per day are at stake, the configured floor is {}",
                plain(lock.value.map(|ms| ms / 60_000.0)),
                plain(lock.threshold.map(|ms| ms / 60_000.0))
            ),
            LockName::TrialJump => format!(
                "the jump of time at the change is {saw} times the farthest of the day before, an early verdict needs {need} times"
            ),
            LockName::TrialTime => {
                format!("the median time moved by {saw} times, an early verdict needs {need} times")
            }
            _ => format!(
                "the whole hours after the change are at {saw} times the farthest of the same hours of the week, more than {need} is needed"
            ),
        }
    }

    fn about_work(&self, lock: &Lock) -> String {
        let (saw, need) = (plain(lock.value), plain(lock.threshold));
        match (lock.name, self.direction) {
            (LockName::Work, Direction::Slower) => format!(
                "slower, but not doing more work ({saw} times the blocks per call, {need} times are needed): look at locks, input and output, load"
            ),
            (LockName::Work, Direction::Faster) => {
                format!(
                    "faster, but not doing less work (a {saw}th of the blocks per call, a {need}th is needed)"
                )
            }
            (LockName::WorkNoOverlap, _) => format!(
                "work per call is too unsteady: the farthest tenth before was at {need} times the usual, the nearest tenth after at {saw} times"
            ),
            (LockName::Rows, _) => format!(
                "the question changed: rows per call moved by {} %, {} % are allowed",
                percent(lock.value),
                percent(lock.threshold)
            ),
            (LockName::ParameterSensitivity, _) if lock.value.is_none() => {
                "how much single executions differ is not known, so other parameters may be the cause"
                    .to_owned()
            }
            (LockName::ParameterSensitivity, _) => format!(
                "single executions differ by {saw} times their mean, more than {need}, so other parameters may be the cause"
            ),
            (LockName::NeverBefore, _) => format!(
                "it went nearly as far by itself in the time before: the step is {saw} times that, {need} times are needed"
            ),
            (LockName::WorkErrorBar, _) => {
                format!("the step of work is {saw} times its error between blocks, {need} times are needed")
            }
            (LockName::TrialWork, _) => {
                format!("the median work moved by {saw} times, an early verdict needs {need} times")
            }
            (LockName::TrialGap, _) => format!(
                "the nearest block after is at {saw} times the work of the farthest before, an early verdict needs {need} times"
            ),
            _ if lock.cap() == Category::Insufficient => format!(
                "slower at the same work for {saw} hours, {need} are needed to tell the processor from bad luck"
            ),
            _ => "blocks per call did not rise: the processor is the probable cause, not a proven one"
                .to_owned(),
        }
    }

    fn blocks(&self) -> String {
        let hourly = self.path == Path::Blocks && !self.is_accelerated();
        // Blocks of an hour are hours to everybody.
        if hourly && (self.numbers.block_hours - 1.0).abs() < f64::EPSILON {
            return "hours".to_owned();
        }
        let minutes = self.numbers.merged as f64 * self.scale.block_seconds() / 60.0;
        format!("blocks of {} minutes", plain(Some(minutes)))
    }

    fn comparative(&self) -> &'static str {
        match self.direction {
            Direction::Slower => "slower",
            Direction::Faster => "faster",
        }
    }
}

fn about_the_change(lock: &Lock) -> String {
    let (saw, need) = (percent(lock.value), percent(lock.threshold));
    let class = lock.value.unwrap_or(0.0);
    match lock.name {
        LockName::OnsetBefore => {
            format!("it began before the change: {saw} % of the step was already there, {need} % may be")
        }
        LockName::OnsetAfter => {
            format!("it did not begin at the change: {saw} % of the step was there right after it, {need} % are needed")
        }
        LockName::OnsetNear => {
            format!("it did not begin at the change: {saw} % of the step lies between the short blocks beside it, {need} % are needed")
        }
        LockName::TrialEarly => "an early verdict, from short blocks, is never above careful".to_owned(),
        LockName::SwitchBack => {
            "old and new plan were not seen side by side, or something else changed in the same block".to_owned()
        }
        LockName::SideBySide => format!(
            "timed plan by plan, executions with the two plans are at most {} times apart in this direction, at least {} times are to explain",
            plain(lock.value),
            plain(lock.threshold)
        ),
        LockName::Acceleration => format!("time ran {} times as fast as life", plain(lock.value)),
        _ if class < 1.0 => "no change of plan is known".to_owned(),
        _ if class < 2.0 => "the planner was asked for the plan; what ran was not seen".to_owned(),
        _ => "the new plan is not tied to the step: its share before or after, or the time of the step, does not fit"
            .to_owned(),
    }
}

/// The category above the one that a lock of several steps left.
fn next(lock: &Lock) -> Category {
    match lock.outcome {
        Outcome::Capped(Category::Insufficient) => Category::Careful,
        Outcome::Capped(Category::Careful) => Category::Manual,
        _ => Category::Auto,
    }
}

fn percent(share: Option<f64>) -> String {
    plain(share.map(|share| share * 100.0))
}

/// About three digits that matter, without a tail of zeros.
fn plain(value: Option<f64>) -> String {
    let Some(value) = value.filter(|value| value.is_finite()) else {
        return "unknown".to_owned();
    };
    let digits = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        _ => 2,
    };
    let text = format!("{value:.digits$}");
    if digits == 0 {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn with_capital_and_stop(text: &str) -> String {
    let mut letters = text.chars();
    // `t` is a symbol, and symbols keep their case.
    match letters.next() {
        Some(first) if !text.starts_with("t is") => {
            format!("{}{}.", first.to_uppercase(), letters.as_str())
        }
        _ => format!("{text}."),
    }
}

#[cfg(test)]
mod tests;
