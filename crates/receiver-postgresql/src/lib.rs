//! receiver-postgresql
