//! How a sink differs from the usual one.

use super::received::Encoding;

/// Options of a sink. The default speaks plain text, takes gzip and zstd, and keeps everything.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub(crate) keep: Keep,
    pub(crate) tls: Tls,
    pub(crate) refused_encodings: Vec<Encoding>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Keep {
    #[default]
    Everything,
    Counts,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tls {
    #[default]
    Off,
    Server,
    Mutual,
}

impl Options {
    /// The usual sink.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps [`super::Totals`] only, and neither decompresses nor decodes over HTTP: a backend that costs little, for
    /// benches. gRPC bodies are decoded by tonic in any case.
    #[must_use]
    pub fn counts_only(mut self) -> Self {
        self.keep = Keep::Counts;
        self
    }

    /// TLS on both ports, with a certificate for `localhost` and `127.0.0.1`, see [`super::OtlpSink::authority`].
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls = Tls::Server;
        self
    }

    /// TLS, and clients must show a certificate of the same authority.
    #[must_use]
    pub fn mutual_tls(mut self) -> Self {
        self.tls = Tls::Mutual;
        self
    }

    /// Plays a backend that does not take this encoding: 415 / UNIMPLEMENTED, without calling it a violation.
    #[must_use]
    pub fn refuse_encoding(mut self, encoding: Encoding) -> Self {
        self.refused_encodings.push(encoding);
        self
    }
}
