//! Tests of the import: the two layouts as a whole, and what is easily got wrong.

use super::*;
use crate::config::{Loaded, load};
use serde_json::json;
use std::path::Path;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/import");

/// Early 2026.
const NOW: Timestamp = Timestamp(1_770_000_000);

fn options(source: &Path) -> Options {
    let base = source.parent().unwrap().to_owned();
    Options { source: source.to_owned(), base, out: "/moved".into(), now: NOW, ..Options::default() }
}

fn flask() -> Options {
    options(&Path::new(FIXTURES).join("flask_op/config.json"))
}

fn django() -> Options {
    let folder = Path::new(FIXTURES).join("django_op");
    Options { dumps: vec![folder.join("tables.json")], ..options(&folder.join("settings.json")) }
}

fn imported(options: &Options) -> Import {
    oidc_op(options, &Random::scripted(1)).unwrap()
}

/// The import of a configuration given as JSON, in a folder with these files.
fn of(config: &Value, files: &[(&str, &str)]) -> Result<Import, String> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let source = folder.path().join("config.json");
    std::fs::write(&source, config.to_string()).unwrap();
    oidc_op(&options(&source), &Random::scripted(1))
}

fn bare(more: &Value) -> Value {
    let mut info = json!({ "issuer": "https://op.example", "endpoint": {} });
    info.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({ "op": { "server_info": info } })
}

fn made<'a>(import: &'a Import, name: &str) -> &'a str {
    let file = import.files.iter().find(|file| file.name == name);
    file.map(|file| file.text.as_str()).unwrap_or_else(|| panic!("no {name}"))
}

fn yaml(import: &Import, name: &str) -> Value {
    serde_json::to_value(serde_yaml::from_str::<serde_yaml::Value>(made(import, name)).unwrap()).unwrap()
}

/// The one line about a key.
#[track_caller]
fn line<'a>(import: &'a Import, file: &str, key: &str) -> (Outcome, &'a str) {
    let mut lines = import.report.lines.iter().filter(|line| line.file.ends_with(file) && line.key == key);
    let line = lines.next().unwrap_or_else(|| panic!("nothing about {key}\n{}", import.report));
    (line.outcome, &line.says)
}

/// Written for good, and read by the code that runs.
fn written(options: &Options) -> (Loaded, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("moved");
    let import = imported(&Options { out: out.clone(), ..options.clone() });
    write(&import, &out, false).unwrap();
    (load(&out.join(CONFIGURATION)).unwrap(), folder)
}

#[test]
fn a_flask_op_is_moved_with_everything_it_names() {
    let (loaded, _folder) = written(&flask());
    let op = loaded.config.op.unwrap();
    assert_eq!(op.issuer, "https://127.0.0.1:5000");
    for (endpoint, path) in [
        ("authorization", "/authorization"),
        ("token", "/token"),
        ("introspection", "/introspection"),
        ("registration", "/registration"),
        ("session", "/session"),
        ("jwks", "/static/jwks.json"),
        ("check_session", "/check_session_iframe"),
    ] {
        assert_eq!(op.paths[endpoint], [path], "{endpoint}");
    }
    let spans =
        [op.lifetimes.code, op.lifetimes.access_token, op.lifetimes.id_token, op.lifetimes.refresh_token];
    assert_eq!(spans.map(|span| span.to_string()), ["10m", "10m", "20m", "1d"]);
    assert_eq!(op.response_types, ["code", "id_token token"]);
    assert_eq!(op.lifetimes.refresh_token_total.to_string(), "2d");
    assert_eq!(op.lifetimes.client_secret.to_string(), "5d");
    assert_eq!(op.scopes["library"].claims, ["name", "library_card"]);
    assert_eq!(loaded.config.front.listen, ["127.0.0.1:5000".parse().unwrap()]);
}

