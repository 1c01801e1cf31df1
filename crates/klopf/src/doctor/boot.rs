//! What happens at the next boot.

use std::fs;
use std::path::Path;

use klopf_control::Table;

use super::finding::Findings;
use super::host::Host;

const ABOUT: &str = "boot";
/// Programs that load rules at boot, and begin by removing all there are.
const LOADERS: [&str; 3] = ["nftables", "ufw", "firewalld"];

pub(super) fn check(host: &Host, findings: &mut Findings) {
    let root = Path::new("/");
    let (enabled, how): (fn(&Path, &str) -> bool, _) = if fs::exists("/run/systemd/system").unwrap_or(false) {
        (by_systemd, "systemctl enable klopfd")
    } else if fs::exists("/etc/rc2.d").unwrap_or(false) {
        (by_sysv, "update-rc.d klopfd defaults")
    } else {
        return;
    };
    if !enabled(root, "klopfd") {
        let text = "klopfd is not started at boot: then no port is guarded, and no knock opens anything";
        return findings.warn(ABOUT, text, how);
    }
    let loaders: Vec<&str> = LOADERS.into_iter().filter(|name| enabled(root, name)).collect();
    let table = host.status.as_ref().map(|status| status.table);
    if loaders.is_empty() {
        findings.fine(ABOUT, "klopfd is started, and nothing else that removes rules");
    } else if table == Some(Table::Shared) {
        findings.warn(
            ABOUT,
            format!("{} removes all rules when it is started, Klopf's as well", loaders.join(" and ")),
            "klopfd restores them within 100 ms while it runs; with Linux 6.9 or later and without share-table nobody \
             can remove them",
        );
    } else {
        findings.fine(ABOUT, format!("klopfd is started; {} cannot remove Klopf's table", loaders.join(" and ")));
    }
}

fn by_systemd(root: &Path, name: &str) -> bool {
    let unit = format!("{name}.service");
    ["etc/systemd/system", "usr/lib/systemd/system"].into_iter().any(|directory| {
        let wants = |entry: &fs::DirEntry| {
            let directory = entry.file_name();
            let directory = directory.to_string_lossy();
            directory.ends_with(".wants") || directory.ends_with(".requires")
        };
        let Ok(entries) = fs::read_dir(root.join(directory)) else { return false };
        // A link may lead nowhere for this look, as under another root.
        entries.flatten().filter(wants).any(|entry| fs::symlink_metadata(entry.path().join(&unit)).is_ok())
    })
}

fn by_sysv(root: &Path, name: &str) -> bool {
    (2..=5).map(|level| root.join(format!("etc/rc{level}.d"))).chain([root.join("etc/rcS.d")]).any(|directory| {
        let starts = |entry: fs::DirEntry| {
            let link = entry.file_name();
            link.to_str().and_then(|link| link.strip_prefix('S')?.get(2..)).is_some_and(|service| service == name)
        };
        fs::read_dir(directory).is_ok_and(|entries| entries.flatten().any(starts))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_started_at_boot_is_found() {
        let root = std::env::temp_dir().join(format!("klopf-doctor-boot-{}", std::process::id()));
        let wants = root.join("etc/systemd/system/sysinit.target.wants");
        let runlevel = root.join("etc/rc2.d");
        fs::create_dir_all(&wants).unwrap();
        fs::create_dir_all(&runlevel).unwrap();
        std::os::unix::fs::symlink("/nowhere", wants.join("nftables.service")).unwrap();
        fs::write(runlevel.join("S01klopfd"), "").unwrap();
        fs::write(runlevel.join("K01ufw"), "").unwrap();
        let found = (by_systemd(&root, "nftables"), by_systemd(&root, "klopfd"));
        let sysv = (by_sysv(&root, "klopfd"), by_sysv(&root, "ufw"));
        fs::remove_dir_all(&root).unwrap();
        assert_eq!((found, sysv), ((true, false), (true, false)));
    }
}
