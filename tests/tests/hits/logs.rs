//! Hits and tokens that logs tell of.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::IpAddr;
use std::path::Path;

use klopf_spa::encoded::{Claim, Fields, Span, Template, Transport, Whom};
use klopf_tests::scene::{NEEDS, PORTS, SSH, STRANGER4, door as plain_door};
use klopf_tests::{
    CLIENT4, Case, KernelLog, Need, Result, Rsyslog, Running, SERVER4, Service, Signal, Stage, ensure, until,
};
use klopf_wire::text;

use crate::play::{Play, door, shaken};

const CURL: Need = Need::Program("curl", "curl");
const NGINX: Need = Need::Program("nginx", "nginx");
const CHROMIUM: Need = Need::Program("chromium", "chromium");
const JOURNALD: Need = Need::Program("/lib/systemd/systemd-journald", "systemd");
/// Begins the command of a daemon beside which a journald runs, in a `/run` of their own.
const WITH_JOURNALD: [&str; 4] = [
    "sh",
    "-c",
    "mount -t cgroup2 cgroup2 /sys/fs/cgroup; mkdir -p /run/systemd/journal /run/log/journal; /lib/systemd/systemd-journald & \
     until [ -S /run/systemd/journal/stdout ]; do :; done; exec \"$@\"",
    "sh",
];
const SETPRIV: Need = Need::Program("setpriv", "util-linux");
const IPTABLES: Need = Need::Program("iptables", "iptables");
/// The daemon looks at no packet.
const SOURCES: &str = "[\"log\"]";

pub(crate) fn cases() -> Vec<Case> {
    let [python, nft] = NEEDS;
    let [rsyslogd, kernel] = Rsyslog::NEEDS;
    vec![
        Case::new(
            "what_iptables_and_nft_log_through_rsyslog_opens_as_claimed_and_once",
            &[python, nft, rsyslogd, kernel, IPTABLES],
            kernel_log,
        ),
        Case::new("what_nft_sends_to_nflog_opens_without_cap_net_raw", &[python, nft, SETPRIV], nflog),
        Case::new("each_line_counts_once_whatever_becomes_of_the_file", &NEEDS, rotated),
        Case::new("reading_goes_on_where_it_stopped_after_any_end", &NEEDS, restarted),
        Case::new("old_lines_begin_no_plain_sequence", &NEEDS, old),
        Case::new("a_log_and_packets_do_not_disturb_each_other", &NEEDS, both),
        Case::new("a_request_at_nginx_opens_by_its_access_log", &[python, nft, NGINX, CURL, CHROMIUM], access_log),
        Case::new(
            "what_the_kernel_says_in_the_journal_opens",
            &[python, nft, JOURNALD, kernel, Need::Cgroups],
            journal,
        ),
        Case::new("hostile_lines_are_just_bytes", &NEEDS, hostile),
    ]
}

fn template(fields: Fields) -> Result<Template> {
    Ok(Template { span: Span::new(40000, 40255).ok_or("no span")?, transport: Transport::Tcp, fields })
}

const FOR_PORT: Fields = Fields { whom: Whom::V4, port: true, hold: true, flags: false };
const FOR: Fields = Fields { whom: Whom::V4, port: false, hold: true, flags: false };

fn claim(address: IpAddr) -> Claim {
    Claim { allow: Some((address, 32)), port: None, hold: 0, flags: 0 }
}

fn section(path: &Path, lines: &str) -> String {
    format!("[log.kern]\nfile = {path:?}\n{lines}\n\n")
}

/// A scene whose daemon looks at logs alone, and is ready.
fn begin<'a>(stage: &'a Stage, config: &str) -> Result<Play<'a>> {
    let mut play = Play::set(stage, config, "")?;
    play.scene.set_daemon("sources", SOURCES)?;
    play.start()?;
    Ok(play)
}

/// A rule that logs hits with a word.
fn logged(word: &str) -> String {
    format!(
        "add table inet heard; add chain inet heard c {{ type filter hook prerouting priority -350; }}; \
         add rule inet heard c tcp dport 40000-40255 tcp flags syn log prefix \"{word}\""
    )
}

