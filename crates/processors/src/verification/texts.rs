//! Texts that leave: masked where a detector finds something, cut where they are too long.
//!
//! Texts of statements are shared by many records and polls. Each is looked at once and remembered for as long as
//! somebody holds it: its place in memory is its name, and a weak reference keeps that place from being given to
//! another. What is remembered changes cost, never output. Limit: [`TEXTS_MAX`] texts per server; further ones are
//! looked at each time.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::{Arc, Weak};

use dbintel_model::{QueryText, Text};

use super::cardinality::text_hash;
use super::detectors::{Detectors, Findings};
use super::rota::{Rota, Ticked};
use crate::hashed::{Hashed, Placed};

/// Texts remembered for one server: about 250 bytes each, 4 MiB.
pub const TEXTS_MAX: usize = 16_384;
/// What stands at the end of a text that was cut.
pub const TRUNCATED: &str = "…[truncated]";

/// What is known of the texts of statements.
#[derive(Debug, Default)]
pub(super) struct Texts {
    known: HashMap<usize, Known, BuildHasherDefault<Placed>>,
    rota: Rota<usize>,
    hashes: Distinct,
    fingerprints: Distinct,
}

/// How often each hash is there.
#[derive(Debug, Default)]
struct Distinct(HashMap<u64, u32, BuildHasherDefault<Hashed>>);

#[derive(Debug)]
struct Known {
    text: Weak<QueryText>,
    seen: Seen,
    hash: u64,
    fingerprint: u64,
}

/// What a look at a text gave.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// What leaves instead; `None` for the text as it is.
    pub(super) instead: Option<Arc<QueryText>>,
    pub(super) findings: Findings,
    pub(super) truncated: bool,
}

// === impl Texts ===

impl Texts {
    /// Looks at the text of a statement; gives back what was seen if anything has to change.
    pub(super) fn look(
        &mut self,
        text: &Arc<QueryText>,
        detectors: Detectors,
        max_bytes: usize,
    ) -> Option<Seen> {
        let place = Arc::as_ptr(text) as usize;
        if let Some(known) = self.known.get(&place) {
            return known.seen.instead.is_some().then(|| known.seen.clone());
        }
        let seen = look_at(text, detectors, max_bytes);
        let changed = seen.instead.is_some().then(|| seen.clone());
        if self.known.len() < TEXTS_MAX
            && let Some(masked) = &text.masked
        {
            let (hash, fingerprint) = (text_hash(masked), text.fingerprint);
            self.known.insert(place, Known { text: Arc::downgrade(text), seen, hash, fingerprint });
            self.rota.add(place);
            self.hashes.enter(hash);
            self.fingerprints.enter(fingerprint);
        }
        changed
    }

    /// Forgets texts that nobody holds any more.
    pub(super) fn forget(&mut self, ticked: Ticked) {
        let Self { known, rota, hashes, fingerprints } = self;
        rota.turn(ticked.passed, |place| {
            let Some(text) = known.get(&place) else { return false };
            let keep = text.text.strong_count() > 0;
            if !keep {
                hashes.leave(text.hash);
                fingerprints.leave(text.fingerprint);
                known.remove(&place);
            }
            keep
        });
    }

    /// Distinct fingerprints by distinct texts; `None` where there is no text.
    #[allow(clippy::cast_precision_loss, reason = "counts below 2^53")]
    pub(super) fn normalisation(&self) -> Option<f64> {
        let (texts, fingerprints) = (self.hashes.0.len(), self.fingerprints.0.len());
        (texts > 0).then(|| fingerprints as f64 / texts as f64)
    }
}

// === impl Distinct ===

impl Distinct {
    fn enter(&mut self, hash: u64) {
        *self.0.entry(hash).or_default() += 1;
    }

    fn leave(&mut self, hash: u64) {
        if let Some(count) = self.0.get_mut(&hash) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&hash);
            }
        }
    }
}

fn look_at(text: &QueryText, detectors: Detectors, max_bytes: usize) -> Seen {
    let mut seen = Seen::default();
    let masked = text.masked.as_deref().and_then(|masked| clean(masked, detectors, max_bytes, &mut seen));
    let summary = text.summary.as_deref().and_then(|summary| clean(summary, detectors, max_bytes, &mut seen));
    if masked.is_some() || summary.is_some() {
        seen.instead = Some(Arc::new(QueryText {
            masked: masked.map(Arc::from).or_else(|| text.masked.clone()),
            summary: summary.map(Arc::from).or_else(|| text.summary.clone()),
            truncated: text.truncated || seen.truncated,
            ..*text
        }));
    }
    seen
}

/// Masks and cuts a text in its place.
pub(super) fn clean_text(text: &mut Text, detectors: Detectors, max_bytes: usize, seen: &mut Seen) {
    // Constants of the program have no secrets, and are short.
    if let Text::Shared(shared) = text
        && let Some(clean) = clean(shared, detectors, max_bytes, seen)
    {
        *text = clean.into();
    }
}

fn clean(text: &str, detectors: Detectors, max_bytes: usize, seen: &mut Seen) -> Option<String> {
    let masked = detectors.mask(text, &mut seen.findings);
    match masked.as_deref().unwrap_or(text) {
        long if long.len() > max_bytes => {
            seen.truncated = true;
            Some(cut(long, max_bytes))
        }
        _ => masked,
    }
}

/// The beginning of a text, with the mark at its end; no longer than `max_bytes`, if the mark itself is not.
pub(super) fn cut(text: &str, max_bytes: usize) -> String {
    let end = text.floor_char_boundary(max_bytes.saturating_sub(TRUNCATED.len()));
    let mut cut = String::with_capacity(end + TRUNCATED.len());
    cut.push_str(text.get(..end).unwrap_or_default());
    cut.push_str(TRUNCATED);
    cut
}
