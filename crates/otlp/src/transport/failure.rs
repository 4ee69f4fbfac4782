//! Failures below the protocol: no connection, no trust, no answer.

use std::error::Error;
use std::io;

use crate::outcome::{FailureKind, Outcome, clean};

/// Levels of an error's causes that are looked at.
const CAUSES_MAX: usize = 16;

/// What a failed exchange means: another attempt may succeed.
pub(super) fn outcome(error: &(dyn Error + 'static)) -> Outcome {
    let mut kind = FailureKind::Connection;
    let mut texts: Vec<String> = Vec::new();
    let mut cause = Some(error);
    for _ in 0..CAUSES_MAX {
        let Some(error) = cause else { break };
        if error.is::<rustls::Error>() {
            kind = FailureKind::Tls;
        }
        let text = error.to_string();
        // An I/O error prints what it wraps, and hides it from `source`.
        if texts.last() != Some(&text) {
            texts.push(text);
        }
        cause = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    // The first text is hyper's own summary, such as `client error (Connect)`.
    let told = if texts.len() > 1 { texts.get(1..) } else { texts.get(..) };
    Outcome::retry(kind, clean(&told.unwrap_or_default().join(": "), &[]))
}
