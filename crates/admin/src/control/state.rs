//! The file that keeps overrides over a restart.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use dbintel_model::Timestamp;
use dbintel_pipeline::overrides::{Bypass, Circuit, MAX_REASON_BYTES, Order, Override, Position, Scope};
use serde::{Deserialize, Serialize};

/// Name of the file in the state directory.
pub const STATE_FILE: &str = "overrides.json";
/// Bytes of the file that are read at most: 64 overrides with reasons of 500 bytes have room many times over.
pub const MAX_STATE_BYTES: u64 = 1 << 20;
/// What a file that could not be read is renamed to.
const DAMAGED: &str = "overrides.json.damaged";
const VERSION: u32 = 1;

/// The file. Replaced as a whole: written beside, flushed to disk, renamed.
#[derive(Clone, Debug)]
pub struct StateFile {
    directory: PathBuf,
}

/// Why overrides of before the restart are not in force.
#[derive(Debug, thiserror::Error)]
pub enum StateFileError {
    /// The file cannot be read.
    #[error("{}: {source}; overrides of before the restart are not in force", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is not what we wrote.
    #[error("{}: {reason}; it was renamed to {DAMAGED}, and overrides of before the restart are not in force", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    overrides: Vec<Kept>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    #[serde(flatten)]
    order: KeptOrder,
    reason: String,
    set_at_unix_nano: u64,
    until_unix_nano: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum KeptOrder {
    Bypass(String),
    Hold { receiver: String, scope: KeptScope, open: bool },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum KeptScope {
    Server,
    Database(Option<String>),
    Feature(Option<String>, String),
}

// === impl StateFile ===

impl StateFile {
    /// In this directory, which must exist.
    #[must_use]
    pub fn in_directory(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// Overrides of before the restart; none if there is no file.
    ///
    /// # Errors
    /// [`StateFileError`]; a damaged file is out of the way then.
    pub fn load(&self) -> Result<Vec<Override>, StateFileError> {
        let path = self.directory.join(STATE_FILE);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(StateFileError::Unreadable { path, source }),
        };
        let mut bytes = Vec::new();
        if let Err(source) = file.take(MAX_STATE_BYTES + 1).read_to_end(&mut bytes) {
            return Err(StateFileError::Unreadable { path, source });
        }
        parse(&bytes).map_err(|reason| {
            // If it cannot be renamed it is overwritten with the next override; the error is told either way.
            let _ = fs::rename(&path, self.directory.join(DAMAGED));
            StateFileError::Damaged { path, reason }
        })
    }

    /// Replaces the file. Overrides of the command line are not kept: the command line has them.
    ///
    /// # Errors
    /// What the system says, with the file; the old one is in place then.
    pub fn save(&self, overrides: &[Override]) -> io::Result<()> {
        let kept = overrides.iter().filter(|entry| !entry.startup);
        let document = Document { version: VERSION, overrides: kept.map(Kept::of).collect() };
        let bytes = serde_json::to_vec_pretty(&document).map_err(io::Error::other)?;
        let (path, beside) = (self.directory.join(STATE_FILE), self.directory.join("overrides.json.new"));
        let in_file = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let write = || {
            let mut file = File::create(&beside)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            fs::rename(&beside, &path)?;
            File::open(&self.directory)?.sync_all()
        };
        write().map_err(in_file)
    }
}

fn parse(bytes: &[u8]) -> Result<Vec<Override>, String> {
    if bytes.len() as u64 > MAX_STATE_BYTES {
        return Err(format!("it has more than {MAX_STATE_BYTES} bytes"));
    }
    let document: Document = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if document.version != VERSION {
        return Err(format!("it is of version {}, this program knows {VERSION}", document.version));
    }
    document.overrides.into_iter().map(Kept::into_override).collect()
}

// === impl Kept ===

impl Kept {
    fn of(entry: &Override) -> Self {
        let order = match &entry.order {
            Order::Bypass(bypass) => KeptOrder::Bypass(bypass.to_string()),
            Order::Hold(circuit) => KeptOrder::Hold {
                receiver: circuit.receiver.to_string(),
                scope: KeptScope::of(&circuit.scope),
                open: circuit.position == Position::Open,
            },
        };
        Self {
            order,
            reason: entry.reason.to_string(),
            set_at_unix_nano: entry.set_at.as_nanos(),
            until_unix_nano: entry.until.as_nanos(),
        }
    }

    fn into_override(self) -> Result<Override, String> {
        if self.reason.len() > MAX_REASON_BYTES {
            return Err("a reason is too long".to_owned());
        }
        let order = match self.order {
            KeptOrder::Bypass(text) => {
                Order::Bypass(text.parse::<Bypass>().map_err(|error| error.to_string())?)
            }
            KeptOrder::Hold { receiver, scope, open } => Order::Hold(Circuit {
                receiver: receiver.into(),
                scope: scope.into_scope(),
                position: if open { Position::Open } else { Position::Closed },
            }),
        };
        Ok(Override {
            order,
            startup: false,
            reason: self.reason.into(),
            set_at: Timestamp::from_nanos(self.set_at_unix_nano),
            until: Timestamp::from_nanos(self.until_unix_nano),
        })
    }
}

// === impl KeptScope ===

impl KeptScope {
    fn of(scope: &Scope) -> Self {
        let name = |name: &Option<dbintel_model::Text>| name.as_ref().map(ToString::to_string);
        match scope {
            Scope::Server => Self::Server,
            Scope::Database(database) => Self::Database(name(database)),
            Scope::Feature(database, feature) => Self::Feature(name(database), feature.to_string()),
        }
    }

    fn into_scope(self) -> Scope {
        match self {
            Self::Server => Scope::Server,
            Self::Database(database) => Scope::Database(database.map(Into::into)),
            Self::Feature(database, feature) => Scope::Feature(database.map(Into::into), feature.into()),
        }
    }
}
