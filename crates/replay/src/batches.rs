//! Records that came from one reading, put together again.

use std::sync::Arc;

use dbintel_model::{Batch, Record, Target, Timestamp};

/// Records of one batch. A reading of more is several batches of the same time.
pub const RECORDS_PER_BATCH_MAX: usize = 8_192;

/// The batch that is being put together.
#[derive(Debug, Default)]
pub(crate) struct Batches {
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    source: usize,
    target: Arc<Target>,
    observed: Timestamp,
    clock: Timestamp,
    records: Vec<Record>,
}

impl Batches {
    /// Takes a record. If it is of another reading than those before, they are a batch, which is returned.
    pub(crate) fn push(
        &mut self,
        (source, target): (usize, &Arc<Target>),
        (observed, time): (Timestamp, Timestamp),
        record: Record,
    ) -> Option<Batch> {
        if let Some(open) = &mut self.open
            && open.source == source
            && open.observed == observed
            && open.records.len() < RECORDS_PER_BATCH_MAX
        {
            open.clock = open.clock.max(time);
            open.records.push(record);
            return None;
        }
        let records = vec![record];
        let target = Arc::clone(target);
        self.open.replace(Open { source, target, observed, clock: time, records }).map(Open::close)
    }

    /// What is left.
    pub(crate) fn finish(&mut self) -> Option<Batch> {
        self.open.take().map(Open::close)
    }
}

impl Open {
    fn close(self) -> Batch {
        let Self { target, observed, clock, records, .. } = self;
        Batch { target, node: None, observed_at: observed, server_clock: Some(clock), records }
    }
}
