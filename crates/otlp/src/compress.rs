//! Compression of request bodies.
//!
//! Promises:
//! * contexts are made once and used again; the result has no spare capacity, so a queue of results holds what it
//!   says it holds;
//! * bodies above [`INLINE_BYTES_MAX`] are compressed on the blocking pool: async code must not run for milliseconds;
//! * gzip is zlib-rs at level 1 unless told otherwise: level 6 is four times slower for a third less bytes.

use std::fmt;

use bytes::Bytes;
use flate2::{Compress, FlushCompress, Status};
use tokio::task;

/// Largest body that is compressed where the caller runs. zstd takes about a fifth of a millisecond for it.
pub const INLINE_BYTES_MAX: usize = 64 << 10;
/// Bits of gzip's window: 32 KiB, the usual.
const GZIP_WINDOW_BITS: u8 = 15;

/// How bodies are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, which every OTLP backend takes.
    Gzip(GzipLevel),
    /// zstd: faster and smaller, where the backend takes it.
    Zstd(ZstdLevel),
}

/// A level of gzip, 1 (fast) to 9 (small).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GzipLevel(u8);

/// A level of zstd, 1 (fast) to 11 (small). Higher levels need tens of megabytes per context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ZstdLevel(u8);

/// Compresses one body after the other.
#[derive(Debug)]
pub struct Compressor {
    kind: Compression,
    context: Option<Context>,
}

/// A compressed body, and the buffer of the body before, to be used again.
#[derive(Debug)]
pub struct Compressed {
    /// What goes over the wire.
    pub body: Bytes,
    /// The buffer that was given; empty where it has become the body.
    pub spare: Vec<u8>,
}