#[test]
fn the_people_of_a_flask_op_keep_names_claims_and_hashed_passwords() {
    let import = imported(&flask());
    let people = yaml(&import, "users.yaml");
    let [ines, mute, otto] = people["users"].as_array().unwrap().clone().try_into().unwrap();
    assert_eq!((&ines["username"], &ines["uid"]), (&json!("Ines"), &json!("Ines")));
    assert!(otto["uid"].is_null() && mute["password"].is_null());
    assert!(ines["password"].as_str().unwrap().starts_with("$argon2id$"));
    assert!(!made(&import, "users.yaml").contains("herrings"));
    let claims = &ines["claims"];
    assert_eq!((&claims["email_verified"], &claims["birthdate"]), (&json!(true), &json!("1979")));
    assert_eq!(claims["address"]["postal_code"], "4000");
    assert!(claims["sub"].is_null() && otto["claims"]["phone_number"].is_null());
    assert_eq!(line(&import, "users.json", "Ines.email_verified").0, Outcome::Changed);
    assert_eq!(line(&import, "users.json", "otto.phone_number").0, Outcome::Ignored);
    assert_eq!(line(&import, "passwd.json", "mute").0, Outcome::Faulty);
    assert_eq!(made(&import, "public-subjects.salt"), "library salt\n", "as it stands");
}

#[test]
fn the_clients_of_a_flask_op_keep_what_they_were_registered_with() {
    let import = imported(&flask());
    let clients = yaml(&import, "clients.yaml");
    let clients = clients["clients"].as_array().unwrap();
    assert_eq!(clients.len(), 1, "a secret that has expired does not come back to life");
    let client = &clients[0];
    assert_eq!(client["client_id"], "Kp3vZ0rJq8sYd1wXnB6uTg");
    assert_eq!(client["client_secret_sha256"].as_str().unwrap().len(), 43);
    assert!(!made(&import, "clients.yaml").contains("5d41402abc4b2a76b9719d911017c592"));
    let redirects = ["https://127.0.0.1:8090/callback", "https://127.0.0.1:8090/other?shelf=a"];
    assert_eq!(client["redirect_uris"], json!(redirects));
    assert_eq!(client["token_endpoint_auth_method"], "client_secret_post", "what it was seen using");
    assert_eq!(client["subject_type"], "public", "what it really had");
    assert_eq!(client["scope"], "openid profile email library offline_access");
    let file = "cdb/Kp3vZ0rJq8sYd1wXnB6uTg";
    assert_eq!(line(&import, file, "redirect_uris").0, Outcome::Changed);
    assert_eq!(line(&import, file, "favourite_book").0, Outcome::Unknown);
    assert_eq!(line(&import, file, "client_salt").0, Outcome::Ignored);
    assert!(line(&import, "cdb/gone", "").1.contains("expired"));
    let again = imported(&Options { expired_secrets: true, ..flask() });
    assert_eq!(yaml(&again, "clients.yaml")["clients"].as_array().unwrap().len(), 2);
}

#[test]
fn every_key_of_a_configuration_is_in_the_report() {
    for options in [flask(), django()] {
        let import = imported(&options);
        let unknown: Vec<_> =
            import.report.lines.iter().filter(|line| line.outcome == Outcome::Unknown).collect();
        let config: Vec<_> =
            unknown.iter().filter(|line| line.file == options.source).map(|line| line.key.as_str()).collect();
        let made_up: &[&str] = if options.dumps.is_empty() { &["op.server_info.opening_hours"] } else { &[] };
        assert_eq!(config, made_up);
        // Nothing is left that no line covers.
        let before = import.report.lines.len();
        let mut report = import.report.clone();
        report.complete(&Document::read(&options.source).unwrap(), |_| None);
        assert_eq!(report.lines.len(), before);
        assert!(import.report.lines.iter().all(|line| !line.says.is_empty()));
    }
    let import = imported(&flask());
    let at = |key: &str| line(&import, "config.json", &format!("op.server_info.{key}")).0;
    assert_eq!(at("issuer"), Outcome::Taken);
    assert_eq!(at("token_handler_args.code.kwargs.lifetime"), Outcome::Changed, "900 seconds are too many");
    assert_eq!(
        at("token_handler_args.token.kwargs.lifetime"),
        Outcome::Ignored,
        "the usage rule went before"
    );
    assert_eq!(at("authz.kwargs.grant_config.usage_rules.refresh_token.expires_in"), Outcome::Changed);
    assert_eq!(at("httpc_params.verify"), Outcome::Changed);
    assert_eq!(at("capabilities.grant_types_supported"), Outcome::Changed);
    assert_eq!(at("add_on.pkce.kwargs.code_challenge_method"), Outcome::Changed);
    assert_eq!(at("endpoint.registration_api.path"), Outcome::Ignored);
}

