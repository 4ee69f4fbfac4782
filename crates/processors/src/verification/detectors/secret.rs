//! Secrets with a well-known form: tokens, private keys, passwords in URLs and connection strings.

use super::chars::{is_base64url, is_bearer, is_word, run};
use super::{Detector, Look, MARK};

/// Bytes a bearer token has at least; shorter words are words.
const BEARER_BYTES_MIN: usize = 20;
/// Bytes of a segment of a JSON web token, at least: `{"a":1}` in base64.
const SEGMENT_BYTES_MIN: usize = 10;
/// Keys of connection strings whose value is a password.
const PASSWORD_KEYS: [&[u8]; 4] = [b"password=", b"passwd=", b"pwd=", b"sslpassword="];

/// A prefix that a service puts before its tokens, the class of what follows, and how long that is.
struct Prefix {
    text: &'static [u8],
    tail: fn(u8) -> bool,
    length_min: usize,
    length_max: usize,
}

const fn prefix(text: &'static str, tail: fn(u8) -> bool, length_min: usize, length_max: usize) -> Prefix {
    Prefix { text: text.as_bytes(), tail, length_min, length_max }
}

/// No bound on the length.
const ANY: usize = usize::MAX;

const PREFIXES: [Prefix; 27] = [
    // Amazon Web Services.
    prefix("AKIA", is_upper_or_digit, 16, 16),
    prefix("ASIA", is_upper_or_digit, 16, 16),
    // Google.
    prefix("AIza", is_base64url, 35, 35),
    // GitHub.
    prefix("ghp_", is_alphanumeric, 36, ANY),
    prefix("gho_", is_alphanumeric, 36, ANY),
    prefix("ghu_", is_alphanumeric, 36, ANY),
    prefix("ghs_", is_alphanumeric, 36, ANY),
    prefix("ghr_", is_alphanumeric, 36, ANY),
    prefix("github_pat_", is_word, 60, ANY),
    // GitLab.
    prefix("glpat-", is_base64url, 20, ANY),
    // Slack.
    prefix("xoxb-", is_base64url, 20, ANY),
    prefix("xoxp-", is_base64url, 20, ANY),
    prefix("xoxa-", is_base64url, 20, ANY),
    prefix("xoxr-", is_base64url, 20, ANY),
    prefix("xoxs-", is_base64url, 20, ANY),
    // Stripe.
    prefix("sk_live_", is_alphanumeric, 16, ANY),
    prefix("rk_live_", is_alphanumeric, 16, ANY),
    prefix("sk_test_", is_alphanumeric, 16, ANY),
    // Anthropic, OpenAI.
    prefix("sk-ant-", is_base64url, 32, ANY),
    prefix("sk-proj-", is_base64url, 32, ANY),
    // npm, DigitalOcean, SendGrid.
    prefix("npm_", is_alphanumeric, 36, 36),
    prefix("dop_v1_", is_alphanumeric, 64, 64),
    prefix("SG.", is_sendgrid, 66, 66),
    // Grafana, New Relic, Databricks, PyPI.
    prefix("glsa_", is_word, 32, ANY),
    prefix("NRAK-", is_alphanumeric, 27, 27),
    prefix("dapi", is_lower_hexadecimal, 32, 32),
    prefix("pypi-AgEI", is_base64url, 50, ANY),
];

/// Looks at the word that begins at `at`.
pub(super) fn word(text: &[u8], at: usize) -> Look {
    let rest = text.get(at..).unwrap_or_default();
    // Tokens hold dashes: a run of them is looked at once, at its beginning.
    let begins =
        !at.checked_sub(1).and_then(|before| text.get(before)).is_some_and(|byte| is_base64url(*byte));
    let found = match rest.first() {
        Some(b'e') if begins && rest.starts_with(b"eyJ") => jwt(rest),
        Some(b'b' | b'B') if starts_with(rest, b"bearer ") => return bearer(text, at),
        Some(b'p' | b'P' | b's' | b'S') => match password_value(rest) {
            Some((key, value)) => {
                return Look::Found(Detector::Password, at + key..at + key + value);
            }
            None if begins => known_prefix(rest),
            None => None,
        },
        Some(b'A' | b'N' | b'd' | b'g' | b'n' | b'r' | b'x') if begins => known_prefix(rest),
        _ => None,
    };
    match found {
        Some(length) => Look::Found(Detector::Token, at..at + length),
        None => Look::Past(at + 1),
    }
}

