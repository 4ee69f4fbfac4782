//! What zPages show about build, configuration and wiring.

use dbintel_admin::pages::{
    ExporterLink, LaneAsker, PageSource, PipelineView, ServiceView, redact_command_line,
};
use dbintel_config::Warnings;
use dbintel_model::Text;
use dbintel_pipeline::Signals;

pub use dbintel_admin::pages::lane_questions;

use crate::assembly::{Assembly, LanePlan};
use crate::cli::Sources;
use crate::components::ProcessorPlan;

/// Written down once, when everything was assembled.
pub struct Pages {
    service: ServiceView,
    pipelines: Vec<PipelineView>,
    asker: LaneAsker,
}

impl Pages {
    pub fn new(assembly: &Assembly, sources: &Sources, warnings: &Warnings, asker: LaneAsker) -> Self {
        let texts = |items: &mut dyn Iterator<Item = String>| items.map(Text::from).collect::<Vec<_>>();
        let service = ServiceView {
            build: vec![
                ("version".into(), env!("CARGO_PKG_VERSION").into()),
                ("profile".into(), if cfg!(debug_assertions) { "debug" } else { "release" }.into()),
            ],
            command_line: redact_command_line(std::env::args()).into_iter().map(Text::from).collect(),
            config_files: texts(&mut sources.config.iter().map(|file| file.display().to_string())),
            environment: assembly.environment.clone().map(Text::from),
            warnings: texts(&mut warnings.iter().map(ToString::to_string)),
        };
        let pipelines =
            assembly.lanes.iter().map(|(id, lane)| view(assembly, id.to_string().into(), lane)).collect();
        Self { service, pipelines, asker }
    }
}

impl PageSource for Pages {
    fn service(&self) -> ServiceView {
        self.service.clone()
    }

    fn pipelines(&self) -> Vec<PipelineView> {
        self.pipelines.clone()
    }

    fn lanes(&self) -> Option<LaneAsker> {
        Some(self.asker.clone())
    }
}

fn view(assembly: &Assembly, receiver: Text, lane: &LanePlan) -> PipelineView {
    let server = lane.receiver.server(receiver.clone(), &assembly.resource);
    let link = |(id, signals): (&dbintel_config::values::ComponentId, &Signals)| ExporterLink {
        id: id.to_string().into(),
        signals: names(*signals).into(),
    };
    PipelineView {
        receiver,
        server: server.to_string().into(),
        system: server.system.clone(),
        pipelines: lane.pipelines.iter().map(|id| id.to_string().into()).collect(),
        processors: lane.chain.iter().map(|(id, _)| id.to_string().into()).collect(),
        acceleration: lane.chain.iter().find_map(|(_, plan)| acceleration(plan)),
        exporters: lane.sinks.iter().map(link).collect(),
    }
}

fn acceleration(plan: &ProcessorPlan) -> Option<f64> {
    let ProcessorPlan::RegressionVerifier(config) = plan else { return None };
    config.is_accelerated().then(|| config.settings().acceleration)
}

fn names(signals: Signals) -> String {
    let all = [(signals.metrics, "metrics"), (signals.logs, "logs"), (signals.traces, "traces")];
    all.iter().filter(|(carried, _)| *carried).map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
}
