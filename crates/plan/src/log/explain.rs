//! What auto_explain writes: `duration: 1.234 ms  plan:` and the plan after it.

use std::borrow::Cow;
use std::fmt;

use crate::Budget;
use crate::json::{Reader, Value};

/// In every record of auto_explain, whatever the format of the log.
pub const MARK: &str = " ms  plan:";
/// Members that hold what the client sent. They stand before the plan.
const SECRETS: [&str; 2] = ["Query Text", "Query Parameters"];
/// The member with the statement's identifier, from version 16 on, with `auto_explain.log_verbose`. It stands after the
/// plan; within a string the quotes of such a member would have backslashes before them.
const IDENTIFIER: &str = "\"Query Identifier\":";

/// A record of auto_explain.
#[derive(Clone, Debug, PartialEq)]
pub enum AutoExplain<'a> {
    /// A plan in JSON.
    Plan(LoggedPlan<'a>),
    /// `auto_explain.log_format` is not `json`.
    OtherFormat,
    /// The JSON cannot be read.
    Unreadable,
}

/// A plan of the log.
#[derive(Clone, PartialEq)]
pub struct LoggedPlan<'a> {
    /// The whole text the client sent, in which the statement can be one of several. It can hold literals.
    pub query_text: Option<Cow<'a, str>>,
    /// The identifier of this very statement.
    pub query_identifier: Option<i64>,
    /// How long this execution took, in milliseconds.
    pub duration_ms: f64,
    /// The plan without text and parameters. Its conditions can hold literals.
    pub json: String,
}

/// Thirty years: what is longer is no time that an execution took.
const DURATION_MS_MAX: f64 = 1e12;

/// The record of auto_explain that this message is; `None` for any other message.
#[must_use]
pub fn auto_explain(message: &str) -> Option<AutoExplain<'_>> {
    let (duration, body) = message.strip_prefix("duration: ")?.split_once(MARK)?;
    if duration.is_empty() || !duration.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    let body = body.trim();
    if !body.starts_with('{') {
        return Some(AutoExplain::OtherFormat);
    }
    // Whoever writes such a line by himself can write any number.
    let duration_ms = duration.parse().ok().filter(|ms| (0.0..=DURATION_MS_MAX).contains(ms));
    let plan = duration_ms.and_then(|duration_ms| plan(body, duration_ms));
    Some(plan.map_or(AutoExplain::Unreadable, AutoExplain::Plan))
}

fn plan(body: &str, duration_ms: f64) -> Option<LoggedPlan<'_>> {
    let mut budget = Budget::unlimited();
    let mut json = Reader::new(body, &mut budget);
    let Ok(Value::Object) = json.value() else { return None };
    let mut query_text = None;
    loop {
        let before = json.at();
        let name = json.member().ok()??;
        if !SECRETS.contains(&&*name) {
            let rest = body.get(before..)?.trim_start_matches([',', ' ', '\n', '\t', '\r']);
            let is_whole = rest.ends_with('}');
            let json = format!("{{{rest}");
            let logged = LoggedPlan { query_text, query_identifier: identifier(rest), duration_ms, json };
            return is_whole.then_some(logged);
        }
        match json.value().ok()? {
            Value::String(text) if *name == *"Query Text" => query_text = Some(text),
            value => json.skip(&value).ok()?,
        }
    }
}

fn identifier(plan: &str) -> Option<i64> {
    let (_, after) = plan.rsplit_once(IDENTIFIER)?;
    let after = after.trim_start();
    let end = after.find(|c: char| c != '-' && !c.is_ascii_digit()).unwrap_or(after.len());
    super::query_id(after.get(..end)?)
}

/// Without anything that can hold literals.
impl fmt::Debug for LoggedPlan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoggedPlan").field("query_identifier", &self.query_identifier).finish_non_exhaustive()
    }
}
