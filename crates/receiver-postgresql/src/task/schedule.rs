//! When polls run: depth-one ticks, missed ticks counted and never queued.

use std::time::Duration;

use async_trait::async_trait;
use dbintel_model::{Monotonic, Text};
use dbintel_pipeline::telemetry::definitions;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use super::shared::Shared;

/// How long a running poll may go on after shutdown was asked for.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);

/// Something that is done again and again.
#[async_trait]
pub(super) trait Poll: Send {
    /// Does it once. Never longer than the deadlines of the statements it sends.
    async fn poll(&mut self, shared: &Shared);

    /// Says goodbye to the server.
    async fn close(&mut self);

    /// What the interval is to be multiplied with: what the account of the server as a whole says, unless the polls are of single
    /// databases, each of which has its own.
    fn stretch(&self, shared: &Shared) -> f64 {
        shared.stretch(&shared.target)
    }
}

/// What is left out until an interval that was stretched is over.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rest {
    until: Monotonic,
}

impl Rest {
    /// Whether it goes on.
    pub(super) fn is_on(self, now: Monotonic) -> bool {
        now < self.until
    }

    /// What began at `start` is to be done every `interval` times `stretch`, which leaves out the ticks until then; one that comes a tenth
    /// of the interval too early counts, since ticks are not on time to the millisecond.
    pub(super) fn begin(&mut self, start: Monotonic, interval: Duration, stretch: f64) {
        self.until = start;
        if stretch > 1.0 {
            self.until = start.plus(interval.mul_f64(stretch - 0.1));
        }
    }
}

/// A part of a poll that is due less often than the poll runs.
#[derive(Debug)]
pub(super) struct Due {
    interval: Duration,
    next: Option<Monotonic>,
}

impl Due {
    pub(super) const fn every(interval: Duration) -> Self {
        Self { interval, next: None }
    }

    /// Whether it is due now; if so, the next time is set, in step with the times before.
    pub(super) fn take(&mut self, now: Monotonic) -> bool {
        let due = self.next.unwrap_or(now);
        if now < due {
            return false;
        }
        let next = due.plus(self.interval);
        self.next = Some(if next <= now { now.plus(self.interval) } else { next });
        true
    }
}

/// Runs `poll` every `interval`, the first time after `delay`, until shutdown.
pub(super) async fn run_every(
    shared: &Shared,
    name: &'static str,
    delay: Duration,
    interval: Duration,
    shutdown: &CancellationToken,
    poll: &mut dyn Poll,
) {
    let labels = || vec![("receiver", shared.server.receiver.clone()), ("loop", Text::Static(name))];
    let duration = shared.registry.gauge(&definitions::POLL_DURATION, labels());
    let polls = shared.registry.counter(&definitions::POLLS, labels());
    let missed = shared.registry.counter(&definitions::POLLS_MISSED, labels());
    let mut ticks = interval_at(Instant::now() + delay, interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            _ = ticks.tick() => {}
        }
        let started = shared.clock.monotonic();
        tokio::select! {
            () = poll.poll(shared) => {}
            () = async { shutdown.cancelled().await; tokio::time::sleep(SHUTDOWN_GRACE).await } => break,
        }
        let took = shared.clock.monotonic().since(started);
        duration.set(took.as_secs_f64());
        polls.increment();
        // Over budget: from the beginning of a poll to that of the next one it takes so many intervals.
        let stretch = poll.stretch(shared);
        if stretch > 1.0 {
            let pause = interval.mul_f64(stretch).saturating_sub(took);
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = tokio::time::sleep(pause) => ticks.reset_immediately(),
            }
        }
        missed.add(u64::try_from(took.as_nanos() / interval.as_nanos().max(1)).unwrap_or(u64::MAX));
    }
    poll.close().await;
}

#[cfg(test)]
mod tests {
    use dbintel_model::{Clock as _, ManualClock, Timestamp};

    use super::*;

    #[test]
    fn a_stretched_interval_leaves_out_ticks() {
        let visits = |stretch: f64| {
            let clock = ManualClock::at(Timestamp::default());
            let (mut rest, mut times) = (Rest::default(), Vec::new());
            for second in 0..70 {
                if second % 10 == 0 && !rest.is_on(clock.monotonic()) {
                    rest.begin(clock.monotonic(), Duration::from_secs(10), stretch);
                    times.push(second);
                }
                clock.advance(Duration::from_secs(1));
            }
            times
        };
        assert_eq!(visits(1.0), [0, 10, 20, 30, 40, 50, 60]);
        assert_eq!(visits(1.05), [0, 10, 20, 30, 40, 50, 60]);
        assert_eq!(visits(1.5), [0, 20, 40, 60]);
        assert_eq!(visits(2.0), [0, 20, 40, 60]);
        assert_eq!(visits(16.0), [0]);
    }

    #[test]
    fn a_part_is_due_in_step_and_not_made_up_for() {
        let clock = ManualClock::at(Timestamp::default());
        let mut due = Due::every(Duration::from_secs(60));
        let mut times = Vec::new();
        for second in (0..400).step_by(10) {
            // A stall from 130 to 260 seconds.
            if !(130..260).contains(&second) && due.take(clock.monotonic()) {
                times.push(second);
            }
            clock.advance(Duration::from_secs(10));
        }
        assert_eq!(times, [0, 60, 120, 260, 320, 380]);
    }
}