/// A body that could not be compressed. It is lost.
#[derive(Debug, thiserror::Error)]
pub enum CompressError {
    /// The library said no.
    #[error("the body could not be compressed")]
    Library(#[source] std::io::Error),
    /// The thread that compressed it panicked, or the runtime is shutting down.
    #[error("the compressing thread did not finish")]
    Thread(#[source] task::JoinError),
}

/// The state of a library, with the buffer it writes to.
struct Context {
    library: Library,
    out: Vec<u8>,
}

enum Library {
    Gzip(Compress),
    Zstd(zstd::bulk::Compressor<'static>),
}

// === impl Compression ===

impl Compression {
    /// The name in `content-encoding` and `grpc-encoding`; `None` where neither is sent.
    #[must_use]
    pub const fn encoding(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Gzip(_) => Some("gzip"),
            Self::Zstd(_) => Some("zstd"),
        }
    }
}

impl GzipLevel {
    /// A level from 1 to 9.
    #[must_use]
    pub const fn try_new(level: u8) -> Option<Self> {
        if level >= 1 && level <= 9 { Some(Self(level)) } else { None }
    }
}

impl Default for GzipLevel {
    fn default() -> Self {
        Self(1)
    }
}

impl ZstdLevel {
    /// A level from 1 to 11.
    #[must_use]
    pub const fn try_new(level: u8) -> Option<Self> {
        if level >= 1 && level <= 11 { Some(Self(level)) } else { None }
    }
}

impl Default for ZstdLevel {
    fn default() -> Self {
        Self(1)
    }
}

// === impl Compressor ===

impl Compressor {
    /// A compressor; its context is made with the first body.
    #[must_use]
    pub const fn new(kind: Compression) -> Self {
        Self { kind, context: None }
    }

    /// Compresses a body, on the blocking pool if it is large. If the wait is cancelled the body is lost, and the
    /// context is made anew for the next.
    ///
    /// # Errors
    /// [`CompressError`]: the body is lost.
    pub async fn compress(&mut self, body: Vec<u8>) -> Result<Compressed, CompressError> {
        let Some(mut context) = self.take_context().map_err(CompressError::Library)? else {
            let body = Bytes::from(body.into_boxed_slice());
            return Ok(Compressed { body, spare: Vec::new() });
        };
        let (context, body, compressed) = if body.len() <= INLINE_BYTES_MAX {
            let compressed = context.compress(&body);
            (context, body, compressed)
        } else {
            let on_pool = task::spawn_blocking(move || {
                let compressed = context.compress(&body);
                (context, body, compressed)
            });
            on_pool.await.map_err(CompressError::Thread)?
        };
        let compressed = compressed.map_err(CompressError::Library)?;
        self.context = Some(context);
        Ok(Compressed { body: compressed, spare: body })
    }

    fn take_context(&mut self) -> std::io::Result<Option<Context>> {
        if self.context.is_some() {
            return Ok(self.context.take());
        }
        let library = match self.kind {
            Compression::None => return Ok(None),
            Compression::Gzip(GzipLevel(level)) => {
                let level = flate2::Compression::new(level.into());
                Library::Gzip(Compress::new_gzip(level, GZIP_WINDOW_BITS))
            }
            Compression::Zstd(ZstdLevel(level)) => Library::Zstd(zstd::bulk::Compressor::new(level.into())?),
        };
        Ok(Some(Context { library, out: Vec::new() }))
    }
}

// === impl Context ===

impl Context {
    fn compress(&mut self, body: &[u8]) -> std::io::Result<Bytes> {
        self.out.clear();
        match &mut self.library {
            Library::Gzip(gzip) => compress_gzip(gzip, body, &mut self.out)?,
            Library::Zstd(zstd) => {
                self.out.reserve(zstd::zstd_safe::compress_bound(body.len()));
                zstd.compress_to_buffer(body, &mut self.out)?;
            }
        }
        Ok(Bytes::copy_from_slice(&self.out))
    }
}

fn compress_gzip(gzip: &mut Compress, body: &[u8], out: &mut Vec<u8>) -> std::io::Result<()> {
    gzip.reset();
    out.reserve(body.len() / 2 + 1_024);
    loop {
        let consumed = usize::try_from(gzip.total_in()).unwrap_or(usize::MAX);
        let rest = body.get(consumed..).unwrap_or_default();
        let status = gzip.compress_vec(rest, out, FlushCompress::Finish);
        match status.map_err(std::io::Error::other)? {
            Status::StreamEnd => return Ok(()),
            Status::Ok | Status::BufError => out.reserve(out.capacity().max(1_024)),
        }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let library = match self.library {
            Library::Gzip(_) => "gzip",
            Library::Zstd(_) => "zstd",
        };
        f.debug_struct("Context").field("library", &library).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use proptest::prelude::*;

    use super::*;

    fn unpacked(kind: Compression, body: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        match kind {
            Compression::None => plain.extend_from_slice(body),
            Compression::Gzip(_) => {
                flate2::read::GzDecoder::new(body).read_to_end(&mut plain).unwrap();
            }
            Compression::Zstd(_) => plain = zstd::decode_all(body).unwrap(),
        }
        plain
    }

    const ALL: [Compression; 5] = [
        Compression::None,
        Compression::Gzip(GzipLevel(1)),
        Compression::Gzip(GzipLevel(9)),
        Compression::Zstd(ZstdLevel(1)),
        Compression::Zstd(ZstdLevel(11)),
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20))]

        #[test]
        fn comes_back_as_it_was_also_from_a_used_context(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..5_000), 1..4),
            long in 0usize..300_000,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            for kind in ALL {
                let mut compressor = Compressor::new(kind);
                for body in bodies.iter().cloned().chain([vec![b'x'; long], bodies.concat().repeat(20)]) {
                    let compressed = runtime.block_on(compressor.compress(body.clone())).unwrap();
                    prop_assert_eq!(unpacked(kind, &compressed.body), body.as_slice());
                    prop_assert_eq!(compressed.spare.len(), if kind == Compression::None { 0 } else { body.len() });
                }
            }
        }
    }

    #[test]
    fn levels_are_bounded() {
        assert!(
            GzipLevel::try_new(0).is_none()
                && GzipLevel::try_new(9).is_some()
                && GzipLevel::try_new(10).is_none()
        );
        assert!(
            ZstdLevel::try_new(0).is_none()
                && ZstdLevel::try_new(11).is_some()
                && ZstdLevel::try_new(12).is_none()
        );
    }
}
