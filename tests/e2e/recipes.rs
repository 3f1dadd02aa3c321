//! The recipes of conf/README.md, run as they are written. A person at the pages answers what they ask.

use crate::harness::Server;
use crate::harness::party::parameter;
use crate::harness::person::Arrived;
use crate::harness::server::{House, binary, project};
use crate::import::copy;
use crate::walkthrough::alice;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// The shell blocks of a recipe, in their order.
fn blocks(recipe: &str) -> Vec<String> {
    let readme = std::fs::read_to_string(project().join("conf/README.md")).unwrap();
    let (_, section) =
        readme.split_once(&format!("\n### {recipe}\n")).unwrap_or_else(|| panic!("no recipe {recipe}"));
    let section = section.split("\n### ").next().unwrap();
    let blocks = section.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap().to_owned());
    let blocks: Vec<String> = blocks.collect();
    assert!(!blocks.is_empty(), "{recipe}");
    blocks
}

/// Reads until a line that holds an address with `path`, and gives that address.
fn address(output: &mut impl BufRead, read: &mut String, path: &str) -> String {
    loop {
        let mut line = String::new();
        assert!(output.read_line(&mut line).unwrap() > 0, "no address with {path}:\n{read}");
        read.push_str(&line);
        // What a call printed before may stand on the same line.
        if let Some(at) = line.find(path).and_then(|at| line[..at].rfind("https://")) {
            return line[at..].trim().to_owned();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn recipes_from_registration_to_single_logout_work_as_they_are_written() {
    let server = Server::quickstart();
    let recipes = ["A relying party from nothing", "Refresh tokens", "Introspection", "Single logout"];
    let script: String = recipes.iter().flat_map(|recipe| blocks(recipe)).collect();
    let script = script.replace("https://127.0.0.1:8000", &server.issuer());
    let mut shell = Command::new("bash");
    shell.arg("-euc").arg(script).current_dir(server.house.path("."));
    shell.env_remove("SSL_CERT_FILE").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = shell.spawn().unwrap();
    let (mut input, mut output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
    let (mut read, mut person) = (String::new(), alice(&server));

    let url = address(&mut output, &mut read, "/oidcop/authorization?");
    let answer = person.authorize(&url).await;
    writeln!(input, "{}", parameter(&answer, "code").unwrap()).unwrap();
    let url = address(&mut output, &mut read, "/oidcop/session?");
    assert!(read.contains("\"name\":\"Alice Marie Hopper\""), "userinfo:\n{read}");
    assert!(read.contains("\"active\":true"), "introspection:\n{read}");
    let back = match person.visit(&url).await {
        Arrived::Elsewhere(url) => url,
        Arrived::Page(page) => person.press(&page, "sign-out", &[]).await.elsewhere(),
    };
    assert_eq!(back.as_str(), "https://127.0.0.1:8090/signed-out?state=3");
    writeln!(input).unwrap();
    let mut last = String::new();
    output.read_to_string(&mut last).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success(), "{read}{last}\n{}", String::from_utf8_lossy(&ended.stderr));
    assert!(last.contains("\"active\":false"), "{last}");
}

/// Runs all but the last block, which starts the server, with the program on the path.
fn moved(folder: &Path, recipe: &str) -> String {
    let tools = folder.join("tools");
    std::fs::create_dir_all(&tools).unwrap();
    std::os::unix::fs::symlink(binary(), tools.join("oidcop-proxy")).unwrap();
    let mut blocks = blocks(recipe);
    assert_eq!(blocks.pop().unwrap().trim(), "oidcop-proxy run --config moved/oidcop-proxy.yaml");
    #[allow(clippy::disallowed_methods, reason = "a recipe is typed in a shell that has a path")]
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
    let shell =
        Command::new("bash").arg("-euc").arg(blocks.concat()).current_dir(folder).env("PATH", path).output();
    let output = shell.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    said
}

async fn serves(folder: TempDir, token_endpoint: &str) {
    let server = House::of(folder, "moved/oidcop-proxy.yaml").start();
    let url = server.url("/.well-known/openid-configuration");
    let metadata = server.client().get(url).send().await.expect(200).json();
    assert_eq!(metadata["token_endpoint"], server.url(token_endpoint));
}

#[tokio::test(flavor = "multi_thread")]
async fn recipe_for_flask_op_ends_in_a_server_that_runs() {
    let old = copy("flask_op", 5000);
    let folder = TempDir::with_prefix("oidcop-moved-").unwrap();
    for (made, named) in [("dev.pem", "server.crt"), ("dev.key", "server.key")] {
        std::fs::rename(old.path().join("certs").join(made), old.path().join("certs").join(named)).unwrap();
    }
    // The authority that a client of the tests trusts.
    std::fs::create_dir(folder.path().join("certs")).unwrap();
    std::fs::copy(old.path().join("certs/ca.pem"), folder.path().join("certs/ca.pem")).unwrap();
    std::os::unix::fs::symlink(old.path(), folder.path().join("flask_op")).unwrap();
    let said = moved(folder.path(), "Moving over from flask_op");
    assert!(said.contains("nothing was written") && said.contains("is good"), "{said}");
    serves(folder, "/token").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn recipe_for_django_op_ends_in_a_server_that_runs() {
    let folder = copy("django_op", 5001);
    // Django is not here, but what it prints is.
    let python =
        "#!/bin/sh\ncase \"$2\" in shell) cat settings.json ;; dumpdata) cat tables.json.old ;; esac\n";
    std::fs::create_dir(folder.path().join("tools")).unwrap();
    let file = folder.path().join("tools/python");
    std::fs::write(&file, python).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::rename(folder.path().join("tables.json"), folder.path().join("tables.json.old")).unwrap();
    let said = moved(folder.path(), "Moving over from django_op");
    assert!(said.contains("is good"), "{said}");
    serves(folder, "/oidcop/token").await;
}
