//! `db.server.top_query` back to the interval of a statement.

use dbintel_model::catalogue::STATEMENT_COUNTERS;
use dbintel_model::{
    Counters, Exactness, Interval, Moments, PlanFingerprint, PlanReference, PlanRung, Query, QueryErrors,
    QueryKey, Text, Timestamp,
};

use crate::attributes::{Attribute, Read};
use crate::contrib::{Contrib, number_of};
use crate::counts::PassedOver;
use crate::fields::Field;
use crate::names::Names;
use crate::texts::{Parts, Texts};

/// The only system whose statements have identifiers of this form.
const SYSTEM: &str = "postgresql";

/// What is shared by records.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(crate) names: Names,
    pub(crate) texts: Texts,
}

/// The attributes by which a statement is known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Key {
    is_of_postgresql: bool,
    database: Option<Text>,
    user: Option<Text>,
    user_id: Option<u32>,
    query_id: Option<i64>,
    toplevel: Option<bool>,
}

/// The attributes by which a plan is known.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Plan {
    pub(crate) rung: Option<PlanRung>,
    pub(crate) exact: Option<u128>,
    pub(crate) shape: Option<u128>,
}

/// Everything else of an interval.
#[derive(Debug)]
struct Numbers {
    calls: Option<i64>,
    total_s: Option<f64>,
    mean: Option<f64>,
    variance: Option<f64>,
    counters: [f64; STATEMENT_COUNTERS.len()],
    exactness: Option<Exactness>,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
    rank: Option<u32>,
    failed: Option<u64>,
    timed_out: Option<u64>,
}

