//! The two outputs of masking, written together: the masked text, which is bounded, and the normal form that
//! is hashed, which is not cut but at most twice as long as the source.

use super::{
    buffer::Buffer,
    chars::{self, Class},
    lexer::Token,
};

/// A place in both outputs to go back to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    text: usize,
    pub(super) normal: usize,
    full: bool,
}

#[derive(Debug)]
pub(super) struct Output<'a> {
    source: &'a [u8],
    /// The source in lower case.
    lower_case: &'a [u8],
    text: &'a mut Buffer,
    max_text_bytes: usize,
    /// Whether a token did not fit into `text`. Nothing is written to it from then on.
    full: bool,
    normal: &'a mut Buffer,
}

impl<'a> Output<'a> {
    /// Masks `source`, of which `lower_case` is the lower case, into two empty buffers.
    pub(super) fn new(
        source: &'a [u8],
        lower_case: &'a [u8],
        max_text_bytes: usize,
        text: &'a mut Buffer,
        normal: &'a mut Buffer,
    ) -> Self {
        Self { source, lower_case, text, max_text_bytes, full: false, normal }
    }

    /// Whether the masked text was cut.
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    /// The masked text so far, in UTF-8.
    pub(super) fn text(&self) -> &[u8] {
        self.text.as_slice()
    }

    /// The length of the normal form so far.
    #[inline]
    pub(super) fn normal_length(&self) -> usize {
        self.normal.len()
    }

    /// The normal form so far.
    pub(super) fn normal_form(&self) -> &[u8] {
        self.normal.as_slice()
    }

    #[inline]
    pub(super) fn mark(&self) -> Mark {
        Mark { text: self.text.len(), normal: self.normal.len(), full: self.full }
    }

    /// Takes back everything written since `mark`.
    pub(super) fn roll_back(&mut self, mark: Mark) {
        self.text.truncate(mark.text);
        self.normal.truncate(mark.normal);
        self.full = mark.full;
    }

    /// A masked literal.
    pub(super) fn placeholder(&mut self, after_gap: bool) {
        // Glued to an operator, the question mark would read as a part of it.
        let apart = after_gap || self.text.last().is_some_and(chars::is_operator);
        if let Some(space) = self.room_in_text(1, apart) {
            self.text.push_byte(b'?', space);
        }
        self.push_normal_byte(b'?');
    }

    /// `$1`, whose number has no part in the normal form.
    pub(super) fn parameter(&mut self, token: Token, after_gap: bool) {
        self.copy_text(token, after_gap);
        self.push_normal_byte(b'?');
    }

    #[inline]
    pub(super) fn operator(&mut self, token: Token, raw: &[u8], after_gap: bool) {
        self.copy_text(token, after_gap);
        // PostgreSQL's lexer reads the one as the other.
        if raw == b"!=" { self.push_normal(b"<>") } else { self.copy_normal(token) }
    }

    /// A keyword, an unquoted identifier or punctuation. Its normal form is itself in lower case.
    #[inline]
    pub(super) fn word(&mut self, token: Token, after_gap: bool) {
        self.copy_text(token, after_gap);
        self.copy_normal(token);
    }

    pub(super) fn semicolon(&mut self) {
        if let Some(space) = self.room_in_text(1, false) {
            self.text.push_byte(b';', space);
        }
        self.push_normal_byte(b';');
    }

    /// A quoted identifier. Its normal form is without quotes where PostgreSQL makes no difference.
    pub(super) fn quoted_identifier(
        &mut self,
        token: Token,
        after_gap: bool,
        is_reserved: impl Fn(&[u8]) -> bool,
    ) {
        let raw = token.of(self.source);
        if raw.iter().any(u8::is_ascii_control) {
            return self.unprintable_identifier(raw, after_gap);
        }
        self.copy_text(token, after_gap);
        match raw {
            [b'"', name @ .., b'"'] if needs_no_quotes(name) && !is_reserved(name) => self.push_normal(name),
            _ => self.quoted_normal(raw),
        }
    }

    /// Writes spaces in place of control characters, so that the masked text is one line.
    fn unprintable_identifier(&mut self, raw: &[u8], after_gap: bool) {
        let printable = |byte: &u8| if byte.is_ascii_control() { b' ' } else { *byte };
        let raw: Vec<u8> = raw.iter().map(printable).collect();
        if let Some(space) = self.room_in_text(raw.len(), after_gap) {
            self.text.push(&raw, space);
        }
        self.quoted_normal(&raw);
    }

    fn quoted_normal(&mut self, raw: &[u8]) {
        match raw {
            // The prefix `U&` has no case.
            [b'U', rest @ ..] => {
                self.push_normal_byte(b'u');
                self.normal.push(rest, false);
            }
            _ => self.push_normal(raw),
        }
    }

    /// Whether a space comes before the next token of the text, or nothing if the token does not fit. Nothing fits
    /// from then on, and a name is never cut in half.
    #[inline]
    fn room_in_text(&mut self, bytes: usize, apart: bool) -> Option<bool> {
        let length = self.text.len();
        let space = apart && length > 0;
        self.full |= length + usize::from(space) + bytes > self.max_text_bytes;
        (!self.full).then_some(space)
    }

    #[inline]
    fn copy_text(&mut self, token: Token, apart: bool) {
        if let Some(space) = self.room_in_text(token.end - token.start, apart) {
            self.text.push_token(self.source, token, space);
        }
    }

    #[inline]
    fn copy_normal(&mut self, token: Token) {
        let space = self.normal.len() > 0;
        self.normal.push_token(self.lower_case, token, space);
    }

    #[inline]
    fn push_normal_byte(&mut self, byte: u8) {
        let space = self.normal.len() > 0;
        self.normal.push_byte(byte, space);
    }

    fn push_normal(&mut self, bytes: &[u8]) {
        let space = self.normal.len() > 0;
        self.normal.push(bytes, space);
    }
}

/// Whether `name` is what PostgreSQL makes of the same characters without quotes.
fn needs_no_quotes(name: &[u8]) -> bool {
    name.first().is_some_and(|first| chars::class(*first) == Class::Letter)
        && name.iter().all(|byte| chars::continues_word(*byte) && !byte.is_ascii_uppercase())
}
