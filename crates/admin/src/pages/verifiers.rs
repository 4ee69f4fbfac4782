//! What the pages of findings and of statements share: which lanes have a `regression_verifier`.

use dbintel_model::Text;
use dbintel_pipeline::Command;

use super::ask::LaneReplies;
use super::html::{Cell, Page, Tone};
use super::source::PipelineView;
use crate::AdminContext;

/// The processor that has findings and statements.
const KIND: &str = "regression_verifier";

/// The lanes that have one.
pub(super) struct Verifiers {
    /// Those on this page.
    pub(super) lanes: Vec<PipelineView>,
    /// Those that are a link away.
    hidden: Vec<Text>,
    /// Receivers without one.
    without: Vec<Text>,
}

/// What the lane of a receiver answered.
pub(super) struct Answer {
    pub(super) lane: Text,
    pub(super) server: Text,
    /// `None` where it did not answer.
    pub(super) replies: Option<LaneReplies>,
}

// === impl Verifiers ===

impl Verifiers {
    /// At most `max` lanes, of one receiver where one is named.
    pub(super) fn of(cx: &AdminContext, receiver: Option<&str>, max: usize) -> Self {
        let is_wanted = |lane: &PipelineView| receiver.is_none_or(|wanted| lane.receiver.as_str() == wanted);
        let all = cx.pages.pipelines().into_iter().filter(is_wanted);
        let (mut lanes, without): (Vec<_>, Vec<_>) = all.partition(has_verifier);
        let hidden = lanes.split_off(lanes.len().min(max));
        let names = |lanes: Vec<PipelineView>| lanes.into_iter().map(|lane| lane.receiver).collect();
        Self { lanes, hidden: names(hidden), without: names(without) }
    }

    /// Asks every lane once.
    pub(super) async fn ask(&self, cx: &AdminContext, command: &Command) -> Vec<Answer> {
        let names: Vec<Text> = self.lanes.iter().map(|lane| lane.receiver.clone()).collect();
        let replies = match cx.pages.lanes() {
            Some(asker) => asker.ask(&names, command).await,
            None => vec![None; names.len()],
        };
        let answers = self.lanes.iter().zip(replies);
        let answer = |(lane, replies): (&PipelineView, _)| Answer {
            lane: lane.receiver.clone(),
            server: lane.server.clone(),
            replies,
        };
        answers.map(answer).collect()
    }

    /// Says where there is nothing to ask.
    pub(super) fn warn(&self, page: &mut Page) {
        if self.lanes.is_empty() {
            page.news(
                Tone::Warn,
                "No receiver of this page has the processor regression_verifier, so nothing is judged.",
            );
            page.sentence(
                "To switch it on, name it in the pipeline after plan_extractor, for instance processors: [memory_limiter, \
                 circuit_breaker, plan_extractor, regression_verifier, verification]. What it needs and takes is in \
                 docs/configuration.md.",
            );
        }
    }

    /// What is not on this page.
    pub(super) fn elsewhere(&self, page: &mut Page, name: &str) {
        if !self.hidden.is_empty() {
            page.section("Further servers");
            page.list(self.hidden.iter().map(|lane| Cell::link(name, &[("receiver", lane)], lane)));
        }
        if !self.lanes.is_empty() && !self.without.is_empty() {
            let without = format!("Without regression_verifier: {}.", self.without.join(", "));
            page.sentence(&without);
        }
    }
}

// === impl Answer ===

impl Answer {
    /// Says where there is no answer.
    pub(super) fn or_silence(&self, page: &mut Page) {
        if self.replies.is_none() {
            let text =
                format!("The lane of {} gave no answer within a second; its part is missing.", self.lane);
            page.news(Tone::Bad, &text);
        }
    }
}

fn has_verifier(lane: &PipelineView) -> bool {
    lane.processors.iter().any(|id| id.split('/').next() == Some(KIND))
}
