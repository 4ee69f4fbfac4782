//! The client of control, for `dbintel circuits` and `dbintel bypass`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dbintel_config::values::Secret;
use dbintel_proto::v1::control_client::ControlClient;
use hyper_util::rt::TokioIo;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

/// How long a call may take.
const CALL_TIME_MAX: Duration = Duration::from_secs(10);

/// Where the collector is.
#[derive(Clone, Debug)]
pub enum Reach {
    /// Its Unix socket.
    Socket(PathBuf),
    /// Its TCP endpoint, with the token.
    Tcp(SocketAddr, Secret),
}

/// A client that sends the token, if there is one.
pub type Client = ControlClient<InterceptedService<Channel, Token>>;

/// Sends the token, if there is one.
#[derive(Clone, Debug)]
pub struct Token(Option<MetadataValue<Ascii>>);

/// Why the collector was not reached.
#[derive(Debug, thiserror::Error)]
pub enum ReachError {
    /// Nobody answers on the socket.
    #[error("no collector answers on {}: {reason}; does it run, as this user? `--socket` names another socket", path.display())]
    Socket {
        /// Which.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// Nobody answers at the address.
    #[error("no collector answers at {address}: {reason}; extensions.control.endpoint says where it listens")]
    Tcp {
        /// Where.
        address: SocketAddr,
        /// What the system says.
        reason: String,
    },
    /// The token cannot be sent.
    #[error("the token has characters that no header can have")]
    Token,
}

/// Connects.
///
/// # Errors
/// [`ReachError`].
pub async fn connect(reach: &Reach) -> Result<Client, ReachError> {
    let (channel, token) = match reach {
        Reach::Socket(path) => (over_socket(path).await?, None),
        Reach::Tcp(address, token) => {
            let mut value: MetadataValue<Ascii> =
                format!("Bearer {}", token.expose()).parse().map_err(|_| ReachError::Token)?;
            value.set_sensitive(true);
            (over_tcp(*address).await?, Some(value))
        }
    };
    Ok(ControlClient::with_interceptor(channel, Token(token)))
}

async fn over_socket(path: &Path) -> Result<Channel, ReachError> {
    let target = path.to_owned();
    let open = move |_| {
        let target = target.clone();
        async move { tokio::net::UnixStream::connect(target).await.map(TokioIo::new) }
    };
    // The name is for the header only.
    let endpoint = Endpoint::from_static("http://localhost").timeout(CALL_TIME_MAX);
    let connected = endpoint.connect_with_connector(tower::service_fn(open)).await;
    connected.map_err(|error| ReachError::Socket { path: path.to_owned(), reason: cause(&error) })
}

async fn over_tcp(address: SocketAddr) -> Result<Channel, ReachError> {
    let failed = |error: tonic::transport::Error| ReachError::Tcp { address, reason: cause(&error) };
    let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(failed)?;
    endpoint.timeout(CALL_TIME_MAX).connect_timeout(CALL_TIME_MAX).connect().await.map_err(failed)
}

/// The innermost error: "transport error" helps nobody.
fn cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

impl Interceptor for Token {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request.metadata_mut().insert("authorization", token.clone());
        }
        Ok(request)
    }
}
