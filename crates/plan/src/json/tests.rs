//! The reader against serde_json: both accept the same texts and read the same values.

use proptest::prelude::*;

use super::{Reader, Stop, Value, write_string};
use crate::Budget;

/// The value of a whole text, or why it is none.
fn read(text: &str) -> Result<serde_json::Value, Stop> {
    let mut budget = Budget::unlimited();
    let mut reader = Reader::new(text, &mut budget);
    let value = reader.value()?;
    let value = whole(&mut reader, value)?;
    if reader.is_at_end() { Ok(value) } else { Err(Stop::Malformed) }
}

fn whole(reader: &mut Reader<'_, '_>, value: Value<'_>) -> Result<serde_json::Value, Stop> {
    Ok(match value {
        Value::Object => {
            let mut object = serde_json::Map::new();
            while let Some(key) = reader.member()? {
                let value = reader.value()?;
                object.insert(key.into_owned(), whole(reader, value)?);
            }
            object.into()
        }
        Value::Array => {
            let mut array = Vec::new();
            while reader.element()? {
                let value = reader.value()?;
                array.push(whole(reader, value)?);
            }
            array.into()
        }
        Value::String(text) => text.into_owned().into(),
        Value::Number(number) => serde_json::from_str(number).map_err(|_| Stop::Malformed)?,
        Value::Bool(flag) => flag.into(),
        Value::Null => serde_json::Value::Null,
    })
}

fn check(text: &str) {
    let ours = read(text);
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(theirs) => assert_eq!(ours, Ok(theirs), "{text:?}"),
        Err(_) => assert!(ours.is_err(), "{text:?} gave {ours:?}"),
    }
}

#[test]
fn odd_texts() {
    let texts = [
        "",
        " ",
        "{",
        "}",
        "[]",
        "{}",
        "[1,]",
        "[,1]",
        "{\"a\":1,}",
        "{,}",
        "{\"a\" 1}",
        "{1:2}",
        "[1 2]",
        "nul",
        "nulll",
        "true",
        "[tru]",
        "-",
        "-1",
        "01",
        "1.",
        ".5",
        "1e",
        "1e+5",
        "1E-2",
        "-0",
        "\"",
        "\"\\\"",
        "\"a\\",
        "\"\\u00e4\"",
        "\"\\ud83d\\ude00\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"a\nb\"",
        "[[[[1]]]]",
        "[}",
        "{]",
        "1 2",
        " [ 1 , { \"a\" : [ ] } ] ",
        "\"\u{7f}\u{e4}\"",
        "[\"a\",\"b\\n\\/\"]",
    ];
    for text in texts {
        check(text);
    }
}

#[test]
fn half_a_surrogate_is_replaced() {
    assert_eq!(read("\"\\ud83d!\""), Ok("\u{fffd}!".into()));
    assert_eq!(read("\"\\ude00\""), Ok("\u{fffd}".into()));
}

#[test]
fn what_nobody_asked_for_may_nest_only_so_deep() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let skip = |text: &str| {
        let mut budget = Budget::unlimited();
        let mut reader = Reader::new(text, &mut budget);
        reader.value().and_then(|value| reader.skip(&value))
    };
    assert_eq!(skip(&nested(64)), Ok(()));
    assert_eq!(skip(&nested(65)), Err(Stop::TooDeep));
    assert_eq!(skip(&nested(1_000_000)), Err(Stop::TooDeep));
}

#[test]
fn the_budget_is_spent_on_tokens_and_on_length() {
    let mut budget = Budget::steps(3);
    let mut reader = Reader::new("[1,2,3,4]", &mut budget);
    let value = reader.value().unwrap();
    assert_eq!(reader.skip(&value), Err(Stop::BudgetExhausted));
    let long = format!("\"{}\"", "x".repeat(6400));
    let mut budget = Budget::steps(200);
    assert!(Reader::new(&long, &mut budget).value().is_ok());
    assert_eq!(budget.steps_left(), 200 - 101);
}

proptest! {
    #[test]
    fn any_text_is_read_as_serde_json_reads_it(text in "[\\[\\]{},:\"a\\\\ 01.eE+-]{0,24}") {
        check(&text);
    }

    #[test]
    fn any_long_string_is_read_as_serde_json_reads_it(text in "\"[a-c \\\\\"nu\u{1}\u{1f}\u{e4}!#\u{7f}]{0,40}\"") {
        check(&text);
    }

    #[test]
    fn any_string_is_written_so_that_it_is_read_back(text in any::<String>()) {
        let mut json = String::new();
        write_string(&text, &mut json);
        prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text.clone());
        prop_assert_eq!(read(&json), Ok(text.into()));
    }
}