fn kernel_log(stage: &Stage) -> Result {
    let _switch = KernelLog::allow()?;
    let word = format!("KT{} ", std::process::id());
    let rsyslog = Rsyslog::start(stage, &word)?;
    let two = door("\"addr\", \"port\", \"for\"", "").replace("[\"tcp/22\"]", "[\"tcp/22\", \"tcp/443\"]");
    let mut play =
        begin(stage, &format!("{two}{}", section(&rsyslog.log, &format!("preset = \"nft\"\nprefix = {word:?}"))))?;
    let sockets = stage.server.run("cat", &["/proc/net/packet"])?;
    ensure!(sockets.lines().count() == 1, "there is a packet socket:\n{sockets}");
    let iptables = [
        "-t",
        "raw",
        "-A",
        "PREROUTING",
        "-p",
        "tcp",
        "--dport",
        "40000:40255",
        "--syn",
        "-j",
        "LOG",
        "--log-prefix",
        &word,
    ];
    let template = template(FOR_PORT)?;
    for (round, begins) in (0..).zip(["nft", "iptables"]) {
        if begins == "nft" {
            stage.server.run("nft", &[&logged(&word)])?;
        } else {
            stage.server.run("nft", &["delete table inet heard"])?;
            stage.server.run("iptables", &iptables)?;
        }
        let address: IpAddr = if round == 0 { CLIENT4 } else { STRANGER4 };
        let said = Claim { port: Some(22), hold: 300, ..claim(address) };
        let ports = play.ports("ssh", &template, &said)?;
        ensure!(ports.len() <= 20, "{} hits", ports.len());
        let shaken = shaken(&ports, round);
        play.hit("10.99.0.77".parse()?, Transport::Tcp, &shaken)?;
        let lease = play.until_let_in(address, "log")?;
        let left = lease.get("left-ms").and_then(serde_json::Value::as_u64).unwrap_or_default();
        ensure!((200_000..=300_000).contains(&left), "it has {left} ms left, not 300 s");
        play.scene.is_closed(address, SERVER4, Service::Tcp(443))?;
        // The same hits again, from anywhere.
        play.revoke()?;
        let before = play.count("replayed")?;
        play.hit("10.99.0.78".parse()?, Transport::Tcp, &ports)?;
        until("they are refused", || Ok(play.count("replayed")? == before + 1))?;
        play.has_leases(0)?;
        play.scene.is_closed(address, SERVER4, SSH)?;
    }
    rsyslog.stop()
}

fn nflog(stage: &Stage) -> Result {
    let plain = plain_door("plain", "guard = [\"tcp/443\"]\nopen-for = \"600s\"");
    let mut play = Play::set(stage, &format!("{}{plain}[log.fire]\nnflog = 7\n", door("\"addr\", \"for\"", "")), "")?;
    play.scene.set_daemon("sources", SOURCES)?;
    play.start_under(&["setpriv", "--bounding-set", "-net_raw"])?;
    let doctor = play.scene.klopf(&["doctor"])?.output()?;
    let doctor = String::from_utf8_lossy(&doctor.stdout);
    ensure!(!doctor.contains("has no CAP_NET_RAW"), "klopf doctor asks for too much:\n{doctor}");
    stage.server.run(
        "nft",
        &["add table inet heard; add chain inet heard c { type filter hook prerouting priority -350; }; \
           add rule inet heard c tcp flags syn log group 7"],
    )?;
    let ports = play.ports("ssh", &template(FOR)?, &claim(STRANGER4))?;
    play.hit(CLIENT4, Transport::Tcp, &ports)?;
    play.until_let_in(STRANGER4, "log")?;
    play.scene.knock(CLIENT4)?;
    play.scene.until_open(CLIENT4, SERVER4, Service::Tcp(443))?;
    // Another watch gets the group as well.
    play.kill_watch()?;
    let ports = play.ports("ssh", &template(FOR)?, &claim(CLIENT4))?;
    until("it opens again", || {
        play.hit("10.99.0.90".parse()?, Transport::Tcp, &ports)?;
        Ok(play.scene.status()?.leases() == 3)
    })
}

