//! What can be wrong with settings, and the answer to those of the Collector that are not supported.

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct SettingsError {
    /// Dotted path of the setting, relative to the component.
    pub path: String,
    /// What is wrong with it.
    pub problem: SettingsProblem,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsProblem {
    /// A setting of the Collector that dbintel does not have.
    #[error("the OpenTelemetry Collector has this setting, dbintel does not: {instead}")]
    Unsupported {
        /// What to do instead.
        instead: &'static str,
    },
    /// A value that cannot be.
    #[error("expected {expected}")]
    Invalid {
        /// What belongs there.
        expected: &'static str,
    },
}

// === impl SettingsError ===

impl SettingsError {
    pub(crate) fn invalid(path: impl Into<String>, expected: &'static str) -> Self {
        Self { path: path.into(), problem: SettingsProblem::Invalid { expected } }
    }

    pub(super) fn unsupported(path: impl Into<String>, instead: &'static str) -> Self {
        Self { path: path.into(), problem: SettingsProblem::Unsupported { instead } }
    }
}

/// `a.b`, or `b` where `a` is empty.
pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// Defines a settings struct with further fields that are read, whatever they hold, and answered by name.
macro_rules! with_unsupported {
    (
        $(#[$attribute:meta])*
        pub struct $name:ident { $($(#[$field_attribute:meta])* pub $field:ident: $type:ty,)* }
        unsupported { $($key:ident => $instead:literal,)* }
    ) => {
        $(#[$attribute])*
        pub struct $name {
            $($(#[$field_attribute])* pub $field: $type,)*
            $(
                #[doc = "A setting of the Collector that is answered by name."]
                #[schemars(skip)]
                pub $key: Option<serde::de::IgnoredAny>,
            )*
        }

        impl $name {
            fn refuse_unsupported(&self, path: &str, errors: &mut Vec<$crate::config::SettingsError>) {
                $(
                    if self.$key.is_some() {
                        let path = $crate::config::problem::join(path, stringify!($key));
                        errors.push($crate::config::SettingsError::unsupported(path, $instead));
                    }
                )*
            }
        }
    };
}

pub(super) use with_unsupported;
