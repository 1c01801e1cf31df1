//! The other ways through a door: `run`, `proxy`, several endpoints, and what is said when it stays shut.

use std::io::{Read, Write};

use klopf_tests::{Case, Result, Running, SERVER4, Stage, ensure, until};

use crate::device::{DOOR, Device, NEEDS, SERVER, Server};

/// Answers nothing.
const NOBODY: &str = "10.99.0.77";

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new("run_opens_and_runs_and_gives_the_exit_code", &NEEDS, runs),
        Case::new("the_proxy_knocks_for_any_program", &NEEDS, proxy),
        Case::new("several_endpoints_are_tried_in_order", &NEEDS, endpoints),
        Case::new("a_dry_run_explains_and_sends_nothing", &NEEDS, dry_run),
        Case::new("plain_reasons_are_given_for_what_fails", &NEEDS, reasons),
        Case::new("hits_on_ports_open_and_can_be_written_and_explained", &NEEDS, spelled),
        Case::new("connect_pipes_both_ways_and_ends_with_either_side", &NEEDS, pipes),
    ]
}

fn scene<'a>(stage: &'a Stage, endpoints: &[&str]) -> Result<(Server<'a>, Device<'a>)> {
    let server = Server::guarded(stage, DOOR)?;
    let endpoints = endpoints.iter().flat_map(|endpoint| ["--endpoint", endpoint]);
    let arguments: Vec<&str> = ["laptop", "--door", "ssh"].into_iter().chain(endpoints).collect();
    let line = server.invite(&arguments)?;
    let device = Device::new(stage, &stage.client, "laptop", &format!("{SERVER4} {SERVER}"))?;
    device.join(&line)?;
    device.configure_ssh(&server.sshd, "laptop")?;
    Ok((server, device))
}

fn spelled(stage: &Stage) -> Result {
    let encoded = "keys = [\"*\"]\nencoded = { ports = \"40000-40255\", fields = [\"addr\", \"port\", \"for\"] }\n";
    let server = Server::guarded(stage, &format!("{DOOR}{encoded}"))?;
    let line = server.invite(&["laptop", "--door", "ssh", "--endpoint", SERVER, "--reusable"])?;
    let device = Device::new(stage, &stage.client, "laptop", &format!("{SERVER4} {SERVER}"))?;
    device.join(&line)?;
    let knock = ["knock-encoded", "laptop/ssh", "--allow", "10.99.0.2", "--port", "22", "--for", "20s"];
    device.says(&[&knock[..], &["--wait", "tcp/22", "--timeout", "20s"]].concat())?;
    let status = server.says(&["status"])?;
    ensure!(status.contains("laptop") && status.contains("10.99.0.2"), "status:\n{status}");
    // The hits as a firewall would log them open nothing, but say all.
    let log = device.path("firewall.log").display().to_string();
    device.says(&[&knock[..], &["--to-log", &log]].concat())?;
    let said = server.says(&["explain", "--server", "--log", &log])?;
    for word in ["ssh", "laptop", "10.99.0.2", "for 20s"] {
        ensure!(said.contains(word), "it does not say {word}:\n{said}");
    }
    Ok(())
}

fn runs(stage: &Stage) -> Result {
    let (_server, device) = scene(stage, &[SERVER])?;
    let script = "exec 3<>/dev/tcp/host.test/22 && read -r line <&3 && echo \"$line\" && exit 7";
    let done = device.klopf(&["run", "laptop", "--wait", "tcp/22", "--", "bash", "-c", script])?.output()?;
    ensure!(done.status.code() == Some(7), "{done:?}");
    ensure!(done.stdout.starts_with(b"SSH-2.0"), "{done:?}");
    Ok(())
}

fn proxy(stage: &Stage) -> Result {
    let (_server, device) = scene(stage, &[SERVER])?;
    let _proxy = Running::start(device.klopf(&["proxy"])?, &stage.path("proxy.out"))?;
    stage.client.until_listens(1080, true)?;
    // A program that speaks SOCKS 5 by itself: a greeting, then a request for the server by its name.
    let script = "import socket, sys
s = socket.create_connection(('127.0.0.1', 1080)); s.settimeout(20)
s.sendall(b'\\x05\\x01\\x00'); assert s.recv(2) == b'\\x05\\x00'
s.sendall(b'\\x05\\x01\\x00\\x03' + bytes([len(sys.argv[1])]) + sys.argv[1].encode() + b'\\x00\\x16')
print(s.recv(10)[1], s.recv(7).decode())";
    let mut program = device.command("python3");
    program.args(["-c", script, SERVER]);
    let told = device.runs(program)?;
    ensure!(told.trim() == "0 SSH-2.0", "it got {told:?}");
    Ok(())
}

fn endpoints(stage: &Stage) -> Result {
    let (_server, device) = scene(stage, &[NOBODY, SERVER])?;
    device.says(&["open", "laptop", "--wait", "tcp/22", "--timeout", "20s"])?;
    let told = device.runs(device.ssh("ssh", &[SERVER, "echo", "inside"]))?;
    ensure!(told.trim() == "inside", "ssh printed {told:?}");
    Ok(())
}

fn dry_run(stage: &Stage) -> Result {
    let (server, device) = scene(stage, &[SERVER])?;
    let told = device.says(&["open", "laptop", "--dry-run"])?;
    for word in ["nonce", "the time", "number of this knock", "door", "ssh", &SERVER4.to_string()] {
        ensure!(told.contains(word), "nothing of {word}:\n{told}");
    }
    let status = server.says(&["status", "--json"])?;
    ensure!(status.contains("\"leases\":[]"), "it opened:\n{status}");
    Ok(())
}

fn reasons(stage: &Stage) -> Result {
    let (server, device) = scene(stage, &[SERVER])?;
    device.ends(&["open", "nobody"], 66)?;
    let said = device.ends(&["open", "laptop/cellar"], 66)?;
    ensure!(said.contains("cellar"), "{said}");
    // Open, and nothing listens.
    let said = device.ends(&["open", "laptop", "--wait", "tcp/23", "--timeout", "1s"], 69)?;
    ensure!(said.to_lowercase().contains("23"), "{said}");
    // The daemon is gone: nobody answers.
    server.close()?;
    server.klopfd.signal(klopf_tests::Signal::STOP)?;
    let said = device.ends(&["open", "laptop", "--wait", "tcp/22", "--timeout", "1s"], 69)?;
    ensure!(said.contains("probably") || said.contains("perhaps") || said.contains("clock"), "no reasons:\n{said}");
    server.klopfd.signal(klopf_tests::Signal::CONT)?;
    // No way at all.
    device.host.ip("link set eth0 down")?;
    let said = device.ends(&["open", "laptop"], 69)?;
    ensure!(said.to_lowercase().contains("unreachable"), "{said}");
    Ok(())
}

fn pipes(stage: &Stage) -> Result {
    let (_server, device) = scene(stage, &[SERVER])?;
    let mut command = device.klopf(&["connect", SERVER, "22"])?;
    command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut child = command.spawn()?;
    let mut out = child.stdout.take().ok_or("no pipe")?;
    let mut banner = [0; 7];
    out.read_exact(&mut banner)?;
    ensure!(&banner == b"SSH-2.0", "{banner:?}");
    let mut stdin = child.stdin.take().ok_or("no pipe")?;
    stdin.write_all(b"this is not ssh\r\n")?;
    drop(stdin);
    let mut rest = Vec::new();
    out.read_to_end(&mut rest)?;
    ensure!(rest.len() > 4, "nothing more came: {rest:?}");
    until("it has ended", || Ok(child.try_wait()?.is_some()))
}
