//! The statements of a server.
//!
//! A statement is known by its own fingerprint, database, role, whether a client sends it, and the node it runs on. The server's identifiers
//! change with versions, and with every new table of the same name, temporary ones above all; what runs under several of
//! them is one statement here. A schema is not part of it, since the statistics name none. As long as the text of a statement is not known, its
//! identifier stands for the fingerprint; when the text comes, its history goes to the one that has it.
//!
//! The table is bounded by `max_statements`. When it is full, those that took the least time go, a batch at once, and never one under trial.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::ops::Range;
use std::sync::Arc;

use dbintel_model::{Node, QueryKey, QueryText, Record};
use xxhash_rust::xxh3::{Xxh3, xxh3_64, xxh3_64_with_seed};

use super::statement::{About, Changed, Statement};
use crate::hashed::{Hashed, Mixed};

/// A full table forgets this share of its statements at once.
const FORGOTTEN_SHARE: usize = 64;
/// By how many statements the table grows: room for twice as many would be a tenth of what they take.
const GROWTH: usize = 256;
/// Identifiers that are remembered, for each statement there can be. When there are more, all are looked up anew.
const ALIASES_PER_STATEMENT: usize = 4;

/// Stands for the node before any was entered.
const NO_NODE: u64 = u64::MAX;

/// The table.
#[derive(Debug)]
pub(super) struct Statements {
    list: Vec<Statement>,
    places: HashMap<u64, usize, BuildHasherDefault<Hashed>>,
    /// From the server's identifiers to places in the list: what is looked up for every interval.
    aliases: HashMap<Alias, usize, BuildHasherDefault<Mixed>>,
    /// From an identifier with the hash of the names of database and role to their numbers, for sessions, which have only names.
    names: HashMap<(i64, u64), (u32, u32), BuildHasherDefault<Mixed>>,
    /// Whether places have moved since identifiers were remembered.
    is_stale: bool,
    node: u64,
    max: usize,
    forgotten: Vec<Forgotten>,
    /// Places of the statements that are seen next.
    ahead: Vec<usize>,
}

/// An id that is no more: forgotten for want of room, or known by another one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Forgotten {
    pub(super) id: u64,
    /// The id that its history goes to.
    pub(super) heir: Option<u64>,
    /// Whether anything of it is in the store.
    pub(super) is_stored: bool,
}

/// A statement as the server knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Alias {
    query_id: i64,
    user_id: u32,
    database_id: u32,
    toplevel: Option<bool>,
}

/// A number for a node: a primary stays the same when a standby takes its place; a standby has work of its own.
pub(super) fn node_number(node: Option<&Node>) -> u64 {
    let Some(node) = node else { return 0 };
    let mut bytes = [0; 9];
    let (identifier, recovery) = bytes.split_at_mut(8);
    identifier.copy_from_slice(&node.system_identifier.unwrap_or(0).to_le_bytes());
    recovery.fill(u8::from(node.in_recovery));
    xxh3_64(&bytes)
}

// === impl Statements ===

impl Statements {
    pub(super) fn new(max: usize) -> Self {
        Self {
            list: Vec::new(),
            places: HashMap::default(),
            aliases: HashMap::default(),
            names: HashMap::default(),
            is_stale: false,
            node: NO_NODE,
            max,
            forgotten: Vec::new(),
            ahead: Vec::new(),
        }
    }

    /// From now on, statements are of this node.
    pub(super) fn enter_node(&mut self, node: u64) {
        if self.node == node {
            return;
        }
        self.node = node;
        self.remember_all();
    }

    /// Remembers the identifier of every statement of this node anew.
    fn remember_all(&mut self) {
        self.is_stale = false;
        self.aliases.clear();
        let here = self.list.iter().enumerate().filter(|(_, statement)| statement.about.node == self.node);
        let mut here: Vec<(QueryKey, usize, bool)> = here
            .map(|(place, statement)| {
                (statement.about.key.clone(), place, statement.about.fingerprint.is_none())
            })
            .collect();
        // Of two with one identifier one has no text yet: a sudden end came before it left the store. It is found, and united with the other.
        here.sort_by_key(|(_, _, has_no_text)| *has_no_text);
        here.iter().for_each(|(key, place, _)| self.remember(key, *place));
    }

