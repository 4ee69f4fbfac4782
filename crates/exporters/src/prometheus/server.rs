//! The HTTP server of the page.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dbintel_config::hosts::Hosts;
use dbintel_otlp::compress::{Compression, Compressor, GzipLevel};
use http::header::{
    ACCEPT, ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, CONTENT_TYPE, HOST, HeaderName, HeaderValue,
};
use http::{Method, Request, Response, StatusCode, Version};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::page::Pages;

/// Connections at the same time. Further ones wait to be accepted.
pub const CONNECTIONS_MAX: usize = 16;
/// Pages written at the same time. A page of many series is large.
pub const PAGES_MAX: usize = 2;
/// A connection is closed after this time; Prometheus makes a new one.
const CONNECTION_AGE_MAX: Duration = Duration::from_secs(300);
/// A request must have arrived, and the next one begun, within this time.
const HEADER_TIMEOUT: Duration = Duration::from_secs(60);
/// Wait after a connection could not be accepted, for instance because there are no file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

struct Site {
    pages: Arc<Pages>,
    hosts: Hosts,
    writing: Semaphore,
}

/// Serves until it is dropped, and its connections with it.
pub(super) async fn serve(listener: TcpListener, pages: Arc<Pages>, hosts: Hosts) {
    let site = Arc::new(Site { pages, hosts, writing: Semaphore::new(PAGES_MAX) });
    let mut connections = JoinSet::new();
    loop {
        if connections.len() >= CONNECTIONS_MAX {
            connections.join_next().await;
            continue;
        }
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(connections.spawn(connection(stream, Arc::clone(&site)))),
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, site: Arc<Site>) {
    let service = service_fn(|request| {
        let site = Arc::clone(&site);
        async move { Ok::<_, Infallible>(site.answer(&request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    // A scraper that goes away, or stays too long, is its own matter.
    let _ = tokio::time::timeout(CONNECTION_AGE_MAX, connection).await;
}

impl Site {
    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        let of_target = request.uri().authority().map(|authority| Some(authority.as_str()));
        let of_headers = request.headers().get_all(HOST).iter().map(|value| value.to_str().ok());
        if !self.hosts.admit(of_target.into_iter().chain(of_headers), request.version() == Version::HTTP_10) {
            return plain(
                StatusCode::FORBIDDEN,
                "this endpoint is bound to loopback and answers only requests that name localhost, 127.0.0.1, [::1] \
                 or the configured host\n",
            );
        }
        match request.uri().path() {
            "/metrics" => self.page(request).await,
            "/" => plain(StatusCode::OK, "dbintel: the metrics are at /metrics\n"),
            _ => plain(StatusCode::NOT_FOUND, "not here; the metrics are at /metrics\n"),
        }
    }

    async fn page(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let unavailable = || plain(StatusCode::SERVICE_UNAVAILABLE, "the page could not be written\n");
        let Ok(_permit) = self.writing.acquire().await else {
            return unavailable();
        };
        let format = self.pages.format(header(request, &ACCEPT));
        let pages = Arc::clone(&self.pages);
        // A page of 100,000 series takes longer than an async thread may be held.
        let Ok(page) = tokio::task::spawn_blocking(move || pages.write(format)).await else {
            return unavailable();
        };
        let gzip = header(request, &ACCEPT_ENCODING).contains("gzip");
        let compression = if gzip { Compression::Gzip(GzipLevel::default()) } else { Compression::None };
        let Ok(compressed) = Compressor::new(compression).compress(page.into_bytes()).await else {
            return unavailable();
        };
        let mut response = Response::new(Full::new(compressed.body));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
        if gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }
}

fn header<'a>(request: &'a Request<Incoming>, name: &HeaderName) -> &'a str {
    let value = request.headers().get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default()
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}
