use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::*;

fn name(name: &str) -> ObjectName {
    ObjectName { space: Space::Relations, schema: "public".into(), name: name.to_owned().into() }
}

fn database() -> Text {
    "app".into()
}

fn definition(object: DdlObject, table: Option<&str>, parts: &[(&str, &str)]) -> Definition {
    let part = |(name, text): &(&str, &str)| {
        ((*name).to_owned().into(), Part { text: (*text).to_owned().into(), values: 0 })
    };
    Definition {
        object,
        table: table.map(|table| table.to_owned().into()),
        parts: parts.iter().map(part).collect(),
    }
}

/// A database that can be read: objects with their definitions, each under a number.
#[derive(Clone, Debug, Default)]
struct World(BTreeMap<ObjectName, (i64, Definition)>);

impl World {
    fn with(mut self, of: &str, id: i64, definition: Definition) -> Self {
        self.0.insert(name(of), (id, definition));
        self
    }

    fn without(mut self, of: &str) -> Self {
        self.0.remove(&name(of));
        self
    }

    /// The first `max` objects. The mark stands for all that is known of the object.
    fn reading(&self, max: usize) -> Reading {
        let mark = |(id, definition): &(i64, Definition)| Mark {
            id: *id,
            object: definition.object,
            mark: xxhash_rust::xxh3::xxh3_64(format!("{id} {definition:?}").as_bytes()).cast_signed(),
        };
        let marks = self.0.iter().take(max).map(|(name, object)| (name.clone(), mark(object)));
        Reading { marks: marks.collect(), is_cut: self.0.len() > max }
    }

    fn definitions(&self, wanted: &[ObjectId]) -> Definitions {
        let find = |(space, wanted): &ObjectId| {
            let (_, (_, definition)) = self.0.iter().find(|(_, (id, _))| id == wanted)?;
            Some(((*space, *wanted), definition.clone()))
        };
        wanted.iter().filter_map(find).collect()
    }

    /// Everything as it is read when nothing goes wrong.
    fn step(&self, before: Option<&Schema>) -> Step {
        let reading = self.reading(usize::MAX);
        let wanted = Schema::wanted(before, &reading);
        Schema::step(before, &database(), &reading, &self.definitions(&wanted))
    }
}

fn orders(statistics: &str) -> Definition {
    let note = format!("text{statistics}");
    definition(
        DdlObject::Table,
        None,
        &[("", "table"), ("column id", "integer not null"), ("column note", &note)],
    )
}

fn index(columns: &str) -> Definition {
    definition(DdlObject::Index, Some("public.orders"), &[("", columns)])
}

/// Object, action, subject, table, before and after of each change.
fn told(step: &Step) -> Vec<String> {
    let text = |text: Option<&Text>| text.map_or("-", |text| &**text).to_owned();
    let words = |change: &Change| {
        assert_eq!(
            (change.kind, change.database.clone(), change.at),
            (ChangeKind::Ddl, Some(database()), None)
        );
        let fact = |key| change.text_fact(key);
        let subject = change.subject.as_ref();
        let words = [fact(OBJECT_FACT), fact(ACTION_FACT), subject, fact(TABLE_FACT)];
        let sides = [change.before.as_ref(), change.after.as_ref()];
        words.into_iter().chain(sides).map(text).collect::<Vec<_>>().join("|")
    };
    step.changes.iter().map(words).collect()
}

fn start() -> (World, Schema) {
    let world = World::default().with("orders", 1, orders("")).with("orders_note", 2, index("btree (note)"));
    let step = world.step(None);
    assert_eq!(told(&step), [""; 0], "the first reading is a baseline");
    (world, step.schema)
}

#[test]
fn what_was_created_dropped_and_altered_is_told_once_with_what_differs() {
    let (world, before) = start();
    assert_eq!(told(&world.step(Some(&before))), [""; 0]);
    let world = world.with("orders", 1, orders(" statistics 1000")).without("orders_note").with(
        "orders_both",
        3,
        index("btree (note, id)"),
    );
    let step = world.step(Some(&before));
    assert_eq!(
        told(&step),
        [
            "index|dropped|public.orders_note|public.orders|btree (note)|-",
            "table|altered|public.orders|-|column note text|column note text statistics 1000",
            "index|created|public.orders_both|public.orders|-|btree (note, id)",
        ]
    );
    assert_eq!(step.left, 0);
    assert_eq!(told(&world.step(Some(&step.schema))), [""; 0]);
    assert!(step.schema.is(&world.reading(usize::MAX)) && !before.is(&world.reading(usize::MAX)));
}