/// Two segments of base64url that both begin as JSON objects do, and what follows them.
fn jwt(rest: &[u8]) -> Option<usize> {
    let header = run(rest, 0, is_base64url);
    let payload = rest.get(header..).filter(|rest| rest.starts_with(b".eyJ"))?;
    let length = run(payload, 1, is_base64url);
    let long = header >= SEGMENT_BYTES_MIN && length >= SEGMENT_BYTES_MIN;
    long.then(|| run(rest, 0, |byte| is_base64url(byte) || byte == b'.'))
}

/// What follows the word `Bearer`: long, with capital and small letters and digits, as no identifier is. The word stays.
fn bearer(text: &[u8], at: usize) -> Look {
    let start = at + b"bearer ".len();
    let end = start + run(text, start, is_bearer);
    let token = text.get(start..end).unwrap_or_default();
    let has = |class: fn(&u8) -> bool| token.iter().any(class);
    let mixed = has(u8::is_ascii_digit) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase);
    if token.len() >= BEARER_BYTES_MIN && mixed {
        return Look::Found(Detector::Token, start..end);
    }
    Look::Past(start)
}

/// The length of a token with the prefix of a service. Its tail has a digit, as no name in words has.
fn known_prefix(rest: &[u8]) -> Option<usize> {
    let prefix = PREFIXES.iter().find(|prefix| rest.starts_with(prefix.text))?;
    let start = prefix.text.len();
    let tail = rest.get(start..).unwrap_or_default();
    let bound = prefix.length_max.saturating_add(1);
    let length = tail.iter().take(bound).take_while(|byte| (prefix.tail)(**byte)).count();
    let tail = rest.get(start..start + length)?;
    let continued = rest.get(start + length).is_some_and(|byte| is_word(*byte));
    let fits = (prefix.length_min..=prefix.length_max).contains(&length) && !continued;
    (fits && tail.iter().any(u8::is_ascii_digit)).then_some(start + length)
}

/// A key of a connection string and the length of its value. With spaces around `=` it is a comparison in SQL.
fn password_value(rest: &[u8]) -> Option<(usize, usize)> {
    let key = PASSWORD_KEYS.iter().find(|key| starts_with(rest, key))?.len();
    let value = rest.get(key..)?;
    let quote = value.first().copied().filter(|byte| matches!(byte, b'\'' | b'"'));
    let open = usize::from(quote.is_some());
    let inside = value.get(open..)?;
    // Before the value is measured: a value that is masked may be long, and looked at again.
    if matches!(inside.first(), None | Some(b'?' | b'$' | b'*')) || inside.starts_with(MARK.as_bytes()) {
        return None;
    }
    let length = match quote {
        Some(quote) => quoted(inside, quote),
        None => run(inside, 0, |byte| !is_end_of_value(byte)),
    };
    (length > 0).then_some((key + open, length))
}

/// Bytes up to the closing quote, which is neither doubled nor behind a backslash.
fn quoted(inside: &[u8], quote: u8) -> usize {
    let mut at = 0;
    while let Some(byte) = inside.get(at) {
        let is_doubled = *byte == quote && inside.get(at + 1) == Some(&quote);
        match *byte {
            b'\\' => at += 2,
            _ if is_doubled => at += 2,
            byte if byte == quote => return at,
            _ => at += 1,
        }
    }
    inside.len()
}

