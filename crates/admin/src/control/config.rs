//! `extensions.control`.

use std::path::PathBuf;

use dbintel_config::values::{Endpoint, Secret};
use schemars::JsonSchema;
use serde::Deserialize;

use super::socket::MAX_SOCKET_PATH_BYTES;
use crate::config::{Listen, SettingsError};

/// Bytes of a token at least.
const MIN_TOKEN_BYTES: usize = 16;

/// `extensions.control` as written.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ControlSettings {
    /// Whether the collector can be controlled while it runs. Default: true.
    pub enabled: bool,
    /// Path of the Unix socket, which only the collector's user can open. Default: `control.sock` in
    /// `$XDG_RUNTIME_DIR/dbintel`, in `/run/dbintel` if there is such a directory, or in a directory of the user's own in
    /// `/tmp`.
    pub socket: Option<PathBuf>,
    /// Host and port, to be controlled over TCP as well; needs `token`. The connection is not encrypted.
    pub endpoint: Option<Endpoint>,
    /// What a caller over TCP has to know: at least 16 bytes, from a file or the environment.
    pub token: Option<Secret>,
    /// Directory in which overrides are kept over a restart, in the file `overrides.json`. Default: none, a restart ends
    /// them.
    pub state_directory: Option<PathBuf>,
}

/// Control, validated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlConfig {
    /// Whether there is any.
    pub enabled: bool,
    /// Path of the socket, if not the default.
    pub socket: Option<PathBuf>,
    /// Where else.
    pub tcp: Option<ControlTcp>,
    /// Where overrides are kept.
    pub state_directory: Option<PathBuf>,
}

/// Control over TCP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlTcp {
    /// Where to listen.
    pub listen: Listen,
    /// What a caller has to know.
    pub token: Secret,
}

// === impl ControlSettings ===

impl Default for ControlSettings {
    fn default() -> Self {
        Self { enabled: true, socket: None, endpoint: None, token: None, state_directory: None }
    }
}

impl ControlSettings {
    /// Checks the settings. Paths of errors are relative to `extensions.control`.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn validate(&self) -> Result<ControlConfig, Vec<SettingsError>> {
        let mut errors = Vec::new();
        let mut refuse = |path: &str, expected| errors.push(SettingsError::invalid(path, expected));
        if let Some(socket) = &self.socket
            && (!socket.is_absolute() || socket.as_os_str().len() > MAX_SOCKET_PATH_BYTES)
        {
            refuse("socket", "an absolute path of at most 100 bytes");
        }
        if self.state_directory.as_ref().is_some_and(|path| !path.is_absolute()) {
            refuse("state_directory", "an absolute path");
        }
        let token = self.token.as_ref().filter(|token| token.expose().len() >= MIN_TOKEN_BYTES);
        let tcp = match (&self.endpoint, token) {
            (Some(Endpoint::Tcp { host, port }), Some(token)) => {
                Some(ControlTcp { listen: Listen::new(host.clone(), *port), token: token.clone() })
            }
            (Some(Endpoint::Unix(_)), _) => {
                refuse("endpoint", "host:port, such as 127.0.0.1:13134; a Unix socket is set by `socket`");
                None
            }
            (Some(_), None) => {
                refuse("token", "a token of at least 16 bytes, since endpoint is set");
                None
            }
            (None, _) if self.token.is_some() => {
                refuse("token", "no token without endpoint: the Unix socket needs none");
                None
            }
            (None, _) => None,
        };
        let (enabled, socket) = (self.enabled, self.socket.clone());
        let config = ControlConfig { enabled, socket, tcp, state_directory: self.state_directory.clone() };
        if errors.is_empty() { Ok(config) } else { Err(errors) }
    }
}

// === impl ControlConfig ===

impl Default for ControlConfig {
    fn default() -> Self {
        Self { enabled: true, socket: None, tcp: None, state_directory: None }
    }
}
