//! `plan_flapping`, looked for every hour as `regression_verifier` does it: every report that has arrived is counted, and a finding stays
//! open until there was no change for a day and the one before.

use dbintel_evidence::unprompted::{PlanSeen, PlansSeen};

use super::unprompted::Told;
use crate::generator::plans::{HOURS_WATCHED, Reports};

/// The default of `flapping_changes_per_day`.
const CHANGES_PER_DAY: u32 = 6;
/// Hours of a day.
const PER_DAY: i64 = 24;

/// The hours of the looks at which a finding began.
#[must_use]
pub fn begun(reports: &Reports) -> Vec<i64> {
    let (mut plans, mut told, mut begun) = (PlansSeen::default(), Told::default(), Vec::new());
    let mut arriving = reports.reports.iter().peekable();
    for now in reports.first_look..reports.first_look + HOURS_WATCHED as i64 {
        while let Some(report) = arriving.next_if(|report| report.at < now as f64) {
            // What is by values is seen in plans that ran; the others are those the planner names.
            let rung = u8::from(!report.by_values);
            let seen = PlanSeen { plan: report.plan, rung, depends_on_values: report.by_values };
            plans.see(seen, (report.at.floor() as i64).div_euclid(PER_DAY));
        }
        let day = now.div_euclid(PER_DAY);
        let flaps = plans.flapping(day, CHANGES_PER_DAY).is_some();
        if told.look(now, flaps, plans.is_steady(day)) {
            begun.push(now);
        }
    }
    begun
}
