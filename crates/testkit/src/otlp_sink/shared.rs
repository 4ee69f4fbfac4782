//! What both ports and the test share: the script, the record, and the wake-up when either changes.

use std::sync::Arc;
use std::time::Instant;

use http::request::Parts;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::behaviour::Script;
use super::options::{Keep, Options};
use super::received::{ATTEMPTS_KEPT_MAX, Attempt, Encoding, Format, Outcome, Received, Transport};
use super::signal::Export;

/// One per sink, whether its ports are open or not.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) script: Mutex<Script>,
    pub(crate) received: Mutex<Received>,
    pub(crate) changed: Notify,
    created: Instant,
}

/// A request while it is being served. Dropped unfinished, as happens when the client goes away, it is recorded as
/// abandoned.
#[derive(Debug)]
pub(crate) struct OpenAttempt {
    shared: Arc<Shared>,
    pub(crate) attempt: Attempt,
    opened: Instant,
}

// === impl Shared ===

impl Shared {
    pub(crate) fn new(options: Options) -> Self {
        Self {
            options,
            script: Mutex::default(),
            received: Mutex::default(),
            changed: Notify::new(),
            created: Instant::now(),
        }
    }

    pub(crate) fn keeps_content(&self) -> bool {
        self.options.keep == Keep::Everything
    }
}

// === impl OpenAttempt ===

impl OpenAttempt {
    pub(crate) fn new(shared: &Arc<Shared>, transport: Transport, request: &Parts) -> Self {
        let mut received = shared.received.lock();
        received.totals.attempts += 1;
        let attempt = Attempt {
            number: received.totals.attempts,
            at: shared.created.elapsed(),
            took: None,
            transport,
            signal: None,
            path: request.uri.path().to_owned(),
            headers: request.headers.clone(),
            encoding: Encoding::Identity,
            format: Format::Other,
            wire_bytes: 0,
            message_bytes: 0,
            message_hash: 0,
            items: None,
            outcome: Outcome::Pending,
        };
        if shared.keeps_content() && received.attempts.len() < ATTEMPTS_KEPT_MAX {
            received.attempts.push(attempt.clone());
        }
        drop(received);
        shared.changed.notify_waiters();
        Self { shared: Arc::clone(shared), attempt, opened: Instant::now() }
    }

    /// Records a breach of the protocol.
    pub(crate) fn violation(&self, text: &str) {
        let Attempt { number, transport, .. } = self.attempt;
        let text = format!("#{number} {transport:?} {}: {text}", self.attempt.path);
        self.shared.received.lock().violations.push(text);
    }

    /// Makes what is known so far visible, while a delay is going on.
    pub(crate) fn publish(&self) {
        let mut received = self.shared.received.lock();
        if let Some(kept) = received.attempts.get_mut(self.attempt.number - 1) {
            kept.clone_from(&self.attempt);
        }
        drop(received);
        self.shared.changed.notify_waiters();
    }

    /// Records the outcome, and the content where it was accepted.
    pub(crate) fn finish(mut self, outcome: Outcome, content: Option<Export>) {
        self.attempt.took = Some(self.opened.elapsed());
        self.attempt.outcome = outcome;
        if matches!(outcome, Outcome::Accepted | Outcome::Partial(_) | Outcome::AcceptedThenDropped) {
            let mut received = self.shared.received.lock();
            received.count_accepted(&self.attempt, self.shared.keeps_content());
            if let Some(content) = content {
                received.keep(content);
            }
        }
        self.publish();
    }
}

impl Drop for OpenAttempt {
    fn drop(&mut self) {
        if self.attempt.outcome == Outcome::Pending {
            self.attempt.took = Some(self.opened.elapsed());
            self.attempt.outcome = Outcome::Abandoned;
            self.publish();
        }
    }
}
