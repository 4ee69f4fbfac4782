//! `dbintel doctor`: connects as the collector does, polls once, and says what works, what is missing, and what to run.
//! Nothing is sent to a backend, and nothing is changed anywhere.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use dbintel_admin::resources::ResourceMonitor;
use dbintel_config::values::ComponentId;
use dbintel_model::{Clock, SystemClock};
use dbintel_pipeline::overrides::Overrides;
use dbintel_pipeline::status::{ComponentKind, ComponentStatus};
use dbintel_pipeline::telemetry::Registry;

use super::wiring::{self, Wiring};
use crate::assembly::{Assembly, Checked, LanePlan};
use crate::commands::print;

/// How long the first polls may take, beside the initial delay of the receivers.
const FIRST_POLLS_TIMEOUT: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(100);
const STOP_DEADLINE: Duration = Duration::from_secs(5);

/// Says how each receiver gets on with its server; with `statements`, what it can send to it instead.
///
/// # Errors
/// If a server could not be read.
pub fn doctor(checked: Checked, statements: bool) -> anyhow::Result<()> {
    let runtime = super::runtime()?;
    let unwell = runtime.block_on(examine_all(checked.assembly, statements));
    runtime.shutdown_background();
    match unwell? {
        0 => Ok(()),
        count => anyhow::bail!("{count} of the servers could not be read; see above"),
    }
}

async fn examine_all(mut assembly: Assembly, statements: bool) -> anyhow::Result<usize> {
    assembly.exporters.clear();
    for lane in assembly.lanes.values_mut() {
        lane.sinks.clear();
        lane.chain.clear();
    }
    let mut unwell = 0;
    if statements {
        for (id, lane) in &assembly.lanes {
            unwell += usize::from(!list_statements(id, lane).await?);
        }
        return Ok(unwell);
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let registry = Registry::default();
    let monitor = ResourceMonitor::new(Arc::clone(&clock), None);
    let memory = wiring::memory_limits(&assembly.memory, &monitor).context("the memory limits")?;
    let overrides = Overrides::new(Arc::clone(&clock));
    let mut wiring = Wiring::new(clock, registry.clone(), &monitor, overrides);
    let advice = {
        let mut all = Vec::new();
        for lane in assembly.lanes.values() {
            all.push(lane.receiver.examine().await);
        }
        all
    };
    wiring.start(&assembly, memory.limits, &monitor);
    let ids: Vec<String> = assembly.lanes.keys().map(ToString::to_string).collect();
    let polled = async {
        let done = |(id, examined): (&String, &Result<_, _>)| has_polled(&registry, id, examined.is_ok());
        while !ids.iter().zip(&advice).all(done) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    // What did not come until then is missing, and the board says why.
    let _ = tokio::time::timeout(FIRST_POLLS_TIMEOUT, polled).await;
    let board = wiring.board();
    for (id, examined) in ids.iter().zip(advice) {
        let component = board.components().into_iter().find(|component| {
            component.kind == ComponentKind::Receiver && component.id.as_str() == id.as_str()
        });
        let mut text = format!("{id}\n");
        match &examined {
            Ok(examination) => line(&mut text, "ok", &format!("connected to {}", examination.server)),
            Err(error) => {
                unwell += 1;
                line(&mut text, "missing", &format!("no connection: {}", error.message));
            }
        }
        if let Some(component) = &component {
            write_poll(&mut text, &registry, id, component);
        }
        for advice in examined.into_iter().flat_map(|examination| examination.advice) {
            line(&mut text, "advice", &advice.what);
            if let Some(sql) = advice.sql {
                line(&mut text, "", &sql);
            }
        }
        print(&text)?;
    }
    wiring.stop(STOP_DEADLINE).await;
    Ok(unwell)
}

async fn list_statements(id: &ComponentId, lane: &LanePlan) -> anyhow::Result<bool> {
    match lane.receiver.examine().await {
        Ok(examination) => {
            let mut text = format!("-- {id}: every statement that can be sent to {}\n", examination.server);
            for template in examination.templates {
                let _ = writeln!(text, "\n-- {}", template.name);
                let notes =
                    template.when.map(|when| format!("only {when}")).into_iter().chain(template.varies);
                notes.for_each(|note| {
                    let _ = writeln!(text, "-- {note}");
                });
                let _ = writeln!(text, "{};", template.text);
            }
            print(&text)?;
            Ok(true)
        }
        Err(error) => {
            print(&format!("-- {id}: no connection: {}\n", error.message))?;
            Ok(false)
        }
    }
}

/// Every loop that polls has ended a poll; of a server that does not answer, no database is known.
fn has_polled(registry: &Registry, receiver: &str, reached: bool) -> bool {
    let polled = |name: &str| {
        let labels = [("receiver", receiver), ("loop", name)];
        registry.value("dbintel_polls_total", &labels).is_some_and(|polls| polls >= 1.0)
    };
    polled("server") && (!reached || polled("databases"))
}

/// What the first polls gave, what they lacked, and what they cost.
fn write_poll(text: &mut String, registry: &Registry, id: &str, component: &ComponentStatus) {
    let of_receiver = |name: &str| registry.value(name, &[("receiver", id)]).unwrap_or(0.0);
    let points = of_receiver("otelcol_receiver_accepted_metric_points");
    let statements = of_receiver("dbintel_statements_tracked");
    line(text, "ok", &format!("{points} metric points, {statements} statements in the first poll"));
    for (part, missing) in &component.missing {
        line(text, "missing", &format!("{part} ({}): {}", missing.reason, missing.detail));
    }
    let cost = |source: &str| -> f64 {
        let readings = registry.read();
        let of_time =
            readings.iter().filter(|reading| reading.metric.name == "dbintel_database_time_seconds_total");
        let of_source = of_time.flat_map(|reading| &reading.series).filter(|(labels, _)| {
            let has = |name: &str, value: &str| {
                labels.iter().any(|(key, held)| *key == name && held.as_str() == value)
            };
            has("receiver", id) && has("source", source)
        });
        of_source.map(|(_, value)| value).sum::<f64>().max(0.0) * 1000.0
    };
    let (measured, wall) = (cost("statement"), cost("wall"));
    line(
        text,
        "cost",
        &format!(
            "{measured:.1} ms as the database measured it, and {wall:.1} ms by our clock where it said nothing"
        ),
    );
}

fn line(text: &mut String, mark: &str, what: &str) {
    let _ = writeln!(text, "  {mark:<8} {what}");
}
