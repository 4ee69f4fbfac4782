//! OTLP, the protocol by which records leave: encoding, compression, the meaning of answers, transport.
//!
//! * [`encode`] writes requests from borrowed records, as protobuf or JSON, bounded in bytes;
//! * [`compress`] compresses them, large ones off the async threads;
//! * [`outcome`] says what an answer means: delivered, try again, never;
//! * [`transport`] sends over gRPC and HTTP.
//!
//! This is the only room that opens outbound telemetry sockets, besides the SDK for the collector's own telemetry.
//! Nothing here queues, retries, counts or logs; that is the exporters' work.

#![forbid(unsafe_code)]

pub mod compress;
pub mod encode;
pub mod outcome;
pub mod transport;
