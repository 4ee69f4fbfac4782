//! The hosts that requests to one of our HTTP endpoints may name.
//!
//! On an endpoint bound to loopback, the host a request names must be a loopback one or the configured one. Otherwise a web page could
//! point a name of its own at 127.0.0.1 and read the answers (DNS rebinding). A request of HTTP/1.0 may name none: no
//! browser sends one.

use std::net::SocketAddr;

/// See the module. Without hosts, beyond loopback, every one is answered.
#[derive(Clone, Debug)]
pub struct Hosts(Option<Vec<String>>);

impl Hosts {
    /// Those of an endpoint that listens at `address`; `configured` is how its host was written.
    #[must_use]
    pub fn of(address: SocketAddr, configured: &str) -> Self {
        // What listens at ::ffff:127.0.0.1 listens at 127.0.0.1.
        let ip = address.ip().to_canonical();
        Self(ip.is_loopback().then(|| {
            let own = ["localhost", "127.0.0.1", "::1", &ip.to_string(), configured];
            own.map(str::to_ascii_lowercase).into()
        }))
    }

    /// Whether a request may be answered that names these authorities, in its target and in each header `Host`; `None` stands for one
    /// that is no text. `may_name_none` is for HTTP/1.0.
    pub fn admit<'a>(
        &self,
        authorities: impl IntoIterator<Item = Option<&'a str>>,
        may_name_none: bool,
    ) -> bool {
        let Some(hosts) = &self.0 else { return true };
        let mut names_none = true;
        let are_all_ours = authorities.into_iter().all(|authority| {
            names_none = false;
            let host = authority.and_then(host_of);
            host.is_some_and(|host| hosts.iter().any(|ours| ours.eq_ignore_ascii_case(host)))
        });
        are_all_ours && (may_name_none || !names_none)
    }
}

/// The host of `host`, `host:port`, `[address]` or `[address]:port`.
fn host_of(authority: &str) -> Option<&str> {
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(rest) = authority.strip_prefix('[') {
        let (address, after) = rest.split_once(']')?;
        let is_valid = after.is_empty() || after.strip_prefix(':').is_some_and(is_port);
        return is_valid.then_some(address);
    }
    match authority.split_once(':') {
        None => Some(authority),
        Some((host, port)) => is_port(port).then_some(host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(listen: &str, address: &str) -> Hosts {
        Hosts::of(format!("{address}:1").parse().unwrap(), listen)
    }

    #[test]
    fn on_loopback_only_loopback_hosts_and_the_configured_one_are_answered() {
        let hosts = hosts("metrics.local", "127.0.0.1");
        for host in ["localhost", "LocalHost:8888", "127.0.0.1:8888", "[::1]:8888", "metrics.local:1"] {
            assert!(hosts.admit([Some(host)], false), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8888",
            "127.0.0.1.evil.example",
            "localhost:8888:1",
            "localhost@evil",
            "[::1",
            "[::1]x",
            "",
            "10.0.0.1",
        ] {
            assert!(!hosts.admit([Some(host)], true), "{host}");
        }
        assert!(!hosts.admit([None], true), "no text");
    }

    #[test]
    fn all_that_are_named_must_be_ours_and_none_is_for_http_1_0_alone() {
        let hosts = hosts("127.0.0.1", "127.0.0.1");
        assert!(!hosts.admit([Some("localhost"), Some("evil.example")], true));
        assert!(hosts.admit([Some("localhost"), Some("[::1]:80")], false));
        assert_eq!([true, false].map(|may_name_none| hosts.admit([], may_name_none)), [true, false]);
    }

    #[test]
    fn beyond_loopback_any_host_is_answered() {
        let hosts = hosts("0.0.0.0", "0.0.0.0");
        assert!(hosts.admit([Some("dbintel.monitoring.svc")], false) && hosts.admit([], false));
    }

    #[test]
    fn loopback_in_the_clothes_of_the_other_family_is_loopback() {
        let hosts = hosts("::ffff:127.0.0.1", "[::ffff:127.0.0.1]");
        assert!(hosts.admit([Some("127.0.0.1:8889")], false) && !hosts.admit([Some("evil.example")], false));
    }
}
