use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsPartialSuccess, ExportLogsServiceResponse};
use proptest::prelude::*;
use prost::Message as _;

use super::*;

#[derive(Clone, PartialEq, prost::Message)]
struct ProstStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<ProstAny>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ProstAny {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ProstRetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<ProstDuration>,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct ProstDuration {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

proptest! {
    #[test]
    fn reads_what_prost_writes(rejected: i64, message: String, seconds: i64, nanos: i32, other: Vec<u8>) {
        let response = ExportLogsServiceResponse {
            partial_success: Some(ExportLogsPartialSuccess {
                rejected_log_records: rejected,
                error_message: message.clone(),
            }),
        };
        let expected = PartialSuccess { rejected: rejected.max(0).cast_unsigned(), message: message.clone() };
        prop_assert_eq!(PartialSuccess::of_response(&response.encode_to_vec()), Ok(Some(expected)));

        let retry_info = ProstRetryInfo { retry_delay: Some(ProstDuration { seconds, nanos }) };
        let any = |type_url: &str, value| ProstAny { type_url: type_url.to_owned(), value };
        let details = vec![
            any("type.googleapis.com/google.rpc.DebugInfo", other),
            any("type.googleapis.com/google.rpc.RetryInfo", retry_info.encode_to_vec()),
        ];
        let status = ProstStatus { code: 8, message: message.clone(), details };
        let nanos = u32::try_from(nanos).unwrap_or(0).min(999_999_999);
        let delay = Duration::new(u64::try_from(seconds).unwrap_or(0), nanos);
        let expected = RpcStatus { message, retry_delay: Some(delay) };
        prop_assert_eq!(RpcStatus::parse(&status.encode_to_vec()), Ok(expected));
    }

    #[test]
    fn never_panics(bytes: Vec<u8>) {
        let _ = PartialSuccess::of_response(&bytes);
        let _ = RpcStatus::parse(&bytes);
    }
}

#[test]
fn what_is_cut_or_no_message_is_malformed() {
    let check = |bytes: &[u8]| assert_eq!(RpcStatus::parse(bytes), Err(Malformed), "{bytes:?}");
    check(&[0x12, 5, b'a']);
    check(&[0x80]);
    check(&[0xff; 11]);
    check(&[0x13]);
    check(&[0x12, 1, 0xff]);
    check(&[0x0d, 1, 2]);
    check(&[0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
}
