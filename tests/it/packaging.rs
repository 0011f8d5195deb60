//! The files of a release, made from the program that is tested, and used as a
//! stranger uses them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use serde_json::{Value, json};

const VERSION: &str = env!("CARGO_PKG_VERSION");
const SCRIPTS: &str = "../.github/packaging/release.py";

/// The target whose names the files of this machine get.
const HERE: &str = if cfg!(target_arch = "aarch64") {
    "aarch64-unknown-linux-musl"
} else {
    "x86_64-unknown-linux-musl"
};

const TARGETS: [&str; 6] = [
    "x86_64-unknown-linux-musl",
    "aarch64-unknown-linux-musl",
    "x86_64-apple-darwin",
    "aarch64-apple-darwin",
    "x86_64-pc-windows-msvc",
    "aarch64-pc-windows-msvc",
];

fn said(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    String::from_utf8_lossy(out).into_owned() + &String::from_utf8_lossy(err)
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    said(&output)
}

fn release(arguments: &[&str]) -> Command {
    let mut command = Command::new("python3");
    command
        .arg(crate::support::path(SCRIPTS))
        .args(arguments)
        .env("SOURCE_DATE_EPOCH", "1777593600")
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

fn archive_name(target: &str) -> String {
    let end = if target.contains("windows") {
        "zip"
    } else {
        "tar.gz"
    };
    format!("preview-gc-{target}.{end}")
}

/// Writes the archive of a target, with this program in the place of another.
fn archive(target: &str, program: &Path, out: &Path) {
    let (program, out) = (program.display().to_string(), out.display().to_string());
    run(&mut release(&[
        "archive",
        "--target",
        target,
        "--program",
        &program,
        "--repository",
        "acme/tool",
        "--out",
        &out,
    ]));
}

/// The archive of this machine with the program that is tested, made once, and the
/// folder that it unpacks to.
fn real() -> (&'static Path, PathBuf) {
    static MADE: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
        let folder = tempfile::tempdir().unwrap();
        archive(
            HERE,
            Path::new(env!("CARGO_BIN_EXE_preview-gc")),
            folder.path(),
        );
        let mut tar = Command::new("tar");
        tar.arg("-xzf")
            .arg(folder.path().join(archive_name(HERE)))
            .arg("-C")
            .arg(folder.path());
        run(&mut tar);
        folder
    });
    (MADE.path(), MADE.path().join(format!("preview-gc-{HERE}")))
}

#[test]
fn only_the_tag_of_the_version_of_a_known_repository_is_released() {
    let check = |tag: &str| {
        let arguments = ["check", tag, "--repository", "acme/tool"];
        let output = release(&arguments).output().unwrap();
        assert!(!output.status.success());
        said(&output)
    };
    for tag in ["v9.9.9", VERSION] {
        let said = check(tag);
        assert!(
            said.contains("move the tag or change the version"),
            "{said}"
        );
    }
    // `cargo binstall` asks Cargo.toml where a release is.
    let said = check(&format!("v{VERSION}"));
    assert!(
        said.contains("repository = \"https://github.com/acme/tool\""),
        "{said}"
    );
    if let Some(ours) = env!("CARGO_PKG_REPOSITORY").strip_prefix("https://github.com/") {
        let tag = format!("v{VERSION}");
        run(&mut release(&["check", &tag, "--repository", ours]));
    }
}

#[test]
fn an_archive_has_everything() {
    let (_, root) = real();
    for name in [
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "README.md",
        "CHANGELOG.md",
        "SECURITY.md",
        "completions/preview-gc.bash",
        "completions/_preview-gc",
        "completions/preview-gc.fish",
        "completions/_preview-gc.ps1",
        "man/preview-gc.1",
        "man/preview-gc-sweep.1",
        "policies/demo.toml",
        "policies/preview-gc.schema.json",
        "policies/schemes/pr-family.toml",
    ] {
        let size = std::fs::metadata(root.join(name)).unwrap().len();
        assert!(size > 100, "{name} has {size} bytes");
    }
    let notices = std::fs::read_to_string(root.join("THIRD-PARTY-NOTICES.txt")).unwrap();
    for words in [
        "rustls",
        "tokio",
        "Apache License",
        "Permission is hereby granted",
    ] {
        assert!(notices.contains(words), "{words}");
    }
    // What builds and what tests is not in the program.
    assert!(!notices.contains("\ntrycmd ") && !notices.contains("\nsyn "));
    let output = Command::new(root.join("preview-gc"))
        .args(["audit", "--sandbox"])
        .output();
    assert!(said(&output.unwrap()).contains("14 of 42 resources are garbage"));
}

