//! The processors of a lane in a row, and the fan-out after the last one.

use std::collections::BTreeMap;
use std::sync::Arc;

use dbintel_model::{Batch, Clock, Record, Text};

use super::{LaneContext, ProcessorFactory, Sink};
use crate::exporter::{Delivery, LossReason};
use crate::telemetry::{Counter, Gauge, Registry, definitions};
use crate::{Command, Context, Output, Processor, PushError, Reply, RestoreError, StateChange, StateRefused};

/// A built chain.
pub(super) struct Chain {
    cx: LaneContext,
    stages: Vec<Stage>,
    random: fastrand::Rng,
}

struct Stage {
    id: Text,
    processor: Box<dyn Processor>,
    incoming: Counter,
    outgoing: Counter,
    seconds: Gauge,
}

/// Counts records as lost if it is dropped by a panic, before they are with the exporters.
struct InFlight {
    registry: Registry,
    lane: Text,
    records: u64,
}

impl Chain {
    pub(super) fn build(factories: &[ProcessorFactory], cx: &LaneContext) -> Self {
        let stages = factories.iter().map(|factory| Stage::build(factory, cx)).collect();
        Self { stages, random: fastrand::Rng::with_seed(cx.seed), cx: cx.clone() }
    }

    /// Sends a batch through all processors and hands the results to the exporters.
    pub(super) fn process(&mut self, batch: Batch) {
        self.pass_on(0, vec![batch]);
    }

    /// Ticks every processor; what one gives out goes through those after it.
    pub(super) fn tick(&mut self) {
        for index in 0..self.stages.len() {
            if self.is_off(index) {
                continue;
            }
            let mut out = Output::default();
            self.with_stage(index, |stage, cx| stage.processor.tick(cx, &mut out));
            self.send_on(index, &mut out);
        }
    }

    /// Has every processor do the next part of what it has begun. Says whether any has more to do.
    pub(super) fn go_on(&mut self) -> bool {
        let mut has_more = false;
        for index in 0..self.stages.len() {
            if self.is_off(index) {
                continue;
            }
            let mut out = Output::default();
            self.with_stage(index, |stage, cx| has_more |= stage.processor.go_on(cx, &mut out));
            self.send_on(index, &mut out);
        }
        has_more
    }

    /// Ticks every processor for the last time, and has them do all that is left: before the lane ends or the chain is replaced.
    pub(super) fn finish(&mut self) {
        self.tick();
        self.stages.iter_mut().for_each(|stage| stage.processor.finish());
        while self.go_on() {}
    }

    /// What a processor gave out between batches goes through those after it.
    fn send_on(&mut self, index: usize, out: &mut Output) {
        let made = self.settle(index, out);
        if !made.is_empty() {
            self.pass_on(index + 1, made);
        }
    }

    /// Sends batches through the processors from the first one on, and what comes out to the exporters.
    fn pass_on(&mut self, first: usize, batches: Vec<Batch>) {
        let in_flight = InFlight::new(&self.cx, &batches);
        let batches = self.run_from(first, batches);
        self.deliver(batches);
        in_flight.landed();
    }

    /// Asks every processor.
    pub(super) fn command(&mut self, command: &Command) -> Vec<(Text, Reply)> {
        let mut replies = Vec::new();
        for index in 0..self.stages.len() {
            let mut out = Output::default();
            self.with_stage(index, |stage, cx| {
                let reply = stage.processor.command(cx, command, &mut out);
                replies.push((stage.processor.id().to_owned().into(), reply));
            });
            self.send_on(index, &mut out);
        }
        replies
    }

    /// What processors give to the store from now on is counted as not stored.
    pub(super) fn forget_store(&mut self) {
        self.cx.store = None;
    }

    /// The states of all processors that have one.
    pub(super) fn snapshots(&self) -> Vec<(Text, Vec<u8>)> {
        let states = self.stages.iter().map(|stage| (stage.processor.id(), stage.processor.snapshot()));
        states.filter_map(|(id, state)| state.map(|state| (id.to_owned().into(), state))).collect()
    }

