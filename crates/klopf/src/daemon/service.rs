//! How klopfd is started on this host.

use std::fs;

/// The command that does this to klopfd, by whatever starts services here: `start` or `restart`.
pub(crate) fn service(what: &str) -> String {
    if fs::exists("/run/systemd/system").unwrap_or(false) {
        format!("systemctl {what} klopfd")
    } else if fs::exists("/etc/init.d/klopfd").unwrap_or(false) {
        format!("/etc/init.d/klopfd {what}")
    } else if what == "restart" {
        "end klopfd and start it again".to_owned()
    } else {
        "klopfd, which stays in the foreground".to_owned()
    }
}
