//! What happened at a node: the counters of its threads, added up.

use super::{attribute::Attribute, value, xml::Tag};
use crate::{
    PlanProblems, ProblemKind,
    tree::{Actuals, Extra, Node, Scalar, Worker},
};

/// The most threads of a node that are kept one by one. The counters of all are added up.
pub const MAX_THREADS: usize = 128;

/// Counters without a place of their own in the tree.
const SUMMED: [(Attribute, &str); 11] = [
    (Attribute::ActualRowsRead, "ActualRowsRead"),
    (Attribute::ActualLogicalReads, "ActualLogicalReads"),
    (Attribute::ActualPhysicalReads, "ActualPhysicalReads"),
    (Attribute::ActualReadAheads, "ActualReadAheads"),
    (Attribute::ActualLobLogicalReads, "ActualLobLogicalReads"),
    (Attribute::ActualScans, "ActualScans"),
    (Attribute::ActualCpuMs, "ActualCPUms"),
    (Attribute::ActualRebinds, "ActualRebinds"),
    (Attribute::ActualRewinds, "ActualRewinds"),
    (Attribute::Batches, "Batches"),
    (Attribute::ActualLocallyAggregatedRows, "ActualLocallyAggregatedRows"),
];

/// The counters of all threads.
#[derive(Default)]
pub(super) struct Counters<'a> {
    threads: u32,
    rows: f64,
    executions: f64,
    /// The most executions of one thread.
    most_executions: f64,
    elapsed_ms: Option<f64>,
    is_batch: bool,
    sums: [f64; SUMMED.len()],
    workers: Vec<Worker<'a>>,
}

impl Counters<'_> {
    /// Adds the counters of one thread.
    pub(super) fn add(&mut self, tag: &Tag<'_>, problems: &mut PlanProblems) {
        let (mut thread, mut rows, mut executions, mut elapsed) = (0, 0.0, 0.0, None);
        let sums = &mut self.sums;
        let is_batch = &mut self.is_batch;
        tag.attributes(problems, |attribute, text, problems| {
            if attribute == Attribute::ActualExecutionMode {
                *is_batch |= text == "Batch";
                return;
            }
            let Some(number) = value::number(&text) else {
                return problems.add(ProblemKind::UnexpectedType, tag.at);
            };
            match attribute {
                Attribute::Thread => thread = number as u32,
                Attribute::ActualRows => rows = number,
                Attribute::ActualExecutions => executions = number,
                Attribute::ActualElapsedMs => elapsed = Some(number),
                _ => {
                    let known = sums.iter_mut().zip(SUMMED).find(|(_, (known, _))| *known == attribute);
                    if let Some((sum, _)) = known {
                        *sum += number;
                    }
                }
            }
        });
        self.threads = self.threads.saturating_add(1);
        self.rows += rows;
        self.executions += executions;
        self.most_executions = self.most_executions.max(executions);
        if let Some(elapsed) = elapsed {
            self.elapsed_ms = Some(self.elapsed_ms.unwrap_or(0.0).max(elapsed));
        }
        if thread > 0 {
            self.workers_add(thread, rows, executions);
        }
    }

    fn workers_add(&mut self, number: u32, rows: f64, executions: f64) {
        if self.workers.len() < MAX_THREADS {
            let actuals = Some(Actuals { rows, loops: executions, startup_ms: None, total_ms: None });
            self.workers.push(Worker { number, actuals, ..Worker::default() });
        }
    }
}

impl<'a> Counters<'a> {
    /// Writes the sums to the node.
    pub(super) fn finish(self, node: &mut Node<'a>) {
        if self.threads == 0 {
            return;
        }
        // Threads that each ran once shared one execution; threads on the inner side of a loop each had some of many.
        let shared = self.most_executions <= 1.0;
        let loops = match self.executions {
            executions if executions > 1.0 && shared => 1.0,
            executions if executions <= 0.0 && self.rows > 0.0 => 1.0,
            executions => executions,
        };
        let divisor = loops.max(1.0);
        // In batch mode the time is that of the node alone, which is not what the tree means by it.
        let total_ms = self.elapsed_ms.filter(|_| !self.is_batch).map(|ms| ms / divisor);
        node.actuals = Some(Actuals { rows: self.rows / divisor, loops, startup_ms: None, total_ms });
        let number = |name, value| Extra { name, group: None, value: Scalar::Number(value) };
        if let Some(elapsed) = self.elapsed_ms.filter(|_| self.is_batch) {
            node.extras.push(number("ActualElapsedms", elapsed));
        }
        for (sum, (_, name)) in self.sums.into_iter().zip(SUMMED) {
            if sum > 0.0 {
                node.extras.push(number(name, sum));
            }
        }
        if self.workers.len() > 1 {
            node.workers = self.workers;
        }
    }
}

/// Sets how many rows the condition of a scan dropped, which the counters of a thread say in part only.
pub(super) fn set_dropped_rows(node: &mut Node<'_>) {
    let (Some(read), Some(actuals)) = (node.extra_number("ActualRowsRead"), node.actuals) else { return };
    let dropped = read / actuals.loops.max(1.0) - actuals.rows;
    if dropped > 0.0 && node.has_condition(crate::tree::ConditionKind::Filter) {
        node.rows_removed_by_filter = Some(dropped);
    }
}
