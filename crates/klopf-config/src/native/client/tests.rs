use super::*;

const GOOD: &str = r#"
[smtp]
server = "smtps://ada%40example.org@mail.example"
password-file = "mail.password"
from = "ada@example.org"

[guestbook.a]
url = "https://example.org/guestbook"
form = { author = "Ada", text = "{text}" }

[guestbook.b]
url = "http://127.0.0.1:8080/entries"
insecure = true
json = '{"text": "{text}"}'
headers = { Authorization = "Bearer hunter2" }
"#;

fn faults(text: &str) -> String {
    parse("client.toml", text.as_bytes()).unwrap_err().to_string()
}

#[test]
fn a_file_is_read_with_all_that_it_says() {
    let client = parse("client.toml", GOOD.as_bytes()).unwrap();
    let smtp = client.smtp.clone().unwrap();
    assert_eq!((&*smtp.host, smtp.port, smtp.security), ("mail.example", 465, Security::Tls));
    assert_eq!((smtp.user.as_deref(), &*smtp.from), (Some("ada@example.org"), "ada@example.org"));
    assert_eq!(smtp.password, Password::File("mail.password".into()));
    let [a, b] = client.guestbooks.as_slice() else { panic!("{client:?}") };
    let form = [("author", "Ada"), ("text", "{text}")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!((&*a.name, &a.entry), ("a", &Entry::Form(form.to_vec())));
    assert_eq!((&b.entry, b.headers.len()), (&Entry::Json("{\"text\": \"{text}\"}".into()), 1));
    assert!(!format!("{client:?}").contains("hunter2"));
    assert_eq!(parse("client.toml", b""), Ok(Client::default()));
}

/// As it is, and with the lines that it only shows.
#[test]
fn the_example_is_fine() {
    let example = include_str!("../../../../../examples/client.toml");
    for text in [example, &example.replace("\n#", "\n").replace("\n ", "\n# ")] {
        let client = parse("client.toml", text.as_bytes()).unwrap();
        assert!(client.smtp.is_some_and(|smtp| smtp.user.as_deref() == Some("ada@example.org")));
        let entries: Vec<_> = client.guestbooks.iter().map(|book| matches!(book.entry, Entry::Json(_))).collect();
        assert_eq!(entries, [false, true, true]);
    }
}

#[test]
fn a_mail_server_is_asked_for_tls_unless_told_otherwise() {
    for (text, insecure, read) in [
        ("smtp://mail.example", false, ("mail.example", 587, Security::StartTls, None)),
        ("smtp://mail.example:25/", true, ("mail.example", 25, Security::Plain, None)),
        ("smtps://ada@[2001:db8::1]:4650", true, ("2001:db8::1", 4650, Security::Tls, Some("ada"))),
        ("smtps://a%C3%A4@192.0.2.1", false, ("192.0.2.1", 465, Security::Tls, Some("aä"))),
    ] {
        let (host, port, security, user) = read_server(text, insecure).ok().unwrap();
        assert_eq!((&*host, port, security, user.as_deref()), read, "{text}");
    }
    for text in [
        "",
        "mail.example",
        "imaps://mail.example",
        "smtps://",
        "smtps://@host",
        "smtps://a%zz@host",
        "smtp://h:0",
        "smtps://a b",
        "smtps://[::1]x",
        "smtps://ada@host@",
        "smtps://a%0d%0a@host",
    ] {
        assert!(read_server(text, false).is_err(), "{text}");
    }
}

#[test]
fn what_is_wrong_is_said_and_no_secret_with_it() {
    for (from, to, said) in [
        ("smtps://ada%40example.org@", "smtps://ada:hunter2@", "leave out the password"),
        ("password-file = \"mail.password\"", "password = \"hunter2\"", "a password does not stand in client.toml"),
        ("from = \"ada@example.org\"", "", "`from` is missing"),
        ("from = \"ada@example.org\"", "from = \"Ada\"", "no mail address"),
        ("from =", "fromm =", "did you mean `from`"),
        ("https://example.org", "http://example.org", "`insecure = true`"),
        ("https://example.org", "https://ada:hunter2@example.org", "no address of a web page"),
        ("text = \"{text}\"", "text = \"text\"", "no place for the text"),
        ("json =", "jason =", "either a `form` or `json`"),
        ("headers = { Authorization = \"Bearer hunter2\" }", "headers = \"Bearer hunter2\"", "must be a table"),
        ("headers = { Authorization = \"Bearer hunter2\" }", "headers = { Authorization = \"hunter2\" ", "error"),
        ("[guestbook.a]", "[guestbook.\"a b\"]", "cannot be the name"),
        ("[smtp]", "[smpt]", "unknown key `smpt`"),
    ] {
        assert!(GOOD.contains(from), "{from}");
        let faults = faults(&GOOD.replacen(from, to, 1));
        assert!(faults.contains(said) && !faults.contains("hunter2"), "{faults}");
    }
    assert!(parse("client.toml", b"\xff").is_err());
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes: Vec<u8>, text in "(\\[smtp\\]|server|=|\"|%|[@:/{}a\\n]){0,40}") {
        let _ = (parse("f", &bytes), parse("f", text.as_bytes()), read_server(&text, true).is_ok());
    }
}
