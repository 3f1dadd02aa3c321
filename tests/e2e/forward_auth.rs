//! A real nginx in front that asks the edge (`auth_request`), configured as conf/README.md says.

use crate::harness::server::{free_port, project};
use crate::harness::{DEADLINE, House, Party, Server};
use crate::walkthrough::alice;
use serde_json::Value;
use std::process::Command;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A block of the recipe in that language.
fn block(language: &str) -> String {
    let readme = std::fs::read_to_string(project().join("conf/README.md")).unwrap();
    let (_, section) = readme.split_once("\n### Behind nginx, Traefik, Caddy or Envoy\n").unwrap();
    let (_, block) = section.split_once(&format!("```{language}\n")).unwrap();
    block.split("```").next().unwrap().to_owned()
}

/// nginx in the server's folder, ended with it.
struct Nginx<'a> {
    server: &'a Server,
    port: u16,
}

impl<'a> Nginx<'a> {
    fn start(server: &'a Server, port: u16) -> Nginx<'a> {
        let ready: Value =
            serde_json::from_str(&std::fs::read_to_string(server.house.path("ready.json")).unwrap()).unwrap();
        let edge = server.issuer().rsplit(':').next().unwrap().to_owned();
        let recipe = block("nginx")
            .replace(":8088", &format!(":{port}"))
            .replace(":8000", &format!(":{edge}"))
            .replace("127.0.0.1:9001", ready["whoami"].as_str().unwrap());
        let folders: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {kind};\n"))
            .concat();
        let text = format!(
            "pid nginx.pid;\nerror_log nginx.log;\nevents {{}}\nhttp {{\naccess_log off;\n{folders}{recipe}}}\n"
        );
        std::fs::write(server.house.path("nginx.conf"), text).unwrap();
        let nginx = Nginx { server, port };
        // It leaves for the background once it listens.
        nginx.say(&[]);
        nginx
    }

    fn say(&self, more: &[&str]) {
        let folder = self.server.house.path(".");
        let mut command = Command::new("/usr/sbin/nginx");
        command.arg("-p").arg(&folder).args(["-c", "nginx.conf", "-e", "nginx.log"]).args(more);
        let status = command.status().expect("nginx is installed by tests/run");
        let log = std::fs::read_to_string(self.server.house.path("nginx.log")).unwrap_or_default();
        assert!(status.success(), "{log}");
    }

    /// Everything it says to this request.
    async fn ask(&self, request_line: &str, lines: &[&str], body: &str) -> (u16, String) {
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let port = self.port;
        let mut text = format!("{request_line} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n");
        for line in lines {
            text.push_str(&format!("{line}\r\n"));
        }
        text.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut said = Vec::new();
        let _ = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut said)).await.expect("it stays open");
        let said = String::from_utf8_lossy(&said).to_lowercase();
        (said[9..12].parse().unwrap(), said)
    }
}

impl Drop for Nginx<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.server.house.path("nginx.log")).unwrap_or_default();
            eprintln!("{log}");
        }
        self.say(&["-s", "stop"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_in_front_lets_pass_what_the_edge_would() {
    let port = free_port();
    let house = House::new("quickstart");
    let added = block("yaml").replace(":8088", &format!(":{port}"));
    house.edit(|text| text + "\n" + &added);
    let server = house.start();
    let party = Party::register(&server).await;
    let tokens = party.sign_in(&mut alice(&server), "openid profile api").await;
    let nginx = Nginx::start(&server, port);
    let credentials = format!("Authorization: Bearer {}", tokens.access);
    let forged =
        ["X-Auth-Subject: root", "X-Auth-Username: root", "X-Original-URL: https://127.0.0.1/public"];

    let (status, said) =
        nginx.ask("GET /api/x?y=z", &[&credentials, forged[0], forged[1], forged[2]], "").await;
    assert_eq!(status, 200, "{said}");
    assert!(said.contains("alice") && said.contains("\"query\": \"y=z\""), "{said}");
    assert!(!said.contains("root") && !said.contains(&tokens.access.to_lowercase()), "{said}");
    let (status, said) = nginx.ask("POST /api/x", &[&credentials], "a body of its own").await;
    assert_eq!(status, 200, "{said}");
    let (status, said) = nginx.ask("GET /public/x", &forged, "").await;
    assert_eq!((status, said.contains("root")), (200, false), "{said}");

    let (status, said) = nginx.ask("GET /api/x", &forged, "").await;
    assert_eq!(status, 401, "{said}");
    assert!(said.contains("www-authenticate: bearer"), "{said}");
    let (status, said) = nginx.ask("GET /API/x", &[&credentials], "").await;
    assert_eq!(status, 403, "{said}");
    party.revoke(&tokens.access).await.expect(200);
    let (status, said) = nginx.ask("GET /api/x", &[&credentials], "").await;
    assert_eq!(status, 401, "{said}");
    assert!(said.contains("invalid_token"), "{said}");
    let (status, _) = nginx.ask("GET /.oidcop/auth", &[&credentials], "").await;
    assert_eq!(status, 404, "nobody asks from outside");
}