#[test]
fn the_schema_line_of_a_packed_policy_names_the_release() {
    let (_, root) = real();
    let line = format!(
        "#:schema https://github.com/acme/tool/releases/download/v{VERSION}/preview-gc.schema.json\n"
    );
    for name in ["policies/demo.toml", "policies/schemes/pr-family.toml"] {
        let text = std::fs::read_to_string(root.join(name)).unwrap();
        assert!(text.starts_with(&line), "{text}");
        let mut check = Command::new(env!("CARGO_BIN_EXE_preview-gc"));
        check
            .env("GITHUB_REPOSITORY", "acme/shop")
            .args(["check", "--offline", "--policies"])
            .arg(root.join(name));
        run(&mut check);
    }
}

/// The files of a whole release in `dist`, made once, of a small program that
/// answers what a release asks it.
fn made() -> &'static Path {
    static MADE: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("preview-gc");
        // The manual pages go to a folder.
        let text = "#!/bin/sh\ncase \"$1\" in man) echo page > \"$3/preview-gc.1\" ;; esac\n\
            echo '{\"schema\": 1}'\n";
        std::fs::write(&program, text).unwrap();
        run(Command::new("chmod").arg("+x").arg(&program));
        let out = folder.path().join("dist");
        for target in TARGETS {
            archive(target, &program, &out);
        }
        let archives = out.display().to_string();
        let finish = [
            "finish",
            "--archives",
            &archives,
            "--repository",
            "acme/tool",
        ];
        run(&mut release(&finish));
        folder
    });
    MADE.path()
}

/// Copies the files of a whole release to a folder that a test may change.
fn all_files(to: &Path) -> PathBuf {
    let out = to.join("dist");
    run(Command::new("cp")
        .arg("-R")
        .arg(made().join("dist"))
        .arg(&out));
    out
}

#[test]
fn the_same_files_give_the_same_archives() {
    let folder = tempfile::tempdir().unwrap();
    let dist = all_files(folder.path());
    let again = folder.path().join("again");
    let program = made().join("preview-gc");
    for target in [HERE, "x86_64-pc-windows-msvc"] {
        let name = archive_name(target);
        let packed = std::fs::read(dist.join(&name)).unwrap();
        archive(target, &program, &again);
        assert!(
            packed == std::fs::read(again.join(&name)).unwrap(),
            "{name} differs"
        );
    }
}

#[test]
fn installers_and_formula_accept_only_the_files_of_the_release() {
    let folder = tempfile::tempdir().unwrap();
    let dist = all_files(folder.path());
    let read = |name: &str| std::fs::read_to_string(dist.join(name)).unwrap();
    run(Command::new("sha256sum")
        .args(["--check", "--quiet", "SHA256SUMS"])
        .current_dir(&dist));
    let sums = read("SHA256SUMS");
    let windows = read("preview-gc-installer.ps1");
    let unix = read("preview-gc-installer.sh");
    let formula = read("preview-gc.rb");
    for target in TARGETS {
        let name = archive_name(target);
        let line = sums.lines().find(|line| line.ends_with(&name)).unwrap();
        let sum = line.split(' ').next().unwrap();
        let where_to = if target.contains("windows") {
            vec![&windows]
        } else {
            vec![&unix, &formula]
        };
        assert!(where_to.iter().all(|text| text.contains(sum)), "{target}");
    }
    assert!(read("preview-gc.schema.json").contains("\"schema\": 1"));

    let install = |url: &str| {
        let mut command = Command::new("sh");
        command
            .arg(dist.join("preview-gc-installer.sh"))
            .env("PREVIEW_GC_DOWNLOAD_URL", url)
            .env("PREVIEW_GC_INSTALL_DIR", folder.path().join("bin"));
        command.output().unwrap()
    };
    let output = install(&format!("file://{}", dist.display()));
    assert!(output.status.success(), "{}", said(&output));
    assert!(folder.path().join("bin/preview-gc").exists());
    // Somebody replaced the archive.
    std::fs::remove_dir_all(folder.path().join("bin")).unwrap();
    std::fs::copy(dist.join("SHA256SUMS"), dist.join(archive_name(HERE))).unwrap();
    let output = install(&format!("file://{}", dist.display()));
    assert!(!output.status.success());
    assert!(
        said(&output).contains("nothing was installed"),
        "{}",
        said(&output)
    );
    assert!(!folder.path().join("bin").exists());
}

