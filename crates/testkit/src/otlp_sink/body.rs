//! Bodies: decompression with a limit, and the frame around a gRPC message.

use std::io::Read;

use bytes::Bytes;

use super::received::Encoding;

/// Largest message after decompression: the limit that the protocol recommends to servers.
pub(crate) const MESSAGE_BYTES_MAX: usize = 64 << 20;
/// Flag and length before a gRPC message.
const FRAME_HEADER_BYTES: usize = 5;

/// The message of a compressed or plain body. The error says what the client did wrong.
pub(crate) fn decompress(encoding: Encoding, body: &Bytes) -> Result<Bytes, String> {
    match encoding {
        Encoding::Identity => Ok(body.clone()),
        Encoding::Gzip => {
            let mut rest = body.as_ref();
            // The decoder of one member, so that bytes behind it are noticed.
            let message = read_limited(flate2::bufread::GzDecoder::new(&mut rest))?;
            if rest.is_empty() {
                Ok(message)
            } else {
                Err(format!("{} bytes behind the gzip member", rest.len()))
            }
        }
        Encoding::Zstd => {
            let decoder =
                zstd::Decoder::with_buffer(body.as_ref()).map_err(|error| format!("zstd: {error}"))?;
            read_limited(decoder)
        }
        Encoding::Other => Err("an encoding that OTLP does not know".to_owned()),
    }
}

/// The one message of a unary gRPC request, decompressed, and whether its frame was marked as compressed.
pub(crate) fn unframe(encoding: Encoding, body: &Bytes) -> Result<(Bytes, bool), String> {
    let Some((header, payload)) = body.split_at_checked(FRAME_HEADER_BYTES) else {
        return Err(format!("{} bytes are no gRPC frame", body.len()));
    };
    let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]) as usize;
    if length != payload.len() {
        return Err(format!("the gRPC frame announces {length} bytes and {} follow", payload.len()));
    }
    let payload = body.slice(FRAME_HEADER_BYTES..);
    match (header[0], encoding) {
        (0, _) => Ok((payload, false)),
        (1, Encoding::Identity) => Err("a compressed gRPC frame without grpc-encoding".to_owned()),
        (1, _) => Ok((decompress(encoding, &payload)?, true)),
        (flag, _) => Err(format!("gRPC frame flag {flag}")),
    }
}

/// The frame around an uncompressed message.
pub(crate) fn frame(message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).expect("a message below 4 GiB");
    let mut framed = vec![0];
    framed.extend_from_slice(&length.to_be_bytes());
    framed.extend_from_slice(message);
    framed.into()
}

fn read_limited(reader: impl Read) -> Result<Bytes, String> {
    let mut message = Vec::new();
    let limit = MESSAGE_BYTES_MAX as u64 + 1;
    reader.take(limit).read_to_end(&mut message).map_err(|error| format!("does not decompress: {error}"))?;
    if message.len() > MESSAGE_BYTES_MAX {
        return Err(format!("more than {MESSAGE_BYTES_MAX} bytes after decompression"));
    }
    Ok(message.into())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn gzip(message: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(message).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn every_encoding_gives_the_message_back() {
        let message = Bytes::from_static(b"a message, a message, a message");
        for (encoding, body) in [
            (Encoding::Identity, message.to_vec()),
            (Encoding::Gzip, gzip(&message)),
            (Encoding::Zstd, zstd::encode_all(message.as_ref(), 1).unwrap()),
        ] {
            assert_eq!(decompress(encoding, &body.into()), Ok(message.clone()), "{encoding:?}");
        }
    }

    #[test]
    fn a_body_that_is_not_what_it_says_is_refused() {
        assert!(decompress(Encoding::Gzip, &Bytes::from_static(b"plain")).is_err());
        assert!(decompress(Encoding::Zstd, &Bytes::from_static(b"plain")).is_err());
        let mut trailing = gzip(b"message");
        trailing.push(0);
        assert!(decompress(Encoding::Gzip, &trailing.into()).is_err());
    }

    #[test]
    fn a_bomb_is_refused() {
        let bomb = gzip(&vec![0; MESSAGE_BYTES_MAX + 1]);
        assert!(decompress(Encoding::Gzip, &bomb.into()).unwrap_err().contains("after decompression"));
    }

    #[test]
    fn frames_must_be_whole() {
        assert_eq!(unframe(Encoding::Gzip, &frame(b"m")), Ok((Bytes::from_static(b"m"), false)));
        assert!(unframe(Encoding::Identity, &Bytes::from_static(&[1, 0, 0, 0, 0])).is_err());
        assert!(unframe(Encoding::Identity, &Bytes::from_static(&[0, 0, 0, 0, 1])).is_err());
        assert!(unframe(Encoding::Identity, &Bytes::from_static(&[0, 0])).is_err());
        assert!(unframe(Encoding::Identity, &Bytes::from_static(&[2, 0, 0, 0, 0])).is_err());
    }
}
