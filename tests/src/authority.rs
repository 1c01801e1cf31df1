//! Certificates of a private authority.

use std::path::PathBuf;
use std::process::Command;

use crate::{Need, Result, Stage, ensure};

/// An authority, and one server's certificate that it has signed.
#[derive(Debug)]
pub struct Authority {
    /// Who trusts it has this file.
    pub ca: PathBuf,
    /// The server's certificate.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl Authority {
    /// What it needs of the machine.
    pub const NEEDS: [Need; 1] = [Need::Program("openssl", "openssl")];

    /// Makes one in this directory of the stage. The certificate is for these names, as `DNS:NAME` or `IP:ADDRESS`.
    ///
    /// # Errors
    /// If that does not work.
    pub fn make(stage: &Stage, directory: &str, names: &[String]) -> Result<Self> {
        let config = stage.write(
            &format!("{directory}/openssl.cnf"),
            &format!(
                "[req]\ndistinguished_name = dn\nprompt = no\n[dn]\nCN = Tests of Klopf\n\
                 [ca]\nbasicConstraints = critical,CA:TRUE\nkeyUsage = critical,keyCertSign\nsubjectKeyIdentifier = hash\n\
                 [server]\nbasicConstraints = critical,CA:FALSE\nextendedKeyUsage = serverAuth\nsubjectAltName = {}\n",
                names.join(",")
            ),
        )?;
        let path = |name: &str| stage.path(directory).join(name);
        let authority = Self { ca: path("ca.pem"), certificate: path("server.pem"), key: path("server.key") };
        let request = || {
            let mut command = Command::new("openssl");
            command.args(["req", "-x509", "-nodes", "-days", "2", "-newkey", "ec"]);
            command.args(["-pkeyopt", "ec_paramgen_curve:P-256", "-config"]).arg(&config);
            command
        };
        let mut ca = request();
        ca.args(["-extensions", "ca", "-out"]).arg(&authority.ca).arg("-keyout").arg(path("ca.key"));
        let mut server = request();
        server.args(["-extensions", "server", "-CA"]).arg(&authority.ca).arg("-CAkey").arg(path("ca.key"));
        server.arg("-out").arg(&authority.certificate).arg("-keyout").arg(&authority.key);
        for mut command in [ca, server] {
            let done = command.output()?;
            ensure!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
        }
        Ok(authority)
    }
}