#[test]
fn a_django_op_is_moved_with_its_tables() {
    let options = django();
    let (loaded, _folder) = written(&options);
    let op = loaded.config.op.unwrap();
    assert_eq!(op.paths["token"], ["/oidcop/token"]);
    assert_eq!(op.registration, op::settings::Registration::Closed);
    assert!(loaded.config.demo.certificate, "there was no web server with a certificate");
    let import = imported(&options);
    let people = yaml(&import, "users.yaml");
    let of = |name: &str| {
        people["users"].as_array().unwrap().iter().find(|it| it["username"] == name).unwrap().clone()
    };
    assert!(of("wert")["password"].as_str().unwrap().starts_with("pbkdf2_sha256$260000$"));
    assert_eq!(
        of("wert")["claims"],
        json!({ "given_name": "Wera", "family_name": "Ertl", "email": "wera@registry.example" })
    );
    assert!(of("wert")["subject"].is_null(), "the formula gives it");
    assert_eq!(of("moved")["subject"], "0f1e2d3c-fixed");
    for without in ["left", "unusable", "bcrypted"] {
        assert!(of(without)["password"].is_null(), "{without}");
    }
    assert_eq!(line(&import, "tables.json", "[1].fields.password").0, Outcome::Faulty);
    assert_eq!(line(&import, "tables.json", "[2].fields.password").0, Outcome::Changed);
    assert_eq!(line(&import, "tables.json", "accounts.user.get_oidc_lastlogin").0, Outcome::Changed);
    assert_eq!(line(&import, "settings.json", "INSTALLED_APPS").0, Outcome::Ignored);
    assert_eq!(made(&import, "public-subjects.salt"), "sdfsdfdsf");
    assert_eq!(made(&import, "pairwise-subjects.salt"), "pairwise salt");
    let clients = yaml(&import, "clients.yaml");
    let [client] = clients["clients"].as_array().unwrap().clone().try_into().unwrap();
    assert_eq!(client["client_id"], "oLyRj7registry");
    assert_eq!(client["redirect_uris"], json!(["https://127.0.0.1:8090/callback"]));
    assert_eq!(client["contacts"], json!(["desk@registry.example"]));
    assert_eq!(client["grant_types"], json!(["authorization_code", "refresh_token"]));
}

#[test]
fn subjects_follow_whatever_made_them() {
    let session = |value: Value| {
        bare(
            &json!({ "session_params": value, "authentication": { "user": { "kwargs": { "pwd": { "Ann": "pw" } } } } }),
        )
    };
    // Without sub_func oidc-op took the sessions' password for a salt.
    let import = of(&session(json!({ "password": "pepper", "salt": "x" })), &[]).unwrap();
    assert_eq!(made(&import, "public-subjects.salt"), "pepper");
    let raw = json!({ "sub_func": { "public": { "class": "oidcop.session.manager.RawID" } } });
    let import = of(&session(raw), &[]).unwrap();
    assert_eq!(yaml(&import, "users.yaml")["users"][0]["subject"], "Ann");
    let filed =
        json!({ "sub_func": { "public": { "class": "PublicID", "kwargs": { "filename": "gone" } } } });
    let import = of(&session(filed), &[]).unwrap();
    assert_eq!(import.report.count(Outcome::Faulty), 1, "{}", import.report);
    let import = of(&bare(&json!({})), &[]).unwrap();
    assert_eq!(line(&import, "config.json", "op.server_info.session_params").0, Outcome::Changed);
    assert!(!made(&import, CONFIGURATION).contains("subjects"));
}

