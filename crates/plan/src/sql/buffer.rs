//! A growing run of bytes, made for copying tokens.

use super::lexer::Token;

/// Tokens up to this length are copied as one chunk of this length, which costs a fraction of a copy whose length
/// the compiler does not know. What is copied beyond the token is overwritten by the next one.
const CHUNK: usize = 16;

/// Bytes that tokens are appended to, each with or without a space before it.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    /// From `length` on, left over from earlier use.
    bytes: Vec<u8>,
    length: usize,
}

impl Buffer {
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.length
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    #[inline]
    pub(super) fn last(&self) -> Option<u8> {
        self.bytes.get(self.length.wrapping_sub(1)).copied()
    }

    pub(super) fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
    }

    /// Empties the buffer and gives memory back that is beyond `max_bytes`.
    pub(super) fn reset(&mut self, max_bytes: usize) {
        self.length = 0;
        self.bytes.truncate(max_bytes);
        self.bytes.shrink_to(max_bytes);
    }

    /// Appends a token of `source`.
    #[inline]
    pub(super) fn push_token(&mut self, source: &[u8], token: Token, after_space: bool) {
        let length = token.end - token.start;
        let room = self.bytes.get_mut(self.length..).and_then(|room| room.first_chunk_mut::<{ 1 + CHUNK }>());
        let chunk = source.get(token.start..).and_then(|rest| rest.first_chunk::<CHUNK>());
        match (room, chunk) {
            (Some([space, room @ ..]), Some(chunk)) if after_space && length <= CHUNK => {
                *space = b' ';
                *room = *chunk;
                self.length += 1 + length;
            }
            (Some([room @ .., _]), Some(chunk)) if !after_space && length <= CHUNK => {
                *room = *chunk;
                self.length += length;
            }
            // Not enough room yet, or a long token, or one near the end of the source.
            _ => self.push(token.of(source), after_space),
        }
    }

    /// Appends any bytes.
    #[inline(never)]
    pub(super) fn push(&mut self, bytes: &[u8], after_space: bool) {
        let start = self.length + usize::from(after_space);
        let end = start + bytes.len();
        let needed = end + 1 + CHUNK;
        if self.bytes.len() < needed {
            self.bytes.resize(needed.next_power_of_two(), 0);
        }
        if after_space && let Some(space) = self.bytes.get_mut(self.length) {
            *space = b' ';
        }
        if let Some(room) = self.bytes.get_mut(start..end) {
            room.copy_from_slice(bytes);
        }
        self.length = end;
    }

    /// Appends one byte.
    #[inline]
    pub(super) fn push_byte(&mut self, byte: u8, after_space: bool) {
        match self.bytes.get_mut(self.length..) {
            Some([space, after, ..]) if after_space => {
                (*space, *after) = (b' ', byte);
                self.length += 2;
            }
            Some([room, ..]) if !after_space => {
                *room = byte;
                self.length += 1;
            }
            _ => self.push(&[byte], after_space),
        }
    }
}
