//! Supervision: components run as tasks; a panic or an error is contained, counted, and answered by a restart with
//! back-off; a component that does not stop within its deadline is ended.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use dbintel_model::{Clock, Text};
use parking_lot::Mutex;
use tokio::task::{AbortHandle, JoinError, JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::status::{State, StatusHandle};
use crate::telemetry::{Counter, Registry, definitions};
use crate::{Backoff, ComponentError};

/// A component that ran this long without failing has recovered: its next failure starts the back-off anew.
pub const RECOVERED_AFTER: Duration = Duration::from_secs(120);

/// Runs components.
#[derive(Clone, Debug)]
pub struct Supervisor {
    clock: Arc<dyn Clock>,
    registry: Registry,
    backoff: Backoff,
}

/// A running component.
#[derive(Debug)]
pub struct Supervised {
    shutdown: CancellationToken,
    /// Cancelled when it is waited for: it is started again at once, then.
    awaited: CancellationToken,
    task: JoinHandle<()>,
    running: Arc<Mutex<Option<AbortHandle>>>,
}

struct Watch {
    component: Text,
    status: StatusHandle,
    shutdown: CancellationToken,
    awaited: CancellationToken,
    running: Arc<Mutex<Option<AbortHandle>>>,
    panics: Counter,
    restarts: Counter,
}

// === impl Supervisor ===

impl Supervisor {
    /// A supervisor that waits by [`Backoff::for_restarts`] before it restarts.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, registry: Registry) -> Self {
        Self { clock, registry, backoff: Backoff::for_restarts() }
    }

    /// The same with another back-off, for tests.
    #[must_use]
    pub fn with_backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Starts a component. `make` builds it, now and after every failure; `shutdown` is what stops it.
    pub fn start<Make, Run>(
        &self,
        component: Text,
        status: StatusHandle,
        shutdown: CancellationToken,
        make: Make,
    ) -> Supervised
    where
        Make: FnMut() -> Run + Send + 'static,
        Run: Future<Output = Result<(), ComponentError>> + Send + 'static,
    {
        let labels = || vec![("component", component.clone())];
        let (running, awaited) = (Arc::new(Mutex::new(None)), CancellationToken::new());
        let watch = Watch {
            panics: self.registry.counter(&definitions::PANICS, labels()),
            restarts: self.registry.counter(&definitions::RESTARTS, labels()),
            component,
            status,
            shutdown: shutdown.clone(),
            awaited: awaited.clone(),
            running: Arc::clone(&running),
        };
        let task = spawn(watch.run(make, Arc::clone(&self.clock), self.backoff.clone()));
        Supervised { shutdown, awaited, task, running }
    }
}

#[allow(clippy::disallowed_methods, reason = "the supervisor is where tasks are spawned")]
fn spawn<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(future)
}

// === impl Watch ===

impl Watch {
    async fn run<Make, Run>(self, mut make: Make, clock: Arc<dyn Clock>, mut backoff: Backoff)
    where
        Make: FnMut() -> Run,
        Run: Future<Output = Result<(), ComponentError>> + Send + 'static,
    {
        let (mut random, mut awaited) = (fastrand::Rng::new(), false);
        loop {
            let started = clock.monotonic();
            let task = spawn(make());
            *self.running.lock() = Some(task.abort_handle());
            let ended = task.await;
            // Whatever it was at work on, it is not any more.
            self.status.rests();
            let reason = match ended {
                Ok(Ok(())) => break,
                Ok(Err(error)) => error.0,
                Err(ended) if ended.is_cancelled() => break,
                Err(panicked) => self.panicked(panicked),
            };
            if clock.monotonic().since(started) > RECOVERED_AFTER {
                backoff.reset();
            }
            let wait = backoff.next_wait(&mut random);
            self.status.set(State::Failed(reason.clone()), clock.now());
            tracing::error!(component = %self.component, %reason, wait_ms = wait.as_millis(), "component failed, restarting");
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => break,
                () = self.awaited.cancelled(), if !awaited => {
                    awaited = true;
                    backoff.reset();
                }
                () = tokio::time::sleep(wait) => {}
            }
            self.restarts.increment();
        }
        self.status.set(State::Stopped, clock.now());
    }

    fn panicked(&self, error: JoinError) -> Text {
        self.panics.increment();
        let payload = error.into_panic();
        let message = payload
            .downcast_ref::<&'static str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".to_owned());
        format!("panic: {message}").into()
    }
}

