//! The numbers of a verdict as evidence.

use dbintel_evidence::{Direction, Verdict};
use dbintel_model::finding::{Evidence, Source};
use dbintel_model::{PlanRung, PlanTimesSource};

use crate::regression_verifier::clock::BlockClock;
use crate::regression_verifier::statement::Statement;
use crate::regression_verifier::trial::Trial;

use Source::{Computed, Measured, Planner};

pub(super) fn of(
    verdict: &Verdict,
    trial: &Trial,
    statement: &Statement,
    clock: &mut BlockClock,
) -> Vec<Evidence> {
    let mut all = Vec::with_capacity(48);
    time(verdict, &mut all);
    work_and_rows(verdict, trial, statement, &mut all);
    about_the_change(verdict, trial, &mut all);
    if trial.flip.is_none() {
        all.extend(plan_not_seen(statement));
    }
    missing(verdict, clock, &mut all);
    all
}

fn time(verdict: &Verdict, all: &mut Vec<Evidence>) {
    let numbers = &verdict.numbers;
    let mut add = |name, value, unit, source, detail: &'static str| {
        all.push(Evidence::new(name, value, unit, source, detail));
    };
    let count = |count: usize| Some(count as f64);
    add(
        "calls_before",
        Some(numbers.executions_before),
        "{call}",
        Measured,
        "calls, at the hours of day seen after",
    );
    add("calls_after", Some(numbers.executions_after), "{call}", Measured, "calls, since the change");
    add("blocks_before", count(numbers.blocks_before), "{block}", Computed, "blocks of time compared");
    add(
        "same_hour_blocks",
        count(numbers.same_hour_blocks),
        "{block}",
        Computed,
        "of these at the same hours of day",
    );
    add("blocks_after", count(numbers.blocks_after), "{block}", Computed, "blocks of time since the change");
    add("block_hours", Some(numbers.block_hours), "h", Computed, "length of a block of time");
    add(
        "baseline_days",
        Some(numbers.baseline_days),
        "d",
        Computed,
        "from the first block before to the change",
    );
    add("mean_before", numbers.mean_before_ms, "ms", Measured, "total_exec_time / calls, at the same hours");
    add("mean_after", numbers.mean_after_ms, "ms", Measured, "total_exec_time / calls");
    add(
        "deviation_before",
        numbers.deviation_before_ms,
        "ms",
        Computed,
        "of single executions, from stddev_exec_time",
    );
    add(
        "deviation_after",
        numbers.deviation_after_ms,
        "ms",
        Computed,
        "of single executions, from stddev_exec_time",
    );
    let of = if numbers.t_of_blocks { "Welch, over blocks" } else { "Welch, over single executions" };
    add("t", numbers.t, "1", Computed, of);
    add("degrees_of_freedom", numbers.freedom, "1", Computed, "Welch and Satterthwaite");
    add("log_step", numbers.log_step, "1", Computed, "difference of the medians of ln(time per call)");
    add("log_step_error", numbers.log_step_error, "1", Computed, "1.2533 * sqrt(s1^2/B1 + s2^2/B2)");
    add("block_t", numbers.block_t, "1", Computed, "log_step / log_step_error");
    let is_slower = verdict.direction == Direction::Slower;
    for (low, high, bounds, formula) in [
        ("ratio_low", "ratio_high", numbers.ratio, "exp(log_step - z * log_step_error)"),
        ("ratio_delta_low", "ratio_delta_high", numbers.ratio_delta, "of the means, delta method"),
        ("ratio_fieller_low", "ratio_fieller_high", numbers.ratio_fieller, "of the means, Fieller"),
    ] {
        // A verdict has the slower by the faster, a finding what is since by what was before.
        let name = if is_slower { low } else { high };
        add(name, bounds.map(|bounds| since_by_before(verdict, bounds.low)), "1", Computed, formula);
    }
    if let Some((before, after)) = numbers.autocorrelation {
        add("autocorrelation_before", Some(before), "1", Computed, "of neighbouring blocks");
        add("autocorrelation_after", Some(after), "1", Computed, "of neighbouring blocks");
    }
    if let Some((before, after)) = numbers.effective_blocks {
        add("independent_blocks_before", Some(before), "1", Computed, "B(1-r)/(1+r)");
        add("independent_blocks_after", Some(after), "1", Computed, "B(1-r)/(1+r)");
    }
    if let Some((slowest, fastest)) = numbers.time_tenths {
        add(
            "slowest_tenth_before",
            Some(slowest),
            "1",
            Computed,
            "time per call divided by the usual of the hour",
        );
        add(
            "fastest_tenth_after",
            Some(fastest),
            "1",
            Computed,
            "time per call divided by the usual of the hour",
        );
    }
    add("calls_per_day", numbers.calls_per_day, "{call}/d", Computed, "since the change");
    let lost = numbers.lost_ms_per_day;
    let (name, formula) = if is_slower {
        ("lost_per_day_low", "(1 - 1/R) * mean_after * calls_per_day")
    } else {
        ("gained_per_day_low", "(1 - R) * mean_before * calls_per_day")
    };
    add(name, lost.map(|lost| lost.low / 1e3), "s/d", Computed, formula);
    let variation = numbers.variation_before;
    add("variation_before", variation, "1", Computed, "deviation_before / mean_before of single executions");
}

