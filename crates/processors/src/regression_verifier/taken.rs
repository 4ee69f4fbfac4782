//! What is taken over: from the store, or from the processor before.

use std::collections::HashMap;

use dbintel_model::{Finding, FindingId};

use super::events::Event;
use super::life::Kept;
use super::trial::TRIAL_BYTES_MAX;
use super::{RegressionVerifier, stored};
use crate::codec::Damaged;

impl RegressionVerifier {
    /// Takes over values; says how many were damaged, or belong to nothing.
    pub(super) fn take_over(&mut self, values: &[(&str, &[u8])]) -> u64 {
        // Statements before what belongs to them, days in their order.
        let rank = |key: &str| match key.split_once('/').map_or(key, |(kind, _)| kind) {
            "about" => 0,
            "day" => 1,
            "follow" => 2,
            "trial" => 4,
            "watch" => 5,
            _ => 3,
        };
        let mut values: Vec<&(&str, &[u8])> = values.iter().collect();
        // A store gives them in the order of their keys, nearly this one, which a stable sort makes use of.
        values.sort_by(|a, b| rank(a.0).cmp(&rank(b.0)).then_with(|| a.0.cmp(b.0)));
        let mut follows = HashMap::new();
        let mut damaged = 0;
        for (key, value) in values {
            damaged += u64::from(self.take_value(key, value, &mut follows).is_err());
        }
        damaged
    }

    fn take_value<'a>(
        &mut self,
        key: &'a str,
        value: &[u8],
        follows: &mut HashMap<&'a str, (u64, Option<Event>)>,
    ) -> Result<(), Damaged> {
        let (kind, rest) = key.split_once('/').unwrap_or((key, ""));
        let id = || rest.get(..16).and_then(|id| u64::from_str_radix(id, 16).ok()).ok_or(Damaged);
        match kind {
            "about" => {
                let mut statement = stored::read_about(id()?, value)?;
                statement.is_stored = true;
                self.statements.restore(statement).ok_or(Damaged)?;
            }
            "day" => {
                let statement = self.statements.get_mut(id()?).ok_or(Damaged)?;
                stored::read_day(statement, value)?;
                let day = rest.get(17..).and_then(|day| day.parse().ok()).ok_or(Damaged)?;
                statement.stored_day = statement.stored_day.max(day);
            }
            "short" => stored::read_shorts(self.statements.get_mut(id()?).ok_or(Damaged)?, value)?,
            "trial" => {
                let mut trial = stored::read_trial(id()?, value)?;
                let statement = self.statements.get_mut(trial.statement).ok_or(Damaged)?;
                if trial.bytes() > TRIAL_BYTES_MAX {
                    return Err(Damaged);
                }
                statement.is_under_trial = true;
                trial.finding = trial.finding.filter(|id| self.findings.get(*id).is_some());
                if let Some(displaced) = self.trials.open(trial) {
                    self.forget_trial(displaced.statement);
                }
            }
            "watch" => stored::read_watch(self.trials.get_mut(id()?).ok_or(Damaged)?, value)?,
            "follow" => {
                follows.insert(rest, stored::read_follow(value)?);
            }
            "finding" => {
                let finding: Finding = serde_json::from_slice(value).map_err(|_| Damaged)?;
                if finding.state.is_final() {
                    // Of one that has come to its end only the id is of concern here.
                    self.findings.restore_ended(finding.id, finding.updated_at);
                } else {
                    let (subject, cause) = follows.remove(rest).ok_or(Damaged)?;
                    self.findings.restore(Kept { finding, subject, cause });
                }
            }
            "ended" => {
                let id: FindingId = rest.parse().map_err(|_| Damaged)?;
                self.findings.restore_ended(id, stored::read_ended(value)?);
            }
            "told" => {
                for (kind, subject, at) in stored::read_told(value)? {
                    self.findings.restore_told(kind, subject, at);
                }
            }
            "control" => self.controls.restore(stored::read_control(value)?),
            "events" => {
                for event in stored::read_events(value)? {
                    self.events.push(event);
                }
            }
            _ => return Err(Damaged),
        }
        Ok(())
    }
}

/// Keys and values of a state, as a snapshot puts them together.
pub(super) fn values_of(state: &[u8]) -> Result<Vec<(&str, &[u8])>, Damaged> {
    let mut from = stored::enter(state)?;
    let mut values = Vec::new();
    while !from.0.is_empty() {
        values.push((from.str()?, from.bytes()?));
    }
    Ok(values)
}
