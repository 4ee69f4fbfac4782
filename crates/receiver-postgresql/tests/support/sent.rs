//! What the server has seen of us, beside the list of what it can see.

use dbintel_receiver_postgresql::config::{Settings, validate};
use dbintel_receiver_postgresql::examine;
use dbintel_receiver_postgresql::query::templates::{MILLISECONDS, Template};
use dbintel_testkit::postgres::Options;

/// A server that logs all that is sent, in the form that [`sent`] reads.
pub fn logged(options: Options) -> Options {
    options.setting("log_statement", "all").setting("log_line_prefix", "by %u: ")
}

/// The list for the server of this configuration. What is sent to make it is in it.
pub async fn listed(yaml: &str) -> Vec<Template> {
    let settings: Settings = dbintel_config::from_yaml(yaml).expect("readable settings");
    let config = validate(&settings).expect("valid settings").config;
    examine(&config).await.expect("the server lets us in").templates
}

/// Statements as the server has logged them, whatever the protocol and the name they were prepared under. A text of several lines
/// would be cut: ours have none.
pub fn sent(log: &str) -> Vec<&str> {
    log.lines()
        .filter_map(|line| line.strip_prefix("by dbintel: LOG:  "))
        .filter_map(|line| {
            let prepared = || Some(line.strip_prefix("execute ")?.split_once(": ")?.1);
            line.strip_prefix("statement: ")
                .or_else(prepared)
                .or_else(|| line.strip_prefix("fastpath function call: "))
        })
        .collect()
}

/// What was sent and is not in the list.
pub fn unlisted<'a>(sent: &[&'a str], listed: &[Template]) -> Vec<&'a str> {
    let is_listed = |text: &str| listed.iter().any(|template| is_of(template, asked(text)));
    sent.iter().copied().filter(|text| !is_listed(text)).collect()
}

/// On a machine that is busy statements begin late, and the server is asked about them.
fn asked(text: &str) -> &str {
    text.strip_prefix("EXPLAIN (SUMMARY, COSTS OFF) ").unwrap_or(text)
}

/// Whether this is what the template says: letter by letter, but for the digits of what varies.
pub fn is_of(template: &Template, text: &str) -> bool {
    let Some((before, after)) = template.text.split_once(MILLISECONDS) else {
        return template.text == text;
    };
    let digits = text.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
    digits.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
}
