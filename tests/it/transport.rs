//! Real sockets that behave badly: whatever a server does, the run ends in
//! time, says what happened, and nothing rests on it.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::Value;

const POLICY: &str = r#"
repository = "acme/shop"
[scope]
neon = { projects = ["quiet-forest-1"] }
[[rule]]
id = "old"
kind = "neon_branch"
name = "tmp-{any}"
dead-when = { older-than = "1h" }
"#;

/// A server that treats every connection the same way, and how many it had.
fn server(behave: impl Fn(TcpStream) + Send + Sync + 'static) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = connections.clone();
    thread::spawn(move || {
        let behave = Arc::new(behave);
        for stream in listener.incoming() {
            let (stream, behave) = (stream.unwrap(), behave.clone());
            counted.fetch_add(1, Ordering::SeqCst);
            thread::spawn(move || behave(stream));
        }
    });
    (address, connections)
}

/// Reads the head of a request.
fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
        head.push(byte[0]);
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// A server that answers every request with these bytes and hangs up.
fn answering(answer: impl Into<Vec<u8>>) -> String {
    let answer = answer.into();
    let (address, _) = server(move |mut stream| {
        head(&mut stream);
        let _ = stream.write_all(&answer);
    });
    address
}

/// Audits against a server with further variables.
fn audit_with(address: &str, variables: &[(&str, &str)]) -> (Value, i32) {
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("policy.toml");
    std::fs::write(&policy, POLICY).unwrap();
    let output = crate::support::program()
        .args([
            "audit",
            "--format",
            "json",
            "--deadline",
            "2s",
            "--policies",
        ])
        .arg(&policy)
        .env("NEON_API_KEY", "canary-neon")
        .env("NEON_API_HOST", format!("{address}/api/v2"))
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    assert!(
        !String::from_utf8_lossy(&output.stdout).contains("canary"),
        "a token was printed"
    );
    crate::support::report(&output)
}

/// Audits, and expects a gap whose reason contains this.
fn refused(address: &str, expected: &str) {
    refused_with(address, &[], &[expected]);
}

/// The same with further variables; the reason contains all of these.
fn refused_with(address: &str, variables: &[(&str, &str)], expected: &[&str]) {
    let (report, code) = audit_with(address, variables);
    assert_eq!(code, 3, "{report}");
    assert_eq!(report["complete"], false);
    assert_eq!(report["summary"]["would_delete"], 0);
    let gap = report["evidence"][0]["gap"].as_str().unwrap_or_default();
    for expected in expected {
        assert!(gap.contains(expected), "{gap:?} does not say {expected:?}");
    }
}

#[test]
fn a_server_that_never_answers_ends_with_the_deadline() {
    let (address, _) = server(|mut stream| {
        head(&mut stream);
        // Until the client hangs up.
        let _ = stream.read(&mut [0]);
    });
    refused(&address, "no answer within");
}

