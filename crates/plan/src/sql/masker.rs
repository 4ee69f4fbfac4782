//! Drives one pass over a statement text: each token goes to the outputs, to the lists that may take it back,
//! to the classifier and to the summary.

use super::{
    MaskLimits, Masked,
    buffer::Buffer,
    classify::Classifier,
    fingerprint::Fingerprint,
    keyword::{self, Entry, Keyword},
    kind::StatementKind,
    lexer::{Lexer, Token, TokenKind},
    lists::{Lists, Step},
    output::{Mark, Output},
    problem::{Problem, Problems},
    summary::Summary,
};

/// The most bytes of each working buffer that a [`Masker`] keeps from one text to the next.
const MAX_RETAINED_BYTES: usize = 64 * 1024;

/// Masks one text after another with the same limits, keeping its working memory between them.
#[derive(Debug)]
pub struct Masker {
    limits: MaskLimits,
    lower_case: Vec<u8>,
    text: Buffer,
    normal_form: Buffer,
    lists: Lists,
}

impl Masker {
    /// A masker with these limits.
    #[must_use]
    pub fn new(limits: MaskLimits) -> Self {
        Self {
            limits,
            lower_case: Vec::new(),
            text: Buffer::default(),
            normal_form: Buffer::default(),
            lists: Lists::default(),
        }
    }

    /// Masks, fingerprints and classifies `text`; see [`mask`](super::mask).
    #[must_use]
    pub fn mask(&mut self, text: &str) -> Masked {
        let end = text.floor_char_boundary(self.limits.max_input_bytes);
        let source = text.get(..end).unwrap_or_default();
        self.lower_case.extend_from_slice(source.as_bytes());
        self.lower_case.make_ascii_lowercase();
        let masked = Pass::new(self, source).run(end < text.len());
        self.lower_case.clear();
        self.lower_case.shrink_to(MAX_RETAINED_BYTES);
        self.text.reset(MAX_RETAINED_BYTES);
        self.normal_form.reset(MAX_RETAINED_BYTES);
        self.lists.clear();
        masked
    }
}

/// What the token before the current one was, as far as the current one depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Previous {
    /// The text begins.
    Nothing,
    /// Another statement begins. The semicolon has not been written yet, because it may be the last token.
    Semicolon,
    Keyword(Keyword),
    /// A keyword after which an operand follows, so that `-` is a sign.
    KeywordBeforeOperand(Keyword),
    Identifier,
    /// A masked literal or a parameter.
    Value,
    /// An operator between two operands.
    BinaryOperator,
    /// A `-` before an operand.
    Minus,
    /// Any other operator, a cast, or punctuation other than the following.
    Operator,
    Open,
    Close,
    Comma,
    Dot,
}

impl Previous {
    pub(super) const fn begins_statement(self) -> bool {
        matches!(self, Self::Nothing | Self::Semicolon)
    }

    pub(super) const fn keyword(self) -> Option<Keyword> {
        match self {
            Self::Keyword(keyword) | Self::KeywordBeforeOperand(keyword) => Some(keyword),
            _ => None,
        }
    }

    const fn is_before_operand(self) -> bool {
        match self {
            Self::Nothing
            | Self::Semicolon
            | Self::KeywordBeforeOperand(_)
            | Self::BinaryOperator
            | Self::Minus
            | Self::Operator
            | Self::Open
            | Self::Comma => true,
            Self::Keyword(_) | Self::Identifier | Self::Value | Self::Close | Self::Dot => false,
        }
    }
}

/// What to go back to when a [`Previous::Minus`] turns out to be the sign of a number.
#[derive(Clone, Copy)]
struct BeforeMinus {
    mark: Mark,
    after_gap: bool,
}

struct Pass<'a> {
    source: &'a [u8],
    lower_case: &'a [u8],
    lexer: Lexer<'a>,
    out: Output<'a>,
    lists: &'a mut Lists,
    summary: Summary,
    problems: Problems,

    // Of the current statement.
    classifier: Classifier,
    previous: Previous,
    depth: u32,
    before_minus: BeforeMinus,

    // Of all statements.
    first_kind: Option<StatementKind>,
    every_text_may_leave: bool,
}

