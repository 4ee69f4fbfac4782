//! Exporters.

use dbintel_exporters::{debug, file, otlp, prometheus};
use dbintel_pipeline::{Exporter, Signals};

use super::{Factory, settled};

/// Every exporter.
pub const EXPORTERS: &[Factory<ExporterPlan>] = &[
    Factory {
        kind: "otlp",
        aliases: &["otlp_grpc"],
        description: "Ships OTLP over gRPC.",
        schema: || schemars::schema_for!(otlp::OtlpSettings),
        prepare: |component, warnings| {
            let settings = component.read_noting(warnings)?;
            settled(component, warnings, otlp::validate(&settings))
                .map(|config| ExporterPlan::Otlp(Box::new(config)))
        },
    },
    Factory {
        kind: "otlphttp",
        aliases: &["otlp_http"],
        description: "Ships OTLP over HTTP, protobuf or JSON.",
        schema: || schemars::schema_for!(otlp::OtlpHttpSettings),
        prepare: |component, warnings| {
            let settings = component.read_noting(warnings)?;
            settled(component, warnings, otlp::validate_http(&settings))
                .map(|config| ExporterPlan::Otlp(Box::new(config)))
        },
    },
    Factory {
        kind: "prometheus",
        aliases: &[],
        description: "Serves the metrics of the databases for Prometheus to scrape.",
        schema: || schemars::schema_for!(prometheus::Settings),
        prepare: |component, warnings| {
            let settings = component.read_noting(warnings)?;
            settled(component, warnings, prometheus::validate(&settings)).map(ExporterPlan::Prometheus)
        },
    },
    Factory {
        kind: "file",
        aliases: &[],
        description: "Writes OTLP/JSON lines to a file.",
        schema: || schemars::schema_for!(file::Settings),
        prepare: |component, warnings| {
            let settings = component.read_noting(warnings)?;
            settled(component, warnings, file::validate(&settings)).map(ExporterPlan::File)
        },
    },
    Factory {
        kind: "debug",
        aliases: &[],
        description: "Writes what passes to the log, for people to read.",
        schema: || schemars::schema_for!(debug::Settings),
        prepare: |component, warnings| {
            let settings = component.read_noting(warnings)?;
            settled(component, warnings, debug::validate(&settings)).map(ExporterPlan::Debug)
        },
    },
];

/// An exporter that can be built.
#[derive(Clone, Debug, PartialEq)]
pub enum ExporterPlan {
    /// OTLP, by gRPC or HTTP.
    Otlp(Box<otlp::OtlpConfig>),
    /// A scrape endpoint.
    Prometheus(prometheus::Config),
    /// A file.
    File(file::Config),
    /// The log.
    Debug(debug::Config),
}

impl ExporterPlan {
    /// The signals it can take.
    pub const fn signals(&self) -> Signals {
        match self {
            Self::Otlp(_) => otlp::SIGNALS,
            Self::Prometheus(_) => prometheus::SIGNALS,
            Self::File(_) => file::SIGNALS,
            Self::Debug(_) => debug::SIGNALS,
        }
    }

    /// What builds it, now and after every failure. Requests that wait for a backend outlive the exporter that made
    /// them.
    pub fn builder(self) -> Box<dyn FnMut() -> Box<dyn Exporter> + Send> {
        match self {
            Self::Otlp(config) => {
                let queues = otlp::Queues::in_memory(&config);
                Box::new(move || Box::new(otlp::OtlpExporter::with_queues((*config).clone(), queues.clone())))
            }
            Self::Prometheus(config) => {
                Box::new(move || Box::new(prometheus::PrometheusExporter::new(config.clone())))
            }
            Self::File(config) => {
                let exporter = file::FileExporter::new(config);
                Box::new(move || Box::new(exporter.clone()))
            }
            Self::Debug(config) => Box::new(move || Box::new(debug::DebugExporter::new(config.clone()))),
        }
    }
}