fn work_and_rows(verdict: &Verdict, trial: &Trial, statement: &Statement, all: &mut Vec<Evidence>) {
    let numbers = &verdict.numbers;
    let per_call = |blocks: &mut dyn Iterator<Item = super::super::sums::Sums>| {
        let (calls, work) =
            blocks.fold((0.0, 0.0), |(calls, work), sums| (calls + sums.calls, work + sums.work));
        (calls > 0.0).then(|| work / calls)
    };
    let before = per_call(&mut trial.before.iter().map(|(_, sums)| sums));
    let since = statement.hours.iter().filter(|(place, _)| *place >= trial.hour);
    let after = per_call(&mut since.map(|(_, sums)| sums));
    let of = "shared, local and temporary blocks hit, read or written, over all blocks of time";
    let mut add = |name, value, unit, source, detail: &'static str| {
        all.push(Evidence::new(name, value, unit, source, detail));
    };
    add("work_per_call_before", before, "{block}", Measured, of);
    add("work_per_call_after", after, "{block}", Measured, of);
    let work_ratio = numbers.work_ratio.map(|ratio| since_by_before(verdict, ratio));
    add("work_ratio", work_ratio, "1", Computed, "of the medians at the same hours");
    add("work_t", numbers.work_t, "1", Computed, "the step of work in its standard errors");
    if let Some((most, least)) = numbers.work_tenths {
        add(
            "most_working_tenth_before",
            Some(most),
            "1",
            Computed,
            "work per call divided by the usual of the hour",
        );
        add(
            "least_working_tenth_after",
            Some(least),
            "1",
            Computed,
            "work per call divided by the usual of the hour",
        );
    }
    add("rows_ratio", numbers.rows_ratio, "1", Computed, "rows per call, after by before");
}