/// Lines as the kernel writes them.
fn lines(from: IpAddr, ports: &[u16]) -> String {
    let line = |port: &u16| {
        format!(
            "Nov 23 10:00:00 host kernel: [1.0] IN=eth0 OUT= MAC=02 SRC={from} DST={SERVER4} LEN=60 TOS=0x00 PREC=0x00 TTL=64 ID=1 \
             DF PROTO=TCP SPT={} DPT={port} WINDOW=64240 RES=0x00 SYN URGP=0\n",
            30000 + port % 1000
        )
    };
    ports.iter().map(line).collect()
}

fn append(path: &Path, text: &str) -> Result {
    Ok(OpenOptions::new().append(true).create(true).open(path)?.write_all(text.as_bytes())?)
}

fn rotated(stage: &Stage) -> Result {
    let path = stage.write("kern.log", "")?;
    let config = format!("{}{}", door("\"addr\", \"for\"", ""), section(&path, "preset = \"iptables\""));
    let mut play = begin(stage, &config)?;
    let template = template(FOR)?;
    let mut opens = |last: u8, write: &dyn Fn(&str, &str) -> Result| -> Result {
        let address: IpAddr = [10, 99, 0, last].into();
        let ports = play.ports("ssh", &template, &claim(address))?;
        let (one, other) = ports.split_at(9);
        write(&lines(CLIENT4, one), &lines(CLIENT4, other))?;
        play.scene.until_status(&format!("{address} is let in"), |status| status.lease(address).is_ok())?;
        ensure!(play.count("replayed")? == 0, "a line counted twice");
        Ok(())
    };
    opens(100, &|one, other| append(&path, &format!("{one}{other}")))?;
    // Renamed in the middle of a sequence, with a line that the old writer finishes afterwards.
    let old = stage.path("kern.log.1");
    opens(101, &|one, other| {
        let (half, rest) = one.split_at(one.len() - 30);
        append(&path, half)?;
        fs::rename(&path, &old)?;
        append(&old, rest)?;
        append(&path, other)
    })?;
    // Copied and truncated.
    opens(102, &|one, other| {
        append(&path, one)?;
        let length = fs::metadata(&path)?.len();
        ensure!(length > 0, "nothing is there");
        // What is not read yet would be lost by any reader.
        until("it is read", || Ok(read_up_to(stage, &path)? == length))?;
        fs::copy(&path, stage.path("kern.log.2"))?;
        OpenOptions::new().write(true).open(&path)?.set_len(0)?;
        append(&path, other)
    })?;
    // Removed, and made anew.
    opens(103, &|one, other| {
        append(&path, one)?;
        fs::remove_file(&path)?;
        append(&path, other)
    })
}

/// How far the daemon has written down that it has read.
fn read_up_to(stage: &Stage, path: &Path) -> Result<u64> {
    let noted = stage.text("state/logs");
    let line = noted.lines().rfind(|line| line.ends_with(&path.display().to_string()));
    Ok(line.and_then(|line| line.split('\t').nth(2)).and_then(|offset| offset.parse().ok()).unwrap_or_default())
}

fn restarted(stage: &Stage) -> Result {
    let path = stage.write("kern.log", &lines(CLIENT4, &[1, 2, 3]))?;
    let config =
        format!("{}{}", door("\"addr\", \"for\"", ""), section(&path, "preset = \"ufw\"\nprefix = \"[1.0] \""));
    let mut play = begin(stage, &config)?;
    let template = template(FOR)?;
    for (last, signal) in [(100, Signal::TERM), (110, Signal::KILL)] {
        // One before, half of one before and half after, and one while nobody reads.
        let addresses: [IpAddr; 3] = [0, 1, 2].map(|n| [10, 99, 0, last + n].into());
        let mut made = |address| play.ports("ssh", &template, &claim(address));
        let [first, second, third] = [made(addresses[0])?, made(addresses[1])?, made(addresses[2])?];
        append(&path, &lines(CLIENT4, &first))?;
        play.scene.until_status("the first is let in", |status| status.lease(addresses[0]).is_ok())?;
        play.end(signal)?;
        append(&path, &lines(CLIENT4, &third))?;
        play.start()?;
        play.scene.until_status("what came meanwhile counts", |status| status.lease(addresses[2]).is_ok())?;
        append(&path, &lines(CLIENT4, &second))?;
        play.scene.until_status("what comes now counts", |status| status.lease(addresses[1]).is_ok())?;
        let length = fs::metadata(&path)?.len();
        until("it has noted where it is", || Ok(read_up_to(stage, &path)? == length))?;
        let told = play.scene.status()?;
        ensure!(told.list("refusals").is_empty(), "what was read again is told of: {}", told.0);
    }
    Ok(())
}

