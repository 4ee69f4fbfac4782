//! One growing request: which groups are open, how long it may become, and how a record is taken back.

use std::sync::Arc;

use dbintel_model::{Labels, MetricDefinition, Server, Signal};

use super::json::Json;
use super::protobuf::Protobuf;
use super::resource::{ResourceCache, ResourceId};
use super::wire::{Open, Wire};
use super::{Encoded, Format, RECORD_BYTES_MAX, RequestBytes};

/// Builds requests one after the other.
#[derive(Debug)]
pub(super) struct Builder {
    format: Format,
    limit: RequestBytes,
    request: Request,
    spare: Vec<u8>,
}

/// The request that is being built.
#[derive(Debug)]
pub(super) struct Request {
    signal: Signal,
    out: Vec<u8>,
    items: usize,
    precious: bool,
    groups: Groups,
    server: Option<ResourceId>,
    cache: ResourceCache,
}

/// The groups that are open. Cloning costs a reference count at most.
#[derive(Clone, Debug, Default)]
struct Groups {
    resource: Option<OpenResource>,
    metric: Option<(&'static MetricDefinition, Open)>,
}

#[derive(Clone, Debug)]
struct OpenResource {
    server: Option<ResourceId>,
    labels: Option<Arc<Labels>>,
    open: Open,
}

// === impl Builder ===

impl Builder {
    pub(super) fn new(format: Format, signal: Signal, limit: RequestBytes) -> Self {
        let request = Request {
            signal,
            out: Vec::new(),
            items: 0,
            precious: false,
            groups: Groups::default(),
            server: None,
            cache: ResourceCache::default(),
        };
        Self { format, limit, request, spare: Vec::new() }
    }

    pub(super) const fn format(&self) -> Format {
        self.format
    }

    /// Says whose records are pushed next.
    pub(super) fn use_server<W: Wire>(&mut self, server: &Arc<Server>) {
        self.request.server = Some(self.request.cache.id::<W>(server));
    }

    /// Adds the record that `write` writes, in this request or alone in the next; `false` if it is too large for any.
    pub(super) fn push<W: Wire>(&mut self, full: &mut Vec<Encoded>, write: impl Fn(&mut Request)) -> bool {
        let limit = self.limit.get();
        if self.request.try_push::<W>(limit, &write) {
            return true;
        }
        full.extend(self.finish());
        if !self.request.try_push::<W>(RECORD_BYTES_MAX, &write) {
            return false;
        }
        if self.request.len_bytes::<W>() > limit {
            full.extend(self.finish());
        }
        true
    }

    pub(super) fn len_bytes(&self) -> usize {
        match self.format {
            Format::Protobuf => self.request.len_bytes::<Protobuf>(),
            Format::Json => self.request.len_bytes::<Json>(),
        }
    }

    pub(super) const fn items(&self) -> usize {
        self.request.items
    }

    pub(super) fn finish(&mut self) -> Option<Encoded> {
        let next = std::mem::take(&mut self.spare);
        match self.format {
            Format::Protobuf => self.request.finish::<Protobuf>(next),
            Format::Json => self.request.finish::<Json>(next),
        }
    }

    /// Keeps the larger of two spare buffers, but none that an exceptional record has made larger than a request.
    pub(super) fn recycle(&mut self, mut buffer: Vec<u8>) {
        if buffer.capacity() <= self.limit.get() * 2 && buffer.capacity() > self.spare.capacity() {
            buffer.clear();
            if self.request.items == 0 && self.request.out.capacity() < buffer.capacity() {
                self.request.out = buffer;
            } else {
                self.spare = buffer;
            }
        }
    }
}

// === impl Request ===

impl Request {
    /// Where records are written.
    pub(super) fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// Says whether the record being written is to be lost last.
    pub(super) fn mark(&mut self, precious: bool) {
        self.precious |= precious;
    }

    /// Makes sure that the resource of the present server, with the resource attributes of `labels`, is open.
    pub(super) fn enter_resource<W: Wire>(&mut self, labels: Option<&Arc<Labels>>) {
        let labels = labels.filter(|labels| !labels.resource.is_empty());
        if let Some(resource) = &self.groups.resource
            && resource.server == self.server
            && same_resource(resource.labels.as_ref(), labels)
        {
            return;
        }
        self.close_groups::<W>();
        if self.out.is_empty() {
            W::open_request(&mut self.out, self.signal);
        }
        let cached = self.cache.get(self.server);
        let more = labels.map_or(&[][..], |labels| &labels.resource);
        let open = W::open_resource(&mut self.out, self.signal, cached, more);
        self.groups.resource = Some(OpenResource { server: self.server, labels: labels.cloned(), open });
    }

    /// Makes sure that this metric is open, inside the open resource.
    pub(super) fn enter_metric<W: Wire>(&mut self, metric: &'static MetricDefinition) {
        if let Some((present, open)) = self.groups.metric {
            if std::ptr::eq(present, metric) {
                return;
            }
            W::close_metric(&mut self.out, open);
        }
        self.groups.metric = Some((metric, W::open_metric(&mut self.out, metric)));
    }

    /// Writes a record and keeps it if the request is then at most `limit` bytes long.
    fn try_push<W: Wire>(&mut self, limit: usize, write: impl Fn(&mut Self)) -> bool {
        let (before, precious, groups) = (self.out.len(), self.precious, self.groups.clone());
        write(self);
        if self.len_bytes::<W>() <= limit {
            self.items += 1;
            return true;
        }
        self.out.truncate(before);
        self.out.shrink_to(limit * 2);
        self.precious = precious;
        self.groups = groups;
        false
    }

    fn len_bytes<W: Wire>(&self) -> usize {
        if self.items == 0 && self.groups.resource.is_none() { 0 } else { self.out.len() + W::CLOSING_BYTES }
    }

    fn close_groups<W: Wire>(&mut self) {
        if let Some((_, open)) = self.groups.metric.take() {
            W::close_metric(&mut self.out, open);
        }
        if let Some(resource) = self.groups.resource.take() {
            W::close_resource(&mut self.out, resource.open);
        }
    }

    /// Hands out the request and goes on with the buffer `next`.
    fn finish<W: Wire>(&mut self, next: Vec<u8>) -> Option<Encoded> {
        if self.items == 0 {
            self.out.clear();
            self.groups = Groups::default();
            return None;
        }
        self.close_groups::<W>();
        W::close_request(&mut self.out);
        let body = std::mem::replace(&mut self.out, next);
        let items = std::mem::take(&mut self.items);
        let precious = std::mem::take(&mut self.precious);
        Some(Encoded { body, items, precious })
    }
}

fn same_resource(a: Option<&Arc<Labels>>, b: Option<&Arc<Labels>>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => Arc::ptr_eq(a, b) || a.resource == b.resource,
        _ => false,
    }
}
