//! Moving over from oidc-op: both layouts are imported by the command, served by the program, and used by a client that
//! was registered with the old provider and by people who had their passwords there.

use crate::harness::party::{CALLBACK, claims};
use crate::harness::server::{House, binary, free_port, project};
use crate::harness::{Answer, Party, Person, Server, Tokens};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

/// A copy of one of `import/`, with a port of its own for `port` and a certificate in `certs/`.
pub fn copy(name: &str, port: u16) -> TempDir {
    let folder = TempDir::with_prefix("oidcop-moved-").unwrap();
    let own = free_port().to_string();
    copy_tree(&project().join("tests/e2e/import").join(name), folder.path(), &port.to_string(), &own);
    run(folder.path(), &["dev-cert", "--dir", "certs"]);
    folder
}

fn copy_tree(from: &Path, to: &Path, port: &str, own: &str) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy_tree(&from, &to, port, own);
        } else {
            let text = std::fs::read_to_string(&from).unwrap();
            std::fs::write(&to, text.replace(port, own)).unwrap();
        }
    }
}

fn output(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(binary()).args(arguments).current_dir(folder).env_remove("RUST_LOG").output().unwrap()
}

#[track_caller]
fn run(folder: &Path, arguments: &[&str]) -> String {
    let output = output(folder, arguments);
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{arguments:?}\n{said}\n{complained}");
    said.into_owned()
}

/// The client as the old provider registered it.
async fn known(server: &Server, id: &str, secret: &str) -> Party {
    let client = server.client().fresh();
    let url = server.url("/.well-known/openid-configuration");
    let metadata = client.get(url).send().await.expect(200).json();
    let registered = json!({ "post_logout_redirect_uris": ["https://127.0.0.1:8090/signed-out"] });
    Party {
        client,
        metadata,
        registered,
        id: id.into(),
        secret: secret.into(),
        redirect_uri: CALLBACK.into(),
    }
}