#[test]
fn a_name_that_means_the_same_is_the_same_object_and_one_that_means_another_thing_is_not() {
    let (world, before) = start();
    let rebuilt = world.clone().with("orders_note", 9, index("btree (note)"));
    let step = rebuilt.step(Some(&before));
    assert_eq!(told(&step), [""; 0], "as REINDEX CONCURRENTLY does it");
    let replaced = rebuilt.with("orders_note", 9, orders(""));
    assert_eq!(
        told(&replaced.step(Some(&step.schema))),
        [
            "index|dropped|public.orders_note|public.orders|btree (note)|-",
            "table|created|public.orders_note|-|-|table; column id integer not null; column note text",
        ]
    );
}

#[test]
fn another_literal_is_told_without_it() {
    let (world, before) = start();
    let partial = |values| {
        let mut index = index("");
        index.parts.insert("".into(), Part { text: "btree (note) where (id > ?)".into(), values });
        index
    };
    let step = world.clone().with("orders_note", 2, partial(1)).step(Some(&before));
    let now = world.with("orders_note", 2, partial(2)).step(Some(&step.schema));
    let part = "btree (note) where (id > ?)";
    assert_eq!(
        told(&now),
        [format!("index|altered|public.orders_note|public.orders|{part}|{part} (other values)")]
    );
}

#[test]
fn behind_the_cut_nothing_is_dropped_or_created() {
    let all = ["a", "b", "c", "d"];
    let world =
        all.iter().zip(1..).fold(World::default(), |world, (name, id)| world.with(name, id, orders("")));
    let read = |world: &World, before: Option<&Schema>, max| {
        let reading = world.reading(max);
        let found = world.definitions(&Schema::wanted(before, &reading));
        Schema::step(before, &database(), &reading, &found)
    };
    let cut = read(&world, None, 2);
    let moved = world.clone().with("aa", 9, orders(""));
    let step = read(&moved, Some(&cut.schema), 2);
    assert_eq!(told(&step).len(), 1, "b is behind the cut now, which is no drop: {:?}", told(&step));
    let step = read(&moved, Some(&step.schema), 9);
    assert_eq!(told(&step), [""; 0], "b, c and d were behind the cut, and are not new");
    let step = read(&moved.without("d"), Some(&step.schema), 3);
    assert_eq!(told(&step), [""; 0], "c and d are behind the cut: nobody knows");
}

#[test]
fn what_is_too_much_at_once_is_told_later() {
    let before = World::default().step(None).schema;
    let many = MAX_DEFINITIONS_PER_READ + MAX_TOLD / 2;
    let world = (0..many).fold(World::default(), |world, number| {
        let id = i64::try_from(number).unwrap();
        world.with(&format!("t{number:05}"), id, orders(""))
    });
    let (mut schema, mut numbers, mut subjects) = (before, Vec::new(), Vec::new());
    while !schema.is(&world.reading(usize::MAX)) {
        let step = world.step(Some(&schema));
        assert_eq!(step.left > 0, subjects.len() + step.changes.len() < many);
        numbers.push(step.changes.len());
        subjects.extend(step.changes.iter().filter_map(|change| change.subject.clone()));
        schema = step.schema;
    }
    assert_eq!(numbers, [MAX_TOLD, MAX_TOLD, MAX_TOLD / 2]);
    subjects.dedup();
    assert_eq!(subjects.len(), many, "each of them once");
    let gone = World::default().step(Some(&schema));
    assert_eq!((gone.changes.len(), gone.left), (MAX_TOLD, many - MAX_TOLD));
}

#[test]
fn without_room_for_definitions_objects_are_followed_by_name() {
    let large = "x".repeat(MAX_HELD_BYTES);
    let world = World::default().with("a", 1, definition(DdlObject::Table, None, &[("", &large)])).with(
        "b",
        2,
        index("btree (note)"),
    );
    let before = world.step(None).schema;
    assert!(before.is_full() && before.weight_bytes() < 2 * MAX_HELD_BYTES);
    assert_eq!(Schema::wanted(Some(&before), &world.reading(9)), [], "what finds no room is not read again");
    let altered = world.clone().with("b", 2, index("btree (id)")).step(Some(&before));
    assert_eq!(told(&altered), [""; 0], "it is not known what it was");
    let dropped = world.without("b").without("a").step(Some(&before));
    assert_eq!(told(&dropped).get(1).map(String::as_str), Some("index|dropped|public.b|-|-|-"));
    assert!(told(&dropped)[0].len() < 2 * MAX_TEXT_CHARS);
    assert_eq!(dropped.schema.bytes, 0);
}

