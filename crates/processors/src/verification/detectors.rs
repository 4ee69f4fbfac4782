//! Detectors of personal data and secrets in texts that are about to leave.
//!
//! Statement texts were masked before a record existed; this is the last line for what the masker cannot know (names
//! that carry an address, messages of the server, values of settings). Few detectors, each of a form that is checked
//! by a checksum, a fixed prefix or its context, so that identifiers, numbers, UUIDs, times, log positions and
//! addresses of machines pass untouched.
//!
//! Promises, for every input:
//! * no panic; time linear in the input;
//! * nothing is allocated for a text without a finding;
//! * what is found becomes [`MARK`]; the result is at most [`GROWTH_MAX`] times as long as the input;
//! * a result that is looked at again has no findings.
//!
//! Sources: ISO/IEC 7812-1 annex B (Luhn), ISO 13616 and its registry (IBAN), RFC 7519 (JWT), RFC 7468 (PEM), RFC 3986
//! section 3.2.1 (user information), and the documented prefixes of the services' tokens.

mod chars;
mod iban;
mod payment_card;
mod secret;

use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use chars::{is_address_edge, is_domain, is_local, is_word};

/// What stands in the place of a finding.
pub const MARK: &str = "[redacted]";
/// The longest result, as a multiple of the input: the shortest finding has one byte (a password).
pub const GROWTH_MAX: usize = MARK.len();
/// Times a text is looked at: taking a finding out could uncover another at its edge.
const PASSES_MAX: usize = 4;
/// Longest local part and domain of an e-mail address, RFC 5321.
const LOCAL_BYTES_MAX: usize = 64;
const DOMAIN_BYTES_MAX: usize = 255;

/// Last parts of names that look like addresses: units of systemd (`postgresql@17-main.service`), files (`x@2x.png`).
const NO_DOMAINS: [&[u8]; 12] = [
    b"service", b"socket", b"timer", b"target", b"slice", b"scope", b"png", b"jpg", b"svg", b"json", b"sql",
    b"log",
];

/// A detector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Detector {
    /// Card numbers: known prefix and length, Luhn; in groups, or after a word such as `card`.
    PaymentCard,
    /// E-mail addresses.
    Email,
    /// International bank account numbers: length of the country, remainder 1 modulo 97.
    Iban,
    /// JSON web tokens, bearer tokens, and tokens with the prefix of a known service.
    Token,
    /// Private keys in PEM form, to their end.
    PrivateKey,
    /// Passwords in URLs (`://user:…@`) and in connection strings (`password=…`).
    Password,
}

/// Which detectors are on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Detectors(u8);

/// Findings by detector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Findings([u32; Detector::ALL.len()]);

/// A finding: what, and where.
pub(super) type Found = (Detector, Range<usize>);

// === impl Detector ===

impl Detector {
    /// Every detector.
    pub const ALL: [Self; 6] =
        [Self::PaymentCard, Self::Email, Self::Iban, Self::Token, Self::PrivateKey, Self::Password];

    /// Its name, as configured and as a label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PaymentCard => "payment_card",
            Self::Email => "email",
            Self::Iban => "iban",
            Self::Token => "token",
            Self::PrivateKey => "private_key",
            Self::Password => "password",
        }
    }
}

// === impl Detectors ===

impl Detectors {
    /// These detectors.
    #[must_use]
    pub fn of(detectors: &[Detector]) -> Self {
        Self(detectors.iter().fold(0, |bits, detector| bits | 1 << (*detector as u8)))
    }

    /// Whether this one is on.
    #[must_use]
    pub const fn has(self, detector: Detector) -> bool {
        self.0 & 1 << (detector as u8) != 0
    }

    /// The text with its findings masked; `None` if there are none. What was found is added to `findings`.
    #[must_use]
    pub fn mask(self, text: &str, findings: &mut Findings) -> Option<String> {
        if self.0 == 0 {
            return None;
        }
        let mut masked = self.pass(text, findings)?;
        for _ in 1..PASSES_MAX {
            match self.pass(&masked, findings) {
                Some(again) => masked = again,
                None => break,
            }
        }
        Some(masked)
    }

