//! Encoded resources and scopes, one per server.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use dbintel_model::Server;

use super::wire::{Cached, Wire};

/// Servers whose encoding is remembered. One agent watches hundreds.
pub(super) const SERVERS_MAX: usize = 1_024;

/// Remembers the encoding of each server's resource.
///
/// A server is found by its address in memory. The cache holds a weak reference, so that the address is not given to
/// another server as long as the entry lives.
#[derive(Debug, Default)]
pub(super) struct ResourceCache {
    entries: HashMap<usize, Entry>,
    made: u64,
}

/// Identifies an entry. An address that is used again has another number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ResourceId {
    address: usize,
    number: u64,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    server: Weak<Server>,
    resource: Vec<u8>,
    scope: Vec<u8>,
}

// === impl ResourceCache ===

impl ResourceCache {
    /// The id of this server, whose encoding is then in the cache.
    pub(super) fn id<W: Wire>(&mut self, server: &Arc<Server>) -> ResourceId {
        let address = Arc::as_ptr(server).addr();
        if let Some(entry) = self.entries.get(&address) {
            return ResourceId { address, number: entry.number };
        }
        self.make_room();
        self.made += 1;
        self.entries.insert(address, Entry::new::<W>(server, self.made));
        ResourceId { address, number: self.made }
    }

    /// The encoding of a server; empty for none.
    pub(super) fn get(&self, id: Option<ResourceId>) -> Cached<'_> {
        match id.and_then(|id| self.entries.get(&id.address)) {
            Some(entry) => Cached { resource: &entry.resource, scope: &entry.scope },
            None => Cached { resource: &[], scope: &[] },
        }
    }

    fn make_room(&mut self) {
        if self.entries.len() >= SERVERS_MAX {
            self.entries.retain(|_, entry| entry.server.strong_count() > 0);
        }
        if self.entries.len() >= SERVERS_MAX {
            self.entries.clear();
        }
    }
}

// === impl Entry ===

impl Entry {
    fn new<W: Wire>(server: &Arc<Server>, number: u64) -> Self {
        let (mut resource, mut scope) = (Vec::new(), Vec::new());
        W::attributes(&mut resource, &server.resource);
        W::scope(&mut scope, &scope_name(server));
        Self { number, server: Arc::downgrade(server), resource, scope }
    }
}

/// `dbintel.receiver.postgresql` for the receiver `postgresql/orders`.
fn scope_name(server: &Server) -> String {
    let kind = server.receiver.split_once('/').map_or(server.receiver.as_str(), |(kind, _)| kind);
    format!("dbintel.receiver.{kind}")
}
