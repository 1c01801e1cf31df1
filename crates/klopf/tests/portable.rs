//! The client needs nothing that only Linux has.

use std::process::Command;

#[test]
fn the_client_builds_on_no_linux_part() {
    for target in ["x86_64-pc-windows-gnu", "aarch64-apple-darwin"] {
        let tree = Command::new(env!("CARGO"))
            .args(["tree", "--package", "klopf", "--edges", "normal", "--prefix", "none", "--target", target])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
        let tree = String::from_utf8(tree.stdout).unwrap();
        let names: Vec<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
        assert!(names.contains(&"klopf-config") && names.contains(&"clap"), "{tree}");
        for name in names {
            let linux = name.starts_with("netlink-")
                || ["caps", "klopf-gate", "klopf-sys", "klopfd", "landlock", "sd-notify", "seccompiler"]
                    .contains(&name);
            assert!(!linux, "{name} on {target}");
        }
    }
}
