//! The syntax of `${…}`.
//!
//! ```text
//! ${env:NAME}  ${env:NAME:-default}   NAME is [A-Za-z_][A-Za-z0-9_]*
//! ${NAME}  ${NAME:default}  ${NAME:-default}   NAME is [A-Z_][A-Z0-9_]*
//! ${file:/path}                       the path may have references in it
//! $$                                  one dollar sign
//! ```
//! A default may have references in it. A `$` before anything else is a dollar sign.

use crate::limits::{SUBSTITUTION_DEPTH_MAX, SUBSTITUTIONS_PER_VALUE_MAX};
use crate::redact::REDACTED;

/// A scalar, cut at its references.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Template {
    pub(crate) pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    Literal(String),
    Variable {
        name: String,
        /// Whether it is written with `env:`.
        scheme: bool,
        default: Option<Template>,
    },
    File(Template),
}

/// Why text is no template. Never quotes the text: it may be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TemplateError {
    #[error("`${{` without its `}}`; write `$${{` for the text `${{`")]
    Unclosed,
    #[error(
        "`${{env:…}}` takes a name of letters, digits and `_`, then nothing or `:-default`, as in \
         `${{env:NAME:-default}}`"
    )]
    Name,
    #[error("`${{file:…}}` without a path; write `${{file:/path}}`")]
    Path,
    #[error(
        "`${{{0}:…}}` is not supported; dbintel knows `${{env:NAME}}`, `${{env:NAME:-default}}`, \
         `${{file:/path}}` and `${{NAME:default}}`"
    )]
    Scheme(&'static str),
    #[error(
        "not a reference; write `${{env:NAME}}`, `${{env:NAME:-default}}`, `${{file:/path}}` or \
         `${{NAME:default}}` (NAME in capitals), or `$${{` for the text `${{`"
    )]
    Reference,
    #[error("more than {SUBSTITUTION_DEPTH_MAX} references inside each other")]
    Depth,
    #[error("more than {SUBSTITUTIONS_PER_VALUE_MAX} references in one value")]
    Count,
}

/// Schemes of Collector distributions that a user may bring along.
const FOREIGN_SCHEMES: [&str; 9] =
    ["yaml", "http", "https", "vault", "s3", "secretsmanager", "googlesecretmanager", "aes", "config"];

// === impl Template ===

impl Template {
    /// Cuts a scalar at its references.
    pub(crate) fn parse(text: &str) -> Result<Self, TemplateError> {
        let template = parse(text, 0)?;
        if template.references() > SUBSTITUTIONS_PER_VALUE_MAX {
            return Err(TemplateError::Count);
        }
        Ok(template)
    }