/// The interval of these attributes, told at this time.
pub(crate) fn query(
    attributes: &[Attribute<'_>],
    time: Timestamp,
    shared: &mut Shared,
    contrib: &mut Contrib,
) -> Result<Query, PassedOver> {
    let (mut key, mut text, mut plan) = (Key::default(), Parts::default(), Plan::default());
    let mut numbers = Numbers::default();
    for attribute in attributes {
        let _ = numbers.take(attribute)
            || key.take(attribute, &mut shared.names)
            || text.take(attribute)
            || plan.take(attribute);
    }
    let key = key.finish()?;
    let calls = numbers.calls.ok_or(PassedOver::Incomplete("postgresql.calls"))?;
    let total_s = numbers.total_s.ok_or(PassedOver::Incomplete("postgresql.total_exec_time"))?;
    let total_time_ms = total_s * 1e3;
    let (interval, exactness, moments) = match (numbers.start, numbers.end) {
        (Some(start), Some(end)) => {
            let variance_ms2 = numbers.variance;
            let moments = numbers.mean.map(|mean_ms| Moments { mean_ms, variance_ms2 });
            (Interval { start, end }, numbers.exactness.unwrap_or(Exactness::Unknown), moments)
        }
        _ => {
            #[allow(clippy::cast_precision_loss, reason = "executions of one interval")]
            let mean_ms = (calls > 0).then(|| total_time_ms / calls as f64);
            let moments = mean_ms.map(|mean_ms| Moments { mean_ms, variance_ms2: None });
            (contrib.interval(&key, time)?, Exactness::LowerBound, moments)
        }
    };
    let errors =
        numbers.failed.map(|failed| QueryErrors { failed, timed_out: numbers.timed_out.unwrap_or(0) });
    Ok(Query {
        key,
        text: shared.texts.get(&text),
        interval,
        calls,
        total_time_ms,
        moments,
        counters: Counters::new(&STATEMENT_COUNTERS, &numbers.counters),
        exactness,
        rank: Some(numbers.rank.unwrap_or(1)),
        plan: plan.reference(),
        plan_missing: None,
        plan_times: None,
        errors,
    })
}

// === impl Key ===

impl Key {
    /// Takes the attribute if it is one by which a statement is known.
    pub(crate) fn take(&mut self, attribute: &Attribute<'_>, names: &mut Names) -> bool {
        let value = attribute.value;
        match attribute.field {
            Field::System => {
                self.is_of_postgresql = value.raw().is_some_and(|raw| raw.bytes == SYSTEM.as_bytes());
            }
            Field::Namespace => self.database = value.raw().map(|raw| names.get(raw)),
            Field::Role => self.user = value.raw().map(|raw| names.get(raw)),
            Field::UserId => self.user_id = value.whole().and_then(|id| u32::try_from(id).ok()),
            Field::QueryId => self.query_id = value.whole(),
            Field::Toplevel => self.toplevel = value.truth(),
            _ => return false,
        }
        true
    }

    pub(crate) fn finish(self) -> Result<QueryKey, PassedOver> {
        if !self.is_of_postgresql {
            return Err(PassedOver::OtherSystem);
        }
        let database = self.database.ok_or(PassedOver::Incomplete("db.namespace"))?;
        let user = self.user.ok_or(PassedOver::Incomplete("postgresql.rolname"))?;
        Ok(QueryKey {
            system: SYSTEM,
            database_id: number_of(&database),
            user_id: self.user_id.unwrap_or_else(|| number_of(&user)),
            query_id: self.query_id.ok_or(PassedOver::Incomplete("postgresql.queryid"))?,
            toplevel: self.toplevel,
            database,
            user,
        })
    }
}

// === impl Plan ===

impl Plan {
    /// Takes the attribute if it is one by which a plan is known.
    pub(crate) fn take(&mut self, attribute: &Attribute<'_>) -> bool {
        let value: Read<'_> = attribute.value;
        match attribute.field {
            Field::Rung => {
                let is =
                    |rung: &PlanRung| value.raw().is_some_and(|raw| raw.bytes == rung.as_str().as_bytes());
                self.rung = PlanRung::ALL.into_iter().find(is);
            }
            Field::Plan => self.exact = value.hash128(),
            Field::Shape => self.shape = value.hash128(),
            _ => return false,
        }
        true
    }

    pub(crate) fn fingerprint(&self) -> Option<PlanFingerprint> {
        Some(PlanFingerprint { exact: self.exact?, shape: self.shape? })
    }

    fn reference(&self) -> Option<PlanReference> {
        Some(PlanReference { fingerprint: self.fingerprint()?, rung: self.rung? })
    }
}

// === impl Numbers ===

impl Default for Numbers {
    fn default() -> Self {
        Self {
            calls: None,
            total_s: None,
            mean: None,
            variance: None,
            counters: [f64::NAN; STATEMENT_COUNTERS.len()],
            exactness: None,
            start: None,
            end: None,
            rank: None,
            failed: None,
            timed_out: None,
        }
    }
}

impl Numbers {
    fn take(&mut self, attribute: &Attribute<'_>) -> bool {
        let value = attribute.value;
        let count = || value.whole().and_then(|count| u64::try_from(count).ok());
        match attribute.field {
            Field::Counter(place) => self.counter(place, value),
            Field::Calls => self.calls = value.whole(),
            Field::TotalTime => self.total_s = value.number(),
            Field::Mean => self.mean = value.number(),
            Field::Variance => self.variance = value.number(),
            Field::Exactness => {
                let all = [Exactness::Exact, Exactness::LowerBound, Exactness::Unknown];
                let is =
                    |one: &Exactness| value.raw().is_some_and(|raw| raw.bytes == one.as_str().as_bytes());
                self.exactness = all.into_iter().find(is);
            }
            Field::IntervalStart => self.start = value.time(),
            Field::IntervalEnd => self.end = value.time(),
            Field::Rank => self.rank = value.whole().and_then(|rank| u32::try_from(rank).ok()),
            Field::Failed => self.failed = count(),
            Field::TimedOut => self.timed_out = count(),
            _ => return false,
        }
        true
    }

    /// A counter, in the unit of its column.
    fn counter(&mut self, place: usize, value: Read<'_>) {
        let Some((counter, definition)) = self.counters.get_mut(place).zip(STATEMENT_COUNTERS.get(place))
        else {
            return;
        };
        if let Some(number) = value.number() {
            // Scales are powers of ten below one; a factor above one gives back what was divided by it, where one below does not.
            *counter = number * (1.0 / definition.scale);
        }
    }
}
