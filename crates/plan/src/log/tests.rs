//! Records as servers write them, records of a model that writes as the documentation says, and any bytes.

use std::borrow::Cow;

use proptest::prelude::*;

use super::*;
use crate::Budget;

const PLAN: &str = "{\n  \"Query Text\": \"SELECT \\\"a\\\"\\n FROM t WHERE b = 'canary'\",\n  \"Query Parameters\": \"$1 = 'canary'\",\n  \
     \"Plan\": {\n    \"Node Type\": \"Seq Scan\",\n    \"Relation Name\": \"t\"\n  },\n  \"Query Identifier\": -42\n}";

fn stderr(setting: &str) -> LogFormat {
    LogFormat::Stderr(LinePrefix::parse(setting).unwrap())
}

/// All records, none of which is cut.
fn split<'a>(format: &LogFormat, mut log: &'a [u8]) -> Vec<&'a [u8]> {
    let mut records = Vec::new();
    while let Some(end) = record_end(format, log, true) {
        let (record, rest) = log.split_at(end);
        records.push(record);
        log = rest;
    }
    assert_eq!(log, b"");
    records
}

#[test]
fn a_line_of_jsonlog_is_read() {
    let line = r#"{"timestamp":"2026-11-21 14:14:21.123 UTC","user":"we\"b","dbname":"shop","pid":7,"remote_host":"[local]","ps":"SELECT","error_severity":"LOG","state_code":"00000","message":"duration: 0.020 ms  plan:\n{\n  \"Plan\": {}\n}","application_name":"x","backend_type":"client backend","query_id":-42}
"#;
    let record = LogFormat::Json.record(line.as_bytes()).unwrap();
    assert_eq!((record.user.as_deref(), record.database.as_deref()), (Some("we\"b"), Some("shop")));
    assert_eq!((record.query_id, record.time_micros), (Some(-42), Some(1_795_270_461_123_000)));
    assert_eq!(record.message, "duration: 0.020 ms  plan:\n{\n  \"Plan\": {}\n}");
    assert!(!record.has_context);
    assert_eq!(LogFormat::Json.record(b"{\"message\":\"cut sh"), None);
    assert_eq!(LogFormat::Json.record(b"[1]\n"), None);
}

/// Anybody may begin what he says with what looks like a code.
#[test]
fn a_code_before_the_message_is_one_only_where_the_server_says_all_it_knows() {
    let format = stderr("%m [%p] %q%u@%d ");
    let prefix = "2026-11-21 14:14:21.123 UTC [7] web@shop ";
    let read = |lines: &str| {
        let record = format.record(lines.as_bytes()).unwrap();
        (record.sqlstate.map(Cow::into_owned), record.message.into_owned())
    };
    let said = read(&format!("{prefix}ERROR:  94103: no such customer\n"));
    assert_eq!(said, (None, "94103: no such customer".to_owned()));
    let forged = read(&format!("{prefix}ERROR:  94103: no such customer\n\t{prefix}LOCATION:  f, a.c:1\n"));
    assert_eq!(forged.0, None);
    let verbose =
        read(&format!("{prefix}ERROR:  57014: no\n{prefix}CONTEXT:  c\n{prefix}LOCATION:  f, a.c:1\n"));
    assert_eq!(verbose, (Some("57014".to_owned()), "no".to_owned()));
}

/// Anybody may write a line like those of auto_explain.
#[test]
fn a_duration_that_no_execution_takes_is_unreadable() {
    let plan = "{\"Plan\": {\"Node Type\": \"Result\"}, \"Query Identifier\": 42}";
    for duration in ["9".repeat(310), "1000000000001".to_owned()] {
        let message = format!("duration: {duration} ms  plan:\n{plan}");
        assert_eq!(auto_explain(&message), Some(AutoExplain::Unreadable), "{duration}");
    }
}

