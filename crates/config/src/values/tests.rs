//! What each type reads, refuses and prints, and that printing reads back.

use std::fmt::{Debug, Display};
use std::str::FromStr;
use std::time::Duration as StdDuration;

use proptest::prelude::*;
use serde::de::DeserializeOwned;

use super::*;
use crate::from_yaml;

#[track_caller]
fn check<T: FromStr<Err = ValueError> + Display>(text: &str, printed: &str) {
    match text.parse::<T>() {
        Ok(value) => assert_eq!(value.to_string(), printed, "{text:?}"),
        Err(error) => panic!("{text:?}: {error}"),
    }
}

#[track_caller]
fn check_error<T: FromStr<Err = ValueError> + Debug>(text: &str, expect: &str) {
    assert_eq!(text.parse::<T>().unwrap_err().to_string(), expect, "{text:?}");
}

#[track_caller]
fn check_yaml_error<T: DeserializeOwned + Debug>(yaml: &str, expect: &str) {
    assert_eq!(from_yaml::<T>(yaml).unwrap_err().to_string(), expect, "{yaml:?}");
}

#[test]
fn durations_have_go_syntax() {
    check::<Duration>("10s", "10s");
    check::<Duration>("500ms", "500ms");
    check::<Duration>("1m30s", "1m30s");
    check::<Duration>("90s", "1m30s");
    check::<Duration>("1.5s", "1.5s");
    check::<Duration>("1.5h", "1h30m");
    check::<Duration>(".5s", "500ms");
    check::<Duration>("1.s", "1s");
    check::<Duration>("1h", "1h");
    check::<Duration>("1500us", "1.5ms");
    check::<Duration>("1500µs", "1.5ms");
    check::<Duration>("1500μs", "1.5ms");
    check::<Duration>("7ns", "7ns");
    check::<Duration>("0", "0s");
    check::<Duration>("0s", "0s");
    check::<Duration>("1h0m0.000000001s", "1h0.000000001s");
    check::<Duration>("0.3333333333333333333h", "19m59.999999999s");
}

#[test]
fn what_is_no_duration_says_what_is() {
    check_error::<Duration>("", "expected a duration such as 10s");
    check_error::<Duration>("10", "expected a duration (write a unit: 10s)");
    check_error::<Duration>("1m30", "expected a duration (write a unit: 10s)");
    check_error::<Duration>("7d", "expected a duration such as 168h (the largest unit is h)");
    check_error::<Duration>("-5s", "expected a duration such as 10s");
    check_error::<Duration>("10 s", "expected a duration such as 10s");
    check_error::<Duration>(".s", "expected a duration such as 10s");
    check_error::<Duration>("s", "expected a duration such as 10s");
    check_error::<Duration>("600y", "expected a duration such as 10s");
    check_error::<Duration>("99999999999h", "expected a duration below 584 years");
    check_error::<Duration>("99999999999999999999999s", "expected a duration below 584 years");
}

#[test]
fn durations_in_yaml_need_a_unit() {
    assert_eq!(from_yaml::<Duration>("0").unwrap(), Duration::ZERO);
    assert_eq!(from_yaml::<Duration>("1m").unwrap().get(), StdDuration::from_secs(60));
    check_yaml_error::<Duration>(
        "30",
        "yaml:1:1: expected a duration (write a unit: 10s), found the number 30",
    );
    check_yaml_error::<Duration>(
        "1.5",
        "yaml:1:1: expected a duration (write a unit: 10s), found the number 1.5",
    );
    check_yaml_error::<Duration>("-1", "yaml:1:1: expected a duration such as 10s, found the number -1");
    check_yaml_error::<Duration>("[10s]", "yaml:1:1: expected a duration such as 10s, found the list [...]");
    check_yaml_error::<Duration>("true", "yaml:1:1: expected a duration such as 10s, found `true`");
    check_yaml_error::<Duration>("", "yaml:1:1: expected a duration such as 10s, found nothing");
}

