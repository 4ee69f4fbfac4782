//! OTLP over HTTP: one POST per request.

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use http::{Method, Request};

use super::body::Parts;
use super::pool::{Answer, ReadBody};
use super::{Client, HttpEndpoint};
use crate::encode::Format;
use crate::outcome::{HttpAnswer, Outcome, of_http};

impl Client {
    pub(super) async fn send_http(&self, endpoint: &HttpEndpoint, format: Format, body: Bytes) -> Outcome {
        let request = self.http_request(endpoint, format, body);
        match self.pool.exchange(request, self.settings.timeout).await {
            Ok(answer) => self.http_outcome(&answer),
            Err(outcome) => outcome,
        }
    }

    fn http_request(&self, endpoint: &HttpEndpoint, format: Format, body: Bytes) -> Request<Parts> {
        let media_type = HeaderValue::from_static(match format {
            Format::Protobuf => "application/x-protobuf",
            Format::Json => "application/json",
        });
        let mut request = Request::new(Parts([Bytes::new(), body]));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = endpoint.uri();
        let headers = request.headers_mut();
        *headers = self.headers();
        headers.insert(ACCEPT, media_type.clone());
        headers.insert(CONTENT_TYPE, media_type);
        if let Some(encoding) = self.settings.compression.encoding() {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        request
    }

    /// The status decides also where the body cannot be read.
    fn http_outcome(&self, answer: &Answer) -> Outcome {
        let (body, problem) = match &answer.body {
            ReadBody::Whole { bytes, .. } => (&bytes[..], None),
            ReadBody::TooLong => (&[][..], Some("the backend's answer is too long to be read")),
            ReadBody::CutOff => (&[][..], Some("the connection ended within the backend's answer")),
        };
        let outcome = of_http(
            HttpAnswer { status: answer.status, headers: &answer.headers, body },
            self.clock.now(),
            &self.secrets,
        );
        match (outcome, problem) {
            (Outcome::Delivered { .. }, Some(problem)) => Outcome::warning(problem.to_owned()),
            (outcome, _) => outcome,
        }
    }
}