#[test]
fn columns_of_csvlog_are_read_by_every_version() {
    let row = |more: &str| {
        format!(
            "2026-11-21 14:14:21.123 UTC,\"web\",\"shop\",7,\"[local]\",6a.7,3,\"SELECT\",2026-11-21 14:14:20 UTC,3/5,0,LOG,\
             00000,\"duration: 0.020 ms  plan:\nsays \"\"a\"\", b\",,,,,,,,,\"psql\"{more}\n"
        )
    };
    for (more, id) in [("", None), (",\"client backend\"", None), (",\"client backend\",,-42", Some(-42))] {
        let row = row(more);
        let record = LogFormat::Csv.record(row.as_bytes()).unwrap();
        assert_eq!((record.user.as_deref(), record.database.as_deref()), (Some("web"), Some("shop")));
        assert_eq!((record.query_id, record.sqlstate.as_deref()), (id, Some("00000")));
        assert_eq!(record.message, "duration: 0.020 ms  plan:\nsays \"a\", b");
        assert_eq!(split(&LogFormat::Csv, format!("{row}{row}").as_bytes()), [row.as_bytes(); 2]);
    }
    assert_eq!(LogFormat::Csv.record(b"a,b\n"), None);
    assert_eq!(LogFormat::Csv.record(b"\"a\"b,c\n"), None);
}