// === impl Supervised ===

impl Supervised {
    /// Asks the component to stop and waits for it. Past the deadline it is ended where it stands. Says whether it
    /// stopped by itself.
    pub async fn stop(self, within: Duration) -> bool {
        self.shutdown.cancel();
        self.join(within).await
    }

    /// Waits for the component to end by itself; past the deadline it is ended where it stands. One that has failed is started again at
    /// once, so that it can end what it has begun; if it fails again, after waits that begin anew.
    pub async fn join(mut self, within: Duration) -> bool {
        self.awaited.cancel();
        if tokio::time::timeout(within, &mut self.task).await.is_ok() {
            return true;
        }
        self.task.abort();
        if let Some(running) = self.running.lock().take() {
            running.abort();
        }
        false
    }

    /// Whether it has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use dbintel_model::SystemClock;

    use super::*;
    use crate::status::{ComponentKind, StatusBoard};

    fn supervisor() -> (Supervisor, Registry, StatusBoard, StatusHandle) {
        let (registry, board) = (Registry::default(), StatusBoard::default());
        let clock = Arc::new(SystemClock::default());
        let status = board.register(ComponentKind::Receiver, "test".into(), clock.now());
        (Supervisor::new(clock, registry.clone()), registry, board, status)
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_is_contained_counted_and_answered_by_a_restart() {
        let (supervisor, registry, _board, status) = supervisor();
        let runs = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&runs);
        let component =
            supervisor.start("test".into(), status.clone(), CancellationToken::new(), move || {
                let run = counted.fetch_add(1, Ordering::Relaxed);
                async move {
                    match run {
                        0 => panic!("on purpose"),
                        1 => Err(ComponentError("an error".into())),
                        _ => Ok(()),
                    }
                }
            });
        assert!(component.join(Duration::from_secs(600)).await);
        assert_eq!(runs.load(Ordering::Relaxed), 3);
        let value = |name| registry.value(name, &[("component", "test")]);
        assert_eq!(value("dbintel_component_panics_total"), Some(1.0));
        assert_eq!(value("dbintel_component_restarts_total"), Some(2.0));
        assert_eq!(status.status().unwrap().state, State::Stopped);
    }

    #[tokio::test(start_paused = true)]
    async fn a_component_that_does_not_stop_is_ended_at_the_deadline() {
        let (supervisor, _registry, _board, status) = supervisor();
        let component = supervisor.start("test".into(), status, CancellationToken::new(), || async {
            std::future::pending::<()>().await;
            Ok(())
        });
        assert!(!component.stop(Duration::from_secs(5)).await);
    }

    /// Or the process would be taken for one that hangs, and be killed.
    #[tokio::test(start_paused = true)]
    async fn a_component_that_waits_to_be_started_again_is_at_work_on_nothing() {
        let (supervisor, registry, board, status) = supervisor();
        let working = status.clone();
        let component =
            supervisor.start("test".into(), status.clone(), CancellationToken::new(), move || {
                let working = working.clone();
                async move {
                    working.working(dbintel_model::Monotonic::default());
                    panic!("on purpose")
                }
            });
        while registry.value("dbintel_component_panics_total", &[("component", "test")]) != Some(1.0) {
            tokio::task::yield_now().await;
        }
        assert_eq!(status.status().unwrap().working_since, None);
        let much_later = dbintel_model::Monotonic::default().plus(Duration::from_secs(600));
        assert_eq!(board.stuck(much_later, Duration::from_secs(60)), None);
        assert!(component.stop(Duration::from_millis(1)).await);
    }

    #[tokio::test(start_paused = true)]
    async fn shutdown_ends_the_wait_before_a_restart() {
        let (supervisor, _registry, _board, status) = supervisor();
        let component = supervisor.start("test".into(), status.clone(), CancellationToken::new(), || async {
            Err(ComponentError("no luck".into()))
        });
        while status.status().unwrap().state == State::Starting {
            tokio::task::yield_now().await;
        }
        assert!(component.stop(Duration::from_millis(1)).await);
    }
}
