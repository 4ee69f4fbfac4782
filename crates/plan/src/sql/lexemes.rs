//! The tokens of a text for those who must look at it themselves, as the masker sees them.

use super::lexer::{Lexer, TokenKind};
use super::problem::Problems;

/// What a lexeme is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LexemeKind {
    /// A keyword or an unquoted identifier.
    Word,
    /// `"…"` or `U&"…"`.
    QuotedIdentifier,
    /// A string of any form, or anything else that may hold data.
    Literal,
    /// A number.
    Number,
    /// `$1`
    Parameter,
    /// An operator, `?` included.
    Operator,
    /// `::`
    Cast,
    /// `(`
    Open,
    /// `)`
    Close,
    /// `,`
    Comma,
    /// `;`
    Semicolon,
    /// `.`
    Dot,
    /// Anything else.
    Other,
}

/// One token of a text. Comments and white space are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lexeme<'a> {
    /// What it is.
    pub kind: LexemeKind,
    /// The token as it is written.
    pub text: &'a str,
    /// Where it begins, in bytes.
    pub start: usize,
}

/// All tokens of a text as PostgreSQL's lexer would see them, and what kept it from being read to its end. Takes time
/// linear in the text.
///
/// ```
/// use dbintel_plan::sql::{LexemeKind, lexemes};
///
/// let (lexemes, problems) = lexemes("SELECT $1 /* one */ ;");
/// let kinds: Vec<_> = lexemes.iter().map(|lexeme| lexeme.kind).collect();
/// assert_eq!(kinds, [LexemeKind::Word, LexemeKind::Parameter, LexemeKind::Semicolon]);
/// assert!(problems.is_empty());
/// ```
#[must_use]
pub fn lexemes(text: &str) -> (Vec<Lexeme<'_>>, Problems) {
    let mut lexer = Lexer::new(text);
    let mut lexemes = Vec::new();
    while let Some(token) = lexer.next_token() {
        let kind = LexemeKind::of(token.kind);
        lexemes.push(Lexeme {
            kind,
            text: text.get(token.start..token.end).unwrap_or_default(),
            start: token.start,
        });
    }
    (lexemes, lexer.problems())
}

impl LexemeKind {
    const fn of(kind: TokenKind) -> Self {
        match kind {
            TokenKind::Word => Self::Word,
            TokenKind::QuotedIdentifier => Self::QuotedIdentifier,
            TokenKind::Literal => Self::Literal,
            TokenKind::Number => Self::Number,
            TokenKind::Parameter => Self::Parameter,
            TokenKind::QuestionMark | TokenKind::Operator => Self::Operator,
            TokenKind::Cast => Self::Cast,
            TokenKind::Open => Self::Open,
            TokenKind::Close => Self::Close,
            TokenKind::Comma => Self::Comma,
            TokenKind::Semicolon => Self::Semicolon,
            TokenKind::Dot => Self::Dot,
            TokenKind::Symbol => Self::Other,
        }
    }
}

impl Lexeme<'_> {
    /// Where it ends, in bytes.
    #[must_use]
    pub const fn end(&self) -> usize {
        self.start + self.text.len()
    }

    /// Whether it is this keyword, in any case of letters and not quoted.
    #[must_use]
    pub fn is_word(&self, word: &str) -> bool {
        self.kind == LexemeKind::Word && self.text.eq_ignore_ascii_case(word)
    }
}
