//! The control protocol over a real socket.

use super::client::{Fault, ask};
use super::*;
use crate::base::clock::{Clock, Timestamp};
use futures_util::FutureExt;

struct Scene {
    directory: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
    audit: Audit,
}

impl Scene {
    fn new() -> Scene {
        let directory = tempfile::tempdir().unwrap();
        let audit = Audit::open(&directory.path().join("audit.log"), Clock::scripted(Timestamp(0))).unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Scene { directory, runtime, audit }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("run/control.sock")
    }

    fn listen(&self) -> Result<Socket, Error> {
        let obey: Obey = Arc::new(|command| obeyed(command).boxed());
        listen(&self.path(), self.runtime.handle(), obey, self.audit.clone())
    }

    fn audited(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("audit.log")).unwrap()
    }
}

async fn obeyed(command: Value) -> Obeyed {
    let name = command["command"].as_str().unwrap_or("?").to_owned();
    let detail = json!({ "object": command["object"] }).as_object().unwrap().clone();
    let faults = vec!["conf/x.yaml:1:2: y".to_owned()];
    let outcome = match name.as_str() {
        "good" => Ok(command),
        _ => Err(Refusal { says: "no".into(), faults }),
    };
    Obeyed { audited: (name != "read").then_some(detail), name, outcome }
}

#[test]
fn a_command_is_answered_and_recorded() {
    let scene = Scene::new();
    let _socket = scene.listen().unwrap();
    let command = json!({ "command": "good", "object": "ann", "password": "secret" });
    assert_eq!(ask(&scene.path(), &command).unwrap(), command);
    let Err(Fault::Refused(refusal)) = ask(&scene.path(), &json!({ "command": "bad" })) else { panic!() };
    assert_eq!(refusal, Refusal { says: "no".into(), faults: vec!["conf/x.yaml:1:2: y".into()] });
    assert!(ask(&scene.path(), &json!({ "command": "read" })).is_err());
    let audited = scene.audited();
    let lines: Vec<Value> = audited.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2, "what only reads is not recorded");
    assert_eq!(
        (&lines[0]["event"], &lines[0]["outcome"], &lines[0]["object"]),
        (&json!("good"), &json!("done"), &json!("ann"))
    );
    assert_eq!((&lines[1]["event"], &lines[1]["why"]), (&json!("bad"), &json!("no")));
    assert!(lines[0]["uid"].is_u64() && !audited.contains("secret"));
}

#[test]
fn what_is_no_command_is_refused_and_the_next_is_heard() {
    use std::io::{BufRead, BufReader, Write};
    let scene = Scene::new();
    let _socket = scene.listen().unwrap();
    let mut stream = std::os::unix::net::UnixStream::connect(scene.path()).unwrap();
    stream.write_all(b"hello\n{\"command\":\"good\"}\n").unwrap();
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
    let first: Value = serde_json::from_str(&lines.next().unwrap()).unwrap();
    assert_eq!(first["ok"], false);
    assert!(first["error"].as_str().unwrap().starts_with("a command is a JSON object"));
    let second: Value = serde_json::from_str(&lines.next().unwrap()).unwrap();
    assert_eq!(second["ok"], true);
}

#[test]
fn a_line_without_end_is_cut_off() {
    use std::io::{Read, Write};
    let scene = Scene::new();
    let _socket = scene.listen().unwrap();
    let mut stream = std::os::unix::net::UnixStream::connect(scene.path()).unwrap();
    stream.write_all(&vec![b'x'; usize::try_from(MAX_LINE).unwrap()]).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("one line of at most"), "{answer}");
}

#[test]
fn the_socket_is_for_its_owner_and_one_server_has_it() {
    let scene = Scene::new();
    assert!(matches!(ask(&scene.path(), &json!({})), Err(Fault::NotRunning)));
    let socket = scene.listen().unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&scene.path()), mode(scene.path().parent().unwrap())), (0o600, 0o700));
    assert_eq!(scene.listen().err().unwrap().kind(), ErrorKind::AddrInUse);
    drop(socket);
    assert!(!scene.path().exists());
    // A killed server leaves its socket behind.
    drop(std::os::unix::net::UnixListener::bind(scene.path()).unwrap());
    assert!(scene.path().exists());
    assert!(scene.listen().is_ok());
}

#[test]
fn a_directory_others_may_write_to_is_refused() {
    let scene = Scene::new();
    let run = scene.path().parent().unwrap().to_owned();
    std::fs::create_dir(&run).unwrap();
    std::fs::set_permissions(&run, std::fs::Permissions::from_mode(0o777)).unwrap();
    assert_eq!(scene.listen().err().unwrap().kind(), ErrorKind::PermissionDenied);
    assert!(!scene.path().exists());
}
