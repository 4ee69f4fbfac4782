//! The collector's own protobufs, generated from `dbintel/v1/*.proto` by `make docs`.

/// `dbintel.v1`.
#[rustfmt::skip]
pub mod v1;
