//! Reading the collector's own metrics page.

use std::collections::BTreeMap;

/// A scraped page of Prometheus text.
#[derive(Clone, Debug)]
pub struct Page(String);

impl Page {
    /// The page as it came.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// Sum of all series of this name whose labels contain every one of `labels`, written as `name="value"`. 0 where
    /// there is none: counters appear with their first event.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        self.values(name, labels).fold(0.0, |sum, value| sum + value)
    }

    /// The largest of them; 0 where there is none.
    #[must_use]
    pub fn max(&self, name: &str, labels: &[&str]) -> f64 {
        self.values(name, labels).fold(0.0, f64::max)
    }

    /// Sums of the series of this name, by the value of one label; series without it are left out.
    #[must_use]
    pub fn by(&self, name: &str, label: &str, labels: &[&str]) -> BTreeMap<String, f64> {
        let mut sums = BTreeMap::new();
        let begin = format!("{label}=\"");
        for (held, value) in self.series(name, labels) {
            let rest = held.split(',').find_map(|pair| pair.trim_end_matches('}').strip_prefix(&begin));
            if let Some(found) = rest.and_then(|rest| rest.strip_suffix('"')) {
                *sums.entry(found.to_owned()).or_default() += value;
            }
        }
        sums
    }

    fn values<'a>(&'a self, name: &'a str, labels: &'a [&str]) -> impl Iterator<Item = f64> + 'a {
        self.series(name, labels).map(|(_, value)| value)
    }

    /// Labels and value of each series of this name.
    fn series<'a>(&'a self, name: &'a str, labels: &'a [&str]) -> impl Iterator<Item = (&'a str, f64)> + 'a {
        self.0.lines().filter_map(move |line| {
            let (series, value) = line.rsplit_once(' ')?;
            let (found, held) = series.split_once('{').unwrap_or((series, ""));
            let wanted = found.trim_end_matches("_total") == name.trim_end_matches("_total");
            let matches = wanted && labels.iter().all(|label| held.contains(label));
            Some((held, value.parse().ok().filter(|_| matches)?))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_found_by_name_and_labels() {
        let text = "# TYPE a counter\na_total{x=\"1\",y=\"2\"} 3\na_total{x=\"2\"} 4\nab_total 5\nc 1.5\n";
        let page = Page::new(text.to_owned());
        assert_eq!(page.sum("a", &[]), 7.0);
        assert_eq!(page.sum("a_total", &["x=\"1\""]), 3.0);
        assert_eq!(page.max("a", &[]), 4.0);
        let by_x = page.by("a", "x", &[]);
        assert_eq!(by_x.into_iter().collect::<Vec<_>>(), [("1".to_owned(), 3.0), ("2".to_owned(), 4.0)]);
        assert_eq!((page.sum("c", &[]), page.sum("d", &[])), (1.5, 0.0));
    }
}
