//! Settings that several exporters share, by the Collector's names.

mod queue;
mod retry;
mod tls;
mod unsupported;

pub use queue::{BatchSettings, BatchSizer, QueueSettings, QueueSizer};
pub(crate) use queue::{FLUSH_TIMEOUT_DEFAULT, Queueing, queueing};
pub use retry::RetrySettings;
pub(crate) use retry::policy;
pub use tls::TlsSettings;
pub(crate) use tls::tls;
pub use unsupported::Unsupported;
