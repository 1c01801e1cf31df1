//! Pages of all kinds at the real nginx, and how they are asked for.

use klopf_tests::scene::{STRANGER4, STRANGER6};
use klopf_tests::{CLIENT4, CLIENT6, Case, Elsewhere, Nginx, Result, Stage, ensure};
use klopf_wire::text::Shape;

use crate::play::{DOOR, Play, book, needs};

pub(crate) fn cases() -> Vec<Case> {
    let needs = needs(&[&Nginx::NEEDS]);
    vec![
        Case::new("plain_text_rss_and_json_feed_open", &needs, kinds),
        Case::new("a_page_that_has_not_changed_is_not_sent_again", &needs, conditional),
        Case::new("a_page_is_asked_for_as_a_feed_reader_does", &needs, agent),
        Case::new("a_private_address_is_not_asked_unless_it_is_allowed", &needs, private),
        Case::new("a_web_server_that_nobody_vouches_for_is_not_read", &needs, untrusted),
        Case::new("a_page_that_is_not_there_is_said", &needs, not_there),
    ]
}

fn kinds(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let nginx = Nginx::start(stage, &elsewhere)?;
    let pages = ["book.txt", "book.rss", "book.json", "mastodon.json"];
    let books: String = pages
        .iter()
        .zip(["text", "rss", "json-feed", "mastodon"])
        .map(|(page, name)| book(&elsewhere, name, &format!("https://a.test/{page}"), ""))
        .collect();
    let mut play = Play::set(stage, &elsewhere, &format!("{books}{DOOR}"), "")?;
    let entries = [CLIENT4, CLIENT6, STRANGER4, STRANGER6].map(|address| play.token(address, Shape::Words));
    let [text, rss, json, mastodon] = entries;
    let page = |name: &str, text: String| nginx.publish(name, text);
    page("book.txt", format!("hello\n\n{}\n\nbye\n", text?))?;
    page(
        "book.rss",
        format!(
            "<?xml version=\"1.0\"?><rss version=\"2.0\"><channel><title>Book</title><item><title>x</title>\
             <description><![CDATA[<p>{}</p>]]></description></item></channel></rss>",
            rss?
        ),
    )?;
    page(
        "book.json",
        format!(
            "{{\"version\": \"https://jsonfeed.org/version/1.1\", \"title\": \"Book\", \"items\": [{{\"id\": \"1\", \
             \"content_html\": \"<p>{}<\\/p>\"}}]}}",
            json?
        ),
    )?;
    page(
        "mastodon.json",
        format!("[{{\"id\": \"1\", \"content\": \"\\u003cp\\u003e{}\\u003c/p\\u003e\"}}]", mastodon?),
    )?;
    play.start()?;
    for address in [CLIENT4, CLIENT6, STRANGER4, STRANGER6] {
        play.opens(address)?;
    }
    Ok(())
}

fn conditional(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let nginx = Nginx::start(stage, &elsewhere)?;
    let config = format!("{}{DOOR}", book(&elsewhere, "book", "https://a.test/book.html", ""));
    let mut play = Play::set(stage, &elsewhere, &config, "")?;
    let hello = "<p>hello</p>\n".repeat(100);
    nginx.publish("book.html", &hello)?;
    play.start()?;
    let first = nginx.until_visited("/book.html")?;
    ensure!(first.status == 200 && first.encoding == "gzip" && first.bytes < hello.len(), "first visit: {first:?}");
    for _ in 0..2 {
        let next = nginx.until_visited("/book.html")?;
        ensure!(next.status == 304 && next.bytes == 0, "next visit: {next:?}");
    }
    let entry = play.plain(CLIENT4)?;
    nginx.publish("book.html", format!("<p>{entry}</p>\n{hello}"))?;
    play.opens(CLIENT4)
}

fn agent(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let nginx = Nginx::start(stage, &elsewhere)?;
    nginx.publish("book.html", "hello")?;
    let config = |lines| format!("{}{DOOR}", book(&elsewhere, "book", "https://a.test/book.html", lines));
    let play = Play::begin(stage, &elsewhere, &config(""))?;
    let visit = nginx.until_visited("/book.html")?;
    let agent = visit.agent.to_lowercase();
    ensure!(!agent.contains("klopf") && agent.len() > 5, "it calls itself {agent:?}");
    play.scene.configure(&config("user-agent = \"My Reader/1.0\""))?;
    play.scene.says(&["reload"])?;
    klopf_tests::until("it calls itself otherwise", || {
        Ok(nginx.visits()?.last().is_some_and(|visit| visit.agent == "My Reader/1.0"))
    })
}

fn private(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let nginx = Nginx::start(stage, &elsewhere)?;
    let ca = &elsewhere.authority.ca;
    let section = |allowed: &str| {
        format!(
            "[guestbook.book]\nurl = \"https://a.test/book.html\"\nevery = \"1s\"\nca-file = {ca:?}\n\
             {allowed}\n\n{DOOR}"
        )
    };
    let mut play = Play::set(stage, &elsewhere, &section(""), "")?;
    let entry = play.plain(CLIENT4)?;
    nginx.publish("book.html", entry)?;
    play.start()?;
    play.until_trouble("book", &["private-address"])?;
    ensure!(nginx.visits().map_or(true, |visits| visits.is_empty()), "it was asked: {:?}", nginx.visits());
    play.scene.configure(&section("allow-private = [\"10.98.0.12\", \"127.0.0.0/8\"]"))?;
    play.scene.says(&["reload"])?;
    play.until_trouble("book", &["private-address"])?;
    play.scene.configure(&section("allow-private = [\"10.98.0.13\"]"))?;
    play.scene.says(&["reload"])?;
    play.opens(CLIENT4)
}

fn untrusted(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let nginx = Nginx::start(stage, &elsewhere)?;
    let other = Elsewhere::authority(stage, "other")?;
    let section = |ca: &std::path::Path, host: &str| {
        format!(
            "[guestbook.book]\nurl = \"https://{host}/book.html\"\nevery = \"1s\"\nca-file = {ca:?}\n\
             allow-private = [{:?}, \"10.99.0.1\"]\n\n{DOOR}",
            Elsewhere::NETWORK
        )
    };
    let mut play = Play::set(stage, &elsewhere, &section(&other.ca, "a.test"), "")?;
    let entry = play.plain(CLIENT4)?;
    nginx.publish("book.html", entry)?;
    play.start()?;
    play.until_trouble("book", &["tls"])?;
    play.is_closed(CLIENT4)?;
    play.scene.configure(&section(&elsewhere.authority.ca, "10.98.0.13"))?;
    play.scene.says(&["reload"])?;
    // An address can be certified, too.
    play.opens(CLIENT4)
}

fn not_there(stage: &Stage) -> Result {
    let elsewhere = Elsewhere::make(stage)?;
    let nginx = Nginx::start(stage, &elsewhere)?;
    let books = [("gone", "https://a.test/gone.html"), ("unknown", "https://nobody.invalid/")]
        .map(|(name, url)| book(&elsewhere, name, url, ""))
        .concat();
    let play = Play::begin(stage, &elsewhere, &format!("{books}{DOOR}"))?;
    let source = play.until_trouble("gone", &["http-status"])?;
    ensure!(source.get("detail").is_some_and(|detail| detail == 404), "source: {source}");
    play.until_trouble("unknown", &["unknown-host"])?;
    nginx.publish("gone.html", "hello")?;
    play.until_fine("gone").map(drop)
}