/// An object of the histories: of few kinds, so that they meet again.
fn any_object() -> impl Strategy<Value = Definition> {
    prop_oneof![
        (0..3).prop_map(|version| orders(&format!(" statistics {version}"))),
        (0..3).prop_map(|version| index(&format!("btree (c{version})"))),
    ]
}

/// What the database is like at a reading, where it is cut, and which of the definitions come.
fn any_turn() -> impl Strategy<Value = (BTreeMap<u8, (u8, Definition)>, usize, u16)> {
    (btree_map(0..8_u8, (0..3_u8, any_object()), 0..8), 1..9_usize, any::<u16>())
}

proptest! {
    /// Whoever applies what is told to what was there has what is there, as far as it has been read; nothing that is told is
    /// the case already; and once everything can be read, everything has been told.
    #[test]
    fn what_is_told_leads_from_one_reading_to_the_next(turns in vec(any_turn(), 1..12)) {
        let world = |objects: &BTreeMap<u8, (u8, Definition)>| {
            objects.iter().fold(World::default(), |world, (number, (file, definition))| {
                world.with(&format!("t{number}"), i64::from(*number) * 10 + i64::from(*file), definition.clone())
            })
        };
        let first = world(&turns[0].0);
        let mut schema = first.step(None).schema;
        // What is known of each object by what was told; `None` where it came into view without its definition.
        let mut view: BTreeMap<ObjectName, Option<Definition>> =
            first.0.iter().map(|(name, (_, definition))| (name.clone(), Some(definition.clone()))).collect();
        let last = turns.last().map(|(objects, _, _)| (objects.clone(), 9, u16::MAX));
        for (objects, max, come) in turns.iter().cloned().chain(last) {
            let world = world(&objects);
            let reading = world.reading(max);
            let mut found = world.definitions(&Schema::wanted(Some(&schema), &reading));
            found.retain(|(_, id), _| come & (1 << (id / 10)) != 0);
            let step = Schema::step(Some(&schema), &database(), &reading, &found);
            for change in &step.changes {
                let of = name(change.subject.as_deref().unwrap().strip_prefix("public.").unwrap());
                let now = world.0.get(&of).map(|(_, definition)| definition.clone());
                match change.text_fact(ACTION_FACT).map(|action| &**action) {
                    Some("dropped") => {
                        let before = view.remove(&of);
                        prop_assert!(before.is_some(), "{:?}", change);
                        // It is gone, or another kind of object has its name.
                        let is_other = |now: &Definition| before.flatten().is_some_and(|held| !held.is_same_kind(now));
                        prop_assert!(now.as_ref().is_none_or(is_other), "{:?}", change);
                    }
                    Some("created") => prop_assert!(view.insert(of, now).is_none(), "{:?}", change),
                    _ => {
                        let before = view.insert(of, now.clone()).flatten();
                        prop_assert!(before.is_some() && before != now, "{:?}", change);
                    }
                }
            }
            // What lies behind a cut is unknown; when it comes back it is taken as it is.
            schema = step.schema;
            view.retain(|of, _| schema.objects.contains_key(of) || schema.spoke_of(of));
            for (of, known) in &schema.objects {
                let definition = known.definition.as_deref().cloned();
                let told = view.entry(of.clone()).or_default();
                if told.is_none() {
                    told.clone_from(&definition);
                }
                prop_assert_eq!(&*told, &definition);
            }
            prop_assert!(view.keys().all(|of| schema.objects.contains_key(of)));
            let bytes = schema.objects.iter().map(|(name, known)| {
                name.weight_bytes() + known.definition.as_deref().map_or(0, Definition::weight_bytes)
            });
            prop_assert_eq!(schema.bytes, bytes.sum::<usize>());
            prop_assert!(step.left <= reading.marks.len());
        }
        let now = world(&turns.last().unwrap().0);
        prop_assert!(schema.is(&now.reading(usize::MAX)), "{:?}", schema);
        prop_assert_eq!(told(&now.step(Some(&schema))), Vec::<String>::new());
    }
}
