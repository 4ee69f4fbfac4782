//! Every maximum of this crate. Reaching one is an error that names the limit, never a truncation.

/// Bytes in one configuration file, and in one file named by `${file:…}`.
pub const FILE_BYTES_MAX: usize = 1024 * 1024;

/// Configuration files in one load.
pub const FILES_MAX: usize = 64;

/// `--set` arguments in one load.
pub const SETS_MAX: usize = 256;

/// Levels of lists and maps inside each other, counted after aliases are expanded.
pub const NESTING_DEPTH_MAX: usize = 64;

/// Keys in one map.
pub const KEYS_PER_MAP_MAX: usize = 4096;

/// Nodes copied by YAML aliases (`*name`) and merge keys (`<<`) in one file.
pub const ALIASED_NODES_MAX: usize = 10_000;

/// `${…}` references in one scalar, those in defaults included.
pub const SUBSTITUTIONS_PER_VALUE_MAX: usize = 100;

/// `${…}` references in one configuration. High, because an agent for a thousand databases has a
/// reference or more for each.
pub const SUBSTITUTIONS_MAX: usize = 10_000;

/// `${…}` inside the default of another `${…}`, and YAML files included from included files.
pub const SUBSTITUTION_DEPTH_MAX: usize = 16;

/// YAML files included with `${file:x.yaml}` in one configuration.
pub const INCLUDED_FILES_MAX: usize = 64;

/// Bytes of one scalar after substitution.
pub const SUBSTITUTED_BYTES_MAX: usize = 1024 * 1024;

/// Errors reported for one component; the reader stops looking for more.
pub const ERRORS_PER_COMPONENT_MAX: usize = 16;

/// Errors printed in one report; the number of the others is stated.
pub const ERRORS_SHOWN_MAX: usize = 100;

/// Valid keys listed in an unknown-key error. Longer lists are left to the documentation.
pub const KEYS_LISTED_MAX: usize = 12;

/// Characters of a value quoted in an error.
pub const QUOTED_CHARS_MAX: usize = 40;

/// Characters of the type part of a component id, as in the Collector.
pub const COMPONENT_TYPE_CHARS_MAX: usize = 63;

/// Characters of the name part of a component id.
pub const COMPONENT_NAME_CHARS_MAX: usize = 256;