    /// The literal text, if there is no reference at all.
    pub(crate) fn as_literal(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [] => Some(""),
            [Piece::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// Whether it is one reference and nothing else.
    pub(crate) fn is_one_reference(&self) -> bool {
        matches!(self.pieces.as_slice(), [Piece::Variable { .. } | Piece::File(_)])
    }

    /// How many references there are, those in defaults included.
    pub(crate) fn references(&self) -> usize {
        let of_piece = |piece: &Piece| match piece {
            Piece::Literal(_) => 0,
            Piece::Variable { default, .. } => 1 + default.as_ref().map_or(0, Self::references),
            Piece::File(path) => 1 + path.references(),
        };
        self.pieces.iter().map(of_piece).sum()
    }

    /// The template as text with everything that is not a reference redacted.
    pub(crate) fn redacted(&self) -> String {
        self.pieces.iter().map(Piece::redacted).collect()
    }

    /// The template as text, for a path.
    pub(crate) fn written(&self) -> String {
        let of_piece = |piece: &Piece| match piece {
            Piece::Literal(text) => text.replace('$', "$$"),
            other => other.redacted(),
        };
        self.pieces.iter().map(of_piece).collect()
    }

    fn push_literal(&mut self, text: &str) {
        match self.pieces.last_mut() {
            _ if text.is_empty() => {}
            Some(Piece::Literal(literal)) => literal.push_str(text),
            _ => self.pieces.push(Piece::Literal(text.to_owned())),
        }
    }
}

// === impl Piece ===

impl Piece {
    /// References stay, the schemes of an `Authorization` header too, other text goes.
    fn redacted(&self) -> String {
        match self {
            Self::Literal(text) if matches!(text.as_str(), "Bearer " | "Basic " | "Token ") => text.clone(),
            Self::Literal(_) => REDACTED.to_owned(),
            Self::Variable { name, scheme, default } => {
                let scheme = if *scheme { "env:" } else { "" };
                let default = default.as_ref().map_or(String::new(), |default| match default.as_literal() {
                    Some("") => ":-".to_owned(),
                    _ => format!(":-{}", default.redacted()),
                });
                format!("${{{scheme}{name}{default}}}")
            }
            Self::File(path) => format!("${{file:{}}}", path.written()),
        }
    }
}

// === parsing ===

fn parse(text: &str, depth: usize) -> Result<Template, TemplateError> {
    if depth > SUBSTITUTION_DEPTH_MAX {
        return Err(TemplateError::Depth);
    }
    let mut template = Template::default();
    let mut rest = text;
    while let Some((literal, after)) = rest.split_once('$') {
        template.push_literal(literal);
        rest = if let Some(after) = after.strip_prefix('$') {
            template.push_literal("$");
            after
        } else if let Some(after) = after.strip_prefix('{') {
            let (inner, after) = split_at_close(after).ok_or(TemplateError::Unclosed)?;
            template.pieces.push(parse_reference(inner, depth)?);
            after
        } else {
            template.push_literal("$");
            after
        };
    }
    template.push_literal(rest);
    Ok(template)
}

/// What is before and after the `}` that closes an open `{`. Braces inside are counted, so that a default
/// may be a map.
fn split_at_close(text: &str) -> Option<(&str, &str)> {
    let mut open = 1_usize;
    for (index, c) in text.char_indices() {
        match c {
            '{' => open += 1,
            '}' => open -= 1,
            _ => {}
        }
        if open == 0 {
            let (inner, rest) = text.split_at(index);
            return rest.strip_prefix('}').map(|rest| (inner, rest));
        }
    }
    None
}

fn parse_reference(inner: &str, depth: usize) -> Result<Piece, TemplateError> {
    if let Some(rest) = inner.strip_prefix("env:") {
        return parse_env(rest, depth);
    }
    if let Some(path) = inner.strip_prefix("file:") {
        let path = parse(path, depth + 1)?;
        return if path.pieces.is_empty() { Err(TemplateError::Path) } else { Ok(Piece::File(path)) };
    }
    let (name, default) = split_default(inner);
    if !is_bare_name(name) {
        let scheme = FOREIGN_SCHEMES.into_iter().find(|scheme| *scheme == name && default.is_some());
        return Err(scheme.map_or(TemplateError::Reference, TemplateError::Scheme));
    }
    let default = default.map(|text| text.strip_prefix('-').unwrap_or(text));
    variable(name, false, default, depth)
}

fn parse_env(text: &str, depth: usize) -> Result<Piece, TemplateError> {
    let (name, default) = split_default(text);
    let default = match default {
        Some(text) => Some(text.strip_prefix('-').ok_or(TemplateError::Name)?),
        None => None,
    };
    if is_name(name) { variable(name, true, default, depth) } else { Err(TemplateError::Name) }
}

fn variable(name: &str, scheme: bool, default: Option<&str>, depth: usize) -> Result<Piece, TemplateError> {
    let default = default.map(|text| parse(text, depth + 1)).transpose()?;
    Ok(Piece::Variable { name: name.to_owned(), scheme, default })
}

fn split_default(text: &str) -> (&str, Option<&str>) {
    match text.split_once(':') {
        Some((name, default)) => (name, Some(default)),
        None => (text, None),
    }
}

fn is_name(name: &str) -> bool {
    let is_word = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_word && !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit())
}

fn is_bare_name(name: &str) -> bool {
    is_name(name) && !name.bytes().any(|byte| byte.is_ascii_lowercase())
}
