//! `/debug/extensionz`: the admin endpoints, and what was turned away at them.

use std::net::SocketAddr;

use dbintel_pipeline::status::ComponentKind;

use super::format;
use super::html::{Cell, LINKS, Page, Tone};
use super::series::SeriesIndex;
use super::servicez;
use crate::AdminContext;
use crate::server::{
    AdminAddresses, CONNECTION_TIME_MAX, CONNECTIONS_MAX, HEADER_BYTES_MAX, HEADER_TIME_MAX, REQUEST_TIME_MAX,
};

pub(super) fn page(addresses: AdminAddresses, cx: &AdminContext) -> String {
    let subtitle = "What dbintel serves to operators. Nothing here changes anything.";
    let mut page = Page::begin(cx, "extensionz", "Extensions", subtitle);
    let pages = LINKS.map(|(name, _)| format!("/debug/{name}")).join(" ");
    let endpoints = [
        ("health_check", addresses.health, "/ /health /health/live /health/ready"),
        ("metrics", addresses.metrics, "/metrics"),
        ("zpages", addresses.zpages, pages.as_str()),
    ];
    let series = SeriesIndex::of(&cx.registry);
    page.section("Endpoints");
    page.table(
        ["endpoint", "address", "reachable from", "paths", "#turned away"],
        endpoints.map(|(name, address, paths)| endpoint(name, address, paths, &series)),
    );
    components(&mut page, cx);
    page.section("Bounds of each endpoint");
    page.facts([
        fact("connections at once", CONNECTIONS_MAX.to_string()),
        fact("bytes of a request's headers", HEADER_BYTES_MAX.to_string()),
        fact("time for the headers to arrive", format::span(HEADER_TIME_MAX)),
        fact("time for an answer", format::span(REQUEST_TIME_MAX)),
        fact("time for a connection", format::span(CONNECTION_TIME_MAX)),
    ]);
    page.finish()
}

fn fact(name: &str, value: String) -> (String, Cell) {
    (name.to_owned(), Cell::text(value))
}

fn endpoint(name: &str, address: Option<SocketAddr>, paths: &str, series: &SeriesIndex) -> [Cell; 5] {
    let Some(address) = address else {
        let off = || Cell::text("");
        return [Cell::text(name), Cell::text("off"), off(), off(), off().numeric()];
    };
    let from = if address.ip().is_loopback() {
        Cell::text("this machine only")
    } else {
        Cell::toned(Tone::Warn, "the network, without a password")
    };
    let refused = series.samples("dbintel_admin_refused_total", name);
    let reasons = refused.iter().map(|sample| {
        let reason = sample.label("reason").unwrap_or_default();
        format!("{} {reason}", format::count(sample.value))
    });
    let refused = reasons.collect::<Vec<_>>().join(", ");
    [
        Cell::text(name),
        Cell::text(address.to_string()),
        from,
        Cell::text(paths),
        Cell::number(if refused.is_empty() { "0" } else { &refused }),
    ]
}

fn components(page: &mut Page, cx: &AdminContext) {
    page.section("State");
    let (now, components) = (cx.clock.now(), cx.board.components());
    let extensions = components.iter().filter(|component| component.kind == ComponentKind::Extension);
    page.table(
        ["extension", "state", "since", "reason"],
        extensions.map(|component| {
            [
                Cell::text(&component.id),
                servicez::state(&component.state),
                Cell::text(format::moment(component.since, now)),
                Cell::text(component.state.reason().map_or("", |reason| reason.as_str())),
            ]
        }),
    );
}
