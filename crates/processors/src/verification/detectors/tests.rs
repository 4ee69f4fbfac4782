//! What is found, what is not, and what holds for every text.

use proptest::prelude::*;

use super::*;

fn all() -> Detectors {
    Detectors::of(&Detector::ALL)
}

#[track_caller]
fn check(text: &str, expect: &str, detector: Detector) {
    let mut findings = Findings::default();
    assert_eq!(all().mask(text, &mut findings).as_deref(), Some(expect));
    assert!(findings.of(detector) > 0, "{findings:?}");
    assert_eq!(Detectors::of(&[]).mask(text, &mut findings), None);
}

#[test]
fn card_numbers_in_groups_or_after_a_word_that_says_so() {
    let check = |text, expect| check(text, expect, Detector::PaymentCard);
    check("paid with 4111 1111 1111 1111.", "paid with [redacted].");
    check("paid with 5555-5555-5555-4444", "paid with [redacted]");
    check("3782 822463 10005", "[redacted]");
    check(
        "Key (card_number)=(4111111111111111) already exists",
        "Key (card_number)=([redacted]) already exists",
    );
    check("card:378282246310005", "card:[redacted]");
    check("VISA 4012888888881881, ok", "VISA [redacted], ok");
}

#[test]
fn email_addresses() {
    let check = |text, expect| check(text, expect, Detector::Email);
    check("app of alice.b+x@mail.example.com.", "app of [redacted].");
    check("(bob@example.org)", "([redacted])");
    check("\"carol@example.io\"", "\"[redacted]\"");
    check("é@a.example dan@a.example", "é@a.example [redacted]");
    check(&format!("{}bob@example.com", "-".repeat(70)), &format!("{}[redacted]", "-".repeat(9)));
}

#[test]
fn bank_accounts() {
    let check = |text, expect| check(text, expect, Detector::Iban);
    check("to DE89370400440532013000", "to [redacted]");
    check("to GB82 WEST 1234 5698 7654 32, now", "to [redacted], now");
    check("NO9386011117947", "[redacted]");
    check("MT84MALT011000012345MTLCAST001S", "[redacted]");
}

#[test]
fn tokens_of_known_forms() {
    let check = |text: &str, expect| check(text, expect, Detector::Token);
    check("key AKIAIOSFODNN7EXAMPLE!", "key [redacted]!");
    check(&format!("x=ghp_{}", "a1".repeat(18)), "x=[redacted]");
    check(&format!("glpat-{}", "a1-_".repeat(5)), "[redacted]");
    check("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P", "[redacted]");
    check("Authorization: Bearer mF_9.B5f-4.1JqMmF_9.B5f", "Authorization: Bearer [redacted]");
    check(&format!("sk-ant-{}", "api03-Zz".repeat(5)), "[redacted]");
    let user = format!("ghp_{}", "a1".repeat(18));
    check(&format!("https://{user}@github.com/x"), "https://[redacted]@github.com/x");
    check(&format!("https://{user}:@github.com/x"), "https://[redacted]:@github.com/x");
    check(&format!("https://{user}:x-oauth-basic@github.com/x"), "https://[redacted]:[redacted]/x");
}

/// What is not looked for does not hide what is.
#[test]
fn a_token_is_found_as_the_value_of_a_password_that_is_not_looked_for() {
    let text = format!("password=ghp_{}", "a1".repeat(18));
    let found = Detectors::of(&[Detector::Token]).mask(&text, &mut Findings::default());
    assert_eq!(found.as_deref(), Some("password=[redacted]"));
}

#[test]
fn private_keys_to_their_end() {
    let check = |text, expect| check(text, expect, Detector::PrivateKey);
    check("a -----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY----- b", "a [redacted] b");
    check("-----BEGIN RSA PRIVATE KEY----- MIIEowIB", "[redacted]");
    check("-------BEGIN OPENSSH PRIVATE KEY-----x", "--[redacted]");
}

#[test]
fn passwords_of_urls_and_connection_strings() {
    let check = |text, expect| check(text, expect, Detector::Password);
    check("postgres://app:s3cr@t@db.example/x", "postgres://app:[redacted]@db.example/x");
    check("host=a password=hunter2 port=1", "host=a password=[redacted] port=1");
    check("user=a password='hun ter2'", "user=a password='[redacted]'");
    check("Server=a;Pwd=hunter2;", "Server=a;Pwd=[redacted];");
    check(r"password='it\'s hunter2' port=1", "password='[redacted]' port=1");
    check("password='it''s hunter2' port=1", "password='[redacted]' port=1");
    check("password=hunter,2)x9 port=1", "password=[redacted] port=1");
    check("postgres://app:pa,s's@db.example/x", "postgres://app:[redacted]@db.example/x");
}