fn old(stage: &Stage) -> Result {
    let path = stage.write("kern.log", "")?;
    let plain = plain_door("ssh", "guard = [\"tcp/22\"]\nopen-for = \"600s\"");
    let mut play = begin(stage, &format!("{plain}{}", section(&path, "preset = \"iptables\"")))?;
    append(&path, &lines(CLIENT4, &PORTS))?;
    play.scene.until_open(CLIENT4, SERVER4, SSH)?;
    play.end(Signal::TERM)?;
    append(&path, &lines(STRANGER4, &PORTS))?;
    play.start()?;
    append(&path, &lines("10.99.0.50".parse()?, &PORTS))?;
    play.scene.until_status("what comes now counts", |status| status.leases() > 0)?;
    play.scene.is_closed(STRANGER4, SERVER4, SSH)
}

fn both(stage: &Stage) -> Result {
    let path = stage.write("kern.log", "")?;
    let plain = plain_door("plain", "guard = [\"tcp/443\"]\nopen-for = \"600s\"\nvia = [\"sequence\", \"log\"]");
    let config = format!("{}{plain}{}", door("\"addr\", \"for\"", ""), section(&path, "preset = \"nft\""));
    let mut play = Play::begin(stage, &config)?;
    let template = template(FOR)?;
    // Each packet, and then its line.
    let ports = play.ports("ssh", &template, &claim(STRANGER4))?;
    for port in PORTS.iter().chain(&ports) {
        play.hit(CLIENT4, Transport::Tcp, &[*port])?;
        append(&path, &lines(CLIENT4, &[*port]))?;
    }
    play.until_let_in(STRANGER4, "encoded").or_else(|_| play.until_let_in(STRANGER4, "log"))?;
    play.scene.until_open(CLIENT4, SERVER4, Service::Tcp(443))?;
    let told = play.scene.status()?;
    ensure!(told.list("refusals").is_empty(), "one has disturbed the other: {}", told.0);
    Ok(())
}

fn access_log(stage: &Stage) -> Result {
    let directory = stage.path("web");
    fs::create_dir_all(directory.join("pages"))?;
    let config = stage.write(
        "web/nginx.conf",
        &format!(
            "user root;\nworker_processes 1;\ndaemon off;\npid {0}/pid;\nerror_log {0}/error.log;\n\
             events {{ worker_connections 256; }}\nhttp {{\n  access_log {0}/access.log;\n  client_body_temp_path {0}/b;\n\
             proxy_temp_path {0}/p;\n  fastcgi_temp_path {0}/f;\n  uwsgi_temp_path {0}/u;\n  scgi_temp_path {0}/s;\n\
             server {{ listen 8080; listen [::]:8080; root {0}/pages; }}\n}}\n",
            directory.display()
        ),
    )?;
    stage.write("web/pages/index.html", "<html><body><h1>Nothing to see</h1></body></html>")?;
    let mut command = stage.server.command("nginx");
    command.arg("-e").arg(directory.join("error.log")).arg("-c").arg(config);
    let _nginx = Running::start(command, &stage.path("nginx.out"))?;
    until("nginx listens", || stage.server.listens(8080))?;
    let log = format!("[log.web]\nfile = {:?}\n", directory.join("access.log"));
    let plain = "[door.ssh]\nguard = [\"tcp/22\"]\nopen-for = \"600s\"\nkeys = [\"*\"]\nvia = [\"log\"]\n\n";
    let mut play = begin(stage, &format!("{plain}{log}"))?;
    let token = |play: &mut Play<'_>, address: IpAddr| -> Result<String> {
        let claim = play.ada.claim("ssh", address)?;
        let token = play.server.token(&play.ada, &claim)?;
        Ok(text::write(&token, text::Shape::Plain, &mut |_| {}).ok_or("no text")?)
    };
    // By curl, for another address.
    let url = format!("http://10.99.0.1:8080/anything?{}", token(&mut play, STRANGER4)?);
    stage.client.run("curl", &["-s", "-o", "/dev/null", &url])?;
    play.until_let_in(STRANGER4, "log")?;
    play.revoke()?;
    stage.client.run("curl", &["-s", "-o", "/dev/null", &url])?;
    until("the second is counted", || Ok(play.count("replayed")? == 1))?;
    play.scene.is_closed(STRANGER4, SERVER4, SSH)?;
    // By a browser, which asks for a picture besides and says where it comes from.
    let url = format!("http://10.99.0.1:8080/index.html?{}", token(&mut play, CLIENT4)?);
    let home = stage.path("browser");
    let home = format!("--user-data-dir={}", home.display());
    let words = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", &home, "--dump-dom", &url];
    let page = stage.client.run("chromium", &words)?;
    ensure!(page.contains("Nothing to see"), "the browser shows {page}");
    play.until_let_in(CLIENT4, "log")?;
    play.until_logged(&["opened", "key ada", "log web"])?;
    let status = play.scene.status()?;
    ensure!(status.list("refusals").is_empty(), "a browser is no reason for refusals: {}", status.0);
    Ok(())
}

