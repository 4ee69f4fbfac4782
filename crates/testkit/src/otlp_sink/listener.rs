//! Ports: accept, TLS, and closing a connection in the middle of a request.

use std::sync::Arc;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::exchange;
use super::options::Tls;
use super::received::Transport;
use super::shared::Shared;
use crate::tls::Authority;

/// Serves until it is cancelled; then every connection is closed at once.
pub(crate) async fn run(
    listener: TcpListener,
    transport: Transport,
    tls: Option<TlsAcceptor>,
    shared: Arc<Shared>,
    stop: CancellationToken,
) {
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(_) => continue,
            },
        };
        let _ = stream.set_nodelay(true);
        let shared = Arc::clone(&shared);
        match tls.clone() {
            None => connections.spawn(connection(stream, transport, shared)),
            Some(tls) => connections.spawn(async move {
                // A failed handshake is the client's to notice.
                if let Ok(stream) = tls.accept(stream).await {
                    connection(stream, transport, shared).await;
                }
            }),
        };
    }
    connections.shutdown().await;
}

/// The TLS of one port, with the protocol that belongs to it.
pub(crate) fn acceptor(authority: &Authority, tls: Tls, transport: Transport) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let identity = authority.server();
    let certificate =
        CertificateDer::from_pem_slice(identity.certificate_pem.as_bytes()).expect("our own PEM");
    let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes()).expect("our own PEM");
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("TLS 1.2 and 1.3");
    let builder = if tls == Tls::Mutual {
        let mut roots = RootCertStore::empty();
        let root =
            CertificateDer::from_pem_slice(authority.certificate_pem().as_bytes()).expect("our own PEM");
        roots.add(root).expect("our own authority");
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        builder.with_client_cert_verifier(verifier.build().expect("one root"))
    } else {
        builder.with_no_client_auth()
    };
    let mut config = builder.with_single_cert(vec![certificate], key).expect("our own certificate");
    config.alpn_protocols = match transport {
        Transport::Grpc => vec![b"h2".to_vec()],
        Transport::Http => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
    };
    TlsAcceptor::from(Arc::new(config))
}

async fn connection<S>(stream: S, transport: Transport, shared: Arc<Shared>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let closer = CancellationToken::new();
    let service = service_fn({
        let closer = closer.clone();
        move |request| exchange::serve(Arc::clone(&shared), transport, closer.clone(), request)
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    if transport == Transport::Grpc {
        builder = builder.http2_only();
    }
    let serving = builder.serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        // Dropping the connection closes the socket, whatever was going on.
        () = closer.cancelled() => {}
        _ = serving => {}
    }
}