#[test]
fn byte_sizes_count_in_1024_or_1000() {
    check::<ByteSize>("64MiB", "64MiB");
    check::<ByteSize>("64 MiB", "64MiB");
    check::<ByteSize>("64mib", "64MiB");
    check::<ByteSize>("64Mi", "64MiB");
    check::<ByteSize>("512KiB", "512KiB");
    check::<ByteSize>("1GB", "1GB");
    check::<ByteSize>("1KB", "1kB");
    check::<ByteSize>("1.5GiB", "1536MiB");
    check::<ByteSize>("100", "100B");
    check::<ByteSize>("100B", "100B");
    check::<ByteSize>("0", "0B");
    check::<ByteSize>("1TiB", "1TiB");
    check::<ByteSize>("1023", "1023B");
    assert_eq!(from_yaml::<ByteSize>("1048576").unwrap(), ByteSize::from_mib(1));
    assert_eq!("1KiB".parse::<ByteSize>().unwrap().as_usize(), 1024);
}

#[test]
fn what_is_no_byte_size_says_what_is() {
    check_error::<ByteSize>("", "expected a size such as 64MiB");
    check_error::<ByteSize>("MiB", "expected a size such as 64MiB");
    check_error::<ByteSize>("1.MiB", "expected a size such as 64MiB");
    check_error::<ByteSize>("1.2.3MiB", "expected a size such as 64MiB");
    check_error::<ByteSize>("64M", "expected a size such as 64MiB");
    check_error::<ByteSize>("64  MiB", "expected a size such as 64MiB");
    check_error::<ByteSize>("99999999TiB", "expected a size below 16 EiB");
    check_yaml_error::<ByteSize>(
        "-1",
        "yaml:1:1: expected a size of 0 or more, such as 64MiB, found the number -1",
    );
    check_yaml_error::<ByteSize>("1.5", "yaml:1:1: expected a size such as 64MiB, found the number 1.5");
}

#[test]
fn percentages_are_1_to_100() {
    check::<Percentage>("80%", "80%");
    check::<Percentage>("80", "80%");
    assert_eq!(from_yaml::<Percentage>("100").unwrap().of(12), 12);
    assert_eq!(from_yaml::<Percentage>("80%").unwrap().of(u64::MAX), 14_757_395_258_967_641_292);
    for text in ["0", "0%", "101%", "%", "-1%", "80.5%", "8 0%", "80%%", "+80"] {
        check_error::<Percentage>(text, "expected a percentage from 1% to 100%");
    }
    check_yaml_error::<Percentage>(
        "0",
        "yaml:1:1: expected a percentage from 1% to 100%, found the number 0",
    );
    check_yaml_error::<Percentage>(
        "-3",
        "yaml:1:1: expected a percentage from 1% to 100%, found the number -3",
    );
}

#[test]
fn memory_limits_are_sizes_or_percentages() {
    check::<MemoryLimit>("512MiB", "512MiB");
    check::<MemoryLimit>("80%", "80%");
    check_error::<MemoryLimit>("0%", "expected a percentage from 1% to 100%");
    check_error::<MemoryLimit>("lots", "expected a size such as 512MiB or a percentage such as 80%");
    let half = from_yaml::<MemoryLimit>("50%").unwrap();
    assert_eq!(half.resolve(1024), ByteSize::from_bytes(512));
    assert_eq!(from_yaml::<MemoryLimit>("4096").unwrap().resolve(1), ByteSize::from_kib(4));
}

#[test]
fn endpoints_are_tcp_or_unix() {
    check::<Endpoint>("localhost:5432", "localhost:5432");
    check::<Endpoint>("127.0.0.1:5432", "127.0.0.1:5432");
    check::<Endpoint>("[::1]:5432", "[::1]:5432");
    check::<Endpoint>("[fe80::1%eth0]:5432", "[fe80::1%eth0]:5432");
    check::<Endpoint>("db_1.example-x:0", "db_1.example-x:0");
    check::<Endpoint>("/run/postgresql/.s.PGSQL.5432", "/run/postgresql/.s.PGSQL.5432");
    check::<Endpoint>("unix:///run/x.sock", "/run/x.sock");
    check::<Endpoint>("unix:/run/x.sock", "/run/x.sock");
    let endpoint: Endpoint = "[::1]:5432".parse().unwrap();
    assert_eq!((endpoint.host(), endpoint.port()), (Some("::1"), Some(5432)));
    assert!(endpoint.is_local() && !"0.0.0.0:1".parse::<Endpoint>().unwrap().is_local());
}

