//! Splits statement text into tokens as PostgreSQL's `scan.l` does, except where that would be less safe.
//!
//! * Total: every input is a sequence of tokens; what PostgreSQL would reject becomes a literal or a stray
//!   character.
//! * Linear: each byte is looked at a bounded number of times, whatever the input.
//! * Cut text never shows a piece of a literal: what is not closed is a literal to the end of the text.
//!
//! Differences from PostgreSQL, all on texts it rejects (some versions before 15 accept the first):
//! letters glued to a number (`0x1F`, `12ab`) belong to the number, and a `$` that begins neither a parameter
//! nor a dollar quote is a literal together with the word after it.
//!
//! `standard_conforming_strings` is taken to be on, the default since 9.1; a literal for which the setting
//! would matter is flagged ([`Problem::BackslashBeforeQuote`]).

use super::{
    chars::{self, Class},
    problem::{Problem, Problems},
};

/// The most digits a parameter such as `$12` may have. The wire protocol counts parameters in 16 bits, so a
/// longer number is no parameter and might be data.
const MAX_PARAMETER_DIGITS: usize = 5;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// A keyword or an unquoted identifier.
    Word,
    /// `"…"` or `U&"…"`, closed.
    QuotedIdentifier,
    /// A string, bit string or dollar-quoted string of any form, or anything else that may hold data.
    Literal,
    Number,
    /// `$1`
    Parameter,
    /// A lone `?`: the place of a literal in text that is already masked, or an operator of `jsonb` and `hstore`.
    QuestionMark,
    Operator,
    /// `::`
    Cast,
    Open,
    Close,
    Comma,
    Semicolon,
    Dot,
    /// A colon, `:=`, `..` or a character without a meaning.
    Symbol,
}

/// One token: a range of the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) start: usize,
    pub(super) end: usize,
    /// Whether white space or a comment stands before it.
    pub(super) after_gap: bool,
}

impl Token {
    /// The bytes of this token of `source`.
    #[inline]
    pub(super) fn of(self, source: &[u8]) -> &[u8] {
        source.get(self.start..self.end).unwrap_or_default()
    }
}

/// Whether a backslash takes the next character of a string literal with it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Backslash {
    Escapes,
    IsOrdinary,
}

