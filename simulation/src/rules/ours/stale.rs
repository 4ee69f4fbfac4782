//! `statistics_stale`, which comes with a finding about a plan that flipped: the probable cause is an analysis of a table most of which
//! had changed, or that most of it has changed.

use dbintel_evidence::unprompted::stale_share;

use crate::generator::tables::Flip;

/// Whether it is told with a finding about this flip. The latest analysis is the one that is taken for the cause, and without any that a
/// table was read as stale that was not; a change of a setting or of an index, which would come before it, there is none.
#[must_use]
pub fn is_told(flip: &Flip) -> bool {
    match flip.analyses.last() {
        Some(analysis) => stale_share(analysis.modified, analysis.rows).is_some(),
        None => flip.readings.iter().any(|reading| {
            let [before, now] = reading.modified.map(|modified| stale_share(modified, reading.known));
            before.is_none() && now.is_some()
        }),
    }
}
