//! Showplan XML of SQL Server 2016 to 2022, estimated and actual: reading and redaction.
//!
//! Both accept UTF-8 and UTF-16 with or without a byte-order mark, a whole `ShowPlanXML` or any element within it, and any
//! other bytes, which give an empty plan and problems. Neither recurses without bound, and both end within named bounds and
//! the [`Budget`](crate::Budget). Entities other than the five of XML itself are never expanded, and a document type ends
//! the reading.

mod attribute;
mod batch;
mod condition;
mod decode;
mod element;
mod operation;
mod operator;
mod parse;
mod qualifier;
mod redact;
mod relop;
mod runtime;
mod statement;
pub(crate) mod tsql;
mod value;
mod vocabulary;
mod xml;

pub use self::{
    batch::{MAX_LISTED, MAX_STATEMENTS, ParsedShowplan, ShowplanStatement},
    parse::parse_sql_server,
    qualifier::MAX_QUALIFIERS,
    redact::{RedactedShowplan, redact_sql_server},
    runtime::MAX_THREADS,
    tsql::MAX_TSQL_NAME_BYTES,
    xml::{MAX_ATTRIBUTES, MAX_OPEN_ELEMENTS},
};

/// The shape of an expression, for the checks that tests and fuzz targets share.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn shape(text: &str) -> String {
    condition::shape(text, &mut qualifier::Qualifiers::default())
}

#[cfg(test)]
mod tests;
