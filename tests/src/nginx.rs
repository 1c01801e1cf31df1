//! The real nginx: TLS by a private authority, pages of a directory, and what stands behind it.

use std::fs;
use std::path::PathBuf;

use crate::{Authority, Elsewhere, Need, Result, Running, Stage, ensure, until};

/// An nginx with the same pages for all names, at port 443.
#[derive(Debug)]
pub struct Nginx {
    running: Running,
    directory: PathBuf,
}

/// A request, as nginx has logged it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visit {
    /// The path.
    pub path: String,
    /// Status of the answer.
    pub status: u16,
    /// Bytes of the answer's body.
    pub bytes: usize,
    /// `Content-Encoding` of the answer; `-`: none.
    pub encoding: String,
    /// What asked calls itself.
    pub agent: String,
}

impl Nginx {
    /// What it needs of the machine.
    pub const NEEDS: [Need; 2] = [Need::Program("nginx", "nginx"), Authority::NEEDS[0]];

    /// Starts it, and waits until it listens. What is asked of `/isso/` it asks of the socket `isso` of the stage.
    ///
    /// # Errors
    /// If it does not come to that.
    pub fn start(stage: &Stage, elsewhere: &Elsewhere) -> Result<Self> {
        let directory = stage.path("nginx");
        fs::create_dir_all(directory.join("pages"))?;
        let isso = stage.path("isso/socket");
        let config = stage.write(
            "nginx/nginx.conf",
            &format!(
                "user root;
worker_processes 1;
daemon off;
pid {directory}/pid;
error_log {directory}/error.log;
events {{ worker_connections 256; }}
http {{
  types {{ text/html html; text/plain txt; application/json json; application/atom+xml atom; application/rss+xml rss; }}
  charset utf-8;
  log_format visits '$request_uri|$status|$body_bytes_sent|$sent_http_content_encoding|$http_user_agent';
  access_log {directory}/access.log visits;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  gzip on;
  gzip_min_length 100;
  gzip_proxied any;
  gzip_types text/plain text/xml application/json application/atom+xml application/rss+xml;
  server {{
    listen 443 ssl;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    root {directory}/pages;
    location /isso/ {{
      proxy_pass http://unix:{isso}:/;
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Script-Name /isso;
    }}
  }}
}}
",
                directory = directory.display(),
                certificate = elsewhere.authority.certificate.display(),
                key = elsewhere.authority.key.display(),
                isso = isso.display(),
            ),
        )?;
        let mut command = elsewhere.host.command("nginx");
        command.arg("-e").arg(directory.join("error.log")).arg("-c").arg(config);
        let running = Running::start(command, &stage.path("nginx.out"))?;
        let nginx = Self { running, directory };
        until("nginx listens", || {
            ensure!(!crate::gone(nginx.running.pid()), "nginx has ended: {}", stage.text("nginx/error.log"));
            elsewhere.host.listens(443)
        })?;
        Ok(nginx)
    }

    /// Puts a page in place, at once.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn publish(&self, name: &str, text: impl AsRef<[u8]>) -> Result {
        let fresh = self.directory.join("fresh");
        fs::write(&fresh, text)?;
        Ok(fs::rename(fresh, self.directory.join("pages").join(name))?)
    }

    /// Who was here, in order.
    ///
    /// # Errors
    /// If there is no log.
    pub fn visits(&self) -> Result<Vec<Visit>> {
        let log = fs::read_to_string(self.directory.join("access.log"))?;
        let read = |line: &str| {
            let mut fields = line.splitn(5, '|');
            Some(Visit {
                path: fields.next()?.to_owned(),
                status: fields.next()?.parse().ok()?,
                bytes: fields.next()?.parse().ok()?,
                encoding: fields.next()?.to_owned(),
                agent: fields.next()?.to_owned(),
            })
        };
        Ok(log.lines().filter_map(read).collect())
    }

    /// Waits for another visit to a path, and returns it.
    ///
    /// # Errors
    /// If nobody comes.
    pub fn until_visited(&self, path: &str) -> Result<Visit> {
        let all =
            || -> Result<Vec<Visit>> { Ok(self.visits()?.into_iter().filter(|visit| visit.path == path).collect()) };
        let before = all()?.len();
        crate::until_some(&format!("{path} is visited again"), || Ok(all()?.into_iter().nth(before)))
    }
}