#[test]
fn a_body_that_stops_half_way_is_no_answer() {
    let half = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: \
        400\r\n\r\n{\"branches\":[";
    refused(&answering(half), "the connection broke");
}

#[test]
fn a_connection_that_is_closed_without_an_answer_is_no_answer() {
    refused(&answering(""), "the connection broke");
}

#[test]
fn a_body_beyond_all_bounds_is_not_read_to_its_end() {
    let announced =
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9000000000\r\n\r\n";
    refused(&answering(announced), "larger than");
    let (endless, _) = server(|mut stream| {
        head(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        let chunk = [&b"10000\r\n"[..], &vec![b' '; 0x10000], b"\r\n"].concat();
        while stream.write_all(&chunk).is_ok() {}
    });
    refused(&endless, "larger than");
}

#[test]
fn a_redirect_is_not_followed_and_takes_no_token_along() {
    let (elsewhere, visits) = server(|mut stream| {
        head(&mut stream);
    });
    for status in [
        "301 Moved Permanently",
        "302 Found",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
    ] {
        let moved =
            format!("HTTP/1.1 {status}\r\nlocation: {elsewhere}/x\r\ncontent-length: 0\r\n\r\n");
        refused(&answering(moved), "redirected");
    }
    assert_eq!(visits.load(Ordering::SeqCst), 0);
}

#[test]
fn a_proxy_that_answers_html_is_no_answer() {
    let page = "<html><body>Sign in</body></html>";
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\n\r\n{page}",
        page.len()
    );
    refused(&answering(answer), "the documented form");
}

#[test]
fn a_wait_that_would_outlast_the_deadline_is_not_begun() {
    let throttled =
        "HTTP/1.1 429 Too Many Requests\r\nretry-after: 3600\r\ncontent-length: 2\r\n\r\n{}";
    refused(&answering(throttled), "rate limited for another");
}

#[test]
fn a_token_that_is_not_accepted_is_said_and_asked_only_once() {
    let (address, connections) = server(|mut stream| {
        assert!(head(&mut stream).contains("authorization: Bearer canary-neon"));
        let _ = stream.write_all(
            b"HTTP/1.1 401 Unauthorized\r\nconnection: close\r\ncontent-length: \
                47\r\n\r\n{\"code\":\"\",\"message\":\"key canary-neon unknown\"}",
        );
    });
    refused(&address, "the token was not accepted");
    // The listing and its count, each once.
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}

/// An answer of Neon without any branch, to the listing and to the count.
const NO_BRANCHES: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: \
    close\r\ncontent-length: 42\r\n\r\n{\"branches\":[],\"annotations\":{},\"count\":0}";

/// A server that speaks TLS for `localhost` with a certificate that nobody
/// trusts, how many connections it had, and that certificate.
fn secure_server() -> (String, Arc<AtomicUsize>, String) {
    secure_server_of("localhost", 4096)
}

/// The same for a host, with a certificate that is valid until the end of a year.
fn secure_server_of(host: &str, until: i32) -> (String, Arc<AtomicUsize>, String) {
    let mut parameters = rcgen::CertificateParams::new([host.to_owned()]).unwrap();
    parameters.not_after = rcgen::date_time_ymd(until, 12, 31);
    let signing_key = rcgen::KeyPair::generate().unwrap();
    let cert = parameters.self_signed(&signing_key).unwrap();
    let made = rcgen::CertifiedKey { cert, signing_key };
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let (address, connections) = server(move |stream| {
        let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut stream = rustls::StreamOwned::new(connection, stream);
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            // A client that does not trust the certificate hangs up.
            if stream.read(&mut byte).unwrap_or(0) == 0 {
                return;
            }
            head.push(byte[0]);
        }
        let _ = stream.write_all(NO_BRANCHES.as_bytes());
        stream.conn.send_close_notify();
        let _ = stream.flush();
    });
    let address = address.replace("http://127.0.0.1", "https://localhost");
    (address, connections, made.cert.pem())
}

#[test]
fn a_certificate_that_is_not_trusted_is_said_and_tried_only_once() {
    let (address, connections, certificate) = secure_server();
    let words = ["certificate is not trusted", "SSL_CERT_FILE"];
    // The certificates of the system do not have it.
    refused_with(&address, &[], &words);
    // The listing and its count, each once.
    assert_eq!(connections.load(Ordering::SeqCst), 2);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("authority.pem");
    std::fs::write(&file, certificate).unwrap();
    let trusted = [("SSL_CERT_FILE", file.to_str().unwrap())];
    let (report, code) = audit_with(&address, &trusted);
    assert_eq!(code, 0, "{report}");
}

#[test]
fn a_machine_without_certificates_gets_an_error_that_names_the_variable() {
    let nowhere = [
        ("SSL_CERT_FILE", "/nonexistent/authority.pem"),
        ("SSL_CERT_DIR", "/nonexistent"),
    ];
    let (address, _, _) = secure_server();
    refused_with(&address, &nowhere, &["cannot set up TLS", "SSL_CERT_FILE"]);
    let (report, code) = audit_with(&answering(NO_BRANCHES), &nowhere);
    assert_eq!(code, 0, "plain HTTP on loopback needs none: {report}");
}

#[test]
fn requests_to_loopback_use_no_proxy() {
    let (proxy, connections) = server(|mut stream| {
        head(&mut stream);
    });
    let variables = [
        ("HTTP_PROXY", &*proxy),
        ("http_proxy", &*proxy),
        ("ALL_PROXY", &*proxy),
    ];
    let (report, code) = audit_with(&answering(NO_BRANCHES), &variables);
    assert_eq!(code, 0, "{report}");
    assert_eq!(connections.load(Ordering::SeqCst), 0);
}

#[test]
fn a_proxy_that_does_not_answer_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let dead = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    refused_with(
        "https://neon.example",
        &[("HTTPS_PROXY", &dead)],
        &["the proxy that HTTPS_PROXY names", "NO_PROXY"],
    );
}