    /// Hands states over, by processor id.
    pub(super) fn restore(&mut self, snapshots: &[(Text, Vec<u8>)]) -> Vec<RestoreError> {
        let mut errors = Vec::new();
        for stage in &mut self.stages {
            let state = snapshots.iter().find(|(id, _)| id.as_str() == stage.processor.id());
            if let Some((_, state)) = state {
                errors.extend(stage.processor.restore(state).err());
            }
        }
        errors
    }

    /// Hands out what the store kept, to each processor what bears its id. Says how many values found one, and what could
    /// not be taken over.
    pub(super) fn restore_kept(&mut self, kept: &[StateChange]) -> (usize, Vec<RestoreError>) {
        let (mut taken, mut errors) = (0, Vec::new());
        for stage in &mut self.stages {
            let id = stage.processor.id();
            let values = kept.iter().filter_map(|StateChange { key, value }| {
                Some((key.as_str().strip_prefix(id)?.strip_prefix('/')?, value.as_deref()?))
            });
            let values: Vec<(&str, &[u8])> = values.collect();
            if !values.is_empty() {
                taken += values.len();
                errors.extend(stage.processor.restore_kept(&values).err());
            }
        }
        (taken, errors)
    }

    fn run_from(&mut self, first: usize, mut batches: Vec<Batch>) -> Vec<Batch> {
        for index in first..self.stages.len() {
            if self.is_off(index) {
                continue;
            }
            let mut out = Output::default();
            for batch in batches {
                self.with_stage(index, |stage, cx| {
                    stage.incoming.add(batch.records.len() as u64);
                    stage.processor.process(cx, batch, &mut out);
                });
            }
            batches = self.settle(index, &mut out);
        }
        batches
    }

    /// Whether a person has switched this processor off for a while.
    fn is_off(&self, index: usize) -> bool {
        self.stages.get(index).is_some_and(|stage| self.cx.overrides.is_processor_off(&stage.id))
    }

