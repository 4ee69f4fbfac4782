//! Ports on loopback that stay ours while nothing listens on them.
//!
//! A fixture that is stopped and started again needs its port back. The kernel's own choice (port 0) comes from the
//! range it also uses for outgoing connections, so another process can take the port in the gap, and a client that
//! retries against it can even connect to itself. These ports come from below that range, and a lock file per port
//! keeps other test processes away from it until the [`ReservedPort`] is dropped.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;

/// First and last port given out. The kernel's range for outgoing connections starts at 32768.
const RANGE: std::ops::RangeInclusive<u16> = 20_000..=23_999;
/// How many ports are tried before the fixture gives up.
const ATTEMPTS_MAX: usize = 500;

/// A port of 127.0.0.1 that no other testkit process uses as long as this lives.
#[derive(Debug)]
pub struct ReservedPort {
    port: u16,
    _lock: File,
}

impl ReservedPort {
    /// Reserves a port on which nothing listens. Panics when 500 random ones are all taken.
    pub fn reserve() -> Self {
        (0..ATTEMPTS_MAX)
            .find_map(|_| Self::try_reserve(fastrand::u16(RANGE)))
            .unwrap_or_else(|| panic!("no free port in {RANGE:?} after {ATTEMPTS_MAX} attempts"))
    }

    /// The number.
    pub fn get(&self) -> u16 {
        self.port
    }

    /// `127.0.0.1:port`.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    fn try_reserve(port: u16) -> Option<Self> {
        let lock =
            File::options().create(true).append(true).open(lock_directory().join(port.to_string())).ok()?;
        lock.try_lock().ok()?;
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
        Some(Self { port, _lock: lock })
    }
}

/// One directory per user, who could not open each other's files. Between users only listening keeps a port.
fn lock_directory() -> PathBuf {
    let user = rustix::process::getuid().as_raw();
    let directory = std::env::temp_dir().join(format!("dbintel-testkit-ports-{user}"));
    fs::create_dir_all(&directory).expect("a temporary directory");
    directory
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserved_port_is_not_given_out_again_until_it_is_dropped() {
        let first = ReservedPort::reserve();
        assert!(ReservedPort::try_reserve(first.get()).is_none());
        let number = first.get();
        drop(first);
        assert!(ReservedPort::try_reserve(number).is_some());
    }

    #[test]
    fn a_port_in_use_is_not_given_out() {
        let first = ReservedPort::reserve();
        let number = first.get();
        let _listener = TcpListener::bind(first.address()).unwrap();
        drop(first);
        assert!(ReservedPort::try_reserve(number).is_none());
    }
}
