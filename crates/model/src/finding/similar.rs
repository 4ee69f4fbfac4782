//! Past cases that resemble a finding: context for a person, never evidence. No verdict and no lock reads them.
//!
//! A case is a set of tokens: the words of its masked statement, the names of its objects, the kinds of its probable causes. How
//! alike two cases are is the share of their tokens that both have (Jaccard), from 0 to 1. A set is bounded: of many tokens those with
//! the smallest hashes stand for all, which are the same ones for the same statement, whatever the order of its words.
//!
//! The answer follows from the cases alone: not from their order, and not from a clock.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{Cause, DecisionAction, Finding, FindingId, FindingKind, FindingState, digits};
use crate::{Text, Timestamp};

/// Cases that are shown with a finding.
pub const MAX_SIMILAR: usize = 3;
/// Less alike than this is not alike: half of all tokens are others.
pub const SIMILAR_MIN: f64 = 0.5;
/// Tokens of a case.
pub const MAX_CASE_TOKENS: usize = 128;
/// Bytes of a statement that are looked at.
pub const CASE_TEXT_BYTES_MAX: usize = 16 << 10;
/// Bytes of each sentence that is kept of a case.
pub const CASE_SENTENCE_BYTES_MAX: usize = 300;

/// Words that nearly every statement has, and that therefore say nothing.
const COMMON_WORDS: [&str; 8] = ["and", "as", "from", "in", "on", "or", "select", "where"];
/// What a token is: the same name as a word and as an object are two tokens.
const WORD: u64 = 1;
const OBJECT: u64 = 2;
const CAUSE: u64 = 3;

/// A finding that came to its end, as far as it is compared and shown.
#[derive(Clone, Debug, PartialEq)]
pub struct PastCase {
    id: FindingId,
    kind: FindingKind,
    state: FindingState,
    opened_at: Timestamp,
    ended_at: Timestamp,
    summary: Text,
    cause: Option<Text>,
    end: Text,
    tokens: Tokens,
}

/// A past case that resembles a finding.
#[derive(Clone, Debug, PartialEq)]
pub struct SimilarCase {
    /// The past finding.
    pub id: FindingId,
    /// What it said.
    pub kind: FindingKind,
    /// The state in which it ended.
    pub state: FindingState,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// What had happened.
    pub summary: Text,
    /// What was its most probable cause, where one was known.
    pub cause: Option<Text>,
    /// How it ended: measured with its gain, rejected and why, or otherwise.
    pub end: Text,
    /// The share of tokens in common, from [`SIMILAR_MIN`] to 1.
    pub likeness: f64,
}

/// Hashes in ascending order, each once, at most [`MAX_CASE_TOKENS`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Tokens(Vec<u64>);

/// The past cases that are most like a finding, the most similar first, at most [`MAX_SIMILAR`]. Of two that are equally similar
/// the one that ended later comes first, then the one with the smaller id. The finding itself is never among them.
#[must_use]
pub fn similar_cases(finding: &Finding, past: &[PastCase]) -> Vec<SimilarCase> {
    let tokens = Tokens::of(finding);
    let others = past.iter().filter(|case| case.id != finding.id);
    let mut alike: Vec<(f64, &PastCase)> = others
        .map(|case| (tokens.likeness(&case.tokens), case))
        .filter(|(likeness, _)| *likeness >= SIMILAR_MIN)
        .collect();
    alike.sort_by(|(one, a), (other, b)| {
        other.total_cmp(one).then(b.ended_at.cmp(&a.ended_at)).then(a.id.cmp(&b.id))
    });
    alike.into_iter().take(MAX_SIMILAR).map(|(likeness, case)| case.like(likeness)).collect()
}

// === impl PastCase ===

impl PastCase {
    /// What is compared and shown of a finding; `None` of one that has not come to its end, and of an improvement, with which nothing
    /// was done.
    #[must_use]
    pub fn of(finding: &Finding) -> Option<Self> {
        let is_case = finding.state.is_final() && finding.kind != FindingKind::PlanImprovement;
        is_case.then(|| Self {
            id: finding.id,
            kind: finding.kind,
            state: finding.state,
            opened_at: finding.opened_at,
            ended_at: finding.updated_at,
            summary: cut(&finding.summary),
            cause: finding.causes.first().map(|cause: &Cause| cut(&cause.sentence)),
            end: cut(&end(finding)),
            tokens: Tokens::of(finding),
        })
    }