    fn pass(self, text: &str, findings: &mut Findings) -> Option<String> {
        let mut masked = String::new();
        let (mut at, mut copied) = (0, 0);
        while let Some((detector, span)) = self.next(text.as_bytes(), at, copied) {
            findings.count(detector);
            // Spans begin and end beside ASCII bytes, which are boundaries of characters.
            masked.push_str(text.get(copied..span.start).unwrap_or_default());
            masked.push_str(MARK);
            (at, copied) = (span.end, span.end);
        }
        if copied == 0 {
            return None;
        }
        masked.push_str(text.get(copied..).unwrap_or_default());
        Some(masked)
    }

    /// The first finding at or after `at`. It does not reach back before `from`.
    fn next(self, text: &[u8], mut at: usize, from: usize) -> Option<Found> {
        while let Some(&byte) = text.get(at) {
            let starts_word = at == from || at == 0 || !text.get(at - 1).copied().is_some_and(is_word);
            let looked = match byte {
                b'0'..=b'9' if starts_word => payment_card::look(text, at),
                b'@' => email(text, at, from),
                b':' => secret::url(text, at),
                b'-' => secret::private_key(text, at),
                b'A'..=b'Z' if starts_word => match iban::look(text, at) {
                    Look::Past(_) => secret::word(text, at),
                    found @ Look::Found(..) => found,
                },
                b'a'..=b'z' if starts_word => secret::word(text, at),
                _ => Look::Past(at + 1),
            };
            match looked {
                Look::Found(detector, span) if self.has(detector) => return Some((detector, span)),
                // What is not looked for can hold what is; keys alone are passed over whole, since looking for the end of each of many in one
                // text would take long.
                Look::Found(Detector::PrivateKey, span) => at = span.end.max(at + 1),
                Look::Found(_, span) => at = span.start.max(at + 1),
                Look::Past(next) => at = next.max(at + 1),
            }
        }
        None
    }
}

// === impl Findings ===

impl Findings {
    /// How often this detector found something.
    #[must_use]
    pub fn of(&self, detector: Detector) -> u32 {
        self.0.get(detector as usize).copied().unwrap_or(0)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|count| *count == 0)
    }

    fn count(&mut self, detector: Detector) {
        if let Some(count) = self.0.get_mut(detector as usize) {
            *count = count.saturating_add(1);
        }
    }
}

/// What a look at one place gave.
enum Look {
    /// A finding.
    Found(Detector, Range<usize>),
    /// None; go on here.
    Past(usize),
}

/// An e-mail address around an `@`: a local part, and a domain whose last label is of letters.
fn email(text: &[u8], at: usize, from: usize) -> Look {
    let before = text.get(from..at).unwrap_or_default();
    let local = before.iter().rev().take(LOCAL_BYTES_MAX).take_while(|byte| is_local(**byte)).count();
    let after = text.get(at + 1..).unwrap_or_default();
    let run = after.iter().take(DOMAIN_BYTES_MAX + 1).take_while(|byte| is_domain(**byte)).count();
    let domain = after.get(..run).unwrap_or_default();
    let trailing = domain.iter().rev().take_while(|byte| !byte.is_ascii_alphanumeric()).count();
    let domain = domain.get(..run - trailing).unwrap_or_default();
    let past = Look::Past(at + 1);
    if local == 0 || run > DOMAIN_BYTES_MAX {
        return past;
    }
    let local = before.get(before.len() - local..).unwrap_or_default();
    let leading = local.iter().take_while(|byte| !is_address_edge(**byte)).count();
    let local = local.get(leading..).unwrap_or_default();
    if !local.last().copied().is_some_and(is_address_edge) || !is_domain_name(domain) {
        return past;
    }
    Look::Found(Detector::Email, at - local.len()..at + 1 + domain.len())
}

fn is_domain_name(domain: &[u8]) -> bool {
    let mut labels = 0_usize;
    let mut last: &[u8] = &[];
    for label in domain.split(|byte| *byte == b'.') {
        let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        if label.len() > 63 || !edge(label.first()) || !edge(label.last()) {
            return false;
        }
        labels += 1;
        last = label;
    }
    labels >= 2 && last.len() >= 2 && last.iter().all(u8::is_ascii_alphabetic) && !NO_DOMAINS.contains(&last)
}

#[cfg(test)]
mod tests;