impl<'a> Pass<'a> {
    fn new(masker: &'a mut Masker, source: &'a str) -> Self {
        let source_bytes = source.as_bytes();
        let out = Output::new(
            source_bytes,
            &masker.lower_case,
            masker.limits.max_text_bytes,
            &mut masker.text,
            &mut masker.normal_form,
        );
        Self {
            source: source_bytes,
            lower_case: &masker.lower_case,
            lexer: Lexer::new(source),
            before_minus: BeforeMinus { mark: out.mark(), after_gap: false },
            out,
            lists: &mut masker.lists,
            summary: Summary::default(),
            problems: Problems::default(),
            classifier: Classifier::Start,
            previous: Previous::Nothing,
            depth: 0,
            first_kind: None,
            every_text_may_leave: true,
        }
    }

    fn run(mut self, input_was_cut: bool) -> Masked {
        while let Some(token) = self.lexer.next_token() {
            if token.kind == TokenKind::Semicolon {
                self.end_statement();
            } else {
                self.token(token);
            }
        }
        self.end_statement();
        if input_was_cut {
            self.problems.insert(Problem::InputTooLong);
        }
        let kind = self.first_kind.unwrap_or(StatementKind::Empty);
        Masked {
            // Tokens begin and end at character boundaries, so this cannot fail.
            text: String::from_utf8(self.out.text().to_vec()).unwrap_or_default(),
            fingerprint: Fingerprint::of_normal_form(self.out.normal_form()),
            kind,
            summary: self.summary.finish(kind, self.every_text_may_leave),
            truncated: input_was_cut || self.out.is_full(),
            problems: self.problems.union(self.lexer.problems()),
            every_text_may_leave: self.every_text_may_leave,
        }
    }

    fn end_statement(&mut self) {
        self.lists.end_all(&mut self.out);
        if self.previous.begins_statement() {
            return;
        }
        let kind = self.classifier.kind();
        self.first_kind.get_or_insert(kind);
        self.every_text_may_leave &= kind.text_may_leave();
        self.summary.end_statement(kind);
        self.classifier = Classifier::Start;
        self.previous = Previous::Semicolon;
        self.depth = 0;
    }

    #[inline(always)]
    fn token(&mut self, token: Token) {
        let after_gap = self.gap_before(token);
        self.lists.before(step(token.kind), self.depth);
        self.previous = match token.kind {
            TokenKind::Word => self.word(token, after_gap),
            TokenKind::QuotedIdentifier => self.quoted_identifier(token, after_gap),
            TokenKind::Literal | TokenKind::QuestionMark => self.value(after_gap),
            TokenKind::Number => self.number(after_gap),
            TokenKind::Parameter => self.parameter(token, after_gap),
            TokenKind::Operator => self.operator(token, after_gap),
            TokenKind::Open => self.open(token, after_gap),
            TokenKind::Close => self.close(token),
            TokenKind::Comma => self.comma(token),
            TokenKind::Dot => self.dot(token, after_gap),
            TokenKind::Cast | TokenKind::Symbol | TokenKind::Semicolon => self.symbol(token, after_gap),
        };
    }

    /// Whether the token has a space before it: as in the source, except around brackets, commas and operators
    /// between two operands, where one way serves all. Commas and closing brackets never have one.
    #[inline]
    fn gap_before(&mut self, token: Token) -> bool {
        match self.previous {
            Previous::Open => false,
            Previous::Comma | Previous::BinaryOperator => true,
            Previous::Semicolon => {
                self.out.semicolon();
                true
            }
            _ => token.after_gap,
        }
    }

    #[inline]
    fn word(&mut self, token: Token, after_gap: bool) -> Previous {
        // After a dot every keyword is a name.
        let entry = match self.previous {
            Previous::Dot => None,
            _ => keyword::lookup(token.of(self.lower_case)),
        };
        match entry {
            Some(entry) => self.keyword(entry, token, after_gap),
            None if self.classifier.names_are_generated() => self.value(after_gap),
            None => {
                self.out.word(token, after_gap);
                self.lists.not_constant();
                self.classifier.word(None, self.previous, self.depth);
                self.name(token)
            }
        }
    }

    #[inline]
    fn keyword(&mut self, entry: &Entry, token: Token, after_gap: bool) -> Previous {
        let keyword = entry.keyword;
        match keyword {
            Keyword::True | Keyword::False | Keyword::Null | Keyword::Default | Keyword::Array => {}
            Keyword::Select | Keyword::With | Keyword::Values | Keyword::Table => {
                self.lists.query_word(self.depth, self.out.mark());
                self.lists.not_constant();
            }
            _ => self.lists.not_constant(),
        }
        self.out.word(token, after_gap);
        self.classifier.word(Some(keyword), self.previous, self.depth);
        if self.summary.keyword(entry, self.previous, self.depth) {
            self.name(token);
        }
        if entry.before_operand {
            Previous::KeywordBeforeOperand(keyword)
        } else {
            Previous::Keyword(keyword)
        }
    }

