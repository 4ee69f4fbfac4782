//! What a sampler has decided about a record.

use crate::ValueRef;

/// The mark of a sampler. The record stays in its batch whatever the mark says: processors after the sampler see
/// everything, and the exporters leave out what is not to be kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Whether the record leaves the process.
    pub keep: bool,
    /// The probability with which it was kept, from 0 to 1: it stands for `1 / probability` records. What hard limits
    /// and deduplication cut is not in it.
    pub probability: f64,
    /// Equal records that were left out as duplicates since this one was last kept.
    pub suppressed: u32,
}

impl Sampling {
    /// Calls `visit` with what a kept record carries about its sampling.
    pub fn for_each_attribute(&self, visit: &mut dyn FnMut(&str, ValueRef<'_>)) {
        visit("dbintel.sampling.probability", ValueRef::Double(self.probability));
        if self.suppressed > 0 {
            visit("dbintel.sampling.suppressed", ValueRef::Int(self.suppressed.into()));
        }
    }
}