fn journal(stage: &Stage) -> Result {
    let _switch = KernelLog::allow()?;
    let word = format!("KJ{} ", std::process::id());
    let log = format!("[log.kern]\njournal = \"kernel\"\npreset = \"nft\"\nprefix = {word:?}\n");
    let mut play = Play::set(stage, &format!("{}{log}", door("\"addr\", \"for\"", "")), "")?;
    play.scene.set_daemon("sources", SOURCES)?;
    play.start_under(&WITH_JOURNALD)?;
    stage.server.run("nft", &[&logged(&word)])?;
    let template = template(FOR)?;
    for (address, kills) in [(CLIENT4, false), (STRANGER4, true)] {
        if kills {
            play.kill_watch()?;
        }
        // Until journalctl listens nobody hears it, and it is the same when it comes again.
        until(&format!("{address} is let in"), || {
            let ports = play.ports("ssh", &template, &claim(address))?;
            play.hit("10.99.0.90".parse()?, Transport::Tcp, &ports)?;
            let heard = || Ok(play.scene.status()?.lease(address).is_ok());
            (0..10).try_fold(false, |done, _| if done { Ok(true) } else { heard() })
        })?;
        play.until_let_in(address, "log")?;
    }
    play.has_leases(2)
}

fn hostile(stage: &Stage) -> Result {
    let path = stage.write("kern.log", "")?;
    let config = format!("{}{}", door("\"addr\", \"for\"", ""), section(&path, "preset = \"iptables\"\ntokens = true"));
    let mut play = begin(stage, &config)?;
    let mut bytes: Vec<u8> = Vec::new();
    for length in [0, 1, 2047, 2048, 2049, 1 << 20] {
        bytes.extend(std::iter::repeat_n(b'A', length));
        bytes.push(b'\n');
        bytes.extend((0..=255).filter(|byte| *byte != b'\n').cycle().take(length));
        bytes.push(b'\n');
        bytes.extend(b" IN=eth0 OUT= SRC=".iter().copied().cycle().take(length));
        bytes.push(b'\n');
    }
    OpenOptions::new().append(true).open(&path)?.write_all(&bytes)?;
    // One that no address can be let in by.
    let nobody = play.ports("ssh", &template(FOR)?, &claim(CLIENT4))?;
    let feigned = lines(CLIENT4, &nobody).replace(&CLIENT4.to_string(), "999.1.1.1");
    append(&path, &feigned)?;
    let ports = play.ports("ssh", &template(FOR)?, &claim(CLIENT4))?;
    append(&path, &lines(STRANGER4, &ports))?;
    play.until_let_in(CLIENT4, "log")?;
    play.has_leases(1)?;
    let memory = play.watch_memory()?;
    ensure!(memory < 20 * 1024, "the watch takes {memory} kB");
    let shown = play.scene.says(&["status"])?;
    ensure!(shown.contains("kern"), "klopf status does not tell of the log:\n{shown}");
    Ok(())
}