#[test]
fn what_is_no_endpoint_says_what_is() {
    let port = "expected an endpoint with a port from 0 to 65535, such as localhost:5432";
    for text in ["localhost", "localhost:", "localhost:x", "localhost:65536", "localhost:+1", ""] {
        check_error::<Endpoint>(text, port);
    }
    let brackets = "expected an endpoint with an IPv6 address in brackets, such as [::1]:5432";
    for text in ["::1:5432", "[::1:5432", "[db]:5432", "[::x]:5432"] {
        check_error::<Endpoint>(text, brackets);
    }
    let scheme = "expected an endpoint without a scheme or path, such as localhost:5432";
    check_error::<Endpoint>("http://localhost:5432", scheme);
    check_error::<Endpoint>("localhost:5432/", scheme);
    let host = "expected an endpoint with a host, such as localhost:5432, or 0.0.0.0:5432 to listen on all";
    check_error::<Endpoint>(":5432", host);
    check_error::<Endpoint>("a b:5432", "expected an endpoint such as localhost:5432");
    let absolute = "expected the absolute path of a Unix socket, such as unix:///run/dbintel.sock";
    for text in ["/", "unix:x.sock", "unix://x.sock", "unix:"] {
        check_error::<Endpoint>(text, absolute);
    }
}

#[test]
fn urls_are_http_without_user() {
    check::<HttpUrl>("http://localhost:4318", "http://localhost:4318");
    check::<HttpUrl>("HTTPS://otlp.example/v1/metrics?a=b", "https://otlp.example/v1/metrics?a=b");
    check::<HttpUrl>("http://[::1]", "http://[::1]");
    check::<HttpUrl>("http://[::1]:80/", "http://[::1]:80/");
    let url: HttpUrl = "https://otlp.example".parse().unwrap();
    assert_eq!((url.is_secure(), url.authority().port(), url.path()), (true, Some(443), ""));
    for text in
        ["otlp.example:4318", "ftp://x", "http://", "http://a b", "http://a/ b", "http://a/#x", "http://a:x"]
    {
        check_error::<HttpUrl>(text, "expected a URL such as https://otlp.example:4318");
    }
    check_error::<HttpUrl>(
        "https://user:pass@otlp.example",
        "expected a URL without user and password (write them as headers), such as https://otlp.example:4318",
    );
}

#[test]
fn addresses_are_endpoints_or_urls() {
    check::<Address>("localhost:4317", "localhost:4317");
    check::<Address>("unix:///run/x.sock", "/run/x.sock");
    check::<Address>("https://localhost:4317", "https://localhost:4317");
    assert_eq!("http://a".parse::<Address>().unwrap().is_secure(), Some(false));
    assert_eq!("a:1".parse::<Address>().unwrap().is_secure(), None);
}

#[test]
fn component_ids_are_type_and_name() {
    check::<ComponentId>("otlphttp", "otlphttp");
    check::<ComponentId>("otlphttp/backup", "otlphttp/backup");
    check::<ComponentId>("postgresql/eu.west/1", "postgresql/eu.west/1");
    check::<ComponentId>("postgresql/büro", "postgresql/büro");
    let id: ComponentId = "postgresql/a/b".parse().unwrap();
    assert_eq!((id.kind(), id.name()), ("postgresql", Some("a/b")));
    check_error::<ComponentId>("", "expected a component id such as otlphttp or otlphttp/backup");
    let kind = "expected a component id whose type has letters, digits and `_`, such as otlphttp/backup";
    for text in ["1otlp", "otlp-http", "otlp http", " otlp", &"a".repeat(64)] {
        check_error::<ComponentId>(text, kind);
    }
    let name = "expected a component id whose name has letters, digits and any of `-_.:/@+`, such as otlphttp/backup";
    for text in ["otlp/", "otlp/a b", "otlp/a=b", "otlp/a{b", &format!("otlp/{}", "a".repeat(257))] {
        check_error::<ComponentId>(text, name);
    }
}

#[test]
fn component_ids_sort_by_type_then_name() {
    let mut ids: Vec<ComponentId> = ["b", "a/z", "a", "a/b"].iter().map(|id| id.parse().unwrap()).collect();
    ids.sort();
    assert_eq!(ids.iter().map(ComponentId::to_string).collect::<Vec<_>>(), ["a", "a/b", "a/z", "b"]);
}

