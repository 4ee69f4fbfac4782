mod executed;

use dbintel_model::finding::Cause;
use dbintel_model::{QueryKey, Timestamp};
use proptest::prelude::*;

use super::index::Definition;
use super::*;

fn about(user: &str, database: &str) -> About {
    let key = QueryKey {
        system: "postgresql",
        database: database.to_owned().into(),
        database_id: 5,
        user: user.to_owned().into(),
        user_id: 10,
        query_id: -42,
        toplevel: Some(true),
    };
    About { key, text: None, fingerprint: Some(1), node: 0 }
}

fn event(kind: ChangeKind) -> Event {
    Event {
        kind,
        at: Timestamp::from_nanos(1),
        database: Some("shop".into()),
        subject: None,
        table: None,
        role: None,
        object: None,
        action: None,
        before: None,
        after: None,
        modified: None,
        rows: None,
    }
}

fn dropped(name: &str, table: &str, definition: &str) -> Event {
    Event {
        subject: Some(name.to_owned().into()),
        table: Some(table.to_owned().into()),
        object: Some("index".into()),
        action: Some("dropped".into()),
        before: Some(definition.to_owned().into()),
        ..event(ChangeKind::Ddl)
    }
}

/// A setting of the server.
fn setting(name: &str, before: &str) -> Event {
    Event {
        database: None,
        subject: Some(name.to_owned().into()),
        before: Some(before.to_owned().into()),
        after: Some("4MB".into()),
        ..event(ChangeKind::Setting)
    }
}

/// For whom a setting is: a role, a database.
type Scope<'a> = (Option<&'a str>, Option<&'a str>);
/// What it was and what it is.
type Sides<'a> = (Option<&'a str>, Option<&'a str>);

fn setting_of((role, database): Scope<'_>, name: &str, (before, after): Sides<'_>) -> Event {
    let text = |text: Option<&str>| text.map(|text| Text::from(text.to_owned()));
    Event {
        role: text(role),
        database: text(database),
        before: text(before),
        after: text(after),
        ..setting(name, "")
    }
}

fn of(event: &Event, about: &About) -> Advice {
    let cause = Cause { kind: "ddl".into(), at: None, object: None, score: None, sentence: "It was.".into() };
    advise(about, &[Ranked { cause, event: Some(event) }], "It is.")
}

fn forward(event: &Event) -> Option<String> {
    of(event, &about("app", "shop")).scripts.forward.map(|text| text.to_string())
}

