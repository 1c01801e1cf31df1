//! Plays systemd on the session's bus, with one unit: `systemd UNIT PROGRAM [ARGUMENT]...`
//!
//! It says `playing` when it is on the bus, and `start` or `stop` for each such job. A start waits for a line on stdin:
//! after `done` the program runs, and the job is done when that has said something; another word is the job's result.
#![forbid(unsafe_code)]

use std::env;
use std::error::Error;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use rustbus::connection::Timeout;
use rustbus::connection::ll_conn::force_finish_on_error;
use rustbus::message_builder::MarshalledMessage;
use rustbus::wire::ObjectPath;
use rustbus::{MessageBuilder, RpcConn, standard_messages};

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

const NAME: &str = "org.freedesktop.systemd1";
const OBJECT: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";

fn main() -> Result {
    let words: Vec<String> = env::args().skip(1).collect();
    let [unit, service @ ..] = words.as_slice() else { return Err("usage: systemd UNIT PROGRAM ...".into()) };
    let mut bus = RpcConn::session_conn(Timeout::Infinite)?;
    let serial = send(&mut bus, standard_messages::request_name(NAME, 0))?;
    bus.wait_response(serial, Timeout::Infinite)?;
    say("playing")?;
    let mut running: Option<Child> = None;
    for number in 1_u32.. {
        let call = bus.wait_call(Timeout::Infinite)?;
        let mut reply = call.dynheader.make_response();
        let verb = match call.dynheader.member.as_deref() {
            Some("StartUnit") => "start",
            Some("StopUnit") => "stop",
            _ => {
                send(&mut bus, reply)?;
                continue;
            }
        };
        let (asked, _): (&str, &str) = call.body.parser().get2()?;
        if asked != unit {
            return Err(format!("asked to {verb} {asked}").into());
        }
        say(verb)?;
        let job = format!("{OBJECT}/job/{number}");
        reply.body.push_param(ObjectPath::new(job.as_str())?)?;
        send(&mut bus, reply)?;
        let result = if verb == "start" { start(service, &mut running)? } else { stop(&mut running)? };
        let mut removed = MessageBuilder::new().signal(MANAGER, "JobRemoved", OBJECT).build();
        removed.body.push_param4(number, ObjectPath::new(job.as_str())?, asked, result.as_str())?;
        send(&mut bus, removed)?;
    }
    Ok(())
}

fn start(service: &[String], running: &mut Option<Child>) -> Result<String> {
    if running.is_some() {
        return Ok("done".into());
    }
    let mut result = String::new();
    io::stdin().read_line(&mut result)?;
    let result = result.trim_end().to_owned();
    if result == "done" {
        let (program, arguments) = service.split_first().ok_or("no program")?;
        let mut child = Command::new(program).args(arguments).stdout(Stdio::piped()).spawn()?;
        BufReader::new(child.stdout.take().ok_or("no pipe")?).read_line(&mut String::new())?;
        *running = Some(child);
    }
    Ok(result)
}

fn stop(running: &mut Option<Child>) -> Result<String> {
    if let Some(mut child) = running.take() {
        child.kill()?;
        child.wait()?;
    }
    Ok("done".into())
}

fn send(bus: &mut RpcConn, mut message: MarshalledMessage) -> Result<u32> {
    Ok(bus.send_message(&mut message)?.write_all().map_err(force_finish_on_error)?)
}

fn say(line: &str) -> Result {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