    fn quoted_identifier(&mut self, token: Token, after_gap: bool) -> Previous {
        if self.classifier.names_are_generated() {
            return self.value(after_gap);
        }
        let is_reserved = |name: &[u8]| keyword::lookup(name).is_some_and(|entry| entry.reserved);
        self.out.quoted_identifier(token, after_gap, is_reserved);
        self.lists.not_constant();
        self.classifier.other();
        self.name(token)
    }

    #[inline]
    fn name(&mut self, token: Token) -> Previous {
        if self.summary.expects_name() {
            self.summary.name(token.of(self.source), self.depth);
        }
        Previous::Identifier
    }

    fn value(&mut self, after_gap: bool) -> Previous {
        self.out.placeholder(after_gap);
        self.classifier.other();
        self.summary.other();
        Previous::Value
    }

    /// Like PostgreSQL, takes the sign before a number for a part of it, unless a cast binds the number first.
    fn number(&mut self, after_gap: bool) -> Previous {
        if self.previous == Previous::Minus && !self.lexer.cast_follows() {
            self.out.roll_back(self.before_minus.mark);
            return self.value(self.before_minus.after_gap);
        }
        self.value(after_gap)
    }

    fn parameter(&mut self, token: Token, after_gap: bool) -> Previous {
        self.out.parameter(token, after_gap);
        self.classifier.other();
        self.summary.other();
        Previous::Value
    }

    #[inline]
    fn operator(&mut self, token: Token, after_gap: bool) -> Previous {
        let raw = token.of(self.source);
        let this = match self.previous {
            Previous::Dot => Previous::Operator,
            previous if !previous.is_before_operand() => Previous::BinaryOperator,
            _ if raw == b"-" => {
                self.before_minus = BeforeMinus { mark: self.out.mark(), after_gap };
                Previous::Minus
            }
            _ => Previous::Operator,
        };
        if !matches!(raw, b"-" | b"+") {
            self.lists.not_constant();
        }
        self.out.operator(token, raw, after_gap || this == Previous::BinaryOperator);
        self.classifier.other();
        self.summary.other();
        this
    }

    #[inline]
    fn dot(&mut self, token: Token, after_gap: bool) -> Previous {
        self.out.word(token, after_gap);
        self.lists.not_constant();
        self.classifier.other();
        self.summary.dot();
        Previous::Dot
    }

    fn symbol(&mut self, token: Token, after_gap: bool) -> Previous {
        self.out.word(token, after_gap);
        self.lists.not_constant();
        self.classifier.other();
        self.summary.other();
        Previous::Operator
    }

    #[inline]
    fn comma(&mut self, token: Token) -> Previous {
        self.lists.before_comma(self.depth, &mut self.out);
        self.out.word(token, false);
        self.lists.after_comma(self.depth, &self.out);
        self.classifier.other();
        self.summary.comma(self.depth);
        Previous::Comma
    }

    fn open(&mut self, token: Token, after_gap: bool) -> Previous {
        let inside = self.depth.saturating_add(1);
        let followed = match (self.previous.keyword(), token.of(self.source)) {
            (Some(Keyword::Values), b"(") => {
                let followed = self.lists.start_rows(self.depth, &self.out);
                self.out.word(token, after_gap);
                followed
            }
            (Some(Keyword::In), b"(") | (Some(Keyword::Array), b"[") => {
                self.out.word(token, after_gap);
                self.lists.start_bracketed(inside, &self.out)
            }
            _ => {
                self.out.word(token, after_gap);
                true
            }
        };
        if !followed {
            self.problems.insert(Problem::NestingTooDeep);
        }
        self.classifier.open(self.previous, self.depth);
        self.summary.open(inside);
        self.depth = inside;
        Previous::Open
    }

    fn close(&mut self, token: Token) -> Previous {
        self.lists.before_close(self.depth, &mut self.out);
        self.out.word(token, false);
        self.summary.close(self.depth);
        self.depth = self.depth.saturating_sub(1);
        self.lists.after_close(self.depth, &mut self.out);
        self.classifier.other();
        Previous::Close
    }
}

#[inline]
const fn step(kind: TokenKind) -> Step {
    match kind {
        TokenKind::Open => Step::Open,
        TokenKind::Comma => Step::Comma,
        _ => Step::Any,
    }
}