#[test]
fn a_record_within_a_function_has_a_context() {
    let row = "2026-11-21 14:14:21.123 UTC,,,7,,6a.7,3,,,,0,LOG,00000,\"m\",,,,,\"PL/pgSQL\",,,,\"\"\n";
    assert!(LogFormat::Csv.record(row.as_bytes()).unwrap().has_context);
    assert!(LogFormat::Json.record(br#"{"message":"m","context":"PL/pgSQL"}"#).unwrap().has_context);
    let log = b"7 LOG:  m\n\tn\n7 CONTEXT:  SQL\n\tfunction\n7 STATEMENT:  s\n7 LOG:  next\n";
    let format = stderr("%p ");
    let records = split(&format, log);
    assert_eq!(records.len(), 2);
    let record = format.record(records[0]).unwrap();
    assert!(record.has_context);
    assert_eq!(record.message, "m\nn");
    assert!(!format.record(records[1]).unwrap().has_context);
    // Until the next line has come nobody knows that it was the last.
    assert_eq!(record_end(&format, b"7 LOG:  m\n", false), None);
    assert_eq!(record_end(&format, b"7 LOG:  m\n7 CONT", false), None);
    assert_eq!(record_end(&format, b"7 LOG:  m\n\tn\n7 LOG:  n\n", false), Some(13));
}

#[test]
fn prefixes_of_packages_and_providers_are_read() {
    let check = |setting: &str, line: &str, user: &str, database: &str, id: Option<i64>| {
        let format = stderr(setting);
        let record = format.record(line.as_bytes()).unwrap_or_else(|| panic!("{setting}: {line}"));
        let said = (record.user.as_deref().unwrap_or(""), record.database.as_deref().unwrap_or(""));
        assert_eq!((said, record.query_id), ((user, database), id), "{setting}");
        assert_eq!(record.message, "said: a:  b", "{setting}");
    };
    let line = "2026-11-21 14:14:21.123 UTC [7] web@shop LOG:  said: a:  b\n";
    check("%m [%p] %q%u@%d ", line, "web", "shop", None);
    let line = "2026-11-21 14:14:21 UTC:10.0.0.1(52412):web@shop:[7]:LOG:  said: a:  b\n";
    check("%t:%r:%u@%d:[%p]:", line, "web", "shop", None);
    let line =
        "2026-11-21 14:14:21 +0330-6a2b.7f web       |      shop -42 client backend  LOG:  said: a:  b\n";
    check("%t-%c %-10u|%10d %Q %b  ", line, "web", "shop", Some(-42));
    let line =
        "time=1795270461.123,pid=00007,user=a role of many words,db=shop,app=x, id=0 LOG:  said: a:  b";
    check("time=%n,pid=%05p,user=%u,db=%d,app=%a, id=%Q ", line, "a role of many words", "shop", None);
    let line = "% 3/12 6a7b. LOG:  said: a:  b";
    check("%% %v %c%y%-5y ", line, "", "", None);
    // Escapes of later versions write nothing.
    check("%Q[%L] ", "[] LOG:  said: a:  b", "", "", None);
    let record = stderr("%t ").record(b"2026-11-21 14:14:21 UTC LOG:  m").unwrap().into_owned();
    assert_eq!(record.time_micros, Some(1_795_270_461_000_000));
    for foreign in ["", "no prefix", "2026-11-21 14:14:21.123 UTC [7] LOG:  of no session", "\tcontinued"] {
        assert_eq!(stderr("%m [%p] %q%u@%d ").record(foreign.as_bytes()), None, "{foreign}");
    }
}

#[test]
fn a_prefix_without_an_end_of_its_names_is_refused() {
    for setting in ["%u%d ", "%m %u", "%a%q%p "] {
        assert_eq!(LinePrefix::parse(setting), Err(PrefixError::Undivided), "{setting}");
    }
    assert_eq!(LinePrefix::parse(&"%m ".repeat(1_000)), Err(PrefixError::TooLong));
}

#[test]
fn a_line_that_fits_in_many_ways_ends_within_bounds() {
    let setting = "%a %a %a %a %a %a %a %a %d ";
    let line = format!("{}LOG: m", "a ".repeat(1_000));
    assert_eq!(stderr(setting).record(line.as_bytes()), None);
}

#[test]
fn a_plan_is_taken_without_text_and_parameters() {
    let message = format!("duration: 0.020 ms  plan:\n{PLAN}");
    let Some(AutoExplain::Plan(plan)) = auto_explain(&message) else { panic!("{message}") };
    assert_eq!(plan.query_text.as_deref(), Some("SELECT \"a\"\n FROM t WHERE b = 'canary'"));
    assert_eq!(plan.query_identifier, Some(-42));
    assert!(!plan.json.contains("canary") && !format!("{plan:?}").contains("canary"), "{}", plan.json);
    let parsed = crate::parse_postgresql(plan.json.as_bytes(), &mut Budget::unlimited());
    assert!(parsed.problems.is_empty(), "{:?}", parsed.problems);
    assert_eq!((parsed.plan.nodes.len(), parsed.plan.query_identifier), (1, Some(-42)));
}

#[test]
fn what_is_no_plan_in_json_says_so() {
    for body in
        ["Query Text: SELECT 1\nResult  (cost=0.00..0.01)", "<explain xmlns=\"x\">", "Query Text: \"x\""]
    {
        let message = format!("duration: 0.020 ms  plan:\n{body}");
        assert_eq!(auto_explain(&message), Some(AutoExplain::OtherFormat));
    }
    for body in ["{", "{}", "{\"Query Text\": \"x", "{\"Query Text\": \"x\"}", "{\"Plan\": {"] {
        let message = format!("duration: 0.020 ms  plan:\n{body}");
        assert_eq!(auto_explain(&message), Some(AutoExplain::Unreadable), "{body}");
    }
    for message in ["duration: 0.020 ms", "duration: x ms  plan:\n{}", "statement: SELECT ' ms  plan:'", ""] {
        assert_eq!(auto_explain(message), None, "{message}");
    }
}

#[test]
fn a_lost_place_is_found_again() {
    let find = |format: &LogFormat, mut lost: Lost, log: &str| {
        let (at, found) = lost.seek(format, log.as_bytes());
        (found, log[at..].to_owned())
    };
    let csv = "half a record\nof csv\",\n2026-11-21 14:14:21.123 UTC,rest";
    assert_eq!(find(&LogFormat::Csv, Lost::Anywhere, csv), (true, csv[23..].to_owned()));
    assert_eq!(find(&LogFormat::Csv, Lost::AtLine, "2026-11"), (false, "2026-11".into()));
    assert_eq!(find(&LogFormat::Json, Lost::Anywhere, "{\"}\n{\"a\"}"), (true, "{\"a\"}".into()));
    assert_eq!(find(&LogFormat::Json, Lost::AtLine, "{\"}\n"), (true, "{\"}\n".into()));
    let format = stderr("%p ");
    assert_eq!(find(&format, Lost::Anywhere, "x\n\ty\n7 LOG:  z"), (true, "7 LOG:  z".into()));
    assert_eq!(find(&format, Lost::Anywhere, "x\n\ty"), (false, String::new()));
    // What a client wrote into a record that was too long does not begin another.
    let forged = "half\n2026-11-21 14:14:21.123 UTC,forged\",\nnext";
    let lost = Lost::within(&LogFormat::Csv, b"2026-11-21 14:14:21.123 UTC,\"");
    assert_eq!(lost, Lost::InCsv { quoted: true });
    assert_eq!(find(&LogFormat::Csv, lost, forged), (true, "next".into()));
}

// --- a model of the server --------------------------------------------------------------------------------

#[derive(Clone, Debug)]
struct Said {
    user: String,
    database: String,
    id: i64,
    message: String,
    in_function: bool,
}

fn said() -> impl Strategy<Value = Said> {
    let name = "[a-z\"',% -]{0,5}[a-z]";
    // The server writes no line break at the end of a message, and no null.
    let message = prop::string::string_regex("([ -~äß\n\t\"\\\\]{0,30}[a-z])?").unwrap();
    (name, name, any::<i64>(), message, any::<bool>()).prop_map(
        |(user, database, id, message, in_function)| Said {
            user,
            database,
            id,
            message: format!("it said: {message}"),
            in_function,
        },
    )
}

fn csv_text(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// The record as the server writes it in this format.
fn write(format: &LogFormat, said: &Said) -> String {
    let Said { user, database, id, message, in_function } = said;
    let context = if *in_function { "SQL\nfunction" } else { "" };
    match format {
        LogFormat::Json => {
            let mut line = serde_json::json!({"timestamp": "2026-11-21 14:14:21.123 UTC", "user": user,
                "dbname": database, "error_severity": "LOG", "message": message, "query_id": id});
            if *in_function {
                line["context"] = context.into();
            }
            format!("{line}\n")
        }
        LogFormat::Csv => {
            let context = if *in_function { csv_text(context) } else { String::new() };
            format!(
                "2026-11-21 14:14:21.123 UTC,{},{},7,\"[local]\",6a.7,3,\"SELECT\",2026-11-21 14:14:20 UTC,3/5,0,LOG,00000,\
                 {},,,,,{context},,,,\"psql\",\"client backend\",,{id}\n",
                csv_text(user),
                csv_text(database),
                csv_text(message)
            )
        }
        LogFormat::Stderr(_) => {
            let line = |label: &str, text: &str| {
                let text = text.replace('\n', "\n\t");
                format!(
                    "2026-11-21 14:14:21.123 UTC [7]: user={user}; db={database}; id={id}; {label}:  {text}\n"
                )
            };
            line("LOG", message) + &(if *in_function { line("CONTEXT", context) } else { String::new() })
        }
    }
}

fn formats() -> Vec<LogFormat> {
    vec![LogFormat::Json, LogFormat::Csv, stderr("%m [%p]: user=%u; db=%d; id=%Q; ")]
}

proptest! {
    #[test]
    fn what_a_server_writes_is_read_back(all in prop::collection::vec(said(), 0..6)) {
        for format in formats() {
            let log: String = all.iter().map(|said| write(&format, said)).collect();
            let records = split(&format, log.as_bytes());
            prop_assert_eq!(records.len(), all.len());
            for (record, said) in records.into_iter().zip(&all) {
                let record = format.record(record).unwrap();
                prop_assert_eq!(record.user.as_deref(), Some(said.user.as_str()));
                prop_assert_eq!(record.database.as_deref(), Some(said.database.as_str()));
                prop_assert_eq!(record.query_id.unwrap_or(0), said.id);
                prop_assert_eq!(&*record.message, said.message.as_str());
                prop_assert_eq!(record.has_context, said.in_function);
                prop_assert_eq!(record.time_micros, Some(1_795_270_461_123_000));
            }
        }
    }

    #[test]
    fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        invariants::check(&bytes);
    }

    #[test]
    fn anything_that_looks_like_a_log_is_read(
        setting in "(%[-0-9]{0,2}[a-zA-Z%][ @:]?){0,6}",
        lines in prop::collection::vec("[\t{\"]?(7 |2026-11-21 14:14:21 UTC |,|\"){0,4}(LOG:  |CONTEXT:  )?[ -~]{0,20}", 0..12),
    ) {
        invariants::check(format!("{setting}\n{}", lines.join("\n")).as_bytes());
    }
}
