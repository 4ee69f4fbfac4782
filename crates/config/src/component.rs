//! One component's settings, before its own crate reads them.

use std::fmt;

use serde::de::DeserializeOwned;

use crate::error::{ConfigError, ConfigErrors, Problem, Warning, Warnings};
use crate::node::{Entry, Node};
use crate::path::Path;
use crate::position::Position;
use crate::read;
use crate::values::ComponentId;

/// A top-level section that holds components.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Section {
    /// What reads from databases.
    Receivers,
    /// What changes records on their way.
    Processors,
    /// What sends records away.
    Exporters,
    /// What serves the collector itself: health, zPages, storage.
    Extensions,
}

/// A component that is defined: its id and its settings. `Debug` shows no values.
#[derive(Debug, Clone, PartialEq)]
pub struct Component {
    section: Section,
    id: ComponentId,
    key_position: Position,
    node: Node,
}

// === impl Section ===

impl Section {
    /// All sections, in the order of a configuration file.
    pub const ALL: [Self; 4] = [Self::Receivers, Self::Processors, Self::Exporters, Self::Extensions];

    /// The key of the section.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Receivers => "receivers",
            Self::Processors => "processors",
            Self::Exporters => "exporters",
            Self::Extensions => "extensions",
        }
    }

    /// One component of the section.
    pub const fn singular(self) -> &'static str {
        match self {
            Self::Receivers => "receiver",
            Self::Processors => "processor",
            Self::Exporters => "exporter",
            Self::Extensions => "extension",
        }
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

// === impl Component ===

impl Component {
    /// The component of an entry of a section.
    pub(crate) fn new(section: Section, entry: &Entry) -> Result<Self, ConfigErrors> {
        let (key_position, node) = (entry.key_position.clone(), entry.value.clone());
        match entry.key.parse() {
            Ok(id) => Ok(Self { section, id, key_position, node }),
            Err(error) => {
                let problem = Problem::Mismatch {
                    expected: crate::values::ValueError::expected(&error).to_owned(),
                    found: format!("`{}`", entry.key),
                };
                Err(ConfigError::new(Some(key_position), section.name(), problem).into())
            }
        }
    }

    /// The section it is defined in.
    pub fn section(&self) -> Section {
        self.section
    }

    /// Its id.
    pub fn id(&self) -> &ComponentId {
        &self.id
    }

    /// Its dotted path, `receivers.postgresql/orders`.
    pub fn path(&self) -> String {
        format!("{}.{}", self.section, self.id)
    }

    /// Where its id stands.
    pub fn position(&self) -> &Position {
        &self.key_position
    }

    /// Its settings; null when there are none.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The same component with other settings.
    pub(crate) fn with_node(mut self, node: Node) -> Self {
        self.node = node;
        self
    }

    /// Reads its settings.
    ///
    /// # Errors
    /// Everything that is wrong, as far as it can be told apart.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, ConfigErrors> {
        self.read_noting(&mut Warnings::default())
    }

    /// Reads its settings and notes secrets that are written inline.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_noting<T: DeserializeOwned>(&self, warnings: &mut Warnings) -> Result<T, ConfigErrors> {
        read::read_noting(&self.node, &self.path(), Some(&self.key_position), warnings)
    }

    /// An error of the component's own validation. `field` is the dotted path below the component
    /// (`top_query.max_rows`), empty for the component as a whole. Texts that may be secret are taken out of
    /// the message.
    pub fn problem(&self, field: &str, message: impl Into<String>) -> ConfigError {
        let (position, path) = self.place(field);
        ConfigError::new(Some(position), path, Problem::Invalid(self.scrubbed(message.into())))
    }

    /// A warning of the component's own validation.
    pub fn warning(&self, field: &str, message: impl Into<String>) -> Warning {
        let (position, path) = self.place(field);
        Warning::new(Some(position), path, self.scrubbed(message.into()))
    }

    fn scrubbed(&self, message: String) -> String {
        read::scrubbed(message, &self.node, &Path::Root(""))
    }

    /// The place of a field, or of the nearest thing around it that is written.
    fn place(&self, field: &str) -> (Position, String) {
        let mut position = &self.key_position;
        let mut node = Some(&self.node);
        for segment in field.split('.').filter(|segment| !segment.is_empty()) {
            node = node.and_then(|node| node.at(segment));
            position = node.map_or(position, Node::position);
        }
        let path = if field.is_empty() { self.path() } else { format!("{}.{field}", self.path()) };
        (position.clone(), path)
    }
}
