//! A redacted plan as it is kept: as it is where it is small, else compressed.

use std::borrow::Cow;

use dbintel_plan::{Budget, redact_postgresql};

/// Plans above this many bytes are kept compressed. Below it there is little to gain: most of what repeats within a
/// plan are the names of its members, and these take some nodes to repeat.
pub const COMPRESS_ABOVE_BYTES: usize = 2 * 1024;
/// Level of zstd: the fastest, since plans are written more often than read.
const LEVEL: i32 = 1;
/// How often a plan is shortened before it is left out.
const SHORTEN_TRIES: usize = 24;

/// A redacted plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum StoredPlan {
    /// As it is.
    Plain(Box<str>),
    /// Compressed with zstd.
    Compressed {
        /// What was compressed.
        bytes: Box<[u8]>,
        /// How many bytes it had before.
        length: usize,
    },
}

// === impl StoredPlan ===

impl StoredPlan {
    pub(super) fn new(json: String) -> Self {
        if json.len() <= COMPRESS_ABOVE_BYTES {
            return Self::Plain(json.into());
        }
        // It fails only for lack of memory; then the plan is kept as it is.
        match zstd::bulk::compress(json.as_bytes(), LEVEL) {
            Ok(bytes) if bytes.len() < json.len() => {
                Self::Compressed { bytes: bytes.into(), length: json.len() }
            }
            Ok(_) | Err(_) => Self::Plain(json.into()),
        }
    }

    /// The plan. What cannot be read back gives `null`, which no reader takes for a plan.
    pub(super) fn json(&self) -> Cow<'_, str> {
        match self {
            Self::Plain(json) => Cow::Borrowed(json),
            Self::Compressed { bytes, length } => {
                let json = zstd::bulk::decompress(bytes, *length).ok();
                let json = json.and_then(|json| String::from_utf8(json).ok());
                json.map_or(Cow::Borrowed("null"), Cow::Owned)
            }
        }
    }

    /// Bytes it takes.
    pub(super) fn weight_bytes(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Plain(json) => json.len(),
                Self::Compressed { bytes, .. } => bytes.len(),
            }
    }

    /// Bytes before and after compression; `None` where there was none.
    pub(super) fn compression(&self) -> Option<(usize, usize)> {
        match self {
            Self::Plain(_) => None,
            Self::Compressed { bytes, length } => Some((*length, bytes.len())),
        }
    }
}

/// The plan with as many of its first nodes as `max_bytes` have room for, still a valid plan; `None` where not even the
/// first has.
///
/// Redaction with fewer steps ends earlier and closes what is open. No token is shorter than a byte, so that many steps
/// are enough to begin with.
pub(super) fn shortened(json: &str, max_bytes: usize) -> Option<String> {
    let mut steps = max_bytes as u64;
    for _ in 0..SHORTEN_TRIES {
        let shorter = redact_postgresql(json.as_bytes(), &mut Budget::steps(steps)).json;
        if shorter.len() <= max_bytes {
            return shorter.contains("Node Type").then_some(shorter);
        }
        steps = steps.saturating_mul(max_bytes as u64) / (shorter.len() as u64 + 1) * 19 / 20;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(nodes: usize) -> String {
        let scans: Vec<_> = (0..nodes)
            .map(|n| {
                format!(r#"{{"Node Type":"Seq Scan","Relation Name":"orders_{n}","Filter":"(id = ?)"}}"#)
            })
            .collect();
        format!(r#"[{{"Plan":{{"Node Type":"Append","Plans":[{}]}}}}]"#, scans.join(","))
    }

    #[test]
    fn a_large_plan_is_kept_compressed_and_comes_back() {
        let (small, large) = (plan(2), plan(200));
        assert!(matches!(StoredPlan::new(small.clone()), StoredPlan::Plain(_)));
        let stored = StoredPlan::new(large.clone());
        assert_eq!(stored.json(), large);
        let (before, after) = stored.compression().unwrap();
        assert!(before == large.len() && after * 4 < before, "{after} of {before}");
        assert!(stored.weight_bytes() < large.len() / 2);
    }

    #[test]
    fn a_damaged_one_gives_no_plan() {
        let StoredPlan::Compressed { length, .. } = StoredPlan::new(plan(200)) else { panic!() };
        let damaged = StoredPlan::Compressed { bytes: [1, 2, 3].into(), length };
        assert_eq!(damaged.json(), "null");
    }

    #[test]
    fn a_shortened_plan_is_json_and_within_the_bound() {
        let json = plan(500);
        for max_bytes in [200, 1_000, 5_000, 20_000] {
            let shorter = shortened(&json, max_bytes).unwrap();
            assert!(
                shorter.len() <= max_bytes && shorter.len() > max_bytes / 3,
                "{} of {max_bytes}",
                shorter.len()
            );
            serde_json::from_str::<serde_json::Value>(&shorter).unwrap();
        }
        assert_eq!(shortened(&json, 10), None);
    }
}
