//! The images, as far as they can be made where none can be pulled: the last stage of the Dockerfile, built with Buildah from
//! this build's binaries on a base of this machine's own libraries.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::run::{announce, build_all, run};
use crate::system::{install, on_path};
use crate::test::target;
use crate::{Result, root};

const MISSING: &str = "the check of the images needs Buildah: install it (Debian: apt-get install buildah)";

/// What Debian calls it.
const PACKAGES: [&str; 1] = ["buildah"];

/// The image that stands for the one which the Dockerfile names.
const BASE: &str = "localhost/docket-runtime";

/// As distroless has it, whose user it is.
const USER: &str = "65532:65532";

/// Builds the image of every service, and starts each.
pub(crate) fn images() -> Result {
    let buildah = Buildah::ready()?;
    run(build_all())?;
    let services = services(&fs::read_to_string("skaffold.yaml")?)?;
    let binaries = services.iter().map(|service| target().join("debug").join(service)).collect::<Vec<_>>();
    buildah.make_base(&binaries)?;
    let compiled = buildah.folder.join("compiled");
    let mut findings = Vec::new();
    for (service, binary) in services.iter().zip(&binaries) {
        strip(binary, &compiled.join("services").join(service))?;
        findings.extend(buildah.findings(service, &compiled)?);
    }
    buildah.forget()?;
    findings.iter().for_each(|finding| eprintln!("{finding}"));
    if findings.is_empty() { Ok(()) } else { Err(format!("{} findings", findings.len()).into()) }
}

/// The services that skaffold builds images of.
fn services(skaffold: &str) -> Result<BTreeSet<String>> {
    let skaffold: Value = serde_saphyr::from_str(skaffold)?;
    let artifacts = skaffold["build"]["artifacts"].as_array().ok_or("skaffold.yaml builds nothing")?;
    let service = |artifact: &Value| artifact["docker"]["buildArgs"]["SERVICE"].as_str().map(str::to_owned);
    Ok(artifacts.iter().filter_map(service).collect())
}

/// As a release is: without what a debugger would want to know.
fn strip(binary: &Path, stripped: &Path) -> Result {
    fs::create_dir_all(stripped.parent().unwrap_or(stripped))?;
    let mut command = Command::new("strip");
    command.arg("-o").arg(stripped).arg(binary);
    run(command)
}

/// Buildah, with images of its own.
struct Buildah {
    program: PathBuf,
    folder: PathBuf,
}

impl Buildah {
    fn ready() -> Result<Self> {
        if on_path("buildah").is_none() {
            install(&PACKAGES, MISSING)?;
        }
        let buildah = Self { program: on_path("buildah").ok_or(MISSING)?, folder: target().join("images") };
        fs::create_dir_all(&buildah.folder)?;
        let (images, running) = (buildah.folder.join("storage"), buildah.folder.join("run"));
        // Plain folders: no file system that stacks them is needed.
        let settings = format!("[storage]\ndriver = \"vfs\"\ngraphroot = {images:?}\nrunroot = {running:?}\n");
        fs::write(buildah.settings(), settings)?;
        Ok(buildah)
    }