#[test]
fn secrets_show_nothing() {
    let secret = Secret::with_origin("CANARY", Origin::File);
    assert_eq!(
        format!("{secret} {secret:?} {}", serde_json::to_string(&secret).unwrap()),
        "[redacted] [redacted] \"[redacted]\""
    );
    assert_eq!((secret.expose(), secret.origin()), ("CANARY", Origin::File));
    assert_eq!(secret, Secret::new("CANARY"));
    assert_ne!(secret, Secret::new("other"));
}

#[test]
fn secrets_read_from_any_deserializer() {
    let secret: Secret = serde_json::from_str("\"CANARY\"").unwrap();
    assert_eq!(secret.expose(), "CANARY");
    assert!(serde_json::from_str::<Secret>("{\"file\": \"CANARY\"}").is_err());
    assert!(serde_json::from_str::<Secret>("[1]").is_err());
    let secret: Secret = from_yaml("0123").unwrap();
    assert_eq!((secret.expose(), secret.origin()), ("0123", Origin::Inline));
    check_yaml_error::<Secret>("{file: x}", "yaml:1:1: expected a secret text, found the map {...}");
    check_yaml_error::<Secret>("", "yaml:1:1: expected a secret text, found nothing");
}

#[test]
fn headers_are_a_map_or_a_list() {
    let map: Headers = from_yaml("{api-key: CANARY, X-Tenant: 7}").unwrap();
    let list: Headers = from_yaml("[{name: api-key, value: CANARY}, {name: X-Tenant, value: '7'}]").unwrap();
    assert_eq!(map, list);
    assert_eq!(map.get("API-KEY").unwrap().expose(), "CANARY");
    assert_eq!(map.to_string(), "X-Tenant: [redacted], api-key: [redacted]");
    assert!(from_yaml::<Headers>("").unwrap().is_empty());
    check_yaml_error::<Headers>("{a: x, A: CANARY}", "yaml:1:1: header `A` is given twice");
    check_yaml_error::<Headers>(
        "{a b: x}",
        "yaml:1:1: a header name has letters, digits and `-`, such as api-key",
    );
    check_yaml_error::<Headers>(
        "{a: \"CANARY\\n\"}",
        "yaml:1:1: a header value is one line without control characters",
    );
    check_yaml_error::<Headers>("CANARY", "yaml:1:1: expected a map of header names to values, found text");
}

proptest! {
    #[test]
    fn durations_read_back(nanos in any::<u64>()) {
        let duration = Duration::from(StdDuration::from_nanos(nanos));
        prop_assert_eq!(duration.to_string().parse::<Duration>(), Ok(duration), "{}", duration);
    }

    #[test]
    fn round_durations_read_back(count in 0_u64..10_000, unit in prop::sample::select(vec!["ns", "us", "ms", "s", "m", "h"])) {
        let duration: Duration = format!("{count}{unit}").parse().unwrap();
        prop_assert_eq!(duration.to_string().parse::<Duration>(), Ok(duration));
    }

    #[test]
    fn byte_sizes_read_back(count in any::<u64>(), shift in 0_u32..64) {
        let size = ByteSize::from_bytes(count >> shift << (shift / 2));
        prop_assert_eq!(size.to_string().parse::<ByteSize>(), Ok(size), "{}", size);
    }

    #[test]
    fn no_text_panics(text in ".*") {
        let _ = text.parse::<Duration>();
        let _ = text.parse::<ByteSize>();
        let _ = text.parse::<MemoryLimit>();
        let _ = text.parse::<ComponentId>();
        if let Ok(address) = text.parse::<Address>() {
            prop_assert_eq!(address.to_string().parse::<Address>(), Ok(address));
        }
    }

    #[test]
    fn endpoints_read_back(text in r"(\[[0-9a-f:.]{0,9}\]|[a-z0-9.:_-]{0,9}):[0-9]{0,6}|/[ -~]{0,9}|https?://[a-z:@/?.\[\]]{0,9}") {
        if let Ok(address) = text.parse::<Address>() {
            prop_assert_eq!(address.to_string().parse::<Address>(), Ok(address));
        }
    }
}

/// A path is a path, whatever is in it: written and read again it is the same socket.
#[test]
fn a_socket_whose_path_looks_like_a_url_is_a_socket() {
    let address: Address = "unix:/a://b".parse().unwrap();
    assert_eq!(address.endpoint().unix_path(), Some(std::path::Path::new("/a://b")));
    assert_eq!(address.to_string().parse(), Ok(address));
}
