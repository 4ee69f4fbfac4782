//! Whether the pipelines name components that exist, and make sense together.

use std::collections::{BTreeMap, BTreeSet};

use super::pipeline_id::{PipelineId, Signal};
use super::{PipelineConfig, ServiceConfig};
use crate::component::Section;
use crate::document::Document;
use crate::error::{ConfigError, ConfigErrors, Problem, Warning, Warnings, nearest};
use crate::node::{Node, Origin};
use crate::position::Position;
use crate::values::ComponentId;

/// The ids that may be named in `service`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Defined {
    ids: BTreeMap<Section, BTreeSet<ComponentId>>,
    /// Processors of a pipeline that names none.
    default_chain: BTreeSet<ComponentId>,
}

// === impl Defined ===

impl Defined {
    /// Everything the document defines.
    pub fn of(document: &Document) -> Self {
        let mut defined = Self::default();
        document.components().for_each(|component| defined.add(component.section(), component.id().clone()));
        defined
    }

    /// Adds a component that is there without being defined, such as a built-in processor.
    pub fn add(&mut self, section: Section, id: ComponentId) {
        self.ids.entry(section).or_default().insert(id);
    }

    /// Says that a pipeline without the key `processors` has this one.
    pub fn add_default(&mut self, id: ComponentId) {
        self.default_chain.insert(id);
    }

    /// Whether a component is there.
    pub fn has(&self, section: Section, id: &ComponentId) -> bool {
        self.ids.get(&section).is_some_and(|ids| ids.contains(id))
    }

    fn nearest(&self, section: Section, id: &ComponentId) -> Option<String> {
        let known: Vec<String> =
            self.ids.get(&section).into_iter().flatten().map(ComponentId::to_string).collect();
        nearest(&id.to_string(), known.iter().map(String::as_str))
    }
}

/// Checks `service` against what is defined.
///
/// # Errors
/// A reference to a component that is not defined, or twice in one list; a pipeline without receivers or
/// exporters; no pipeline at all; a receiver in pipelines whose processors differ, because it polls once
/// and feeds one chain.
pub fn check(
    document: &Document,
    service: &ServiceConfig,
    defined: &Defined,
    warnings: &mut Warnings,
) -> Result<(), ConfigErrors> {
    let mut check = Check { document, defined, used: BTreeSet::new(), errors: ConfigErrors::default() };
    if service.pipelines.is_empty() {
        let message = "no pipeline; a collector needs one with receivers and exporters, such as \
                       `metrics: {receivers: [postgresql], exporters: [otlp]}`";
        check.fail("service.pipelines", message);
    }
    check.references("service.extensions", Section::Extensions, &service.extensions);
    for (id, pipeline) in &service.pipelines {
        check.pipeline(id, pipeline);
        if pipeline.processors.is_none() {
            let default = defined.default_chain.iter().map(|id| (Section::Processors, id.clone()));
            check.used.extend(default);
        }
        warnings.extend(check.misspelled(id));
    }
    check.chains(service);
    warnings.extend(check.unused());
    check.errors.or(())
}

struct Check<'a> {
    document: &'a Document,
    defined: &'a Defined,
    used: BTreeSet<(Section, ComponentId)>,
    errors: ConfigErrors,
}

// === impl Check ===

