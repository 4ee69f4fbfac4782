//! A reader of the few protobuf messages that an answer can hold. The oracle of its tests is prost.

use std::time::Duration;

/// A field: its number, and its value if it has a length or is a varint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    Fixed,
}

/// The bytes are no protobuf message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// `ExportMetricsPartialSuccess`, and those of the other signals, which look the same on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct PartialSuccess {
    pub(super) rejected: u64,
    pub(super) message: String,
}

/// What matters of `google.rpc.Status`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct RpcStatus {
    pub(super) message: String,
    /// `RetryInfo.retry_delay`; zero where `RetryInfo` has none.
    pub(super) retry_delay: Option<Duration>,
}

impl PartialSuccess {
    /// Reads an `Export…ServiceResponse`.
    pub(super) fn of_response(bytes: &[u8]) -> Result<Option<Self>, Malformed> {
        let mut found = None;
        each_field(bytes, |number, field| {
            if let (1, Field::Bytes(bytes)) = (number, field) {
                found = Some(Self::parse(bytes)?);
            }
            Ok(())
        })?;
        Ok(found)
    }

    fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut partial = Self::default();
        each_field(bytes, |number, field| {
            match (number, field) {
                // An int64: a negative count is nonsense and counts as none.
                (1, Field::Varint(count)) => {
                    partial.rejected = u64::try_from(count.cast_signed()).unwrap_or(0);
                }
                (2, Field::Bytes(text)) => partial.message = text_of(text)?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(partial)
    }
}

impl RpcStatus {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut status = Self::default();
        each_field(bytes, |number, field| {
            match (number, field) {
                (2, Field::Bytes(text)) => status.message = text_of(text)?,
                (3, Field::Bytes(any)) => {
                    if let Some(delay) = retry_info(any)? {
                        status.retry_delay = Some(delay);
                    }
                }
                _ => {}
            }
            Ok(())
        })?;
        Ok(status)
    }
}

/// The delay of a `google.protobuf.Any` that holds a `google.rpc.RetryInfo`.
fn retry_info(any: &[u8]) -> Result<Option<Duration>, Malformed> {
    let (mut is_retry_info, mut value) = (false, &[][..]);
    each_field(any, |number, field| {
        match (number, field) {
            (1, Field::Bytes(url)) => is_retry_info = url.ends_with(b"/google.rpc.RetryInfo"),
            (2, Field::Bytes(bytes)) => value = bytes,
            _ => {}
        }
        Ok(())
    })?;
    if !is_retry_info {
        return Ok(None);
    }
    let mut delay = Duration::ZERO;
    each_field(value, |number, field| {
        if let (1, Field::Bytes(bytes)) = (number, field) {
            delay = duration(bytes)?;
        }
        Ok(())
    })?;
    Ok(Some(delay))
}

/// A `google.protobuf.Duration`; a negative one is zero.
fn duration(bytes: &[u8]) -> Result<Duration, Malformed> {
    let (mut seconds, mut nanos) = (0, 0);
    each_field(bytes, |number, field| {
        match (number, field) {
            (1, Field::Varint(value)) => seconds = value.cast_signed(),
            (2, Field::Varint(value)) => nanos = value.cast_signed(),
            _ => {}
        }
        Ok(())
    })?;
    let seconds = u64::try_from(seconds).unwrap_or(0);
    let nanos = u32::try_from(nanos).unwrap_or(0).min(999_999_999);
    Ok(Duration::new(seconds, nanos))
}

fn text_of(bytes: &[u8]) -> Result<String, Malformed> {
    String::from_utf8(bytes.to_vec()).map_err(|_| Malformed)
}

/// Calls `visit` with every field of a message. Fields of unknown numbers are visited too; groups, which no message
/// here has, are malformed.
fn each_field<'a>(
    mut bytes: &'a [u8],
    mut visit: impl FnMut(u64, Field<'a>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        let field = match tag & 7 {
            0 => Field::Varint(varint(&mut bytes)?),
            1 => take(&mut bytes, 8).map(|_| Field::Fixed)?,
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).map_err(|_| Malformed)?;
                Field::Bytes(take(&mut bytes, length)?)
            }
            5 => take(&mut bytes, 4).map(|_| Field::Fixed)?,
            _ => return Err(Malformed),
        };
        visit(tag >> 3, field)?;
    }
    Ok(())
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Result<&'a [u8], Malformed> {
    let (taken, rest) = bytes.split_at_checked(length).ok_or(Malformed)?;
    *bytes = rest;
    Ok(taken)
}

/// At most ten bytes; bits above the 64th are dropped, as prost does not accept and protobuf allows.
fn varint(bytes: &mut &[u8]) -> Result<u64, Malformed> {
    let mut value = 0;
    for shift in (0..70).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or(Malformed)?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Malformed)
}

#[cfg(test)]
mod tests;
