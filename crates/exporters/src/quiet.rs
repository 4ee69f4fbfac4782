//! Log lines that do not flood: the first one at once, then one per interval with the number left out.

use std::time::Duration;

use dbintel_model::Monotonic;
use parking_lot::Mutex;

/// Shortest time between two lines about the same thing.
pub(crate) const LINE_INTERVAL: Duration = Duration::from_secs(60);

/// Says when a line may be written.
#[derive(Debug, Default)]
pub(crate) struct Quiet(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last: Option<Monotonic>,
    left_out: u64,
}

impl Quiet {
    /// Whether a line may be written now; if so, how many were left out since the last.
    pub(crate) fn permit(&self, now: Monotonic) -> Option<u64> {
        let mut state = self.0.lock();
        if state.last.is_some_and(|last| now.since(last) < LINE_INTERVAL) {
            state.left_out += 1;
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_per_interval_and_the_rest_is_counted() {
        let (quiet, start) = (Quiet::default(), Monotonic::default());
        assert_eq!(quiet.permit(start), Some(0));
        for second in 1..60 {
            assert_eq!(quiet.permit(start.plus(Duration::from_secs(second))), None);
        }
        assert_eq!(quiet.permit(start.plus(LINE_INTERVAL)), Some(59));
    }
}
