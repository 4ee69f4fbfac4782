//! Writes one page: every text goes through [`escape`], every link through [`link_query`], and the size is bounded.
//!
//! The markup is what a terminal browser shows well: headings, paragraphs, lists and tables with header cells. Colour
//! only repeats what words say.

mod chart;

use std::fmt::Write as _;

pub use chart::CHART_POINTS_MAX;
pub(super) use chart::{Chart, Point, Shape, Size};

use crate::AdminContext;

/// Bytes of one page. What does not fit is left out, and the page says so.
pub const PAGE_BYTES_MAX: usize = 1 << 20;
/// Characters of one cell or item; a longer text is cut.
const TEXT_CHARS_MAX: usize = 2_000;
/// Characters of one preformatted text.
const PREFORMATTED_CHARS_MAX: usize = 64 * 1024;
/// Kept free for the sentence about the cut and the end of the page.
const TAIL_BYTES: usize = 512;

const STYLE: &str = "\
:root{color-scheme:light dark;--line:#8884;--soft:#8881;--bad:#b3261e;--warn:#8a5a00;--good:#1b6e3c}\
@media(prefers-color-scheme:dark){:root{--bad:#ff8a80;--warn:#ffc766;--good:#7fd6a0}}\
body{font:15px/1.45 system-ui,sans-serif;margin:0 auto;max-width:80rem;padding:0 1rem 3rem}\
nav{border-bottom:1px solid var(--line);padding:.6rem 0;margin-bottom:.5rem}\
nav a,nav b{margin-right:1rem}\
h1{font-size:1.35rem;margin:.6rem 0 .2rem}h2{font-size:1.1rem;margin:1.6rem 0 .4rem}h3{font-size:1rem;margin:1.1rem 0 .3rem}\
p{margin:.3rem 0}small{opacity:.75}\
table{border-collapse:collapse;margin:.3rem 0 .8rem;max-width:100%}\
th,td{border-bottom:1px solid var(--line);padding:.22rem .9rem .22rem 0;text-align:left;vertical-align:top;overflow-wrap:anywhere}\
thead th{white-space:nowrap;overflow-wrap:normal}tbody th{font-weight:500}\
td.n,th.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}\
.bad{color:var(--bad);font-weight:600}.warn{color:var(--warn);font-weight:600}.good{color:var(--good)}\
ul{margin:.3rem 0;padding-left:1.2rem}\
pre{border:1px solid var(--line);margin:.3rem 0;overflow-x:auto;padding:.5rem}\
svg{display:block;height:auto;max-width:100%}td svg{max-width:none}.band{fill:var(--line)}.change{stroke:var(--bad);stroke-dasharray:4 2}\
.course{fill:none;stroke:currentColor;stroke-linecap:round;stroke-linejoin:round;stroke-width:1.5}\
.bars{fill:none;opacity:.5;stroke:currentColor}\
.sides{display:flex;flex-wrap:wrap;gap:1rem}.sides div{flex:1 1 30rem;min-width:0}";

/// Every page there is.
pub(super) const LINKS: [(&str, &str); 7] = [
    ("servicez", "Service"),
    ("pipelinez", "Pipelines"),
    ("findingz", "Findings"),
    ("queryz", "Statements"),
    ("planz", "Plans"),
    ("extensionz", "Extensions"),
    ("tracez", "Traces"),
];

/// A page in the making.
#[derive(Debug)]
pub(super) struct Page {
    html: String,
    is_cut: bool,
}

/// One cell of a table.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    content: String,
    is_number: bool,
}

/// How a text is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Warn,
    Bad,
}

// === impl Page ===

impl Page {
    /// A page, begun as every one is: with what has to be known before anything on it is believed. `name` is the last part of its path.
    pub(super) fn begin(cx: &AdminContext, name: &str, title: &str, subtitle: &str) -> Self {
        let mut page = Self::new(name, title, subtitle);
        let lanes = cx.pages.pipelines().into_iter();
        let accelerated: Vec<String> = lanes
            .filter_map(|lane| Some(format!("{} ({} times)", lane.receiver, lane.acceleration?)))
            .collect();
        if !accelerated.is_empty() {
            let text = format!(
                "Accelerated, as only a test or a demonstration is, and no evidence about a server: hours are no hours in {}.",
                accelerated.join(", ")
            );
            page.news(Tone::Warn, &text);
        }
        page
    }

    /// With navigation and nothing else.
    fn new(name: &str, title: &str, subtitle: &str) -> Self {
        let mut html = String::with_capacity(16 * 1024);
        // Writing to a string cannot fail, here and below.
        let _ = write!(
            html,
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
             <title>{} · dbintel</title><style>{STYLE}</style></head>\n<body>\n<nav>",
            escape(title)
        );
        for (link, text) in LINKS {
            let _ = if link == name {
                write!(html, "<b>{text}</b> ")
            } else {
                write!(html, "<a href=\"/debug/{link}\">{text}</a> ")
            };
        }
        let _ =
            write!(html, "</nav>\n<h1>{}</h1>\n<p><small>{}</small></p>\n", escape(title), escape(subtitle));
        Self { html, is_cut: false }
    }