    /// Bytes this case keeps alive beyond its own size.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        let cause = self.cause.as_ref().map_or(0, |cause| cause.len());
        self.summary.len() + self.end.len() + cause + self.tokens.0.len() * size_of::<u64>()
    }

    fn like(&self, likeness: f64) -> SimilarCase {
        let Self { id, kind, state, opened_at, ended_at, .. } = *self;
        let (summary, cause, end) = (self.summary.clone(), self.cause.clone(), self.end.clone());
        SimilarCase { id, kind, state, opened_at, ended_at, summary, cause, end, likeness }
    }
}

/// How a finding ended, in a sentence.
fn end(finding: &Finding) -> String {
    let state = finding.state;
    if let Some(outcome) = &finding.outcome {
        let per_day = outcome.time_lost.and_then(|lost| lost.seconds_per_day);
        let gain = per_day.filter(|seconds| seconds.is_finite() && *seconds < 0.0);
        let gained = gain.map_or_else(String::new, |lost| format!(" Gained: {} s per day.", digits(-lost)));
        return format!("{state}: {}{gained}", outcome.sentence);
    }
    let rejection = || finding.decisions.iter().rev().find(|made| made.action == DecisionAction::Reject);
    match (state, rejection()) {
        (FindingState::Rejected, Some(rejection)) => {
            let why = rejection.reason.as_deref().unwrap_or("no reason given");
            format!("{state} by {}: {why}", rejection.by)
        }
        (FindingState::Resolved, _) if finding.kind == FindingKind::StatisticsStale => {
            format!("{state}: the table was analysed")
        }
        (FindingState::Resolved, _) => format!("{state}: it went away by itself"),
        (FindingState::Expired, _) => format!("{state}: nobody decided or did anything in time"),
        _ => state.to_string(),
    }
}

/// What fits into [`CASE_SENTENCE_BYTES_MAX`].
fn cut(text: &str) -> Text {
    Text::from(head(text, CASE_SENTENCE_BYTES_MAX).to_owned())
}

/// The first bytes of a text, as far as whole characters go.
fn head(text: &str, max: usize) -> &str {
    let end = (0..=max.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

// === impl Tokens ===

impl Tokens {
    /// Nothing where a finding has neither a statement nor an object: causes alone make no two cases alike.
    fn of(finding: &Finding) -> Self {
        let subject = &finding.subject;
        let mut hashes = Vec::new();
        if let Some(text) = subject.query_text.as_ref().or(subject.query_summary.as_ref()) {
            hashes.extend(words(head(text, CASE_TEXT_BYTES_MAX)).map(|word| hash(&word, WORD)));
        }
        let objects = subject.object.iter().chain(finding.causes.iter().filter_map(|of| of.object.as_ref()));
        hashes.extend(objects.map(|object| hash(object, OBJECT)));
        if hashes.is_empty() {
            return Self::default();
        }
        hashes.extend(finding.causes.iter().map(|cause| hash(&cause.kind, CAUSE)));
        hashes.sort_unstable();
        hashes.dedup();
        hashes.truncate(MAX_CASE_TOKENS);
        Self(hashes)
    }

    /// Of the smallest [`MAX_CASE_TOKENS`] hashes of both, the share that both have; 0 where there is none.
    fn likeness(&self, other: &Self) -> f64 {
        let (mut one, mut two) = (self.0.iter().peekable(), other.0.iter().peekable());
        let (mut common, mut all) = (0_u32, 0_u32);
        for _ in 0..MAX_CASE_TOKENS {
            let (a, b) = (one.peek().copied(), two.peek().copied());
            let Some(least) = a.into_iter().chain(b).min() else { break };
            all += 1;
            common += u32::from(a == b);
            one.next_if(|hash| *hash == least);
            two.next_if(|hash| *hash == least);
        }
        if all == 0 { 0.0 } else { f64::from(common) / f64::from(all) }
    }
}

/// The words of a statement in lower case, without numbers and those that every statement has.
fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '_').map(str::to_lowercase);
    words.filter(|word| word.chars().any(|c| !c.is_ascii_digit()) && !COMMON_WORDS.contains(&word.as_str()))
}

fn hash(token: &str, kind: u64) -> u64 {
    xxh3_64_with_seed(token.as_bytes(), kind)
}

#[cfg(test)]
mod tests;
