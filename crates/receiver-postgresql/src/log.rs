//! The server's log files, read as they grow. All I/O on them is here; what records say is in [`dbintel_plan::log`].

mod followed;
mod listing;
mod pattern;
mod tail;

pub use self::pattern::{FilePattern, PatternError};
pub use self::tail::{LogError, MAX_FILES, Reading, Tail, TailLimits};
