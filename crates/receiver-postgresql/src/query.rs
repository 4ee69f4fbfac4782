//! The only place with SQL and with connections.
//!
//! Promises:
//! * every statement runs in a `READ ONLY` transaction whose time limits were set with `SET LOCAL`, so that transaction
//!   poolers work; nothing here writes, and nothing uses a transaction id;
//! * values go in as bound parameters, identifiers quoted by [`sql::identifier`];
//! * what a server has is found by looking at its catalogue, not guessed from its version;
//! * no reset function is ever called.

pub mod connection;
pub mod distress;
pub mod error;
pub mod facts;
pub mod family;
pub mod family_table;
pub mod meter;
pub mod node;
pub mod objects;
mod planning;
pub mod plans;
pub mod schema;
pub mod sessions;
pub(crate) mod sql;
pub mod statements;
pub mod templates;
pub mod tracking;

pub(crate) use sql::identifier as sql_identifier;
