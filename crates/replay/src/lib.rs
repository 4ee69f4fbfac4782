//! Files of OTLP/JSON lines, read back as the batches of records they were written from: for `dbintel replay`.
//!
//! ```text
//! file ─► lines (gzip, zstd, frames) ─► requests ─► attributes ─► records ─► batches, in the order of the file
//! ```
//!
//! Promises:
//! * reading is streaming: of a file one line is held, at most [`LINE_BYTES_MAX`] long, and one batch;
//! * no bytes make it panic: what cannot be read is a [`Problem`] with file and line, and the rest is read;
//! * nothing is passed over in silence: records of every kind are counted, also those that no processor needs;
//! * what does not leave a collector is not invented: object ids of databases, nodes and reasons for missing plans are not in
//!   a file. Where a number has to stand for a name, it is a hash of the name.
//!
//! # What a batch is made of
//!
//! Log records that follow each other with the same server and the same observed time came from one reading, and are one batch
//! again. Its server clock is the latest time of its records. Records are never sorted: the files are given in the order of time.
//!
//! # Other collectors
//!
//! `db.server.top_query` of OpenTelemetry contrib's receiver has differences without an interval. It lasts from the reading before
//! to this one; see [`contrib`].

mod attributes;
mod batches;
mod change;
mod contrib;
mod counts;
mod fields;
mod json;
mod lines;
mod names;
mod plan_change;
mod query;
mod reader;
mod request;
mod session;
mod sources;
mod texts;

pub use self::batches::RECORDS_PER_BATCH_MAX;
pub use self::contrib::SIGHTINGS_MAX;
pub use self::counts::{Counts, EVENT_NAMES_MAX, Kind, PROBLEMS_KEPT_MAX, PassedOver, Problem, What};
pub use self::lines::LINE_BYTES_MAX;
pub use self::names::NAMES_MAX;
pub use self::reader::Reader;
pub use self::sources::SOURCES_MAX;
pub use self::texts::TEXTS_MAX;
