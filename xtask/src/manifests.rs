//! What runs Docket elsewhere: the manifests of every overlay, rendered and held against the code, and the Dockerfile.
//! No cluster is needed.

mod pipelines;
mod rules;
mod sources;

use std::fs;
use std::path::Path;
use std::process::Command;

use docket_manifests::{Cluster, Tools};

use crate::Result;
use crate::run::{announce, run};
use crate::tidy::files;
use sources::Sources;

const OVERLAYS: &str = "infra/k8s/overlays";

/// The overlay that skaffold applies.
const LOCAL: &str = "dev";

/// Everybody's password at the server that reads its configuration.
const PASSWORD: &str = "secret";

/// Kinds which clusters learn from others, so that Kubernetes itself has no schema of them.
const EXTENSIONS: [&str; 4] = ["Certificate", "Gateway", "HTTPRoute", "ScaledObject"];

/// Renders all overlays, and checks them and what else describes how Docket is run.
pub(crate) fn manifests() -> Result {
    let tools = tools()?;
    let files = files::read(Path::new("."))?;
    let sources = Sources::read(&files)?;
    let mut findings = pipelines::moving_actions(&files);
    for overlay in overlays()? {
        findings.extend(overlay_findings(&overlay, &tools, &sources)?);
    }
    findings.extend(pipelines::images(
        &serde_saphyr::from_str(&fs::read_to_string("skaffold.yaml")?)?,
        &tools.cluster(&Path::new(OVERLAYS).join(LOCAL))?,
    ));
    findings.iter().for_each(|finding| eprintln!("{finding}"));
    lint_dockerfile(&tools)?;
    check_schemas(&tools, &files)?;
    if findings.is_empty() { Ok(()) } else { Err(format!("{} findings", findings.len()).into()) }
}

fn overlays() -> Result<Vec<String>> {
    let entries = fs::read_dir(OVERLAYS)?;
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut names = names.collect::<std::io::Result<Vec<_>>>()?;
    names.sort();
    if names.is_empty() { Err(format!("there is nothing in {OVERLAYS}").into()) } else { Ok(names) }
}

fn overlay_findings(overlay: &str, tools: &Tools, sources: &Sources) -> Result<Vec<String>> {
    let folder = crate::test::target().join("manifests").join(overlay);
    fs::create_dir_all(&folder)?;
    let rendered = tools.render(&Path::new(OVERLAYS).join(overlay))?;
    let file = folder.join("rendered.yaml");
    fs::write(&file, &rendered)?;
    let cluster = Cluster::parse(&rendered)?;
    let mut findings = schema_findings(&file, tools)?;
    findings.extend(rules::findings(&cluster, sources));
    check_nats(&cluster, &folder)?;
    eprintln!("{overlay}: {} objects looked at", cluster.len());
    Ok(findings.into_iter().map(|finding| format!("{OVERLAYS}/{overlay}: {finding}")).collect())
}

/// The tools that render, check and run manifests; they are installed if they are not there.
pub(crate) fn tools() -> Result<Tools> {
    Ok(Tools::install(crate::test::target().join("tools"))?)
}

/// What Kubernetes's own schemas say, which know all fields and no others.
fn schema_findings(file: &Path, tools: &Tools) -> Result<Vec<String>> {
    let mut command = tools.command("kubernetes-validate");
    command.arg("--strict").arg(file);
    announce(&command);
    let output = command.output()?;
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    let findings = schema_complaints(&said);
    if findings.is_empty() && !output.status.success() { Err(said.into()) } else { Ok(findings) }
}

fn schema_complaints(said: &str) -> Vec<String> {
    let lines = said.lines().filter(|line| !line.starts_with("INFO ") && !is_extension(line));
    lines.map(str::to_owned).collect()
}

fn is_extension(line: &str) -> bool {
    let kind = line.split_once("find schema for kind ").and_then(|(_, rest)| rest.split(' ').next());
    kind.is_some_and(|kind| EXTENSIONS.contains(&kind))
}

/// Has the server itself read its configuration.
fn check_nats(cluster: &Cluster, folder: &Path) -> Result {
    let mut command = nats_server(cluster, folder)?;
    command.args(["-t", "-c"]).arg(folder.join("nats.conf"));
    run(command)
}

/// The server, with a password for everybody, and its configuration in `folder`.
fn nats_server(cluster: &Cluster, folder: &Path) -> Result<Command> {
    let Some(files) = rules::nats_files(cluster) else { return Err("no NATS server with a configuration".into()) };
    let mut command = Command::new(installed()?.nats.ok_or("nats-server was not found")?);
    for (name, text) in files {
        fs::write(folder.join(name), text)?;
        command.envs(rules::passwords_in(text).into_iter().map(|variable| (variable, PASSWORD)));
    }
    command.env("POD_NAME", "nats-0");
    Ok(command)
}

/// Finds or installs it.
#[tokio::main]
async fn installed() -> Result<docket_local::Binaries> {
    let defaults = docket_local::Options::for_tests(crate::test::target());
    let options = docket_local::Options { servers_dir: crate::test::servers_dir(), mongod: false, ..defaults };
    Ok(docket_local::install(&options).await?)
}

fn lint_dockerfile(tools: &Tools) -> Result {
    let mut command = tools.command("hadolint");
    command.arg("Dockerfile");
    run(command)
}

/// Schemas that the tool brings along.
fn check_schemas(tools: &Tools, files: &[files::File]) -> Result {
    for (schema, checked) in
        [("vendor.compose-spec", vec!["compose.yaml"]), ("vendor.github-workflows", pipelines::workflows(files))]
    {
        let mut command = tools.command("check-jsonschema");
        command.args(["--builtin-schema", schema]).args(checked);
        run(command)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_schema_is_a_finding_unless_its_kind_is_known() {
        let said = "INFO a passed for resource service/a against version 1.37\n\
            WARN a Couldn't find schema for kind HTTPRoute with api version gateway.networking.k8s.io/v1\n\
            WARN a Couldn't find schema for kind Deploymnt with api version apps/v1\n\
            ERROR a did not validate";
        let found = schema_complaints(said);
        assert_eq!(found.len(), 2);
        assert!(found[0].contains("Deploymnt"));
    }
}
