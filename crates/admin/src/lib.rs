//! What an operator looks at: health, self-metrics, zPages, and the collector's own telemetry.
//!
//! Promises:
//! * everything is served from a thread and a runtime of its own, so that it answers when the main runtime is wedged;
//! * over HTTP only `GET` and `HEAD`, nothing changes anything (that is for [`control`]); loopback unless told otherwise, and on loopback only requests
//!   that name a loopback host (a page in a browser cannot read it through a name of its own);
//! * every connection, header, request, page and wait is bounded, see [`server`](crate::Admin) and each module;
//! * a database or a backend that is down never fails liveness or readiness;
//! * pages are plain HTML without scripts or external resources, readable in a terminal browser.

#![forbid(unsafe_code)]

pub mod client;
pub mod config;
mod context;
pub mod control;
pub mod definitions;
#[cfg(test)]
mod fixture;
mod health;
mod heartbeat;
mod metrics;
pub mod pages;
pub mod resources;
mod server;
mod spans;
pub mod telemetry_export;

pub use context::AdminContext;
pub use heartbeat::{HEARTBEAT_AGE_MAX, HEARTBEAT_INTERVAL, Heartbeat, STUCK_AFTER};
pub use server::{
    Admin, AdminAddresses, AdminError, AdminHandle, CONNECTION_TIME_MAX, CONNECTIONS_MAX, HEADER_BYTES_MAX,
    HEADER_TIME_MAX, HEADERS_MAX, REQUEST_TIME_MAX,
};
pub use spans::{
    BUCKET_SPANS_MAX, FIELD_BYTES_MAX, FIELDS_ALLOWED, SPAN_NAMES_MAX, SpanStore, TracezFilter, TracezLayer,
    is_own_span,
};
