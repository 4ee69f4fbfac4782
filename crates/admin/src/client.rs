//! The exec probe: asks the health endpoint of a running dbintel over loopback.
//!
//! No runtime, no TLS, one connection; the answer as a whole is bounded in time by the caller and in size by
//! [`ANSWER_BYTES_MAX`].

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use dbintel_model::{Clock as _, Monotonic, SystemClock};

/// Bytes read of an answer. What our own endpoint answers to a probe is far smaller.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthProbe {
    /// Does the process make progress?
    Live,
    /// Was everything started?
    Ready,
}

/// Why the answer is not "yes".
#[derive(Debug, thiserror::Error)]
pub enum HealthCheckError {
    /// Nobody answers there.
    #[error(
        "no dbintel answers at {address}; is it running, and is extensions.health_check on this address?"
    )]
    Unreachable {
        /// Where.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// Somebody took too long to answer.
    #[error("no answer from {address} within {} ms", .timeout.as_millis())]
    Timeout {
        /// Where.
        address: SocketAddr,
        /// The time allowed.
        timeout: Duration,
    },
    /// Something else listens there.
    #[error("what listens at {0} does not answer as dbintel does")]
    NotHealth(SocketAddr),
    /// dbintel says no.
    #[error("{body}")]
    Unhealthy {
        /// Status code.
        status: u16,
        /// What it says.
        body: String,
    },
}

// === impl HealthProbe ===

impl HealthProbe {
    const fn path(self) -> &'static str {
        match self {
            Self::Live => "/health/live",
            Self::Ready => "/health/ready",
        }
    }
}

/// Asks; the body of a "yes" is returned.
///
/// # Errors
/// [`HealthCheckError`] for anything else.
pub fn health_check(
    address: SocketAddr,
    probe: HealthProbe,
    timeout: Duration,
) -> Result<String, HealthCheckError> {
    let clock = SystemClock::default();
    let deadline = clock.monotonic().plus(timeout);
    let answer = exchange(address, probe, &clock, deadline).map_err(|source| match source.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => HealthCheckError::Timeout { address, timeout },
        _ => HealthCheckError::Unreachable { address, source },
    })?;
    let (status, body) = parse(&answer).ok_or(HealthCheckError::NotHealth(address))?;
    match status {
        200 => Ok(body.to_owned()),
        503 => Err(HealthCheckError::Unhealthy { status, body: body.to_owned() }),
        _ => Err(HealthCheckError::NotHealth(address)),
    }
}

fn exchange(
    address: SocketAddr,
    probe: HealthProbe,
    clock: &SystemClock,
    deadline: Monotonic,
) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&address, left(clock, deadline)?)?;
    stream.set_write_timeout(Some(left(clock, deadline)?))?;
    let request = format!("GET {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", probe.path());
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    while answer.len() < ANSWER_BYTES_MAX {
        stream.set_read_timeout(Some(left(clock, deadline)?))?;
        let length = stream.read(&mut piece)?;
        if length == 0 {
            break;
        }
        answer.extend(piece.iter().take(length));
    }
    Ok(answer)
}

fn left(clock: &SystemClock, deadline: Monotonic) -> io::Result<Duration> {
    let left = deadline.since(clock.monotonic());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// Status code and body of an answer of HTTP/1.
fn parse(answer: &[u8]) -> Option<(u16, &str)> {
    let text = std::str::from_utf8(answer).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut status_line = head.lines().next()?.split(' ');
    let version = status_line.next()?;
    let status = status_line.next()?.parse().ok()?;
    version.starts_with("HTTP/1.").then_some((status, body.trim_end()))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// A server that answers one request with this text, after it has read the request.
    fn server(answer: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let length = stream.read(&mut request).unwrap();
            assert!(request[..length].starts_with(b"GET /health/"));
            stream.write_all(answer.as_bytes()).unwrap();
        });
        address
    }

    fn check(answer: &'static str) -> Result<String, HealthCheckError> {
        health_check(server(answer), HealthProbe::Live, Duration::from_secs(5))
    }

    #[test]
    fn yes_is_200_and_no_is_503_with_the_reason() {
        assert_eq!(check("HTTP/1.1 200 OK\r\nx: y\r\n\r\nfine\n").unwrap(), "fine");
        let error = check("HTTP/1.1 503 Service Unavailable\r\n\r\nstuck").unwrap_err();
        assert!(matches!(error, HealthCheckError::Unhealthy { status: 503, .. }));
        assert_eq!(error.to_string(), "stuck");
    }

    #[test]
    fn something_else_is_not_health() {
        for answer in ["SSH-2.0-OpenSSH_9\r\n", "HTTP/1.1 404 Not Found\r\n\r\n", "", "HTTP/1.1 x\r\n\r\n"] {
            assert!(matches!(check(answer), Err(HealthCheckError::NotHealth(_))), "{answer}");
        }
    }

    #[test]
    fn nobody_there_is_unreachable_and_silence_is_a_timeout() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let timeout = Duration::from_millis(50);
        let silent = health_check(address, HealthProbe::Ready, timeout).unwrap_err();
        assert!(matches!(silent, HealthCheckError::Timeout { .. }), "{silent:?}");
        drop(listener);
        let gone = health_check(address, HealthProbe::Ready, Duration::from_secs(5)).unwrap_err();
        assert!(matches!(gone, HealthCheckError::Unreachable { .. }), "{gone:?}");
    }
}
