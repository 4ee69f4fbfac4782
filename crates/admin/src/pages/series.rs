//! The self-metrics of one moment, found by metric and component.

use std::collections::HashMap;

use dbintel_model::Text;
use dbintel_pipeline::telemetry::{Registry, SeriesLabels};

/// Labels that say which component a series belongs to, in the order they are looked for.
const COMPONENT_LABELS: [&str; 3] = ["receiver", "exporter", "endpoint"];

/// All self-metrics, read once, so that a page of many components does not read them for each.
#[derive(Debug, Default)]
pub(crate) struct SeriesIndex(HashMap<&'static str, HashMap<Text, Vec<Sample>>>);

/// One series and its value.
#[derive(Debug)]
pub(crate) struct Sample {
    labels: SeriesLabels,
    pub(crate) value: f64,
}

// === impl SeriesIndex ===

impl SeriesIndex {
    pub(crate) fn of(registry: &Registry) -> Self {
        let mut index: HashMap<_, HashMap<Text, Vec<Sample>>> = HashMap::new();
        for reading in registry.read() {
            let of_metric = index.entry(reading.metric.name).or_default();
            for (labels, value) in reading.series {
                let sample = Sample { labels, value };
                let component = sample.component();
                of_metric.entry(component).or_default().push(sample);
            }
        }
        Self(index)
    }

    /// The series of a metric that belong to a component.
    pub(crate) fn samples(&self, metric: &str, component: &str) -> &[Sample] {
        let of_metric = self.0.get(metric);
        of_metric.and_then(|of_metric| of_metric.get(component)).map_or(&[], Vec::as_slice)
    }

    /// Their sum; `None` where there are none.
    pub(crate) fn sum(&self, metric: &str, component: &str) -> Option<f64> {
        let samples = self.samples(metric, component);
        (!samples.is_empty()).then(|| samples.iter().map(|sample| sample.value).sum())
    }
}

// === impl Sample ===

impl Sample {
    /// The value of a label.
    pub(crate) fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(label, _)| *label == name).map(|(_, value)| value.as_str())
    }

    fn component(&self) -> Text {
        let of =
            |name: &&str| self.labels.iter().find(|(label, _)| label == name).map(|(_, value)| value.clone());
        COMPONENT_LABELS.iter().find_map(of).unwrap_or_default()
    }
}
