//! `dbintel.plan.change` back to a change of plan.

use dbintel_model::{
    MAX_PLAN_CAUSES, PlanCause, PlanChange, PlanFingerprint, PlanIdentity, PlanSpan, Text, Timestamp,
};

use crate::attributes::Attribute;
use crate::counts::PassedOver;
use crate::fields::Field;
use crate::query::{Key, Plan, Shared};
use crate::texts::Parts;

/// Stands in the event where no cause is known.
const NONE_KNOWN: &str = "none_known";
/// The kind whose descriptions do not begin with its name.
const PLAN_SETTING: &str = "plan_setting";

/// The attributes of the plan before, and of the change itself.
#[derive(Debug, Default)]
struct Rest {
    old: Plan,
    identity: Option<PlanIdentity>,
    at: Option<Timestamp>,
    cost: Option<f64>,
    old_cost: Option<f64>,
    old_first: Option<Timestamp>,
    old_last: Option<Timestamp>,
    previously_first: Option<Timestamp>,
    previously_last: Option<Timestamp>,
    difference: Text,
    kinds: String,
    causes: String,
}

/// The change of plan of these attributes.
pub(crate) fn plan_change(
    attributes: &[Attribute<'_>],
    shared: &mut Shared,
) -> Result<PlanChange, PassedOver> {
    let (mut key, mut text, mut new) = (Key::default(), Parts::default(), Plan::default());
    let mut rest = Rest::default();
    for attribute in attributes {
        let _ = key.take(attribute, &mut shared.names)
            || text.take(attribute)
            || new.take(attribute)
            || rest.take(attribute);
    }
    let at = rest.at.ok_or(PassedOver::Incomplete("dbintel.plan.time"))?;
    let old: PlanFingerprint =
        rest.old.fingerprint().ok_or(PassedOver::Incomplete("dbintel.plan.old.fingerprint"))?;
    let last = rest.old_last.unwrap_or(at);
    let (causes, causes_not_listed) = causes(&rest.kinds, &rest.causes);
    Ok(PlanChange {
        key: key.finish()?,
        text: shared.texts.get(&text),
        rung: new.rung.ok_or(PassedOver::Incomplete("dbintel.plan.rung"))?,
        identity: rest.identity.unwrap_or(PlanIdentity::Unproven),
        at,
        old,
        old_span: PlanSpan { first: rest.old_first.unwrap_or(last), last },
        old_cost: rest.old_cost,
        new: new.fingerprint().ok_or(PassedOver::Incomplete("dbintel.plan.fingerprint"))?,
        new_cost: rest.cost,
        seen_before: rest
            .previously_first
            .zip(rest.previously_last)
            .map(|(first, last)| PlanSpan { first, last }),
        difference: rest.difference,
        causes,
        causes_not_listed,
    })
}

impl Rest {
    fn take(&mut self, attribute: &Attribute<'_>) -> bool {
        let value = attribute.value;
        let text = || value.text().unwrap_or_default().into_owned();
        match attribute.field {
            Field::PlanIdentity => {
                let all = [PlanIdentity::Proven, PlanIdentity::Unproven];
                let is =
                    |one: &PlanIdentity| value.raw().is_some_and(|raw| raw.bytes == one.as_str().as_bytes());
                self.identity = all.into_iter().find(is);
            }
            Field::PlanTime => self.at = value.time(),
            Field::OldPlan => self.old.exact = value.hash128(),
            Field::OldShape => self.old.shape = value.hash128(),
            Field::Cost => self.cost = value.number(),
            Field::OldCost => self.old_cost = value.number(),
            Field::OldFirst => self.old_first = value.time(),
            Field::OldLast => self.old_last = value.time(),
            Field::PreviouslyFirst => self.previously_first = value.time(),
            Field::PreviouslyLast => self.previously_last = value.time(),
            Field::Difference => self.difference = text().into(),
            Field::CauseKinds => self.kinds = text(),
            Field::Causes => self.causes = text(),
            _ => return false,
        }
        true
    }
}

/// Causes from the list of their kinds and the lines of their descriptions, and how many more there were.
///
/// The event does not say which line is of which kind. A description begins with the words of its kind, but for that of a setting
/// that the plans tell of. A line that begins with none goes on from the one before, since a definition may have several lines.
fn causes(kinds: &str, lines: &str) -> (Vec<PlanCause>, u32) {
    let kinds: Vec<&str> = kinds.split(',').filter(|kind| !kind.is_empty() && *kind != NONE_KNOWN).collect();
    let (mut causes, mut more): (Vec<(Text, String)>, u32) = (Vec::new(), 0);
    for line in lines.lines() {
        if let Some(number) = line.strip_prefix("... and ").and_then(|rest| rest.strip_suffix(" more")) {
            more = number.parse().unwrap_or(0);
            continue;
        }
        let of = kinds.iter().filter(|kind| is_of(line, kind)).max_by_key(|kind| kind.len());
        let is_full = causes.len() >= MAX_PLAN_CAUSES;
        match (of, causes.last_mut()) {
            (Some(_), _) if is_full => more = more.saturating_add(1),
            (Some(kind), _) => causes.push(((*kind).to_owned().into(), line.to_owned())),
            (None, Some((_, description))) => {
                description.push('\n');
                description.push_str(line);
            }
            (None, None) => {
                let kind = kinds.first().copied().unwrap_or(NONE_KNOWN);
                causes.push((kind.to_owned().into(), line.to_owned()));
            }
        }
    }
    let cause = |(kind, description): (Text, String)| PlanCause { kind, description: description.into() };
    (causes.into_iter().map(cause).collect(), more)
}

fn is_of(line: &str, kind: &str) -> bool {
    if kind == PLAN_SETTING {
        return line.starts_with("setting ") && line.contains(" of the plan: ");
    }
    let words = kind.replace('_', " ");
    line.strip_prefix(words.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', ',', ':']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_description_finds_its_kind() {
        let lines = "ddl index public.i dropped on public.t: was CREATE INDEX i\n  ON t (a), at 2026-11-21T04:43:25Z\n\
                     setting work_mem of the plan: 4MB -> 64MB\n\
                     setting work_mem: 4MB -> 64MB, noticed at 2026-11-21T04:43:25Z\n... and 3 more";
        let (causes, more) = causes("ddl,plan_setting,setting", lines);
        let kinds: Vec<&str> = causes.iter().map(|cause| cause.kind.as_str()).collect();
        assert_eq!((kinds, more), (vec!["ddl", "plan_setting", "setting"], 3));
        assert!(causes[0].description.ends_with("ON t (a), at 2026-11-21T04:43:25Z"));
    }

    #[test]
    fn no_known_cause_is_none() {
        assert_eq!(causes("none_known", ""), (Vec::new(), 0));
    }
}
