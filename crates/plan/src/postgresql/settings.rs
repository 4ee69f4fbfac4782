//! Which settings may be shown with their values.

/// The longest value of a setting that is shown.
const MAX_VALUE_BYTES: usize = 40;

/// The settings that PostgreSQL 12 to 18 list beside a plan because they have a part in planning, and whose values are
/// numbers, units or words of the server. `search_path` is not among them: its value is written by people.
const HARMLESS: &[&str] = &[
    "constraint_exclusion",
    "cpu_index_tuple_cost",
    "cpu_operator_cost",
    "cpu_tuple_cost",
    "cursor_tuple_fraction",
    "debug_parallel_query",
    "default_statistics_target",
    "effective_cache_size",
    "effective_io_concurrency",
    "enable_async_append",
    "enable_bitmapscan",
    "enable_distinct_reordering",
    "enable_gathermerge",
    "enable_group_by_reordering",
    "enable_hashagg",
    "enable_hashjoin",
    "enable_incremental_sort",
    "enable_indexonlyscan",
    "enable_indexscan",
    "enable_material",
    "enable_memoize",
    "enable_mergejoin",
    "enable_nestloop",
    "enable_parallel_append",
    "enable_parallel_hash",
    "enable_partition_pruning",
    "enable_partitionwise_aggregate",
    "enable_partitionwise_join",
    "enable_presorted_aggregate",
    "enable_self_join_elimination",
    "enable_seqscan",
    "enable_sort",
    "enable_tidscan",
    "force_parallel_mode",
    "from_collapse_limit",
    "geqo",
    "geqo_effort",
    "geqo_generations",
    "geqo_pool_size",
    "geqo_seed",
    "geqo_selection_bias",
    "geqo_threshold",
    "hash_mem_multiplier",
    "io_combine_limit",
    "io_max_combine_limit",
    "io_workers",
    "jit",
    "jit_above_cost",
    "jit_inline_above_cost",
    "jit_optimize_above_cost",
    "join_collapse_limit",
    "logical_decoding_work_mem",
    "maintenance_io_concurrency",
    "max_parallel_maintenance_workers",
    "max_parallel_workers",
    "max_parallel_workers_per_gather",
    "min_parallel_index_scan_size",
    "min_parallel_table_scan_size",
    "parallel_leader_participation",
    "parallel_setup_cost",
    "parallel_tuple_cost",
    "plan_cache_mode",
    "random_page_cost",
    "recursive_worktable_factor",
    "seq_page_cost",
    "temp_buffers",
    "work_mem",
];

/// What a setting is to redaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Showing {
    /// Name and value.
    Whole,
    /// The name only.
    Name,
    /// Nothing.
    Nothing,
}

/// The words that are values of these settings.
const WORDS: &[&str] =
    &["on", "off", "auto", "partition", "regress", "force_generic_plan", "force_custom_plan"];

/// The units of values.
const UNITS: &[&str] = &["", "B", "kB", "MB", "GB", "TB", "us", "ms", "s", "min", "h", "d"];

/// Whether a value is a number with a unit or without.
fn is_quantity(value: &str) -> bool {
    let unit =
        value.trim_start_matches(|char: char| char.is_ascii_digit() || matches!(char, '.' | '-' | '+'));
    let unit = unit.strip_prefix('e').map_or(unit, |power| {
        power.trim_start_matches(|char: char| char.is_ascii_digit() || matches!(char, '-' | '+'))
    });
    value.len() <= MAX_VALUE_BYTES
        && value.starts_with(|char: char| char.is_ascii_digit() || char == '-')
        && UNITS.contains(&unit)
}

/// How much of a setting may be shown.
pub(super) fn showing(name: &str, value: &str) -> Showing {
    let harmless = HARMLESS.binary_search(&name).is_ok();
    match (harmless, name) {
        (true, _) if WORDS.contains(&value) || is_quantity(value) => Showing::Whole,
        (true, _) | (false, "search_path") => Showing::Name,
        _ => Showing::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::{HARMLESS, Showing, showing};

    #[test]
    fn the_list_is_in_order() {
        assert!(HARMLESS.is_sorted());
    }

    #[test]
    fn only_plain_values_of_known_settings_are_shown() {
        for value in ["on", "1.5", "-1", "1e+10", "1.5e-05", "8kB"] {
            assert_eq!(showing("jit_above_cost", value), Showing::Whole, "{value}");
        }
        for value in ["", "kB", "bob", "1bob", "e5"] {
            assert_eq!(showing("jit_above_cost", value), Showing::Name, "{value}");
        }
        assert_eq!(showing("work_mem", "64MB"), Showing::Whole);
        assert_eq!(showing("work_mem", "it is bob's"), Showing::Name);
        assert_eq!(showing("search_path", "tenant_of_bob"), Showing::Name);
        assert_eq!(showing("my.secret", "on"), Showing::Nothing);
    }
}
