//! A whole configuration: loaded, merged, substituted, split into components.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::component::{Component, Section};
use crate::environment::Environment;
use crate::error::{ConfigError, ConfigErrors, Problem, Warnings, nearest};
use crate::limits::{FILE_BYTES_MAX, FILES_MAX, SETS_MAX};
use crate::merge::merge;
use crate::node::{Entry, Node, Value};
use crate::position::Position;
use crate::redact::tree;
use crate::schema::ComponentSchema;
use crate::service::ServiceConfig;
use crate::{overrides, parse, print, service, set, substitute};

#[cfg(test)]
mod tests;

/// Where a configuration comes from.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct LoadOptions {
    /// The files, later ones over earlier ones.
    pub files: Vec<PathBuf>,
    /// `--set` arguments (`path=value`), in order, over all files.
    pub sets: Vec<String>,
    /// The environment whose `environment_overrides` apply.
    pub environment: Option<String>,
}

/// A configuration and what is probably not meant in it.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub document: Document,
    /// What to tell the operator.
    pub warnings: Warnings,
}

/// A configuration, merged and substituted. `Debug` shows its shape, no values.
#[derive(Debug, Clone)]
pub struct Document {
    root: Node,
    components: BTreeMap<Section, Vec<Component>>,
}

/// The keys a configuration may have at its top.
const TOP_LEVEL_KEYS: [&str; 7] =
    ["receivers", "processors", "exporters", "connectors", "extensions", "service", overrides::KEY];

// === impl Document ===

impl Document {
    /// Reads, merges and substitutes a configuration.
    ///
    /// # Errors
    /// Everything that is wrong before a component looks at its settings.
    pub fn load(options: &LoadOptions, environment: &dyn Environment) -> Result<Loaded, ConfigErrors> {
        let (loaded, errors) = Self::load_leniently(options, environment)?;
        errors.or(loaded)
    }

    /// As [`load`](Self::load), for a validation that reports as much as it can: errors that say little about
    /// the rest (an unknown section, a component id that is none, a reference that cannot be replaced) come
    /// beside the document, not instead of it. What is found later goes with them through
    /// [`ConfigErrors::without_consequences`].
    ///
    /// # Errors
    /// What leaves nothing to look at: unreadable files, bad YAML, also in an included file, and a whole
    /// section that is a reference and cannot be replaced.
    pub fn load_leniently(
        options: &LoadOptions,
        environment: &dyn Environment,
    ) -> Result<(Loaded, ConfigErrors), ConfigErrors> {
        check_counts(options)?;
        let mut warnings = Warnings::default();
        let files = read_files(&options.files, environment)?;
        let merged = files.into_iter().reduce(merge).ok_or(ConfigError::new(None, "", Problem::NoFile))?;
        let mut root = overrides::apply(merged, options.environment.as_deref(), &mut warnings)?;
        for argument in &options.sets {
            root = set::apply(root, argument)?;
        }
        let (root, mut errors) = substitute::substitute(root, environment);
        // Errors in included files have no path.
        let lacks_section = errors.iter().any(|error| !error.path().contains('.'));
        let components = split(&root, &mut errors);
        warnings.extend(tree::inline_secrets(&root));
        let errors = errors.without_consequences();
        if lacks_section {
            return Err(errors);
        }
        Ok((Loaded { document: Self { root, components }, warnings }, errors))
    }

    /// The components of a section, in the order of the files.
    pub fn section(&self, section: Section) -> &[Component] {
        self.components.get(&section).map(Vec::as_slice).unwrap_or_default()
    }

    /// All components, section by section.
    pub fn components(&self) -> impl Iterator<Item = &Component> {
        self.components.values().flatten()
    }

    /// Replaces the settings of components of a section by what `expand` makes of them, for instance with defaults and
    /// templates written out, so that the printed configuration shows what is in effect.
    pub fn expand(&mut self, section: Section, expand: impl Fn(&Component) -> Option<Node>) {
        for component in self.components.get_mut(&section).into_iter().flatten() {
            let Some(node) = expand(component) else { continue };
            if let Some(slot) = component_slot(&mut self.root, section, &component.id().to_string()) {
                slot.clone_from(&node);
            }
            *component = component.clone().with_node(node);
        }
    }

    /// The whole tree.
    pub fn root(&self) -> &Node {
        &self.root
    }

    /// The `service` section. Settings of the Collector that dbintel does not have are warnings.
    ///
    /// # Errors
    /// Everything in it that is wrong by itself; [`service::check`] looks at the references.
    pub fn service(&self, warnings: &mut Warnings) -> Result<ServiceConfig, ConfigErrors> {
        service::read(self.root.as_map().and_then(|map| map.entry("service")), warnings)
    }

