//! Where to listen.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs as _};

use dbintel_config::values::Endpoint;

use super::SettingsError;

/// A host and a port to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    host: String,
    port: u16,
}

// === impl Listen ===

impl Listen {
    /// `127.0.0.1` and a port.
    #[must_use]
    pub fn loopback(port: u16) -> Self {
        Self { host: Ipv4Addr::LOCALHOST.to_string(), port }
    }

    /// A host, name or address, and a port.
    #[must_use]
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port }
    }

    pub(super) fn from_endpoint(
        endpoint: Option<&Endpoint>,
        default_port: u16,
        path: &str,
        errors: &mut Vec<SettingsError>,
    ) -> Self {
        match endpoint {
            None => Self::loopback(default_port),
            Some(Endpoint::Tcp { host, port }) => Self::new(host.clone(), *port),
            Some(Endpoint::Unix(_)) => {
                let expected = "host:port, such as 127.0.0.1:13133; Unix sockets are not supported here";
                errors.push(SettingsError::invalid(path, expected));
                Self::loopback(default_port)
            }
        }
    }

    /// The host as written.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port; 0 is any.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Where a client on this machine reaches it: an endpoint on all addresses is reached by loopback.
    ///
    /// # Errors
    /// What the resolver says.
    pub fn reached_at(&self) -> io::Result<SocketAddr> {
        let mut address = self.resolve()?;
        match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            // A socket on all IPv6 addresses takes IPv4 too unless the system was told otherwise.
            IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(std::net::Ipv6Addr::LOCALHOST.into()),
            IpAddr::V4(_) | IpAddr::V6(_) => {}
        }
        Ok(address)
    }

    /// The address to bind: of several, the first of IPv4, as the Collector takes it.
    pub(crate) fn resolve(&self) -> io::Result<SocketAddr> {
        let addresses: Vec<_> = (self.host.as_str(), self.port).to_socket_addrs()?.collect();
        let first_of_ipv4 = addresses.iter().find(|address| address.is_ipv4());
        first_of_ipv4
            .or(addresses.first())
            .copied()
            .ok_or_else(|| io::Error::new(io::ErrorKind::AddrNotAvailable, "the host name has no address"))
    }

    /// Whether both cannot be bound at once, as far as the text tells.
    pub(super) fn clashes_with(&self, other: &Self) -> bool {
        let is_all =
            |listen: &Self| listen.host.parse::<IpAddr>().is_ok_and(|address| address.is_unspecified());
        let same_host = self.canonical_host() == other.canonical_host();
        self.port != 0 && self.port == other.port && (same_host || is_all(self) || is_all(other))
    }

    fn canonical_host(&self) -> String {
        let host = self.host.to_ascii_lowercase();
        if host == "localhost" { Ipv4Addr::LOCALHOST.to_string() } else { host }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}
