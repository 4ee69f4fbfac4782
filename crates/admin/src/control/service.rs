//! The service itself.

use std::sync::Arc;
use std::time::Duration;

use dbintel_model::Text;
use dbintel_pipeline::overrides::{Bypass, Circuit, Order, Override, OverrideError, Overrides, Position};
use tokio::sync::Mutex as AsyncMutex;
use tonic::{Request, Response, Status};

use super::{Controls, StateFile, convert};
use dbintel_proto::v1::control_server::Control;
use dbintel_proto::v1::{
    ClearBypassRequest, HoldCircuitRequest, ListCircuitsRequest, ListCircuitsResponse, ListOverridesRequest,
    ListOverridesResponse, OverrideResponse, ReleaseCircuitRequest, SetBypassRequest,
};

/// Clones are the same service.
#[derive(Clone)]
pub(super) struct ControlService {
    overrides: Overrides,
    controls: Arc<dyn Controls>,
    file: Option<Arc<StateFile>>,
    /// Held while the file is written.
    saving: Arc<AsyncMutex<()>>,
}

// === impl ControlService ===

impl ControlService {
    pub(super) fn new(
        overrides: Overrides,
        controls: Arc<dyn Controls>,
        file: Option<Arc<StateFile>>,
    ) -> Self {
        Self { overrides, controls, file, saving: Arc::default() }
    }

    /// Ends the overrides whose time is over. Says whether there were any, so that the file is to be written.
    pub(super) fn expire(&self) -> bool {
        let over = self.overrides.expire();
        for entry in &over {
            tracing::warn!(order = %entry.order, reason = %entry.reason, "override is over");
            if let Order::Hold(circuit) = &entry.order {
                self.controls.release(circuit);
            }
        }
        !over.is_empty()
    }

    /// Writes the state file, where nobody waits for what comes of it.
    pub(super) async fn save_and_tell(self) {
        if let Some(notice) = self.save().await {
            tracing::error!("{notice}");
        }
    }

    async fn set(&self, order: Order, reason: &str, lasts: Duration) -> Result<OverrideResponse, Status> {
        let entry = self.overrides.set(order, reason, lasts, false).map_err(|error| match error {
            OverrideError::TooMany => Status::resource_exhausted(error.to_string()),
            OverrideError::NoReason | OverrideError::LongReason(_) | OverrideError::Duration => {
                Status::invalid_argument(error.to_string())
            }
        })?;
        if let Order::Hold(circuit) = &entry.order
            && let Err(problem) = self.controls.hold(circuit, &entry.reason, lasts)
        {
            self.overrides.clear(&entry.order);
            return Err(Status::not_found(problem.to_string()));
        }
        tracing::warn!(order = %entry.order, reason = %entry.reason, until = %entry.until, "override is set");
        Ok(self.answer(&entry, true).await)
    }

    async fn clear(&self, order: &Order) -> Result<OverrideResponse, Status> {
        let Some(entry) = self.overrides.clear(order) else {
            return Err(Status::not_found("no such override is in force; `dbintel bypass list` shows all"));
        };
        if let Order::Hold(circuit) = &entry.order {
            self.controls.release(circuit);
        }
        tracing::warn!(order = %entry.order, reason = %entry.reason, "override is cleared");
        Ok(self.answer(&entry, false).await)
    }

    async fn answer(&self, entry: &Override, is_set: bool) -> OverrideResponse {
        let mut notices = Vec::from_iter(self.save().await);
        if is_set && self.file.is_none() {
            let notice = "a restart of the collector ends it: set extensions.control.state_directory to keep overrides";
            notices.push(notice.to_owned());
        }
        OverrideResponse { entry: Some(convert::of_override(entry)), notices }
    }

    /// Writes the state file; says if that failed. A disk that hangs holds up who waits for it and nobody else: health is answered by the
    /// same thread.
    async fn save(&self) -> Option<String> {
        let file = Arc::clone(self.file.as_ref()?);
        // One after the other, also when who asked has gone meanwhile, and each with what is in force by then.
        let turn = Arc::clone(&self.saving).lock_owned().await;
        let entries: Vec<Override> = self.overrides.list().into_iter().map(|(entry, _)| entry).collect();
        let saved = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            file.save(&entries)
        });
        let error = saved.await.unwrap_or_else(|error| Err(std::io::Error::other(error))).err()?;
        Some(format!("overrides could not be kept for a restart: {error}"))
    }
}

/// What is off, by its name; with a reason why there is no such thing.
fn bypass(text: &str) -> Result<Bypass, Status> {
    text.parse().map_err(|error: dbintel_pipeline::overrides::UnknownBypass| {
        Status::invalid_argument(error.to_string())
    })
}

fn held(receiver: Text, scope: dbintel_pipeline::overrides::Scope, position: Position) -> Order {
    Order::Hold(Circuit { receiver, scope, position })
}

#[tonic::async_trait]
impl Control for ControlService {
    async fn list_circuits(
        &self,
        _request: Request<ListCircuitsRequest>,
    ) -> Result<Response<ListCircuitsResponse>, Status> {
        let overrides = self.overrides.list();
        let circuits = self.controls.circuits();
        let circuits = circuits.iter().map(|view| convert::of_circuit(view, &overrides)).collect();
        Ok(Response::new(ListCircuitsResponse { circuits }))
    }

    async fn hold_circuit(
        &self,
        request: Request<HoldCircuitRequest>,
    ) -> Result<Response<OverrideResponse>, Status> {
        let request = request.into_inner();
        let (receiver, scope) = convert::scope(request.scope)?;
        let order = held(receiver, scope, convert::position(request.position)?);
        self.set(order, &request.reason, Duration::from_secs(request.for_seconds)).await.map(Response::new)
    }

    async fn release_circuit(
        &self,
        request: Request<ReleaseCircuitRequest>,
    ) -> Result<Response<OverrideResponse>, Status> {
        let (receiver, scope) = convert::scope(request.into_inner().scope)?;
        self.clear(&held(receiver, scope, Position::Open)).await.map(Response::new)
    }

    async fn list_overrides(
        &self,
        _request: Request<ListOverridesRequest>,
    ) -> Result<Response<ListOverridesResponse>, Status> {
        let list = self.overrides.list();
        let overrides = list.iter().map(|(entry, _)| convert::of_override(entry)).collect();
        Ok(Response::new(ListOverridesResponse { overrides }))
    }

    async fn set_bypass(
        &self,
        request: Request<SetBypassRequest>,
    ) -> Result<Response<OverrideResponse>, Status> {
        let request = request.into_inner();
        let bypass = bypass(&request.bypass)?;
        self.controls.check(&bypass).map_err(|problem| Status::failed_precondition(problem.to_string()))?;
        let lasts = Duration::from_secs(request.for_seconds);
        self.set(Order::Bypass(bypass), &request.reason, lasts).await.map(Response::new)
    }

    async fn clear_bypass(
        &self,
        request: Request<ClearBypassRequest>,
    ) -> Result<Response<OverrideResponse>, Status> {
        let bypass = bypass(&request.into_inner().bypass)?;
        self.clear(&Order::Bypass(bypass)).await.map(Response::new)
    }
}