    fn settings(&self) -> PathBuf {
        self.folder.join("storage.conf")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).env("CONTAINERS_STORAGE_CONF", self.settings()).env("BUILDAH_ISOLATION", "chroot");
        command
    }

    /// Removes the images; whoever is not root may not remove their files otherwise.
    fn forget(&self) -> Result {
        run(self.command(&["rmi", "--all", "--force"]))?;
        Ok(fs::remove_dir_all(&self.folder)?)
    }

    /// An image with what the binaries are linked with, and nothing else.
    fn make_base(&self, binaries: &[PathBuf]) -> Result {
        let base = self.folder.join("base");
        for library in libraries(binaries)? {
            let place = base.join(library.strip_prefix("/")?);
            fs::create_dir_all(place.parent().unwrap_or(&base))?;
            fs::copy(&library, place)?;
        }
        let recipe = self.folder.join("base.Dockerfile");
        fs::write(&recipe, "FROM scratch\nCOPY . /\n")?;
        let mut command = self.command(&["build", "--quiet", "--tag", BASE, "--file"]);
        command.arg(recipe).arg(base);
        run(command)
    }

    /// Builds the image of a service, and tries it.
    fn findings(&self, service: &str, compiled: &Path) -> Result<Vec<String>> {
        let image = format!("localhost/docket/{service}");
        let nothing = self.folder.join("nothing");
        fs::create_dir_all(&nothing)?;
        let mut command = self.command(&["build", "--quiet", "--tag", &image, "--target", "runtime"]);
        command.args(["--build-arg", &format!("RUNTIME_IMAGE={BASE}"), "--build-arg", &format!("SERVICE={service}")]);
        command.arg("--build-context").arg(format!("build={}", compiled.display()));
        command.arg("--file").arg(root().join("Dockerfile")).arg(nothing);
        run(command)?;
        let described: Value = serde_json::from_str(&self.told(&["inspect", "--type", "image", &image])?)?;
        let container = self.told(&["from", "--pull-never", &image])?;
        let version = self.told(&["run", container.trim(), "--", "/service", "--version"]);
        run(self.command(&["rm", container.trim()]))?;
        let found = complaints(service, &described["OCIv1"]["config"]).into_iter().chain(does_not_start(version));
        Ok(found.map(|finding| format!("the image of {service} {finding}")).collect())
    }

    fn told(&self, arguments: &[&str]) -> Result<String> {
        let mut command = self.command(arguments);
        let shown = announce(&command);
        let output = command.output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(said);
        }
        Err(format!("{shown}: {}: {said}{}", output.status, String::from_utf8_lossy(&output.stderr)).into())
    }
}

/// What the binaries are linked with, and the program that links them.
fn libraries(binaries: &[PathBuf]) -> Result<BTreeSet<PathBuf>> {
    let mut command = Command::new("ldd");
    command.args(binaries);
    announce(&command);
    let said = String::from_utf8(command.output()?.stdout)?;
    Ok(linked(&said))
}

/// `name => /path (address)`, or `/path (address)`; binaries themselves are lines that end in a colon.
fn linked(said: &str) -> BTreeSet<PathBuf> {
    let paths = said.lines().filter_map(|line| line.split_whitespace().rev().nth(1));
    paths.filter(|path| path.starts_with('/')).map(PathBuf::from).collect()
}

fn complaints(service: &str, config: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut want = |what: &str, is: &Value, wanted: Value| {
        if *is != wanted {
            found.push(format!("has {what} {is}, not {wanted}"));
        }
    };
    want("the user", &config["User"], USER.into());
    want("the entry point", &config["Entrypoint"], serde_json::json!(["/service"]));
    want("the title", &config["Labels"]["org.opencontainers.image.title"], format!("docket/{service}").into());
    want("the ports", &config["ExposedPorts"], serde_json::json!({ "8080/tcp": {}, "9090/tcp": {} }));
    found
}

fn does_not_start(version: Result<String>) -> Option<String> {
    match version {
        Ok(said) if said.trim().ends_with(env!("CARGO_PKG_VERSION")) => None,
        Ok(said) => Some(format!("says {said:?} when it is asked for its version")),
        Err(error) => Some(format!("does not start: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_is_what_binaries_are_linked_with() {
        let said = "/target/debug/auth:\n\tlinux-vdso.so.1 (0x00007f7d83608000)\n\tlibc.so.6 => /lib/libc.so.6 (0x00007f)\n\
                    \t/lib64/ld-linux-x86-64.so.2 (0x00007f7d8360a000)\n";
        let linked: Vec<_> = linked(said).into_iter().collect();
        assert_eq!(linked, [PathBuf::from("/lib/libc.so.6"), PathBuf::from("/lib64/ld-linux-x86-64.so.2")]);
    }

    #[test]
    fn another_user_is_found() {
        let config = serde_json::json!({
            "User": "0:0", "Entrypoint": ["/service"], "ExposedPorts": { "8080/tcp": {}, "9090/tcp": {} },
            "Labels": { "org.opencontainers.image.title": "docket/auth" },
        });
        assert_eq!(complaints("auth", &config), ["has the user \"0:0\", not \"65532:65532\""]);
        assert_eq!(complaints("orders", &config).len(), 2, "the title is another service's");
    }

    #[test]
    fn an_image_that_does_not_start_is_found() {
        assert_eq!(does_not_start(Ok(format!("service {}\n", env!("CARGO_PKG_VERSION")))), None);
        assert!(does_not_start(Ok("service".to_owned())).is_some());
        assert!(does_not_start(Err("no such file".into())).is_some());
    }
}