#[test]
fn a_release_without_an_archive_of_every_target_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let dist = all_files(folder.path());
    std::fs::remove_file(dist.join(archive_name("aarch64-apple-darwin"))).unwrap();
    let archives = dist.display().to_string();
    let mut finish = release(&[
        "finish",
        "--archives",
        &archives,
        "--repository",
        "acme/tool",
    ]);
    let output = finish.output().unwrap();
    assert!(!output.status.success());
    assert!(said(&output).contains("no archives for aarch64-apple-darwin"));
}

#[test]
fn the_npm_package_runs_offline_and_runs_no_script_when_it_is_installed() {
    let folder = tempfile::tempdir().unwrap();
    let npm = folder.path().join("npm");
    let (archives, out) = (real().0.display().to_string(), npm.display().to_string());
    run(&mut release(&[
        "npm",
        "--archives",
        &archives,
        "--scope",
        "acme",
        "--repository",
        "acme/tool",
        "--out",
        &out,
    ]));
    let machine = if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        "x64"
    };
    let tarball = |name: &str| npm.join(format!("acme-{name}-{VERSION}.tgz"));
    let main = tarball("preview-gc");
    let platform = tarball(&format!("preview-gc-linux-{machine}"));
    let project = folder.path().join("project");
    std::fs::create_dir(&project).unwrap();
    std::fs::write(project.join("package.json"), "{\"private\": true}").unwrap();
    let cache = folder.path().join("cache");
    let in_project = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(&project)
            .env("npm_config_cache", &cache);
        command
    };
    let quiet = [
        "--offline",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts=false",
    ];
    // The program alone is missing: the launcher says what to do.
    run(in_project("npm", &["install"]).args(quiet).arg(&main));
    let output = in_project("npx", &["--offline", "preview-gc", "--version"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).contains("--omit=optional"),
        "{}",
        said(&output)
    );
    run(in_project("npm", &["install"])
        .args(quiet)
        .args([&main, &platform]));
    let text = run(&mut in_project(
        "npx",
        &["--offline", "preview-gc", "--version"],
    ));
    assert!(text.contains(&format!("preview-gc {VERSION}")), "{text}");
    let text = run(&mut in_project(
        "npx",
        &["--offline", "preview-gc", "audit", "--sandbox"],
    ));
    assert!(text.contains("14 of 42 resources are garbage"), "{text}");
    // Exit codes come through.
    let mut command = in_project("npx", &["--offline", "preview-gc", "sweep", "--sandbox"]);
    let output = command.env("CI", "true").output().unwrap();
    assert_eq!(output.status.code(), Some(7), "{}", said(&output));

    let installed = project.join("node_modules/@acme");
    let manifest = |name: &str| -> Value {
        let text = std::fs::read_to_string(installed.join(name).join("package.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let main = manifest("preview-gc");
    let platform = manifest(&format!("preview-gc-linux-{machine}"));
    for manifest in [&main, &platform] {
        assert_eq!(manifest["scripts"], Value::Null);
        assert_eq!(manifest["version"], VERSION);
    }
    assert_eq!(platform["os"], json!(["linux"]));
    assert_eq!(
        main["optionalDependencies"].as_object().unwrap().len(),
        TARGETS.len()
    );
}

#[test]
fn the_image_has_the_program_certificates_and_a_user_without_rights() {
    let folder = tempfile::tempdir().unwrap();
    let dist = all_files(folder.path());
    let (archives, out) = (dist.display().to_string(), folder.path().join("image"));
    let out = out.display().to_string();
    run(&mut release(&[
        "image",
        "--archives",
        &archives,
        "--out",
        &out,
    ]));
    let out = Path::new(&out);
    for machine in ["amd64", "arm64"] {
        let root = out.join(machine);
        assert!(root.join("usr/bin/preview-gc").exists());
        let certificates = root.join("etc/ssl/certs/ca-certificates.crt");
        assert!(
            std::fs::read_to_string(certificates)
                .unwrap()
                .contains("BEGIN CERTIFICATE")
        );
        let users = std::fs::read_to_string(root.join("etc/passwd")).unwrap();
        assert!(users.contains(":65532:") && !users.contains("root"));
        assert!(
            root.join("usr/share/doc/preview-gc/THIRD-PARTY-NOTICES.txt")
                .exists()
        );
    }
    let text = std::fs::read_to_string(out.join("Dockerfile")).unwrap();
    assert!(text.contains("FROM scratch\n") && text.contains("\nUSER 65532:65532\n"));
}