    /// The effective configuration as YAML that can be loaded again, without secrets.
    ///
    /// A value that came by reference is shown as the reference if it came from a file, or may be a
    /// secret; an inline secret is shown as `[redacted]`. The schemas tell which settings are secrets; without
    /// them names and looks decide.
    pub fn to_yaml(&self, schemas: &[ComponentSchema]) -> String {
        print::to_yaml(&tree::printable(&self.root, schemas))
    }
}

// === impl LoadOptions ===

impl fmt::Debug for LoadOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paths: Vec<&str> = self.sets.iter().filter_map(|set| set.split('=').next()).collect();
        f.debug_struct("LoadOptions")
            .field("files", &self.files)
            .field("sets", &paths)
            .field("environment", &self.environment)
            .finish()
    }
}

/// Where the tree holds the settings of a component.
fn component_slot<'n>(root: &'n mut Node, section: Section, id: &str) -> Option<&'n mut Node> {
    let mut node = root;
    for key in [section.name(), id] {
        let Value::Map(map) = node.value_mut() else { return None };
        node = &mut map.entry_mut(key)?.value;
    }
    Some(node)
}

// === loading ===

fn check_counts(options: &LoadOptions) -> Result<(), ConfigErrors> {
    let problem = if options.files.is_empty() {
        Problem::NoFile
    } else if options.files.len() > FILES_MAX {
        Problem::Limit { what: "the number of --config", limit: FILES_MAX, unit: "files" }
    } else if options.sets.len() > SETS_MAX {
        Problem::Limit { what: "the number of --set", limit: SETS_MAX, unit: "arguments" }
    } else {
        return Ok(());
    };
    Err(ConfigError::new(None, "", problem).into())
}

/// The trees of all files; an empty file is an empty map, so that it wipes nothing.
fn read_files(files: &[PathBuf], environment: &dyn Environment) -> Result<Vec<Node>, ConfigErrors> {
    let mut errors = ConfigErrors::default();
    let trees = files.iter().filter_map(|file| errors.keep(read_file(file, environment))).collect();
    errors.or(trees)
}

fn read_file(file: &Path, environment: &dyn Environment) -> Result<Node, ConfigErrors> {
    let file: Arc<Path> = file.into();
    let bytes = environment.read_file(&file, FILE_BYTES_MAX).map_err(|error| {
        let position = Position::whole(Arc::clone(&file));
        ConfigError::new(Some(position), "", Problem::Unreadable(error.to_string()))
    })?;
    let root = parse::parse_bytes(&file, &bytes)?;
    match root.value() {
        Value::Map(_) => Ok(root),
        Value::Null => Ok(Node::new(Value::Map(Default::default()), root.position().clone())),
        Value::Scalar(_) | Value::Seq(_) => {
            let problem = Problem::Mismatch {
                expected: "a map of sections (receivers, processors, exporters, service)".to_owned(),
                found: root.kind().to_owned(),
            };
            Err(ConfigError::new(Some(root.position().clone()), "", problem).into())
        }
    }
}

/// The components of all sections.
fn split(root: &Node, errors: &mut ConfigErrors) -> BTreeMap<Section, Vec<Component>> {
    let mut sections = BTreeMap::new();
    for entry in root.as_map().into_iter().flat_map(super::node::Map::iter) {
        match Section::ALL.into_iter().find(|section| section.name() == &*entry.key) {
            Some(section) => {
                let components = split_section(section, entry, errors);
                sections.insert(section, components);
            }
            None => errors.0.extend(check_other_key(entry)),
        }
    }
    sections
}

fn split_section(section: Section, entry: &Entry, errors: &mut ConfigErrors) -> Vec<Component> {
    match entry.value.value() {
        Value::Null => Vec::new(),
        Value::Map(map) => {
            map.iter().filter_map(|entry| errors.keep(Component::new(section, entry))).collect()
        }
        Value::Scalar(_) | Value::Seq(_) => {
            let problem = Problem::Mismatch {
                expected: format!("a map of {section}"),
                found: entry.value.kind().to_owned(),
            };
            errors.push(ConfigError::new(Some(entry.value.position().clone()), section.name(), problem));
            Vec::new()
        }
    }
}

/// A top-level key that is no section of components.
fn check_other_key(entry: &Entry) -> Option<ConfigError> {
    let error = |problem| Some(ConfigError::new(Some(entry.key_position.clone()), &*entry.key, problem));
    match &*entry.key {
        "service" => None,
        "connectors"
            if entry.value.is_null() || entry.value.as_map().is_some_and(super::node::Map::is_empty) =>
        {
            None
        }
        "connectors" => error(Problem::Unsupported(
            "dbintel has no connectors; name the receivers of one pipeline in the other".to_owned(),
        )),
        key => error(Problem::UnknownKey {
            key: key.to_owned(),
            suggestion: nearest(key, TOP_LEVEL_KEYS),
            valid: TOP_LEVEL_KEYS.map(str::to_owned).to_vec(),
        }),
    }
}