/// Writes certificates to a file of their own.
fn authority(text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("authority.pem");
    std::fs::write(&file, text).unwrap();
    let path = file.to_str().unwrap().to_owned();
    (folder, path)
}

#[test]
fn a_certificate_that_expired_or_is_of_another_host_is_said_and_tried_only_once() {
    for (host, until, said) in [
        ("localhost", 2020, "expired"),
        ("neon.example", 4096, "not valid for name"),
    ] {
        let (address, connections, certificate) = secure_server_of(host, until);
        let (_folder, path) = authority(&certificate);
        let trusted = [("SSL_CERT_FILE", &*path)];
        let words = ["certificate is not trusted", said, "check the clock"];
        refused_with(&address, &trusted, &words);
        assert_eq!(connections.load(Ordering::SeqCst), 2, "{host}");
    }
}

#[test]
fn a_file_without_certificates_gets_an_error_that_names_the_variable() {
    let (address, _, _) = secure_server();
    for text in ["", "not a certificate"] {
        let (_folder, path) = authority(text);
        let nothing = [("SSL_CERT_FILE", &*path), ("SSL_CERT_DIR", "/nonexistent")];
        refused_with(&address, &nothing, &["cannot set up TLS", "SSL_CERT_FILE"]);
    }
}

/// A proxy that connects every client to this server, whatever host it names, and
/// the heads of the requests that it got.
fn proxy_to(address: &str) -> (String, Arc<std::sync::Mutex<Vec<String>>>) {
    let target = address.rsplit_once(':').unwrap().1.to_owned();
    let asked: Arc<std::sync::Mutex<Vec<String>>> = Arc::default();
    let heads = Arc::clone(&asked);
    let (proxy, _) = server(move |mut client| {
        heads.lock().unwrap().push(head(&mut client));
        let _ = client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n");
        let mut server = TcpStream::connect(format!("127.0.0.1:{target}")).unwrap();
        let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        thread::spawn(move || std::io::copy(&mut from, &mut to));
        let _ = std::io::copy(&mut server, &mut client);
    });
    (proxy, asked)
}

#[test]
fn a_proxy_connects_and_never_sees_a_token() {
    let (address, _, certificate) = secure_server_of("neon.example", 4096);
    let (_folder, path) = authority(&certificate);
    let (proxy, asked) = proxy_to(&address);
    let through = [("HTTPS_PROXY", &*proxy), ("SSL_CERT_FILE", &*path)];
    let (report, code) = audit_with("https://neon.example", &through);
    assert_eq!(code, 0, "{report}");
    let heads = std::mem::take(&mut *asked.lock().unwrap());
    assert!(!heads.is_empty());
    for head in heads {
        assert!(head.starts_with("CONNECT neon.example:443 "), "{head}");
        assert!(!head.contains("canary"), "{head}");
    }
    // Where it opens connections, the error names the variable that sets it.
    let untrusted = [("HTTPS_PROXY", &*proxy)];
    let words = ["not trusted", "HTTPS_PROXY", "SSL_CERT_FILE"];
    refused_with("https://neon.example", &untrusted, &words);
    asked.lock().unwrap().clear();
    let around = [("HTTPS_PROXY", &*proxy), ("NO_PROXY", "neon.example")];
    let (report, code) = audit_with("https://neon.example", &around);
    assert_eq!(code, 3, "{report}");
    assert_eq!(asked.lock().unwrap().len(), 0);
}

#[test]
fn an_offline_check_needs_no_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("policy.toml");
    std::fs::write(&policy, POLICY).unwrap();
    let output = crate::support::program()
        .args(["check", "--offline", "--policies"])
        .arg(&policy)
        .env("NEON_API_KEY", "canary-neon")
        .env("SSL_CERT_FILE", "/nonexistent/authority.pem")
        .env("SSL_CERT_DIR", "/nonexistent")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}