    /// A section.
    pub(super) fn section(&mut self, title: &str) {
        self.push(&format!("<h2>{}</h2>\n", escape(title)));
    }

    /// A part of a section.
    pub(super) fn part(&mut self, title: &str) {
        self.push(&format!("<h3>{}</h3>\n", escape(title)));
    }

    /// A sentence.
    pub(super) fn sentence(&mut self, text: &str) {
        self.push(&format!("<p>{}</p>\n", escape(text)));
    }

    /// A sentence that is good or bad news.
    pub(super) fn news(&mut self, tone: Tone, text: &str) {
        self.push(&format!("<p class=\"{}\">{}</p>\n", tone.class(), escape(text)));
    }

    /// A list.
    pub(super) fn list(&mut self, items: impl IntoIterator<Item = Cell>) {
        self.push("<ul>\n");
        for item in items {
            self.push(&format!("<li>{}</li>\n", item.content));
        }
        self.push("</ul>\n");
    }

    /// Preformatted texts beside each other, each with its heading; lines with the mark are news. Each text is cut at
    /// [`PREFORMATTED_CHARS_MAX`].
    pub(super) fn side_by_side(&mut self, texts: &[(&str, &str)], mark: &str) {
        let mut piece = String::from("<div class=\"sides\">\n");
        for (heading, text) in texts {
            let _ = write!(piece, "<div><h3>{}</h3>\n<pre>", escape(heading));
            let mut left = PREFORMATTED_CHARS_MAX;
            for line in text.lines() {
                left = left.saturating_sub(line.chars().count() + 1);
                if left == 0 {
                    piece.push_str("…\n");
                    break;
                }
                let _ = if line.contains(mark) {
                    writeln!(piece, "<span class=\"warn\">{}</span>", escape(line))
                } else {
                    writeln!(piece, "{}", escape(line))
                };
            }
            piece.push_str("</pre></div>\n");
        }
        piece.push_str("</div>\n");
        self.push(&piece);
    }

    /// A text to copy, whole or not at all: what is cut would do something else. Says whether it is there.
    pub(super) fn script(&mut self, text: &str) -> bool {
        let fits = text.chars().count() <= PREFORMATTED_CHARS_MAX
            && text.lines().all(|line| line.chars().count() <= TEXT_CHARS_MAX)
            && !text.chars().any(|character| character.is_control() && !matches!(character, '\n' | '\t'));
        if fits {
            let lines: Vec<String> = text.lines().map(escape).collect();
            self.push(&format!("<pre>{}</pre>\n", lines.join("\n")));
        }
        fits
    }

    /// Names and values.
    pub(super) fn facts(&mut self, facts: impl IntoIterator<Item = (String, Cell)>) {
        self.push("<table><tbody>\n");
        for (name, value) in facts {
            let row =
                format!("<tr><th scope=\"row\">{}</th><td>{}</td></tr>\n", escape(&name), value.content);
            self.push(&row);
        }
        self.push("</tbody></table>\n");
    }

    /// A table. A heading that starts with `#` is that of a column of numbers.
    pub(super) fn table<const COLUMNS: usize>(
        &mut self,
        heads: [&str; COLUMNS],
        rows: impl IntoIterator<Item = [Cell; COLUMNS]>,
    ) {
        let mut head = String::from("<table><thead><tr>");
        for text in heads {
            let _ = match text.strip_prefix('#') {
                Some(text) => write!(head, "<th scope=\"col\" class=\"n\">{}</th>", escape(text)),
                None => write!(head, "<th scope=\"col\">{}</th>", escape(text)),
            };
        }
        head.push_str("</tr></thead><tbody>\n");
        self.push(&head);
        for cells in rows {
            let mut row = String::from("<tr>");
            for cell in cells {
                row.push_str(if cell.is_number { "<td class=\"n\">" } else { "<td>" });
                row.push_str(&cell.content);
                row.push_str("</td>");
            }
            row.push_str("</tr>\n");
            self.push(&row);
            if self.is_cut {
                break;
            }
        }
        self.push("</tbody></table>\n");
    }

    /// The page.
    pub(super) fn finish(mut self) -> String {
        if self.is_cut {
            let sentence = "<p class=\"warn\">This page was cut: it would have been larger than 1 MiB.</p>\n";
            self.html.push_str(sentence);
        }
        self.html.push_str("</body></html>\n");
        self.html
    }