#[test]
fn layouts_are_found_and_what_is_none_is_refused() {
    let info = bare(&json!({}))["op"]["server_info"].clone();
    for config in [
        json!({ "op": { "server_info": info } }),
        json!({ "server_info": info }),
        json!({ "op": info }),
        info.clone(),
        json!({ "OIDCOP_CONFIG": { "op": { "server_info": info } } }),
        json!({ "OIDCOP_CONFIG": info }),
    ] {
        let import = of(&config, &[]).unwrap();
        assert!(made(&import, CONFIGURATION).contains("issuer: https://op.example"), "{config}");
    }
    let slash =
        json!({ "issuer": "https://{domain}:{port}/", "endpoint": {}, "domain": "op.example", "port": 444 });
    assert!(made(&of(&slash, &[]).unwrap(), CONFIGURATION).contains("issuer: https://op.example:444\n"));
    for (nothing, why) in [
        (json!({}), "no configuration of oidc-op"),
        (json!({ "op": { "server_info": { "endpoint": {} } } }), "names no issuer"),
        (bare(&json!({ "issuer": "http://op.example" })), "must be an https URL"),
    ] {
        let says = of(&nothing, &[]).unwrap_err();
        assert!(says.contains("config.json: ") && says.contains(why), "{says}");
    }
}

