//! Configuration of dbintel: YAML files in the OpenTelemetry Collector's shape.
//!
//! This crate is the machinery and knows no component. It promises:
//!
//! * every value keeps the file, line and column it was written at, through merge, substitution and
//!   reading, so that an error names the place to edit;
//! * an unknown key is an error with a suggestion, never ignored;
//! * the text of a secret, and of any value that came from the environment or a file, appears in no
//!   error, no `Debug` output and no printed configuration;
//! * no input makes it panic, and every dimension of the input has a maximum in [`limits`].
//!
//! The order of work is: parse each file ([`Node`]), merge, apply environment overrides, apply
//! `--set`, substitute `${…}`, split into [`Component`]s. A component crate defines a serde type with
//! `#[serde(deny_unknown_fields)]` and reads it with [`Component::read`].
//!
//! ```
//! #[derive(Debug, serde::Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Settings {
//!     interval: dbintel_config::values::Duration,
//! }
//!
//! let settings: Settings = dbintel_config::from_yaml("interval: 1m30s").unwrap();
//! assert_eq!(settings.interval.get().as_secs(), 90);
//!
//! let errors = dbintel_config::from_yaml::<Settings>("intervall: 5s").unwrap_err();
//! assert_eq!(
//!     errors.to_string(),
//!     "yaml:1:1: intervall: unknown key; did you mean `interval`? (valid keys: interval)"
//! );
//! ```

#![forbid(unsafe_code)]

mod complaint;
mod component;
mod document;
mod environment;
mod error;
pub mod hosts;
mod merge;
mod node;
mod overrides;
mod parse;
mod path;
mod position;
mod print;
mod read;
mod redact;
mod scalar;
mod set;
mod substitute;

pub mod limits;
pub mod schema;
pub mod service;
pub mod values;

pub use complaint::{Checks, Complaint, Validated};
pub use component::{Component, Section};
pub use document::{Document, LoadOptions, Loaded};
pub use environment::{Environment, ProcessEnvironment};
pub use error::{ConfigError, ConfigErrors, Problem, Warning, Warnings};
pub use node::{Entry, Map, Node, Origin, Scalar, Value};
pub use position::Position;
pub use read::{from_yaml, read};