    /// Adds a piece whole or, once the page is full, not at all. Browsers close what stays open.
    fn push(&mut self, piece: &str) {
        if self.html.len() + piece.len() + TAIL_BYTES > PAGE_BYTES_MAX {
            self.is_cut = true;
        }
        if !self.is_cut {
            self.html.push_str(piece);
        }
    }
}

// === impl Cell ===

impl Cell {
    /// A text.
    pub(super) fn text(text: impl AsRef<str>) -> Self {
        Self { content: escape(text.as_ref()), is_number: false }
    }

    /// A number, aligned to the right.
    pub(super) fn number(text: impl AsRef<str>) -> Self {
        Self { is_number: true, ..Self::text(text) }
    }

    /// A text that is good or bad news.
    pub(super) fn toned(tone: Tone, text: impl AsRef<str>) -> Self {
        let (class, text) = (tone.class(), escape(text.as_ref()));
        Self { content: format!("<span class=\"{class}\">{text}</span>"), is_number: false }
    }

    /// A link to a page of ours with one argument or more.
    pub(super) fn link(page: &str, arguments: &[(&str, &str)], text: impl AsRef<str>) -> Self {
        let (query, text) = (escape(&link_query(arguments)), escape(text.as_ref()));
        Self { content: format!("<a href=\"/debug/{page}?{query}\">{text}</a>"), is_number: false }
    }

    /// This, and something else below it.
    pub(super) fn above(self, below: &Self) -> Self {
        Self { content: format!("{}<br>{}", self.content, below.content), ..self }
    }

    /// The same, as a number.
    pub(super) fn numeric(self) -> Self {
        Self { is_number: true, ..self }
    }
}

// === impl Tone ===

impl Tone {
    const fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }
}

/// The text with everything that has a meaning in HTML, in text and in quoted attributes, written as references. It is
/// cut at [`TEXT_CHARS_MAX`], and control characters are shown as such.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 16);
    for (index, character) in text.chars().enumerate() {
        if index == TEXT_CHARS_MAX {
            escaped.push('…');
            break;
        }
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' | '\t' => escaped.push(character),
            control if control.is_control() => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

/// `name=value&…`, percent-encoded as RFC 3986 says.
fn link_query(arguments: &[(&str, &str)]) -> String {
    let mut query = String::new();
    for (name, value) in arguments {
        if !query.is_empty() {
            query.push('&');
        }
        query.push_str(name);
        query.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                query.push(char::from(byte));
            } else {
                let _ = write!(query, "%{byte:02X}");
            }
        }
    }
    query
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_gets_through_as_markup() {
        let nasty = "<script>alert('x')</script>&\"\u{1b}[0m";
        let escaped = escape(nasty);
        assert_eq!(escaped, "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;&quot;\u{fffd}[0m");
        let mut page = Page::new("servicez", nasty, nasty);
        page.section(nasty);
        page.part(nasty);
        page.sentence(nasty);
        page.news(Tone::Bad, nasty);
        page.facts([(nasty.to_owned(), Cell::toned(Tone::Warn, nasty))]);
        page.side_by_side(&[(nasty, nasty)], "alert");
        page.list([Cell::link("tracez", &[("span", nasty)], nasty).above(&Cell::text(nasty))]);
        assert!(page.script("<script>alert('x')</script>\n--\t\"&"));
        page.table([nasty, nasty], [[Cell::text(nasty), Cell::number(nasty)]]);
        let html = page.finish();
        assert!(!html.contains("<script") && !html.contains("alert('"), "{html}");
        assert!(html.contains("span=%3Cscript%3Ealert%28%27x%27%29"), "{html}");
    }

    #[test]
    fn a_script_is_there_as_it_is_or_not_at_all() {
        let mut page = Page::new("findingz", "x", "x");
        assert!(page.script("SELECT 1;\n\tSELECT 'ü' || \"o\";"));
        let long = "x".repeat(TEXT_CHARS_MAX + 1);
        for not_whole in [long.as_str(), "SELECT\r\n1", "a\u{1b}[2J", &"x\n".repeat(PREFORMATTED_CHARS_MAX)] {
            assert!(!page.script(not_whole));
        }
        let html = page.finish();
        assert_eq!(html.matches("<pre>").count(), 1);
        assert!(html.contains("<pre>SELECT 1;\n\tSELECT &#39;ü&#39; || &quot;o&quot;;</pre>"), "{html}");
    }

    #[test]
    fn a_page_is_bounded_and_says_so() {
        let mut page = Page::new("servicez", "x", "x");
        let row = || [Cell::text("y".repeat(5_000))];
        page.table(["y"], std::iter::repeat_with(row).take(10_000));
        page.section("never seen");
        let html = page.finish();
        assert!(html.len() <= PAGE_BYTES_MAX && html.len() > PAGE_BYTES_MAX / 2);
        assert!(html.contains("was cut") && !html.contains("never seen"));
        assert!(html.ends_with("</html>\n"));
    }
}
