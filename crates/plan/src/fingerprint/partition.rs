//! Names of partitions. A plan does not say which table a partition belongs to, so its name has to tell.

use std::borrow::Cow;

/// Words at the end of a name that make it the partition for everything else.
const CATCH_ALL: [&str; 4] = ["_default", "_rest", "_other", "_null"];

/// Single letters that stand before a number in the names of partitions: part, year, quarter, month, week, day, hour.
const UNIT_LETTERS: &[u8] = b"pyqmwdh";

/// What is left of the name of a partition without what sets it apart from its siblings: numbers at the end with their
/// unit letters and separators, or a word for the rest. `orders_2026_05`, `orders_y2026m05`, `orders_p3` and
/// `orders_default` all give `orders`. A name without any such end is its own stem.
pub(super) fn stem(name: &str) -> &str {
    if let Some(stem) = CATCH_ALL.iter().find_map(|word| name.strip_suffix(word))
        && !stem.is_empty()
    {
        return stem;
    }
    let mut stem = name;
    while let Some(shorter) = without_number(stem) {
        stem = shorter;
    }
    stem
}

/// The name without the number at its end, the unit letter before that and the separators before both.
fn without_number(name: &str) -> Option<&str> {
    let before = name.trim_end_matches(|char: char| char.is_ascii_digit());
    if before.len() == name.len() {
        return None;
    }
    let unit_goes = |name: &str| {
        let [.., before, unit] = name.as_bytes() else { return false };
        UNIT_LETTERS.contains(unit) && (before.is_ascii_digit() || *before == b'_')
    };
    let before = if unit_goes(before) { before.get(..before.len() - 1).unwrap_or_default() } else { before };
    let before = before.trim_end_matches(['_', '-']);
    (!before.is_empty()).then_some(before)
}

/// The stem of the name, if what sets it apart looks like a date: only tables split by time are named so.
pub(super) fn stem_of_dated(name: &str) -> Option<&str> {
    let stem = stem(name);
    let end = name.get(stem.len()..)?.as_bytes();
    let year = |four: &[u8]| {
        matches!(four, [b'1', b'9', _, _] | [b'2', b'0', _, _]) && four.iter().all(u8::is_ascii_digit)
    };
    end.windows(4).any(year).then_some(stem)
}

/// An alias without the number that PostgreSQL appends to make it unique.
pub(super) fn alias_base(alias: &str) -> &str {
    let before = alias.trim_end_matches(|char: char| char.is_ascii_digit());
    match before.strip_suffix('_') {
        Some(base) if before.len() < alias.len() && !base.is_empty() => base,
        _ => alias,
    }
}

/// One name for relations that are taken to be the partitions of one table: their common stem, else the common first
/// word of their stems, else `*`.
pub(super) fn common_name<'a>(names: &[&'a str]) -> &'a str {
    let Some((first, rest)) = names.split_first() else { return "*" };
    let first = stem(first);
    if rest.iter().all(|name| stem(name) == first) {
        return first;
    }
    let word = |name: &'a str| name.split('_').next().unwrap_or_default();
    let first = word(first);
    if !first.is_empty() && rest.iter().all(|name| word(stem(name)) == first) { first } else { "*" }
}

/// The name of an index of a partition without what sets the partition apart.
pub(crate) fn index_name<'a>(index: &'a str, relation: &str, canonical: &str) -> Cow<'a, str> {
    if relation == canonical {
        return Cow::Borrowed(index);
    }
    if index.contains(relation) {
        return Cow::Owned(index.replacen(relation, canonical, 1));
    }
    // PostgreSQL shortens long names, and people have their own ways; numbers are what sets siblings apart.
    Cow::Owned(index.chars().filter(|char| !char.is_ascii_digit()).collect())
}

#[cfg(test)]
mod tests {
    use super::{alias_base, common_name, index_name, stem, stem_of_dated};

    #[test]
    fn stems() {
        let partitions = [
            "orders_2026_05",
            "orders_y2026m05",
            "orders_p3",
            "orders_default",
            "orders_20260501",
            "orders7",
        ];
        for name in partitions {
            assert_eq!(stem(name), "orders", "{name}");
        }
        for name in ["orders", "order_lines", "x", "2026", "_default", "_1"] {
            assert_eq!(stem(name), name);
        }
        assert_eq!(stem("map1"), "map");
    }

    #[test]
    fn only_dated_names_are_taken_for_partitions_by_themselves() {
        assert_eq!(stem_of_dated("orders_2026_05"), Some("orders"));
        assert_eq!(stem_of_dated("orders_p3"), None);
        assert_eq!(stem_of_dated("t1"), None);
        assert_eq!(stem_of_dated("orders"), None);
    }

    #[test]
    fn bases_of_aliases() {
        assert_eq!(alias_base("o_12"), "o");
        assert_eq!(alias_base("o"), "o");
        assert_eq!(alias_base("t1"), "t1");
        assert_eq!(alias_base("_1"), "_1");
    }

    #[test]
    fn common_names() {
        assert_eq!(common_name(&["orders_p1", "orders_p22", "orders_default"]), "orders");
        assert_eq!(common_name(&["orders_eu", "orders_us_east"]), "orders");
        assert_eq!(common_name(&["east", "west"]), "*");
    }

    #[test]
    fn names_of_indexes() {
        assert_eq!(index_name("orders_p1_at_idx", "orders_p1", "orders"), "orders_at_idx");
        assert_eq!(index_name("by_day_17", "orders_p1", "orders"), "by_day_");
        assert_eq!(index_name("orders_at_idx1", "orders", "orders"), "orders_at_idx1");
    }
}
