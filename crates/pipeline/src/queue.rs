//! One queue for every place where records wait: at the lane's door, before an exporter, before a backend.
//!
//! Promises:
//! * bounded twice, in bytes and in items; what it holds is known at every moment;
//! * pushing never waits: it refuses, or makes room by evicting the oldest of the least important items;
//! * order is kept among items of one priority that are not evicted;
//! * an item larger than the whole budget is refused, not held back for ever;
//! * a closed queue takes nothing more, until it is opened again, and hands out what it holds.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// What waits in a [`WeightedQueue`].
pub trait Weighed {
    /// Bytes the item keeps alive.
    fn weight_bytes(&self) -> usize;

    /// Whether it is dropped last. Findings are.
    fn is_precious(&self) -> bool {
        false
    }
}

/// How much a queue may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLimits {
    /// Bytes of all items together.
    pub max_bytes: usize,
    /// Number of items.
    pub max_items: usize,
}

/// Why an item was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushError {
    /// There is no room.
    Full,
    /// The item alone is larger than the queue's byte budget.
    TooLarge,
    /// The queue was closed.
    Closed,
}

/// A bounded first-in, first-out queue for many producers and many consumers.
#[derive(Debug)]
pub struct WeightedQueue<T> {
    limits: QueueLimits,
    state: Mutex<State<T>>,
    ready: Notify,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<(usize, T)>,
    bytes: usize,
    closed: bool,
}

impl<T: Weighed> WeightedQueue<T> {
    /// An empty queue.
    #[must_use]
    pub fn new(limits: QueueLimits) -> Self {
        let state = State { items: VecDeque::new(), bytes: 0, closed: false };
        Self { limits, state: Mutex::new(state), ready: Notify::new() }
    }

    /// Takes the item, or gives it back with the reason.
    ///
    /// # Errors
    /// [`PushError`] with the item.
    pub fn try_push(&self, item: T) -> Result<(), (PushError, T)> {
        let weight = item.weight_bytes();
        let mut state = self.state.lock();
        if let Some(error) = self.obstacle(&state, weight) {
            return Err((error, item));
        }
        state.push(weight, item);
        drop(state);
        self.ready.notify_one();
        Ok(())
    }

    /// Takes the item and evicts what must go to make room for it: the oldest first, precious items last. An ordinary
    /// item never pushes out a precious one.
    ///
    /// # Errors
    /// [`PushError`] with the item. Nothing was evicted then.
    pub fn push_evicting(&self, item: T) -> Result<Vec<T>, (PushError, T)> {
        let weight = item.weight_bytes();
        let mut state = self.state.lock();
        let mut evicted = Vec::new();
        if let Some(error) = self.obstacle(&state, weight) {
            if error != PushError::Full || !state.may_make_room(weight, &item, self.limits) {
                return Err((error, item));
            }
            while self.obstacle(&state, weight).is_some() {
                evicted.extend(state.evict_one());
            }
        }
        state.push(weight, item);
        drop(state);
        self.ready.notify_one();
        Ok(evicted)
    }

    /// Waits for the oldest item; `None` once the queue is closed and empty. Cancelling the wait loses nothing.
    pub async fn pop(&self) -> Option<T> {
        loop {
            let ready = self.ready.notified();
            {
                let mut state = self.state.lock();
                if let Some(item) = state.pop() {
                    if !state.items.is_empty() || state.closed {
                        self.ready.notify_one();
                    }
                    return Some(item);
                }
                if state.closed {
                    self.ready.notify_one();
                    return None;
                }
            }
            ready.await;
        }
    }

    /// Takes the oldest item if there is one.
    pub fn try_pop(&self) -> Option<T> {
        self.state.lock().pop()
    }

    /// Refuses further items; those inside are still handed out.
    pub fn close(&self) {
        self.state.lock().closed = true;
        self.ready.notify_waiters();
        self.ready.notify_one();
    }

    /// Takes items again after it was closed, for a consumer that is started again.
    pub fn reopen(&self) {
        self.state.lock().closed = false;
    }

    /// Bytes held now.
    pub fn len_bytes(&self) -> usize {
        self.state.lock().bytes
    }

    /// Items held now.
    pub fn len(&self) -> usize {
        self.state.lock().items.len()
    }

    /// Whether nothing is held now.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bounds.
    pub const fn limits(&self) -> QueueLimits {
        self.limits
    }

    fn obstacle(&self, state: &State<T>, weight: usize) -> Option<PushError> {
        if state.closed {
            Some(PushError::Closed)
        } else if weight > self.limits.max_bytes {
            Some(PushError::TooLarge)
        } else if state.items.len() >= self.limits.max_items || state.bytes + weight > self.limits.max_bytes {
            Some(PushError::Full)
        } else {
            None
        }
    }
}

// === impl State ===

impl<T: Weighed> State<T> {
    fn push(&mut self, weight: usize, item: T) {
        self.bytes += weight;
        self.items.push_back((weight, item));
    }

    fn pop(&mut self) -> Option<T> {
        let (weight, item) = self.items.pop_front()?;
        self.bytes -= weight;
        // Memory goes back after a burst: a queue that was once full would keep its largest buffer otherwise.
        if self.items.is_empty() {
            self.items.shrink_to(16);
        }
        Some(item)
    }

    fn evict_one(&mut self) -> Option<T> {
        let ordinary = self.items.iter().position(|(_, item)| !item.is_precious()).unwrap_or(0);
        let (weight, item) = self.items.remove(ordinary)?;
        self.bytes -= weight;
        Some(item)
    }

    /// Whether evicting what `item` may evict leaves room for it, so that nothing is evicted in vain.
    fn may_make_room(&self, weight: usize, item: &T, limits: QueueLimits) -> bool {
        if item.is_precious() {
            return limits.max_items > 0;
        }
        let (bytes, items) = self
            .items
            .iter()
            .filter(|(_, held)| held.is_precious())
            .fold((0, 0), |(bytes, items), (weight, _)| (bytes + weight, items + 1));
        bytes + weight <= limits.max_bytes && items < limits.max_items
    }
}

#[cfg(test)]
mod tests;