#[test]
fn client_databases_of_every_form_are_read() {
    let record = json!({ "client_secret": "s".repeat(56), "redirect_uris": ["https://a.example/cb"] });
    let map = json!({ "one": record, "alias": "one" });
    for (text, ids) in [
        (map.to_string(), vec!["alias", "one"]),
        (json!({ "cdb": map, "issuer": "x", "keyjar": {} }).to_string(), vec!["alias", "one"]),
        (
            json!({ "client_id": "alone", "redirect_uris": ["https://a.example/cb"] }).to_string(),
            vec!["alone"],
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (source, file) = (folder.path().join("config.json"), folder.path().join("clients.json"));
        std::fs::write(&source, bare(&json!({})).to_string()).unwrap();
        std::fs::write(&file, text).unwrap();
        let import = imported(&Options { clients: vec![file], ..options(&source) });
        let clients = yaml(&import, "clients.yaml");
        let known: Vec<_> = clients["clients"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["client_id"].as_str().unwrap())
            .collect();
        assert_eq!(known, ids);
    }
    let import =
        of(&bare(&json!({ "client_db": { "class": "oidcmsg.storage.shelve", "kwargs": {} } })), &[]).unwrap();
    assert_eq!(line(&import, "config.json", "op.server_info.client_db").0, Outcome::Faulty);
}

#[test]
fn names_that_differ_in_case_alone_are_not_merged() {
    let config =
        bare(&json!({ "authentication": { "u": { "kwargs": { "pwd": { "Ann": "a", "ann": "b" } } } } }));
    let import = of(&config, &[]).unwrap();
    assert_eq!(yaml(&import, "users.yaml")["users"].as_array().unwrap().len(), 1);
    assert!(import.report.to_string().contains("differs from Ann in case alone"), "{}", import.report);
}

#[test]
fn a_dry_run_hashes_nothing_and_what_is_there_is_not_written_over() {
    let import = imported(&Options { dry_run: true, ..flask() });
    assert!(!made(&import, "users.yaml").contains("argon2"));
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("deep/moved");
    write(&import, &out, false).unwrap();
    let says = write(&import, &out, false).unwrap_err();
    assert!(says.contains("is there already"), "{says}");
    write(&import, &out, true).unwrap();
    use std::os::unix::fs::PermissionsExt;
    for made in &import.files {
        let mode = std::fs::metadata(out.join(made.name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", made.name);
    }
    let text = made(&import, CONFIGURATION).to_owned();
    let mut shown = text.lines().filter(|line| !line.contains("_file") && !line.contains("import"));
    assert!(shown.any(|line| line.contains("https://127.0.0.1:5000")));
}

#[test]
fn pushed_requests_and_request_objects_follow_their_settings() {
    let endpoint = json!({
        "pushed": { "path": "pushed_authorization", "class": "oidcop.oauth2.pushed_authorization.PushedAuthorization", "kwargs": { "ttl": 3600 } },
        "authorization": { "path": "authorization", "class": "x", "kwargs": { "request_parameter_supported": true, "request_uri_parameter_supported": false } },
    });
    let import = of(&bare(&json!({ "endpoint": endpoint })), &[]).unwrap();
    let op = &yaml(&import, CONFIGURATION)["op"];
    assert_eq!(op["paths"]["par"], json!(["/pushed_authorization"]));
    assert_eq!(
        (&op["par"]["lifetime"], &op["request_object"]["by_reference"]),
        (&json!("10m"), &json!(false))
    );
    assert_eq!(line(&import, "config.json", "op.server_info.endpoint.pushed.kwargs.ttl").0, Outcome::Changed);
}

#[test]
fn a_client_that_signs_with_its_secret_keeps_the_secret_itself() {
    let clients = json!({ "mac": {
        "client_secret": "s".repeat(56), "redirect_uris": ["https://a.example/cb"], "token_endpoint_auth_method": "client_secret_jwt",
    } });
    let import = of(&bare(&json!({ "cdb": clients })), &[]).unwrap();
    let client = &yaml(&import, "clients.yaml")["clients"][0];
    assert_eq!(client["client_secret"], "s".repeat(56), "{}", import.report);
    assert!(client["client_secret_sha256"].is_null());
}

#[test]
fn claims_that_were_told_unasked_are_told_on_and_to_the_same_clients() {
    let info = json!({
        "endpoint": {
            "userinfo": { "path": "u", "kwargs": { "base_claims": { "nickname": null, "sub": null } } },
            "introspection": { "path": "i", "kwargs": { "always_add_claims": ["email"], "add_claims_by_scope": true } },
        },
        "token_handler_args": { "id_token": { "kwargs": { "base_claims": { "email": { "essential": true } }, "add_claims_by_scope": false } } },
        "cdb": { "one": {
            "client_secret": "s".repeat(56), "redirect_uris": ["https://a.example/cb"],
            "scopes_to_claims": { "openid": ["sub"], "profile": ["name"] },
            "add_claims": { "always": { "id_token": ["locale"] }, "by_scope": { "id_token": true } },
        } },
    });
    let import = of(&bare(&info), &[]).unwrap();
    let op = &yaml(&import, CONFIGURATION)["op"];
    let told = json!({
        "id_token": ["email"], "id_token_by_scope": false, "introspection": ["email"], "introspection_by_scope": true,
        "userinfo": ["nickname"],
    });
    assert_eq!(op["claims"], told);
    let own = &op["clients"]["one"];
    assert_eq!(own["scopes"], json!({ "profile": { "claims": ["name"] } }));
    assert_eq!(own["claims"]["id_token"], json!(["email", "locale"]));
    assert_eq!(
        (&own["claims"]["id_token_by_scope"], &own["claims"]["userinfo"]),
        (&json!(true), &json!(["nickname"]))
    );
    let settings: op::Settings = serde_json::from_value(op.clone()).unwrap();
    assert_eq!(settings.faults(), []);
}
