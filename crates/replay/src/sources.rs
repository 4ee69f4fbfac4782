//! Servers of which the lines tell.

use std::sync::Arc;

use dbintel_model::{Attribute, Server, Target, Text, Value};

use crate::contrib::Contrib;

/// Servers that are told apart. What further ones did is passed over, counted.
pub const SOURCES_MAX: usize = 1_024;
/// Resources whose server is remembered as they stand in the line; another collector has one for every table.
const RESOURCES_MAX: usize = 256;
/// Stands for the system where the resource does not name it.
const SYSTEM_DEFAULT: &str = "postgresql";

/// A server and what is kept about it.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) target: Arc<Target>,
    pub(crate) contrib: Contrib,
    instance: Option<Text>,
}

/// Every server.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    all: Vec<Source>,
    resources: Vec<(Box<[u8]>, usize)>,
}

// === impl Sources ===

impl Sources {
    /// The place of the server whose resource stands so in the line, if it is known.
    pub(crate) fn known(&self, raw: &[u8]) -> Option<usize> {
        // The last one first: lines of one server follow each other.
        self.resources.iter().rev().find(|(known, _)| **known == *raw).map(|(_, place)| *place)
    }

    /// The place of the server that has this resource; `None` where there are too many.
    pub(crate) fn enter(&mut self, raw: &[u8], resource: Vec<Attribute>) -> Option<usize> {
        let (server, instance) = server(resource);
        let is_it = |source: &Source| {
            let known = &source.target.server;
            (&known.address, known.port, &source.instance) == (&server.address, server.port, &instance)
        };
        let place = match self.all.iter().position(is_it) {
            Some(place) => place,
            None if self.all.len() >= SOURCES_MAX => return None,
            None => {
                let target = Arc::new(Target::server(Arc::new(server)));
                self.all.push(Source { target, contrib: Contrib::default(), instance });
                self.all.len() - 1
            }
        };
        if self.resources.len() >= RESOURCES_MAX {
            self.resources.clear();
        }
        self.resources.push((raw.into(), place));
        Some(place)
    }

    pub(crate) fn get_mut(&mut self, place: usize) -> Option<&mut Source> {
        self.all.get_mut(place)
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }
}

/// The server of a resource, and the value of its `service.instance.id`.
fn server(resource: Vec<Attribute>) -> (Server, Option<Text>) {
    let text = |key: &str| {
        let attribute = resource.iter().find(|attribute| &*attribute.key == key)?;
        if let Value::Text(text) = &attribute.value { Some(text.clone()) } else { None }
    };
    let instance = text("service.instance.id");
    let system = text("db.system.name").unwrap_or(Text::Static(SYSTEM_DEFAULT));
    let port = resource.iter().find(|attribute| &*attribute.key == "server.port");
    let port = port.and_then(|attribute| match &attribute.value {
        Value::Int(port) => u16::try_from(*port).ok(),
        Value::Text(port) => port.parse().ok(),
        _ => None,
    });
    let (address, port) = match (text("server.address"), port) {
        (Some(address), port) => (address, port.unwrap_or(0)),
        // What other collectors say where they do not say the address: `localhost:5432`.
        (None, _) => endpoint(instance.as_deref().unwrap_or("unknown")),
    };
    (Server { receiver: system.clone(), system, address, port, resource }, instance)
}

fn endpoint(text: &str) -> (Text, u16) {
    let parts = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    let (host, port) = parts.unwrap_or((text, 0));
    (host.to_owned().into(), port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(key: &'static str, value: impl Into<Value>) -> Attribute {
        Attribute::new(key, value)
    }

    #[test]
    fn a_server_is_known_by_address_and_instance_whatever_else_its_resource_says() {
        let mut sources = Sources::default();
        let ours = || vec![attribute("server.address", "db"), attribute("server.port", 5432)];
        let of_table = [ours(), vec![attribute("postgresql.table.name", "t")]].concat();
        let other = vec![attribute("service.instance.id", "db:5433")];
        assert_eq!(sources.enter(b"1", ours()), Some(0));
        assert_eq!(sources.enter(b"2", of_table), Some(0));
        assert_eq!(sources.enter(b"3", other), Some(1));
        assert_eq!(sources.enter(b"4", Vec::new()), Some(2));
        assert_eq!(
            ["1", "2", "3", "4", "5"].map(|raw| sources.known(raw.as_bytes())),
            [Some(0), Some(0), Some(1), Some(2), None]
        );
        let server = |place: usize| sources.all[place].target.server.to_string();
        assert_eq!([server(0), server(1), server(2)], ["db:5432", "db:5433", "unknown:0"]);
    }

    #[test]
    fn there_are_at_most_so_many() {
        let mut sources = Sources::default();
        for port in 0..SOURCES_MAX as i64 {
            let resource = vec![attribute("server.address", "db"), attribute("server.port", port + 1)];
            assert!(sources.enter(port.to_string().as_bytes(), resource).is_some());
        }
        assert_eq!(sources.enter(b"more", vec![attribute("server.address", "another")]), None);
        assert_eq!(sources.len(), SOURCES_MAX);
    }
}