#[test]
fn an_index_that_was_dropped_is_created_again() {
    let advice = of(
        &dropped("public.orders_by", "public.orders", "btree (customer, created desc) include (amount)"),
        &about("app", "shop"),
    );
    assert_eq!(
        advice.scripts.forward.as_deref(),
        Some(
            r#"CREATE INDEX CONCURRENTLY "orders_by" ON "public"."orders" USING btree ("customer", "created" DESC) INCLUDE ("amount");"#
        )
    );
    assert_eq!(advice.scripts.rollback.as_deref(), Some(r#"DROP INDEX CONCURRENTLY "public"."orders_by";"#));
    let check = advice.scripts.check.unwrap();
    assert!(
        check.ends_with(
            "WHERE queryid = -42\n  AND userid = (SELECT oid FROM pg_roles WHERE rolname = 'app')\n  \
             AND dbid = (SELECT oid FROM pg_database WHERE datname = 'shop');"
        ),
        "{check}"
    );
    assert!(advice.questions.is_some() && advice.failure_modes.len() > 2);
}

#[test]
fn a_definition_that_is_not_understood_word_for_word_gives_no_script() {
    for definition in [
        "btree (customer) where (status = ?)",
        "btree ((expression)) on lower(?)",
        "btree (customer text_pattern_ops)",
        "rum (customer)",
        "btree (customer), fillfactor=70",
        "btree (a); DROP TABLE orders; --)",
        "primary key btree (id)",
        "btree (na\"me)",
        "btree (a b)",
        "btree ()",
        "",
        "btree",
        "btree (a) include (b desc)",
        "btree (a) include (b), x",
    ] {
        let event = dropped("public.i", "public.t", definition);
        assert_eq!(forward(&event), None, "{definition}");
        let advice = of(&event, &about("app", "shop"));
        assert!(advice.failure_modes.iter().any(|mode| mode.starts_with("There is no script")));
        assert!(advice.questions.is_none() && advice.scripts.check.is_some());
    }
}

#[test]
fn names_cannot_break_out() {
    let nasty = r#"public.a"; DROP TABLE orders; --"#;
    let script = forward(&Event {
        table: Some(nasty.into()),
        subject: Some(nasty.into()),
        ..event(ChangeKind::Analyze)
    });
    assert_eq!(script.as_deref(), Some(r#"ANALYZE (VERBOSE) "public"."a""; DROP TABLE orders; --";"#));
    let advice = of(&setting("work_mem", r"8'; DROP--\"), &about(r#"a"b"#, "sh'op"));
    assert_eq!(
        advice.scripts.forward.as_deref(),
        Some(r#"ALTER ROLE "a""b" IN DATABASE "sh'op" SET work_mem = E'8''; DROP--\\';"#)
    );
    assert_eq!(
        advice.scripts.rollback.as_deref(),
        Some(r#"ALTER ROLE "a""b" IN DATABASE "sh'op" RESET work_mem;"#)
    );
    let of_database = setting_of((None, Some("sh\"op")), "work_mem", (None, Some("'; DROP--")));
    let advice = of(&of_database, &about("app", "sh\"op"));
    assert_eq!(advice.scripts.forward.as_deref(), Some(r#"ALTER DATABASE "sh""op" RESET work_mem;"#));
    assert_eq!(
        advice.scripts.rollback.as_deref(),
        Some(r#"ALTER DATABASE "sh""op" SET work_mem = '''; DROP--';"#)
    );
    for name in ["work_mem; DROP", "", "a.b.c", "1a", "work mem"] {
        assert_eq!(forward(&setting(name, "8MB")), None, "{name}");
    }
    for table in ["orders", "a.b.c", "public.", "public.a\nb"] {
        assert_eq!(
            forward(&Event { table: Some(table.into()), ..event(ChangeKind::Analyze) }),
            None,
            "{table}"
        );
    }
    // A value that was redacted or cut is none.
    assert_eq!(forward(&setting("work_mem", "[redacted]")), None);
    assert_eq!(forward(&setting("work_mem", "8M…")), None);
}

/// It is taken back where it was made. Where there is a value to go back to, a change for more than the role in the database is not taken back
/// for the others.
#[test]
fn a_setting_is_taken_back_where_it_was_changed() {
    let (role, database) = (Some("app"), Some("shop"));
    let own = r#"ALTER ROLE "app" IN DATABASE "shop""#;
    let (of_role, of_database) = (r#"ALTER ROLE "app""#, r#"ALTER DATABASE "shop""#);
    for (scope, (before, after), target, forward, rollback) in [
        ((None, None), (Some("4"), Some("9")), own, "SET jit = '4';", "RESET jit;"),
        ((role, None), (Some("4"), Some("9")), own, "SET jit = '4';", "RESET jit;"),
        ((role, None), (Some("4"), None), own, "SET jit = '4';", "RESET jit;"),
        ((role, None), (None, Some("9")), of_role, "RESET jit;", "SET jit = '9';"),
        ((role, database), (Some("4"), Some("9")), own, "SET jit = '4';", "SET jit = '9';"),
        ((role, database), (None, Some("9")), own, "RESET jit;", "SET jit = '9';"),
        ((None, database), (Some("4"), Some("9")), of_database, "SET jit = '4';", "SET jit = '9';"),
        ((None, database), (None, Some("9")), of_database, "RESET jit;", "SET jit = '9';"),
        ((None, database), (Some("4"), None), of_database, "SET jit = '4';", "RESET jit;"),
    ] {
        let scripts = of(&setting_of(scope, "jit", (before, after)), &about("app", "shop")).scripts;
        let script = |what: &str| Some(Text::from(format!("{target} {what}")));
        assert_eq!((scripts.forward, scripts.rollback), (script(forward), script(rollback)), "{scope:?}");
    }
    for (scope, sides) in [
        // Nobody knows what it was, or what it is.
        ((None, None), (None, Some("9"))),
        ((None, database), (Some("[redacted]"), Some("9"))),
        ((None, database), (Some("4"), Some("9…"))),
        // It reaches no execution of this statement.
        ((Some("web"), None), (Some("4"), Some("9"))),
        ((None, Some("other")), (Some("4"), Some("9"))),
    ] {
        assert_eq!(forward(&setting_of(scope, "jit", sides)), None, "{scope:?} {sides:?}");
    }
}

#[test]
fn values_are_written_as_the_server_reads_them() {
    for (name, told, value) in [
        ("work_mem", "4096 kB", Some("'4096 kB'")),
        // No unit that is read: a number without one is in these.
        ("effective_cache_size", "524288 8kB", Some("'524288'")),
        ("DateStyle", "ISO, MDY", Some("'ISO, MDY'")),
        // A list of names would be one name.
        ("search_path", r#""$user", public, "My Schema""#, Some("'$user', 'public', 'My Schema'")),
        ("search_path", r#""""#, Some("''")),
        ("search_path", r#""a""b""#, None),
        ("search_path", r#""a, b""#, None),
        ("search_path", "Public", None),
    ] {
        assert_eq!(quote::value(name, told).as_deref(), value, "{name} {told}");
    }
}

#[test]
fn what_cannot_be_undone_gets_no_script() {
    for kind in [ChangeKind::Version, ChangeKind::Restart, ChangeKind::Failover, ChangeKind::Extension] {
        assert_eq!(forward(&event(kind)), None);
    }
    let created = Event { action: Some("created".into()), ..dropped("public.i", "public.t", "btree (a)") };
    assert_eq!(forward(&created), None);
}

/// Outside of quotes, a script has one statement.
fn statements(script: &str) -> usize {
    let (mut count, mut quote, mut escapes, mut last) = (0, None, false, ' ');
    for char in script.chars() {
        match quote {
            None if char == '"' || char == '\'' => (quote, escapes) = (Some(char), last == 'E'),
            None if char == ';' => count += 1,
            Some(open) if char == open && !(escapes && last == '\\') => quote = None,
            // A backslash that is itself escaped escapes nothing.
            Some(_) if escapes && char == '\\' && last == '\\' => {
                last = ' ';
                continue;
            }
            _ => {}
        }
        last = char;
    }
    assert_eq!(quote, None, "{script}");
    count
}

proptest! {
    #[test]
    fn whatever_the_names_are_a_script_is_one_statement(
        schema in "[a-z\"'; \\\\-]{1,12}", name in "[a-z\"'; \\\\-]{1,12}", value in "[a-z\"'; \\\\-]{0,12}", user in "[^\\x00]{1,12}",
        definition in "btree \\([a-z\"'; ,\\)\\(-]{0,20}\\)",
    ) {
        let qualified = format!("{schema}.{name}");
        for event in [
            dropped(&qualified, &qualified, &definition),
            dropped(&qualified, &qualified, "btree (a)"),
            setting("work_mem", &value),
            setting_of((None, Some(&name)), "search_path", (Some(&value), Some(&value))),
            Event { table: Some(qualified.clone().into()), ..event(ChangeKind::Analyze) },
        ] {
            let scripts = of(&event, &about(&user, &name)).scripts;
            for script in [scripts.forward, scripts.rollback].into_iter().flatten().filter(|script| !script.starts_with("--")) {
                prop_assert_eq!(statements(&script), 1, "{}", script);
            }
        }
    }

    #[test]
    fn any_definition_is_read_or_not(text in ".{0,60}") {
        let _ = Definition::read(&text);
    }
}

#[test]
fn a_setting_that_the_plan_tells_of_is_undone_as_the_one_the_server_tells_of() {
    let known = setting("work_mem", "8MB");
    let cause = |score| Cause {
        kind: "plan_setting".into(),
        at: None,
        object: None,
        score: Some(score),
        sentence: "It was.".into(),
    };
    let advise_on = |of_plan: f64| {
        let ranked = [
            Ranked { cause: cause(of_plan), event: None },
            Ranked { cause: cause(0.85), event: Some(&known) },
        ];
        advise(&about("app", "shop"), &ranked, "It is.").scripts.forward
    };
    assert!(advise_on(0.85).is_some_and(|script| script.contains("work_mem")));
    // What explains less is not what to begin with.
    assert_eq!(advise_on(0.9), None);
}