    /// Touches what these records will be added to.
    ///
    /// A statement's numbers have left the processor's cache since it was last read. Fetched one after the other each would be waited for;
    /// in each of these rounds nothing depends on another, so that the processor fetches many at once.
    pub(super) fn read_ahead(&mut self, records: &[Record]) {
        let queries = || {
            records.iter().filter_map(|record| match record {
                Record::Query(query) => Some(query),
                _ => None,
            })
        };
        let keys = queries().map(|query| query.key.query_id ^ query.calls);
        std::hint::black_box(keys.fold(0, |all, of_one| all ^ of_one));
        self.ahead.clear();
        self.ahead.extend(queries().filter_map(|query| self.aliases.get(&Alias::of(&query.key))));
        let touched = self.ahead.iter().filter_map(|place| self.list.get(*place)).map(Statement::touch);
        std::hint::black_box(touched.sum::<f64>());
        std::hint::black_box(queries().map(|query| query.counters.touch()).sum::<f64>());
    }

    /// The statement, if it is known.
    pub(super) fn find(&mut self, key: &QueryKey, text: Option<&Arc<QueryText>>) -> Option<&mut Statement> {
        let place = self.place(key, text)?;
        self.list.get_mut(place)
    }

    /// The statement, made room for if it is not known.
    pub(super) fn enter(&mut self, key: &QueryKey, text: Option<&Arc<QueryText>>) -> Option<&mut Statement> {
        let place = match self.place(key, text) {
            Some(place) => place,
            None => {
                self.make_room();
                let fingerprint = text.map(|text| text.fingerprint);
                let about =
                    About { key: key.clone(), text: text.map(Arc::clone), fingerprint, node: self.node };
                self.insert(Statement::new(id(key, fingerprint, self.node), about))?
            }
        };
        self.list.get_mut(place)
    }

    /// Puts in a statement that was stored. `None` where there is no room.
    pub(super) fn restore(&mut self, statement: Statement) -> Option<&mut Statement> {
        if let Some(place) = self.places.get(&statement.id) {
            return self.list.get_mut(*place);
        }
        if self.list.len() >= self.max {
            return None;
        }
        let place = self.insert(statement)?;
        self.list.get_mut(place)
    }

    /// The statement of a session, which is one that a client sent. The session names database and role; they are compared, since
    /// its identifier is the same for all of them.
    pub(super) fn of_session(&mut self, query_id: i64, database: &str, user: &str) -> Option<&mut Statement> {
        let (database_id, user_id) = *self.names.get(&(query_id, names_hash(database, user)))?;
        let find = |toplevel| self.aliases.get(&Alias { query_id, user_id, database_id, toplevel }).copied();
        let place = find(Some(true)).or_else(|| find(None))?;
        self.list.get_mut(place)
    }

    fn insert(&mut self, statement: Statement) -> Option<usize> {
        let place = self.list.len();
        if place >= self.max {
            return None;
        }
        self.places.insert(statement.id, place);
        if statement.about.node == self.node {
            self.remember(&statement.about.key, place);
        }
        if place == self.list.capacity() {
            self.list.reserve_exact(GROWTH.min(self.max - place));
        }
        self.list.push(statement);
        Some(place)
    }

    fn place(&mut self, key: &QueryKey, text: Option<&Arc<QueryText>>) -> Option<usize> {
        if self.is_stale {
            self.remember_all();
        }
        let alias = Alias::of(key);
        let known = self.aliases.get(&alias).copied();
        let place = known.or_else(|| self.places.get(&id(key, None, self.node)).copied());
        let (Some(text), Some(provisional)) = (text, place) else {
            let by_text = || {
                let id = id(key, Some(text?.fingerprint), self.node);
                self.places.get(&id).copied()
            };
            let place = place.or_else(by_text)?;
            if known.is_none() {
                self.seen_under(key, place);
            }
            return Some(place);
        };
        let statement = self.list.get_mut(provisional)?;
        if statement.is_named {
            return Some(provisional);
        }
        let about = &mut statement.about;
        if about.fingerprint.is_some() {
            about.text = Some(Arc::clone(text));
            statement.is_named = true;
            return Some(provisional);
        }
        let id = id(key, Some(text.fingerprint), self.node);
        match self.places.get(&id).copied() {
            None => self.rename(provisional, id, text),
            Some(_) => self.unite(provisional, id),
        }
        let place = self.places.get(&id).copied()?;
        self.seen_under(key, place);
        Some(place)
    }

    /// The text of a statement has come, and no other has it.
    fn rename(&mut self, place: usize, id: u64, text: &Arc<QueryText>) {
        let Some(statement) = self.list.get_mut(place) else { return };
        self.places.remove(&statement.id);
        self.forgotten.push(Forgotten { id: statement.id, heir: Some(id), is_stored: statement.is_stored });
        (statement.id, statement.stored_day, statement.is_stored) = (id, i64::MIN, false);
        (statement.about.text, statement.about.fingerprint) =
            (Some(Arc::clone(text)), Some(text.fingerprint));
        // What waits to be stored waits under the former id.
        (statement.is_named, statement.changed) = (true, Changed::default());
        self.places.insert(id, place);
    }

