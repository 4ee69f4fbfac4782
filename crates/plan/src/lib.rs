//! Reads what a database server says about its statements: today the statement text, later the plans.
//!
//! Everything in this crate is pure and total. No function panics, does I/O or takes more than bounded time
//! and memory, whatever bytes it is given; what could not be read is reported beside the result.

pub mod sql;