    fn with_stage(&mut self, index: usize, work: impl FnOnce(&mut Stage, &mut Context<'_>)) {
        let Some(stage) = self.stages.get_mut(index) else {
            return;
        };
        let clock: &Arc<dyn Clock> = &self.cx.clock;
        let started = clock.monotonic();
        work(stage, &mut Context { now: clock.now(), monotonic: started, random: &mut self.random });
        stage.seconds.add(clock.monotonic().since(started).as_secs_f64());
    }

    /// Books what a processor gave out and sends off everything but the batches, which are returned.
    fn settle(&mut self, index: usize, out: &mut Output) -> Vec<Batch> {
        let (requests, mut lost_requests) = out.take_requests();
        for request in requests {
            lost_requests += u64::from(self.cx.requests.try_send(request).is_err());
        }
        if lost_requests > 0 {
            let labels = vec![("receiver", self.cx.id.clone())];
            self.cx.registry.counter(&definitions::REQUESTS_LOST, labels).add(lost_requests);
        }
        self.store(out);
        let batches = out.take_batches();
        if let Some(stage) = self.stages.get(index) {
            stage.outgoing.add(batches.iter().map(|batch| batch.records.len() as u64).sum());
        }
        batches
    }

    /// Sends state changes to the store, and counts those that do not reach it.
    fn store(&self, out: &mut Output) {
        let (changes, beyond_limit) = out.take_state();
        let mut refused = BTreeMap::from([("limit", beyond_limit)]);
        for change in changes {
            let taken = self.cx.store.as_ref().map_or(Err(StateRefused::Closed), |store| store.put(change));
            if let Err(reason) = taken {
                *refused.entry(reason.as_str()).or_default() += 1;
            }
        }
        for (reason, lost) in refused {
            if lost > 0 {
                let labels = vec![("receiver", self.cx.id.clone()), ("reason", reason.into())];
                self.cx.registry.counter(&definitions::STATE_CHANGES_LOST, labels).add(lost);
            }
        }
    }

    /// What the server gave as a plan holds literals and has no encoding. Without a processor that makes something of
    /// it, it ends here.
    fn drop_raw_plans(&self, batch: &mut Batch) {
        batch.records.retain(|record| !matches!(record, Record::NoPlan(_)));
        let before = batch.records.len();
        batch.records.retain(|record| !matches!(record, Record::Plan(_)));
        let dropped = before - batch.records.len();
        if dropped > 0 {
            count_lost(&self.cx.registry, &self.cx.id, "plan_not_extracted", dropped as u64);
        }
    }

    /// What is found is kept in the store, if there is one.
    fn keep_findings(&self, batch: &Batch) {
        let Some(store) = &self.cx.store else { return };
        for record in &batch.records {
            if let Record::Finding(event) = record
                && let Err(reason) = store.finding(event)
            {
                let labels = vec![("receiver", self.cx.id.clone()), ("reason", reason.as_str().into())];
                self.cx.registry.counter(&definitions::STATE_CHANGES_LOST, labels).increment();
            }
        }
    }

    fn deliver(&self, batches: Vec<Batch>) {
        for mut batch in batches {
            self.drop_raw_plans(&mut batch);
            self.keep_findings(&batch);
            let sampled_out = batch.records.iter().filter(|record| record.is_sampled_out()).count() as u64;
            // What was for the processors only must not weigh against what leaves, and its room goes with it.
            batch.records.retain(Record::leaves);
            batch.records.shrink_to_fit();
            let weight_bytes = batch.weight_bytes();
            let batch = Arc::new(batch);
            for sink in &self.cx.sinks {
                if sink.signals.logs {
                    sink.telemetry.sampled_out(sampled_out);
                }
                let is_off = self.cx.overrides.is_exporter_off(sink.telemetry.exporter());
                sink.deliver(&batch, weight_bytes, is_off);
            }
        }
    }
}

impl Sink {
    fn deliver(&self, batch: &Arc<Batch>, weight_bytes: usize, is_off: bool) {
        if !batch.records.iter().any(|record: &Record| self.signals.admit(record)) {
            return;
        }
        let delivery = Delivery::new(Arc::clone(batch), self.signals, weight_bytes);
        if is_off {
            self.telemetry.lost_delivery(&delivery, LossReason::Bypassed);
            return;
        }
        match self.input.push_evicting(delivery) {
            Ok(evicted) => {
                for delivery in &evicted {
                    self.telemetry.lost_delivery(delivery, LossReason::InputFull);
                }
            }
            Err((PushError::Closed, delivery)) => {
                self.telemetry.lost_delivery(&delivery, LossReason::Stopped);
            }
            Err((PushError::Full | PushError::TooLarge, delivery)) => {
                self.telemetry.lost_delivery(&delivery, LossReason::InputFull);
            }
        }
    }
}

impl Stage {
    fn build(factory: &ProcessorFactory, cx: &LaneContext) -> Self {
        let labels = || vec![("processor", factory.id.clone()), ("receiver", cx.id.clone())];
        let registry: &Registry = &cx.registry;
        Self {
            id: factory.id.clone(),
            processor: (factory.build)(),
            incoming: registry.counter(&definitions::PROCESSOR_INCOMING, labels()),
            outgoing: registry.counter(&definitions::PROCESSOR_OUTGOING, labels()),
            seconds: registry.gauge(&definitions::PROCESSOR_DURATION, labels()),
        }
    }
}

impl InFlight {
    fn new(cx: &LaneContext, batches: &[Batch]) -> Self {
        let records = batches.iter().map(|batch| batch.records.len() as u64).sum();
        Self { registry: cx.registry.clone(), lane: cx.id.clone(), records }
    }

    fn landed(mut self) {
        self.records = 0;
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.records > 0 {
            count_lost(&self.registry, &self.lane, "panic", self.records);
        }
    }
}

/// Counts records that are lost within a lane.
pub(super) fn count_lost(registry: &Registry, lane: &Text, reason: &'static str, records: u64) {
    let labels = vec![("receiver", lane.clone()), ("reason", reason.into())];
    registry.counter(&definitions::LANE_LOST_RECORDS, labels).add(records);
}