impl Check<'_> {
    fn pipeline(&mut self, id: &PipelineId, pipeline: &PipelineConfig) {
        let path = format!("service.pipelines.{id}");
        if id.kind() == "profiles" {
            self.fail(&path, "dbintel has no profiles; it has metrics, logs and traces");
        }
        let processors = pipeline.processors.as_deref().unwrap_or_default();
        self.references(&format!("{path}.receivers"), Section::Receivers, &pipeline.receivers);
        self.references(&format!("{path}.processors"), Section::Processors, processors);
        self.references(&format!("{path}.exporters"), Section::Exporters, &pipeline.exporters);
        for (section, ids) in
            [(Section::Receivers, &pipeline.receivers), (Section::Exporters, &pipeline.exporters)]
        {
            if ids.is_empty() {
                let message = format!("no {section}; a pipeline needs at least one {}", section.singular());
                self.fail(&path, &message);
            }
        }
    }

    fn references(&mut self, path: &str, section: Section, ids: &[ComponentId]) {
        for (index, id) in ids.iter().enumerate() {
            let path = format!("{path}.{index}");
            self.used.insert((section, id.clone()));
            if !self.defined.has(section, id) {
                self.dangling(path, section, id);
            } else if ids.iter().take(index).any(|earlier| earlier == id) {
                self.fail(&path, &format!("`{id}` is named twice in this list"));
            }
        }
    }

    fn dangling(&mut self, path: String, section: Section, id: &ComponentId) {
        let (node, _) = self.locate(&path);
        let history = node.substituted();
        let (id, suggestion) = match history.filter(|history| history.origin != Origin::Inline) {
            Some(history) => (history.reference.to_string(), None),
            None => (id.to_string(), self.defined.nearest(section, id)),
        };
        let problem = Problem::Dangling { kind: section.singular(), id, suggestion };
        self.errors.push(ConfigError::new(self.position(&path), path, problem));
    }

    /// One receiver feeds one chain.
    fn chains(&mut self, service: &ServiceConfig) {
        let mut first_use: BTreeMap<&ComponentId, (&PipelineId, &PipelineConfig)> = BTreeMap::new();
        for (id, pipeline) in &service.pipelines {
            let defined = |id: &&ComponentId| self.defined.has(Section::Receivers, id);
            for receiver in pipeline.receivers.iter().filter(defined).collect::<Vec<_>>() {
                let (first_id, first) = *first_use.entry(receiver).or_insert((id, pipeline));
                if first.processors != pipeline.processors {
                    let message = format!(
                        "receiver `{receiver}` is also in pipeline `{first_id}`, with other processors; a receiver \
                         polls once and feeds one chain, so give both pipelines the same processors, or define a \
                         second receiver `{}/…`",
                        receiver.kind()
                    );
                    self.fail(&format!("service.pipelines.{id}.processors"), &message);
                }
            }
        }
    }

    /// `metric` would carry everything; `metrics` was meant.
    fn misspelled(&self, id: &PipelineId) -> Option<Warning> {
        let signals = Signal::ALL.map(Signal::name);
        let meant = nearest(id.kind(), signals).filter(|_| id.signal().is_none())?;
        let path = format!("service.pipelines.{id}");
        let message =
            format!("a pipeline named `{}` carries all signals; did you mean `{meant}`?", id.kind());
        Some(Warning::new(self.position(&path), path, message))
    }

    fn unused(&self) -> Vec<Warning> {
        // Extensions are parts of the program, which says itself what it does with settings that nothing names.
        let is_unused = |component: &&crate::component::Component| {
            component.section() != Section::Extensions
                && !self.used.contains(&(component.section(), component.id().clone()))
        };
        let unused = self.document.components().filter(is_unused);
        unused
            .map(|component| component.warning("", "defined but used by no pipeline; it does not run"))
            .collect()
    }

    fn fail(&mut self, path: &str, message: &str) {
        let problem = Problem::Invalid(message.to_owned());
        self.errors.push(ConfigError::new(self.position(path), path, problem));
    }

    fn position(&self, path: &str) -> Option<Position> {
        self.locate(path).1.cloned()
    }

    /// What the path leads to and where it stands, or the nearest thing around it. Ids of pipelines may have
    /// dots in them, so keys are matched against what is left of the path.
    fn locate(&self, path: &str) -> (&Node, Option<&Position>) {
        let (mut node, mut position, mut rest) = (self.document.root(), None, path);
        while !rest.is_empty() {
            let Some((below, place, tail)) = step(node, rest) else { break };
            (node, position, rest) = (below, Some(place), tail);
        }
        (node, position)
    }
}

/// The child that the path leads to, where it stands, and the rest of the path.
fn step<'n, 'p>(node: &'n Node, path: &'p str) -> Option<(&'n Node, &'n Position, &'p str)> {
    let rest_after = |key: &str| match path.strip_prefix(key)? {
        "" => Some(""),
        rest => rest.strip_prefix('.'),
    };
    if let Some(items) = node.as_seq() {
        let (index, rest) = path.split_once('.').unwrap_or((path, ""));
        let item = items.get(index.parse::<usize>().ok()?)?;
        return Some((item, item.position(), rest));
    }
    let mut entries = node.as_map()?.iter();
    entries.find_map(|entry| Some((&entry.value, &entry.key_position, rest_after(&entry.key)?)))
}
