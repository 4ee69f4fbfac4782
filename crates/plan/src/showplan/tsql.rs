//! The lexer of Transact-SQL, and masking with it.
//!
//! Total and linear: every text is a sequence of tokens, and what is not closed is a value to the end of the text, so that
//! cut text never shows a piece of a value. Text in double quotes is taken for a value, because with `QUOTED_IDENTIFIER` off
//! it is one. Words of the language and names in brackets are not values.

/// The longest name in brackets that is copied; a longer one becomes `?`. The server's names have 128 characters.
pub const MAX_TSQL_NAME_BYTES: usize = 512;

/// The most bytes of a masked statement.
const MAX_STATEMENT_BYTES: usize = crate::sql::DEFAULT_MAX_TEXT_BYTES;

/// Words that begin statements whose masked text may be shown. The arguments of others may be unquoted text.
const SHOWN: [&str; 6] = ["SELECT", "WITH", "INSERT", "UPDATE", "DELETE", "MERGE"];

/// Words that begin such other statements within one of the above, since nothing has to stand between two statements.
const HIDDEN: [&str; 10] =
    ["EXEC", "EXECUTE", "CREATE", "ALTER", "DROP", "GRANT", "DENY", "REVOKE", "DBCC", "BACKUP"];

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A literal, or what may be one.
    Value,
    /// `@name`
    Variable,
    /// `[name]`
    Name,
    /// A word of the language or a name without brackets.
    Word,
    Dot,
    Open,
    Close,
    Comma,
    /// An operator or any other character.
    Other,
}

/// One token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'t> {
    pub(super) kind: Kind,
    pub(super) text: &'t str,
    /// Whether white space or a comment stands before it.
    pub(super) after_gap: bool,
}

/// The tokens of `text`.
pub(super) fn tokens(text: &str) -> Tokens<'_> {
    Tokens { text, at: 0 }
}

/// Appends `text` with `?` in the place of every value and one space in the place of every gap and comment. Masking what
/// was masked changes nothing.
pub(crate) fn mask_expression(text: &str, out: &mut String) {
    let start = out.len();
    for token in tokens(text) {
        if token.after_gap && out.len() > start {
            out.push(' ');
        }
        push_masked(token, out);
    }
}

/// The statement with its values masked, or `?` alone if it is of a kind whose text is not shown.
pub(crate) fn mask_statement(text: &str) -> String {
    let mut out = String::new();
    let mut depth = 0_u32;
    let mut first = None;
    for token in tokens(text) {
        if token.after_gap && !out.is_empty() {
            out.push(' ');
        }
        match token.kind {
            Kind::Open => depth = depth.saturating_add(1),
            Kind::Close => depth = depth.saturating_sub(1),
            // The parameters of a parameterized statement stand in brackets before it.
            Kind::Word if first.is_none() && depth == 0 => first = Some(token.text),
            _ => {}
        }
        if token.kind == Kind::Word && HIDDEN.iter().any(|word| word.eq_ignore_ascii_case(token.text)) {
            return "?".to_owned();
        }
        if out.len() + token.text.len() > MAX_STATEMENT_BYTES {
            break;
        }
        push_masked(token, &mut out);
    }
    let shown = first.is_some_and(|first| SHOWN.iter().any(|word| word.eq_ignore_ascii_case(first)));
    if shown { out.trim_end().to_owned() } else { "?".to_owned() }
}

fn push_masked(token: Token<'_>, out: &mut String) {
    match token.kind {
        Kind::Value => out.push('?'),
        Kind::Name => {
            out.extend(token.text.chars().map(|char| if char.is_control() { ' ' } else { char }));
        }
        _ => out.push_str(token.text),
    }
}

/// The name in brackets without them.
pub(super) fn unbracketed(name: &str) -> std::borrow::Cow<'_, str> {
    match name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        Some(inside) if inside.contains("]]") => inside.replace("]]", "]").into(),
        Some(inside) => inside.into(),
        None => name.into(),
    }
}

/// The tokens of a text.
#[derive(Clone)]
pub(super) struct Tokens<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Iterator for Tokens<'t> {
    type Item = Token<'t>;

    fn next(&mut self) -> Option<Token<'t>> {
        let before = self.at;
        self.skip_gap();
        let start = self.at;
        let kind = self.token()?;
        let text = self.text.get(start..self.at).unwrap_or_default();
        let kind = if kind == Kind::Name && text.len() > MAX_TSQL_NAME_BYTES { Kind::Value } else { kind };
        Some(Token { kind, text, after_gap: start > before })
    }
}