/// What must pass: everything that a database shows and that is nobody's secret.
const HARMLESS: &[&str] = &[
    "",
    "SELECT a, b FROM t WHERE a = ? AND b IN (?) ORDER BY c LIMIT ?",
    "SELECT u.email, u.card_number, u.password FROM users u WHERE u.password = $1",
    "SELECT a @ b.c, x @> y, t.v <@ u.w, @ n FROM s.t",
    "UPDATE \"Order\" SET \"Iban\" = $1, bearer = $2 WHERE token = $3",
    "bearer the_long_column_name_number_2_of_all",
    "ghp_this_is_a_table_with_a_long_name_and_no_token_at_all",
    "npm_modules, sk_live_accounts, AKIA_accounts, xoxb-channel, eyJ",
    "f47ac10b-58cc-4372-a567-0e02b2c3d479",
    "41111111-1111-1111-1111-111111111111",
    "00004111-1111-1111-1111-000000000000",
    "4111111111111111",
    "queryid 4111111111111111, pid 5555555555554444",
    "-4111111111111111 +5105105105105100 378282246310005",
    "query_id=6011111111111117 calls=4000056655665556",
    "4111 1111 1111 1112",
    "1234 5678 9012 3456 7890 1234",
    "9 4111 1111 1111 1111",
    "4111-1111 1111-1111",
    "2026-11-21 04:43:25.000001+00",
    "2026-11-21T04:43:25Z 1795236205000000000 1795236205",
    "0/16B3748 16/B374D848 000000010000000000000041",
    "10.0.0.1, 192.168.178.254:5432, 2001:db8::ff00:42:8329, fe80::1%eth0, 10.0.0.0/24",
    "postgresql://app@db.example.com:5432/orders",
    "https://example.com/a@b?x=1 postgres://u:?@h/d",
    "postgresql@17-main.service, git status, icon@2x.png, @types/node@18.2.0",
    "localhost:5432, user@host, app@orders, root@localhost",
    "DE00370400440532013000, DE8937040044053201300, XX89370400440532013000, DE89 is a plate",
    "GB82 WEST 1234 5698 7654 33",
    "SCRAM-SHA-256, md5, 17.10 (Debian 17.10-1.pgdg120+1)",
    "-----BEGIN CERTIFICATE----- MIIB -----END CERTIFICATE-----",
    "-----BEGIN PUBLIC KEY----- MIIB -----END PUBLIC KEY-----",
    "password=? passwd=$1 pwd='?' password='[redacted]' password= x",
    "statement timeout; raise statement_timeout (now 1s) or check pg_stat_activity",
    "permission denied for view pg_stat_statements: GRANT pg_read_all_stats TO dbintel",
    "0x4111111111111111, 4111111111111111n, 4111.1111.1111.1111, 1e4111111111111111",
    "SG.short, AIza, dapi1234, dop_v1_, NRAK-1, glsa_x",
    "------------------------------------------------",
    "12 345 678 901 234 567, 4 000 000 000 000 000",
    "+49 170 1234567, 555-0123",
];

#[test]
fn what_is_nobodys_secret_passes() {
    for text in HARMLESS {
        let mut findings = Findings::default();
        assert_eq!(all().mask(text, &mut findings), None, "{text:?}: {findings:?}");
    }
}

#[test]
fn time_is_linear_in_hostile_texts() {
    let parts = [
        "-",
        "@",
        "a@",
        "a@a.",
        "eyJ",
        "eyJ-",
        "eyJ.",
        "eyJaaaaaaaaaa.",
        "glpat-",
        "SG.",
        "password=?",
        "password='",
        "password='''",
        "pwd='\\'",
        "pwd=\"'",
        "://",
        "://a:,",
        "://a",
        ":",
        "bearer ",
        "-----BEGIN ",
        "-----BEGIN PRIVATE ",
        "4 ",
        "4111-",
        "GB82 ",
        "A",
        "a.",
        "xoxb-xoxb-",
        "card 4",
    ];
    // A quadratic step over a mebibyte would not end within the patience of anybody who runs tests.
    for part in parts {
        let text = part.repeat((1 << 20) / part.len());
        let _ = all().mask(&text, &mut Findings::default());
    }
}

fn texts() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "4111 1111 1111 1111",
        "4111111111111111",
        "card ",
        "card:",
        "5555-5555-5555-4444",
        "a@b.com",
        "@",
        ".",
        "-",
        ":",
        " ",
        "://",
        "u:p@h.com",
        "password=",
        "'",
        "DE89370400440532013000",
        "GB82 WEST 1234 5698 7654 32",
        "eyJhbGciOiJIUzI1NiJ9",
        "-----BEGIN RSA PRIVATE KEY-----",
        "-----END RSA PRIVATE KEY-----",
        "AKIAIOSFODNN7EXAMPLE",
        "Bearer ",
        "é",
        "[redacted]",
        "mF_9B5f41JqMmF9B5f4a",
        "x",
        "1",
        "A",
        "_",
        "/",
        "\n",
        "ghp_",
        "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1",
    ]);
    prop_oneof![
        prop::collection::vec(pieces, 0..12).prop_map(|pieces| pieces.concat()),
        any::<String>(),
        "[ -~]{0,80}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn masking_is_bounded_and_what_is_masked_stays_as_it_is(text in texts()) {
        let mut findings = Findings::default();
        let masked = all().mask(&text, &mut findings);
        prop_assert_eq!(masked.is_none(), findings.is_empty());
        if let Some(masked) = masked {
            prop_assert!(masked.len() <= text.len() * GROWTH_MAX);
            prop_assert_eq!(all().mask(&masked, &mut Findings::default()), None);
        }
    }

    #[test]
    fn plain_numbers_and_uuids_pass(number in any::<u128>(), wide in any::<u64>()) {
        let hex = format!("{number:032x}");
        let uuid = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-");
        let text = format!("{uuid} {wide}, {number};{:X}/{:X} {}", wide >> 32, wide & 0xffff_ffff, wide % 10_000_000_000_000_000);
        prop_assert_eq!(all().mask(&text, &mut Findings::default()), None);
    }
}
