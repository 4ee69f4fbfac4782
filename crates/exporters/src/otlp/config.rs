//! Settings of `otlp` and `otlphttp`, with the Collector's keys, and the configuration both become.

mod settings;
mod validate;

use std::time::Duration;

use dbintel_otlp::transport;

pub use self::settings::{CompressionName, CompressionParams, Encoding, OtlpHttpSettings, OtlpSettings};
pub use self::validate::{validate, validate_http};
use super::retry::RetryPolicy;
use crate::settings::{FLUSH_TIMEOUT_DEFAULT, Queueing};

/// A configuration that cannot be invalid, and that can be compared: equal values need no restart.
#[derive(Clone, Debug, PartialEq)]
pub struct OtlpConfig {
    /// Where and how to send.
    pub(super) transport: transport::Settings,
    /// How records become requests, and what may wait.
    pub(super) queueing: Queueing,
    /// How requests are tried again; `None` for not at all.
    pub(super) retry: Option<RetryPolicy>,
}

impl OtlpConfig {
    /// Takes over how long records wait for more, unless the settings say so themselves: what a pipeline's `batch`
    /// processor asks for.
    pub fn default_flush_timeout(&mut self, timeout: Duration) {
        if self.queueing.flush_timeout == FLUSH_TIMEOUT_DEFAULT {
            self.queueing.flush_timeout = timeout;
        }
    }

    /// Where and how requests are sent, for pages and logs. It shows no secrets.
    #[must_use]
    pub const fn transport(&self) -> &transport::Settings {
        &self.transport
    }
}

#[cfg(test)]
mod tests;