fn sha256(text: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn header(jwt: &str) -> Value {
    let part = jwt.split('.').next().unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// The kid of the RSA key that the old provider signed with.
fn old_kid(folder: &str) -> String {
    let file = project().join("tests/e2e/import").join(folder).join("jwks.json");
    let set: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    set["keys"][0]["kid"].as_str().unwrap().to_owned()
}

const SHOP: (&str, &str) =
    ("Kp3vZ0rJq8sYd1wXnB6uTg", "5d41402abc4b2a76b9719d911017c592a3f5c1d0e8b7f6a4d2c19b08");

/// With the secret in the body, as this client always did.
async fn posted(shop: &Party, endpoint: &str, fields: &[(&str, &str)]) -> Answer {
    let mut all = fields.to_vec();
    all.extend([("client_id", SHOP.0), ("client_secret", SHOP.1)]);
    shop.client.post(shop.endpoint(endpoint)).form(&all).send().await
}

async fn shop_tokens(shop: &Party, person: &mut Person) -> Tokens {
    let asked = shop.ask("openid profile email library offline_access", &[("prompt", "consent")]);
    let answer = person.authorize(&asked.url).await;
    let code = shop.code(&asked, &answer);
    Tokens::of(&posted(shop, "token_endpoint", &shop.redemption(&asked, &code)).await.expect(200))
}

#[tokio::test(flavor = "multi_thread")]
async fn import_of_a_flask_op_serves_its_client_and_its_people_as_before() {
    let folder = copy("flask_op", 5000);
    for (made, named) in [("dev.pem", "server.crt"), ("dev.key", "server.key")] {
        std::fs::copy(folder.path().join("certs").join(made), folder.path().join("certs").join(named))
            .unwrap();
    }
    let dry =
        run(folder.path(), &["import", "oidc-op", "config.json", "--out", "moved", "--dry-run", "--json"]);
    let dry: Value = serde_json::from_str(&dry).unwrap();
    assert!(
        dry["written"] == false
            && dry["keys"].as_array().unwrap().len() > 80
            && !folder.path().join("moved").exists()
    );
    let said = run(folder.path(), &["import", "oidc-op", "config.json", "--out", "moved"]);
    assert!(
        said.contains("it passes its check") && !said.contains(SHOP.1) && !said.contains("herrings"),
        "{said}"
    );
    let gone =
        ["import", "oidc-op", "config.json", "--out", "bare", "--cert", "gone.pem", "--key", "gone.key"];
    let gone = output(folder.path(), &gone);
    assert!(
        !gone.status.success() && !String::from_utf8_lossy(&gone.stdout).contains("it passes its check"),
        "{gone:?}"
    );
    let again = output(folder.path(), &["import", "oidc-op", "config.json", "--out", "moved"]);
    assert!(String::from_utf8_lossy(&again.stderr).contains("is there already"), "{again:?}");

    let mut server = House::of(folder, "moved/oidcop-proxy.yaml").start();
    let shop = known(&server, SHOP.0, SHOP.1).await;
    for (member, path) in [
        ("authorization_endpoint", "/authorization"),
        ("token_endpoint", "/token"),
        ("userinfo_endpoint", "/userinfo"),
        ("introspection_endpoint", "/introspection"),
        ("registration_endpoint", "/registration"),
        ("end_session_endpoint", "/session"),
        ("jwks_uri", "/static/jwks.json"),
    ] {
        assert_eq!(shop.metadata[member], server.url(path), "{member}");
    }
    let mut ines = Person::new(server.client().fresh(), "Ines", "two red herrings");
    let tokens = shop_tokens(&shop, &mut ines).await;
    let id_token = tokens.id.as_deref().unwrap();
    assert_eq!(claims(id_token)["sub"], sha256("Ineslibrary salt\n"), "the salt file ends with its line");
    assert_eq!(header(id_token)["kid"], old_kid("flask_op/private"));
    let keys = server.client().get(server.url("/static/jwks.json")).send().await.expect(200).json();
    assert!(keys["keys"].as_array().unwrap().iter().any(|key| key["kid"] == old_kid("flask_op/private")));
    let userinfo = shop.userinfo(&tokens.access).await.expect(200).json();
    assert_eq!((&userinfo["library_card"], &userinfo["email_verified"]), (&json!("L-0017"), &json!(true)));
    let fields = [("grant_type", "refresh_token"), ("refresh_token", tokens.refresh_token())];
    let renewed = Tokens::of(&posted(&shop, "token_endpoint", &fields).await.expect(200));
    let judged =
        posted(&shop, "introspection_endpoint", &[("token", &renewed.access)]).await.expect(200).json();
    assert_eq!((&judged["active"], &judged["sub"]), (&json!(true), &userinfo["sub"]));

    // The keys are in the store by now.
    std::fs::remove_file(server.house.path("moved/keys.json")).unwrap();
    server.kill();
    server.begin();
    let shop = known(&server, SHOP.0, SHOP.1).await;
    let mut otto = Person::new(server.client().fresh(), "otto", "palindrome");
    let tokens = shop_tokens(&shop, &mut otto).await;
    assert_eq!(header(tokens.id.as_deref().unwrap())["kid"], old_kid("flask_op/private"));
}

#[tokio::test(flavor = "multi_thread")]
async fn import_of_a_django_op_keeps_subjects_and_passwords() {
    let folder = copy("django_op", 5001);
    let arguments = [
        "import",
        "oidc-op",
        "settings.json",
        "--dump",
        "tables.json",
        "--out",
        "moved",
        "--cert",
        "certs/dev.pem",
        "--key",
        "certs/dev.key",
    ];
    run(folder.path(), &arguments);
    let mut server = House::of(folder, "moved/oidcop-proxy.yaml").start();
    let registry = ("oLyRj7registry", "53fb49f2a6501ec775355c89750dc416744a3253138d5a04e409b999");
    let party = known(&server, registry.0, registry.1).await;
    assert_eq!(party.metadata["token_endpoint"], server.url("/oidcop/token"));
    let mut wera = Person::new(server.client().fresh(), "wert", "moving house");
    let tokens = party.sign_in(&mut wera, "openid profile email").await;
    let id_token = claims(tokens.id.as_deref().unwrap());
    // The `sub` in the introspection answer that oidc-op's manual shows.
    assert_eq!(id_token["sub"], "a7b0dea2958aec275a789d7d7dc8e7d09c6316dd4fc6ae92742ed3297e14dded");
    assert_eq!(header(tokens.id.as_deref().unwrap())["kid"], old_kid("django_op/data/oidc_op/private"));
    let userinfo = party.userinfo(&tokens.access).await.expect(200).json();
    assert_eq!(
        (&userinfo["given_name"], &userinfo["email"]),
        (&json!("Wera"), &json!("wera@registry.example"))
    );
    let mut moved = Person::new(server.client().fresh(), "moved", "fixed point");
    let theirs = party.sign_in(&mut moved, "openid").await;
    assert_eq!(claims(theirs.id.as_deref().unwrap())["sub"], "0f1e2d3c-fixed", "what their sessions had");

    // After a restart the hash that was made anew is what counts, as long as the file still has the one it stands for.
    server.kill();
    server.begin();
    let party = known(&server, registry.0, registry.1).await;
    let mut wera = Person::new(server.client().fresh(), "wert", "moving house");
    party.sign_in(&mut wera, "openid").await;
    let mut stranger = Person::new(server.client().fresh(), "wert", "moving horse");
    let refused = stranger.visit(&party.ask("openid", &[]).url).await;
    let crate::harness::person::Arrived::Page(page) = refused else { panic!("{refused:?}") };
    let still = stranger.sign_in(&page).await;
    assert!(matches!(still, crate::harness::person::Arrived::Page(page) if page.has("password")));

    // A password that the operator takes out of the file lets nobody in any more.
    server.kill();
    let file = server.house.path("moved/users.yaml");
    let people = std::fs::read_to_string(&file).unwrap();
    let without: Vec<_> = people.lines().filter(|line| !line.contains("pbkdf2_sha256$")).collect();
    assert!(without.len() < people.lines().count());
    std::fs::write(&file, without.join("\n")).unwrap();
    server.begin();
    let party = known(&server, registry.0, registry.1).await;
    let mut wera = Person::new(server.client().fresh(), "wert", "moving house");
    let page = wera.visit(&party.ask("openid", &[]).url).await.page();
    let still = wera.sign_in(&page).await;
    assert!(matches!(still, crate::harness::person::Arrived::Page(page) if page.has("password")));
}

#[test]
fn import_of_something_else_fails_and_says_why() {
    let folder = TempDir::with_prefix("oidcop-moved-").unwrap();
    for (name, text, why) in [
        ("a.json", "{}", "is no configuration of oidc-op"),
        ("b.json", "{", "is not JSON"),
        ("c.py", "CONFIG = {}", "is Python"),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
        let output = output(folder.path(), &["import", "oidc-op", name, "--out", "moved"]);
        let says = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && says.contains(name) && says.contains(why), "{says}");
    }
    assert!(!folder.path().join("moved").exists());
}
