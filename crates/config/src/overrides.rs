//! `environment_overrides`: settings that differ between production, staging and development.
//!
//! ```yaml
//! processors:
//!   adaptive_sampler:
//!     max_records_per_second: 1000
//!     environment_overrides:
//!       production: {max_records_per_second: 500}
//! environment_overrides:          # the same for the whole configuration
//!   development: {service: {telemetry: {logs: {level: debug}}}}
//! ```
//!
//! They are applied after all files are merged and before `--set`: first the top level, then each
//! component's own. Afterwards they are gone from the tree. Those of other environments are not looked at.

use std::collections::BTreeSet;

use crate::component::Section;
use crate::error::{ConfigError, ConfigErrors, Problem, Warning, Warnings, nearest};
use crate::merge::merge;
use crate::node::{Entry, Node, Value};

/// The key of the overrides.
pub(crate) const KEY: &str = "environment_overrides";

/// Environments for which presets are generated. Other names work as well.
const KNOWN_ENVIRONMENTS: [&str; 3] = ["production", "staging", "development"];

/// Applies the overrides of `chosen` and removes all of them.
///
/// # Errors
/// Overrides that are not a map of maps.
pub(crate) fn apply(root: Node, chosen: Option<&str>, warnings: &mut Warnings) -> Result<Node, ConfigErrors> {
    let mut pass = Pass { chosen, found: BTreeSet::new(), errors: ConfigErrors::default() };
    let mut root = pass.applied(root, KEY);
    for section in Section::ALL {
        let Value::Map(map) = root.value_mut() else { break };
        let Some(entry) = map.entry_mut(section.name()) else {
            continue;
        };
        pass.section(&mut entry.value, section);
    }
    warnings.extend(pass.warnings());
    pass.errors.or(root)
}

struct Pass<'a> {
    chosen: Option<&'a str>,
    /// Every environment that has an override somewhere.
    found: BTreeSet<String>,
    errors: ConfigErrors,
}

// === impl Pass ===

impl Pass<'_> {
    fn section(&mut self, node: &mut Node, section: Section) {
        let Value::Map(map) = node.value_mut() else { return };
        for entry in map.iter_mut() {
            let path = format!("{section}.{}.{KEY}", entry.key);
            let component = entry.value.take();
            entry.value = self.applied(component, &path);
        }
    }

    /// The node without its overrides, those of the chosen environment laid over it.
    fn applied(&mut self, mut node: Node, path: &str) -> Node {
        let Value::Map(map) = node.value_mut() else {
            return node;
        };
        let Some(overrides) = map.remove(KEY) else {
            return node;
        };
        match self.chosen_of(overrides, path) {
            Some(overlay) => merge(node, overlay),
            None => node,
        }
    }

    /// Checks the shape of all environments, and gives the override of the chosen one.
    fn chosen_of(&mut self, overrides: Entry, path: &str) -> Option<Node> {
        let position = overrides.value.position().clone();
        let environments = match overrides.value.into_value() {
            Value::Map(map) => map,
            Value::Null => return None,
            _ => {
                self.expected_map(path, position, "a map of environments, such as production");
                return None;
            }
        };
        let mut chosen = None;
        for environment in environments.into_entries() {
            self.found.insert(environment.key.to_string());
            match environment.value.value() {
                Value::Null => {}
                Value::Map(_) if self.chosen == Some(&*environment.key) => chosen = Some(environment.value),
                Value::Map(_) => {}
                Value::Scalar(_) | Value::Seq(_) => {
                    let position = environment.value.position().clone();
                    self.expected_map(&format!("{path}.{}", environment.key), position, "a map of settings");
                }
            }
        }
        chosen
    }

    fn expected_map(&mut self, path: &str, position: crate::position::Position, expected: &str) {
        let problem = Problem::Invalid(format!("expected {expected}"));
        self.errors.push(ConfigError::new(Some(position), path, problem));
    }

    fn warnings(&self) -> Option<Warning> {
        let chosen = self.chosen.filter(|chosen| !self.found.contains(*chosen))?;
        let known = self.found.iter().map(String::as_str).chain(KNOWN_ENVIRONMENTS);
        let hint = nearest(chosen, known).filter(|near| near != chosen);
        let hint = hint.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
        let message = format!("no `{KEY}` has the environment `{chosen}`{hint}");
        Some(Warning::new(None, "", message))
    }
}

#[cfg(test)]
mod tests;
