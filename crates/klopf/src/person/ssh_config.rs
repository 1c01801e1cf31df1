//! `klopf ssh-config`: what makes ssh knock by itself.

use std::env;
use std::path::Path;
use std::process::ExitCode;

use super::What;
use crate::failure::{Failure, code};
use crate::profile::{Folders, Kept, Store};
use crate::say;

pub(super) fn run(what: &What) -> Result<ExitCode, Failure> {
    let kept = Store::new(&Folders::find()?).choose(what.profile.as_ref())?;
    let door = what.door.as_ref();
    if let Some(unknown) = door.filter(|door| !kept.profile.doors.contains(door)) {
        let why = format_args!("the profile {} knows no door {unknown}", kept.name);
        return Err(Failure::new(code::NO_INPUT, why));
    }
    let program = env::current_exe()
        .map_err(|error| Failure::new(code::SYSTEM, format_args!("cannot tell where this program is: {error}")))?;
    let profile = match door {
        Some(door) => format!("{}/{door}", kept.name),
        None => kept.name.to_string(),
    };
    match block(&kept, &profile, &program) {
        Some(block) => {
            say(block.trim_end());
            Ok(ExitCode::SUCCESS)
        }
        None => {
            let why = format_args!("ssh cannot be told to run {}; put klopf elsewhere", program.display());
            Err(Failure::new(code::SYSTEM, why))
        }
    }
}

/// Lines for ssh_config(5). None if the program's path cannot stand in them.
fn block(kept: &Kept, profile: &str, program: &Path) -> Option<String> {
    let program = program.to_str().filter(|path| !path.contains(char::is_control))?;
    // ssh replaces what begins with %, and gives the rest to a shell.
    let program = if cfg!(windows) { format!("\"{program}\"") } else { crate::shell::quoted(program) };
    let program = program.replace('%', "%%");
    let name = &kept.name;
    let endpoints = &kept.profile.endpoints;
    let first = endpoints.first()?;
    // A name with a dot could be that of another host, and who invites chooses it.
    let own = Some(name.to_string()).filter(|name| !name.contains('.'));
    let others = endpoints.iter().filter(|endpoint| Some(*endpoint) != own.as_ref()).cloned();
    let hosts: Vec<String> = own.iter().cloned().chain(others).collect();
    let alias =
        if hosts.len() > endpoints.len() { format!("Host {name}\n    HostName {first}\n") } else { String::new() };
    Some(format!(
        "# Knocks before each connection. Made by: klopf ssh-config {profile}\n{alias}Host {}\n    \
         ProxyCommand {program} connect -p {profile} %h %p\n",
        hosts.join(" ")
    ))
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use klopf_config::profile;
    use klopf_spa::Name;

    use super::*;

    fn shown(endpoints: &str, program: &str) -> Option<String> {
        let key = "A".repeat(43);
        let text = format!(
            "endpoints = [{endpoints}]\ndoors = [\"ssh\"]\nport = 1\ndevice = \"{}\"\nserver = \"{key}\"\n\
             private = \"{key}\"\npsk = \"{key}\"\n",
            "0".repeat(32)
        );
        let profile = profile::parse("p", text.as_bytes()).unwrap();
        let kept = Kept { name: Name::new("home").unwrap(), path: "p".into(), profile };
        block(&kept, "home/ssh", Path::new(program))
    }

    #[test]
    fn ssh_gets_a_name_and_the_endpoints() {
        let expected = "\
# Knocks before each connection. Made by: klopf ssh-config home/ssh
Host home
    HostName host.example
Host home host.example 2001:db8::1
    ProxyCommand /usr/bin/klopf connect -p home/ssh %h %p
";
        assert_eq!(shown(r#""host.example", "2001:db8::1""#, "/usr/bin/klopf").unwrap(), expected);
        assert!(!shown(r#""home""#, "/usr/bin/klopf").unwrap().contains("HostName"));
    }

    #[test]
    fn a_program_elsewhere_stays_one_word() {
        let shown = |program| shown(r#""host.example""#, program);
        assert!(
            shown("/my tools/it's 100%/klopf")
                .unwrap()
                .contains(r"ProxyCommand '/my tools/it'\''s 100%%/klopf' connect")
        );
        assert_eq!(shown("/new\nline/klopf"), None);
    }
}
