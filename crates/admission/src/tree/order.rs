//! What a person can order: breakers held open or closed for a while. Limits, budgets and shedding stay in force.

use dbintel_model::{Monotonic, Text};

use super::node::{Feature, LIMIT_RECHECK, Node};
use super::{Denial, Gate, NodeTransition, ServerTree};
use crate::breaker::Breaker;
use crate::class::Level;
use crate::config::TreeConfig;

/// Whose breaker an order is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// The server's: everything behind the endpoint.
    Server,
    /// One database's; `None` for what is asked of the server as a whole.
    Database(Option<Text>),
    /// One feature's, by database and name.
    Feature(Option<Text>, Text),
}

/// An order.
#[derive(Clone, Debug, PartialEq)]
pub enum Override {
    /// Hold open until then.
    Open {
        /// Why, in the person's words.
        reason: Text,
        /// When it ends by itself.
        until: Monotonic,
    },
    /// Hold closed until then.
    Closed {
        /// Why, in the person's words.
        reason: Text,
        /// When it ends by itself.
        until: Monotonic,
    },
    /// End an order that is in force.
    Release,
}

impl ServerTree {
    /// Carries an order out, also for a database or feature that was not asked for yet; the transition it made, if any.
    ///
    /// # Errors
    /// [`Denial`] of [`Gate::LimitReached`] if there is no room for the database or feature.
    pub fn order(
        &mut self,
        now: Monotonic,
        scope: &Scope,
        order: Override,
    ) -> Result<Option<NodeTransition>, Denial> {
        let (level, database, feature) = match scope {
            Scope::Server => (Level::Server, None, None),
            Scope::Database(database) => (Level::Database, database.clone(), None),
            Scope::Feature(database, feature) => (Level::Feature, database.clone(), Some(feature.clone())),
        };
        let breaker = self.breaker_of(now, scope)?;
        let transition = match order {
            Override::Open { reason, until } => breaker.force_open(now, reason, until),
            Override::Closed { reason, until } => breaker.force_closed(now, reason, until),
            Override::Release => {
                breaker.release(now);
                None
            }
        };
        Ok(transition.map(|transition| NodeTransition { level, database, feature, transition }))
    }

    fn breaker_of(&mut self, now: Monotonic, scope: &Scope) -> Result<&mut Breaker, Denial> {
        let (database, feature) = match scope {
            Scope::Server => return Ok(&mut self.breaker),
            Scope::Database(database) => (database, None),
            Scope::Feature(database, feature) => (database, Some(feature)),
        };
        let node = match database {
            None => &mut self.whole,
            Some(name) => {
                let full = self.databases.len() >= self.config.max_databases.min(TreeConfig::MAX_DATABASES);
                if full && !self.databases.contains_key(name) {
                    return Err(no_room(
                        Level::Database,
                        "no room for the database: more than max_databases",
                    ));
                }
                self.next_id += 1;
                let (config, limits, incarnation) = (&self.config, &self.limits, self.next_id);
                self.databases
                    .entry(name.clone())
                    .or_insert_with(|| Node::new(config, limits, now, incarnation))
            }
        };
        let Some(feature) = feature else { return Ok(&mut node.breaker) };
        let full = node.features.len() >= self.config.max_features.min(TreeConfig::MAX_FEATURES);
        if full && !node.features.contains_key(feature) {
            return Err(no_room(Level::Feature, "no room for the feature: more than max_features"));
        }
        let config = &self.config;
        Ok(&mut node.features.entry(feature.clone()).or_insert_with(|| Feature::new(config, now)).breaker)
    }
}

fn no_room(level: Level, reason: &'static str) -> Denial {
    Denial { level, gate: Gate::LimitReached, class: None, reason: reason.into(), retry_after: LIMIT_RECHECK }
}
