#![forbid(unsafe_code)]
use std::process::ExitCode;
use klopf_tests::*;
fn main() -> ExitCode {
    run(vec![
        Case::new("dovecot", &[], dovecot),
        Case::new("postfix", &[], postfix),
        Case::new("books", &[], books),
        Case::new("hostile", &[], hostile),
    ])
}
fn dovecot(stage: &Stage) -> Result {
    let begun = std::time::Instant::now();
    let authority = Authority::make(stage, "authority")?;
    for idle in [true, false] {
        let dovecot = if idle { Dovecot::start(stage, &authority)? } else { Dovecot::start_without_idle(stage, &authority)? };
        eprintln!("up {:?}", begun.elapsed());
        dovecot.deliver("Subject: hi\n\n.hello\n")?;
        eprintln!("{:?}", dovecot.mails("INBOX")?);
        let big = format!("Subject: big\n\n{}", "x\n".repeat(25_000_000));
        dovecot.deliver(&big)?;
        eprintln!("big {:?}", begun.elapsed());
        let said = stage.server.run("python3", &["-c", "import imaplib,ssl,sys
x=ssl.create_default_context(cafile=sys.argv[1])
c=imaplib.IMAP4_SSL('127.0.0.2',993,ssl_context=x)
print(c.login('ada',sys.argv[2]), c.capability(), c.select(), c.store('1','+FLAGS','(\\\\Seen)'), c.create('Knocks'), c.copy('1', 'Knocks'))", &authority.ca.display().to_string(), Dovecot::PASSWORD])?;
        eprintln!("{said}");
        let hostile = Hostile::imap(stage, "127.0.0.7", "127.0.0.2", "good")?;
        for (n, deed) in ["good", "literal", "gigabyte"].into_iter().enumerate() {
        hostile.does(deed)?;
        let done = stage.server.output("python3", &["-c", "import imaplib,ssl,sys
c=imaplib.IMAP4('127.0.0.7')
print(c.login('ada',sys.argv[1]), c.select(), flush=True)
c.file.close()
c.send(b'x FETCH 1 BODY[]\\r\\n')
n=0
while n<100000000:
    got=c.sock.recv(65536)
    if n<1000: print(got[:200], flush=True)
    n+=len(got)
    if not got or b'x OK' in got: break
print(n)
", Dovecot::PASSWORD])?;
        eprintln!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        }
        eprintln!("{:?} {:?}", dovecot.mails("INBOX")?.iter().map(|m| (m.seen, m.deleted)).collect::<Vec<_>>(), dovecot.mails("Knocks")?);
        dovecot.stop(stage)?;
    }
    Ok(())
}
fn postfix(stage: &Stage) -> Result {
    let begun = std::time::Instant::now();
    let authority = Authority::make(stage, "authority")?;
    let dovecot = Dovecot::start(stage, &authority)?;
    let got = stage.path("got");
    let script = stage.script("pipe", &format!("cat >> {}", got.display()))?;
    std::fs::write(&got, "")?;
    stage.server.run("chown", &["nobody", &got.display().to_string()])?;
    let postfix = Postfix::start(stage, &[&script.display().to_string()], &dovecot.socket())?;
    eprintln!("up {:?}", begun.elapsed());
    for to in [Postfix::PIPED, Postfix::FORWARDED, Postfix::DELIVERED] {
        postfix.submit(&stage.client, to, "Subject: by\n\nPostfix\n")?;
        postfix.until_sent(to, 1)?;
        eprintln!("{to} {:?}", begun.elapsed());
    }
    eprintln!("{}\n{:?}", stage.text("got"), dovecot.mails("INBOX")?);
    postfix.stop()
}
fn books(stage: &Stage) -> Result {
    let begun = std::time::Instant::now();
    let authority = Authority::make(stage, "authority")?;
    let nginx = Nginx::start(stage, &authority)?;
    eprintln!("nginx {:?}", begun.elapsed());
    let isso = Isso::start(stage, &authority, &nginx)?;
    eprintln!("isso {:?}", begun.elapsed());
    isso.write("book", &["Hello, it's \"me\" & www.example.org\nnext line", "Grüße!"])?;
    eprintln!("written {:?}", begun.elapsed());
    nginx.publish("book.html", isso.page("book")?)?;
    let hosts = stage.write("hosts", &authority::hosts())?;
    for url in [Isso::feed("book"), Isso::json("book"), "https://book.test/book.html".into()] {
        let said = stage.server.run("sh", &["-c", "mount --bind $0 /etc/hosts && curl -s -i --compressed --cacert $1 $2", &hosts.display().to_string(), &authority.ca.display().to_string(), &url])?;
        eprintln!("{said}");
    }
    eprintln!("{:?}\n{:?}", nginx.visits()?, begun.elapsed());
    Ok(())
}
fn hostile(stage: &Stage) -> Result {
    let web = Hostile::web(stage, "127.0.0.7", "good")?;
    web.has("<p>hello</p>")?;
    for deed in ["good", "feed", "silent", "trickle", "endless", "headers", "bomb", "redirects", "elsewhere http://127.0.0.1/", "error", "garbage", "cut", "utf8", "deep", "brackets", "entities"] {
        web.does(deed)?;
        let done = stage.server.output("curl", &["-s", "-L", "--compressed", "-m", "3", "-o", "/dev/null", "-w", "%{http_code} %{size_download} %{num_redirects}\n", "http://127.0.0.7/"])?;
        eprintln!("{deed} {:?} {}", done.status.code(), String::from_utf8_lossy(&done.stdout));
    }
    web.until_done("good", 1)?;
    let authority = Authority::make(stage, "authority")?;
    let web = Hostile::secure_web(stage, "127.0.0.7", &authority, "good")?;
    for deed in ["good", "old", "plain"] {
        web.does(deed)?;
        let done = stage.server.output("curl", &["-s", "--cacert", &authority.ca.display().to_string(), "-m", "3", "https://127.0.0.7/"])?;
        eprintln!("{deed} {:?} {}", done.status.code(), String::from_utf8_lossy(&done.stdout));
    }
    Ok(())
}
