//! What is recommended, and what somebody should know before doing it.

use serde::{Deserialize, Serialize};

use crate::{Text, ValueRef};

/// Scripts for a person to read and run; the collector runs none of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scripts {
    /// What does it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forward: Option<Text>,
    /// What undoes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Text>,
    /// The query that shows whether it was done and what it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<Text>,
}

/// The four questions that come before every recommendation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Questions {
    /// What is the worst that can happen?
    pub worst_case: Text,
    /// Can that be survived?
    pub survivable: Text,
    /// Is it worth it?
    pub worth_it: Text,
    /// How is it noticed that it went wrong, and how does one get back?
    pub detect_and_recover: Text,
}

// === impl Scripts ===

impl Scripts {
    /// Calls `visit` with every script there is.
    pub(super) fn for_each_attribute(&self, visit: &mut dyn FnMut(&str, ValueRef<'_>)) {
        let scripts = [
            ("dbintel.finding.script.forward", &self.forward),
            ("dbintel.finding.script.rollback", &self.rollback),
            ("dbintel.finding.script.check", &self.check),
        ];
        for (name, script) in scripts {
            if let Some(script) = script {
                visit(name, ValueRef::Text(script));
            }
        }
    }

    /// Bytes of all of them.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        [&self.forward, &self.rollback, &self.check].into_iter().flatten().map(|script| script.len()).sum()
    }
}

// === impl Questions ===

impl Questions {
    pub(super) fn for_each_text(&mut self, visit: &mut dyn FnMut(&mut Text)) {
        for answer in
            [&mut self.worst_case, &mut self.survivable, &mut self.worth_it, &mut self.detect_and_recover]
        {
            visit(answer);
        }
    }

    pub(super) fn for_each_attribute(&self, visit: &mut dyn FnMut(&str, ValueRef<'_>)) {
        visit("dbintel.finding.question.worst_case", ValueRef::Text(&self.worst_case));
        visit("dbintel.finding.question.survivable", ValueRef::Text(&self.survivable));
        visit("dbintel.finding.question.worth_it", ValueRef::Text(&self.worth_it));
        visit("dbintel.finding.question.detect_and_recover", ValueRef::Text(&self.detect_and_recover));
    }

    pub(super) fn weight_bytes(&self) -> usize {
        let answers = [&self.worst_case, &self.survivable, &self.worth_it, &self.detect_and_recover];
        answers.into_iter().map(|answer| answer.len()).sum()
    }
}
