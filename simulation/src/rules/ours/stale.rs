//! `statistics_stale`, which comes with a finding about a plan that flipped: the probable cause is an analysis of a table most of which
//! had changed.

use dbintel_evidence::unprompted::stale_share;

use crate::generator::tables::Flip;

/// Whether it is told with a finding about this flip. The latest analysis is the one that is taken for the cause; a change of a setting
/// or of an index, which would come before it, there is none.
#[must_use]
pub fn is_told(flip: &Flip) -> bool {
    flip.analyses.last().is_some_and(|analysis| stale_share(analysis.modified, analysis.rows).is_some())
}