    /// The text of a statement has come, and another one had it already.
    fn unite(&mut self, place: usize, id: u64) {
        let Some(provisional) = self.remove(place) else { return };
        let Statement { id: former, is_stored, .. } = provisional;
        self.forgotten.push(Forgotten { id: former, heir: Some(id), is_stored });
        let Some(statement) = self.get_mut(id) else { return };
        statement.merge(&provisional);
        statement.stored_day = i64::MIN;
    }

    fn remove(&mut self, place: usize) -> Option<Statement> {
        if place >= self.list.len() {
            return None;
        }
        let statement = self.list.swap_remove(place);
        self.places.remove(&statement.id);
        if let Some(moved) = self.list.get(place) {
            self.places.insert(moved.id, place);
        }
        self.aliases.clear();
        self.is_stale = true;
        Some(statement)
    }

    /// The server knows the statement by this identifier now.
    fn seen_under(&mut self, key: &QueryKey, place: usize) {
        self.remember(key, place);
        if let Some(statement) = self.list.get_mut(place) {
            statement.about.key = key.clone();
        }
    }

    fn remember(&mut self, key: &QueryKey, place: usize) {
        if self.aliases.len() >= self.max.saturating_mul(ALIASES_PER_STATEMENT) {
            self.aliases.clear();
            self.names.clear();
        }
        self.aliases.insert(Alias::of(key), place);
        self.names
            .insert((key.query_id, names_hash(&key.database, &key.user)), (key.database_id, key.user_id));
    }

    /// Forgets those that took the least time, if there is no room for another one.
    fn make_room(&mut self) {
        if self.list.len() < self.max {
            return;
        }
        let mut weights: Vec<(f64, u64)> = self
            .list
            .iter()
            .filter(|statement| !statement.is_under_trial)
            .map(|statement| (statement.weight_ms, statement.id))
            .collect();
        weights.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        for (_, id) in weights.into_iter().take((self.max / FORGOTTEN_SHARE).max(1)) {
            if let Some(place) = self.places.get(&id).copied()
                && let Some(Statement { is_stored, .. }) = self.remove(place)
            {
                self.forgotten.push(Forgotten { id, heir: None, is_stored });
            }
        }
    }

    pub(super) fn get(&self, id: u64) -> Option<&Statement> {
        self.list.get(*self.places.get(&id)?)
    }

    pub(super) fn get_mut(&mut self, id: u64) -> Option<&mut Statement> {
        self.list.get_mut(*self.places.get(&id)?)
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &Statement> {
        self.list.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// Ids that are no more since this was asked last.
    pub(super) fn take_forgotten(&mut self) -> Vec<Forgotten> {
        std::mem::take(&mut self.forgotten)
    }

    /// What statements hold, those at these places of the list as far as there are any.
    pub(super) fn bytes_of(&self, part: Range<usize>) -> usize {
        let part = part.start.min(self.list.len())..part.end.min(self.list.len());
        self.list.get(part).into_iter().flatten().map(Statement::bytes).sum()
    }

    /// What is held beside the statements.
    pub(super) fn bytes_of_tables(&self) -> usize {
        let room = self.list.capacity() - self.list.len();
        self.names.capacity() * size_of::<((i64, u64), (u32, u32))>()
            + self.aliases.capacity() * (size_of::<Alias>() + size_of::<usize>())
            + self.places.capacity() * size_of::<(u64, usize)>()
            + room * size_of::<Statement>()
    }
}

fn names_hash(database: &str, user: &str) -> u64 {
    xxh3_64_with_seed(user.as_bytes(), xxh3_64(database.as_bytes()))
}

/// The id of a statement: a hash of everything that makes it the one it is.
fn id(key: &QueryKey, fingerprint: Option<u64>, node: u64) -> u64 {
    let mut hash = Xxh3::new();
    match fingerprint {
        Some(fingerprint) => hash.update(&[b"f".as_slice(), &fingerprint.to_le_bytes()].concat()),
        None => hash.update(&[b"q".as_slice(), &key.query_id.to_le_bytes()].concat()),
    }
    for text in [&key.database, &key.user] {
        hash.update(&(text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    }
    hash.update(&[match key.toplevel {
        None => 0,
        Some(false) => 1,
        Some(true) => 2,
    }]);
    hash.update(&node.to_le_bytes());
    hash.digest()
}

// === impl Alias ===

impl Alias {
    fn of(key: &QueryKey) -> Self {
        Self {
            query_id: key.query_id,
            user_id: key.user_id,
            database_id: key.database_id,
            toplevel: key.toplevel,
        }
    }
}

#[cfg(test)]
mod tests;