impl Tokens<'_> {
    fn byte(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + ahead).copied()
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip_gap(&mut self) {
        loop {
            match (self.byte(0), self.byte(1)) {
                (Some(b'-'), Some(b'-')) => {
                    self.at += self.rest().find('\n').unwrap_or(self.rest().len());
                }
                (Some(b'/'), Some(b'*')) => self.skip_comment(),
                (Some(0..=b' ' | 0x7f), _) => self.at += 1,
                (Some(0x80..), _) => match self.rest().chars().next() {
                    Some(char) if char.is_whitespace() || char.is_control() => self.at += char.len_utf8(),
                    _ => return,
                },
                _ => return,
            }
        }
    }

    /// Comments nest. One that is not closed goes to the end.
    fn skip_comment(&mut self) {
        let mut depth = 0_u32;
        loop {
            match (self.byte(0), self.byte(1)) {
                (None, _) => return,
                (Some(b'/'), Some(b'*')) => {
                    depth = depth.saturating_add(1);
                    self.at += 2;
                }
                (Some(b'*'), Some(b'/')) => {
                    depth = depth.saturating_sub(1);
                    self.at += 2;
                    if depth == 0 {
                        return;
                    }
                }
                _ => self.at += 1,
            }
        }
    }

    /// Reads one token; `None` at the end.
    fn token(&mut self) -> Option<Kind> {
        let first = self.rest().chars().next()?;
        let kind = match first {
            '\'' => self.quoted(0, b'\'', Kind::Value),
            'N' | 'n' if self.byte(1) == Some(b'\'') => self.quoted(1, b'\'', Kind::Value),
            '"' => self.quoted(0, b'"', Kind::Value),
            '[' => self.quoted(0, b']', Kind::Name),
            '0'..='9' => self.number(),
            '$' if self.byte(1).is_some_and(|byte| byte.is_ascii_digit() || byte == b'.') => {
                self.at += 1;
                self.number()
            }
            '.' if self.byte(1).is_some_and(|byte| byte.is_ascii_digit()) => self.number(),
            '@' => self.word(Kind::Variable),
            '$' if !self.byte(1).is_some_and(|byte| byte.is_ascii_alphabetic()) => self.other(1, Kind::Other),
            _ if begins_word(first) => self.word(Kind::Word),
            '?' => self.other(1, Kind::Value),
            '.' => self.other(1, Kind::Dot),
            '(' => self.other(1, Kind::Open),
            ')' => self.other(1, Kind::Close),
            ',' => self.other(1, Kind::Comma),
            '<' | '>' | '!' if matches!(self.byte(1), Some(b'=' | b'>' | b'<')) => self.other(2, Kind::Other),
            _ => self.other(first.len_utf8(), Kind::Other),
        };
        Some(kind)
    }

    fn other(&mut self, bytes: usize, kind: Kind) -> Kind {
        self.at += bytes;
        kind
    }

    fn word(&mut self, kind: Kind) -> Kind {
        let rest = self.rest();
        let continues = |char: char| char.is_alphanumeric() || matches!(char, '_' | '@' | '#' | '$');
        self.at += rest.find(|char| !continues(char)).unwrap_or(rest.len());
        kind
    }

    /// Letters that touch a number belong to it, and so does a binary constant that a backslash continues.
    fn number(&mut self) -> Kind {
        let mut last = 0;
        while let Some(byte) = self.byte(0) {
            let sign = matches!(byte, b'+' | b'-') && matches!(last, b'e' | b'E');
            match byte {
                b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'.' | 0x80.. => self.at += 1,
                _ if sign && self.byte(1).is_some_and(|byte| byte.is_ascii_digit()) => self.at += 1,
                b'\\' if self.byte(1) == Some(b'\n') => self.at += 2,
                b'\\' if self.byte(1) == Some(b'\r') && self.byte(2) == Some(b'\n') => self.at += 3,
                _ => break,
            }
            last = byte;
        }
        Kind::Value
    }

    /// Reads to the closing `quote`, which stands for itself if it stands twice.
    fn quoted(&mut self, prefix: usize, quote: u8, kind: Kind) -> Kind {
        self.at += prefix + 1;
        loop {
            let Some(length) = self.rest().bytes().position(|byte| byte == quote) else {
                self.at = self.text.len();
                return Kind::Value;
            };
            self.at += length + 1;
            if self.byte(0) != Some(quote) {
                return kind;
            }
            self.at += 1;
        }
    }
}

fn begins_word(char: char) -> bool {
    char.is_alphabetic() || matches!(char, '_' | '#' | '$')
}