#[derive(Clone)]
pub(super) struct Lexer<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Up to here every byte is a `+` or `-` that was split off an operator and stands alone. Remembering it
    /// keeps `+-+-+-…` from being scanned once for each sign.
    lone_signs_until: usize,
    problems: Problems,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(source: &'a str) -> Self {
        Self { bytes: source.as_bytes(), at: 0, lone_signs_until: 0, problems: Problems::default() }
    }

    pub(super) fn problems(&self) -> Problems {
        self.problems
    }

    #[inline(always)]
    pub(super) fn next_token(&mut self) -> Option<Token> {
        let before_gap = self.at;
        self.skip_gap();
        let start = self.at;
        let kind = match chars::class(self.byte(start)?) {
            Class::Letter => self.word(),
            Class::Digit => self.number(),
            Class::Operator => self.operator(),
            Class::SingleQuote => self.string(start, Backslash::IsOrdinary),
            Class::DoubleQuote => self.quoted_identifier(start),
            Class::Dollar => self.dollar(),
            Class::Dot => self.dot(),
            Class::Colon => self.colon(),
            Class::Open => self.single(TokenKind::Open),
            Class::Close => self.single(TokenKind::Close),
            Class::Comma => self.single(TokenKind::Comma),
            Class::Semicolon => self.single(TokenKind::Semicolon),
            Class::Stray | Class::Gap => self.single(TokenKind::Symbol),
        };
        Some(Token { kind, start, end: self.at, after_gap: before_gap != start })
    }

    /// Whether the next token is `::`. Costs one look at the gap before it.
    pub(super) fn cast_follows(&self) -> bool {
        let mut ahead = self.clone();
        ahead.skip_gap();
        ahead.rest(ahead.at).starts_with(b"::")
    }

    fn single(&mut self, kind: TokenKind) -> TokenKind {
        self.at += 1;
        kind
    }

    fn double(&mut self, kind: TokenKind) -> TokenKind {
        self.at += 2;
        kind
    }

    // --- gaps -------------------------------------------------------------------------------------------

    #[inline]
    fn skip_gap(&mut self) {
        if self.byte(self.at) == Some(b' ') {
            self.at += 1;
        }
        if self.byte(self.at).is_some_and(chars::may_begin_gap) {
            self.skip_long_gap();
        }
    }

    fn skip_long_gap(&mut self) {
        while let Some(byte) = self.byte(self.at) {
            match byte {
                b'-' if self.byte(self.at + 1) == Some(b'-') => self.at = self.end_of_line(self.at),
                b'/' if self.byte(self.at + 1) == Some(b'*') => self.skip_block_comment(),
                _ if chars::class(byte) == Class::Gap => self.at += 1,
                _ => return,
            }
        }
    }

    /// The index of the line break that ends the line `from` is on.
    fn end_of_line(&self, from: usize) -> usize {
        self.find(from, |byte| matches!(byte, b'\n' | b'\r')).unwrap_or(self.bytes.len())
    }

    /// Block comments nest in PostgreSQL.
    fn skip_block_comment(&mut self) {
        let mut depth = 0_usize;
        let mut at = self.at;
        while let Some(mark) = self.find(at, |byte| matches!(byte, b'*' | b'/')) {
            at = mark + 2;
            match (self.byte(mark), self.byte(mark + 1)) {
                (Some(b'/'), Some(b'*')) => depth += 1,
                (Some(b'*'), Some(b'/')) => depth -= 1,
                _ => at = mark + 1,
            }
            if depth == 0 {
                self.at = at;
                return;
            }
        }
        self.skip_to_end(Problem::UnterminatedComment);
    }

    // --- words and numbers ------------------------------------------------------------------------------

    #[inline]
    fn word(&mut self) -> TokenKind {
        let start = self.at;
        self.at = self.end_of_word(start + 1);
        if self.at == start + 1 {
            return self.prefixed(start).unwrap_or(TokenKind::Word);
        }
        TokenKind::Word
    }

    /// The literal or identifier that the single letter at `start` is the prefix of, if it is one.
    fn prefixed(&mut self, start: usize) -> Option<TokenKind> {
        let letter = self.byte(start)?.to_ascii_lowercase();
        match (letter, self.byte(start + 1)?) {
            (b'e', b'\'') => Some(self.string(start + 1, Backslash::Escapes)),
            (b'b' | b'x' | b'n', b'\'') => Some(self.string(start + 1, Backslash::IsOrdinary)),
            (b'u', b'&') => match self.byte(start + 2)? {
                b'\'' => Some(self.string(start + 2, Backslash::IsOrdinary)),
                b'"' => Some(self.quoted_identifier(start + 2)),
                _ => None,
            },
            _ => None,
        }
    }

    fn number(&mut self) -> TokenKind {
        let mut at = self.end_of_digits(self.at);
        if self.byte(at) == Some(b'.') && self.byte(at + 1) != Some(b'.') {
            at = self.end_of_digits(at + 1);
        }
        if let Some(exponent) = self.exponent(at) {
            at = self.end_of_digits(exponent);
        }
        if self.byte(at).is_some_and(|byte| chars::class(byte) == Class::Letter) {
            at = self.end_of_word(at);
        }
        self.at = at;
        TokenKind::Number
    }

    /// Where the digits of the exponent at `at` begin, if there is one.
    fn exponent(&self, at: usize) -> Option<usize> {
        let digits = match (self.byte(at)?, self.byte(at + 1)?) {
            (b'e' | b'E', b'+' | b'-') => at + 2,
            (b'e' | b'E', _) => at + 1,
            _ => return None,
        };
        self.byte(digits)?.is_ascii_digit().then_some(digits)
    }

    // --- quotes -----------------------------------------------------------------------------------------

    /// A string literal whose opening quote is at `quote`, with the pieces that continue it on later lines.
    fn string(&mut self, quote: usize, backslash: Backslash) -> TokenKind {
        let mut inside = quote + 1;
        loop {
            let Some(end) = self.end_of_string(inside, backslash) else {
                self.skip_to_end(Problem::UnterminatedLiteral);
                return TokenKind::Literal;
            };
            self.at = end;
            match self.continuation(end) {
                Some(next_piece) => inside = next_piece,
                None => return TokenKind::Literal,
            }
        }
    }

    /// The index after the quote that closes a string of which `at` is inside.
    fn end_of_string(&mut self, mut at: usize, backslash: Backslash) -> Option<usize> {
        loop {
            let mark = self.find(at, |byte| matches!(byte, b'\'' | b'\\'))?;
            let is_backslash = self.byte(mark) == Some(b'\\');
            let next_is_quote = self.byte(mark + 1) == Some(b'\'');
            if is_backslash && backslash == Backslash::IsOrdinary {
                if next_is_quote {
                    self.problems.insert(Problem::BackslashBeforeQuote);
                }
                at = mark + 1;
            } else if is_backslash || next_is_quote {
                at = mark + 2;
            } else {
                return Some(mark + 1);
            }
        }
    }

    /// Where the next piece of a string that was closed before `at` begins: SQL joins two string literals that
    /// only white space and `--` comments with at least one line break stand between.
    fn continuation(&self, mut at: usize) -> Option<usize> {
        let mut line_break = false;
        loop {
            match self.byte(at)? {
                b'\n' | b'\r' => line_break = true,
                b'\'' if line_break => return Some(at + 1),
                b'-' if self.byte(at + 1) == Some(b'-') => {
                    at = self.end_of_line(at);
                    continue;
                }
                byte if chars::class(byte) == Class::Gap => {}
                _ => return None,
            }
            at += 1;
        }
    }

    /// An identifier whose opening quote is at `quote`.
    fn quoted_identifier(&mut self, quote: usize) -> TokenKind {
        let mut at = quote + 1;
        while let Some(mark) = self.find(at, |byte| byte == b'"') {
            if self.byte(mark + 1) != Some(b'"') {
                self.at = mark + 1;
                return TokenKind::QuotedIdentifier;
            }
            at = mark + 2;
        }
        self.skip_to_end(Problem::UnterminatedIdentifier);
        TokenKind::Literal
    }

    /// A parameter, a dollar-quoted string or a stray `$`.
    fn dollar(&mut self) -> TokenKind {
        let start = self.at;
        match self.byte(start + 1).map(chars::class) {
            Some(Class::Digit) => return self.parameter(),
            Some(Class::Letter | Class::Dollar) => {}
            Some(_) => return self.single(TokenKind::Literal),
            None => {
                self.skip_to_end(Problem::UnterminatedDollarQuote);
                return TokenKind::Literal;
            }
        }
        let in_tag = |byte| chars::continues_word(byte) && byte != b'$';
        let end_of_tag = self.find(start + 1, |byte| !in_tag(byte));
        match end_of_tag {
            None => self.skip_to_end(Problem::UnterminatedDollarQuote),
            Some(end) if self.byte(end) == Some(b'$') => self.dollar_quoted(start, end + 1),
            Some(end) => self.at = end,
        }
        TokenKind::Literal
    }

    fn parameter(&mut self) -> TokenKind {
        let digits = self.at + 1;
        self.at = self.find(digits, |byte| !byte.is_ascii_digit()).unwrap_or(self.bytes.len());
        if self.at - digits > MAX_PARAMETER_DIGITS { TokenKind::Literal } else { TokenKind::Parameter }
    }

    /// Moves past a string whose delimiter (`$tag$`) is `start..inside`. A delimiter holds no `$` but at its
    /// ends, so a comparison never runs beyond the next `$` and all of them together take linear time.
    fn dollar_quoted(&mut self, start: usize, inside: usize) {
        let delimiter = self.bytes.get(start..inside).unwrap_or_default();
        let mut at = inside;
        while let Some(mark) = self.find(at, |byte| byte == b'$') {
            if self.rest(mark).starts_with(delimiter) {
                self.at = mark + delimiter.len();
                return;
            }
            at = mark + 1;
        }
        self.skip_to_end(Problem::UnterminatedDollarQuote);
    }

    // --- operators and punctuation ----------------------------------------------------------------------

    /// An operator is the longest run of operator characters up to a comment. It may end in `+` or `-` only if it
    /// holds a character that SQL's own operators do not have; otherwise those signs stand alone (`=-` is two).
    fn operator(&mut self) -> TokenKind {
        let start = self.at;
        if start < self.lone_signs_until {
            return self.single(TokenKind::Operator);
        }
        let mut end = start;
        let mut may_end_in_sign = false;
        while let Some(byte) = self.byte(end)
            && chars::is_operator(byte)
            && !self.comment_starts(end)
        {
            may_end_in_sign |= chars::allows_trailing_sign(byte);
            end += 1;
        }
        if !may_end_in_sign {
            self.lone_signs_until = end;
            while end > start + 1 && matches!(self.byte(end - 1), Some(b'+' | b'-')) {
                end -= 1;
            }
        }
        self.at = end;
        let is_question_mark = end == start + 1 && self.byte(start) == Some(b'?');
        if is_question_mark { TokenKind::QuestionMark } else { TokenKind::Operator }
    }

    fn comment_starts(&self, at: usize) -> bool {
        matches!((self.byte(at), self.byte(at + 1)), (Some(b'-'), Some(b'-')) | (Some(b'/'), Some(b'*')))
    }

    fn dot(&mut self) -> TokenKind {
        match self.byte(self.at + 1) {
            Some(b'0'..=b'9') => self.number(),
            Some(b'.') => self.double(TokenKind::Symbol),
            _ => self.single(TokenKind::Dot),
        }
    }

    fn colon(&mut self) -> TokenKind {
        match self.byte(self.at + 1) {
            Some(b':') => self.double(TokenKind::Cast),
            Some(b'=') => self.double(TokenKind::Symbol),
            _ => self.single(TokenKind::Symbol),
        }
    }

    // --- the source -------------------------------------------------------------------------------------

    fn byte(&self, at: usize) -> Option<u8> {
        self.bytes.get(at).copied()
    }

    fn rest(&self, from: usize) -> &'a [u8] {
        self.bytes.get(from..).unwrap_or_default()
    }

    fn find(&self, from: usize, wanted: impl Fn(u8) -> bool) -> Option<usize> {
        let offset = self.rest(from).iter().position(|byte| wanted(*byte))?;
        Some(from + offset)
    }

    #[inline]
    fn end_of_word(&self, from: usize) -> usize {
        let mut at = from;
        while self.byte(at).is_some_and(chars::continues_word) {
            at += 1;
        }
        at
    }

    fn end_of_digits(&self, from: usize) -> usize {
        let digit = |byte: u8| byte.is_ascii_digit() || byte == b'_';
        self.find(from, |byte| !digit(byte)).unwrap_or(self.bytes.len())
    }

    fn skip_to_end(&mut self, problem: Problem) {
        self.problems.insert(problem);
        self.at = self.bytes.len();
    }
}