fn about_the_change(verdict: &Verdict, trial: &Trial, all: &mut Vec<Evidence>) {
    let numbers = &verdict.numbers;
    let mut add = |name, value, unit, source, detail: &'static str| {
        all.push(Evidence::new(name, value, unit, source, detail));
    };
    let control = "median over the statements without a change of plan, now by usual";
    add("control_ratio", numbers.control_ratio, "1", Computed, control);
    add("control_statements", numbers.control_statements.map(f64::from), "{statement}", Computed, control);
    add(
        "onset_before",
        numbers.onset_before,
        "1",
        Computed,
        "share of the step that was there before the change",
    );
    add(
        "onset_after",
        numbers.onset_after,
        "1",
        Computed,
        "share of the step that was there right after the change",
    );
    if let Some(flip) = &trial.flip {
        add("cost_before", flip.old_cost, "1", Planner, "total cost of the old plan");
        add("cost_after", flip.new_cost, "1", Planner, "total cost of the new plan");
    }
    for (plan, times) in ["old", "new"].into_iter().zip(&trial.timed) {
        let Some(times) = times else { continue };
        let detail = match times.source {
            PlanTimesSource::ServerLog => {
                "executions with this plan that auto_explain logged, since the collector began to read them"
            }
            PlanTimesSource::Extension => {
                "executions with this plan that pg_store_plans counted, since the collector began to read them"
            }
        };
        let names = if plan == "old" {
            ["old_plan_executions", "old_plan_mean"]
        } else {
            ["new_plan_executions", "new_plan_mean"]
        };
        add(names[0], Some(times.executions as f64), "{call}", Measured, detail);
        add(names[1], Some(times.mean_ms), "ms", Measured, detail);
    }
    if let Some(ratio) = numbers.side_by_side.and_then(|compared| compared.ratio) {
        let detail = "mean of the executions with the new plan by that with the old one, Fieller";
        add("new_by_old_plan_low", Some(ratio.low), "1", Computed, detail);
        add("new_by_old_plan_high", Some(ratio.high), "1", Computed, detail);
    }
    if let Some(waited) = &numbers.waited {
        let detail = "share of the sampled sessions that waited for locks, input or output, in a typical hour of the times of day since";
        add("waiting_before", Some(waited.before.waits.share), "1", Measured, detail);
        add("waiting_after", Some(waited.since.waits.share), "1", Measured, detail);
        let detail = "that share of the time of a typical call, the median of the hours' means";
        add("waiting_time_before", Some(waited.before.waiting_ms()), "ms", Computed, detail);
        add("waiting_time_after", Some(waited.since.waiting_ms()), "ms", Computed, detail);
        let detail = "part of the added time that is waiting, at two errors of the shares";
        add("waiting_part_low", waited.part().map(|part| part.low), "1", Computed, detail);
        add("waiting_part_high", waited.part().map(|part| part.high), "1", Computed, detail);
    }
}

/// Why the executions of a statement without a known change of plan may have another one all the same: they were not seen.
fn plan_not_seen(statement: &Statement) -> Option<Evidence> {
    let seen = &statement.plans.seen;
    let rung = PlanRung::ALL.into_iter().find(|rung| *rung as u8 == seen.rung);
    let how = match rung.filter(|_| seen.last != 0) {
        Some(PlanRung::Actual | PlanRung::Extension) => return None,
        Some(rung) => format!(
            "its plans were seen by EXPLAIN ({}): that executions go over from plans for their values to a generic plan, or back, is not \
             observable there, but in plans of the server's log (auto_explain) or of pg_store_plans",
            rung.as_str()
        ),
        None => "no plan of it was seen: a change of its plan is not observable".to_owned(),
    };
    Some(Evidence::new("plan_of_executions", None, "1", Measured, how))
}

/// A ratio of the slower by the faster as that of what is since by what was before.
fn since_by_before(verdict: &Verdict, ratio: f64) -> f64 {
    match verdict.direction {
        Direction::Slower => ratio,
        Direction::Faster => ratio.recip(),
    }
}

/// What is missing for more, and when it can be there.
fn missing(verdict: &Verdict, clock: &mut BlockClock, all: &mut Vec<Evidence>) {
    for missing in &verdict.missing {
        let when = match missing.earliest {
            _ if !missing.for_this_change => "; a later change can have it".to_owned(),
            Some(block) => format!("; it can be there at {}", clock.hour_begins(block)),
            None => String::new(),
        };
        let detail = format!("{}: {} are needed{when}", missing.lock.as_str(), missing.need);
        all.push(Evidence::new("missing", Some(missing.have), "1", Computed, detail));
    }
}
