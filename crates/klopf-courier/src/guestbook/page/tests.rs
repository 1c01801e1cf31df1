use klopf_wire::text::{self, Shape};

use super::*;

fn texts(page: &str, content_type: &str) -> Vec<String> {
    let read = read(page.as_bytes(), Some(content_type), Format::Auto);
    assert!(!read.broken, "{page}");
    read.texts.iter().map(|text| text.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn html_gives_its_visible_text_and_then_its_attributes() {
    let page = "<!DOCTYPE html><title>Book</title><style>p{x}</style><script>var no = '<p>no</p>';</script>
        <p>Hello&nbsp;<b>w&ouml;rld</b><br>ab<wbr>cd <a href='https://e.example/?a=1&amp;b=2' title=\"T\">link</a><td>1<td>2
        <!-- no --><iframe>no</iframe><textarea>yes <p></textarea> &lt;ok&gt;";
    let visible = "Book Hello wörld abcd link 1 2 yes <p> <ok>";
    assert_eq!(texts(page, "text/html"), [visible, "https://e.example/?a=1&b=2 T"]);
}

#[test]
fn each_entry_of_a_feed_is_a_text_and_their_html_is_read() {
    let rss = "<?xml version='1.0'?><rss><channel><title>Book</title>
        <item><title>One &amp; two</title><description>&lt;p&gt;Hi &lt;b&gt;you&lt;/b&gt; &amp;auml;&lt;script&gt;</description></item>
        <item><content:encoded><![CDATA[<p>Two</p><!-- ]]></content:encoded><link>https://e.example/2</link></item>
        </channel></rss>";
    assert_eq!(texts(rss, "text/html"), ["Book", "One & two Hi you ä", "Two https://e.example/2"]);
    let atom =
        "<feed xmlns='http://www.w3.org/2005/Atom'><entry><link href='https://e.example/'/><summary>S &#228;</summary>
        <content type='xhtml'><div>A<i>B</i><p>C</p></div></content></entry><entry><title>Z</title></entry></feed>";
    assert_eq!(texts(atom, "application/atom+xml"), ["S ä A B C", "https://e.example/", "Z"]);
}

#[test]
fn each_text_in_json_is_one_whatever_it_belongs_to() {
    let mastodon =
        r#"[{"id":"1","content":"<p>A status of somebody &amp; more</p>","account":{"note":null,"bot":false}}]"#;
    assert_eq!(texts(mastodon, "application/json"), ["A status of somebody & more"]);
    let gist = r##"{"files":{"book.md":{"size":12,"content":"# a guestbook\nwith lines"}},"n":[1.5,-1,true]}"##;
    assert_eq!(texts(gist, "text/html"), ["# a guestbook with lines"]);
    let feed =
        r#"{"version":"https://jsonfeed.org/version/1.1","items":[{"content_html":"<b>this is the first</b>"}]}"#;
    let read = read(feed.as_bytes(), None, Format::Feed);
    assert_eq!(read.texts.last().unwrap().trim(), "this is the first");
}

#[test]
fn a_page_is_what_it_looks_like_and_then_what_it_says() {
    let form = |text, says| form(Format::Auto, says, text);
    assert_eq!(form("[hello] how are you", Some("text/plain")), Form::Text);
    assert_eq!(form("<p>a", Some("text/plain")), Form::Text);
    assert_eq!(form("<p>a", None), Form::Html);
    assert_eq!(form("a", None), Form::Text);
    assert_eq!(form("7", Some("application/activity+json; charset=utf-8")), Form::Json);
    assert_eq!(form("<?xml version='1.0'?><!DOCTYPE html><html>", Some("application/xml")), Form::Html);
    assert_eq!(form("<p>", Some("text/html; charset=x")), Form::Html);
}

#[test]
fn what_is_broken_is_read_as_far_as_it_goes_and_named() {
    let half = r#"{"a":"a long enough string","b":["#;
    let all = [
        (half, Format::Json, Some("a long enough string")),
        ("<rss><item>half an <b", Format::Feed, Some("half an")),
        ("no feed at all", Format::Feed, Some("no feed at all")),
        ("", Format::Json, None),
        ("<html>", Format::Feed, None),
    ];
    for (page, format, text) in all {
        let read = read(page.as_bytes(), None, format);
        assert!(read.broken, "{page}");
        assert_eq!(read.texts.first().map(|text| text.trim()), text);
    }
}

/// A hundred thousand levels, attributes or references: time by their square or a level of the stack for each would
/// not end well.
#[test]
fn depth_and_width_cost_no_more_than_length() {
    let many = |what: &str| what.repeat(100_000);
    let names: String = (0..100_000).map(|number| format!(" a{number}=1")).collect();
    let pages = [
        (many("<div>"), Format::Html),
        (many("<table><b>"), Format::Html),
        (many("</p>"), Format::Html),
        (format!("<a{names}>"), Format::Html),
        (format!("<a {}>", many("href=x ")), Format::Html),
        (many("&lt"), Format::Html),
        (many("<!--"), Format::Html),
        (many("<script>"), Format::Html),
        (many("<![CDATA["), Format::Html),
        (format!("<feed>{}", many("<entry>")), Format::Feed),
        (format!("<feed{names}>"), Format::Feed),
        (format!("<feed>{}", many("&lt;b&gt;<i>")), Format::Feed),
        (format!("<!DOCTYPE x [{}]><rss>&x;", many("<!ENTITY x '&x;&x;'>")), Format::Feed),
        (many("["), Format::Json),
        (many("{\"a\":"), Format::Json),
        (format!("[{}1]", many("[],")), Format::Json),
    ];
    for (page, format) in pages {
        let began = std::time::Instant::now();
        let read = read(page.as_bytes(), None, format);
        let length: usize = read.texts.iter().map(String::len).sum();
        assert!(length <= 2 * page.len(), "{} {length}", &page[..20]);
        assert!(began.elapsed().as_secs() < 20, "{}", &page[..20]);
    }
}

#[test]
fn a_token_is_found_however_the_page_has_cut_it() {
    let body = [9; 61];
    let all = text::write(&body, Shape::Plain, &mut |_| {}).unwrap();
    let (one, two) = all.split_at(40);
    let words = text::write(&body, Shape::Words, &mut |_| {}).unwrap();
    let linked = words.replace(' ', "&nbsp;<a href=/x>").replacen("&nbsp;", "</a><br />", 20);
    let pages = [
        format!("<p>Hi! {one}<wbr>{two}.</p>"),
        format!("<p>Hi! {one}<br>\n{two}, bye</p>"),
        format!("<p>Hi {one}</p><p>{two}</p>"),
        format!("<td>Ada<td>{one}<b>{two}</b><td>Bob"),
        format!("<a href='https://e.example/{all}'>https://e.exa&hellip;</a>"),
        format!("<p>&gt; {linked}"),
        format!("<rss><item><description>&lt;p&gt;{one}&lt;br&gt;{two}</description></item>"),
        format!(r#"[{{"content":"<p>{one}<br />{two}\u003c/p>"}}]"#),
        format!("Hello\n> {one}\n> {two}\n"),
    ];
    for page in pages {
        let texts = read(page.as_bytes(), None, Format::Auto).texts;
        let found: Vec<_> = texts.iter().flat_map(|text| text::find(text)).map(|found| found.body).collect();
        assert_eq!(found, [body], "{page}");
    }
}

#[test]
fn a_code_stands_beside_its_address() {
    let code = text::write(&[7; 11], Shape::Plain, &mut |_| {}).unwrap();
    let page = format!("<p>From {code}, for <b>192.0.2.7</b></p>");
    let texts = read(page.as_bytes(), Some("text/html"), Format::Auto).texts;
    let found = text::find(&texts[0]).next().unwrap();
    assert_eq!((found.body, found.address), (vec![7; 11], Some([192, 0, 2, 7].into())));
}