/// A value without quotes ends as libpq, JDBC and ADO.NET end it.
const fn is_end_of_value(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b';' | b'&')
}

/// The password of a URL whose `://` begins at `at`, or the token that is its user. Without one, its user is not an e-mail address.
pub(super) fn url(text: &[u8], at: usize) -> Look {
    let rest = text.get(at..).unwrap_or_default();
    if !rest.starts_with(b"://") {
        return Look::Past(at + 1);
    }
    let authority_to = |is_end: fn(u8) -> bool| {
        let length = run(rest, 3, |byte| !is_end(byte));
        rest.get(3..3 + length).unwrap_or_default()
    };
    let mut authority = authority_to(is_end_of_authority);
    // A password may have what ends a URL in a list or in quotes.
    if !authority.contains(&b'@') && authority.contains(&b':') {
        authority = authority_to(|byte| is_end_of_authority(byte) && !matches!(byte, b',' | b'\''));
    }
    let Some(host) = authority.iter().rposition(|byte| *byte == b'@') else { return Look::Past(at + 3) };
    let user = authority.get(..host).unwrap_or_default();
    let name = user.get(..run(user, 0, |byte| byte != b':')).unwrap_or_default();
    let token = if name.starts_with(b"eyJ") { jwt(name) } else { known_prefix(name) };
    if let Some(length) = token {
        return Look::Found(Detector::Token, at + 3..at + 3 + length);
    }
    let Some(colon) = user.iter().position(|byte| *byte == b':') else {
        return Look::Past(at + 3 + host + 1);
    };
    let password = user.get(colon + 1..).unwrap_or_default();
    if password.is_empty() || password == MARK.as_bytes() || password == b"?" {
        return Look::Past(at + 3 + host + 1);
    }
    Look::Found(Detector::Password, at + 3 + colon + 1..at + 3 + host)
}

const fn is_end_of_authority(byte: u8) -> bool {
    matches!(
        byte,
        b'/' | b'?' | b'#' | b' ' | b'\t' | b'\n' | b'\r' | b'"' | b'\'' | b'`' | b'<' | b'>' | b','
    )
}

/// A private key in PEM form that begins at `at`: to the end of its last line, or to the end of the text.
pub(super) fn private_key(text: &[u8], at: usize) -> Look {
    const BEGIN: &[u8] = b"-----BEGIN ";
    const KEY: &[u8] = b"PRIVATE KEY-----";
    const DASHES: usize = 5;
    /// `ENCRYPTED `, `OPENSSH ` and the like.
    const KIND_BYTES_MAX: usize = 16;
    let rest = text.get(at..).unwrap_or_default();
    match run(rest, 0, |byte| byte == b'-') {
        DASHES if rest.starts_with(BEGIN) => {}
        // The last five of them may begin a key.
        dashes if dashes > DASHES => return Look::Past(at + dashes - DASHES),
        dashes => return Look::Past(at + dashes),
    }
    let kind = rest.get(BEGIN.len()..).unwrap_or_default();
    let header = kind.get(..kind.len().min(KIND_BYTES_MAX + KEY.len())).unwrap_or_default();
    if find(header, KEY).is_none() {
        return Look::Past(at + BEGIN.len());
    }
    let end = find(kind, b"-----END ").and_then(|end| {
        let tail = kind.get(end..)?;
        Some(BEGIN.len() + end + find(tail, KEY)? + KEY.len())
    });
    Look::Found(Detector::PrivateKey, at..at + end.unwrap_or(rest.len()))
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

fn starts_with(text: &[u8], lower: &[u8]) -> bool {
    text.get(..lower.len()).is_some_and(|start| start.eq_ignore_ascii_case(lower))
}

const fn is_alphanumeric(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

const fn is_upper_or_digit(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

const fn is_lower_hexadecimal(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

const fn is_sendgrid(byte: u8) -> bool {
    is_base64url(byte) || byte == b'.'
}
