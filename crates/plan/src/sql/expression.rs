//! Expressions as plans print them: conditions, keys and calls, without a statement around them.
//!
//! They are split by the same lexer as statements. What PostgreSQL makes an expression from is text of the server's own,
//! so lists are left as they are and nothing needs to be classified.

use super::{
    chars,
    lexer::{Lexer, Token, TokenKind},
};

/// What a piece of an expression is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PieceKind {
    /// A literal, a parameter or the place of a masked literal.
    Value,
    /// A name or keyword as written, with its quotes.
    Name,
    /// `.`
    Dot,
    /// `::`
    Cast,
    /// `(`
    Open,
    /// `[`
    OpenSquare,
    /// `)`
    Close,
    /// `]`
    CloseSquare,
    /// `,`
    Comma,
    /// An operator or any other character.
    Other,
}

/// A piece of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece<'a> {
    pub(crate) kind: PieceKind,
    pub(crate) text: &'a str,
}

/// The pieces of an expression, in order.
pub(crate) fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut lexer = Lexer::new(text);
    std::iter::from_fn(move || {
        let token = lexer.next_token()?;
        let raw = text.get(token.start..token.end).unwrap_or_default();
        Some(Piece { kind: piece_kind(token.kind, raw), text: raw })
    })
}

fn piece_kind(kind: TokenKind, raw: &str) -> PieceKind {
    match kind {
        TokenKind::Literal | TokenKind::Number | TokenKind::Parameter | TokenKind::QuestionMark => {
            PieceKind::Value
        }
        TokenKind::Word | TokenKind::QuotedIdentifier => PieceKind::Name,
        TokenKind::Dot => PieceKind::Dot,
        TokenKind::Cast => PieceKind::Cast,
        TokenKind::Open if raw == "[" => PieceKind::OpenSquare,
        TokenKind::Open => PieceKind::Open,
        TokenKind::Close if raw == "]" => PieceKind::CloseSquare,
        TokenKind::Close => PieceKind::Close,
        TokenKind::Comma => PieceKind::Comma,
        TokenKind::Operator | TokenKind::Semicolon | TokenKind::Symbol => PieceKind::Other,
    }
}

/// Appends `text` with `?` in the place of every literal and one space in the place of every gap and comment.
///
/// Masking what was masked changes nothing.
pub(crate) fn mask_expression(text: &str, out: &mut String) {
    out.reserve(text.len());
    let start = out.len();
    let mut lexer = Lexer::new(text);
    while let Some(token) = lexer.next_token() {
        let apart = token.after_gap || is_operator(token.kind) && ends_in_operator(out, start, token);
        if apart && out.len() > start {
            out.push(' ');
        }
        match token.kind {
            TokenKind::Literal | TokenKind::Number | TokenKind::QuestionMark => out.push('?'),
            TokenKind::QuotedIdentifier => push_printable(raw(text, token), out),
            _ => out.push_str(raw(text, token)),
        }
    }
}

fn raw(text: &str, token: Token) -> &str {
    text.get(token.start..token.end).unwrap_or_default()
}

/// Whether the token becomes characters of an operator, which would grow together with those before it.
fn is_operator(kind: TokenKind) -> bool {
    matches!(kind, TokenKind::Operator | TokenKind::Literal | TokenKind::Number | TokenKind::QuestionMark)
}

/// Whether what is written ends in an operator character that did not stand before `token` without a gap in the
/// source as two tokens anyway.
fn ends_in_operator(out: &str, start: usize, token: Token) -> bool {
    let last = out.as_bytes().get(start..).and_then(<[u8]>::last).copied();
    match last {
        Some(b'?') => true,
        Some(byte) => chars::is_operator(byte) && token.kind != TokenKind::Operator,
        None => false,
    }
}

/// Appends a name with spaces in the place of control characters, so that the result is one line.
fn push_printable(name: &str, out: &mut String) {
    if name.bytes().any(|byte| byte.is_ascii_control()) {
        out.extend(name.chars().map(|char| if char.is_ascii_control() { ' ' } else { char }));
    } else {
        out.push_str(name);
    }
}
